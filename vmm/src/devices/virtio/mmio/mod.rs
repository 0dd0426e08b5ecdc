// SPDX-License-Identifier: Apache-2.0
//! The MMIO transport (virtio 1.2 §4.2): registers, status machine, negotiation, needs-reset.
//!
//! ```text
//!            ACKNOWLEDGE, DRIVER          FEATURES_OK             DRIVER_OK
//!   reset ──────────────────────► known ──────────────► agreed ─────────────► running
//!     ▲   (features are written)        (refused without (queues are written)   │ a ring
//!     │                                  VERSION_1)                             ▼ breaks
//!     └───────────────────────── status := 0 ◄────────────────────── running + NEEDS_RESET
//! ```
//!
//! Registers come from vCPU threads through the bus, notifications from the event thread; both
//! lock the whole transport. The notification register is an ioeventfd in KVM, so that a
//! notification never waits for the lock on a vCPU thread.
//!
//! What the driver writes in a state where the specification does not allow it has no effect.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod state;

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

use vmm_sys_util::eventfd::EventFd;

use super::log_limit::LogLimit;
use super::queue::{QueueConfig, QueueContext, Queues};
use super::{DeviceError, Identity, VirtioDevice};
use crate::bus::BusDevice;
use crate::interrupt::Interrupt;
use crate::memory::GuestMemory;

/// Register offsets (virtio 1.2 §4.2.2, table 4.1).
pub mod register {
    #![expect(missing_docs, reason = "the names are the specification's")]
    pub const MAGIC_VALUE: u64 = 0x00;
    pub const VERSION: u64 = 0x04;
    pub const DEVICE_ID: u64 = 0x08;
    pub const VENDOR_ID: u64 = 0x0c;
    pub const DEVICE_FEATURES: u64 = 0x10;
    pub const DEVICE_FEATURES_SEL: u64 = 0x14;
    pub const DRIVER_FEATURES: u64 = 0x20;
    pub const DRIVER_FEATURES_SEL: u64 = 0x24;
    pub const QUEUE_SEL: u64 = 0x30;
    pub const QUEUE_NUM_MAX: u64 = 0x34;
    pub const QUEUE_NUM: u64 = 0x38;
    pub const QUEUE_READY: u64 = 0x44;
    pub const QUEUE_NOTIFY: u64 = 0x50;
    pub const INTERRUPT_STATUS: u64 = 0x60;
    pub const INTERRUPT_ACK: u64 = 0x64;
    pub const STATUS: u64 = 0x70;
    pub const QUEUE_DESC_LOW: u64 = 0x80;
    pub const QUEUE_DESC_HIGH: u64 = 0x84;
    pub const QUEUE_DRIVER_LOW: u64 = 0x90;
    pub const QUEUE_DRIVER_HIGH: u64 = 0x94;
    pub const QUEUE_DEVICE_LOW: u64 = 0xa0;
    pub const QUEUE_DEVICE_HIGH: u64 = 0xa4;
    pub const SHM_LEN_LOW: u64 = 0xb0;
    pub const SHM_LEN_HIGH: u64 = 0xb4;
    pub const CONFIG_GENERATION: u64 = 0xfc;
    pub const CONFIG: u64 = 0x100;
}

/// Device status bits (virtio 1.2 §2.1).
pub mod status {
    #![expect(missing_docs, reason = "the names are the specification's")]
    pub const ACKNOWLEDGE: u32 = 1;
    pub const DRIVER: u32 = 2;
    pub const DRIVER_OK: u32 = 4;
    pub const FEATURES_OK: u32 = 8;
    pub const NEEDS_RESET: u32 = 64;
    pub const FAILED: u32 = 128;
}

/// `VIRTIO_F_INDIRECT_DESC` (virtio 1.2 §6).
pub const F_INDIRECT_DESC: u64 = 1 << 28;
/// `VIRTIO_F_EVENT_IDX` (virtio 1.2 §6).
pub const F_EVENT_IDX: u64 = 1 << 29;
/// `VIRTIO_F_VERSION_1` (virtio 1.2 §6).
pub const F_VERSION_1: u64 = 1 << 32;

