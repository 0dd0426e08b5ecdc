// SPDX-License-Identifier: Apache-2.0
//! What every guest is told that nobody chooses: the time, entropy, and a machine id of its own.

use std::io;
use std::time::SystemTime;

use protocol::messages::Assignment;

/// Entropy given to a guest; the most that an assignment carries.
const ENTROPY: usize = 64;

/// An assignment to `task` without limits yet.
///
/// # Errors
/// There is no entropy. Guests of one template would then share every secret they make.
pub fn fresh(task: &str) -> io::Result<Assignment> {
    let mut entropy = vec![0; ENTROPY];
    crate::entropy(&mut entropy)?;
    let mut id = [0; 16];
    crate::entropy(&mut id)?;
    Ok(Assignment {
        task: task.to_owned(),
        hostname: format!("ampoule-{task}"),
        realtime_ns: wall_clock_ns(),
        entropy,
        machine_id: machine_id(id),
        ..Assignment::default()
    })
}

/// The wall clock, nanoseconds since 1970.
#[must_use]
pub fn wall_clock_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// machine-id(5): a random UUID of version 4 without its dashes.
fn machine_id(mut id: [u8; 16]) -> String {
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_guests_are_told_the_same() {
        let (a, b) = (fresh("a").unwrap(), fresh("a").unwrap());
        assert_ne!(a.entropy, b.entropy);
        assert_ne!(a.machine_id, b.machine_id);
        assert_eq!(a.hostname, "ampoule-a");
    }

    #[test]
    fn a_machine_id_is_a_random_uuid() {
        assert_eq!(machine_id([0xff; 16]), "ffffffffffff4fffbfffffffffffffff");
        assert_eq!(machine_id([0; 16]).len(), 32);
    }
}
