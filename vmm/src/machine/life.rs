// SPDX-License-Identifier: Apache-2.0
//! What ends a guest, armed before it begins: its life, its supervisor, SIGTERM.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::{LAST_RESORT_STATUS, What, Wish};
use crate::config;
use crate::control::{self, Body, ControlError};
use crate::end::{Cause, Ending};
use crate::event_loop::{EventLoop, EventLoopError, Flow};
use crate::memory::GuestMemory;
use crate::snapshot::{self, WorkingSet};
use crate::{kvm, sys};

/// How long after the guest's life the process ends even if it is stuck.
const LAST_RESORT_AFTER: Duration = Duration::from_millis(500);

/// How long the guest may live, and the timer for the event thread.
#[derive(Clone, Debug)]
pub(super) struct Life {
    timer: Arc<OwnedFd>,
    /// For the line that says so. The event thread's alone; shared by the machine and the timer's
    /// handler, which both are there.
    millis: Arc<AtomicU64>,
}

impl Life {
    /// Another length, counted from here.
    pub(super) fn again(&self, life: config::Life) -> io::Result<()> {
        let life = life.get();
        sys::last_resort_after(life.saturating_add(LAST_RESORT_AFTER))?;
        self.set(life)
    }

    fn set(&self, life: Duration) -> io::Result<()> {
        let millis = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
        set(&self.timer, life)
    }

    fn length(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

/// Makes sure of the guest's end before anything else can go wrong: a timer for the event
/// thread, one that needs no thread, SIGTERM, and the means to stop vCPUs.
pub(super) fn arm(life: Duration, ending: &Ending) -> io::Result<Life> {
    let after = life.saturating_add(LAST_RESORT_AFTER);
    sys::last_resort(after, LAST_RESORT_STATUS.into())?;
    sys::on_terminate(ending.wake.as_raw_fd())?;
    kvm::install_kick()?;
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let timer = rustix::time::timerfd_create(TimerfdClockId::Boottime, flags)?;
    let armed = Life {
        timer: Arc::new(timer),
        millis: Arc::default(),
    };
    armed.set(life)?;
    Ok(armed)
}

fn set(timer: &OwnedFd, life: Duration) -> io::Result<()> {
    let zero = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let when = Itimerspec {
        it_interval: zero,
        it_value: Timespec {
            tv_sec: i64::try_from(life.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: life.subsec_nanos().into(),
        },
    };
    rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &when)?;
    Ok(())
}

/// The sources that stop the event loop: a report of the end, the guest's life, its supervisor,
/// who may also want something written; that goes to `wanted`. A guest that `waits` ends with its
/// supervisor, until it is a task's.
pub(super) fn watch(
    events: &mut EventLoop,
    ending: &Arc<Ending>,
    life: Life,
    (control, mut waits): (&Arc<OwnedFd>, bool),
    (wanted, memory, set): (Sender<Wish>, GuestMemory, WorkingSet),
) -> Result<(), EventLoopError> {
    events.add_source(ending.wake.clone(), |_| Flow::Stop)?;
    let over = ending.clone();
    events.add_source(life.timer.clone(), move |_| {
        over.report(Cause::Life(life.length()));
        Flow::Stop
    })?;
    let stopped = ending.clone();
    events.add_source(control.clone(), move |control| {
        match control::receive(&*control) {
            Ok((Body::Stop(_), _)) => {
                stopped.report(Cause::Stopped);
                Flow::Stop
            }
            // Received by whoever runs the loop, so it is there.
            Ok((Body::Snapshot(_), Some(file))) => {
                let _ = wanted.send(Wish::Write(What::Snapshot, file.into()));
                Flow::Stop
            }
            Ok((Body::Rehearsed(_), Some(file))) => {
                let _ = wanted.send(Wish::Write(What::WorkingSet, file.into()));
                Flow::Stop
            }
            Ok((Body::Adopt(adopt), medium)) if waits => {
                waits = false;
                let _ = wanted.send(Wish::Adopt(adopt, medium.map(File::from)));
                Flow::Stop
            }
            Ok((Body::Prepare(_), _)) => {
                snapshot::populate_for_command(&set, &memory);
                Flow::Continue
            }
            Ok(_) | Err(ControlError::Malformed | ControlError::TooLong) => {
                log::warn!("a message on the control socket was not understood");
                Flow::Continue
            }
            Err(ControlError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Flow::Continue
            }
            Err(ControlError::Closed | ControlError::Io(_)) if waits => {
                stopped.report(Cause::Stopped);
                Flow::Stop
            }
            // The supervisor is gone; the timer is not.
            Err(ControlError::Closed | ControlError::Io(_)) => Flow::Remove,
        }
    })
}
