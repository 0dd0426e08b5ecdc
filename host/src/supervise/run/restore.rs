// SPDX-License-Identifier: Apache-2.0
//! A guest that goes on from a snapshot: it is given its assignment as soon as its connection
//! stands. And what happens when the VMM does not take the snapshot: nothing of the task has run
//! by then, so the same task boots in another VMM.

use protocol::messages::{Continue, Resumed};
use protocol::{Kind, ports};
use vmm::control::End;

use super::{Notice, Supervisor};
use crate::supervise::assignment;
use crate::supervise::cgroup::Cgroup;
use crate::supervise::guest::{Guest, Role};
use crate::supervise::machine::{Machine, MachineError};
use crate::supervise::verdict::{Cause, Facts};

impl Supervisor<'_> {
    /// Why the guest cannot be had in this way, once that is known.
    pub(super) fn refusal(&self) -> Option<Notice> {
        if let Some(pooled) = self.pooled.as_ref().filter(|pooled| !pooled.resumed) {
            return Some(Notice::NoPool(self.pool_failure(pooled)?));
        }
        // A copy cannot begin anew: its beginning is in the snapshot.
        self.restoring.as_ref().filter(|_| !self.is_copy)?;
        Some(Notice::Refused(self.restore_failure()?))
    }

    /// Why a guest came to nothing before it took up its assignment: its VMM did not take the
    /// snapshot, or what is in it does not run. What people did to its task meanwhile is not that.
    fn restore_failure(&self) -> Option<String> {
        match (&self.facts.cause, &self.facts.ended) {
            (None, Some(ended)) if ended.end() == End::Setup => Some(ended.detail.clone()),
            (None, Some(ended)) => Some(format!("the template does not run: {}", ended.detail)),
            (Some(Cause::Protocol(why)), _) => Some(format!("the template does not run: {why}")),
            _ => None,
        }
    }

    /// Restores the task whose guest from a pool was of no use, boots the one that could not be
    /// restored.
    pub(super) fn begin_instead(&mut self, cgroup: Option<&Cgroup>) -> Result<(), MachineError> {
        let Some(mut launch) = self.restoring.take() else {
            return Ok(());
        };
        match self.pooled.take() {
            Some(pooled) => pooled.give_up(&self.machine, &mut launch)?,
            None => launch.snapshot = None,
        }
        self.machine = Machine::start(&launch, cgroup)?;
        self.stand_again();
        self.connector.begin_again();
        self.guest = match launch.snapshot {
            Some(_) => Guest::restored(),
            None => Guest::default(),
        };
        self.restoring = launch.snapshot.is_some().then_some(launch);
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
        // The lock and the listener are its VMM's alone from here on.
        self.restoring = None;
        if self.is_copy {
            return self.copy_goes_on(resumed.boot_ns);
        }
        match &mut self.pooled {
            // Its pool has prepared it.
            Some(pooled) => pooled.resumed = true,
            None => self.machine.prepare(),
        }
        self.ready();
    }

    /// The commands of a copy run already; only their streams are to be connected.
    fn copy_goes_on(&mut self, boot_ns: u64) {
        self.ending.ready = true;
        self.timeline.ready();
        self.timeline.started(boot_ns);
        if self.stand.has_waited() {
            self.retime(assignment::wall_clock_ns());
        }
        self.say(Role::Agent, Kind::Continue, &Continue { copy: true });
        self.started = true;
    }
}
