// SPDX-License-Identifier: Apache-2.0
//! A driver for tests: it writes rings into guest memory and registers into a transport, and
//! can be as wrong about it as a test wants.

use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use super::VirtioDevice;
use super::mmio::{F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1, Transport, register, status};
use crate::bus::BusDevice;
use crate::interrupt::Interrupt;
use crate::memory::GuestMemory;
use crate::snapshot::SnapshotError;

/// Bytes of the test guest's memory.
pub(crate) const MEMORY: u64 = 32 << 20;
const RINGS: u64 = 0x1_0000;
const BUFFERS: u64 = 0x10_0000;

/// Descriptor flags (virtio 1.2 §2.7.5).
pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;
pub(crate) const INDIRECT: u16 = 4;

/// A descriptor as the driver writes it.
#[derive(Clone, Copy)]
pub(crate) struct Descriptor {
    pub(crate) address: u64,
    pub(crate) len: u32,
    pub(crate) flags: u16,
    pub(crate) next: u16,
}

/// One ring's addresses and positions.
#[derive(Clone, Copy)]
pub(crate) struct Ring {
    pub(crate) descriptors: u64,
    pub(crate) available: u64,
    pub(crate) used: u64,
    size: u16,
    next_descriptor: u16,
    next_available: u16,
    next_used: u16,
}

pub(crate) struct Driver {
    pub(crate) transport: Transport,
    pub(crate) memory: GuestMemory,
    line: EventFd,
    pub(crate) rings: Vec<Ring>,
    next_buffer: u64,
}

pub(crate) fn memory() -> GuestMemory {
    GuestMemory::from_ranges(&[(GuestAddress(0), usize::try_from(MEMORY).unwrap())]).unwrap()
}

impl Driver {
    /// A driver of a device in its reset state.
    pub(crate) fn new(device: impl VirtioDevice + 'static) -> Self {
        Self::new_in(memory(), device)
    }

    fn new_in(memory: GuestMemory, device: impl VirtioDevice + 'static) -> Self {
        let line = EventFd::new(libc::EFD_NONBLOCK).unwrap();
        let rings = (0..).zip(device.identity().queue_sizes);
        let rings = rings.map(|(i, size)| Ring {
            descriptors: RINGS + i * 0x4000,
            available: RINGS + i * 0x4000 + 0x1000,
            used: RINGS + i * 0x4000 + 0x2000,
            size: *size,
            next_descriptor: 0,
            next_available: 0,
            next_used: 0,
        });
        let rings = rings.collect();
        let interrupt = Interrupt::new(line.try_clone().unwrap());
        let transport = Transport::new(Box::new(device), memory.clone(), interrupt).unwrap();
        Self {
            transport,
            memory,
            line,
            rings,
            next_buffer: BUFFERS,
        }
    }

    /// A driver that has set its device up in order.
    pub(crate) fn started(device: impl VirtioDevice + 'static) -> Self {
        Self::started_in(memory(), device)
    }

    /// The same, in memory the test has too.
    pub(crate) fn started_in(memory: GuestMemory, device: impl VirtioDevice + 'static) -> Self {
        let mut driver = Self::new_in(memory, device);
        driver.start(F_VERSION_1 | F_EVENT_IDX | F_INDIRECT_DESC);
        driver
    }

    /// Sets the device up as virtio 1.2 §3.1.1 says.
    pub(crate) fn start(&mut self, features: u64) {
        self.agree(features);
        for index in 0..self.rings.len() {
            self.set_up_queue(index);
        }
        self.add_status(status::DRIVER_OK);
        assert_eq!(self.read(register::STATUS), 15);
    }

    /// The same guest with its device in another VMM.
    pub(crate) fn restored(
        mut self,
        device: impl VirtioDevice + 'static,
    ) -> Result<Self, SnapshotError> {
        let state = self.transport.save();
        let interrupt = Interrupt::new(self.line.try_clone().unwrap());
        let memory = self.memory.clone();
        self.transport = Transport::restored(Box::new(device), memory, interrupt, &state)?;
        Ok(self)
    }

    pub(crate) fn agree(&mut self, features: u64) {
        self.add_status(status::ACKNOWLEDGE);
        self.add_status(status::DRIVER);
        for half in 0..2 {
            self.write(register::DRIVER_FEATURES_SEL, half);
            let value = (features >> (32 * half)) & 0xffff_ffff;
            self.write(register::DRIVER_FEATURES, u32::try_from(value).unwrap());
        }
        self.add_status(status::FEATURES_OK);
    }

    pub(crate) fn set_up_queue(&mut self, index: usize) {
        let ring = &mut self.rings[index];
        (ring.next_descriptor, ring.next_available, ring.next_used) = (0, 0, 0);
        let ring = *ring;
        self.memory
            .write_obj(0u32, GuestAddress(ring.available))
            .unwrap();
        self.memory
            .write_obj(0u32, GuestAddress(ring.used))
            .unwrap();
        self.write(register::QUEUE_SEL, u32::try_from(index).unwrap());
        self.write(register::QUEUE_NUM, u32::from(ring.size));
        for (low, address) in [
            (register::QUEUE_DESC_LOW, ring.descriptors),
            (register::QUEUE_DRIVER_LOW, ring.available),
            (register::QUEUE_DEVICE_LOW, ring.used),
        ] {
            self.write(low, u32::try_from(address & 0xffff_ffff).unwrap());
            self.write(low + 4, u32::try_from(address >> 32).unwrap());
        }
        self.write(register::QUEUE_READY, 1);
    }

