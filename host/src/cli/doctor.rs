// SPDX-License-Identifier: Apache-2.0
//! `ampoule doctor`: can this host run guests, and what to do where it cannot.

use clap::Args;

use super::{CliError, say};
use crate::doctor::{Check, Verdict, examine};
use crate::folders::Folders;

/// Check whether this host can run guests
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// One line of JSON a check
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let checks = examine(folders);
        for check in &checks {
            say(&if self.json {
                serde_json::json!(check).to_string()
            } else {
                line(check)
            })?;
        }
        let failed = checks.iter().any(|check| check.verdict == Verdict::Fail);
        Ok(u8::from(failed))
    }
}

fn line(check: &Check) -> String {
    let verdict = match check.verdict {
        Verdict::Ok => "ok  ",
        Verdict::Note => "note",
        Verdict::Fail => "FAIL",
    };
    format!("{verdict}  {:<12}  {}", check.name, check.text)
}
