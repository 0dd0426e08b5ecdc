// SPDX-License-Identifier: Apache-2.0
//! The clock: when the guest must be ready, when the task's time is up, and how long each step
//! of an end may take. Every wait of the supervisor ends here if nowhere else.

use std::time::{Duration, Instant};

use super::Supervisor;
use super::pooled::Pooled;
use crate::supervise::load;
use crate::supervise::verdict::Cause;
use crate::task::Spec;

/// How much later than the guest itself the VMM ends it.
pub const VMM_MARGIN: Duration = Duration::from_secs(1);

/// How much later than the guest itself the supervisor ends it.
pub(crate) const OUR_MARGIN: Duration = Duration::from_secs(2);

/// How long a guest may take to be ready that has its vCPUs' worth of the host: a hundred times
/// what it needs.
const START: Duration = Duration::from_secs(30);

/// How long a VMM that was told to stop has before it is killed.
const STOP: Duration = Duration::from_millis(100);

/// How long a guest that said goodbye has until its reset arrives.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long a connection's end may stay unexplained.
const LOST: Duration = Duration::from_secs(2);

/// How long the guest may take for its next byte once its command has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// How long a killed command may take to be reported.
const KILLED: Duration = Duration::from_secs(2);

/// How long what a dead VMM left in its sockets may take to be read.
const LEFT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Live,
    /// Stop was said.
    Stopping(Instant),
    Killed,
}

/// The state of a task's end.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) start_timeout: Duration,
    /// vCPUs, while the host's load may still give the guest more time.
    stretch_for: Option<u8>,
    pub(super) ready: bool,
    pub(super) life_closed: bool,
    /// The last look at all descriptors found nothing.
    pub(super) silent: bool,
    pub(super) pump_failed: bool,
    start: Instant,
    ttl: Duration,
    grace: Duration,
    phase: Phase,
    goodbye: Option<Instant>,
    lost: Option<Instant>,
    command_ended: Option<Instant>,
    output_moved: Option<Instant>,
    /// When SIGKILL follows SIGTERM, and whether it did.
    stop: Option<(Instant, bool)>,
    reaped: Option<Instant>,
}

impl Ending {
    pub(super) fn new(spec: &Spec, start: Instant) -> Self {
        Self {
            start_timeout: spec.start_timeout_ms.map_or(START, Duration::from_millis),
            stretch_for: spec
                .start_timeout_ms
                .is_none()
                .then_some(spec.resources.cpus),
            ready: false,
            life_closed: false,
            silent: false,
            pump_failed: false,
            start,
            ttl: spec.ttl(),
            grace: spec.grace(),
            phase: Phase::Live,
            goodbye: None,
            lost: None,
            command_ended: None,
            output_moved: None,
            stop: None,
            reaped: None,
        }
    }

    /// Another VMM runs the task from its beginning.
    pub(super) fn begin_again(&mut self) {
        self.life_closed = false;
        self.phase = Phase::Live;
        self.reaped = None;
        self.goodbye = None;
        self.lost = None;
    }

    pub(super) fn said_goodbye(&mut self, now: Instant) {
        self.goodbye.get_or_insert(now);
    }

    pub(super) fn command_ended(&mut self, now: Instant) {
        self.command_ended.get_or_insert(now);
    }

    /// Another command follows the one that ended.
    pub(super) fn goes_on(&mut self) {
        (self.command_ended, self.output_moved) = (None, None);
    }

    pub(super) fn output_moved(&mut self, now: Instant) {
        self.output_moved = Some(now);
    }

    pub(super) fn stop_within(&mut self, now: Instant, grace: Duration) {
        self.stop.get_or_insert((now + grace, false));
    }

    /// When the guest's silence after its command's end counts as the end of the output.
    fn drained(&self) -> Option<Instant> {
        let since = self.command_ended?;
        Some(self.output_moved.map_or(since, |moved| moved.max(since)) + DRAIN)
    }
}

