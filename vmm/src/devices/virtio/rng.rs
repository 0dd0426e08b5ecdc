// SPDX-License-Identifier: Apache-2.0
//! The entropy device (virtio 1.2 §5.4): the host's random bytes for the guest's generator.
//!
//! A guest that has just booted, or that was copied from another, has nothing else that is
//! unpredictable. The bytes are the host kernel's (`getrandom`), so nothing is opened.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

use super::chain::Buffers;
use super::queue::Queues;
use super::{DeviceError, Identity, VirtioDevice};

/// Most bytes for one request. A guest may offer megabytes, and would get the event thread's
/// time for them; the kernel's driver asks for at most a page at once.
const MAX_REQUEST: usize = 4096;

/// The entropy device. It has no state.
#[derive(Debug, Default)]
pub struct Rng {}

impl Rng {
    /// An entropy device.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl VirtioDevice for Rng {
    fn identity(&self) -> Identity {
        Identity {
            name: "rng",
            id: 4,
            features: 0,
            // The driver keeps one request in flight.
            queue_sizes: &[8],
        }
    }

    fn handle_queue(&mut self, index: usize, queues: &mut Queues) -> Result<(), DeviceError> {
        let Some(queue) = queues.get(index) else {
            return Ok(());
        };
        queue.serve(|chain| Ok(fill(chain.writable)?))
    }
}

/// Fills the buffers up to [`MAX_REQUEST`]. Fewer bytes than asked for are a valid answer
/// (virtio 1.2 §5.4.6.2).
fn fill(mut buffers: Buffers<'_>) -> io::Result<u32> {
    let mut bytes = [0; MAX_REQUEST];
    let wanted = buffers.len().min(MAX_REQUEST);
    let (bytes, _) = bytes.split_at_mut(wanted);
    // Up to 256 bytes always come whole; more may be cut short by a signal.
    let got = rustix::io::retry_on_intr(|| getrandom(&mut *bytes, GetRandomFlags::empty()))?;
    let written = match bytes.get(..got) {
        Some(bytes) if buffers.write(bytes) => got,
        _ => 0,
    };
    Ok(u32::try_from(written).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Driver, WRITE};
    use super::*;

    #[test]
    fn a_request_is_filled_with_bytes_that_differ() {
        let mut driver = Driver::started(Rng::new());
        let buffer = driver.allocate(64);
        driver.send(0, &[(buffer, 40, WRITE), (buffer + 40, 24, WRITE)]);
        driver.kick(0);
        assert_eq!(driver.used(0).unwrap().1, 64);
        let first = driver.bytes(buffer, 64);
        for part in [driver.bytes(buffer, 40), driver.bytes(buffer + 40, 24)] {
            assert!(part.iter().any(|byte| *byte != 0));
        }
        driver.send(0, &[(buffer, 64, WRITE)]);
        driver.kick(0);
        assert_ne!(driver.bytes(buffer, 64), first);
    }

    #[test]
    fn a_large_request_gets_no_more_than_the_cap() {
        let mut driver = Driver::started(Rng::new());
        let buffer = driver.allocate(1 << 20);
        driver.send(0, &[(buffer, 1 << 20, WRITE)]);
        driver.kick(0);
        assert_eq!(driver.used(0).unwrap().1, 4096);
        let beyond = driver.bytes(buffer + 4096, 4096);
        assert!(beyond.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_request_with_nothing_to_fill_is_given_back() {
        let mut driver = Driver::started(Rng::new());
        let buffer = driver.allocate(8);
        driver.send(0, &[(buffer, 8, 0)]);
        driver.kick(0);
        assert_eq!(driver.used(0).unwrap().1, 0);
        assert!(!driver.needs_reset());
    }
}
