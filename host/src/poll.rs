// SPDX-License-Identifier: Apache-2.0
//! Waiting for descriptors: poll(2) with a name for each.
//!
//! A supervisor has a dozen descriptors, and what it wants of each changes at every turn
//! (back-pressure is nothing but not asking). So the set is built anew each turn from the state
//! itself, and nothing has to be kept in step with it. poll also accepts regular files and
//! `/dev/null`, which epoll refuses.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What is waited for in one turn.
#[derive(Debug)]
pub struct Interests<'a, T> {
    fds: Vec<PollFd<'a>>,
    names: Vec<T>,
}

impl<'a, T: Copy> Interests<'a, T> {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            fds: Vec::with_capacity(16),
            names: Vec::with_capacity(16),
        }
    }

    /// Waits for `fd` to be readable.
    pub fn read(&mut self, fd: BorrowedFd<'a>, name: T) {
        self.add(fd, PollFlags::IN, name);
    }

    /// Waits for `fd` to be writable.
    pub fn write(&mut self, fd: BorrowedFd<'a>, name: T) {
        self.add(fd, PollFlags::OUT, name);
    }

    /// Waits for `fd` to be readable, and writable if `write`.
    pub fn both(&mut self, fd: BorrowedFd<'a>, write: bool, name: T) {
        let out = if write {
            PollFlags::OUT
        } else {
            PollFlags::empty()
        };
        self.add(fd, PollFlags::IN | out, name);
    }

    fn add(&mut self, fd: BorrowedFd<'a>, flags: PollFlags, name: T) {
        self.fds.push(PollFd::from_borrowed_fd(fd, flags));
        self.names.push(name);
    }

    /// Waits until something is ready or `until` has come; the names of what is ready.
    ///
    /// # Errors
    /// What poll says; an interrupted wait is an empty one.
    pub fn wait(mut self, until: Option<Instant>) -> io::Result<Vec<T>> {
        let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        match poll(&mut self.fds, timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ready = self
            .fds
            .iter()
            .zip(self.names)
            .filter(|(fd, _)| !fd.revents().is_empty());
        Ok(ready.map(|(_, name)| name).collect())
    }
}

impl<T: Copy> Default for Interests<'_, T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Rounded up to a microsecond, so that a wait never ends before its time and spins. No time is
/// none: a timer would have its slack, and cost more than the look that was asked for.
fn timespec(duration: Duration) -> Timespec {
    let duration = match duration {
        Duration::ZERO => duration,
        _ => duration.saturating_add(Duration::from_micros(1)),
    };
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_ready_is_named_and_time_ends_a_wait() {
        let (a, mut b) = UnixStream::pair().unwrap();
        let soon = || Some(Instant::now() + Duration::from_millis(5));
        let mut interests = Interests::new();
        interests.read(a.as_fd(), 'a');
        assert!(interests.wait(soon()).unwrap().is_empty());
        b.write_all(b"x").unwrap();
        let mut interests = Interests::new();
        interests.read(a.as_fd(), 'a');
        interests.write(b.as_fd(), 'b');
        assert_eq!(interests.wait(soon()).unwrap(), ['a', 'b']);
    }
}
