// SPDX-License-Identifier: Apache-2.0
//! `ampoule kill`: a task's end at once, whether or not anybody watches it.

use clap::Args;

use super::wait::until_ended;
use super::{CliError, store};
use crate::api::{Client, ClientError, Request};
use crate::folders::Folders;
use crate::supervise::orphans::{self, Standing};

/// End a task at once
#[derive(Debug, Args)]
pub(super) struct Kill {
    /// The task: its id or the beginning of it
    task: String,
}

impl Kill {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        end(folders, &self.task, &Request::Kill)?;
        until_ended(folders, &self.task)?;
        Ok(0)
    }
}

/// Asks a task's supervisor to end it; a task without one is killed here.
pub(super) fn end(folders: &Folders, prefix: &str, request: &Request) -> Result<(), CliError> {
    let store = store(folders)?;
    let task = store.find(prefix)?;
    if task.outcome.is_some() {
        return Err(ClientError::EndedAlready(task.id).into());
    }
    if orphans::standing(&task) == Standing::Unwatched {
        return Ok(orphans::kill(&store, folders, &task)?);
    }
    let asked = Client::connect(&task).and_then(|mut client| {
        client.send(request)?;
        client.event().map(drop)
    });
    match asked {
        // It was ending anyhow.
        Err(ClientError::Ended) => Ok(()),
        other => Ok(other?),
    }
}