    pub(crate) fn add_status(&mut self, bit: u32) {
        let status = self.read(register::STATUS);
        self.write(register::STATUS, status | bit);
    }

    pub(crate) fn read(&mut self, offset: u64) -> u32 {
        let mut data = [0xff; 4];
        self.transport.read(offset, &mut data);
        u32::from_le_bytes(data)
    }

    pub(crate) fn write(&mut self, offset: u64, value: u32) {
        self.transport.write(offset, &value.to_le_bytes());
    }

    /// Interrupts raised since last asked.
    pub(crate) fn interrupts(&mut self) -> u64 {
        self.line.read().unwrap_or(0)
    }

    pub(crate) fn needs_reset(&mut self) -> bool {
        self.read(register::STATUS) & status::NEEDS_RESET != 0
    }

    /// Memory of the guest that nothing else uses.
    pub(crate) fn allocate(&mut self, len: usize) -> u64 {
        let address = self.next_buffer;
        self.next_buffer += u64::try_from(len).unwrap().next_multiple_of(16);
        assert!(self.next_buffer <= MEMORY);
        address
    }

    /// Reuses memory from the last quarter on: for tests that send a lot, one thing at a time.
    pub(crate) fn rewind(&mut self) {
        self.next_buffer = MEMORY / 4 * 3;
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> u64 {
        let address = self.allocate(bytes.len());
        self.memory
            .write_slice(bytes, GuestAddress(address))
            .unwrap();
        address
    }

    pub(crate) fn bytes(&self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.memory
            .read_slice(&mut bytes, GuestAddress(address))
            .unwrap();
        bytes
    }

    pub(crate) fn describe(&self, table: u64, index: u16, descriptor: Descriptor) {
        let Descriptor {
            address,
            len,
            flags,
            next,
        } = descriptor;
        let at = table + 16 * u64::from(index);
        self.memory.write_obj(address, GuestAddress(at)).unwrap();
        self.memory.write_obj(len, GuestAddress(at + 8)).unwrap();
        self.memory.write_obj(flags, GuestAddress(at + 12)).unwrap();
        self.memory.write_obj(next, GuestAddress(at + 14)).unwrap();
    }

    /// Makes a chain available, without a notification.
    pub(crate) fn offer(&mut self, queue: usize, head: u16) {
        let ring = &mut self.rings[queue];
        let slot = u64::from(ring.next_available % ring.size);
        ring.next_available = ring.next_available.wrapping_add(1);
        let next = ring.next_available;
        let available = ring.available;
        self.memory
            .write_obj(head, GuestAddress(available + 4 + 2 * slot))
            .unwrap();
        self.set_available(queue, next);
    }

    pub(crate) fn set_available(&mut self, queue: usize, index: u16) {
        let at = self.rings[queue].available + 2;
        self.memory.write_obj(index, GuestAddress(at)).unwrap();
    }

    /// Offers a chain of these buffers and returns its head.
    pub(crate) fn send(&mut self, queue: usize, buffers: &[(u64, usize, u16)]) -> u16 {
        let ring = &mut self.rings[queue];
        let (table, size, head) = (ring.descriptors, ring.size, ring.next_descriptor);
        let count = u16::try_from(buffers.len()).unwrap();
        ring.next_descriptor = (head + count) % size;
        for (i, (address, len, flags)) in (0..).zip(buffers) {
            let last = i + 1 == count;
            let descriptor = Descriptor {
                address: *address,
                len: u32::try_from(*len).unwrap(),
                flags: if last { *flags } else { flags | NEXT },
                next: (head + i + 1) % size,
            };
            self.describe(table, (head + i) % size, descriptor);
        }
        self.offer(queue, head);
        head
    }

    /// The event thread's part: the queue's notification is served.
    pub(crate) fn kick(&mut self, queue: usize) {
        self.transport.handle_queue(queue).unwrap();
    }

    /// The next chain given back: its head and length.
    pub(crate) fn used(&mut self, queue: usize) -> Option<(u32, u32)> {
        let ring = &mut self.rings[queue];
        let index: u16 = self.memory.read_obj(GuestAddress(ring.used + 2)).unwrap();
        if index == ring.next_used {
            return None;
        }
        let slot = u64::from(ring.next_used % ring.size);
        ring.next_used = ring.next_used.wrapping_add(1);
        let at = ring.used + 4 + 8 * slot;
        let id = self.memory.read_obj(GuestAddress(at)).unwrap();
        let len = self.memory.read_obj(GuestAddress(at + 4)).unwrap();
        Some((id, len))
    }
}
