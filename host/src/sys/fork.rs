// SPDX-License-Identifier: Apache-2.0
//! Leaving work to a copy of this process, while this one goes on to its end.
//!
//! A copy and not a program of its own: it costs page tables instead of an execve and a start,
//! and the work is known here.
#![expect(
    unsafe_code,
    reason = "fork, close_range and _exit have no safe wrapper"
)]

use std::ffi::CStr;
use std::io;
use std::os::fd::RawFd;

/// Has a copy of this process, called `name`, do `work` and end, in a process group of its own,
/// mostly a session too. Of the descriptors it has those in `keep`, and `work` must use no others.
/// Signals that this process blocks stay blocked.
///
/// Both go on with `/dev/null` for standard streams, this process before there is a copy: who
/// reads what it writes sees the end now, and not when the copy first runs.
///
/// To be called while this process has one thread: the copy has only the one that calls, and a
/// lock that another held would be held for ever.
///
/// # Errors
/// When there is no process to be had. `work` was dropped then, as it would have been by its end.
pub fn leave(name: &CStr, keep: &[RawFd], work: impl FnOnce()) -> io::Result<()> {
    let_go_of_standard_streams();
    copy(name, keep, work)
}

/// The same while this process goes on with its own work and its standard streams; the copy has
/// none. What `work` owns stays open here too.
///
/// # Errors
/// When there is no process to be had.
pub fn beside(name: &CStr, keep: &[RawFd], work: impl FnOnce()) -> io::Result<()> {
    copy(name, keep, || {
        let_go_of_standard_streams();
        work();
    })
}

fn copy(name: &CStr, keep: &[RawFd], work: impl FnOnce()) -> io::Result<()> {
    // SAFETY: fork(2) is always sound to call; what may go on in the copy is bounded by its one
    // thread (see `leave`), and that the copy ends below, before it returns to anybody's frame.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // Also when `work` panics.
            let _end = End;
            become_another(name, keep);
            work();
            Ok(())
        }
        copy => {
            // A signal to this process's group must not find the copy in it from now on, whether
            // or not that has run yet. Fails for one that leads a session already.
            // SAFETY: setpgid(2) takes numbers, and this one is a child of this process.
            unsafe { libc::setpgid(copy, copy) };
            // It is the copy's now.
            std::mem::forget(work);
            Ok(())
        }
    }
}

/// Ends the process without a look back.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        // SAFETY: _exit takes any status, and runs no handlers of the original's copy.
        unsafe { libc::_exit(0) };
    }
}

/// Puts `/dev/null` in place of the standard streams.
pub fn let_go_of_standard_streams() {
    let mut options = std::fs::File::options();
    if let Ok(null) = options.read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

fn become_another(name: &CStr, keep: &[RawFd]) {
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(name);
    let _ = std::env::set_current_dir("/");
    let mut keep = keep.to_vec();
    keep.sort_unstable();
    let mut first: RawFd = libc::STDERR_FILENO + 1;
    for fd in keep {
        close(first, fd.saturating_sub(1));
        first = fd.saturating_add(1);
    }
    close(first, RawFd::MAX);
}

/// Closes the descriptors from `first` to `last`.
fn close(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: close_range(2) takes numbers. The owners of what it closes are frames of the
    // original's, which this copy never returns to, so none uses or closes them again.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;

    // `leave` is for a process of one thread, which a test program is not: now and then the copy
    // says nothing. On real tasks host/tests/guests/leaving.rs holds it.
    #[test]
    #[ignore = "forks a program of many threads: cargo test -p host fork -- --ignored"]
    fn the_copy_works_in_a_group_of_its_own_with_what_it_keeps_alone() {
        let (mut heard, said) = std::io::pipe().unwrap();
        let (mut open, held) = std::io::pipe().unwrap();
        let keep = [said.as_raw_fd()];
        let (held_fd, said_fd) = (held.as_raw_fd(), said.as_raw_fd());
        copy(c"a-copy", &keep, move || {
            let own = rustix::process::getpid();
            let leads = rustix::process::getpgrp() == own;
            let path = format!("/proc/self/fd/{held_fd}");
            let name = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
            let line = format!("{leads} {} {name}", std::path::Path::new(&path).exists());
            // By its number: what is moved in here stays open in the original too, which would
            // then wait for ever for a copy that died.
            let path = format!("/proc/self/fd/{said_fd}");
            let mut said = std::fs::File::options().write(true).open(path).unwrap();
            let _ = said.write_all(line.as_bytes());
        })
        .unwrap();
        drop((held, said));
        let mut end = String::new();
        open.read_to_string(&mut end).unwrap();
        let mut line = [0; 64];
        let n = heard.read(&mut line).unwrap();
        assert_eq!(String::from_utf8_lossy(&line[..n]), "true false a-copy\n");
    }
}
