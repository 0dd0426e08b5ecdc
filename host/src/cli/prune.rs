// SPDX-License-Identifier: Apache-2.0
//! `ampoule prune`: records and logs that are old.

use std::time::Duration;

use clap::Args;

use super::{CliError, store, values};
use crate::folders::Folders;
use crate::supervise::task::prune;

/// Remove the records and logs of tasks that ended long ago
#[derive(Debug, Args)]
pub(super) struct Prune {
    /// How long ago
    #[arg(long, default_value = "7d", value_parser = values::grace)]
    older: Duration,
}

impl Prune {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let removed = prune(folders, &store(folders)?, self.older, usize::MAX)?;
        eprintln!("ampoule: removed {removed} records");
        Ok(0)
    }
}