/// What the transport offers for every device.
const TRANSPORT_FEATURES: u64 = F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1;
/// "virt" (virtio 1.2 §4.2.2).
const MAGIC: u32 = u32::from_le_bytes(*b"virt");
/// The version of the register layout (virtio 1.2 §4.2.2).
const VERSION: u32 = 2;
/// No vendor: the field has no registry, and 0 is not in use.
const VENDOR: u32 = 0;

/// A virtio device at an MMIO window.
pub struct Transport {
    device: Box<dyn VirtioDevice>,
    identity: Identity,
    memory: GuestMemory,
    interrupt: Interrupt,
    events: Vec<EventFd>,
    status: u32,
    device_features_sel: u32,
    driver_features_sel: u32,
    driver_features: u64,
    queue_sel: u32,
    /// Counts the changes of the configuration space.
    generation: u32,
    configs: Vec<QueueConfig>,
    /// Present from `DRIVER_OK` to reset.
    running: Option<Queues>,
    /// Rings broken since the start; a reset does not forget them.
    faults: u64,
    log_limit: LogLimit,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("name", &self.identity.name)
            .field("status", &self.status)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// A transport in its reset state.
    ///
    /// # Errors
    /// The host is out of descriptors for the queues' notifications.
    pub fn new(
        device: Box<dyn VirtioDevice>,
        memory: GuestMemory,
        interrupt: Interrupt,
    ) -> io::Result<Self> {
        let identity = device.identity();
        let events = identity.queue_sizes.iter();
        let events = events.map(|_| EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC));
        Ok(Self {
            events: events.collect::<io::Result<_>>()?,
            configs: fresh(&identity),
            device,
            identity,
            memory,
            interrupt,
            status: 0,
            device_features_sel: 0,
            driver_features_sel: 0,
            driver_features: 0,
            queue_sel: 0,
            generation: 0,
            running: None,
            faults: 0,
            log_limit: LogLimit::new(),
        })
    }

    /// For logs and the supervisor.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.identity.name
    }

    /// How often the guest broke a ring of this device.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// One eventfd a queue: KVM writes it when the driver writes the queue's index to
    /// [`register::QUEUE_NOTIFY`].
    #[must_use]
    pub fn queue_events(&self) -> &[EventFd] {
        &self.events
    }

    /// The descriptor the event loop waits for besides the queues' (see
    /// [`VirtioDevice::backend`]).
    #[must_use]
    pub fn backend(&self) -> Option<RawFd> {
        self.device.backend().map(|fd| fd.as_raw_fd())
    }

    /// The driver notified queue `index`.
    ///
    /// # Errors
    /// [`DeviceError::Host`]; what the guest breaks is dealt with here.
    pub fn handle_queue(&mut self, index: usize) -> Result<(), DeviceError> {
        if let Some(event) = self.events.get(index) {
            match event.read() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Some(queues) = &mut self.running else {
            return Ok(());
        };
        let handled = self.device.handle_queue(index, queues);
        self.settle(handled)
    }

    /// The device's backend is readable.
    ///
    /// # Errors
    /// [`DeviceError::Host`]; what the guest breaks is dealt with here.
    pub fn handle_backend(&mut self) -> Result<(), DeviceError> {
        let Some(queues) = &mut self.running else {
            return Ok(());
        };
        let handled = self.device.handle_backend(queues);
        self.settle(handled)
    }

    /// Stops the device; the transport is then as after a reset.
    fn stop(&mut self) {
        self.running = None;
        self.device.stop();
        self.status = 0;
        self.driver_features = 0;
        self.device_features_sel = 0;
        self.driver_features_sel = 0;
        self.queue_sel = 0;
        self.configs = fresh(&self.identity);
        self.interrupt.acknowledge(u32::MAX);
    }

    fn settle(&mut self, handled: Result<(), DeviceError>) -> Result<(), DeviceError> {
        let Err(DeviceError::Guest(fault)) = handled else {
            return handled;
        };
        self.faults = self.faults.saturating_add(1);
        if self.log_limit.allows() {
            log::warn!("{}: {fault}; a queue is stopped", self.identity.name);
        }
        // virtio 1.2 §2.1.2: the notification is for drivers that have set DRIVER_OK, which is
        // so wherever queues are served.
        self.status |= status::NEEDS_RESET;
        Ok(self.interrupt.signal_config()?)
    }

    fn offered(&self) -> u64 {
        self.identity.features | TRANSPORT_FEATURES
    }

    fn has(&self, bits: u32) -> bool {
        self.status & bits == bits
    }

    fn read_register(&self, offset: u64) -> u32 {
        match offset {
            register::MAGIC_VALUE => MAGIC,
            register::VERSION => VERSION,
            register::DEVICE_ID => self.identity.id,
            register::VENDOR_ID => VENDOR,
            register::DEVICE_FEATURES => half(self.offered(), self.device_features_sel),
            register::QUEUE_NUM_MAX => self.selected().map_or(0, |q| u32::from(q.max_size())),
            register::QUEUE_READY => self.selected().map_or(0, |q| u32::from(q.ready)),
            register::INTERRUPT_STATUS => self.interrupt.causes(),
            register::STATUS => self.status,
            // virtio 1.2 §4.2.2: a shared memory region that does not exist is -1 long.
            register::SHM_LEN_LOW | register::SHM_LEN_HIGH => u32::MAX,
            register::CONFIG_GENERATION => self.generation,
            // The rest is write-only or unknown.
            _ => 0,
        }
    }

    fn write_register(&mut self, offset: u64, value: u32) -> Result<(), DeviceError> {
        match offset {
            register::DEVICE_FEATURES_SEL => self.device_features_sel = value,
            register::DRIVER_FEATURES_SEL => self.driver_features_sel = value,
            register::DRIVER_FEATURES => self.accept_features(value),
            register::QUEUE_SEL => self.queue_sel = value,
            register::QUEUE_NOTIFY => self.kick(value)?,
            register::INTERRUPT_ACK => self.interrupt.acknowledge(value),
            register::STATUS => self.write_status(value)?,
            _ => self.configure_queue(offset, value),
        }
        Ok(())
    }

    /// Without the ioeventfd (an access of another width, or a test) a notification still
    /// reaches the event thread and no other.
    fn kick(&self, index: u32) -> io::Result<()> {
        let index = usize::try_from(index).ok();
        match index.and_then(|index| self.events.get(index)) {
            Some(event) => event.write(1),
            None => Ok(()),
        }
    }

    fn accept_features(&mut self, value: u32) {
        if !self.has(status::DRIVER) || self.has(status::FEATURES_OK) {
            return;
        }
        let value = u64::from(value);
        self.driver_features = match self.driver_features_sel {
            0 => self.driver_features & !0xffff_ffff | value,
            1 => self.driver_features & 0xffff_ffff | value << 32,
            _ => return,
        };
    }

    fn selected(&self) -> Option<&QueueConfig> {
        self.configs.get(usize::try_from(self.queue_sel).ok()?)
    }

    /// virtio 1.2 §4.2.3.2: queues are set up between `FEATURES_OK` and `DRIVER_OK`, a queue's
    /// fields while it is not ready.
    fn configure_queue(&mut self, offset: u64, value: u32) {
        if !self.has(status::FEATURES_OK) || self.has(status::DRIVER_OK) {
            return;
        }
        let Ok(index) = usize::try_from(self.queue_sel) else {
            return;
        };
        let Some(queue) = self.configs.get_mut(index) else {
            return;
        };
        match offset {
            register::QUEUE_READY => queue.ready = value & 1 == 1,
            _ if queue.ready => {}
            register::QUEUE_NUM => queue.size = value,
            register::QUEUE_DESC_LOW => set_low(&mut queue.descriptors, value),
            register::QUEUE_DESC_HIGH => set_high(&mut queue.descriptors, value),
            register::QUEUE_DRIVER_LOW => set_low(&mut queue.driver, value),
            register::QUEUE_DRIVER_HIGH => set_high(&mut queue.driver, value),
            register::QUEUE_DEVICE_LOW => set_low(&mut queue.device, value),
            register::QUEUE_DEVICE_HIGH => set_high(&mut queue.device, value),
            _ => {}
        }
    }

    fn write_status(&mut self, value: u32) -> Result<(), DeviceError> {
        use status::{ACKNOWLEDGE, DRIVER, DRIVER_OK, FAILED, FEATURES_OK};
        if value == 0 {
            self.stop();
            return Ok(());
        }
        // virtio 1.2 §2.1.1: the driver never clears a bit but by a reset, and sets them in order.
        let added = value & !self.status;
        if self.status & !(value | status::NEEDS_RESET) != 0 {
            return Ok(());
        }
        self.status |= added & (ACKNOWLEDGE | FAILED);
        if self.has(ACKNOWLEDGE) {
            self.status |= added & DRIVER;
        }
        if added & FEATURES_OK != 0 && self.has(DRIVER) && self.features_agree() {
            self.status |= FEATURES_OK;
        }
        if added & DRIVER_OK != 0 && self.has(FEATURES_OK) && !self.has(FAILED) {
            self.status |= DRIVER_OK;
            let started = self.start().inspect_err(|_| self.device.stop());
            self.settle(started)?;
        }
        Ok(())
    }

    /// virtio 1.2 §2.2.2: a subset of what was offered. Legacy drivers (§6.1) are not served.
    fn features_agree(&self) -> bool {
        self.driver_features & !self.offered() == 0 && self.driver_features & F_VERSION_1 != 0
    }

    fn start(&mut self) -> Result<(), DeviceError> {
        let mut queues = Vec::with_capacity(self.configs.len());
        for (config, kick) in self.configs.iter().zip(&self.events) {
            let context = QueueContext {
                memory: &self.memory,
                interrupt: &self.interrupt,
                kick,
                event_idx: self.driver_features & F_EVENT_IDX != 0,
            };
            queues.push(match config.ready {
                true => Some(config.activate(&context)?),
                false => None,
            });
        }
        self.device.start()?;
        self.running = Some(Queues(queues));
        // A driver may have notified before it was ready; look once at every queue.
        for event in &self.events {
            event.write(1)?;
        }
        Ok(())
    }
}

