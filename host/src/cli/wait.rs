// SPDX-License-Identifier: Apache-2.0
//! `ampoule wait`: until a task has ended; its exit code.

use std::time::Duration;

use clap::Args;

use super::{CliError, store};
use crate::folders::Folders;
use crate::store::Task;
use crate::supervise::locks;
use crate::supervise::orphans::{self, Standing};
use crate::task::code;

/// How often a task without locks is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// Wait for a task's end and return its exit code
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// The task: its id or the beginning of it
    task: String,
}

impl Wait {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let task = until_ended(folders, &self.task)?;
        let Some(outcome) = task.outcome else {
            return Ok(code::FAILED);
        };
        if let Some(detail) = outcome.end.detail {
            eprintln!("ampoule: {detail}");
        }
        Ok(outcome.code)
    }
}

/// Waits until a task has ended, by the locks of those who run it; its record.
pub(super) fn until_ended(folders: &Folders, prefix: &str) -> Result<Task, CliError> {
    let mut was_gone = false;
    loop {
        // Each time anew: it also records what nobody watched ending.
        let task = store(folders)?.find(prefix)?;
        if task.outcome.is_some() {
            return Ok(task);
        }
        // Seen twice: the look at the store that lies between would have recorded it.
        let gone = orphans::standing(&task) == Standing::Gone;
        if gone && was_gone {
            let text = format!(
                "task {} has ended, and its end could not be recorded",
                task.id
            );
            return Err(CliError::Usage(text));
        }
        was_gone = gone;
        let mut waited = false;
        for lock in [locks::SUPERVISOR, locks::VMM] {
            waited |= locks::wait(&task.runtime, lock)
                .map_err(CliError::io("cannot wait for the task"))?;
        }
        if !waited {
            // The locks went with their folder; the process is looked at from time to time.
            std::thread::sleep(PAUSE);
        }
    }
}
