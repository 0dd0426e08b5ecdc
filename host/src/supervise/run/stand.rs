// SPDX-License-Identifier: Apache-2.0
//! Time in which the task does not run.
//!
//! Two clocks bound a task. Its TTL counts running time. Time in which people are waited for, or
//! in which the guest stands still, counts against a limit of its own (`--wait`); both together
//! are what guest and VMM are given as their life while that lasts, so that they end whatever
//! becomes of us.
//!
//! ```text
//!            people said so, too much is asked, or:
//!  runs ─────────────────────────────────────────────► stands still ──► runs
//!    │                                                     ▲    decided, resumed, anything sent
//!    └ people are waited for, and it does nothing ─ 60 s ──┘    its memory in a file (parked)
//! ```
//!
//! That it does nothing is its own word: a guest that lies stands still, or uses what it could use
//! anyway.

use std::fs::File;
use std::time::{Duration, Instant};

use policy::posture::Posture;
use protocol::Kind;
use protocol::messages::Retime;
use rustix::fs::statvfs;

use super::fork::is_in_memory;
use super::{Supervisor, VMM_MARGIN};
use crate::gate::wire::Waits;
use crate::stdio::tell;
use crate::supervise::assignment;
use crate::supervise::guest::Role;
use crate::supervise::verdict::Cause;

/// How much later than the loop, which ends each wait by itself, we take it to have ended.
const MARGIN: Duration = Duration::from_secs(2);

/// Share of one processor below which a task does nothing.
const IDLE_PERCENT: u32 = 2;

/// Free space that parking leaves on a disk: what records events is there too.
const SPARE: u64 = 1 << 30;

/// Why the guest stands still, and since when its time does not count.
#[derive(Debug)]
pub(super) struct Stand {
    /// How long all of it may last.
    limit: Duration,
    spent: Duration,
    /// Since when people are waited for, or it stands still.
    since: Option<Instant>,
    waits: Waits,
    paused: Pause,
    /// How often the VMM has yet to say that it has stopped it.
    due: u32,
    parked: Option<Parking>,
    /// Since when nothing happened, and what the guest had said by then.
    quiet: Option<(Instant, Beats)>,
    beats: Beats,
}

/// What the VMM was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    Runs,
    /// It was told to stop.
    Told,
    Stands,
}

/// What a guest has said of how long its task has run.
#[derive(Clone, Copy, Debug, Default)]
struct Beats {
    /// How often.
    count: u64,
    /// The last time.
    ran: Duration,
}

/// A guest that is parked, or about to be.
#[derive(Debug)]
struct Parking {
    since: Instant,
    /// For its memory, until that is asked for.
    file: Option<File>,
}

impl Stand {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            spent: Duration::ZERO,
            since: None,
            waits: Waits::Nothing,
            paused: Pause::Runs,
            due: 0,
            parked: None,
            quiet: None,
            beats: Beats::default(),
        }
    }

    /// The guest lives, and its task has run for so long.
    pub(super) fn beat(&mut self, ran: Duration) {
        self.beats = Beats {
            count: self.beats.count.saturating_add(1),
            ran,
        };
    }

    /// Whether no vCPU runs.
    pub(super) fn stands(&self) -> bool {
        self.paused == Pause::Stands
    }

    /// Whether it stands still, or was told to.
    pub(super) fn is_to_stand(&self) -> bool {
        self.paused != Pause::Runs
    }

    /// Whether it stands still, or was told to, and not because it does nothing anyway.
    pub(super) fn is_kept_still(&self) -> bool {
        self.is_to_stand() && self.parked.is_none()
    }

    /// How much of the time since its start does not count.
    pub(super) fn uncounted(&self, now: Instant) -> Duration {
        self.spent + self.running_wait(now)
    }

    fn running_wait(&self, now: Instant) -> Duration {
        let running = self.since.map(|since| now.saturating_duration_since(since));
        running.unwrap_or_default().min(self.left())
    }

    fn is_spent(&self, now: Instant) -> bool {
        self.uncounted(now) >= self.limit
    }

    /// What is left of the limit, by the last change.
    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.spent)
    }

    /// Whether its life is not what it began with.
    pub(super) fn has_waited(&self) -> bool {
        self.is_waiting() || !self.spent.is_zero()
    }

    /// Whether the TTL does not count now.
    pub(super) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// When it has lasted as long as it may.
    pub(super) fn wait_ends(&self) -> Option<Instant> {
        Some(self.since? + self.left() + MARGIN)
    }

    fn count(&mut self, now: Instant, waiting: bool) {
        self.spent = self.uncounted(now);
        self.since = waiting.then_some(now);
    }
}

