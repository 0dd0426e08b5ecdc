// SPDX-License-Identifier: Apache-2.0
//! The MP table: which processors there are and which interrupt line ends at which IOAPIC pin
//! (Intel MultiProcessor Specification 1.4, chapter 4).
//!
//! Without ACPI it is how the kernel learns that it has more than one processor and an IOAPIC.
//! One floating pointer, directly followed by the configuration table: processors, an ISA bus,
//! the IOAPIC, an entry for each interrupt line in use, and the two local pins.
//!
//! Device lines are ISA lines: by the bus's default they are edge-triggered and active high,
//! which is what an irqfd delivers (KVM raises and lowers the line at once).

use super::layout;

/// Bytes of the floating pointer structure (§4.1).
const FLOATING: usize = 16;
/// Bytes of the configuration table's header (§4.2).
const HEADER: usize = 44;
/// The local APIC's version as KVM reports it, for both kinds of entry.
const APIC_VERSION: u8 = 0x14;
/// The only bus.
const ISA: u8 = 0;
/// Destination "all local APICs" (§4.3.5).
const ALL: u8 = 0xff;

/// Entry types (§4.3).
mod entry {
    pub(super) const PROCESSOR: u8 = 0;
    pub(super) const BUS: u8 = 1;
    pub(super) const IOAPIC: u8 = 2;
    pub(super) const INTERRUPT: u8 = 3;
    pub(super) const LOCAL_INTERRUPT: u8 = 4;
}

/// Interrupt types (§4.3.4).
mod kind {
    pub(super) const INT: u8 = 0;
    pub(super) const NMI: u8 = 1;
    pub(super) const EXT_INT: u8 = 3;
}

/// The bytes for [`layout::MP_TABLE`]: `cpus` processors with the local APIC ids 0, 1, 2...,
/// the first of them the boot processor, and the lines `irqs`, each at the IOAPIC pin of its
/// own number.
pub(crate) fn mp_table(cpus: u8, irqs: &[u8]) -> Vec<u8> {
    let mut table = Vec::with_capacity(layout::MP_TABLE_MAX);
    table.resize(FLOATING + HEADER, 0);
    let mut entries: u16 = 0;
    let mut push = |bytes: &[u8]| {
        table.extend_from_slice(bytes);
        entries = entries.saturating_add(1);
    };
    for id in 0..cpus {
        // Bit 0: usable, bit 1: the boot processor. Signature and features (8 bytes) and 8
        // reserved ones: Linux asks CPUID instead.
        let flags = if id == 0 { 3 } else { 1 };
        let mut processor = [0; 20];
        processor[..4].copy_from_slice(&[entry::PROCESSOR, id, APIC_VERSION, flags]);
        push(&processor);
    }
    push(&[entry::BUS, ISA, b'I', b'S', b'A', b' ', b' ', b' ']);
    let ioapic = cpus; // The first APIC id no processor has.
    let [a, b, c, d] = layout::IOAPIC.to_le_bytes();
    push(&[entry::IOAPIC, ioapic, APIC_VERSION, 1, a, b, c, d]);
    for &irq in irqs {
        push(&[entry::INTERRUPT, kind::INT, 0, 0, ISA, irq, ioapic, irq]);
    }
    for (pin, kind) in [(0, kind::EXT_INT), (1, kind::NMI)] {
        push(&[entry::LOCAL_INTERRUPT, kind, 0, 0, ISA, 0, ALL, pin]);
    }
    let (pointer, configuration) = table.split_at_mut(FLOATING);
    write_pointer(pointer);
    write_header(configuration, entries);
    table
}

fn write_pointer(pointer: &mut [u8]) {
    let configuration = 0x9_fc10_u32;
    const _: () = assert!(layout::MP_TABLE + FLOATING as u64 == 0x9_fc10);
    pointer[..4].copy_from_slice(b"_MP_");
    pointer[4..8].copy_from_slice(&configuration.to_le_bytes());
    pointer[8] = 1; // Length in 16 bytes.
    pointer[9] = 4; // Specification 1.4.
    pointer[10] = checksum(pointer);
}

fn write_header(configuration: &mut [u8], entries: u16) {
    let length = u16::try_from(configuration.len()).unwrap_or(u16::MAX);
    configuration[..4].copy_from_slice(b"PCMP");
    configuration[4..6].copy_from_slice(&length.to_le_bytes());
    configuration[6] = 4; // Specification 1.4.
    configuration[8..16].copy_from_slice(b"AMPOULE ");
    configuration[16..28].copy_from_slice(b"MICROVM     ");
    configuration[34..36].copy_from_slice(&entries.to_le_bytes());
    configuration[36..40].copy_from_slice(&layout::LOCAL_APIC.to_le_bytes());
    configuration[7] = checksum(configuration);
}

/// What makes all bytes, with a zero where the checksum goes, sum to zero.
fn checksum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte))
        .wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte))
    }

    /// The entries of a table, walked as the kernel does (`smp_read_mpc`).
    fn entries(table: &[u8]) -> Vec<&[u8]> {
        let mut rest = &table[FLOATING + HEADER..];
        let mut found = Vec::new();
        while !rest.is_empty() {
            let length = if rest[0] == entry::PROCESSOR { 20 } else { 8 };
            let (entry, more) = rest.split_at(length);
            found.push(entry);
            rest = more;
        }
        found
    }

    #[test]
    fn both_checksums_and_the_counts_hold() {
        for cpus in [1, 2, 32] {
            let table = mp_table(cpus, &[5, 6, 7]);
            let (pointer, configuration) = table.split_at(FLOATING);
            assert_eq!(&pointer[..4], b"_MP_");
            assert_eq!(sum(pointer), 0);
            assert_eq!(&configuration[..4], b"PCMP");
            assert_eq!(sum(configuration), 0);
            let length = u16::from_le_bytes([configuration[4], configuration[5]]);
            assert_eq!(usize::from(length), configuration.len());
            let count = u16::from_le_bytes([configuration[34], configuration[35]]);
            assert_eq!(usize::from(count), entries(&table).len());
        }
    }

    #[test]
    fn each_processor_and_each_line_has_its_entry() {
        let table = mp_table(3, &[4, 9]);
        let entries = entries(&table);
        let of = |kind: u8| entries.iter().filter(move |entry| entry[0] == kind);
        let processors: Vec<_> = of(entry::PROCESSOR).map(|e| (e[1], e[3])).collect();
        assert_eq!(processors, [(0, 3), (1, 1), (2, 1)]);
        let lines: Vec<_> = of(entry::INTERRUPT).map(|e| (e[5], e[6], e[7])).collect();
        assert_eq!(lines, [(4, 3, 4), (9, 3, 9)]);
        let ioapics: Vec<_> = of(entry::IOAPIC).map(|e| (e[1], &e[4..8])).collect();
        assert_eq!(ioapics, [(3, &[0, 0, 0xc0, 0xfe][..])]);
    }

    #[test]
    fn the_largest_table_fits_its_room() {
        let irqs: Vec<u8> = (4..16).collect();
        let largest = mp_table(crate::config::MAX_VCPUS, &irqs);
        assert!(largest.len() <= layout::MP_TABLE_MAX, "{}", largest.len());
    }
}
