// SPDX-License-Identifier: Apache-2.0
//! A device's interrupt line: an eventfd that KVM turns into an interrupt, and the cause bits
//! the driver reads (virtio 1.2 §4.2.2, `InterruptStatus` and `InterruptACK`).
//!
//! The cause is set before the eventfd is written: a driver that runs its handler at once must
//! find the bit there, or it takes the interrupt for someone else's.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use vmm_sys_util::eventfd::EventFd;

/// Cause: the device has used a buffer (virtio 1.2 §4.2.2, bit 0).
pub const USED_BUFFER: u32 = 1;
/// Cause: the configuration changed, or the device needs a reset (virtio 1.2 §4.2.2, bit 1).
pub const CONFIGURATION: u32 = 2;

/// One interrupt line. Clones share the line and its causes.
#[derive(Clone, Debug)]
pub struct Interrupt {
    /// KVM's end is the irqfd; here it is only ever written.
    line: Arc<EventFd>,
    causes: Arc<AtomicU32>,
}

impl Interrupt {
    /// A line that raises its interrupt through `line`, which KVM has as an irqfd.
    #[must_use]
    pub fn new(line: EventFd) -> Self {
        Self {
            line: Arc::new(line),
            causes: Arc::default(),
        }
    }

    /// Tells the driver that a buffer was used.
    ///
    /// # Errors
    /// The eventfd could not be written: a failure of the host.
    pub fn signal_queue(&self) -> io::Result<()> {
        self.signal(USED_BUFFER)
    }

    /// Tells the driver to look at the configuration and at the status register.
    ///
    /// # Errors
    /// The eventfd could not be written: a failure of the host.
    pub fn signal_config(&self) -> io::Result<()> {
        self.signal(CONFIGURATION)
    }

    /// The causes not acknowledged yet.
    #[must_use]
    pub fn causes(&self) -> u32 {
        self.causes.load(Ordering::SeqCst)
    }

    /// The driver has seen these causes.
    pub fn acknowledge(&self, causes: u32) {
        self.causes.fetch_and(!causes, Ordering::SeqCst);
    }

    /// Raises the line for `causes`, as a driver may not have seen them.
    pub(crate) fn raise(&self, causes: u32) -> io::Result<()> {
        self.signal(causes & (USED_BUFFER | CONFIGURATION))
    }

    fn signal(&self, cause: u32) -> io::Result<()> {
        self.causes.fetch_or(cause, Ordering::SeqCst);
        self.line.write(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_sets_its_cause_and_raises_the_line() {
        let line = EventFd::new(libc::EFD_NONBLOCK).unwrap();
        let interrupt = Interrupt::new(line.try_clone().unwrap());
        interrupt.signal_config().unwrap();
        interrupt.clone().signal_queue().unwrap();
        assert_eq!(interrupt.causes(), USED_BUFFER | CONFIGURATION);
        assert_eq!(line.read().unwrap(), 2);
        interrupt.acknowledge(USED_BUFFER);
        assert_eq!(interrupt.causes(), CONFIGURATION);
        interrupt.acknowledge(u32::MAX);
        assert_eq!(interrupt.causes(), 0);
    }
}
