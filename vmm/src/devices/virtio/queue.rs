// SPDX-License-Identifier: Apache-2.0
//! Split virtqueues (virtio 1.2 §2.7): what the driver configures, and what a device serves.
//!
//! [`QueueConfig`] holds what the driver writes and is never popped from; [`QueueConfig::activate`]
//! checks it and gives a [`Queue`], which cannot be reconfigured. A queue on which the driver
//! contradicts itself is broken for good: it yields nothing more.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;

use virtio_queue::{Queue as Ring, QueueOwnedT, QueueT};
use vm_memory::{GuestAddress, GuestMemoryBackend};
use vmm_sys_util::eventfd::EventFd;

use super::chain::{Chain, Head};
use super::{DeviceError, RingFault};
use crate::interrupt::Interrupt;
use crate::memory::GuestMemory;
use crate::snapshot::QueueState;

/// Most chains served in one go. A driver that adds chains as fast as they are used would
/// otherwise keep the event thread from every other device and from the life timer.
const CHAINS_A_TURN: u32 = 256;
/// Most bytes of buffers served in one go, for the same reason; a chain is never split.
const BYTES_A_TURN: usize = 4 << 20;

/// A queue as the driver describes it, before the device serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    max_size: u16,
    /// Entries; anything the driver wrote, checked by `activate`.
    pub size: u32,
    /// The driver wants this queue served.
    pub ready: bool,
    /// Guest address of the descriptor table.
    pub descriptors: u64,
    /// Guest address of the available ring.
    pub driver: u64,
    /// Guest address of the used ring.
    pub device: u64,
}

/// What an active queue is given besides its configuration.
#[derive(Debug)]
pub struct QueueContext<'a> {
    /// Guest memory.
    pub memory: &'a GuestMemory,
    /// The device's line.
    pub interrupt: &'a Interrupt,
    /// The queue's own notification, for [`Queue`] to come back to what it left.
    pub kick: &'a EventFd,
    /// `VIRTIO_F_EVENT_IDX` was negotiated.
    pub event_idx: bool,
}

impl QueueConfig {
    /// A queue of at most `max_size` entries that the driver has not touched.
    #[must_use]
    pub fn new(max_size: u16) -> Self {
        Self {
            max_size,
            size: u32::from(max_size),
            ready: false,
            descriptors: 0,
            driver: 0,
            device: 0,
        }
    }

    /// Takes over what the driver wrote; `activate` checks it as ever.
    pub(super) fn restore(&mut self, state: &QueueState) {
        self.size = state.size;
        self.ready = state.ready;
        self.descriptors = state.descriptors;
        self.driver = state.driver;
        self.device = state.device;
    }

    /// Most entries.
    #[must_use]
    pub fn max_size(&self) -> u16 {
        self.max_size
    }

    /// The queue, ready to be served.
    ///
    /// # Errors
    /// The rings are not aligned, not in guest memory, or not of a size allowed; or the host is
    /// out of descriptors.
    pub fn activate(&self, context: &QueueContext<'_>) -> Result<Queue, DeviceError> {
        let ring = self.place(context).ok_or(RingFault::Placement)?;
        Ok(Queue {
            ring,
            memory: context.memory.clone(),
            interrupt: context.interrupt.clone(),
            kick: context.kick.try_clone()?,
            untold: false,
            broken: false,
        })
    }

    fn place(&self, context: &QueueContext<'_>) -> Option<Ring> {
        let mut ring = Ring::new(self.max_size).ok()?;
        let size = u16::try_from(self.size).ok()?;
        ring.try_set_size(size).ok()?;
        let entries = usize::from(size);
        // virtio 1.2 §2.7: 16 bytes a descriptor; rings have 6 bytes beside their entries of 2
        // and 8 bytes.
        let parts = [
            (self.descriptors, entries.checked_mul(16)?),
            (self.driver, entries.checked_mul(2)?.checked_add(6)?),
            (self.device, entries.checked_mul(8)?.checked_add(6)?),
        ];
        for (base, len) in parts {
            if !GuestMemoryBackend::check_range(context.memory, GuestAddress(base), len) {
                return None;
            }
        }
        ring.try_set_desc_table_address(GuestAddress(self.descriptors))
            .ok()?;
        ring.try_set_avail_ring_address(GuestAddress(self.driver))
            .ok()?;
        ring.try_set_used_ring_address(GuestAddress(self.device))
            .ok()?;
        ring.set_event_idx(context.event_idx);
        ring.set_ready(true);
        Some(ring)
    }
}

/// A queue being served.
#[derive(Debug)]
pub struct Queue {
    ring: Ring,
    memory: GuestMemory,
    interrupt: Interrupt,
    kick: EventFd,
    /// Chains were given back that the driver was not told of.
    untold: bool,
    broken: bool,
}

