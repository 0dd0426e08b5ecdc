// SPDX-License-Identifier: Apache-2.0
//! `ampoule model audit`: a slice of what ran unattended, asked about afterwards.

use clap::Args;
use policy::approval::item::line;
use serde_json::json;

use super::super::{CliError, say};
use crate::folders::Folders;
use crate::model::Models;
use crate::text::escaped;

/// List what ran unattended and is asked about afterwards, or answer one
#[derive(Debug, Args)]
pub(in crate::cli) struct Audit {
    /// The audit that is answered
    #[arg(requires = "word")]
    number: Option<u64>,
    #[command(flatten)]
    word: Word,
    /// One line of JSON an audit
    #[arg(long, conflicts_with = "number")]
    json: bool,
}

#[derive(Debug, Args)]
#[group(id = "word", multiple = false)]
struct Word {
    /// It was right to let it run
    #[arg(long, requires = "number")]
    fine: bool,
    /// It should have been refused
    #[arg(long, requires = "number")]
    wrong: bool,
}

impl Audit {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = Models::open(folders)?;
        if let Some(number) = self.number {
            store.answer_audit(number, self.word.wrong, "")?;
            return Ok(0);
        }
        for (number, audit) in store.audits()? {
            let action = line(&audit.action);
            if self.json {
                let task = &audit.task;
                say(&json!({ "audit": number, "task": task, "at_ms": audit.at_ms, "action": action }).to_string())?;
            } else {
                say(&format!(
                    "{number:<8}  {:<8}  {}",
                    escaped(&audit.task),
                    escaped(&action)
                ))?;
            }
        }
        Ok(0)
    }
}
