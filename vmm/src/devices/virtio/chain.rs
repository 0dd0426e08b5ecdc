// SPDX-License-Identifier: Apache-2.0
//! One request of the driver: its buffers in guest memory (virtio 1.2 §2.7.4, §2.7.5).
//!
//! A chain is walked once, when it is taken from the ring, and every descriptor read once: the
//! driver may change the table meanwhile, and what was checked must be what is used. (This is
//! why `virtio_queue::Reader` and `Writer` are not used here: each walks the chain again. They
//! also take a broken chain for a short one.)
//!
//! The buffers stay shared with the guest: whatever is parsed is copied out first.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use virtio_queue::DescriptorChain;
use vm_memory::{GuestMemoryBackend, VolatileSlice};

use super::RingFault;
use crate::memory::GuestMemory;

/// Most bytes of one chain. The largest request of any device here is a disk read of 126
/// segments of 64 KiB, under 8 MiB; the cap bounds the time one chain can hold the event thread.
pub(crate) const MAX_CHAIN_BYTES: usize = 16 << 20;

/// The number by which the ring knows a chain. Only [`super::queue::Queue::add_used`] wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head(pub(super) u16);

/// A run of guest memory, in order, consumed from the front.
#[derive(Debug, Default)]
pub struct Buffers<'m> {
    slices: Vec<VolatileSlice<'m>>,
    /// Slices before this one are consumed.
    first: usize,
    /// Bytes left: the sum over the slices left, at most [`MAX_CHAIN_BYTES`].
    len: usize,
}

impl<'m> Buffers<'m> {
    fn push(&mut self, slice: VolatileSlice<'m>) {
        // Bounded by MAX_CHAIN_BYTES, which the caller keeps.
        self.len = self.len.saturating_add(slice.len());
        self.slices.push(slice);
    }

    /// Bytes left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is left, in order.
    #[must_use]
    pub fn slices(&self) -> &[VolatileSlice<'m>] {
        self.slices.get(self.first..).unwrap_or(&[])
    }

    /// Drops `count` bytes from the front, or all that is left.
    pub fn consume(&mut self, count: usize) {
        let mut count = count.min(self.len);
        self.len = self.len.saturating_sub(count);
        while let Some(slice) = self.slices.get_mut(self.first) {
            match slice.offset(count) {
                Ok(rest) if !rest.is_empty() => {
                    *slice = rest;
                    return;
                }
                _ => {
                    count = count.saturating_sub(slice.len());
                    self.first = self.first.saturating_add(1);
                }
            }
        }
    }

    /// Keeps the first `count` bytes (or all) and returns the rest.
    #[must_use]
    pub fn split_off(&mut self, count: usize) -> Self {
        let mut kept = Self::default();
        let mut rest = Self::default();
        for slice in self.slices() {
            let room = count.saturating_sub(kept.len).min(slice.len());
            match slice.split_at(room) {
                Ok((head, tail)) => {
                    for (part, into) in [(head, &mut kept), (tail, &mut rest)] {
                        if !part.is_empty() {
                            into.push(part);
                        }
                    }
                }
                // `room <= slice.len()`: split_at has no other reason to fail.
                Err(_) => return rest,
            }
        }
        *self = kept;
        rest
    }

    /// Consumes exactly `N` bytes. `None`, and nothing consumed, when fewer are left.
    #[must_use]
    pub fn read<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.read_slice(&mut bytes).then_some(bytes)
    }

    /// Fills `bytes` from the front. `false`, and nothing consumed, when fewer are left.
    #[must_use]
    pub fn read_slice(&mut self, bytes: &mut [u8]) -> bool {
        if self.len < bytes.len() {
            return false;
        }
        let wanted = bytes.len();
        let mut into = bytes;
        for slice in self.slices() {
            let copied = slice.copy_to(into);
            into = into.get_mut(copied..).unwrap_or_default();
        }
        self.consume(wanted);
        true
    }

    /// Writes `bytes` at the front. `false`, and nothing written, when they do not fit.
    #[must_use]
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        if self.len < bytes.len() {
            return false;
        }
        let mut from = bytes;
        for slice in self.slices() {
            slice.copy_from(from);
            from = from.get(slice.len()..).unwrap_or_default();
        }
        self.consume(bytes.len());
        true
    }
}

/// A request: what the device may read, then what it may write.
#[derive(Debug)]
pub struct Chain<'m> {
    head: Head,
    /// Buffers the driver filled.
    pub readable: Buffers<'m>,
    /// Buffers the driver wants filled.
    pub writable: Buffers<'m>,
}

impl<'m> Chain<'m> {
    /// Walks `descriptors` once; `limit` is the ring's size, the longest chain allowed
    /// (virtio 1.2 §2.7.5.3.1 holds indirect tables to it too).
    pub(super) fn collect(
        memory: &'m GuestMemory,
        descriptors: DescriptorChain<&'m GuestMemory>,
        limit: u16,
    ) -> Result<Self, RingFault> {
        let head = Head(descriptors.head_index());
        let (mut readable, mut writable) = (Buffers::default(), Buffers::default());
        // The iterator ends silently where it cannot go on; a chain is whole only if the last
        // descriptor it gave says that none follows.
        let mut open = true;
        for (count, descriptor) in (0..).zip(descriptors) {
            let len = usize::try_from(descriptor.len()).map_err(|_| RingFault::Length)?;
            let so_far = readable.len.saturating_add(writable.len);
            if count >= limit || so_far.saturating_add(len) > MAX_CHAIN_BYTES {
                return Err(RingFault::Length);
            }
            let into = match (descriptor.is_write_only(), writable.slices.is_empty()) {
                (true, _) => &mut writable,
                (false, true) => &mut readable,
                (false, false) => return Err(RingFault::Order),
            };
            for slice in GuestMemoryBackend::get_slices(memory, descriptor.addr(), len) {
                into.push(slice.map_err(|_| RingFault::Buffer)?);
            }
            open = descriptor.has_next();
        }
        if open {
            return Err(RingFault::Descriptor);
        }
        Ok(Self {
            head,
            readable,
            writable,
        })
    }

    /// The chain's number, to give it back.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }
}
