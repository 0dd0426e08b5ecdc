// SPDX-License-Identifier: Apache-2.0
//! Rings and chains of a hostile driver.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests make what they index and count"
)]

use super::super::chain::MAX_CHAIN_BYTES;
use super::super::testing::{Descriptor, Driver, INDIRECT, MEMORY, NEXT, WRITE};
use super::super::{Identity, VirtioDevice};
use super::*;
use vm_memory::Bytes;

/// Records what it is given; answers with the number of readable bytes.
struct Recorder(std::sync::mpsc::Sender<(Vec<u8>, usize)>);

impl VirtioDevice for Recorder {
    fn identity(&self) -> Identity {
        Identity {
            name: "recorder",
            id: 0,
            features: 0,
            queue_sizes: &[8],
        }
    }
    fn handle_queue(&mut self, index: usize, queues: &mut Queues) -> Result<(), DeviceError> {
        let queue = queues.get(index).unwrap();
        queue.serve(|mut chain| {
            let mut bytes = vec![0; chain.readable.len()];
            assert!(chain.readable.read_slice(&mut bytes));
            let room = chain.writable.len();
            let count = u32::try_from(bytes.len()).unwrap();
            self.0.send((bytes, room)).unwrap();
            Ok(count)
        })
    }
}

type Seen = std::sync::mpsc::Receiver<(Vec<u8>, usize)>;

fn driver() -> (Driver, Seen) {
    let (sender, seen) = std::sync::mpsc::channel();
    (Driver::started(Recorder(sender)), seen)
}

fn descriptor(address: u64, len: u32, flags: u16, next: u16) -> Descriptor {
    Descriptor {
        address,
        len,
        flags,
        next,
    }
}

/// Offers a chain made of these descriptors at 0, 1, .. and returns whether the ring broke.
fn breaks(descriptors: &[Descriptor]) -> bool {
    let (mut driver, seen) = driver();
    let table = driver.rings[0].descriptors;
    for (index, descriptor) in (0..).zip(descriptors) {
        driver.describe(table, index, *descriptor);
    }
    driver.offer(0, 0);
    driver.kick(0);
    let broke = driver.needs_reset();
    assert_eq!(driver.transport.faults(), u64::from(broke));
    assert_eq!(driver.used(0).is_none(), broke);
    assert_eq!(
        seen.try_recv().is_err(),
        broke,
        "a broken chain reached the device"
    );
    if broke {
        assert_eq!(driver.interrupts(), 1);
        // The queue stays stopped, whatever is offered.
        let address = driver.put(b"good");
        driver.send(0, &[(address, 4, 0)]);
        driver.kick(0);
        assert_eq!(driver.used(0), None);
    }
    broke
}

#[test]
fn a_chain_arrives_in_order_and_in_its_two_parts() {
    let (mut driver, seen) = driver();
    let (a, b) = (driver.put(b"hello "), driver.put(b"world"));
    let (c, d) = (driver.allocate(3), driver.allocate(4));
    let buffers = [(a, 6, 0), (b, 5, 0), (c, 3, WRITE), (d, 4, WRITE)];
    let head = driver.send(0, &buffers);
    driver.kick(0);
    assert_eq!(seen.recv().unwrap(), (b"hello world".to_vec(), 7));
    assert_eq!(driver.used(0), Some((u32::from(head), 11)));
}

#[test]
fn many_chains_go_round_the_ring() {
    let (mut driver, seen) = driver();
    let a = driver.put(b"0123456789");
    for round in 0..100_usize {
        for chain in 0..4 {
            driver.send(0, &[(a, (round + chain) % 10, 0), (a, 1, 0)]);
        }
        driver.kick(0);
        for chain in 0..4 {
            assert_eq!(seen.recv().unwrap().0.len(), (round + chain) % 10 + 1);
            assert!(driver.used(0).is_some());
        }
    }
    assert!(!driver.needs_reset());
}

