// SPDX-License-Identifier: Apache-2.0
//! A guest that is set up: the loop of PID 1.
//!
//! One `poll` over the control connection, the pending children, the next moment, and (while
//! commands are being stopped) the population of their group. Nothing else blocks.

use std::os::fd::OwnedFd;

use protocol::Kind;
use protocol::messages::{Assignment, EndReason, Heartbeat, Resumed};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::statfs;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use crate::agent::{Agent, Reaped};
use crate::boot::Booted;
use crate::commands::{self, Population};
use crate::control::{Control, ControlError, Order};
use crate::identity::Identity;
use crate::life::{Actions, Event, Life};
use crate::mounts::{MountError, Roots};
use crate::{clock, kmsg};

/// What PID 1 holds while the guest runs.
#[derive(Debug)]
pub(crate) struct Guest {
    control: Control,
    children: OwnedFd,
    agent: Agent,
    life: Life,
    roots: Roots,
    identity: Identity,
    /// Heartbeats so far.
    beats: u64,
    /// What made a second assignment impossible.
    failure: Option<String>,
}

/// Which of the loop's descriptors have something.
#[derive(Clone, Copy, Debug, Default)]
struct Woken {
    control_in: bool,
    control_out: bool,
    children: bool,
    population: bool,
}

/// The loop's own descriptors.
#[derive(Debug)]
struct Waits {
    timer: OwnedFd,
    population: Population,
    armed_for: u64,
}

impl Waits {
    fn open() -> Result<Self, Errno> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self {
            timer: timerfd_create(TimerfdClockId::Boottime, flags)?,
            population: Population::open()?,
            armed_for: 0,
        })
    }

    /// Sets the timer, when the moment is another one.
    fn arm(&mut self, at: u64) -> Result<(), Errno> {
        if at == self.armed_for {
            return Ok(());
        }
        const NS: u64 = 1_000_000_000;
        let value = Timespec {
            tv_sec: i64::try_from(at / NS).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(at % NS).unwrap_or(0),
        };
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let new = Itimerspec {
            it_interval: zero,
            it_value: value,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &new)?;
        self.armed_for = at;
        Ok(())
    }
}

impl Guest {
    pub(crate) fn new(control: Control, booted: Booted) -> Self {
        let Booted {
            children,
            agent,
            life,
            roots,
            identity,
        } = booted;
        Self {
            control,
            children,
            agent,
            life,
            roots,
            identity,
            beats: 0,
            failure: None,
        }
    }

    /// Serves until the guest has to end, and says why.
    pub(crate) fn serve(&mut self) -> EndReason {
        let mut waits = match Waits::open() {
            Ok(waits) => waits,
            Err(e) => {
                kmsg::warn(&format!("could not make the timer: {e}"));
                return EndReason::SetupFailed;
            }
        };
        let mut reaped = Reaped::All;
        loop {
            // Without a timer there would be no TTL, so a timer that fails ends the guest.
            if waits.arm(self.life.next()).is_err() {
                return EndReason::SetupFailed;
            }
            let woken = self.wait(&waits, reaped);
            if woken.children || reaped == Reaped::Some {
                drain(&self.children);
                reaped = self.agent.reap();
            }
            for event in self.events(&waits, woken) {
                let actions = self.life.on(clock::now(), event);
                if let Some(reason) = self.act(actions) {
                    return reason;
                }
            }
        }
    }

    /// Tells the host why the guest ends, unless the host is what was lost.
    pub(crate) fn end(self, reason: EndReason) {
        let detail = match self.agent.death() {
            Some(death) if reason == EndReason::AgentDied => death.to_string(),
            _ => self.failure.unwrap_or_default(),
        };
        if reason != EndReason::HostLost {
            self.control.goodbye(reason, &detail);
        }
    }

    /// Waits for the next thing to do; not at all when zombies are left.
    fn wait(&self, waits: &Waits, reaped: Reaped) -> Woken {
        let mut fds = [
            PollFd::new(&self.control, self.control.interest()),
            PollFd::new(&self.children, PollFlags::IN),
            PollFd::new(&waits.timer, PollFlags::IN),
            PollFd::new(&waits.population, PollFlags::PRI),
        ];
        // The last is of interest only while commands are being stopped.
        let used = if self.life.awaits_commands() { 4 } else { 3 };
        let fds = &mut fds[..used];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let timeout = (reaped == Reaped::Some).then_some(&now);
        // EINTR and ENOMEM: look at nothing, try again; the timer's moment is checked each round.
        if poll(fds, timeout).is_err() {
            return Woken::default();
        }
        let [control, children, ..] = fds else {
            return Woken::default();
        };
        let control = control.revents();
        Woken {
            control_in: control.intersects(!PollFlags::OUT),
            control_out: control.contains(PollFlags::OUT),
            children: !children.revents().is_empty(),
            population: self.life.awaits_commands(),
        }
    }

