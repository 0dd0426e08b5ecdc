// SPDX-License-Identifier: Apache-2.0
//! What /proc says of another process (proc(5)), and a descriptor of it.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::sys;

/// The status of a process or thread; empty when it is gone.
pub(crate) fn status(thread: u32) -> String {
    std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default()
}

/// A field of a status, by its name with the colon.
pub(crate) fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = status.lines();
    lines
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

/// A number that a status has.
fn number(thread: u32, name: &str) -> Option<u32> {
    field(&status(thread), name)?.parse().ok()
}

/// The process of a thread; the thread itself when it cannot be told.
pub(crate) fn of_thread(thread: u32) -> u32 {
    match sys::is_process(thread) {
        true => thread,
        false => number(thread, "Tgid:").unwrap_or(thread),
    }
}

/// The parent of a process.
pub(crate) fn parent(process: u32) -> Option<u32> {
    number(process, "PPid:")
}

/// The process of a thread, and a descriptor of it.
pub(crate) fn open(thread: u32) -> Result<(u32, OwnedFd), Errno> {
    let open = |process: u32| {
        let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
        pidfd_open(pid.ok_or(Errno::SRCH)?, PidfdFlags::empty())
    };
    // Only the first thread of a process has one.
    if let Ok(pidfd) = open(thread) {
        return Ok((thread, pidfd));
    }
    let process = of_thread(thread);
    Ok((process, open(process)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_line_of_its_name() {
        let status = "Name:\tx\nUmask:\t0027\nTgid:\t5\n";
        assert_eq!(field(status, "Umask:"), Some("0027"));
        assert_eq!(field(status, "PPid:"), None);
    }

    #[test]
    fn a_thread_is_of_its_process() {
        let here = std::process::id();
        let thread = std::thread::spawn(|| rustix::thread::gettid().as_raw_nonzero().get());
        let thread = u32::try_from(thread.join().unwrap()).unwrap();
        assert_eq!((of_thread(here), of_thread(u32::MAX)), (here, u32::MAX));
        assert_ne!(thread, here);
        assert_eq!(open(here).unwrap().0, here);
        assert!(open(u32::MAX).is_err());
    }
}
