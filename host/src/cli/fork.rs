// SPDX-License-Identifier: Apache-2.0
//! `ampoule fork`: copies of a running task.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use clap::Args;

use super::supervise::{CopyFiles, Order, Status, Supervised};
use super::{CliError, say, store};
use crate::api::{Client, ClientError, Event, Request};
use crate::folders::Folders;
use crate::store::Task;
use crate::supervise::room;
use crate::task::Spec;

/// Copies at once. Each is a guest of its own; more are made by another call.
const MOST: u16 = 256;

/// Make copies of a running task, each in a guest of its own that goes on from here
///
/// A copy gets its own id, host name, machine id, entropy and streams: its output goes to its log,
/// its stdin has ended. Its commands find /run/ampoule/copy-of, and whatever random state they
/// keep themselves is the original's. Its time to live is what was left of the original's.
#[derive(Debug, Args)]
pub(super) struct Fork {
    /// The task: its id or the beginning of it
    task: String,
    /// How many copies
    #[arg(short, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST)))]
    n: u16,
}

/// A guest that was stored, held open until its copies run.
struct Stored {
    snapshot: OwnedFd,
    drives: Vec<Option<OwnedFd>>,
    ttl_left_ms: u64,
}

impl Fork {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let task = store(folders)?.find(&self.task)?;
        let advice = |most| match most {
            0 => "end other tasks first".to_owned(),
            most => format!("use -n {most}"),
        };
        room::check((self.n, "copies"), task.spec.resources.memory_mib, advice)
            .map_err(|error| CliError::Usage(error.to_string()))?;
        let stored = Stored::of(&task)?;
        let order = Order {
            spec: copied(&task, &stored),
            copy: Some(stored.files()),
        };
        // No more at once than gain by it: who ends this command knows all copies but these.
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let mut started = VecDeque::new();
        let mut left = self.n;
        let mut code = 0;
        while left > 0 || !started.is_empty() {
            while left > 0 && started.len() < cpus.saturating_mul(2) {
                started.push_back(Supervised::start(&order));
                left -= 1;
            }
            let Some(supervised) = started.pop_front() else {
                break;
            };
            match supervised.and_then(Supervised::status) {
                Ok(Status::Started(id)) => say(id.as_str())?,
                Ok(Status::Failed { detail, .. }) => {
                    eprintln!("ampoule: {detail}");
                    code = 1;
                }
                Err(error) => {
                    eprintln!("ampoule: {}", super::chain(&error));
                    code = 1;
                }
            }
        }
        Ok(code)
    }
}

impl Stored {
    fn of(task: &Task) -> Result<Self, CliError> {
        let mut client = Client::connect(task)?;
        client.send(&Request::Fork)?;
        let mut drives = Vec::new();
        loop {
            match client.event()? {
                Event::Drive { medium } => {
                    let drive = medium.then(|| client.descriptor().ok_or(ClientError::Ended));
                    drives.push(drive.transpose()?);
                }
                Event::Snapshot { ttl_left_ms } => {
                    return Ok(Self {
                        snapshot: client.descriptor().ok_or(ClientError::Ended)?,
                        drives,
                        ttl_left_ms,
                    });
                }
                Event::Refused(why) => return Err(ClientError::Refused(why).into()),
                _ => return Err(ClientError::Ended.into()),
            }
        }
    }

    /// Where the supervisors of the copies open the files, while this process holds them.
    fn files(&self) -> CopyFiles {
        let path = |fd: &OwnedFd| {
            PathBuf::from(format!(
                "/proc/{}/fd/{}",
                std::process::id(),
                fd.as_raw_fd()
            ))
        };
        CopyFiles {
            snapshot: path(&self.snapshot),
            drives: self.drives.iter().map(|d| d.as_ref().map(path)).collect(),
        }
    }
}

fn copied(task: &Task, stored: &Stored) -> Spec {
    Spec {
        detached: true,
        ttl_ms: stored.ttl_left_ms.max(1),
        copy_of: Some(task.id.clone()),
        ..task.spec.clone()
    }
}
