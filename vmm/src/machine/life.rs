// SPDX-License-Identifier: Apache-2.0
//! What ends a guest, armed before it begins: its life, its supervisor, SIGTERM.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use super::{LAST_RESORT_STATUS, Stand, What, Wish};
use crate::config::{self, ConfigError};
use crate::control::{self, Body, ControlError};
use crate::end::{Cause, Ending, chain};
use crate::event_loop::{EventLoop, EventLoopError, Flow};
use crate::memory::GuestMemory;
use crate::snapshot::{self, WorkingSet};
use crate::{kvm, sys};

/// How long after the guest's life the process ends even if it is stuck.
const LAST_RESORT_AFTER: Duration = Duration::from_millis(500);

/// Why a guest's life cannot be another.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LifeError {
    #[error("the guest's life cannot be another")]
    Config(#[from] ConfigError),
    #[error("the guest's life cannot be another")]
    Timer(#[from] io::Error),
}

/// How long the guest may live, and the timer for the event thread.
#[derive(Clone, Debug)]
pub(super) struct Life {
    timer: Arc<OwnedFd>,
    /// For the line that says so. The event thread's alone; shared by the machine and the timer's
    /// handler, which both are there.
    millis: Arc<AtomicU64>,
    /// It ends with its supervisor.
    depends: Arc<AtomicBool>,
}

impl Life {
    /// Another length, counted from here.
    pub(super) fn again(&self, millis: u64) -> Result<(), LifeError> {
        let life = config::Life::try_from(Duration::from_millis(millis))?.get();
        sys::last_resort_after(life.saturating_add(LAST_RESORT_AFTER))?;
        Ok(self.set(life)?)
    }

    /// Whether the guest ends with its supervisor from now on.
    pub(super) fn depend(&self, depends: bool) {
        self.depends.store(depends, Ordering::Relaxed);
    }

    fn depends(&self) -> bool {
        self.depends.load(Ordering::Relaxed)
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
        depends: Arc::default(),
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
/// who may also have wishes; those go to `wanted`.
pub(super) fn watch(
    events: &mut EventLoop,
    ending: &Arc<Ending>,
    life: Life,
    control: &Arc<OwnedFd>,
    (wanted, memory, set): (Sender<Wish>, GuestMemory, WorkingSet),
) -> Result<(), EventLoopError> {
    events.add_source(ending.wake.clone(), |_| Flow::Stop)?;
    let (over, length) = (ending.clone(), life.clone());
    events.add_source(life.timer.clone(), move |_| {
        over.report(Cause::Life(length.length()));
        Flow::Stop
    })?;
    let stopped = ending.clone();
    let mut waits = life.depends();
    events.add_source(control.clone(), move |control| {
        let (body, descriptor) = match control::receive(&*control) {
            Ok(message) => message,
            Err(ControlError::Malformed | ControlError::TooLong) => {
                log::warn!("a message on the control socket was not understood");
                return Flow::Continue;
            }
            Err(ControlError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return Flow::Continue;
            }
            Err(ControlError::Closed | ControlError::Io(_)) if life.depends() => {
                stopped.report(Cause::Stopped);
                return Flow::Stop;
            }
            // The supervisor is gone; the timer is not.
            Err(ControlError::Closed | ControlError::Io(_)) => return Flow::Remove,
        };
        match body {
            Body::Stop(_) => stopped.report(Cause::Stopped),
            Body::Prepare(_) => {
                snapshot::populate_for_command(&set, &memory);
                return Flow::Continue;
            }
            Body::Retime(retime) => {
                if let Err(error) = life.again(retime.life_ms) {
                    log::warn!("{}", chain(&error));
                }
                return Flow::Continue;
            }
            body => {
                let Some(wish) = wish(body, descriptor.map(File::from), &mut waits) else {
                    log::warn!("a message on the control socket was not understood");
                    return Flow::Continue;
                };
                // Received by whoever runs the loop, so it is there.
                let _ = wanted.send(wish);
            }
        }
        Flow::Stop
    })
}

/// What a message asks of whoever runs the event loop. Only a guest that `waits` can be adopted.
fn wish(body: Body, file: Option<File>, waits: &mut bool) -> Option<Wish> {
    Some(match (body, file) {
        (Body::Snapshot(_), Some(file)) => Wish::Write(What::Snapshot, file),
        (Body::Rehearsed(_), Some(file)) => Wish::Write(What::WorkingSet, file),
        (Body::Adopt(adopt), medium) if std::mem::take(waits) => Wish::Adopt(adopt, medium),
        (Body::Pause(pause), _) => Wish::Stand(Stand::Pause(pause)),
        (Body::Park(_), Some(file)) => Wish::Stand(Stand::Park(file)),
        (Body::Resume(resume), _) => Wish::Stand(Stand::Resume(resume)),
        _ => return None,
    })
}
