// SPDX-License-Identifier: Apache-2.0
//! What is left of a task when the loop is over: its outcome, put together from the facts that
//! were collected and what the VMM said last.

use std::time::Duration;

use vmm::control::Ended;

use super::{Machine, Supervisor};
use crate::supervise::cgroup::Cgroup;
use crate::supervise::verdict::{Terms, judge};
use crate::task::Outcome;

/// What is left when a task has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// The last bytes of the guest's console.
    pub console: Vec<u8>,
    /// Whether stdout is at the beginning of a line.
    pub line_ended: bool,
}

impl Finished {
    /// Of a task that ended before it had a guest.
    #[must_use]
    pub fn before(outcome: Outcome) -> Self {
        Self {
            outcome,
            console: Vec::new(),
            line_ended: true,
        }
    }
}

impl Supervisor<'_> {
    pub(super) fn finish(mut self, cgroup: Option<&Cgroup>) -> (Finished, Machine) {
        // Before anything is printed.
        self.terminal = None;
        let terms = Terms {
            ttl: self.spec.ttl(),
            wait: Duration::from_millis(self.spec.gating.wait_ms),
            start_timeout: self.ending.start_timeout,
            memory_mib: self.spec.resources.memory_mib,
            scratch_bytes: self.spec.resources.scratch_bytes,
            debug_console: self.spec.debug_console,
        };
        let mut verdict = judge(&self.facts, &terms);
        let step = self.name_step(&mut verdict);
        self.gate.ended(verdict.code, &verdict.end.how());
        let reaped = self.machine.ending().map(|ending| ending.peak_resident);
        let Ended {
            console,
            broken_devices,
            peak_resident,
            ..
        } = self.facts.ended.take().unwrap_or_default();
        let resident = [reaped, Some(peak_resident)].into_iter().flatten();
        let resident = resident.max().filter(|bytes| *bytes > 0);
        let exited = self.facts.exited.take().unwrap_or_default();
        let outcome = Outcome {
            code: verdict.code,
            exit: verdict.exit,
            end: verdict.end,
            step,
            out_of_memory: exited.oom,
            scratch_full: exited.scratch_full,
            start: None,
            timings_ns: self.timeline.finish(),
            peak_memory_bytes: cgroup.and_then(Cgroup::peak).or(resident),
            broken_devices,
        };
        let line_ended = match (&self.pump, &self.streams) {
            (Some(pump), _) => pump.stdout_ends_line(),
            (None, Some(streams)) => streams.stdout.ends_line(),
            (None, None) => true,
        };
        let finished = Finished {
            outcome,
            console,
            line_ended,
        };
        (finished, self.machine)
    }
}
