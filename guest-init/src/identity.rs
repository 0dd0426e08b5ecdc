// SPDX-License-Identifier: Apache-2.0
//! What makes this guest itself: name, wall clock, entropy, machine id. And the loopback
//! interface.
//!
//! Each part is worth a line in the kernel log when it fails, and none is worth the guest: a task
//! with a wrong wall clock still runs.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::system::sethostname;
use rustix::time::{ClockId, Timespec, clock_settime};

use protocol::messages::Assignment;

use crate::hosts::Hosts;
use crate::{kmsg, sys};

/// Where a copy is told that it is one.
const TOLD: &str = "/run/ampoule";
/// machine-id(5).
const MACHINE_ID: &str = "/etc/machine-id";

/// What `/etc/hosts` of our images is a link to.
const HOSTS: &str = "/run/hosts";

/// What identity is written to, opened once: a restored guest does not look the paths up again.
#[derive(Debug)]
pub(crate) struct Identity {
    machine_id: Option<File>,
    hosts: Option<Hosts>,
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
            hosts: or_warn("make the list of hosts", Hosts::make(Path::new(HOSTS))),
            random: or_warn("open the random device", random),
        }
    }

    /// Applies all of it.
    ///
    /// # Errors
    /// The entropy, which a guest that was restored cannot be without: it would make the same
    /// keys as every other of its template.
    pub(crate) fn apply(&mut self, assignment: &Assignment) -> std::io::Result<()> {
        if !assignment.hostname.is_empty() {
            let name = assignment.hostname.as_bytes();
            or_warn("set the host name", sethostname(name));
            or_warn("write the list of hosts", self.tell_hosts(assignment));
        }
        or_warn("set the wall clock", set_clock(assignment.realtime_ns));
        if !assignment.copy_of.is_empty() {
            or_warn("tell the task that it is a copy", tell_copy(assignment));
        }
        if let (false, Some(file)) = (assignment.machine_id.is_empty(), &self.machine_id) {
            let line = format!("{}\n", assignment.machine_id);
            let written = file.write_all_at(line.as_bytes(), 0);
            or_warn("write the machine id", written);
        }
        match (assignment.entropy.is_empty(), &self.random) {
            (true, _) => Ok(()),
            (false, Some(device)) => sys::add_entropy(device, &assignment.entropy),
            (false, None) => Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    /// The wall clock, which stood still with the guest. 0 leaves it alone.
    pub(crate) fn set_clock(&self, realtime_ns: u64) {
        or_warn("set the wall clock", set_clock(realtime_ns));
    }

    fn tell_hosts(&mut self, assignment: &Assignment) -> std::io::Result<()> {
        match &mut self.hosts {
            Some(hosts) if assignment.copy_of.is_empty() => hosts.set(&assignment.hostname),
            Some(hosts) => hosts.change(&assignment.hostname),
            None => Ok(()),
        }
    }
}

/// The task of a copied guest learns that it is one, and of which: its programs may have random
/// generators, connections and names of their own to renew.
fn tell_copy(assignment: &Assignment) -> std::io::Result<()> {
    std::fs::create_dir_all(TOLD)?;
    for (name, says) in [("task", &assignment.task), ("copy-of", &assignment.copy_of)] {
        let path = Path::new(TOLD).join(name);
        // A task of root may have put anything there, a pipe that nobody reads for one.
        let _ = std::fs::remove_file(&path);
        let mut options = File::options();
        let file = options.write(true).create_new(true).open(path)?;
        file.write_all_at(format!("{says}\n").as_bytes(), 0)?;
    }
    Ok(())
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