    /// What happened, in the order it is to be taken in. A tick is always among it: it costs a
    /// comparison, and a flood of other events cannot delay the TTL then.
    fn events(&mut self, waits: &Waits, woken: Woken) -> Vec<Event> {
        let mut events = vec![Event::Tick];
        if woken.control_out && self.control.flush().is_err() {
            events.push(Event::HostLost);
        }
        if woken.control_in {
            match self.control.receive() {
                Ok(orders) => {
                    for order in orders {
                        events.extend(self.follow(order, waits));
                    }
                }
                Err(_) => events.push(Event::HostLost),
            }
        }
        if self.agent.death().is_some() {
            events.push(Event::AgentDied);
        }
        if woken.population && !waits.population.any() {
            events.push(Event::CommandsGone);
        }
        events
    }

    fn follow(&mut self, order: Order, waits: &Waits) -> Option<Event> {
        match order {
            Order::Shutdown { grace_ms } => Some(Event::Shutdown {
                grace_ms,
                running: waits.population.any(),
            }),
            Order::Retime(retime) => {
                self.life.retime(clock::now(), retime.ttl_ms);
                self.identity.set_clock(retime.realtime_ns);
                None
            }
            Order::Assignment(assignment) => match self.take_up(&assignment) {
                Ok(()) => None,
                Err(e) => {
                    self.failure = Some(kmsg::chain(&e));
                    Some(Event::SetupFailed)
                }
            },
        }
    }

    /// This guest was restored, and becomes the one of the assignment: nothing of a task runs
    /// before the host hears that it has.
    fn take_up(&mut self, assignment: &Assignment) -> Result<(), TakeUpError> {
        let now = clock::now();
        self.life = Life::new(now, assignment);
        self.beats = 0;
        self.identity
            .apply(assignment)
            .map_err(TakeUpError::Entropy)?;
        self.roots
            .change(assignment.scratch_bytes, assignment.workspace)?;
        let boot_ns = clock::now();
        Ok(self.control.send(Kind::Resumed, &Resumed { boot_ns })?)
    }

    fn act(&mut self, actions: Actions) -> Option<EndReason> {
        if actions.terminate {
            commands::terminate();
        }
        if actions.kill {
            commands::kill();
        }
        if actions.beat && self.beat().is_err() {
            return Some(EndReason::HostLost);
        }
        actions.end
    }

    fn beat(&mut self) -> Result<(), ControlError> {
        self.beats = self.beats.saturating_add(1);
        let heartbeat = Heartbeat {
            sequence: self.beats,
            agent_alive: self.agent.death().is_none(),
            ttl_left_ms: self.life.left_ms(clock::now()),
            scratch_used: scratch_used(),
            // One that cannot be told may do anything.
            task_us: commands::time_used().unwrap_or_else(|| clock::now() / 1000),
        };
        self.control.send(Kind::Heartbeat, &heartbeat)
    }
}

/// Why a guest could not become another.
#[derive(Debug, thiserror::Error)]
enum TakeUpError {
    #[error("could not add entropy, without which guests of one template make the same keys")]
    Entropy(#[source] std::io::Error),
    #[error("could not mount what the assignment names")]
    Mount(#[from] MountError),
    #[error("could not tell the host")]
    Host(#[from] ControlError),
}

/// Bytes of scratch in use: the overlay answers with its upper layer's figures.
fn scratch_used() -> u64 {
    let Ok(stat) = statfs(c"/") else { return 0 };
    let block = u64::try_from(stat.f_bsize).unwrap_or(0);
    stat.f_blocks
        .saturating_sub(stat.f_bfree)
        .saturating_mul(block)
}

/// Empties the descriptor of pending signals; what they were about is asked of `wait`.
fn drain(children: &OwnedFd) {
    let mut pending = [0; 1024];
    while matches!(rustix::io::read(children, &mut pending), Ok(n) if n == pending.len()) {}
}