impl Supervisor<'_> {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let ending = &self.ending;
        let live = ending.phase == Phase::Live;
        let booting = live && !ending.ready;
        let waits = [
            // One look at what a VMM left in its sockets before its last word.
            Some(ending.start).filter(|_| self.facts.ended.is_some() && !self.is_blocked()),
            self.ttl_ends().filter(|_| live),
            self.stand.wait_ends().filter(|_| live),
            self.next_quiet().filter(|_| live),
            self.start_ends().filter(|_| booting),
            match ending.phase {
                Phase::Stopping(kill) => Some(kill),
                _ => None,
            },
            ending.goodbye.map(|at| at + GOODBYE).filter(|_| live),
            ending.lost.map(|at| at + LOST).filter(|_| live),
            self.fork.as_ref().map(|fork| fork.until),
            self.pooled.as_ref().and_then(Pooled::next_look),
            ending.drained().filter(|_| live && !self.is_blocked()),
            ending
                .stop
                .map(|(at, sent)| if sent { at + KILLED } else { at })
                .filter(|_| live),
            ending
                .reaped
                .map(|at| at + LEFT)
                .filter(|_| !self.is_blocked()),
        ];
        waits.into_iter().flatten().min()
    }

    /// When the time to live is up, if it counts now, by our own timer.
    fn ttl_ends(&self) -> Option<Instant> {
        let now = Instant::now();
        let ends = self.ending.start + self.ending.ttl + self.stand.uncounted(now) + OUR_MARGIN;
        (!self.stand.is_waiting()).then_some(ends)
    }

    /// When the guest must be ready, unless it stands still.
    fn start_ends(&self) -> Option<Instant> {
        let uncounted = self.stand.uncounted(Instant::now());
        let ends = self.ending.start + self.ending.start_timeout + uncounted;
        (!self.stand.is_to_stand()).then_some(ends)
    }

    /// Whether guest-init has warned the command that its time is nearly up.
    pub(super) fn is_warned(&self) -> bool {
        let left = self.life_left().saturating_sub(self.ending.grace);
        left <= Duration::from_millis(50)
    }

    /// Does what is due.
    pub(super) fn look_at_the_clock(&mut self, now: Instant) {
        self.look_at_fork(now);
        if self.machine.ending().is_some() {
            self.ending.reaped.get_or_insert(now);
            return;
        }
        match self.ending.phase {
            Phase::Live => self.look_for_an_end(now),
            Phase::Stopping(kill) if now >= kill => {
                self.machine.kill();
                self.ending.phase = Phase::Killed;
            }
            Phase::Stopping(_) | Phase::Killed => {}
        }
    }

    fn look_for_an_end(&mut self, now: Instant) {
        self.look_at_stand(now);
        let ending = &self.ending;
        let due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        if due(self.ttl_ends()) {
            self.fail(Cause::Ttl);
        } else if !ending.ready && due(self.start_ends()) {
            self.late();
        } else if due(ending.lost.map(|at| at + LOST)) {
            let agent = self.guest.agent.is_lost();
            self.fail(if agent {
                Cause::AgentLost
            } else {
                Cause::InitLost
            });
        }
        self.kill_what_does_not_stop(now);
        if self.stepping && self.is_drained(now) {
            self.next_step();
        }
        let ending = &self.ending;
        let over = self.facts.cause.is_some()
            || self.facts.not_started.is_some()
            || self.facts.ended.is_some()
            || due(ending.goodbye.map(|at| at + GOODBYE))
            || (ending.command_ended.is_some() && self.is_drained(now));
        if over {
            self.machine.stop();
            self.ending.phase = Phase::Stopping(now + STOP);
        }
        let lost = self.guest.agent.is_lost() || self.guest.init.is_lost();
        if lost && self.ending.lost.is_none() {
            self.ending.lost = Some(now);
        }
    }

    /// A guest that is not ready in time, on a host that has the time.
    fn late(&mut self) {
        let ending = &mut self.ending;
        if let Some(cpus) = ending.stretch_for.take() {
            let share = load::share(cpus);
            ending.start_timeout = START.saturating_mul(share);
        }
        if self.start_ends().is_some_and(|at| at <= Instant::now()) {
            self.fail(Cause::NeverReady);
        }
    }

    fn kill_what_does_not_stop(&mut self, now: Instant) {
        match self.ending.stop {
            Some((at, false)) if now >= at => {
                self.signal_command(self.command, libc::SIGKILL.unsigned_abs());
                self.ending.stop = Some((at, true));
            }
            Some((at, true)) if now >= at + KILLED => self.fail(Cause::Stopped),
            _ => {}
        }
    }

    /// Whether all that the command wrote has been passed on, as far as that is possible.
    fn is_drained(&self, now: Instant) -> bool {
        let complete = self.pump.as_ref().is_some_and(|pump| pump.is_done());
        let given_up = !self.is_blocked() && self.ending.drained().is_some_and(|at| now >= at);
        complete || self.ending.pump_failed || given_up
    }

    pub(super) fn is_blocked(&self) -> bool {
        !self.ending.pump_failed && self.pump.as_ref().is_some_and(|pump| pump.is_blocked())
    }

    /// Whether the VMM has ended its guest, or is gone, and what it left has been read and
    /// passed on.
    pub(super) fn is_over(&self) -> bool {
        if self.is_blocked() {
            return false;
        }
        // Its event loop had ended before it said so: what it wrote is in the sockets by now.
        if self.facts.ended.is_some() && self.ending.silent {
            return true;
        }
        let Some(reaped) = self.ending.reaped else {
            return false;
        };
        let links = [&self.guest.init, &self.guest.agent];
        let heard = links.iter().all(|link| link.open().is_none());
        let passed_on = self.pump.as_ref().is_none_or(|pump| pump.is_done());
        let settled = heard && self.pending.is_empty() && (passed_on || self.ending.pump_failed);
        settled || reaped.elapsed() >= LEFT
    }
}
