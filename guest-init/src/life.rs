// SPDX-License-Identifier: Apache-2.0
//! When the guest ends, as a state machine without a clock of its own.
//!
//! ```text
//!            ttl - grace: SIGTERM                         the last command is gone
//!  Running ──────────────────────► Running               ┌──────────────► Settling ── 50 ms ─► end
//!     │ shutdown, commands run: SIGTERM                  │                    ▲
//!     ├──────────────────────────────────────────► Stopping ── grace: SIGKILL ┘
//!     │ shutdown, no command runs ──────────────────────────────────────────► end (Shutdown)
//!     │ ttl: SIGKILL ───────────────────────────────────────────────────────► end (Ttl)
//!     │ the agent dies: SIGKILL ────────────────────────────────────────────► end (AgentDied)
//!     │ the host is lost: SIGKILL ──────────────────────────────────────────► end (HostLost)
//!     └ an assignment cannot be set up: SIGKILL ────────────────────────────► end (SetupFailed)
//! ```
//!
//! *Settling* leaves the agent a moment to report how the commands ended that were stopped. The
//! TTL, the agent's death and the loss of the host end the guest in every state.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use protocol::messages::{Assignment, EndReason};

/// How long the agent has to report commands that were stopped.
const SETTLE_NS: u64 = 50_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A moment of [`Life::next`] has come (or none has; then nothing follows).
    Tick,
    /// The host asks for an orderly end.
    Shutdown {
        /// Between SIGTERM and SIGKILL.
        grace_ms: u64,
        /// Whether a command runs.
        running: bool,
    },
    /// No command runs any more.
    CommandsGone,
    /// The agent's process ended.
    AgentDied,
    /// The control connection ended.
    HostLost,
    /// What the host asks for cannot be set up.
    SetupFailed,
}

/// What to do now, in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Actions {
    /// Send SIGTERM to the commands.
    pub(crate) terminate: bool,
    /// Send SIGKILL to the commands.
    pub(crate) kill: bool,
    /// Send a heartbeat.
    pub(crate) beat: bool,
    /// End the guest.
    pub(crate) end: Option<EndReason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Stopping { kill_at: u64 },
    Settling { until: u64 },
}

/// The state and the moments still to come, in nanoseconds of the guest's clock.
#[derive(Debug)]
pub(crate) struct Life {
    state: State,
    deadline: u64,
    grace: u64,
    warn_at: Option<u64>,
    beat_at: Option<u64>,
    beat_every: u64,
}

impl Life {
    /// Counts from `now`, the receipt of the assignment. A grace that is not shorter than the TTL
    /// would warn a task before it began, so it gives no warning.
    pub(crate) fn new(now: u64, assignment: &Assignment) -> Self {
        let ttl = assignment.ttl_ms.saturating_mul(NS_PER_MS);
        let grace = assignment.grace_ms.saturating_mul(NS_PER_MS);
        let deadline = now.saturating_add(ttl);
        let beat_every = u64::from(assignment.heartbeat_ms).saturating_mul(NS_PER_MS);
        Self {
            state: State::Running,
            deadline,
            grace,
            warn_at: (grace > 0 && grace < ttl).then(|| deadline.saturating_sub(grace)),
            beat_at: (beat_every > 0).then(|| now.saturating_add(beat_every)),
            beat_every,
        }
    }

    /// Another TTL, counted from `now`. Commands that were warned are not warned again.
    pub(crate) fn retime(&mut self, now: u64, ttl_ms: u64) {
        self.deadline = now.saturating_add(ttl_ms.saturating_mul(NS_PER_MS));
        let warn_at = self.deadline.saturating_sub(self.grace);
        self.warn_at = self.warn_at.map(|_| warn_at);
    }

    /// What is left of the TTL, in milliseconds.
    pub(crate) fn left_ms(&self, now: u64) -> u64 {
        self.deadline.saturating_sub(now).wrapping_div(NS_PER_MS)
    }

