// SPDX-License-Identifier: Apache-2.0
//! `ampoule logs`: what a task wrote, stdout to stdout and stderr to stderr.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;

use super::{CliError, store};
use crate::folders::Folders;
use crate::logs::{LogReader, Stream};
use crate::store::Task;
use crate::supervise::orphans::{Standing, standing};

/// How often a log that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(50);

/// Show what a task wrote (the last megabytes of it)
#[derive(Debug, Args)]
pub(super) struct Logs {
    /// Go on until the task has ended
    #[arg(short, long)]
    follow: bool,
    /// The task: its id or the beginning of it
    task: String,
}

impl Logs {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let task = store(folders)?.find(&self.task)?;
        let mut reader = LogReader::open(&folders.task(task.id.as_str()));
        loop {
            let ended = !self.follow || has_ended(&task);
            while let Some(chunk) = reader.read().map_err(CliError::io("cannot read the log"))? {
                if chunk.missed {
                    eprintln!("ampoule: earlier output is no longer kept");
                }
                let wrote = match chunk.stream {
                    Stream::Stdout => io::stdout().write_all(&chunk.bytes),
                    Stream::Stderr => io::stderr().write_all(&chunk.bytes),
                };
                wrote.map_err(CliError::io("cannot write"))?;
            }
            io::stdout().flush().map_err(CliError::io("cannot write"))?;
            if ended {
                return Ok(0);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Whether nobody writes the log any more. Looked at before the log is read to its end.
fn has_ended(task: &Task) -> bool {
    task.outcome.is_some() || standing(task) != Standing::Supervised
}
