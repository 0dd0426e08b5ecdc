// SPDX-License-Identifier: Apache-2.0
//! What keys command, done as `ampoule approvals` does it.

use policy::approval::event::Yes;
use policy::approval::{Extent, ItemId, Person};

use super::keys::Command;
use crate::approvals::{Approvals, now_ms};
use crate::cli::approvals::decide::{self, Made, No};
use crate::cli::approvals::show;
use crate::cli::{CliError, chain};
use crate::folders::Folders;

/// Who decides, and where.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    /// The folders.
    pub(super) folders: &'a Folders,
    /// The approvals.
    pub(super) store: &'a Approvals,
    /// The person.
    pub(super) by: Person,
}

impl Desk<'_> {
    /// Does it; in a line what it came to. Nothing is said of what is the screen's.
    pub(super) fn perform(&self, command: Command) -> String {
        let (id, made) = match command {
            Command::Quit | Command::Redraw => return String::new(),
            Command::Approve { id, seen, hours } => {
                let yes = Yes {
                    by: self.by.clone(),
                    seen,
                    extent: hours.map_or(Extent::Once, Extent::Hours),
                    note: None,
                };
                let made = decide::approve(self.folders, self.store, &id, yes);
                (id, made)
            }
            Command::Deny { id, seen, note } => {
                let (by, seen) = (self.by.clone(), Some(seen));
                let no = No { by, seen, note };
                let made = decide::deny(self.folders, self.store, &id, no);
                (id, made)
            }
            Command::Comment { id, text } => {
                let made = decide::comment(self.store, &id, self.by.clone(), text);
                (id, made)
            }
        };
        said(&id, made)
    }

    /// Records that a person sees an approval as it is.
    pub(super) fn shown(&self, id: &ItemId) -> Result<(), CliError> {
        show::shown(self.store, id, self.by.clone(), now_ms()).map(drop)
    }
}

fn said(id: &ItemId, made: Result<Made, CliError>) -> String {
    match made {
        Ok(made) => {
            let learnt = made.unlearnt.map(|why| format!("; {why}"));
            let learnt = learnt.unwrap_or_default();
            format!("{id} {}{learnt}", decide::said(made.change))
        }
        Err(error) => chain(&error),
    }
}
