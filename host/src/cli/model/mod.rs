// SPDX-License-Identifier: Apache-2.0
//! `ampoule model`: the team's risk model, what it learnt and what it would do with it.

mod audit;
mod change;
mod evaluate;
mod show;

use clap::Subcommand;

use super::CliError;
use crate::folders::Folders;

/// Show, evaluate and promote what the risk model has learnt
#[derive(Debug, Subcommand)]
pub(super) enum Model {
    Show(show::Show),
    Evaluate(evaluate::Evaluate),
    Audit(audit::Audit),
    Promote(change::Promote),
    Rollback(change::Rollback),
    Export(show::Export),
}

impl Model {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        match self {
            Self::Show(show) => show.execute(folders),
            Self::Evaluate(evaluate) => evaluate.execute(folders),
            Self::Audit(audit) => audit.execute(folders),
            Self::Promote(promote) => promote.execute(folders),
            Self::Rollback(rollback) => rollback.execute(folders),
            Self::Export(export) => export.execute(folders),
        }
    }
}

/// A share as people read it.
fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
