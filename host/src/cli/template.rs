// SPDX-License-Identifier: Apache-2.0
//! The process that makes a template in the background. Not for people, who have
//! `ampoule image build --template`.

use clap::Args;

use super::CliError;
use crate::folders::Folders;
use crate::template::make::{Made, Request, make};

/// Exit code when another process makes templates now (EX_TEMPFAIL of sysexits.h).
const ELSEWHERE: u8 = 75;

/// Make a template
#[derive(Debug, Args)]
pub(super) struct Template {
    /// What is wanted, as JSON
    request: String,
}

impl Template {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let failed = CliError::io("cannot understand the request");
        let request: Request =
            serde_json::from_str(&self.request).map_err(|error| failed(error.into()))?;
        // It outlives who started it, and gives way to every task.
        let _ = rustix::process::setsid();
        let _ = rustix::process::nice(10);
        match make(folders, &request)? {
            Made::Already | Made::Now => Ok(0),
            Made::Elsewhere => Ok(ELSEWHERE),
        }
    }
}