impl Supervisor<'_> {
    /// What is left of the task's time to live.
    pub(super) fn ttl_left(&self) -> Duration {
        let now = Instant::now();
        let ran = now.saturating_duration_since(self.timeline.start);
        let counted = ran.saturating_sub(self.stand.uncounted(now));
        self.spec.ttl().saturating_sub(counted)
    }

    /// What is left until the guest must have ended, whatever it waits for.
    pub(super) fn life_left(&self) -> Duration {
        match self.stand.since {
            Some(since) => {
                let waited = since.elapsed().min(self.stand.left());
                self.ttl_left() + (self.stand.left() - waited)
            }
            None => self.ttl_left(),
        }
    }

    /// What of the task waits for people has changed.
    pub(super) fn waits(&mut self, waits: Waits) {
        self.stand.waits = waits;
        // Something was decided, or asked, which its guest is to hear of.
        self.wake();
        self.stand();
    }

    /// The guest is to hear something.
    pub(super) fn wake(&mut self) {
        self.stand.quiet = None;
        if let Some(parking) = self.stand.parked.take() {
            self.gate.unparked(parking.since.elapsed());
            self.stand();
        }
    }

    /// Has the guest stand still or go on, as it is to, and counts its time.
    pub(super) fn stand(&mut self) {
        let now = Instant::now();
        let held = self.gate.held().posture >= Posture::Paused;
        let stands = held || self.stand.waits == Waits::TooMuch || self.stand.parked.is_some();
        // Once the limit is spent its time counts, whatever it does.
        let waiting = (stands || self.stand.waits != Waits::Nothing) && !self.stand.is_spent(now);
        let (was_waiting, was_paused) = (self.stand.is_waiting(), self.stand.is_to_stand());
        if (waiting, stands) == (was_waiting, was_paused) {
            return;
        }
        self.stand.count(now, waiting);
        let life = self.life_left() + VMM_MARGIN;
        match (was_paused, stands) {
            (false, true) => self.pause(life),
            (true, false) => {
                self.stand.paused = Pause::Runs;
                self.machine.resume(life);
                self.retime(assignment::wall_clock_ns());
            }
            (true, true) => self.machine.pause(life),
            (false, false) => {
                self.machine.retime(life);
                self.retime(0);
            }
        }
    }

    /// Another VMM has the task, and knows nothing of this.
    pub(super) fn stand_again(&mut self) {
        let life = self.life_left() + VMM_MARGIN;
        self.stand.due = 0;
        if self.stand.is_to_stand() {
            self.pause(life);
        } else if self.stand.has_waited() {
            self.machine.retime(life);
        }
    }

    fn pause(&mut self, life: Duration) {
        self.stand.paused = Pause::Told;
        self.stand.due = self.stand.due.saturating_add(1);
        self.machine.pause(life);
    }

    /// Tells guest-init how long the guest has. One that is not ready has yet to be assigned, or
    /// will be told when it is.
    pub(super) fn retime(&mut self, realtime_ns: u64) {
        if !self.ending.ready || self.stand.is_to_stand() {
            return;
        }
        let ttl_ms = u64::try_from(self.life_left().as_millis()).unwrap_or(u64::MAX);
        let retime = Retime {
            ttl_ms: ttl_ms.max(1),
            realtime_ns,
        };
        self.say(Role::Init, Kind::Retime, &retime);
    }

    /// The VMM has stopped the guest, or could not.
    pub(super) fn stopped(&mut self, error: &str) {
        if !error.is_empty() {
            // It is ending, and says so next.
            return;
        }
        self.stand.due = self.stand.due.saturating_sub(1);
        if self.stand.due > 0 || self.stand.paused == Pause::Runs {
            // It was let go on since.
            return;
        }
        self.stand.paused = Pause::Stands;
        let file = self.stand.parked.as_mut().and_then(|one| one.file.take());
        if let Some(file) = file {
            // Without it the guest stands still all the same.
            let _ = self.machine.park(&file);
        }
        self.tell_held();
    }

    /// The guest's memory is in its file; if not, it stands still all the same.
    pub(super) fn is_parked(&mut self, error: &str) {
        if !error.is_empty() {
            let line = format!("the guest's memory stays where it is: {error}");
            tell(self.terminal.as_ref(), &line);
        }
    }

    /// When to look whether the guest does nothing.
    pub(super) fn next_quiet(&self) -> Option<Instant> {
        let (since, _) = self.stand.quiet?;
        let at = since + self.spec.gating.park_after();
        // Later the next heartbeat is waited for.
        (at > Instant::now()).then_some(at)
    }

    /// Parks a guest that does nothing while people are waited for, and ends one that has stood
    /// still for as long as it may.
    pub(super) fn look_at_stand(&mut self, now: Instant) {
        if self.stand.wait_ends().is_some_and(|at| now >= at) {
            self.wake();
            self.stand();
        }
        if self.stand.is_kept_still() && !self.stand.is_waiting() {
            return self.fail(Cause::Waited);
        }
        let may_park = self.stand.waits == Waits::Something
            && self.stand.is_waiting()
            && self.ending.ready
            && self.facts.exited.is_none()
            && !self.is_blocked()
            && !self.stand.is_to_stand()
            && self.fork.is_none()
            && self.terminal.is_none()
            && self.clients.are_idle();
        if !may_park {
            self.stand.quiet = None;
            return;
        }
        let Some((since, before)) = self.stand.quiet else {
            self.stand.quiet = Some((now, self.stand.beats));
            return;
        };
        let passed = now.saturating_duration_since(since);
        let beats = self.stand.beats;
        // The first of them may tell of the time before.
        let told = beats.count.saturating_sub(before.count) >= 2;
        if passed < self.spec.gating.park_after() || !told {
            return;
        }
        self.stand.quiet = None;
        let ran = beats.ran.checked_sub(before.ran).unwrap_or(Duration::MAX);
        if ran.saturating_mul(100) <= passed * IDLE_PERCENT {
            self.park(now);
        }
    }

    fn park(&mut self, now: Instant) {
        let file = self.file_to_park_in();
        self.stand.parked = Some(Parking { since: now, file });
        self.gate.parked();
        self.stand();
    }

    /// Where a guest's memory goes, unless it would lie in memory there or leave a disk too full.
    /// A parked guest's file stays in use for as long as the guest lives.
    fn file_to_park_in(&self) -> Option<File> {
        if is_in_memory(&self.scratch).ok()? {
            return None;
        }
        let disk = statvfs(&self.scratch).ok()?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let memory = u64::from(self.spec.resources.memory_mib) << 20;
        let fits = free > memory.saturating_add(SPARE);
        fits.then(|| self.file_for_guest().ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn waiting_does_not_count_and_has_a_limit_in_all() {
        let start = Instant::now();
        let mut stand = Stand::new(10 * S);
        assert!(!stand.has_waited());
        stand.count(start + S, true);
        assert_eq!(stand.uncounted(start + 4 * S), 3 * S);
        assert_eq!(stand.wait_ends(), Some(start + 11 * S + MARGIN));
        stand.count(start + 4 * S, false);
        assert_eq!(stand.uncounted(start + 9 * S), 3 * S);
        assert_eq!(stand.wait_ends(), None);
        stand.count(start + 20 * S, true);
        // What is left of the ten.
        assert_eq!(stand.wait_ends(), Some(start + 27 * S + MARGIN));
        assert_eq!(stand.uncounted(start + 40 * S), 10 * S);
        stand.count(start + 40 * S, false);
        assert_eq!(stand.left(), Duration::ZERO);
    }
}
