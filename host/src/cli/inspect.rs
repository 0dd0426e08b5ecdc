// SPDX-License-Identifier: Apache-2.0
//! `ampoule inspect`: everything that is known of a task.

use clap::Args;

use super::now::All;
use super::{CliError, say, store, view};
use crate::folders::Folders;

/// Show everything known of a task, as JSON
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The task: its id or the beginning of it
    task: String,
}

impl Inspect {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let task = store(folders)?.find(&self.task)?;
        let now = All::look(folders, std::iter::once(&task)).of(&task);
        say(&format!("{:#}", view::whole(&task, &now)))?;
        Ok(0)
    }
}