impl Queue {
    /// The next chain, if the driver has one for us.
    ///
    /// # Errors
    /// The driver broke the ring; the queue yields nothing from now on.
    pub fn pop(&mut self) -> Result<Option<Chain<'_>>, DeviceError> {
        if self.broken {
            return Ok(None);
        }
        let limit = self.ring.size();
        // Marked broken first, for borrows: the chain returned keeps `self.memory` borrowed.
        self.broken = true;
        let descriptors = match self.ring.iter(&self.memory) {
            Ok(mut chains) => chains.next(),
            Err(_) => return Err(RingFault::Index.into()),
        };
        let chain = match descriptors {
            Some(descriptors) => Some(Chain::collect(&self.memory, descriptors, limit)?),
            None => None,
        };
        self.broken = false;
        Ok(chain)
    }

    /// Puts the chain popped last back, untouched: the next [`Queue::pop`] yields it again.
    pub fn undo_pop(&mut self) {
        self.ring.go_to_previous_position();
    }

    /// Gives a chain back to the driver, `written` bytes of its writable buffers filled.
    ///
    /// # Errors
    /// The used ring cannot be written.
    pub fn add_used(&mut self, head: Head, written: u32) -> Result<(), DeviceError> {
        self.untold = true;
        let added = self.ring.add_used(&self.memory, head.0, written);
        added.map_err(|_| self.fault(RingFault::Placement))
    }

    /// Interrupts the driver if it wants to know about the chains given back.
    ///
    /// # Errors
    /// The rings cannot be read, or the interrupt cannot be raised.
    pub fn notify(&mut self) -> Result<(), DeviceError> {
        if !std::mem::take(&mut self.untold) {
            return Ok(());
        }
        match self.ring.needs_notification(&self.memory) {
            Ok(true) => Ok(self.interrupt.signal_queue()?),
            Ok(false) => Ok(()),
            Err(_) => Err(self.fault(RingFault::Placement)),
        }
    }

    /// Asks the driver to notify us of the next chain. `true`: there is one already.
    ///
    /// # Errors
    /// The rings cannot be accessed.
    pub fn wait(&mut self) -> Result<bool, DeviceError> {
        let waiting = self.ring.enable_notification(&self.memory);
        waiting.map_err(|_| self.fault(RingFault::Placement))
    }

    /// Asks the driver not to notify us: we look by ourselves.
    ///
    /// # Errors
    /// The rings cannot be accessed.
    pub fn busy(&mut self) -> Result<(), DeviceError> {
        let told = self.ring.disable_notification(&self.memory);
        told.map_err(|_| self.fault(RingFault::Placement))
    }

    /// Serves the chains there are: `serve` returns how many bytes it wrote. After many chains
    /// the rest is left for another turn of the event loop, which is arranged here.
    ///
    /// # Errors
    /// What `serve` returns, or as the other operations.
    pub fn serve<F>(&mut self, mut serve: F) -> Result<(), DeviceError>
    where
        F: FnMut(Chain<'_>) -> Result<u32, DeviceError>,
    {
        let (mut left, mut bytes_left) = (CHAINS_A_TURN, BYTES_A_TURN);
        loop {
            self.busy()?;
            while let Some(chain) = self.pop()? {
                let head = chain.head();
                let bytes = chain.readable.len().saturating_add(chain.writable.len());
                bytes_left = bytes_left.saturating_sub(bytes);
                let written = serve(chain).inspect_err(|_| self.broken = true)?;
                self.add_used(head, written)?;
                left = left.saturating_sub(1);
                if left == 0 || bytes_left == 0 {
                    self.again()?;
                    return self.notify();
                }
            }
            if self.broken || !self.wait()? {
                return self.notify();
            }
        }
    }

    /// Has the event loop come back to this queue as if the driver had notified it.
    ///
    /// # Errors
    /// The eventfd cannot be written.
    pub fn again(&self) -> io::Result<()> {
        self.kick.write(1)
    }

    /// The driver broke this queue, or the chain in hand makes no sense for the device.
    pub fn fault(&mut self, fault: RingFault) -> DeviceError {
        self.broken = true;
        fault.into()
    }

    /// How far it was served: the next index of the available and of the used ring.
    pub(super) fn position(&self) -> (u16, u16) {
        (self.ring.next_avail(), self.ring.next_used())
    }

    /// Whether the driver broke it.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Goes on from such a position; `None` if it is none.
    pub(super) fn resume(&mut self, position: (u32, u32), broken: bool) -> Option<()> {
        self.ring.set_next_avail(u16::try_from(position.0).ok()?);
        self.ring.set_next_used(u16::try_from(position.1).ok()?);
        self.broken = broken;
        Some(())
    }
}

/// The queues of a started device, by index. A queue the driver did not set up is absent.
#[derive(Debug, Default)]
pub struct Queues(pub(super) Vec<Option<Queue>>);

impl Queues {
    /// Queue `index`, if the driver set it up, to look at.
    pub(super) fn peek(&self, index: usize) -> Option<&Queue> {
        self.0.get(index)?.as_ref()
    }

    /// Queue `index`, if the driver set it up.
    pub fn get(&mut self, index: usize) -> Option<&mut Queue> {
        self.0.get_mut(index)?.as_mut()
    }
}

#[cfg(test)]
mod tests;
