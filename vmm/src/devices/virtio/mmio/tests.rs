// SPDX-License-Identifier: Apache-2.0
//! Registers, the status machine, negotiation, reset.
#![expect(clippy::indexing_slicing, reason = "tests make what they index")]

use super::super::testing::{Driver, WRITE};
use super::super::{DeviceError, Identity, VirtioDevice};
use super::*;
use crate::interrupt::{CONFIGURATION, USED_BUFFER};
use crate::snapshot::TransportState;

/// A device that gives chains back empty.
#[derive(Default)]
struct Echo {
    started: bool,
}

impl VirtioDevice for Echo {
    fn identity(&self) -> Identity {
        Identity {
            name: "echo",
            id: 42,
            features: 1 << 3 | 1 << 40,
            queue_sizes: &[16, 8],
        }
    }
    fn config(&self) -> &[u8] {
        b"\x01\x02\x03\x04\x05\x06"
    }
    fn start(&mut self) -> io::Result<()> {
        assert!(!self.started, "started twice");
        self.started = true;
        Ok(())
    }
    fn handle_queue(&mut self, index: usize, queues: &mut Queues) -> Result<(), DeviceError> {
        assert!(self.started, "served while stopped");
        match queues.get(index) {
            Some(queue) => queue.serve(|_| Ok(0)),
            None => Ok(()),
        }
    }
    fn stop(&mut self) {
        self.started = false;
    }
}

fn driver() -> Driver {
    Driver::new(Echo::default())
}

#[test]
fn identity_registers_read_as_the_specification_says() {
    let mut driver = driver();
    assert_eq!(driver.read(register::MAGIC_VALUE), 0x7472_6976);
    assert_eq!(driver.read(register::VERSION), 2);
    assert_eq!(driver.read(register::DEVICE_ID), 42);
    assert_eq!(driver.read(register::SHM_LEN_LOW), u32::MAX);
    assert_eq!(driver.read(0xf0), 0);
    driver.write(register::QUEUE_SEL, 1);
    assert_eq!(driver.read(register::QUEUE_NUM_MAX), 8);
    for absent in [2, u32::MAX] {
        driver.write(register::QUEUE_SEL, absent);
        assert_eq!(driver.read(register::QUEUE_NUM_MAX), 0);
    }
}

#[test]
fn features_are_offered_in_halves() {
    let mut driver = driver();
    let mut offered = [0; 3];
    for (select, half) in (0..).zip(&mut offered) {
        driver.write(register::DEVICE_FEATURES_SEL, select);
        *half = driver.read(register::DEVICE_FEATURES);
    }
    assert_eq!(offered, [1 << 3 | 1 << 28 | 1 << 29, 1 | 1 << 8, 0]);
}

#[test]
fn features_are_refused_without_version_1_or_if_not_offered() {
    for features in [0, 1 << 3, F_VERSION_1 | 1 << 4, F_VERSION_1 | 1 << 50] {
        let mut driver = driver();
        driver.agree(features);
        assert_eq!(driver.read(register::STATUS), 3, "{features:#x}");
        // Without an agreement nothing starts.
        driver.add_status(status::DRIVER_OK);
        assert_eq!(driver.read(register::STATUS), 3);
        driver.kick(0);
    }
}

#[test]
fn features_cannot_change_once_agreed() {
    let mut driver = driver();
    driver.agree(F_VERSION_1);
    assert_eq!(driver.read(register::STATUS), 11);
    driver.write(register::DRIVER_FEATURES_SEL, 1);
    driver.write(register::DRIVER_FEATURES, 0);
    assert_eq!(driver.transport.driver_features, F_VERSION_1);
}

#[test]
fn status_bits_are_set_in_order_and_never_cleared_but_by_a_reset() {
    let mut driver = driver();
    for early in [2, 4, 8] {
        driver.write(register::STATUS, early);
        assert_eq!(driver.read(register::STATUS), 0);
    }
    driver.agree(F_VERSION_1);
    driver.write(register::STATUS, 3);
    assert_eq!(driver.read(register::STATUS), 11);
    driver.write(register::STATUS, 11 | status::FAILED);
    driver.add_status(status::DRIVER_OK);
    assert_eq!(driver.read(register::STATUS), 11 | status::FAILED);
    driver.write(register::STATUS, 0);
    assert_eq!(driver.read(register::STATUS), 0);
}

#[test]
fn registers_answer_only_aligned_accesses_of_four_bytes() {
    let mut driver = driver();
    for (offset, width) in [(0, 1), (0, 2), (0, 8), (2, 4), (1, 4), (3, 1)] {
        let mut data = vec![0xff; width];
        driver.transport.read(offset, &mut data);
        assert!(data.iter().all(|byte| *byte == 0), "{offset}/{width}");
    }
    for (offset, data) in [
        (register::STATUS, &[1_u8][..]),
        (register::STATUS, &[1, 0]),
        (register::STATUS, &[1, 0, 0, 0, 0, 0, 0, 0]),
        (register::STATUS + 1, &[1, 0, 0, 0]),
        (u64::MAX - 3, &[1, 0, 0, 0]),
        (register::STATUS, &[]),
    ] {
        driver.transport.write(offset, data);
        assert_eq!(driver.read(register::STATUS), 0);
    }
}