#[test]
fn an_indirect_table_is_followed() {
    let (mut driver, seen) = driver();
    let table = driver.allocate(64);
    let a = driver.put(b"indirect");
    driver.describe(table, 0, descriptor(a, 4, NEXT, 2));
    driver.describe(table, 2, descriptor(a + 4, 4, NEXT, 1));
    driver.describe(table, 1, descriptor(a, 8, WRITE, 0));
    driver.send(0, &[(table, 48, INDIRECT)]);
    driver.kick(0);
    assert_eq!(seen.recv().unwrap(), (b"indirect".to_vec(), 8));
}

#[test]
fn a_loop_breaks_the_ring() {
    assert!(breaks(&[descriptor(0x1000, 4, NEXT, 0)]));
    let two = [
        descriptor(0x1000, 4, NEXT, 1),
        descriptor(0x1000, 4, NEXT, 0),
    ];
    assert!(breaks(&two));
}

#[test]
fn a_link_out_of_the_table_breaks_the_ring() {
    for next in [8, 0x8000, u16::MAX] {
        assert!(breaks(&[descriptor(0x1000, 4, NEXT, next)]), "{next}");
    }
}

#[test]
fn buffers_outside_memory_break_the_ring() {
    for (address, len) in [
        (MEMORY, 1),
        (MEMORY - 1, 2),
        (u64::MAX, 2),
        (u64::MAX - 1, 1),
    ] {
        assert!(breaks(&[descriptor(address, len, 0, 0)]), "{address:#x}");
        assert!(
            breaks(&[descriptor(address, len, WRITE, 0)]),
            "{address:#x}"
        );
    }
    assert!(!breaks(&[descriptor(MEMORY - 1, 1, 0, 0)]));
}

#[test]
fn a_readable_buffer_after_a_writable_one_breaks_the_ring() {
    let pair = [
        descriptor(0x1000, 4, WRITE | NEXT, 1),
        descriptor(0x1000, 4, 0, 0),
    ];
    assert!(breaks(&pair));
}

#[test]
fn a_chain_of_too_many_bytes_breaks_the_ring() {
    let most = u32::try_from(MAX_CHAIN_BYTES).unwrap();
    assert!(!breaks(&[descriptor(0x1000, most, WRITE, 0)]));
    assert!(breaks(&[descriptor(0x1000, most + 1, WRITE, 0)]));
    assert!(breaks(&[descriptor(0x1000, u32::MAX, WRITE, 0)]));
    let pair = [
        descriptor(0x1000, most, NEXT, 1),
        descriptor(0x1000, 1, WRITE, 0),
    ];
    assert!(breaks(&pair));
}

#[test]
fn empty_buffers_are_harmless() {
    assert!(!breaks(&[
        descriptor(u64::MAX, 0, NEXT, 1),
        descriptor(0, 0, WRITE, 0)
    ]));
}

/// Offers a chain that is one indirect table.
fn indirect_breaks(table_len: u32, inner: &[Descriptor]) -> bool {
    let (mut driver, seen) = driver();
    let table = driver.allocate(64 * 16);
    for (index, descriptor) in (0..).zip(inner) {
        driver.describe(table, index, *descriptor);
    }
    let ring = driver.rings[0].descriptors;
    driver.describe(ring, 0, descriptor(table, table_len, INDIRECT, 0));
    driver.offer(0, 0);
    driver.kick(0);
    drop(seen);
    driver.needs_reset()
}

#[test]
fn bad_indirect_tables_break_the_ring() {
    let good = descriptor(0x1000, 4, 0, 0);
    let nested = descriptor(0x1000, 16, INDIRECT, 0);
    assert!(indirect_breaks(0, &[good]), "no table");
    assert!(indirect_breaks(17, &[good]), "a broken length");
    assert!(
        indirect_breaks(16 << 20, &[good]),
        "more entries than can be numbered"
    );
    assert!(indirect_breaks(16, &[nested]), "nested");
    assert!(
        indirect_breaks(16, &[descriptor(0x1000, 4, NEXT, 1)]),
        "a link out of it"
    );
    let long: Vec<_> = (1..=9)
        .map(|next| descriptor(0x1000, 1, NEXT, next))
        .collect();
    let long = [&long[..], &[good]].concat();
    assert!(indirect_breaks(160, &long), "longer than the ring");
    assert!(
        breaks(&[descriptor(MEMORY, 16, INDIRECT, 0)]),
        "outside memory"
    );
}