    /// The next moment a [`Event::Tick`] is wanted.
    pub(crate) fn next(&self) -> u64 {
        let state = match self.state {
            State::Running => None,
            State::Stopping { kill_at: at } | State::Settling { until: at } => Some(at),
        };
        [state, self.warn_at, self.beat_at]
            .into_iter()
            .flatten()
            .fold(self.deadline, u64::min)
    }

    /// Whether it matters when the last command ends.
    pub(crate) fn awaits_commands(&self) -> bool {
        matches!(self.state, State::Stopping { .. })
    }

    /// Takes in what happened at `now`.
    pub(crate) fn on(&mut self, now: u64, event: Event) -> Actions {
        match event {
            Event::Tick => self.tick(now),
            Event::Shutdown { grace_ms, running } => self.shutdown(now, grace_ms, running),
            Event::CommandsGone => {
                if self.awaits_commands() {
                    self.settle(now);
                }
                Actions::default()
            }
            // On its way out, the agent's end is no news.
            Event::AgentDied if self.state != State::Running => kill_and_end(EndReason::Shutdown),
            Event::AgentDied => kill_and_end(EndReason::AgentDied),
            Event::HostLost => kill_and_end(EndReason::HostLost),
            Event::SetupFailed => kill_and_end(EndReason::SetupFailed),
        }
    }

    fn shutdown(&mut self, now: u64, grace_ms: u64, running: bool) -> Actions {
        if !running {
            return Actions {
                end: Some(EndReason::Shutdown),
                ..Actions::default()
            };
        }
        if grace_ms == 0 {
            self.settle(now);
            return Actions {
                kill: true,
                ..Actions::default()
            };
        }
        let kill_at = now.saturating_add(grace_ms.saturating_mul(NS_PER_MS));
        self.state = State::Stopping { kill_at };
        Actions {
            terminate: true,
            ..Actions::default()
        }
    }

    fn tick(&mut self, now: u64) -> Actions {
        if now >= self.deadline {
            return kill_and_end(EndReason::Ttl);
        }
        let mut actions = Actions {
            terminate: take_due(&mut self.warn_at, now),
            beat: take_due(&mut self.beat_at, now),
            ..Actions::default()
        };
        if actions.beat {
            self.beat_at = Some(now.saturating_add(self.beat_every));
        }
        match self.state {
            State::Stopping { kill_at } if now >= kill_at => {
                self.settle(now);
                actions.kill = true;
            }
            State::Settling { until } if now >= until => {
                actions.end = Some(EndReason::Shutdown);
            }
            _ => {}
        }
        actions
    }

    fn settle(&mut self, now: u64) {
        self.state = State::Settling {
            until: now.saturating_add(SETTLE_NS),
        };
    }
}

fn kill_and_end(reason: EndReason) -> Actions {
    Actions {
        kill: true,
        end: Some(reason),
        ..Actions::default()
    }
}

