// SPDX-License-Identifier: Apache-2.0
//! `ampoule policy test`: the operator's own examples as tests.

use std::path::PathBuf;

use clap::Args;
use policy::effects::place::Setting;
use policy::effects::program::NoFiles;
use policy::effects::shell::Ground;
use policy::judge::Around;
use policy::risk::Model;
use policy::verdict::examples::{self, Example};
use policy::verdict::facts::{Posture, Who};
use serde_json::json;

use super::super::{CliError, say};
use crate::folders::Folders;
use crate::policies;
use crate::text::printable;

/// Run the operator's examples against the policies in force
///
/// The model of the first day judges, so that a test says the same on every machine.
#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// A folder of policies and their `tests`, or only examples: a folder of TOML files, or one file;
    /// when left out the policies in force
    path: Option<PathBuf>,
    /// A file of further policies; they may only forbid
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// One line of JSON an example
    #[arg(long)]
    json: bool,
}

impl Test {
    pub(in crate::cli) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let path = self.path.map_or_else(|| policies::folder(folders), Ok)?;
        let judged_by = policies::is_policies(&path).then(|| path.clone());
        let path = if path.join("tests").is_dir() {
            path.join("tests")
        } else {
            path
        };
        let all = match path.exists() {
            true => policies::examples_in(&path)?,
            false => Vec::new(),
        };
        if all.is_empty() {
            let text = "there are no examples in";
            return Err(CliError::Usage(format!(
                "{text} {}; `ampoule policy init` writes some",
                path.display()
            )));
        }
        let in_force = match judged_by {
            Some(folder) => policies::of_folder(&folder, &self.policy, None, Model::default())?,
            None => policies::load(folders, &self.policy, None, Model::default())?,
        };
        let setting = Setting::default();
        let outcomes = examples::run(&all, |example| {
            let ground = Ground {
                setting: &setting,
                cwd: Some(&setting.workspace),
                files: &NoFiles,
            };
            let judged = in_force
                .judge
                .action(&example.action, ground, None, &around(example));
            judged.decision
        });
        let mut failed = 0_u32;
        for outcome in &outcomes {
            failed += u32::from(!outcome.passed());
            if self.json {
                say(&json!({
                    "name": outcome.name, "file": outcome.file, "line": outcome.line,
                    "passed": outcome.passed(), "difference": outcome.difference,
                })
                .to_string())?;
            } else {
                let word = if outcome.passed() { "ok    " } else { "FAILED" };
                say(&format!("{word}  {}", printable(&outcome.name)))?;
                if let Some(difference) = &outcome.difference {
                    say(&format!("        {}:{}", outcome.file, outcome.line))?;
                    for line in difference.lines() {
                        say(&format!("        {}", printable(line)))?;
                    }
                }
            }
        }
        if !self.json {
            say(&format!("{} examples, {failed} failed", outcomes.len()))?;
        }
        Ok(u8::from(failed > 0))
    }
}

fn around(example: &Example) -> Around {
    let context = &example.context;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Around {
        posture: context.posture.unwrap_or(Posture::Normal),
        who: Who {
            agent: text(&context.agent),
            team: text(&context.team),
            image: text(&context.image),
            ..Who::default()
        },
        ..Around::default()
    }
}
