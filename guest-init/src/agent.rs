// SPDX-License-Identifier: Apache-2.0
//! The agent's process, and every other child that PID 1 inherits.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{fmt, io};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

/// Most zombies collected before the loop looks at its other duties.
const REAP_BATCH: u32 = 256;

/// The agent's program, opened while its path exists: the new root does not have it.
#[derive(Debug)]
pub(crate) struct Program(OwnedFd);

impl Program {
    pub(crate) fn open() -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        open(c"/.ampoule/agent", flags, Mode::empty()).map(Self)
    }

    /// Starts it, through `/proc`. The standard library takes `posix_spawn` here, which musl does
    /// with `CLONE_VM | CLONE_VFORK`: no page table is copied. It also empties the signal mask.
    pub(crate) fn start(self) -> io::Result<Agent> {
        let child = Command::new(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
            .arg0("ampoule-agent")
            .env_clear()
            .spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Agent { pid, death: None })
    }
}

/// The agent, alive or not.
#[derive(Debug)]
pub(crate) struct Agent {
    pid: Pid,
    death: Option<Death>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    Exit(i32),
    Signal(i32),
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Death::Exit(status) => write!(f, "the agent exited with status {status}"),
            Death::Signal(signal) => write!(f, "the agent was killed by signal {signal}"),
        }
    }
}

/// Whether zombies may be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaped {
    All,
    Some,
}

impl Agent {
    /// How it died, if it did.
    pub(crate) fn death(&self) -> Option<Death> {
        self.death
    }

    /// Collects children that ended: orphans of the task, and the agent.
    pub(crate) fn reap(&mut self) -> Reaped {
        for _ in 0..REAP_BATCH {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.pid => self.death = Some(death(status)),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                // ECHILD: no child at all.
                Ok(None) | Err(_) => return Reaped::All,
            }
        }
        Reaped::Some
    }
}

fn death(status: WaitStatus) -> Death {
    match status.terminating_signal() {
        Some(signal) => Death::Signal(signal),
        None => Death::Exit(status.exit_status().unwrap_or(-1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_told_in_one_line() {
        assert_eq!(Death::Exit(1).to_string(), "the agent exited with status 1");
        assert_eq!(
            Death::Signal(9).to_string(),
            "the agent was killed by signal 9"
        );
    }
}
