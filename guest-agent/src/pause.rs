// SPDX-License-Identifier: Apache-2.0
//! Stops all commands where they are, and lets them go on: the freezer of their cgroup
//! (`Documentation/admin-guide/cgroup-v2.rst`, `cgroup.freeze`).

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

const FREEZE: &str = "/sys/fs/cgroup/task/cgroup.freeze";
const EVENTS: &str = "/sys/fs/cgroup/task/cgroup.events";
/// How long all of them may take to stop, in looks a millisecond apart. A process that waits for
/// a disk cannot stop before it has it.
const LOOKS: u32 = 2000;
const LOOK: Duration = Duration::from_millis(1);

/// Stops them, or leaves them running; whether there are any. `meanwhile` lets go of what else
/// holds them, once they have been told to stop.
pub(crate) fn freeze(meanwhile: impl FnOnce()) -> io::Result<bool> {
    fs::write(FREEZE, "1")?;
    meanwhile();
    for _ in 0..LOOKS {
        let events = fs::read_to_string(EVENTS)?;
        if is_frozen(&events) {
            return Ok(!is_empty(&events));
        }
        thread::sleep(LOOK);
    }
    thaw()?;
    Err(io::ErrorKind::TimedOut.into())
}

/// Lets them go on.
pub(crate) fn thaw() -> io::Result<()> {
    fs::write(FREEZE, "0")
}

/// A group without a process is never reported frozen, and has nothing to stop.
fn is_frozen(events: &str) -> bool {
    is_empty(events) || events.lines().any(|line| line == "frozen 1")
}

fn is_empty(events: &str) -> bool {
    events.lines().any(|line| line == "populated 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_frozen_when_it_says_so_or_has_nobody() {
        assert!(is_frozen("populated 1\nfrozen 1\n"));
        assert!(is_frozen("populated 0\nfrozen 0\n"));
        assert!(!is_frozen("populated 1\nfrozen 0\n"));
    }
}
