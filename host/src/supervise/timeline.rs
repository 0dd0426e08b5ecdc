// SPDX-License-Identifier: Apache-2.0
//! When each phase was done.
//!
//! Host and VMM share `CLOCK_MONOTONIC`. The guest's own clock is placed on it by the arrival of
//! the guest's greeting, which is therefore a little late; what a guest claims is kept between
//! the clone and now.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::time::Instant;

use protocol::messages::{BootReport, Hello};
use rustix::time::{ClockId, clock_gettime};
use vmm::control::Running;

use crate::task::Timings;

/// `CLOCK_MONOTONIC`, nanoseconds.
#[must_use]
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// The phases of one task.
#[derive(Debug)]
pub struct Timeline {
    /// When the VMM was cloned.
    pub start: Instant,
    clone_ns: u64,
    /// The host's clock when the guest's showed zero.
    guest_zero: Option<u64>,
    timings: Timings,
}

impl Timeline {
    /// At the clone.
    #[must_use]
    pub fn begin() -> Self {
        let clone_ns = now_ns();
        Self {
            start: Instant::now(),
            clone_ns,
            guest_zero: None,
            timings: Timings::default(),
        }
    }

    fn at(&self, host_ns: u64) -> u64 {
        host_ns.saturating_sub(self.clone_ns)
    }

    fn now(&self) -> u64 {
        self.at(now_ns())
    }

    fn guest(&self, guest_ns: u64) -> Option<u64> {
        let host = self.guest_zero?.saturating_add(guest_ns);
        Some(self.at(host).min(self.now()))
    }

    /// The VMM is about to run the guest.
    pub fn running(&mut self, running: &Running) {
        self.timings.vmm_entered = Some(self.at(running.entered_ns));
        self.timings.vmm_mapped = Some(self.at(running.mapped_ns));
        self.timings.vmm_running = Some(self.at(running.running_ns));
    }

    /// The guest greets.
    pub fn hello(&mut self, hello: &Hello) {
        self.guest_zero = Some(now_ns().saturating_sub(hello.boot_ns));
    }

    /// A restored guest says so, with its clock.
    pub fn resumed(&mut self, boot_ns: u64) {
        self.guest_zero = Some(now_ns().saturating_sub(boot_ns));
    }

    /// Init's steps.
    pub fn report(&mut self, report: &BootReport) {
        self.timings.init = self.guest(report.init_ns);
        self.timings.connected = self.guest(report.connected_ns);
        self.timings.assigned = self.guest(report.assigned_ns);
        self.timings.mounted = self.guest(report.mounted_ns);
        self.timings.agent = self.guest(report.agent_ns);
    }

    /// The agent's word arrived that it is ready.
    pub fn ready(&mut self) {
        self.timings.ready = Some(self.now());
    }

    /// The command runs, by the guest's clock.
    pub fn started(&mut self, guest_ns: u64) {
        self.timings.started = self.guest(guest_ns);
    }

    /// Something of the command's output was passed on.
    pub fn output(&mut self) {
        if self.timings.output.is_none() {
            self.timings.output = Some(self.now());
        }
    }

    /// The command ended, by the guest's clock.
    pub fn exited(&mut self, guest_ns: u64) {
        self.timings.exited = self.guest(guest_ns);
    }

    /// The VMM has said its last word, or is gone without one.
    pub fn ended(&mut self) {
        self.timings
            .ended
            .get_or_insert(now_ns().saturating_sub(self.clone_ns));
    }

    /// All of it.
    #[must_use]
    pub fn finish(self) -> Timings {
        self.timings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_times_are_placed_between_the_clone_and_now() {
        let mut timeline = Timeline::begin();
        std::thread::sleep(std::time::Duration::from_millis(3));
        timeline.hello(&Hello {
            version: 1,
            boot_ns: 1_000_000,
        });
        timeline.report(&BootReport {
            init_ns: 500_000,
            mounted_ns: u64::MAX,
            ..BootReport::default()
        });
        let now = timeline.now();
        let timings = timeline.finish();
        assert!(timings.init.unwrap() < now && timings.init.unwrap() > 0);
        assert!(timings.mounted.unwrap() <= now);
    }
}