#[test]
fn the_configuration_space_reads_at_any_width_and_ends_in_zeros() {
    let mut driver = driver();
    let mut read = |offset, width| {
        let mut data = vec![0xff; width];
        driver.transport.read(offset, &mut data);
        data
    };
    assert_eq!(read(register::CONFIG, 4), [1, 2, 3, 4]);
    assert_eq!(read(register::CONFIG + 1, 1), [2]);
    assert_eq!(read(register::CONFIG + 3, 2), [4, 5]);
    assert_eq!(read(register::CONFIG + 4, 8), [5, 6, 0, 0, 0, 0, 0, 0]);
    assert_eq!(read(u64::MAX, 1), [0]);
    driver.write(register::CONFIG, 7);
    assert_eq!(driver.read(register::CONFIG), 0x0403_0201);
}

#[test]
fn a_ready_queue_is_served_and_interrupts() {
    let mut driver = Driver::started(Echo::default());
    let head = driver.send(0, &[(0x1000, 8, WRITE)]);
    driver.kick(0);
    assert_eq!(driver.used(0), Some((u32::from(head), 0)));
    assert_eq!(driver.interrupts(), 1);
    assert_eq!(driver.read(register::INTERRUPT_STATUS), USED_BUFFER);
    driver.write(register::INTERRUPT_ACK, USED_BUFFER);
    assert_eq!(driver.read(register::INTERRUPT_STATUS), 0);
}

#[test]
fn the_driver_is_interrupted_only_where_it_asked_with_event_idx() {
    let mut driver = Driver::started(Echo::default());
    let used_event = driver.rings[0].available + 4 + 2 * 16;
    // "Tell me when the third is used."
    let address = vm_memory::GuestAddress(used_event);
    vm_memory::Bytes::write_obj(&driver.memory, 2_u16, address).unwrap();
    for expected in [0, 0, 1, 0] {
        driver.send(0, &[(0x1000, 8, WRITE)]);
        driver.kick(0);
        assert_eq!(driver.interrupts(), expected);
    }
}

#[test]
fn a_write_to_the_notification_register_wakes_the_event_thread() {
    let mut driver = Driver::started(Echo::default());
    let _ = driver.transport.queue_events()[1].read();
    driver.write(register::QUEUE_NOTIFY, 1);
    assert_eq!(driver.transport.queue_events()[1].read().unwrap(), 1);
    driver.write(register::QUEUE_NOTIFY, 2);
    driver.write(register::QUEUE_NOTIFY, u32::MAX);
}

#[test]
fn bad_queue_sizes_and_addresses_need_a_reset() {
    let cases = [
        ("size 0", register::QUEUE_NUM, 0),
        ("size not a power of two", register::QUEUE_NUM, 7),
        ("size above the most", register::QUEUE_NUM, 16),
        ("size above 16 bits", register::QUEUE_NUM, 0x1_0008),
        ("descriptors unaligned", register::QUEUE_DESC_LOW, 0x1_0008),
        ("available unaligned", register::QUEUE_DRIVER_LOW, 0x1_0001),
        ("used outside memory", register::QUEUE_DEVICE_HIGH, 1),
        (
            "descriptors past the end",
            register::QUEUE_DESC_LOW,
            0x1ff_fff0,
        ),
    ];
    for (what, field, value) in cases {
        let mut driver = driver();
        driver.agree(F_VERSION_1);
        driver.set_up_queue(1);
        driver.write(register::QUEUE_READY, 0);
        driver.write(field, value);
        driver.write(register::QUEUE_READY, 1);
        driver.add_status(status::DRIVER_OK);
        assert!(driver.needs_reset(), "{what}");
        assert_eq!(driver.read(register::INTERRUPT_STATUS), CONFIGURATION);
        assert_eq!(driver.transport.faults(), 1, "{what}");
        driver.kick(1);
        assert_eq!(driver.used(1), None, "{what}");
    }
}

#[test]
fn a_queue_is_not_configured_while_ready_running_or_before_agreement() {
    let mut driver = driver();
    driver.write(register::QUEUE_NUM, 4);
    driver.write(register::QUEUE_READY, 1);
    assert_eq!(driver.read(register::QUEUE_READY), 0);
    driver.agree(F_VERSION_1);
    driver.set_up_queue(0);
    driver.write(register::QUEUE_NUM, 4);
    assert_eq!(driver.transport.configs[0].size, 16);
    driver.add_status(status::DRIVER_OK);
    driver.write(register::QUEUE_READY, 0);
    assert_eq!(driver.read(register::QUEUE_READY), 1);
}

