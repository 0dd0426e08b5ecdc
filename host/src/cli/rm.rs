// SPDX-License-Identifier: Apache-2.0
//! `ampoule rm`: a task's record and log.

use clap::Args;

use super::{CliError, store};
use crate::folders::Folders;

/// Remove the records and logs of tasks that have ended
#[derive(Debug, Args)]
pub(super) struct Rm {
    /// The tasks: their ids or the beginnings of them
    #[arg(required = true)]
    tasks: Vec<String>,
}

impl Rm {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = store(folders)?;
        for prefix in &self.tasks {
            let task = store.find(prefix)?;
            if !store.remove(task.id.as_str())? {
                let text = format!(
                    "task {0} is still running; `ampoule kill {0}` ends it",
                    task.id
                );
                return Err(CliError::Usage(text));
            }
            let _ = std::fs::remove_dir_all(folders.task(task.id.as_str()));
        }
        Ok(0)
    }
}
