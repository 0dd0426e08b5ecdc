// SPDX-License-Identifier: Apache-2.0
//! When the next guest is made.
//!
//! A task that starts with a guest of ours must not share its CPU with the next guest's making.
//! So that waits while as many tasks start as there are CPUs; with one CPU a moment more, since
//! most of a short task comes after its start. But not for long: where one task follows the other
//! there is no quiet moment, and without guests they would be restored one by one all the same.

use std::time::{Duration, Instant};

/// How long after a task runs the next guest is made on one CPU.
const PAUSE: Duration = Duration::from_millis(100);

/// How long it waits for a quiet moment.
const LONGEST: Duration = Duration::from_secs(1);

/// What the next guest waits for.
#[derive(Debug)]
pub struct Pace {
    cpus: usize,
    /// Since when a guest is missing.
    short: Option<Instant>,
    /// When a task ran that had started with one of ours.
    ran: Option<Instant>,
}

impl Pace {
    /// On this host.
    #[must_use]
    pub fn new() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with(cpus)
    }

    fn with(cpus: usize) -> Self {
        Self {
            cpus,
            short: None,
            ran: None,
        }
    }

    /// Whether a guest is missing now.
    pub fn is_short(&mut self, short: bool, now: Instant) {
        match short {
            true => drop(self.short.get_or_insert(now)),
            false => self.short = None,
        }
    }

    /// A task runs now, or never will.
    pub fn ran(&mut self, now: Instant) {
        self.ran = Some(now);
    }

    /// When the next guest may be made, if `starting` tasks start.
    #[must_use]
    pub fn next(&self, starting: usize, now: Instant) -> Instant {
        let longest = self.short.unwrap_or(now) + LONGEST;
        let quiet = match self.ran {
            _ if starting >= self.cpus => longest,
            Some(ran) if self.cpus == 1 => ran + PAUSE,
            _ => now,
        };
        quiet.min(longest)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    #[test]
    fn on_one_cpu_the_next_guest_waits_until_the_task_runs_and_a_moment_more() {
        let now = Instant::now();
        let mut pace = Pace::with(1);
        assert_eq!(pace.next(0, now), now);
        pace.is_short(true, now);
        assert_eq!(pace.next(1, now + SOON), now + LONGEST);
        pace.ran(now + SOON);
        assert_eq!(pace.next(0, now + SOON), now + SOON + PAUSE);
    }

    #[test]
    fn on_several_it_waits_for_none_unless_all_are_taken() {
        let now = Instant::now();
        let mut pace = Pace::with(2);
        pace.is_short(true, now);
        pace.ran(now);
        assert_eq!(pace.next(1, now + SOON), now + SOON);
        assert_eq!(pace.next(2, now + SOON), now + LONGEST);
    }

    #[test]
    fn tasks_without_end_do_not_keep_it_waiting() {
        let now = Instant::now();
        let mut pace = Pace::with(1);
        pace.is_short(true, now);
        pace.is_short(true, now + SOON);
        let later = now + LONGEST;
        pace.ran(later);
        assert!(pace.next(1, later) <= later);
        pace.is_short(false, later);
        pace.is_short(true, later);
        assert!(pace.next(1, later) > later);
    }
}
