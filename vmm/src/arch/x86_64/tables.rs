// SPDX-License-Identifier: Apache-2.0
//! Page tables, descriptors and first registers: the state in which Linux's 64-bit entry point
//! is called (`Documentation/arch/x86/boot.rst`, "64-bit Boot Protocol"): long mode, the kernel
//! and all it is handed mapped one to one, flat segments `__BOOT_CS` and `__BOOT_DS`, interrupts
//! off, the zero page's address in RSI.

use kvm_bindings::{kvm_dtable, kvm_regs, kvm_segment, kvm_sregs};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::layout;
use crate::memory::GuestMemory;

/// Entries of one page table of any level.
const ENTRIES: usize = 512;
/// Present and writable (SDM vol. 3, §4.5).
const PRESENT: u64 = 0b11;
/// The entry maps a large page rather than naming a table.
const LARGE: u64 = 1 << 7;
/// What an entry of the page directory maps.
const LARGE_PAGE: u64 = 2 << 20;

/// Control registers (SDM vol. 3, §2.5).
const CR0_PROTECTED: u64 = 1 << 0;
const CR0_EXTENSION_TYPE: u64 = 1 << 4;
const CR0_PAGING: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
/// `IA32_EFER` (SDM vol. 3, §2.2.1).
const EFER_LONG_MODE_ENABLE: u64 = 1 << 8;
const EFER_LONG_MODE_ACTIVE: u64 = 1 << 10;

/// Flat descriptors (SDM vol. 3, §3.4.5), at the selectors the boot protocol names.
const CODE: u64 = 0x00af_9b00_0000_ffff;
const DATA: u64 = 0x00cf_9300_0000_ffff;
const BOOT_CS: u16 = 0x10;
const BOOT_DS: u16 = 0x18;
const DESCRIPTORS: [u64; 4] = [0, 0, CODE, DATA];

const _: () = assert!(
    layout::IDENTITY_MAPPED == LARGE_PAGE * ENTRIES as u64,
    "one page directory maps what layout.rs says"
);

/// Writes the page tables and the descriptor table.
pub(crate) fn write(memory: &GuestMemory) -> Result<(), GuestMemoryError> {
    let pml4 = GuestAddress(layout::PAGE_TABLES);
    let pdpt = GuestAddress(layout::PAGE_TABLES + layout::PAGE);
    let directory = GuestAddress(layout::PAGE_TABLES + 2 * layout::PAGE);
    // Fresh memory is zero: only what is present is written.
    memory.write_obj(pdpt.0 | PRESENT, pml4)?;
    memory.write_obj(directory.0 | PRESENT, pdpt)?;
    let mut pages = [0; ENTRIES * 8];
    let mut entry = PRESENT | LARGE;
    for slot in pages.as_chunks_mut().0 {
        *slot = entry.to_le_bytes();
        entry += LARGE_PAGE;
    }
    memory.write_slice(&pages, directory)?;
    memory.write_obj(DESCRIPTORS, GuestAddress(layout::GDT))
}

/// Puts the boot processor into long mode; the rest of `sregs` stays as KVM made it.
pub(crate) fn enter_long_mode(sregs: &mut kvm_sregs) {
    let code = segment(BOOT_CS, CODE);
    let data = segment(BOOT_DS, DATA);
    sregs.cs = code;
    sregs.ds = data;
    sregs.es = data;
    sregs.fs = data;
    sregs.gs = data;
    sregs.ss = data;
    sregs.gdt = kvm_dtable {
        base: layout::GDT,
        limit: 8 * 4 - 1,
        ..kvm_dtable::default()
    };
    sregs.cr0 = CR0_PROTECTED | CR0_EXTENSION_TYPE | CR0_PAGING;
    sregs.cr3 = layout::PAGE_TABLES;
    sregs.cr4 = CR4_PAE;
    sregs.efer = EFER_LONG_MODE_ENABLE | EFER_LONG_MODE_ACTIVE;
}

/// The boot processor's general registers: at `entry`, the zero page in RSI, interrupts off.
pub(crate) fn registers(entry: u64) -> kvm_regs {
    kvm_regs {
        rip: entry,
        rsi: layout::ZERO_PAGE,
        // Bit 1 is always one (SDM vol. 1, §3.4.3).
        rflags: 2,
        ..kvm_regs::default()
    }
}

/// The hidden part of a segment register that loading `descriptor` would give.
fn segment(selector: u16, descriptor: u64) -> kvm_segment {
    let bit = |n: u32| u8::from(descriptor >> n & 1 == 1);
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_: bit(40) | bit(41) << 1 | bit(42) << 2 | bit(43) << 3,
        present: bit(47),
        s: bit(44),
        l: bit(53),
        db: bit(54),
        g: bit(55),
        ..kvm_segment::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    /// Walks the tables as the processor does.
    fn translate(memory: &GuestMemory, address: u64) -> Option<u64> {
        let read = |table: u64, shift: u32| -> u64 {
            let index = address >> shift & 511;
            memory.read_obj(GuestAddress(table + 8 * index)).unwrap()
        };
        let next = |entry: u64| (entry & 1 == 1).then_some(entry & !0xfff);
        let pdpt = next(read(layout::PAGE_TABLES, 39))?;
        let directory = next(read(pdpt, 30))?;
        let entry = read(directory, 21);
        (entry & LARGE != 0).then_some((entry & !0x1f_ffff) | (address & 0x1f_ffff))
    }

    #[test]
    fn the_first_gib_is_mapped_one_to_one_and_nothing_more() {
        let memory = memory::allocate(48 << 20).unwrap();
        write(&memory).unwrap();
        for address in [
            0,
            0x7000,
            0x100_0000,
            0x1234_5678,
            layout::IDENTITY_MAPPED - 1,
        ] {
            assert_eq!(translate(&memory, address), Some(address), "{address:#x}");
        }
        assert_eq!(translate(&memory, layout::IDENTITY_MAPPED), None);
        assert_eq!(translate(&memory, 1 << 39), None);
    }

    #[test]
    fn segments_are_what_their_descriptors_say() {
        let code = segment(BOOT_CS, CODE);
        assert_eq!(
            (code.type_, code.s, code.l, code.db, code.g),
            (11, 1, 1, 0, 1)
        );
        let data = segment(BOOT_DS, DATA);
        assert_eq!(
            (data.type_, data.s, data.l, data.db, data.g),
            (3, 1, 0, 1, 1)
        );
        assert_eq!((code.present, data.present), (1, 1));
    }
}
