// SPDX-License-Identifier: Apache-2.0
//! The file: what is written is read, and nothing else is.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "tests make what they index and count"
)]

use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::memory::without;
use super::*;
use crate::memory::allocate;

const MEMORY: u64 = 48 << 20;

fn state() -> MachineState {
    MachineState {
        vmm: env!("CARGO_PKG_VERSION").to_owned(),
        host_kernel: host_kernel(),
        memory: MEMORY,
        tsc_khz: 1,
        ..MachineState::default()
    }
}

fn written(state: MachineState) -> (File, GuestMemory) {
    let memory = allocate(MEMORY).unwrap();
    for at in [0, 0x1000, 0x30_0000, MEMORY - 4096] {
        memory.write_obj(at + 7, GuestAddress(at)).unwrap();
    }
    let file = tempfile::tempfile().unwrap();
    write(&file, state, &memory).unwrap();
    (file, memory)
}

fn change(file: &File, at: u64, bytes: &[u8]) {
    file.write_all_at(bytes, at).unwrap();
}

#[test]
fn memory_comes_back_as_it_was_and_the_rest_is_zero() {
    let (file, _) = written(state());
    let snapshot = open(&file).unwrap();
    assert_eq!(snapshot.state.memory, MEMORY);
    let memory = allocate(MEMORY).unwrap();
    map(&file, &snapshot, &memory).unwrap();
    let read = |at| memory.read_obj::<u64>(GuestAddress(at)).unwrap();
    for at in [0, 0x1000, 0x30_0000, MEMORY - 4096] {
        assert_eq!(read(at), at + 7);
    }
    for at in [8, 0x2000, 0x10_0000, 0x200_0000] {
        assert_eq!(read(at), 0);
    }
    // Two guests of one snapshot do not see each other.
    memory.write_obj(1_u64, GuestAddress(0)).unwrap();
    let other = allocate(MEMORY).unwrap();
    map(&file, &snapshot, &other).unwrap();
    assert_eq!(other.read_obj::<u64>(GuestAddress(0)).unwrap(), 7);
}

#[test]
fn pages_of_a_file_that_nobody_touched_are_written_too() {
    let (file, _) = written(state());
    let snapshot = open(&file).unwrap();
    let memory = allocate(MEMORY).unwrap();
    map(&file, &snapshot, &memory).unwrap();
    let second = tempfile::tempfile().unwrap();
    write(&second, state(), &memory).unwrap();
    let memory = allocate(MEMORY).unwrap();
    map(&second, &open(&second).unwrap(), &memory).unwrap();
    for at in [0, 0x1000, 0x30_0000, MEMORY - 4096] {
        assert_eq!(memory.read_obj::<u64>(GuestAddress(at)).unwrap(), at + 7);
    }
}

#[test]
fn zero_pages_take_no_room() {
    use std::os::unix::fs::MetadataExt;
    let (file, _) = written(state());
    let metadata = file.metadata().unwrap();
    assert_eq!(metadata.len(), MEMORY_AT + MEMORY);
    assert!(metadata.blocks() * 512 < 1 << 20, "{}", metadata.blocks());
}

#[test]
fn the_working_set_is_what_a_restored_guest_wrote() {
    let (file, _) = written(state());
    let snapshot = open(&file).unwrap();
    let memory = allocate(MEMORY).unwrap();
    map(&file, &snapshot, &memory).unwrap();
    memory.write_obj(9_u64, GuestAddress(0x1000)).unwrap();
    let ready = own_pages(&memory);
    assert_eq!(ready, [Extent { first: 1, count: 1 }]);
    memory.write_obj(9_u64, GuestAddress(0)).unwrap();
    add_working_set(&file, &memory, &ready).unwrap();
    let set = open(&file).unwrap().working_set;
    assert_eq!(set.ready, ready);
    assert_eq!(set.command, [Extent { first: 0, count: 1 }]);
    // Populated pages hold what they held.
    let memory = allocate(MEMORY).unwrap();
    map(&file, &open(&file).unwrap(), &memory).unwrap();
    populate_for_command(&set, &memory);
    assert_eq!(memory.read_obj::<u64>(GuestAddress(0)).unwrap(), 7);
    assert_eq!(own_pages(&memory), [Extent { first: 0, count: 2 }]);
}

#[test]
fn each_thing_that_is_wrong_has_its_name() {
    let refused = |change: &dyn Fn(&File)| {
        let (file, _) = written(state());
        change(&file);
        open(&file).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|f| change(f, 0, b"X")),
        "the file is not a snapshot"
    );
    assert_eq!(
        refused(&|f| change(f, 8, &[9])),
        "the snapshot has format version 9, this VMM reads 1"
    );
    assert_eq!(
        refused(&|f| f.set_len(MEMORY_AT + MEMORY - 1).unwrap()),
        "the snapshot is truncated: 52428799 bytes where 52428800 belong"
    );
    assert_eq!(
        refused(&|f| f.set_len(10).unwrap()),
        "the file is not a snapshot"
    );
    assert!(refused(&|f| change(f, 70, &[0xff])).contains("does not match its sum"));
    assert!(refused(&|f| change(f, 12, &[0xff; 4])).contains("longer than any"));
    let elsewhere = |state| open(&written(state).0).unwrap_err().to_string();
    let kernel = MachineState {
        host_kernel: "1.2.3".to_owned(),
        ..state()
    };
    assert!(elsewhere(kernel).starts_with("the snapshot was taken under the host kernel '1.2.3'"));
    let vmm = MachineState {
        vmm: "0.0.9".to_owned(),
        ..state()
    };
    assert!(elsewhere(vmm).starts_with("the snapshot was taken by ampoule-vmm '0.0.9'"));
}

#[test]
fn extents_outside_memory_are_cut_or_refused_but_never_mapped() {
    let (file, _) = written(state());
    let mut snapshot = open(&file).unwrap();
    let beyond = Extent {
        first: MEMORY / 4096 - 1,
        count: u64::MAX,
    };
    snapshot.state.extents = vec![beyond];
    snapshot.working_set.ready = vec![beyond];
    let memory = allocate(MEMORY).unwrap();
    map(&file, &snapshot, &memory).unwrap();
    let last = memory.read_obj::<u64>(GuestAddress(MEMORY - 4096)).unwrap();
    assert_eq!(last, MEMORY - 4096 + 7);
}

proptest! {
    #[test]
    fn any_header_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (file, _) = written(state());
        change(&file, 8, &bytes);
        let _ = open(&file);
        change(&file, WORKING_SET_AT, &WORKING_SET_MAGIC);
        change(&file, WORKING_SET_AT + 8, &bytes);
        let _ = open(&file);
    }

    #[test]
    fn what_is_left_without_some_is_all_but_those(
        all in proptest::collection::btree_set(0_u64..40, 0..30),
        some in proptest::collection::btree_set(0_u64..40, 0..30),
    ) {
        let extents = |pages: &std::collections::BTreeSet<u64>| {
            let one = |first: &u64| Extent { first: *first, count: 1 };
            pages.iter().map(one).collect::<Vec<_>>()
        };
        let pages = |extents: &[Extent]| {
            extents.iter().flat_map(|e| e.first..e.first + e.count).collect::<Vec<_>>()
        };
        let joined = super::memory::joined(&extents(&all), 1);
        prop_assert_eq!(pages(&joined), all.iter().copied().collect::<Vec<_>>());
        let left = without(&joined, &extents(&some));
        prop_assert_eq!(pages(&left), all.difference(&some).copied().collect::<Vec<_>>());
    }
}
