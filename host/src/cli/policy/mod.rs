// SPDX-License-Identifier: Apache-2.0
//! `ampoule policy`: what would be decided of an action, why, and whether the policies decide
//! what their owner wants.

mod ask;
mod check;
mod explain;
mod init;
mod queue;
mod shown;
mod test;

use clap::Subcommand;

use super::CliError;
use crate::folders::Folders;

/// What `--help` says of exit codes.
const CODES: &str = "\
Exit codes: 0 allow, 10 ask, 11 deny; 1 when nothing could be judged (the line on stderr says why),
2 for a command line that is not understood.";

/// Exit code for *ask*.
const ASK: u8 = 10;

/// Exit code for *deny*.
const DENY: u8 = 11;

/// Judge actions without running them
#[derive(Debug, Subcommand)]
pub(super) enum Policy {
    Check(check::Check),
    Explain(explain::Explain),
    Test(test::Test),
    Init(init::Init),
}

impl Policy {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        match self {
            Self::Check(check) => check.execute(folders),
            Self::Explain(explain) => explain.execute(folders),
            Self::Test(test) => test.execute(folders),
            Self::Init(init) => init.execute(folders),
        }
    }
}
