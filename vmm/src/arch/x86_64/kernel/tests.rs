// SPDX-License-Identifier: Apache-2.0
//! Tests of the kernel's ELF walk: files as they are, and as nobody should have made them.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "numbers of tests, which fail when they are wrong"
)]

use std::io::Write;

use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::memory;

const MEMORY: u64 = 48 << 20;

/// One program header.
#[derive(Clone, Copy, Debug)]
struct Load {
    kind: u32,
    flags: u32,
    offset: u64,
    linked: u64,
    address: u64,
    length: u64,
    in_memory: u64,
}

/// `p_flags` of code: read and execute.
const CODE: u32 = 5;

/// A segment of code linked for the upper half.
fn load_at(address: u64, offset: u64, length: u64, in_memory: u64) -> Load {
    Load {
        kind: PT_LOAD,
        flags: CODE,
        offset,
        linked: 0xffff_ffff_8000_0000 + address,
        address,
        length,
        in_memory,
    }
}

/// An ELF file of `size` bytes with these segments; byte `i` of its content is `i / 4096 + 1`.
fn elf(entry: u64, loads: &[Load], size: usize) -> Vec<u8> {
    let mut file: Vec<u8> = (0..size)
        .map(|i| u8::try_from(i / 4096 + 1).unwrap())
        .collect();
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    put(16, &2u16.to_le_bytes());
    put(18, &EM_X86_64.to_le_bytes());
    put(24, &entry.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(54, &56u16.to_le_bytes());
    put(56, &u16::try_from(loads.len()).unwrap().to_le_bytes());
    for (i, load) in loads.iter().enumerate() {
        let at = 64 + 56 * i;
        put(at, &load.kind.to_le_bytes());
        put(at + 4, &load.flags.to_le_bytes());
        put(at + 8, &load.offset.to_le_bytes());
        put(at + 16, &load.linked.to_le_bytes());
        put(at + 24, &load.address.to_le_bytes());
        put(at + 32, &load.length.to_le_bytes());
        put(at + 40, &load.in_memory.to_le_bytes());
    }
    file
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn load_bytes(bytes: &[u8]) -> Result<(u64, memory::GuestMemory), KernelError> {
    let memory = memory::allocate(MEMORY).unwrap();
    let entry = load(&file_of(bytes), &memory, MEMORY)?;
    Ok((entry, memory))
}

fn byte(memory: &memory::GuestMemory, address: u64) -> u8 {
    memory.read_obj(GuestAddress(address)).unwrap()
}

#[test]
fn congruent_pages_edges_and_bss_are_what_the_headers_say() {
    // From the middle of page 1 to the middle of page 3, then zeroes.
    let segment = load_at(0x20_0800, 0x1800, 0x2000, 0x4000);
    let (entry, memory) = load_bytes(&elf(0x20_0800, &[segment], 0x5000)).unwrap();
    assert_eq!(entry, 0x20_0800);
    let at = |offset: u64| byte(&memory, 0x20_0000 + offset);
    assert_eq!((at(0x7ff), at(0x800), at(0xfff)), (0, 2, 2));
    assert_eq!((at(0x1000), at(0x1fff)), (3, 3));
    assert_eq!((at(0x2000), at(0x27ff)), (4, 4));
    assert_eq!(
        (at(0x2800), at(0x2fff), at(0x3000), at(0x47ff)),
        (0, 0, 0, 0)
    );
}

#[test]
fn code_is_the_files_own_pages_but_a_copy_in_a_large_page_with_something_writable() {
    // The last page before a large page and the first of it; data further up in that one.
    let code = load_at(0x3f_f000, 0x1000, 0x2000, 0x2000);
    let data = Load {
        flags: PF_W | CODE,
        ..load_at(0x40_8000, 0x3000, 0x1000, 0x1000)
    };
    let file = file_of(&elf(0x3f_f000, &[code, data], 0x4000));
    let memory = memory::allocate(MEMORY).unwrap();
    load(&file, &memory, MEMORY).unwrap();
    // A page that is mapped and not written to follows its file.
    file.write_all_at(&[0xee; 0x3000], 0x1000).unwrap();
    let pages = [0x3f_f000, 0x40_0000, 0x40_8000].map(|page| byte(&memory, page));
    assert_eq!(pages, [0xee, 3, 4]);
}

#[test]
fn code_beside_what_is_only_zeroes_in_the_file_is_a_copy() {
    let code = load_at(0x40_0000, 0x1000, 0x1000, 0x1000);
    let zeroes = Load {
        flags: PF_W,
        ..load_at(0x40_2000, 0x2000, 0, 0x1000)
    };
    let file = file_of(&elf(0x40_0000, &[code, zeroes], 0x4000));
    let memory = memory::allocate(MEMORY).unwrap();
    load(&file, &memory, MEMORY).unwrap();
    file.write_all_at(&[0xee; 0x1000], 0x1000).unwrap();
    assert_eq!(byte(&memory, 0x40_0000), 2);
}

#[test]
fn a_segment_that_is_not_congruent_is_copied() {
    let segment = load_at(0x20_0000, 0x1801, 0x2_0000, 0x2_0000);
    let (_, memory) = load_bytes(&elf(0x20_0000, &[segment], 0x3_0000)).unwrap();
    assert_eq!(byte(&memory, 0x20_0000), 2);
    assert_eq!(byte(&memory, 0x20_0000 + 0x7ff), 3);
    assert_eq!(byte(&memory, 0x20_0000 + 0x1_ffff), 0x22);
    assert_eq!(byte(&memory, 0x20_0000 + 0x2_0000), 0);
}

#[test]
fn neighbours_in_one_page_keep_their_own_bytes() {
    let loads = [
        load_at(0x20_0000, 0x1000, 0x1100, 0x1100),
        load_at(0x20_1100, 0x3100, 0x1f00, 0x1f00),
    ];
    let (_, memory) = load_bytes(&elf(0x20_0000, &loads, 0x6000)).unwrap();
    let at = |offset: u64| byte(&memory, 0x20_0000 + offset);
    assert_eq!((at(0x10ff), at(0x1100), at(0x2000)), (3, 4, 5));
}

fn refusal(bytes: &[u8]) -> String {
    match load_bytes(bytes) {
        Ok(_) => "loaded".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_kind_of_bad_file_has_its_own_sentence() {
    let good = load_at(0x20_0000, 0x1000, 0x1000, 0x1000);
    let entry = good.address;
    let with = |load: Load| elf(entry, &[load], 0x3000);
    let mut other_machine = with(good);
    other_machine[18] = 183; // AArch64.
    let mut odd_headers = with(good);
    odd_headers[54] = 57;
    let user_program = Load {
        linked: good.address,
        ..good
    };
    let cases: [(&str, Vec<u8>); 12] = [
        ("not an ELF file", b"#!/bin/sh\n".to_vec()),
        ("not an ELF file", Vec::new()),
        ("truncated", b"\x7fELF\x02\x01".to_vec()),
        ("not a 64-bit x86-64", other_machine),
        ("unknown size", odd_headers),
        ("too many program headers", elf(entry, &[good; 65], 0x3000)),
        ("not a Linux kernel", with(user_program)),
        ("not a Linux kernel", elf(0x30_0000, &[good], 0x3000)),
        (
            "truncated",
            with(load_at(0x20_0000, 0x2001, 0x1000, 0x1000)),
        ),
        (
            "longer in the file",
            with(load_at(0x20_0000, 0x1000, 0x1000, 0xfff)),
        ),
        (
            "overlap",
            elf(entry, &[good, load_at(0x20_0fff, 0x1fff, 1, 1)], 0x3000),
        ),
        (
            "outside 0x200000",
            with(load_at(0xf_f000, 0x1000, 0x1000, 0x1000)),
        ),
    ];
    for (expected, bytes) in cases {
        let said = refusal(&bytes);
        assert!(
            said.contains(expected),
            "{expected:?} expected, was {said:?}"
        );
    }
}

#[test]
fn a_guest_too_small_is_told_what_the_kernel_needs() {
    let segment = load_at(0x20_0000, 0x1000, 0x1000, MEMORY);
    assert_eq!(
        refusal(&elf(0x20_0000, &[segment], 0x3000)),
        "the kernel needs 50 MiB of memory to be loaded, the guest has 48 MiB"
    );
}

/// Numbers near every boundary the walk compares with, and any at all.
fn interesting() -> impl Strategy<Value = u64> {
    let edges = [
        0,
        0x1000,
        0x3000,
        0x10_0000,
        0x20_0000,
        MEMORY,
        1 << 30,
        1 << 63,
        u64::MAX,
    ];
    prop_oneof![
        (prop::sample::select(edges.to_vec()), -2i64..=2)
            .prop_map(|(edge, by)| edge.wrapping_add_signed(by)),
        0u64..0x4000,
        any::<u64>(),
    ]
}

fn any_load() -> impl Strategy<Value = Load> {
    let kind = prop_oneof![4 => Just(PT_LOAD), 1 => any::<u32>()];
    let numbers = [(); 5].map(|()| interesting());
    (kind, numbers).prop_map(
        |(kind, [offset, linked, address, length, in_memory])| Load {
            kind,
            flags: CODE,
            offset,
            linked,
            address,
            length,
            in_memory,
        },
    )
}

proptest! {
    #[test]
    fn whatever_parses_lies_within_file_and_memory_and_does_not_overlap(
        entry in interesting(),
        loads in prop::collection::vec(any_load(), 1..6),
    ) {
        let file = elf(entry, &loads, 0x3000);
        let table = program_headers(&file).unwrap();
        let headers = range(&file, table).unwrap();
        if let Ok(kernel) = parse(&file, headers, 0x3000, MEMORY) {
            for (i, a) in kernel.segments.iter().enumerate() {
                prop_assert!(a.offset.checked_add(a.length).unwrap() <= 0x3000);
                prop_assert!(a.address >= layout::HIGH_MEMORY);
                prop_assert!(a.address.checked_add(a.length).unwrap() <= MEMORY);
                for b in kernel.segments.iter().skip(i + 1) {
                    let apart = a.address + a.length <= b.address || b.address + b.length <= a.address;
                    prop_assert!(apart, "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn any_bytes_behind_the_magic_number_are_an_error_or_a_kernel(
        mut bytes in prop::collection::vec(any::<u8>(), 64..512),
        plausible in any::<bool>(),
    ) {
        let whole = elf(0x20_0000, &[], 0x1000);
        let keep = if plausible { 24 } else { 4 };
        bytes[..keep].copy_from_slice(&whole[..keep]);
        let _ = refusal(&bytes);
    }
}
