// SPDX-License-Identifier: Apache-2.0
//! A snapshot of a running task for copies to start from.
//!
//! ```text
//! client: Fork ─► agent: Pause ─► (Paused) ─► VMM: Snapshot ─► (Snapshotted) ─► agent: Continue
//!                                                                           └► client: the file
//! ```
//!
//! The commands stand still from *Pause* to *Continue*, in the original as in every copy, so that
//! a copy gets its identity and entropy before anything of the task runs in it. Messages for the
//! agent wait meanwhile: half of one in the snapshot would be read by nobody's second half.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use prost::Message;
use protocol::Kind;
use protocol::messages::{Continue, Pause, Paused};
use rustix::fs::statfs;

use super::Supervisor;
use super::requests::STANDS;
use crate::api::Event;
use crate::supervise::cgroup::Cgroup;
use crate::supervise::guest::Role;
use crate::supervise::room;
use crate::supervise::verdict::Cause;

/// How long it may take; then the client is told that it failed and the task goes on.
const TIME: Duration = Duration::from_secs(60);

/// Why a task has no copies.
const HELD: &str = "the task is held more tightly than its policies; a copy would not be";

/// A snapshot on its way.
#[derive(Debug)]
pub(super) struct Fork {
    client: u64,
    pub(super) until: Instant,
    /// Once the commands stand still.
    file: Option<File>,
    /// Messages that wait, encoded.
    waiting: Vec<(Kind, Vec<u8>)>,
}

impl Supervisor<'_> {
    /// A client wants a snapshot.
    pub(super) fn fork(&mut self, client: u64) {
        let refusal = if !self.started {
            Some("the task's command does not run yet")
        } else if self.facts.exited.is_some() || self.facts.cause.is_some() {
            Some("the task is ending")
        } else if self.gate.held().is_strict() {
            Some(HELD)
        } else if self.stand.is_kept_still() {
            Some(STANDS)
        } else if self.fork.is_some() {
            Some("the task is being forked already")
        } else {
            None
        };
        if let Some(why) = refusal {
            return self
                .clients
                .tell(client, &Event::Refused(why.to_owned()), None);
        }
        self.wake();
        self.say(Role::Agent, Kind::Pause, &Pause {});
        self.fork = Some(Fork {
            client,
            until: Instant::now() + TIME,
            file: None,
            waiting: Vec::new(),
        });
    }

    /// Keeps a message for the agent until it may be sent; `false` if it may be now.
    pub(super) fn is_kept(&mut self, role: Role, kind: Kind, message: &impl Message) -> bool {
        match &mut self.fork {
            Some(fork) if role == Role::Agent => {
                fork.waiting.push((kind, message.encode_to_vec()));
                true
            }
            _ => false,
        }
    }

    /// The agent has stopped the commands, or could not.
    pub(super) fn paused(&mut self, paused: &Paused) {
        let Some(fork) = &self.fork else { return };
        if fork.file.is_some() {
            return self.fail(Cause::Protocol("it was asked to pause once".to_owned()));
        }
        if !paused.error.is_empty() {
            let why = crate::text::printable(&paused.error);
            return self.end_fork(Err(why));
        }
        if self.gate.held().is_strict() {
            return self.end_fork(Err(HELD.to_owned()));
        }
        let asked = self.file_for_guest().and_then(|file| {
            let asked = self.machine.snapshot(file.as_fd());
            if let Some(fork) = &mut self.fork {
                fork.file = Some(file);
            }
            asked.map_err(|e| e.to_string())
        });
        if let Err(why) = asked {
            self.end_fork(Err(why));
        }
    }

    /// A file for a guest's memory: without a name, of disk. It does not count as memory of the
    /// guest's cgroup that cannot be given back, and is gone with whoever has it open.
    pub(super) fn file_for_guest(&self) -> Result<File, String> {
        room_for_snapshot(&self.scratch, self.cgroup)?;
        tempfile::tempfile_in(&self.scratch).map_err(|e| format!("cannot make a file: {e}"))
    }

    /// The VMM has written the snapshot, or could not.
    pub(super) fn snapshotted(&mut self, error: String) {
        let file = self.fork.as_mut().and_then(|fork| fork.file.take());
        let Some(file) = file else { return };
        self.end_fork(match error.is_empty() {
            _ if self.gate.held().is_strict() => Err(HELD.to_owned()),
            true => Ok(file),
            false => Err(error),
        });
    }

    pub(super) fn look_at_fork(&mut self, now: Instant) {
        if self.fork.as_ref().is_some_and(|fork| now >= fork.until) {
            self.end_fork(Err(format!("it took longer than {TIME:?}")));
        }
    }

    /// The commands go on, whatever came of it, and the client is told.
    fn end_fork(&mut self, result: Result<File, String>) {
        let Some(fork) = self.fork.take() else { return };
        self.say(Role::Agent, Kind::Continue, &Continue { copy: false });
        for (kind, bytes) in fork.waiting {
            self.say_bytes(Role::Agent, kind, &bytes);
        }
        match result {
            Ok(file) => self.hand_out(fork.client, &file),
            Err(why) => {
                let why = format!("the guest could not be stored: {why}");
                self.clients.tell(fork.client, &Event::Refused(why), None);
            }
        }
    }

    fn hand_out(&mut self, client: u64, file: &File) {
        for drive in &self.drives {
            let medium = drive.is_some();
            let descriptor = drive.as_ref().map(AsFd::as_fd);
            self.clients
                .tell(client, &Event::Drive { medium }, descriptor);
        }
        let ttl_left_ms = u64::try_from(self.ttl_left().as_millis()).unwrap_or(u64::MAX);
        let event = Event::Snapshot { ttl_left_ms };
        self.clients.tell(client, &event, Some(file.as_fd()));
    }
}

/// Whether what is written there takes memory (tmpfs(5)).
pub(super) fn is_in_memory(folder: &Path) -> rustix::io::Result<bool> {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let kind = statfs(folder)?.f_type;
    Ok(u64::try_from(kind) == Ok(TMPFS_MAGIC))
}

/// Where the file would lie in memory, the VMM that writes it pays for it, and the limit of its
/// cgroup is for the guest alone: the original would be killed.
fn room_for_snapshot(scratch: &Path, cgroup: Option<&Cgroup>) -> Result<(), String> {
    if !is_in_memory(scratch).map_err(|e| e.to_string())? {
        return Ok(());
    }
    let fits = cgroup.and_then(|cgroup| {
        let left = room::left_in(cgroup.path())?;
        Some(cgroup.memory()? <= left)
    });
    match fits {
        Some(false) => Err(
            "its file would lie in memory (a tmpfs), beside the guest's own in one limit; have \
             $XDG_STATE_HOME on a disk"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}
