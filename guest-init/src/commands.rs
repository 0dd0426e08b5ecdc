// SPDX-License-Identifier: Apache-2.0
//! The commands of the task, as one group that can be counted, bounded and killed.
//!
//! The agent starts each command inside the cgroup `/sys/fs/cgroup/task`; PID 1 and the agent stay
//! outside. Made before the agent starts, because that is one `mkdir`; the bound on processes needs
//! the pids controller and is set after the guest is ready. No memory controller: turning it on
//! patches kernel code for every guest, and the guest's memory is the bound.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, mkdir, open};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

const FOLDER: &str = "/sys/fs/cgroup/task";
/// Most processes and threads of a task, where the kernel has room for so many.
const MAX_PROCESSES: u64 = 4096;

/// Makes the group.
pub(crate) fn make_group() -> Result<(), Errno> {
    match mkdir(FOLDER, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

/// Bounds the processes of the group to what leaves PID 1 and the agent room. The kernel derives
/// its own limit from the memory (`set_max_threads` in `kernel/fork.c`).
pub(crate) fn bound() -> io::Result<()> {
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+pids")?;
    let threads = fs::read_to_string("/proc/sys/kernel/threads-max")?;
    let threads = threads.trim().parse().unwrap_or(MAX_PROCESSES);
    fs::write(
        format!("{FOLDER}/pids.max"),
        max_processes(threads).to_string(),
    )
}

fn max_processes(threads_max: u64) -> u64 {
    (threads_max / 4 * 3).clamp(16, MAX_PROCESSES)
}

/// Asks every command to end. `kill(-1)` reaches all processes but the caller and PID 1, which are
/// one here; the agent ignores SIGTERM. Unlike a walk over `cgroup.procs` it misses no process
/// that is forking.
pub(crate) fn terminate() {
    let _ = kill_process_group(Pid::INIT, Signal::TERM);
}

/// Kills every command at once (`cgroup.kill` catches what forks meanwhile).
pub(crate) fn kill() {
    let _ = fs::write(format!("{FOLDER}/cgroup.kill"), "1");
}

/// How long the group's processes have run in all, in microseconds (`usage_usec` of
/// `Documentation/admin-guide/cgroup-v2.rst`, `cpu.stat`, which needs no controller).
pub(crate) fn time_used() -> Option<u64> {
    let stat = fs::read_to_string(format!("{FOLDER}/cpu.stat")).ok()?;
    let used = stat
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "));
    used?.trim().parse().ok()
}

/// The file that says whether the group has a live process, and tells (POLLPRI) when that changes.
#[derive(Debug)]
pub(crate) struct Population {
    events: OwnedFd,
}

impl Population {
    pub(crate) fn open() -> Result<Self, Errno> {
        let path = format!("{FOLDER}/cgroup.events");
        let events = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { events })
    }

    /// Whether a command runs. When it cannot be read, one may.
    pub(crate) fn any(&self) -> bool {
        let mut text = [0; 128];
        match rustix::io::pread(&self.events, &mut text, 0) {
            Ok(n) => populated(text.get(..n).unwrap_or_default()),
            Err(_) => true,
        }
    }
}

impl AsFd for Population {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.events.as_fd()
    }
}

fn populated(events: &[u8]) -> bool {
    !events
        .split(|byte| *byte == b'\n')
        .any(|line| line == b"populated 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_empty_only_when_its_file_says_so() {
        assert!(!populated(b"populated 0\nfrozen 0\n"));
        assert!(populated(b"populated 1\nfrozen 0\n"));
        assert!(populated(b""));
    }

    #[test]
    fn processes_are_bounded_by_the_kernels_own_limit() {
        assert_eq!(max_processes(400), 300);
        assert_eq!(max_processes(1 << 20), MAX_PROCESSES);
        assert_eq!(max_processes(0), 16);
    }
}
