// SPDX-License-Identifier: Apache-2.0
//! A guest that goes on from a snapshot: it is given its assignment as soon as its connection
//! stands. And what happens when the VMM does not take the snapshot: nothing of the task has run
//! by then, so the same task boots in another VMM.

use protocol::messages::{Continue, Resumed};
use protocol::{Kind, ports};
use vmm::control::End;

use super::Supervisor;
use crate::supervise::cgroup::Cgroup;
use crate::supervise::guest::{Guest, Role};
use crate::supervise::machine::{Machine, MachineError};
use crate::supervise::verdict::{Cause, Facts};

impl Supervisor<'_> {
    /// Why the VMM did not take the snapshot, once it has said so.
    pub(super) fn refusal(&self) -> Option<String> {
        // A copy cannot begin anew: its beginning is in the snapshot.
        self.restoring.as_ref().filter(|_| !self.is_copy)?;
        let setup = self
            .facts
            .ended
            .as_ref()
            .filter(|e| e.end() == End::Setup)?;
        Some(setup.detail.clone())
    }

    /// Boots the task that could not be restored.
    pub(super) fn boot_instead(&mut self, cgroup: Option<&Cgroup>) -> Result<(), MachineError> {
        let Some(mut launch) = self.restoring.take() else {
            return Ok(());
        };
        launch.snapshot = None;
        self.machine = Machine::start(&launch, cgroup)?;
        self.connector.begin_again();
        self.guest = Guest::default();
        self.facts = Facts::default();
        self.ending.begin_again();
        Ok(())
    }

    /// A restored guest does not greet: it waits for its assignment.
    pub(super) fn greet_restored(&mut self, port: u32) {
        if port == ports::CONTROL && self.guest.is_restored() {
            self.assign();
        }
    }

    /// Gives init what the guest is told about itself.
    pub(super) fn assign(&mut self) {
        match self.assignment() {
            Ok(assignment) => self.say(Role::Init, Kind::Assignment, &assignment),
            Err(error) => self.fail(Cause::Host(format!("there is no entropy: {error}"))),
        }
    }

    pub(super) fn resumed(&mut self, resumed: &Resumed) {
        self.timeline.resumed(resumed.boot_ns);
        if self.guest.agent.open().is_none() {
            return self.fail(Cause::Protocol("its snapshot has no agent".to_owned()));
        }
        if self.is_copy {
            return self.copy_goes_on(resumed.boot_ns);
        }
        self.machine.prepare();
        self.ready();
    }

    /// The commands of a copy run already; only their streams are to be connected.
    fn copy_goes_on(&mut self, boot_ns: u64) {
        self.ending.ready = true;
        self.timeline.ready();
        self.timeline.started(boot_ns);
        self.say(Role::Agent, Kind::Continue, &Continue { copy: true });
        self.started = true;
    }
}
