// SPDX-License-Identifier: Apache-2.0
//! What makes this guest itself: name, wall clock, entropy, machine id. And the loopback
//! interface.
//!
//! Each part is worth a line in the kernel log when it fails, and none is worth the guest: a task
//! with a wrong wall clock still runs.

use std::fs;

use rustix::fs::{Mode, OFlags, open};
use rustix::system::sethostname;
use rustix::time::{ClockId, Timespec, clock_settime};

use protocol::messages::Assignment;

use crate::{kmsg, sys};

/// machine-id(5).
const MACHINE_ID: &str = "/etc/machine-id";

/// Applies all of it. `/dev` is in place.
pub(crate) fn apply(assignment: &Assignment) {
    let failed = |what: &str, e: &dyn std::error::Error| kmsg::warn(&format!("{what}: {e}"));
    if !assignment.hostname.is_empty()
        && let Err(e) = sethostname(assignment.hostname.as_bytes())
    {
        failed("could not set the host name", &e);
    }
    if let Err(e) = set_clock(assignment.realtime_ns) {
        failed("could not set the wall clock", &e);
    }
    if let Err(e) = add_entropy(&assignment.entropy) {
        failed("could not add entropy", &e);
    }
    if !assignment.machine_id.is_empty()
        && let Err(e) = fs::write(MACHINE_ID, format!("{}\n", assignment.machine_id))
    {
        failed("could not write the machine id", &e);
    }
}

/// Brings up the loopback interface.
pub(crate) fn loopback() {
    if let Err(e) = sys::loopback_up() {
        kmsg::warn(&format!("could not bring up the loopback interface: {e}"));
    }
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

fn add_entropy(bytes: &[u8]) -> std::io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let device = open(c"/dev/urandom", flags, Mode::empty())?;
    sys::add_entropy(&device, bytes)
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
