// SPDX-License-Identifier: Apache-2.0
//! `ampoule posture`: how tightly a running task is held, beside what policies say.

use std::io::{self, Write};

use clap::Args;
use policy::posture::{Held, Posture};
use serde_json::json;

use super::{CliError, store};
use crate::api::{Client, ClientError, Event, Hold as Wanted, Request};
use crate::approvals::who;
use crate::folders::Folders;
use crate::task::TaskId;

/// Hold a running task tighter, or let it go on; without a posture, say how it is held
///
/// normal: as the policies say; nothing said here before counts any more
/// no-egress: it connects to nothing
/// read-only: nor changes a file
/// paused: nor runs
/// ended: it is over
#[derive(Debug, Args)]
#[command(name = "posture", verbatim_doc_comment)]
pub(super) struct Hold {
    /// Also ask people before this path, or what is below it, changes; relative to the workspace
    #[arg(long, value_name = "PATH")]
    ask: Vec<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Print how it is held as JSON
    #[arg(long)]
    json: bool,
    /// The task: its id or the beginning of it
    task: String,
    /// normal, no-egress, read-only, paused, ended
    posture: Option<Posture>,
}

impl Hold {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let task = store(folders)?.find(&self.task)?;
        let mut client = Client::connect(&task)?;
        client.send(&Request::Hold(self.wanted()?))?;
        let held = match client.event()? {
            Event::Held(held) => held,
            Event::Refused(why) => return Err(ClientError::Refused(why).into()),
            _ => return Err(ClientError::Ended.into()),
        };
        let line = match self.json {
            true => {
                json!({"task": task.id, "posture": held.posture, "asks": held.asks}).to_string()
            }
            false => line(&task.id, &held),
        };
        writeln!(io::stdout(), "{line}").map_err(CliError::io("cannot write to stdout"))?;
        Ok(0)
    }

    fn wanted(&self) -> Result<Option<Wanted>, CliError> {
        if self.posture.is_none() && self.ask.is_empty() {
            return Ok(None);
        }
        let by = who().map_err(|error| CliError::Usage(super::chain(&error)))?;
        Ok(Some(Wanted {
            posture: self.posture,
            asks: self.ask.clone(),
            by: by.to_string(),
            why: self.reason.clone(),
        }))
    }
}

fn line(task: &TaskId, held: &Held) -> String {
    let asks: Vec<String> = held
        .asks
        .iter()
        .map(|path| crate::text::printable(path))
        .collect();
    let asks = match asks.as_slice() {
        [] => String::new(),
        paths => format!(", asks before changes of {}", paths.join(" ")),
    };
    format!("{task}: {}{asks}", held.posture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_is_held_is_one_line() {
        let task = "7k3m9qwe".parse().unwrap();
        let mut held = Held::default();
        assert_eq!(line(&task, &held), "7k3m9qwe: normal");
        held.posture = Posture::ReadOnly;
        held.ask("a\u{1b}b", &policy::effects::place::Setting::default())
            .unwrap();
        let shown = line(&task, &held);
        assert!(shown.starts_with("7k3m9qwe: read-only, asks before changes of /workspace/a"));
        assert!(!shown.contains('\u{1b}'));
    }
}
