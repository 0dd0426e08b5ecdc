// SPDX-License-Identifier: Apache-2.0
//! `ampoule stop`: an orderly end, and a hard one after a grace.

use std::time::Duration;

use clap::Args;

use super::kill::end;
use super::wait::until_ended;
use super::{CliError, values};
use crate::api::Request;
use crate::folders::Folders;

/// End a task: SIGTERM to its command, SIGKILL after a grace
#[derive(Debug, Args)]
pub(super) struct Stop {
    /// How long the command may take
    #[arg(long, default_value = "10s", value_parser = values::grace)]
    grace: Duration,
    /// The task: its id or the beginning of it
    task: String,
}

impl Stop {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let grace = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        end(folders, &self.task, &Request::Stop(grace))?;
        until_ended(folders, &self.task)?;
        Ok(0)
    }
}