/// Whether a moment has come; a moment comes once.
fn take_due(at: &mut Option<u64>, now: u64) -> bool {
    at.take_if(|at| now >= *at).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = NS_PER_MS;

    fn life(ttl_ms: u64, grace_ms: u64, heartbeat_ms: u32) -> Life {
        let assignment = Assignment {
            ttl_ms,
            grace_ms,
            heartbeat_ms,
            ..Assignment::default()
        };
        Life::new(1000 * MS, &assignment)
    }

    fn end(actions: Actions) -> Option<EndReason> {
        actions.end
    }

    #[test]
    fn a_task_is_warned_before_its_ttl_and_killed_at_it() {
        let mut life = life(100, 30, 0);
        assert_eq!(life.next(), 1070 * MS);
        assert_eq!(life.on(1069 * MS, Event::Tick), Actions::default());
        assert!(life.on(1070 * MS, Event::Tick).terminate);
        assert_eq!(life.next(), 1100 * MS);
        assert!(!life.on(1071 * MS, Event::Tick).terminate);
        let last = life.on(1100 * MS, Event::Tick);
        assert!(last.kill);
        assert_eq!(end(last), Some(EndReason::Ttl));
    }

    #[test]
    fn another_ttl_is_warned_of_once_in_all() {
        let mut life = life(100, 30, 0);
        life.retime(1050 * MS, 500);
        assert_eq!(life.next(), 1520 * MS);
        life.retime(1060 * MS, 20);
        assert!(life.on(1060 * MS, Event::Tick).terminate);
        life.retime(1061 * MS, 500);
        assert_eq!(life.next(), 1561 * MS);
        assert_eq!(end(life.on(1561 * MS, Event::Tick)), Some(EndReason::Ttl));
    }

    #[test]
    fn a_grace_as_long_as_the_ttl_gives_no_warning() {
        let mut life = life(100, 100, 0);
        assert_eq!(life.next(), 1100 * MS);
        assert!(!life.on(1000 * MS, Event::Tick).terminate);
    }

    #[test]
    fn a_ttl_beyond_the_clock_does_not_wrap() {
        let life = life(u64::MAX, 5, 0);
        assert_eq!(life.left_ms(0), u64::MAX / MS);
    }

    #[test]
    fn heartbeats_come_until_the_end() {
        let mut life = life(100, 0, 40);
        assert!(life.on(1040 * MS, Event::Tick).beat);
        assert_eq!(life.next(), 1080 * MS);
        assert!(life.on(1085 * MS, Event::Tick).beat);
        assert_eq!(life.next(), 1100 * MS);
    }

    #[test]
    fn shutdown_without_commands_ends_at_once() {
        let shutdown = Event::Shutdown {
            grace_ms: 5000,
            running: false,
        };
        let actions = life(100, 0, 0).on(1001 * MS, shutdown);
        assert_eq!(end(actions), Some(EndReason::Shutdown));
        assert!(!actions.kill);
    }

    #[test]
    fn shutdown_ends_when_the_last_command_has_gone_and_settled() {
        let mut life = life(10_000, 0, 0);
        let shutdown = Event::Shutdown {
            grace_ms: 5000,
            running: true,
        };
        assert!(life.on(1000 * MS, shutdown).terminate);
        assert!(life.awaits_commands());
        assert_eq!(life.on(2000 * MS, Event::CommandsGone), Actions::default());
        assert_eq!(life.next(), 2050 * MS);
        assert_eq!(
            end(life.on(2050 * MS, Event::Tick)),
            Some(EndReason::Shutdown)
        );
    }

    #[test]
    fn shutdown_kills_what_outlives_its_grace() {
        let mut life = life(10_000, 0, 0);
        life.on(
            1000 * MS,
            Event::Shutdown {
                grace_ms: 20,
                running: true,
            },
        );
        assert!(life.on(1020 * MS, Event::Tick).kill);
        assert_eq!(
            end(life.on(1070 * MS, Event::Tick)),
            Some(EndReason::Shutdown)
        );
    }

    #[test]
    fn shutdown_without_grace_kills_at_once() {
        let actions = life(100, 0, 0).on(
            1000 * MS,
            Event::Shutdown {
                grace_ms: 0,
                running: true,
            },
        );
        assert!(actions.kill);
        assert!(!actions.terminate);
    }

    #[test]
    fn the_ttl_ends_a_shutdown_that_takes_too_long() {
        let mut life = life(100, 0, 0);
        life.on(
            1090 * MS,
            Event::Shutdown {
                grace_ms: 5000,
                running: true,
            },
        );
        assert_eq!(end(life.on(1100 * MS, Event::Tick)), Some(EndReason::Ttl));
    }

    #[test]
    fn the_agents_death_is_a_reason_only_while_running() {
        assert_eq!(
            end(life(100, 0, 0).on(1001 * MS, Event::AgentDied)),
            Some(EndReason::AgentDied)
        );
        let mut stopping = life(100, 0, 0);
        stopping.on(
            1001 * MS,
            Event::Shutdown {
                grace_ms: 50,
                running: true,
            },
        );
        assert_eq!(
            end(stopping.on(1002 * MS, Event::AgentDied)),
            Some(EndReason::Shutdown)
        );
    }
}