#[test]
fn queues_left_alone_are_not_served() {
    let mut driver = driver();
    driver.agree(F_VERSION_1);
    driver.set_up_queue(1);
    driver.add_status(status::DRIVER_OK);
    driver.kick(0);
    driver.kick(9);
    driver.send(1, &[(0x1000, 8, WRITE)]);
    driver.kick(1);
    assert!(driver.used(1).is_some());
    assert!(!driver.needs_reset());
}

#[test]
fn a_reset_stops_the_device_and_it_can_start_again() {
    let mut driver = Driver::started(Echo::default());
    driver.set_available(0, 1000);
    driver.kick(0);
    assert!(driver.needs_reset());
    driver.write(register::STATUS, 0);
    assert_eq!(driver.read(register::STATUS), 0);
    assert_eq!(driver.read(register::INTERRUPT_STATUS), 0);
    driver.kick(0);
    driver.start(F_VERSION_1);
    driver.send(0, &[(0x1000, 8, WRITE)]);
    driver.kick(0);
    assert!(driver.used(0).is_some());
    assert_eq!(driver.transport.faults(), 1, "a reset forgets no fault");
}

#[test]
fn a_restored_device_goes_on_where_the_queues_stood() {
    let mut driver = Driver::started(Echo::default());
    for _ in 0..3 {
        driver.send(1, &[(0x1000, 8, WRITE)]);
        driver.kick(1);
        assert!(driver.used(1).is_some());
    }
    // Offered, and the notification not served: it is found by looking.
    driver.send(1, &[(0x1000, 8, WRITE)]);
    let mut driver = driver.restored(Echo::default()).unwrap();
    assert_eq!(driver.read(register::STATUS), 15);
    assert_eq!(driver.read(register::CONFIG_GENERATION), 0);
    driver.kick(1);
    assert!(driver.used(1).is_some());
    assert!(driver.used(1).is_none());
    driver.send(0, &[(0x1000, 8, WRITE)]);
    driver.kick(0);
    assert!(driver.used(0).is_some());
    assert!(!driver.needs_reset());
}

#[test]
fn interrupts_not_acknowledged_are_raised_again() {
    let mut driver = Driver::started(Echo::default());
    driver.send(0, &[(0x1000, 8, WRITE)]);
    driver.kick(0);
    assert_eq!(driver.interrupts(), 1);
    let mut driver = driver.restored(Echo::default()).unwrap();
    assert_eq!(driver.interrupts(), 1);
    assert_eq!(driver.read(register::INTERRUPT_STATUS), USED_BUFFER);
}

#[test]
fn a_device_that_was_not_started_is_restored_unstarted() {
    let mut driver = Driver::new(Echo::default());
    driver.agree(F_VERSION_1);
    let mut driver = driver.restored(Echo::default()).unwrap();
    assert_eq!(driver.read(register::STATUS), 11);
    driver.set_up_queue(0);
    driver.add_status(status::DRIVER_OK);
    driver.send(0, &[(0x1000, 8, WRITE)]);
    driver.kick(0);
    assert!(driver.used(0).is_some());
}

#[test]
fn a_queue_that_was_broken_stays_broken() {
    let mut driver = Driver::started(Echo::default());
    driver.set_available(0, 1000);
    driver.kick(0);
    assert!(driver.needs_reset());
    let mut driver = driver.restored(Echo::default()).unwrap();
    assert!(driver.needs_reset());
    driver.set_available(0, 1);
    driver.kick(0);
    assert!(driver.used(0).is_none());
}

#[test]
fn state_of_another_device_or_outside_memory_is_refused() {
    struct Other;
    impl VirtioDevice for Other {
        fn identity(&self) -> Identity {
            Identity {
                id: 43,
                ..Echo::default().identity()
            }
        }
        fn handle_queue(&mut self, _: usize, _: &mut Queues) -> Result<(), DeviceError> {
            Ok(())
        }
    }
    assert!(Driver::started(Echo::default()).restored(Other).is_err());
    let driver = Driver::started(Echo::default());
    let good = driver.transport.save();
    let restore = |change: &dyn Fn(&mut TransportState)| {
        let mut state = good.clone();
        change(&mut state);
        let line = EventFd::new(libc::EFD_NONBLOCK).unwrap();
        let (memory, line) = (driver.memory.clone(), Interrupt::new(line));
        Transport::restored(Box::new(Echo::default()), memory, line, &state)
    };
    assert!(restore(&|_| {}).is_ok());
    assert!(restore(&|state| state.queues[0].descriptors = u64::MAX).is_err());
    assert!(restore(&|state| state.queues[0].size = 3).is_err());
    assert!(restore(&|state| state.queues[1].next_available = 1 << 16).is_err());
    assert!(restore(&|state| state.queues.truncate(1)).is_err());
}
