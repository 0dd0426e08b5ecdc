// SPDX-License-Identifier: Apache-2.0
//! What the kernel is handed: the zero page with its memory map, the command line and a seed
//! for its random generator (Linux `Documentation/arch/x86/{boot,zero-page}.rst`).
//!
//! The 64-bit protocol rather than PVH, because only it carries `SETUP_RNG_SEED`: two guests of
//! one image must not draw the same keys, whatever their processors offer.

use std::io;

use linux_loader::loader::bootparam::{boot_e820_entry, boot_params};
use vm_memory::{ByteValued, Bytes, GuestAddress, GuestMemoryError};

use super::layout;
use crate::memory::GuestMemory;

/// `boot_flag` of a setup header.
const BOOT_FLAG: u16 = 0xaa55;
/// `header`: "HdrS".
const HEADER: u32 = 0x5372_6448;
/// `type_of_loader`: none of those assigned.
const LOADER_OTHER: u8 = 0xff;
/// e820 types (`arch/x86/include/uapi/asm/setup_data.h`, ACPI 6.5 §15).
const E820_RAM: u32 = 1;
const E820_RESERVED: u32 = 2;
/// `setup_data` type of a seed (`arch/x86/include/uapi/asm/setup_data.h`, Linux 6.0).
const SETUP_RNG_SEED: u32 = 9;
/// Bytes of seed: what the kernel's generator is keyed with.
const SEED: usize = 32;

/// Why the kernel's parameters could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The host's generator.
    #[error("the host gave no random bytes for the guest")]
    Random(#[source] io::Error),
    /// Not possible with the memory a valid configuration has.
    #[error("guest memory does not hold the boot parameters")]
    Memory(#[from] GuestMemoryError),
}

/// Writes everything [`layout::ZERO_PAGE`] leads to.
pub(crate) fn write(memory: &GuestMemory, bytes: u64, command_line: &str) -> Result<(), BootError> {
    let mut seed = [0; SEED];
    rustix::rand::getrandom(&mut seed[..], rustix::rand::GetRandomFlags::empty())
        .map_err(|error| BootError::Random(error.into()))?;
    memory.write_slice(&rng_seed(seed), GuestAddress(layout::RNG_SEED))?;
    // The final zero is there: fresh memory, and the line ends before its page does.
    memory.write_slice(command_line.as_bytes(), GuestAddress(layout::COMMAND_LINE))?;
    let parameters = parameters(bytes, command_line.len());
    memory.write_slice(parameters.as_slice(), GuestAddress(layout::ZERO_PAGE))?;
    Ok(())
}

/// A `setup_data` node (same file): next (8 bytes, none), type, length, data.
fn rng_seed(seed: [u8; SEED]) -> [u8; 16 + SEED] {
    let mut node = [0; 16 + SEED];
    let length = u32::try_from(SEED).unwrap_or_default();
    node[8..12].copy_from_slice(&SETUP_RNG_SEED.to_le_bytes());
    node[12..16].copy_from_slice(&length.to_le_bytes());
    node[16..].copy_from_slice(&seed);
    node
}

fn parameters(bytes: u64, command_line: usize) -> boot_params {
    let mut parameters = boot_params::default();
    let header = &mut parameters.hdr;
    header.boot_flag = BOOT_FLAG;
    header.header = HEADER;
    header.type_of_loader = LOADER_OTHER;
    // All below 4 GiB, by layout.rs.
    header.cmd_line_ptr = low(layout::COMMAND_LINE);
    header.cmdline_size = u32::try_from(command_line).unwrap_or_default();
    header.setup_data = layout::RNG_SEED;
    let mut entries = 0;
    for (entry, slot) in memory_map(bytes).zip(parameters.e820_table.iter_mut()) {
        *slot = entry;
        entries += 1;
    }
    parameters.e820_entries = entries;
    parameters
}

fn low(address: u64) -> u32 {
    u32::try_from(address).unwrap_or_default()
}

/// Base memory up to the MP table, the hole of the PC, and the rest.
fn memory_map(bytes: u64) -> impl Iterator<Item = boot_e820_entry> {
    let entry = |addr, end: u64, r#type| boot_e820_entry {
        addr,
        size: end.saturating_sub(addr),
        r#type,
    };
    let low = [
        entry(0, layout::MP_TABLE, E820_RAM),
        entry(layout::MP_TABLE, layout::HIGH_MEMORY, E820_RESERVED),
    ];
    let high = layout::memory_ranges(bytes).map(move |(start, length)| {
        let end = start.saturating_add(length);
        entry(start.max(layout::HIGH_MEMORY), end, E820_RAM)
    });
    low.into_iter().chain(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    fn map(bytes: u64) -> Vec<(u64, u64, u32)> {
        // The fields of a packed struct are copied out.
        memory_map(bytes)
            .map(|e| (e.addr, e.size, e.r#type))
            .collect()
    }

    #[test]
    fn the_memory_map_has_the_pcs_hole_and_all_memory() {
        let (ram, reserved) = (E820_RAM, E820_RESERVED);
        let start = [(0, 0x9_fc00, ram), (0x9_fc00, 0x16_0400, reserved)];
        let small = map(128 << 20);
        assert_eq!(small[..2], start);
        assert_eq!(small[2..], [(2 << 20, 126 << 20, ram)]);
        let large = map(5 << 30);
        let below = 0xd000_0000;
        let expected = [
            (2 << 20, below - (2 << 20), ram),
            (1 << 32, (5 << 30) - below, ram),
        ];
        assert_eq!(large[2..], expected);
    }

    #[test]
    fn the_zero_page_leads_to_the_command_line_and_a_fresh_seed() {
        let written = || {
            let memory = memory::allocate(48 << 20).unwrap();
            write(&memory, 48 << 20, "quiet init=/x").unwrap();
            memory
        };
        let memory = written();
        let page: boot_params = memory.read_obj(GuestAddress(layout::ZERO_PAGE)).unwrap();
        let header = page.hdr;
        assert_eq!({ header.header }, HEADER);
        let mut line = [0; 14];
        let at = GuestAddress(u64::from(header.cmd_line_ptr));
        memory.read_slice(&mut line, at).unwrap();
        assert_eq!(&line, b"quiet init=/x\0");
        let node = |memory: &GuestMemory| {
            let mut node = [0; 48];
            let at = GuestAddress(header.setup_data);
            memory.read_slice(&mut node, at).unwrap();
            node
        };
        let (first, second) = (node(&memory), node(&written()));
        assert_eq!(
            first[..16],
            [0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 32, 0, 0, 0]
        );
        assert_ne!(first[16..], second[16..]);
    }
}
