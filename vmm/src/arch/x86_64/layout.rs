// SPDX-License-Identifier: Apache-2.0
//! Every guest address this VMM chooses, and every one it has to honour.
//!
//! ```text
//! 0x0000_7000  zero page (boot_params)
//! 0x0000_8000  GDT, random seed, command line: one page for what is small
//! 0x0000_9000  page tables, three pages
//! 0x0009_fc00  MP table, the last KiB of base memory
//! 0x000a_0000  (hole of the PC: not memory; nor is what is left of its large page)
//! 0x0020_0000  memory; the kernel where its ELF says
//! 0xd000_0000  device windows, end of memory below 4 GiB
//! 0xfec0_0000  IOAPIC, local APICs, KVM's own pages: inside KVM
//! 0x1_0000_0000  the rest of memory
//! ```
//!
//! What boot touches below 1 MiB is kept to few pages: each costs a page fault, a zeroed page
//! and an entry in the nested page tables before the guest's first instruction. The host keeps them
//! as small pages (`memory.rs`), so there is no memory from 1 to 2 MiB: it would cost a guest that
//! uses it 256 such faults, and the host a large page for the guest that does not.

/// A page.
pub(crate) const PAGE: u64 = 4096;

/// `boot_params`, Linux `Documentation/arch/x86/zero-page.rst`.
pub(crate) const ZERO_PAGE: u64 = 0x7000;
/// The descriptor table the first instructions run with.
pub(crate) const GDT: u64 = 0x8000;
/// A `setup_data` node with random bytes.
pub(crate) const RNG_SEED: u64 = 0x8040;
/// The command line, to the end of its page.
pub(crate) const COMMAND_LINE: u64 = 0x8100;
/// Longest command line with its final zero: Linux `COMMAND_LINE_SIZE` on x86.
pub(crate) const COMMAND_LINE_MAX: usize = 2048;
/// Page map level 4, then one directory pointer table and one directory.
pub(crate) const PAGE_TABLES: u64 = 0x9000;

/// End of base memory: Linux looks for the MP table in the KiB that begins here
/// (`arch/x86/kernel/mpparse.c`, `mpparse_find_mptable`).
pub(crate) const MP_TABLE: u64 = 0x9_fc00;
/// Room for the MP table.
pub(crate) const MP_TABLE_MAX: usize = 1024;

/// Where memory goes on, a large page from the start; the lowest address for a kernel.
pub(crate) const HIGH_MEMORY: u64 = 0x20_0000;
/// What [`super::tables`] maps one to one: the kernel, and all it is handed, lie below.
pub(crate) const IDENTITY_MAPPED: u64 = 1 << 30;

/// First address below 4 GiB that is not memory, and the first device window.
pub(crate) const DEVICES: u64 = 0xd000_0000;
/// Size of a device window: the driver maps whole pages.
pub(crate) const DEVICE_WINDOW: u64 = 0x1000;
/// Where memory beyond [`DEVICES`] goes on.
pub(crate) const MEMORY_ABOVE: u64 = 1 << 32;

/// Interrupt line of the first device; the others follow. Lower ones belong to the PC's timer,
/// keyboard and serial ports, and the kernel would find those drivers' lines shared.
pub(crate) const DEVICE_IRQ: u32 = 5;
/// Most virtio devices: lines 5 to 15, as an ISA bus of the MP table has 16.
pub(crate) const MAX_DEVICES: usize = 11;

/// COM1, 8 ports.
pub(crate) const SERIAL_PORT: u64 = 0x3f8;
/// COM1's interrupt line.
pub(crate) const SERIAL_IRQ: u32 = 4;
/// The keyboard controller's ports 0x60 to 0x64.
pub(crate) const I8042_PORT: u64 = 0x60;

/// The IOAPIC's registers; KVM's in-kernel one cannot be moved.
pub(crate) const IOAPIC: u32 = 0xfec0_0000;
/// The local APICs' registers at reset.
pub(crate) const LOCAL_APIC: u32 = 0xfee0_0000;
/// Three pages KVM takes on Intel processors (`KVM_SET_TSS_ADDR`), away from memory and devices.
pub(crate) const KVM_TSS: usize = 0xfffb_d000;
/// One page KVM takes on Intel processors (`KVM_SET_IDENTITY_MAP_ADDR`).
pub(crate) const KVM_IDENTITY_MAP: u64 = 0xfffb_c000;

const _: () = assert!(
    COMMAND_LINE + COMMAND_LINE_MAX as u64 <= PAGE_TABLES && PAGE_TABLES + 3 * PAGE <= MP_TABLE,
    "the boot structures overlap"
);
const _: () = assert!(
    DEVICE_IRQ as usize + MAX_DEVICES <= 16,
    "an ISA bus has 16 interrupt lines"
);

/// The guest's memory as `(address, length)` ranges: one, or two around the hole that
/// [`DEVICES`] begins.
pub(crate) fn memory_ranges(bytes: u64) -> impl Iterator<Item = (u64, u64)> {
    let below = bytes.min(DEVICES);
    let above = bytes.saturating_sub(DEVICES);
    [(0, below), (MEMORY_ABOVE, above)]
        .into_iter()
        .filter(|(_, length)| *length > 0)
}

/// The window and line of the `index`th device.
pub(crate) fn device_place(index: usize) -> Option<(u64, u32)> {
    if index >= MAX_DEVICES {
        return None;
    }
    let base = DEVICES.checked_add(DEVICE_WINDOW.checked_mul(u64::try_from(index).ok()?)?)?;
    let irq = DEVICE_IRQ.checked_add(u32::try_from(index).ok()?)?;
    Some((base, irq))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_below_the_hole_is_one_range() {
        let ranges: Vec<_> = memory_ranges(128 << 20).collect();
        assert_eq!(ranges, [(0, 128 << 20)]);
        let ranges: Vec<_> = memory_ranges(DEVICES).collect();
        assert_eq!(ranges, [(0, DEVICES)]);
    }

    #[test]
    fn memory_beyond_the_hole_goes_on_at_4_gib_and_none_is_lost() {
        let bytes = 5 << 30;
        let ranges: Vec<_> = memory_ranges(bytes).collect();
        assert_eq!(ranges, [(0, DEVICES), (1 << 32, bytes - DEVICES)]);
    }

    #[test]
    fn device_places_do_not_meet_and_end() {
        assert_eq!(device_place(0), Some((0xd000_0000, 5)));
        assert_eq!(device_place(3), Some((0xd000_3000, 8)));
        assert_eq!(device_place(10), Some((0xd000_a000, 15)));
        assert_eq!(device_place(11), None);
    }
}
