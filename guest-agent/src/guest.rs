// SPDX-License-Identifier: Apache-2.0
//! The guest as the agent finds it: where work happens, who may become whom, what has run out.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open, statfs};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

use crate::sys;

/// Below this much free scratch it counts as full. A program that fails to write a block has
/// usually left less than one.
const FULL_BELOW: u64 = 64 * 1024;

/// What commands are started into.
#[derive(Debug)]
pub struct Guest {
    /// The default folder of commands and copies.
    pub workspace: PathBuf,
    /// The cgroup that commands are born in.
    pub commands: Option<OwnedFd>,
    /// Whether the agent is root and becomes the command's user; elsewhere (tests) commands run as
    /// the agent does.
    pub switches_users: bool,
    /// The socket for programs that know of the gate.
    pub door: Option<PathBuf>,
    /// Whether the gate confirms each file that is run; elsewhere (tests) that would be every file
    /// of the machine.
    pub confirms: bool,
}

impl Guest {
    /// A guest that PID 1 has set up.
    #[must_use]
    pub fn of_init() -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self {
            workspace: PathBuf::from("/workspace"),
            commands: open(c"/sys/fs/cgroup/task", flags, Mode::empty()).ok(),
            switches_users: geteuid().is_root(),
            door: Some(PathBuf::from(crate::command::SOCKET)),
            confirms: true,
        }
    }

    /// How many processes the kernel has killed for memory since the guest booted. One count for
    /// the whole guest (`/proc/vmstat`): commands that overlap share the blame.
    pub(crate) fn oom_kills(&self) -> u64 {
        let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
        count(&text, "oom_kill ")
    }

    /// Whether what commands may write is full. The overlay of the workspace answers with the
    /// figures of the tmpfs above it, which is the scratch space.
    pub(crate) fn scratch_full(&self) -> bool {
        let Ok(stat) = statfs(&self.workspace) else {
            return false;
        };
        let block = u64::try_from(stat.f_bsize).unwrap_or(0);
        let no_inode = stat.f_files > 0 && stat.f_ffree == 0;
        stat.f_bavail.saturating_mul(block) < FULL_BELOW || no_inode
    }
}

fn count(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.parse().ok())
        .unwrap_or(0)
}

/// Makes the agent outlive what it runs: not chosen when memory runs out, deaf to the SIGTERM that
/// ends commands, with room for the descriptors of many of them. Done after *ready*, before the
/// first command.
pub(crate) fn harden() {
    sys::ignore_sigterm();
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    // It was executed through a number in /proc, which would be its name.
    let _ = rustix::thread::set_name(c"ampoule-agent");
    let files = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: files.maximum,
        ..files
    };
    let _ = setrlimit(Resource::Nofile, raised);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_a_name_is_not_that_of_a_longer_one() {
        let text = "oom_kill_disable 7\nnr_free 1\noom_kill 3\n";
        assert_eq!(count(text, "oom_kill "), 3);
        assert_eq!(count("", "oom_kill "), 0);
    }
}