#[test]
fn an_available_index_too_far_ahead_breaks_the_ring() {
    for (index, broke) in [(8, false), (9, true), (0x8000, true), (u16::MAX, true)] {
        let (mut driver, _seen) = driver();
        let table = driver.rings[0].descriptors;
        driver.describe(table, 0, descriptor(0x1000, 1, 0, 0));
        driver.set_available(0, index);
        driver.kick(0);
        assert_eq!(driver.needs_reset(), broke, "{index}");
    }
}

#[test]
fn a_head_out_of_the_table_breaks_the_ring() {
    for head in [8, u16::MAX] {
        let (mut driver, _seen) = driver();
        driver.offer(0, head);
        driver.kick(0);
        assert!(driver.needs_reset(), "{head}");
    }
}

/// Uses each chain and makes it available once more, as a driver on another CPU could.
struct Endless {
    memory: GuestMemory,
    available: u64,
    served: std::sync::mpsc::Sender<()>,
}

impl VirtioDevice for Endless {
    fn identity(&self) -> Identity {
        Identity {
            name: "endless",
            id: 0,
            features: 0,
            queue_sizes: &[8],
        }
    }
    fn handle_queue(&mut self, index: usize, queues: &mut Queues) -> Result<(), DeviceError> {
        let at = GuestAddress(self.available + 2);
        queues.get(index).unwrap().serve(|_| {
            let index: u16 = self.memory.read_obj(at).unwrap();
            self.memory.write_obj(index.wrapping_add(1), at).unwrap();
            let _ = self.served.send(());
            Ok(0)
        })
    }
}

#[test]
fn a_driver_that_never_stops_gets_one_turn_and_then_others_theirs() {
    let (served, count) = std::sync::mpsc::channel();
    let memory = super::super::testing::memory();
    let available = 0x1_1000;
    let device = Endless {
        memory: memory.clone(),
        available,
        served,
    };
    let mut driver = Driver::started_in(memory, device);
    assert_eq!(driver.rings[0].available, available);
    driver.send(0, &[(0x1000, 1, 0)]);
    driver.kick(0);
    assert_eq!(count.try_iter().count(), 256);
    assert_eq!(driver.transport.queue_events()[0].read().unwrap(), 1);
    driver.kick(0);
    assert_eq!(count.try_iter().count(), 256);
    assert!(!driver.needs_reset());
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is in the rings: no panic, an end, and at most a stopped queue.
        #[test]
        fn random_rings_break_at_most_their_queue(
            descriptors in prop::collection::vec(
                (prop_oneof![0..MEMORY * 2, any::<u64>()],
                 prop_oneof![0..0x3000_u32, any::<u32>()],
                 0..8_u16,
                 prop_oneof![0..9_u16, any::<u16>()]),
                8,
            ),
            heads in prop::collection::vec(prop_oneof![0..9_u16, any::<u16>()], 8),
            available in prop_oneof![0..10_u16, any::<u16>()],
        ) {
            let (mut driver, _seen) = driver();
            let ring = driver.rings[0];
            for (index, (address, len, flags, next)) in (0..).zip(descriptors) {
                let made = descriptor(address, len, flags, next);
                driver.describe(ring.descriptors, index, made);
            }
            for (slot, head) in (0..).zip(heads) {
                let at = GuestAddress(ring.available + 4 + 2 * slot);
                driver.memory.write_obj(head, at).unwrap();
            }
            driver.set_available(0, available);
            driver.kick(0);
            prop_assert!(driver.transport.faults() <= 1);
            prop_assert_eq!(driver.transport.faults() == 1, driver.needs_reset());
        }
    }
}