impl BusDevice for Transport {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if let Some(offset) = offset.checked_sub(register::CONFIG) {
            let config = usize::try_from(offset)
                .ok()
                .and_then(|o| self.device.config().get(o..));
            for (to, from) in data.iter_mut().zip(config.unwrap_or_default()) {
                *to = *from;
            }
        } else if offset.is_multiple_of(4) && data.len() == 4 {
            data.copy_from_slice(&self.read_register(offset).to_le_bytes());
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        // virtio 1.2 §4.2.2.2: registers are written in 32 bits, aligned. No device here has a
        // writable configuration space.
        let Ok(value) = <[u8; 4]>::try_from(data) else {
            return;
        };
        if offset >= register::CONFIG || !offset.is_multiple_of(4) {
            return;
        }
        if let Err(error) = self.write_register(offset, u32::from_le_bytes(value)) {
            // The host could not start the device or wake its thread: the driver cannot use it.
            self.status |= status::NEEDS_RESET | status::FAILED;
            if self.log_limit.allows() {
                log::error!("{}: {error}", self.identity.name);
            }
        }
    }
}

fn fresh(identity: &Identity) -> Vec<QueueConfig> {
    let sizes = identity.queue_sizes.iter();
    sizes.map(|size| QueueConfig::new(*size)).collect()
}

fn half(features: u64, select: u32) -> u32 {
    let [a, b, c, d, e, f, g, h] = features.to_le_bytes();
    match select {
        0 => u32::from_le_bytes([a, b, c, d]),
        1 => u32::from_le_bytes([e, f, g, h]),
        _ => 0,
    }
}

fn set_low(address: &mut u64, value: u32) {
    *address = *address & !0xffff_ffff | u64::from(value);
}

fn set_high(address: &mut u64, value: u32) {
    *address = *address & 0xffff_ffff | u64::from(value) << 32;
}

#[cfg(test)]
mod tests;
