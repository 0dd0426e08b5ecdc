// SPDX-License-Identifier: Apache-2.0
//! How a machine ends: one cause, whoever is first.
//!
//! vCPU threads, the i8042, the life timer and the control socket all may begin the end. Each
//! reports to the one `Ending`; the first report stands. It wakes the event thread, which stops
//! the vCPUs and tells the supervisor.

use std::error::Error;
use std::fmt::Write;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use vmm_sys_util::eventfd::EventFd;

use crate::control::End;
use crate::event_loop::EventLoopError;
use crate::kvm::VcpuError;
use crate::machine::{AdoptError, SetupError, StandError};

/// What began the end.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The guest, at the i8042.
    Reset,
    /// The guest, by failing.
    TripleFault,
    /// The guest's life is over.
    Life(Duration),
    /// The supervisor said so.
    Stopped,
    /// SIGTERM.
    Terminated,
    /// KVM.
    Vcpu(VcpuError),
    /// The event thread could not go on.
    Events(EventLoopError),
    /// The vCPUs could not be started again.
    Setup(SetupError),
    /// The guest could not be a task's.
    Adopt(AdoptError),
    /// The guest could not stand still, or not go on.
    Stand(StandError),
}

impl Cause {
    /// Its kind, for the supervisor.
    pub(crate) fn end(&self) -> End {
        match self {
            Self::Reset => End::Reset,
            Self::TripleFault => End::TripleFault,
            Self::Life(_) => End::Life,
            Self::Stopped | Self::Terminated => End::Stopped,
            Self::Vcpu(_) => End::Kvm,
            Self::Events(_) | Self::Setup(_) | Self::Adopt(_) | Self::Stand(_) => End::Host,
        }
    }

    /// One line for people.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Reset => "the guest asked for a reset".to_owned(),
            Self::TripleFault => "the guest's processor gave up (triple fault)".to_owned(),
            Self::Life(life) => format!("the guest's life of {life:?} is over"),
            Self::Stopped => "the supervisor stopped the guest".to_owned(),
            Self::Terminated => "the VMM was told to terminate (SIGTERM)".to_owned(),
            Self::Vcpu(error) => chain(error),
            Self::Events(error) => chain(error),
            Self::Setup(error) => chain(error),
            Self::Adopt(error) => chain(error),
            Self::Stand(error) => chain(error),
        }
    }
}

/// An error and what it came from, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a String succeeds.
        let _ = write!(line, ": {error}");
        source = error.source();
    }
    line
}

/// Where causes are reported; shared by all threads.
#[derive(Debug)]
pub(crate) struct Ending {
    /// vCPU loops return once it is set.
    pub(crate) flag: Arc<AtomicBool>,
    /// Readable once there is a cause, or a SIGTERM.
    pub(crate) wake: Arc<EventFd>,
    cause: OnceLock<Cause>,
}

impl Ending {
    /// Nothing has ended yet.
    pub(crate) fn new() -> io::Result<Self> {
        let wake = EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)?;
        Ok(Self {
            flag: Arc::default(),
            wake: Arc::new(wake),
            cause: OnceLock::new(),
        })
    }

    /// The machine ends because of `cause`, unless it is ending already.
    pub(crate) fn report(&self, cause: Cause) {
        if self.cause.set(cause).is_ok() {
            self.flag.store(true, Ordering::SeqCst);
            // A counter that is full is readable too.
            let _ = self.wake.write(1);
        }
    }

    /// vCPUs that were stopped for another reason than the end may run again.
    pub(crate) fn go_on(&self) {
        self.flag.store(false, Ordering::SeqCst);
        // In this order, as `report` does it in the other: an end that came meanwhile is not
        // undone.
        if self.cause.get().is_some() {
            self.flag.store(true, Ordering::SeqCst);
        }
    }

    /// What began the end. Woken without a cause, it was SIGTERM.
    pub(crate) fn cause(&self) -> &Cause {
        self.cause.get_or_init(|| Cause::Terminated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_stands_and_wakes_once() {
        let ending = Ending::new().unwrap();
        ending.report(Cause::Reset);
        assert!(ending.flag.load(Ordering::SeqCst));
        assert_eq!(ending.wake.read().unwrap(), 1);
        ending.report(Cause::TripleFault);
        assert_eq!(ending.cause().end(), End::Reset);
        assert!(ending.wake.read().is_err());
    }

    #[test]
    fn an_error_is_told_with_what_it_came_from() {
        let error = VcpuError::Run(kvm_ioctls::Error::new(libc::EIO));
        let told = Cause::Vcpu(error).detail();
        assert!(told.starts_with("KVM_RUN failed: "), "{told}");
    }
}
