// SPDX-License-Identifier: Apache-2.0
//! What is asked about: an action or a plan from the command line or a file, and where it would
//! run.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use policy::action::{Act, Action, Plan};
use policy::blast::Workspace;
use policy::effects::place::Setting;
use policy::effects::program::Files;
use policy::effects::shell::Ground;
use policy::judge::{Around, Judgement, PlanJudgement};
use policy::verdict::facts::{Posture, Who};

use super::super::CliError;
use crate::folders::Folders;
use crate::model;
use crate::policies::{self, InForce};
use crate::workspace::{Folder, Machine, Options, TIME};

/// Longest plan that is read, in bytes; its steps have a limit of their own.
const PLAN: u64 = 64 << 20;

/// An action or a plan, and around it.
#[derive(Debug, Args)]
pub(super) struct Question {
    /// The command; a single word with blanks in it is a line of shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// A plan as JSON: goal, reasoning, actions; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "action"])]
    plan: Option<PathBuf>,
    /// An action as JSON; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    action: Option<PathBuf>,
    /// The folder it would run in: scripts are read, the blast radius is counted
    #[arg(short, long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    #[command(flatten)]
    around: Where,
}

/// Where it would run.
#[derive(Debug, Args)]
pub(super) struct Where {
    /// A file of further policies; they may only forbid
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// How tightly the task is held
    #[arg(long, default_value = "normal", value_parser = posture)]
    posture: Posture,
    /// The agent's name, for policies that speak of it
    #[arg(long, default_value = "")]
    agent: String,
    /// The team's name
    #[arg(long, default_value = "")]
    team: String,
    /// The task's image
    #[arg(long, default_value = "")]
    image: String,
}

/// What is judged.
#[derive(Debug)]
pub(super) enum Intent {
    Action(Action),
    Plan(Plan),
}

/// How it was judged.
#[derive(Debug)]
pub(super) enum Answer {
    Action(Box<Judgement>),
    Plan(Box<PlanJudgement>),
}

impl Question {
    /// Reads what is asked about.
    pub(super) fn intent(&self) -> Result<Intent, CliError> {
        if let Some(path) = &self.plan {
            return read(path, "plan", Plan::read).map(Intent::Plan);
        }
        if let Some(path) = &self.action {
            return read(path, "action", action).map(Intent::Action);
        }
        // Bytes that are no UTF-8 become U+FFFD, which is a finding of its own.
        let words = self
            .command
            .iter()
            .map(|word| word.to_string_lossy().into_owned());
        let words: Vec<String> = words.collect();
        let action = match words.as_slice() {
            [] => {
                let text = "nothing to judge; write the command after `--`, or --plan FILE";
                return Err(CliError::Usage(text.to_owned()));
            }
            [line] if line.contains(char::is_whitespace) => Action::shell(line),
            _ => Action::of(Act::Exec(words)),
        };
        Ok(Intent::Action(action))
    }

    /// The policies in force.
    pub(super) fn in_force(&self, folders: &Folders) -> Result<InForce, CliError> {
        let model = model::current(folders, &self.around.agent)?;
        let workspace = self.workspace.as_deref();
        Ok(policies::load(
            folders,
            &self.around.policy,
            workspace,
            model,
        )?)
    }

    /// The folders that its paths are read against.
    pub(super) fn setting(&self) -> Result<Setting, CliError> {
        let folder = self.workspace.as_deref().map(open).transpose()?;
        Ok(folder.map_or_else(Setting::default, |folder| folder.setting().clone()))
    }

    /// Judges it.
    pub(super) fn judge(&self, in_force: &InForce, intent: &Intent) -> Result<Answer, CliError> {
        let around = self.around.around();
        let folder = self.workspace.as_deref().map(open).transpose()?;
        let fallback = Setting::default();
        let setting = folder.as_ref().map_or(&fallback, |folder| folder.setting());
        let none = policy::effects::program::NoFiles;
        let files: &dyn Files = folder.as_ref().map_or(&none, |folder| folder);
        let ground = Ground {
            setting,
            cwd: Some(&setting.workspace),
            files,
        };
        let workspace = folder.as_ref().map(|folder| folder as &dyn Workspace);
        let judge = &in_force.judge;
        Ok(match intent {
            Intent::Action(action) => {
                Answer::Action(Box::new(judge.action(action, ground, workspace, &around)))
            }
            Intent::Plan(plan) => {
                Answer::Plan(Box::new(judge.plan(plan, ground, workspace, &around)))
            }
        })
    }
}

impl Where {
    fn around(&self) -> Around {
        Around {
            posture: self.posture,
            who: Who {
                agent: self.agent.clone(),
                team: self.team.clone(),
                image: self.image.clone(),
                ..Who::default()
            },
            ..Around::default()
        }
    }
}

/// The workspace as a guest has it, but by its own path: the commands that are asked about name it.
fn open(path: &Path) -> Result<Folder, CliError> {
    let failed = |error: io::Error| {
        CliError::Usage(format!(
            "cannot open the workspace {}: {error}",
            path.display()
        ))
    };
    let real = path.canonicalize().map_err(failed)?;
    let options = Options {
        setting: Setting {
            workspace: real.to_string_lossy().into_owned(),
            ..Setting::default()
        },
        machine: Machine::Guest,
        changes: Vec::new(),
        time: TIME,
    };
    Folder::open(&real, options).map_err(failed)
}

fn posture(text: &str) -> Result<Posture, String> {
    match text {
        "normal" => Ok(Posture::Normal),
        "no-egress" => Ok(Posture::NoEgress),
        "read-only" => Ok(Posture::ReadOnly),
        "paused" => Ok(Posture::Paused),
        "ended" => Ok(Posture::Ended),
        _ => Err("write normal, no-egress, read-only, paused or ended".to_owned()),
    }
}

fn action(text: &str) -> Result<Action, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// JSON from a file or stdin.
fn read<T>(path: &Path, what: &str, parse: fn(&str) -> Result<T, String>) -> Result<T, CliError> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let got = if path == Path::new("-") {
        io::stdin().lock().take(PLAN + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(PLAN + 1).read_to_end(&mut bytes))
    };
    got.map_err(|error| CliError::Usage(format!("cannot read the {what} {shown}: {error}")))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > PLAN {
        return Err(CliError::Usage(format!(
            "the {what} {shown} is longer than {} MiB",
            PLAN >> 20
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| error.to_string());
    text.and_then(|text| parse(&text)).map_err(|error| {
        CliError::Usage(format!(
            "{shown} is no {what}: {error}; docs/policy.md shows the form"
        ))
    })
}
