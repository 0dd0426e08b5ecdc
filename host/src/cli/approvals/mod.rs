// SPDX-License-Identifier: Apache-2.0
//! `ampoule approvals`: what waits for people, and their decisions.

pub(super) mod decide;
pub(super) mod list;
pub(super) mod meant;
pub(super) mod show;

use clap::{Args, Subcommand};

use super::CliError;
use crate::approvals::ApprovalsError;
use crate::folders::Folders;

/// List what waits for people, and decide it
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Approvals {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: list::Ls,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(list::Ls),
    Show(show::Show),
    Approve(decide::Approve),
    Deny(decide::Deny),
    Comment(decide::Comment),
    Grants(list::Grants),
    Revoke(decide::Revoke),
}

impl Approvals {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let command = self.command.unwrap_or(Command::Ls(self.list));
        match command {
            Command::Ls(ls) => ls.execute(folders),
            Command::Show(show) => show.execute(folders),
            Command::Approve(approve) => approve.execute(folders),
            Command::Deny(deny) => deny.execute(folders),
            Command::Comment(comment) => comment.execute(folders),
            Command::Grants(grants) => grants.execute(folders),
            Command::Revoke(revoke) => revoke.execute(folders),
        }
    }
}

/// The store of approvals.
fn open(folders: &Folders) -> Result<crate::approvals::Approvals, ApprovalsError> {
    crate::approvals::Approvals::open(folders)
}

#[cfg(test)]
mod tests;
