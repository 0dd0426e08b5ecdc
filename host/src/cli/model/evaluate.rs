// SPDX-License-Identifier: Apache-2.0
//! `ampoule model evaluate`: how well the model in force tells a team's own labelled actions apart.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use clap::Args;
use policy::action::Action;
use policy::effects::place::Setting;
use policy::effects::program::NoFiles;
use policy::effects::shell::Ground;
use policy::judge::Around;
use policy::risk::scores::{auroc, brier, ece};
use policy::verdict::Verdict;
use serde_json::{Value, json};

use super::super::{CliError, say};
use super::percent;
use crate::folders::Folders;
use crate::{model, policies};

/// Longest file that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// Bins of the calibration error.
const BINS: usize = 10;

/// Judge a file of labelled actions: one line of JSON each, an action with "refused": true or false
#[derive(Debug, Args)]
pub(in crate::cli) struct Evaluate {
    /// The file
    data: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let rows = self.rows()?;
        let in_force = policies::load(folders, &[], None, model::current(folders, "")?)?;
        let setting = Setting::default();
        let ground = Ground {
            setting: &setting,
            cwd: Some(&setting.workspace),
            files: &NoFiles,
        };
        let mut said = Vec::new();
        let mut stopped = [(0_u32, 0_u32); 2];
        for (action, refused) in &rows {
            let judged = in_force
                .judge
                .action(action, ground, None, &Around::default());
            said.push((judged.risk.probability, *refused));
            if let Some((stops, all)) = stopped.get_mut(usize::from(*refused)) {
                *all += 1;
                *stops += u32::from(judged.decision.verdict != Verdict::Allow);
            }
        }
        let share = |(stops, all): (u32, u32)| f64::from(stops) / f64::from(all.max(1));
        let [fine, bad] = stopped;
        let (brier, ece, auroc) = (brier(&said), ece(&said, BINS), auroc(&said));
        if self.json {
            say(&json!({
                "actions": said.len(), "brier": brier, "ece": ece, "auroc": auroc,
                "refused": { "actions": bad.1, "stopped": bad.0 },
                "allowed": { "actions": fine.1, "stopped": fine.0 },
            })
            .to_string())?;
            return Ok(0);
        }
        say(&format!("actions  {}", said.len()))?;
        say(&format!(
            "refused  {} of {} stopped ({})",
            bad.0,
            bad.1,
            percent(share(bad))
        ))?;
        say(&format!(
            "allowed  {} of {} stopped ({})",
            fine.0,
            fine.1,
            percent(share(fine))
        ))?;
        say(&format!("Brier    {brier:.4}"))?;
        say(&format!("ECE      {ece:.4} ({BINS} bins of equal mass)"))?;
        let auroc = auroc.map_or_else(
            || "needs both labels".to_owned(),
            |area| format!("{area:.4}"),
        );
        say(&format!("AUROC    {auroc}"))?;
        Ok(0)
    }

    fn rows(&self) -> Result<Vec<(Action, bool)>, CliError> {
        let shown = self.data.display();
        let bad = |what: String| CliError::Usage(format!("{shown}: {what}"));
        let file =
            File::open(&self.data).map_err(|error| bad(format!("cannot be read: {error}")))?;
        let mut rows = Vec::new();
        for (at, line) in BufReader::new(file.take(LONGEST)).lines().enumerate() {
            let line = line.map_err(|error| bad(format!("cannot be read: {error}")))?;
            if line.trim().is_empty() {
                continue;
            }
            let wrong = |what: String| bad(format!("line {}: {what}", at + 1));
            let mut value: Value = serde_json::from_str(&line)
                .map_err(|error| wrong(format!("is no JSON: {error}")))?;
            let label = value
                .as_object_mut()
                .and_then(|object| object.remove("refused"));
            let refused = label.and_then(|label| label.as_bool());
            let refused = refused
                .ok_or_else(|| wrong("has no \"refused\" that is true or false".to_owned()))?;
            let action = serde_json::from_value(value)
                .map_err(|error| wrong(format!("is no action: {error}")))?;
            rows.push((action, refused));
        }
        Ok(rows)
    }
}
