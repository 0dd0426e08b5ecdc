// SPDX-License-Identifier: Apache-2.0
//! A guest that waited in a pool, from its taking to its task's first command. It is given the
//! task's life and workspace through its VMM, and then its assignment, as a restored one is. Until
//! it has taken that up nothing of the task has run: whatever is wrong with it, another is made.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::ports;

use super::Supervisor;
use crate::pool::take::Taken;
use crate::sockets;
use crate::supervise::guest::Guest;
use crate::supervise::machine::{Machine, MachineError};
use crate::supervise::verdict::Cause;
use crate::supervise::{load, locks};

/// Which drive is the workspace's.
const WORKSPACE: usize = 1;

/// How long a guest may take to take up its assignment on a host that has the time: a hundred
/// times what it needs, and still less than a person waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// How soon to look again at a guest that is late on a busy host.
const AGAIN: Duration = Duration::from_millis(200);

/// What is left of the taking.
#[derive(Debug)]
pub(super) struct Pooled {
    connections: Option<(OwnedFd, OwnedFd)>,
    /// To the pool, which makes another guest when it closes.
    _connection: OwnedFd,
    folder: PathBuf,
    pub(super) until: Instant,
    /// The guest has taken up its assignment: it is this task's for good.
    pub(super) resumed: bool,
}

impl Pooled {
    pub(super) fn new(taken: Taken, folder: &Path) -> (Machine, Self) {
        let pooled = Self {
            connections: Some((taken.control, taken.agent)),
            _connection: taken.connection,
            folder: folder.to_owned(),
            until: Instant::now() + PATIENCE,
            resumed: false,
        };
        (taken.machine, pooled)
    }

    /// When to see whether it is there.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let now = Instant::now();
        let at = match now < self.until {
            true => self.until,
            false => now + AGAIN,
        };
        (!self.resumed).then_some(at)
    }

    /// Makes way for a VMM of our own: the socket and the lock in the folder are the other's.
    pub(super) fn give_up(
        self,
        machine: &Machine,
        launch: &mut super::Launch,
    ) -> Result<(), MachineError> {
        machine.kill();
        for name in [sockets::VSOCK, locks::VMM] {
            let _ = fs::remove_file(self.folder.join(name));
        }
        let listener = sockets::listener(&self.folder.join(sockets::VSOCK));
        let prepare = |what| move |source| MachineError::Prepare { what, source };
        launch.vsock = Some(listener.map_err(prepare("its vsock socket"))?);
        launch.lock = Some(locks::take(&self.folder, locks::VMM).map_err(prepare("its lock"))?);
        Ok(())
    }
}

impl Supervisor<'_> {
    /// Begins with a guest that waited.
    pub(super) fn adopt(&mut self, mut pooled: Pooled) {
        self.guest = Guest::restored();
        if let Some((control, agent)) = pooled.connections.take() {
            self.guest.connected(ports::CONTROL, control);
            self.guest.connected(ports::AGENT, agent);
        }
        self.pooled = Some(pooled);
        let Some(launch) = &self.restoring else {
            return;
        };
        let medium = launch.drives.get(WORKSPACE).and_then(Option::as_ref);
        let drive = u32::try_from(WORKSPACE).unwrap_or_default();
        if let Err(error) = self.machine.adopt(launch.life, drive, medium) {
            self.fail(Cause::Host(format!("it cannot be told: {error}")));
        }
    }

    /// Its VMM has done its part: the assignment is due, as after a restore.
    pub(super) fn adopted(&mut self) {
        if self.pooled.as_ref().is_some_and(|pooled| !pooled.resumed) {
            self.assign();
        }
    }

    /// What is wrong with a guest that has not taken up its assignment. What people did to its
    /// task meanwhile is not.
    pub(super) fn pool_failure(&self, pooled: &Pooled) -> Option<String> {
        let why = match &self.facts.cause {
            Some(Cause::Host(why) | Cause::Protocol(why)) => why.clone(),
            Some(_) => return None,
            None if self.facts.goodbye.is_some() => "it said goodbye".to_owned(),
            None if self.facts.ended.is_some() => {
                let ended = self.facts.ended.as_ref();
                ended.map(|ended| ended.detail.clone()).unwrap_or_default()
            }
            None if self.ending.life_closed || self.machine.ending().is_some() => {
                "its VMM is gone".to_owned()
            }
            None if self.guest.init.is_lost() || self.guest.agent.is_lost() => {
                "its connection is lost".to_owned()
            }
            None if Instant::now() >= pooled.until => {
                let share = load::share(self.spec.resources.cpus);
                let patience = PATIENCE.saturating_mul(share);
                if self.timeline.start.elapsed() < patience {
                    return None;
                }
                format!("it was not ready within {patience:?}")
            }
            None => return None,
        };
        Some(format!("the guest from the pool was of no use: {why}"))
    }
}
