// SPDX-License-Identifier: Apache-2.0
//! `ampoule prune`: records, logs and images of workspaces that are old.

use std::time::Duration;

use clap::Args;

use super::{CliError, store, values};
use crate::folders::Folders;
use crate::image::workspace;
use crate::supervise::task::prune;

/// Remove the records and logs of tasks that ended long ago, and images of workspaces long unused
#[derive(Debug, Args)]
pub(super) struct Prune {
    /// How long ago
    #[arg(long, default_value = "7d", value_parser = values::grace)]
    older: Duration,
}

impl Prune {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let records = prune(folders, &store(folders)?, self.older, usize::MAX)?;
        let images = workspace::prune(folders, self.older)
            .map_err(CliError::io("cannot remove old images of workspaces"))?;
        eprintln!("ampoule: removed {records} records and {images} workspace images");
        Ok(0)
    }
}
