// SPDX-License-Identifier: Apache-2.0
//! What makes this guest itself: name, wall clock, entropy, machine id. And the loopback
//! interface.
//!
//! Each part is worth a line in the kernel log when it fails, and none is worth the guest: a task
//! with a wrong wall clock still runs.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags, open};
use rustix::system::sethostname;
use rustix::time::{ClockId, Timespec, clock_settime};

use protocol::messages::Assignment;

use crate::{kmsg, sys};

/// machine-id(5).
const MACHINE_ID: &str = "/etc/machine-id";

/// What identity is written to, opened once: a restored guest does not look the paths up again.
#[derive(Debug)]
pub(crate) struct Identity {
    machine_id: Option<File>,
    random: Option<OwnedFd>,
}

impl Identity {
    /// `/dev` and the task's root are in place.
    pub(crate) fn open() -> Self {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let random = open(c"/dev/urandom", flags, Mode::empty());
        let mut options = File::options();
        let machine_id = options.write(true).create(true).truncate(true);
        Self {
            machine_id: or_warn("open the machine id", machine_id.open(MACHINE_ID)),
            random: or_warn("open the random device", random),
        }
    }

    /// Applies all of it.
    pub(crate) fn apply(&self, assignment: &Assignment) {
        if !assignment.hostname.is_empty() {
            or_warn(
                "set the host name",
                sethostname(assignment.hostname.as_bytes()),
            );
        }
        or_warn("set the wall clock", set_clock(assignment.realtime_ns));
        if let Some(device) = self
            .random
            .as_ref()
            .filter(|_| !assignment.entropy.is_empty())
        {
            or_warn("add entropy", sys::add_entropy(device, &assignment.entropy));
        }
        if let Some(file) = self
            .machine_id
            .as_ref()
            .filter(|_| !assignment.machine_id.is_empty())
        {
            let line = format!("{}\n", assignment.machine_id);
            or_warn(
                "write the machine id",
                file.write_all_at(line.as_bytes(), 0),
            );
        }
    }
}

/// A line in the kernel's log for what failed.
fn or_warn<T, E: std::error::Error>(what: &str, result: Result<T, E>) -> Option<T> {
    result
        .inspect_err(|e| kmsg::warn(&format!("could not {what}: {e}")))
        .ok()
}

/// Brings up the loopback interface.
pub(crate) fn loopback() {
    or_warn("bring up the loopback interface", sys::loopback_up());
}

/// The host's wall clock. kvm-clock gives no better one without an RTC. 0 leaves it alone.
fn set_clock(realtime_ns: u64) -> rustix::io::Result<()> {
    if realtime_ns == 0 {
        return Ok(());
    }
    clock_settime(ClockId::Realtime, timespec(realtime_ns))
}

fn timespec(ns: u64) -> Timespec {
    const NS: u64 = 1_000_000_000;
    Timespec {
        tv_sec: i64::try_from(ns / NS).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(ns % NS).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_split_into_seconds() {
        let time = timespec(1_700_000_000_123_456_789);
        assert_eq!((time.tv_sec, time.tv_nsec), (1_700_000_000, 123_456_789));
    }
}
