// SPDX-License-Identifier: Apache-2.0
//! The agent's process, and every other child that PID 1 inherits.
//!
//! The agent is a copy of PID 1 and not a program of its own. An execve of another file would
//! read that file from the image at every boot, and relocate it: a third of the time from PID 1
//! to *ready*. What a copy has that a program would not have is closed by [`sys::copy`]; the two
//! share nothing that either writes.

use std::{fmt, io};

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use crate::sys;

/// Most zombies collected before the loop looks at its other duties.
const REAP_BATCH: u32 = 256;

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
    /// Starts it.
    pub(crate) fn start() -> io::Result<Self> {
        let pid = sys::copy(guest_agent::run)?;
        Ok(Self { pid, death: None })
    }

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
