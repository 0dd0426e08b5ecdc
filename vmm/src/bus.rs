// SPDX-License-Identifier: Apache-2.0
//! Address ranges and the devices behind them.
//!
//! A vCPU's MMIO or port exit ends here. One type serves both address spaces; which one is
//! decided by whoever owns the [`Bus`]. Ranges never overlap and never change after the machine
//! is built, so a look-up takes no lock; only the device found is locked.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A device that answers reads and writes at offsets into its range.
///
/// Offsets and widths are chosen by the guest. A device ignores what it does not know: a read
/// leaves `data` as it was (all ones, as an empty bus answers), a write has no effect.
pub trait BusDevice: Send {
    /// Reads `data.len()` bytes at `offset`; the bus promises `offset + len` is in the range.
    fn read(&mut self, offset: u64, data: &mut [u8]);
    /// Writes `data` at `offset`; the bus promises `offset + len` is in the range.
    fn write(&mut self, offset: u64, data: &[u8]);
}

/// Addresses `base .. base + len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub base: u64,
    /// Number of addresses, at least 1.
    pub len: u64,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}+{:#x}", self.base, self.len)
    }
}

/// Why a range could not be given to a device.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BusError {
    /// No addresses, or past the end of the address space.
    #[error("the device range {0} is empty or leaves the address space")]
    Empty(Range),
    /// Part of it is taken.
    #[error("the device range {new} overlaps {taken}")]
    Overlap {
        /// The range asked for.
        new: Range,
        /// A range that has a device already.
        taken: Range,
    },
}

struct Slot {
    range: Range,
    /// Held by the vCPU thread that met an exit; for virtio devices also by the event thread.
    device: Arc<Mutex<dyn BusDevice>>,
}

/// An address space of devices.
#[derive(Default)]
pub struct Bus {
    slots: BTreeMap<u64, Slot>,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.slots.values().map(|slot| slot.range))
            .finish()
    }
}

impl Bus {
    /// An address space with no devices.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `range` to `device`.
    ///
    /// # Errors
    /// The range is empty, leaves the address space, or is taken in part.
    pub fn insert(
        &mut self,
        range: Range,
        device: Arc<Mutex<dyn BusDevice>>,
    ) -> Result<(), BusError> {
        let last = range
            .len
            .checked_sub(1)
            .and_then(|span| range.base.checked_add(span))
            .ok_or(BusError::Empty(range))?;
        // Ranges do not overlap, so only the nearest one at or below `last` can reach into this.
        if let Some((_, slot)) = self.slots.range(..=last).next_back() {
            let span = slot.range.len.saturating_sub(1);
            if slot.range.base.saturating_add(span) >= range.base {
                let (new, taken) = (range, slot.range);
                return Err(BusError::Overlap { new, taken });
            }
        }
        self.slots.insert(range.base, Slot { range, device });
        Ok(())
    }

    /// Reads from the device at `address`. `false`, and `data` all ones, when nobody is there.
    pub fn read(&self, address: u64, data: &mut [u8]) -> bool {
        data.fill(0xff);
        let Some((device, offset)) = self.find(address, data.len()) else {
            return false;
        };
        // A panic under this lock ends the VMM; a poisoned lock is never met in a living one.
        device
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .read(offset, data);
        true
    }

    /// Writes to the device at `address`. `false` when nobody is there.
    pub fn write(&self, address: u64, data: &[u8]) -> bool {
        let Some((device, offset)) = self.find(address, data.len()) else {
            return false;
        };
        device
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(offset, data);
        true
    }

    fn find(&self, address: u64, len: usize) -> Option<(&Mutex<dyn BusDevice>, u64)> {
        let (base, slot) = self.slots.range(..=address).next_back()?;
        let offset = address.checked_sub(*base)?;
        let end = offset.checked_add(u64::try_from(len).ok()?)?;
        (end <= slot.range.len && len > 0).then_some((&*slot.device, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Last(Option<(u64, Vec<u8>)>);

    impl BusDevice for Last {
        fn read(&mut self, offset: u64, data: &mut [u8]) {
            data.fill(u8::try_from(offset).unwrap());
        }
        fn write(&mut self, offset: u64, data: &[u8]) {
            self.0 = Some((offset, data.to_vec()));
        }
    }

    fn range(base: u64, len: u64) -> Range {
        Range { base, len }
    }

    fn device() -> Arc<Mutex<Last>> {
        Arc::new(Mutex::new(Last::default()))
    }

    #[test]
    fn an_access_reaches_the_device_at_its_offset() {
        let (mut bus, near, far) = (Bus::new(), device(), device());
        bus.insert(range(0x1000, 0x10), near.clone()).unwrap();
        bus.insert(range(0x1010, 0x10), far.clone()).unwrap();
        let mut data = [0; 2];
        assert!(bus.read(0x1014, &mut data));
        assert_eq!(data, [4, 4]);
        assert!(bus.write(0x100f, &[9]));
        assert_eq!(near.lock().unwrap().0, Some((15, vec![9])));
        assert_eq!(far.lock().unwrap().0, None);
    }

    #[test]
    fn nobody_answers_outside_and_across_ranges() {
        let mut bus = Bus::new();
        bus.insert(range(0x1000, 0x10), device()).unwrap();
        let mut data = [0; 4];
        for address in [0, 0xfff, 0x100d, 0x1010, u64::MAX] {
            assert!(!bus.read(address, &mut data), "{address:#x}");
            assert_eq!(data, [0xff; 4]);
            assert!(!bus.write(address, &data), "{address:#x}");
        }
    }

    #[test]
    fn overlaps_and_empty_ranges_are_refused() {
        let mut bus = Bus::new();
        bus.insert(range(0x1000, 0x10), device()).unwrap();
        for (base, len) in [(0x1000, 0x10), (0xff8, 9), (0x100f, 1), (0x0, 0x8000)] {
            let refused = bus.insert(range(base, len), device());
            assert!(
                matches!(refused, Err(BusError::Overlap { .. })),
                "{base:#x}"
            );
        }
        for (base, len) in [(0x2000, 0), (u64::MAX, 2)] {
            let refused = bus.insert(range(base, len), device());
            assert!(matches!(refused, Err(BusError::Empty(_))), "{base:#x}");
        }
        bus.insert(range(0xff8, 8), device()).unwrap();
        bus.insert(range(u64::MAX, 1), device()).unwrap();
    }
}
