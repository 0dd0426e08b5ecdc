// SPDX-License-Identifier: Apache-2.0
//! Signals as something to poll for: blocked, then read from a signalfd.
//!
//! The supervisor has one loop and no handlers; a signal is one more readable descriptor.
#![expect(unsafe_code, reason = "signal masks and signalfd have no safe wrapper")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// Blocked signals and the descriptor that tells them.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Blocks `signals` for this thread and opens the descriptor. To be called while the
    /// process has one thread, so that no other thread takes them by their default action.
    ///
    /// # Errors
    /// What the system says.
    pub fn block(signals: &[i32]) -> io::Result<Self> {
        // SAFETY: sigset_t is a struct of integers, and all zeroes is the empty set.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        for signal in signals {
            // SAFETY: `set` is an initialised, writable set; a bad number is an error, not UB.
            if unsafe { libc::sigaddset(&raw mut set, *signal) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: `set` is a readable set and the old mask is not asked for.
        let blocked =
            unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
        if blocked != 0 {
            return Err(io::Error::last_os_error());
        }
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: -1 asks for a new descriptor; `set` is readable for the call.
        let fd = unsafe { libc::signalfd(-1, &raw const set, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd returned a new descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    /// The next signal that arrived, if any.
    ///
    /// # Errors
    /// What the system says.
    pub fn next(&self) -> io::Result<Option<i32>> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.fd, &mut info) {
            // signalfd_siginfo begins with the number (signalfd(2)).
            Ok(n) if n == info.len() => {
                let [a, b, c, d, ..] = info;
                Ok(i32::try_from(u32::from_ne_bytes([a, b, c, d])).ok())
            }
            Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_is_told_once() {
        let signals = Signals::block(&[libc::SIGURG]).unwrap();
        assert_eq!(signals.next().unwrap(), None);
        let thread = rustix::thread::gettid();
        // To this thread: the test runner's others do not block it.
        // SAFETY: tgkill takes plain numbers.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_tgkill,
                rustix::process::getpid().as_raw_nonzero().get(),
                thread.as_raw_nonzero().get(),
                libc::SIGURG,
            )
        };
        assert_eq!(sent, 0);
        assert_eq!(signals.next().unwrap(), Some(libc::SIGURG));
        assert_eq!(signals.next().unwrap(), None);
    }
}
