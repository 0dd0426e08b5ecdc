// SPDX-License-Identifier: Apache-2.0
//! The whole program `ampoule-vmm` with guests of a few instructions, from its arguments to its
//! exit status. Tier 2: needs a `/dev/kvm` that opens; where none does, each test says that it
//! was skipped. Real kernels are the business of the package `host`.
#![cfg(test)]

mod guest;
mod stand;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, Instant};

use guest::{Guest, Options, file, pair, start};
use rustix::process::{Signal, kill_process};
use vmm::control::{self, Adopt, Adopted, Body, End, Snapshot, Snapshotted, Stop};

/// `mov al, 0xfe; out 0x64, al; jmp $`.
const RESET: &[u8] = b"\xb0\xfe\xe6\x64\xeb\xfe";
/// `ud2` without an IDT.
const TRIPLE_FAULT: &[u8] = b"\x0f\x0b";
/// `jmp $`.
const SPIN: &[u8] = b"\xeb\xfe";
/// `cli; hlt`.
const HALT: &[u8] = b"\xfa\xf4";
/// `mov dx, 0x3f8; mov al, 'x'; out dx, al; mov al, 0xfe; out 0x64, al; jmp $`.
const PRINT: &[u8] = b"\x66\xba\xf8\x03\xb0x\xee\xb0\xfe\xe6\x64\xeb\xfe";

/// `mov byte [0x200000], 'a'`, then spins until `[0x200004]` is not zero, then resets:
/// `mov byte [rdi], 0x61; l: cmp byte [rdi+4], 0; je l` with `mov edi, 0x200000` before.
const WAIT: &[u8] =
    b"\xbf\x00\x00\x20\x00\xc6\x07\x61\x80\x7f\x04\x00\x74\xfa\xb0\xfe\xe6\x64\xeb\xfe";

#[test]
fn each_way_a_guest_ends_itself_is_told_apart() {
    for (code, end) in [(RESET, End::Reset), (TRIPLE_FAULT, End::TripleFault)] {
        let Some(guest) = start(&Options::new(code)) else {
            return;
        };
        guest.running();
        let (ended, status, errors) = guest.ended();
        assert_eq!(
            (ended.end(), status.code()),
            (end, Some(0)),
            "{}",
            ended.detail
        );
        assert_eq!(errors, "");
    }
}

#[test]
fn a_life_ends_whatever_the_guest_does_and_with_nobody_to_tell() {
    for (code, first) in [(SPIN, false), (HALT, false), (SPIN, true)] {
        let life = 300;
        let options = Options {
            life,
            first,
            ..Options::new(code)
        };
        let Some(guest) = start(&options) else { return };
        let since = Instant::now();
        guest.running();
        let (ended, status, _) = guest.ended();
        assert_eq!((ended.end(), status.code()), (End::Life, Some(0)));
        assert_eq!(ended.detail, "the guest's life of 300ms is over");
        assert!(
            since.elapsed() >= Duration::from_millis(250),
            "{:?}",
            since.elapsed()
        );
    }
}

#[test]
fn a_guest_that_waits_ends_with_its_supervisor() {
    let waits = true;
    let options = Options {
        waits,
        ..Options::new(SPIN)
    };
    let Some(mut guest) = start(&options) else {
        return;
    };
    guest.running();
    let since = Instant::now();
    guest.control = pair().0;
    assert_eq!(guest.gone().0.code(), Some(0));
    assert!(since.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_guest_that_waited_gets_the_life_of_its_task_once_and_keeps_it_without_a_supervisor() {
    let options = Options {
        waits: true,
        ..Options::new(SPIN)
    };
    let adopt = |life_ms| Body::Adopt(Adopt { life_ms, drive: 1 });
    let Some(mut guest) = start(&options) else {
        return;
    };
    guest.running();
    control::send(&guest.control, adopt(700), None).unwrap();
    let (word, _) = control::receive(&guest.control).unwrap();
    assert_eq!(word, Body::Adopted(Adopted {}));
    control::send(&guest.control, adopt(60_000), None).unwrap();
    let since = Instant::now();
    guest.control = pair().0;
    assert_eq!(guest.gone().0.code(), Some(0));
    assert!(since.elapsed() >= Duration::from_millis(500));
    assert!(since.elapsed() < Duration::from_secs(30));
    // A life that is none, and a drive that is not there.
    for (life_ms, medium) in [(0, None), (700, Some(file(b"x")))] {
        let Some(guest) = start(&options) else { return };
        guest.running();
        control::send(
            &guest.control,
            adopt(life_ms),
            medium.as_ref().map(AsFd::as_fd),
        )
        .unwrap();
        let (ended, _, _) = guest.ended();
        assert_eq!(ended.end(), End::Host, "{}", ended.detail);
    }
}

#[test]
fn a_guest_whose_supervisor_is_gone_dies_at_its_life() {
    let options = Options {
        life: 400,
        ..Options::new(SPIN)
    };
    let Some(mut guest) = start(&options) else {
        return;
    };
    guest.running();
    // The supervisor's end closes.
    guest.control = pair().0;
    std::thread::sleep(Duration::from_millis(100));
    assert!(guest.child.try_wait().unwrap().is_none());
    assert_eq!(guest.gone().0.code(), Some(0));
}

#[test]
fn a_vmm_that_is_stuck_is_ended_by_the_timer_of_last_resort() {
    for first in [false, true] {
        let options = Options {
            life: 200,
            deaf: true,
            first,
            ..Options::new(SPIN)
        };
        let Some(mut guest) = start(&options) else {
            return;
        };
        assert_eq!(guest.gone().0.code(), Some(4));
    }
}

#[test]
fn stop_and_sigterm_end_a_guest_at_once() {
    for (first, signal) in [(false, false), (false, true), (true, true)] {
        let options = Options {
            cpus: 2,
            first,
            ..Options::new(SPIN)
        };
        let Some(guest) = start(&options) else { return };
        guest.running();
        if signal {
            kill_process(guest.pid(), Signal::TERM).unwrap();
        } else {
            control::send(&guest.control, Body::Stop(Stop {}), None).unwrap();
        }
        let (ended, status, _) = guest.ended();
        assert_eq!((ended.end(), status.code()), (End::Stopped, Some(0)));
    }
}

#[test]
fn the_debug_console_leaves_with_the_last_word_and_only_when_asked_for() {
    for (console, tail) in [(true, &b"x"[..]), (false, b"")] {
        let options = Options {
            console,
            ..Options::new(PRINT)
        };
        let Some(guest) = start(&options) else { return };
        guest.running();
        let (ended, _, _) = guest.ended();
        assert_eq!((ended.end(), &ended.console[..]), (End::Reset, tail));
    }
}

/// Where guest memory begins in a snapshot.
const MEMORY_AT: u64 = 2 << 20;

/// Has the VMM write a snapshot once its guest has written to memory.
fn snapshot(guest: &Guest) -> File {
    loop {
        let file = tempfile::tempfile().unwrap();
        let wish = Body::Snapshot(Snapshot {});
        control::send(&guest.control, wish, Some(file.as_fd())).unwrap();
        let (body, _) = control::receive(&guest.control).unwrap();
        assert_eq!(body, Body::Snapshotted(Snapshotted::default()));
        let mut byte = [0];
        file.read_exact_at(&mut byte, MEMORY_AT + 0x20_0000)
            .unwrap();
        if byte == *b"a" {
            return file;
        }
    }
}

#[test]
fn a_snapshot_goes_on_where_it_was_taken_and_its_original_too() {
    let options = Options {
        cpus: 2,
        ..Options::new(WAIT)
    };
    let Some(original) = start(&options) else {
        return;
    };
    original.running();
    let file = snapshot(&original);
    // The kernel's first instruction would clear nothing: only one that goes on sees this byte.
    file.write_all_at(b"x", MEMORY_AT + 0x20_0004).unwrap();
    let restored = start(&Options {
        snapshot: Some(file),
        cpus: 2,
        ..Options::new(WAIT)
    });
    let restored = restored.unwrap();
    restored.running();
    let (ended, status, errors) = restored.ended();
    assert_eq!(
        (ended.end(), status.code()),
        (End::Reset, Some(0)),
        "{errors}"
    );
    // It was stopped, and is running again.
    let second = snapshot(&original);
    drop(second);
    control::send(&original.control, Body::Stop(Stop {}), None).unwrap();
    assert_eq!(original.ended().0.end(), End::Stopped);
}

#[test]
fn a_snapshot_of_another_machine_or_damaged_is_refused_by_name() {
    let Some(original) = start(&Options::new(WAIT)) else {
        return;
    };
    original.running();
    let file = snapshot(&original);
    let refusal = |file: &File, cpus| {
        let options = Options {
            snapshot: Some(file.try_clone().unwrap()),
            cpus,
            ..Options::new(WAIT)
        };
        let (ended, status, _) = start(&options).unwrap().ended();
        assert_eq!((ended.end(), status.code()), (End::Setup, Some(1)));
        ended.detail
    };
    assert_eq!(
        refusal(&file, 2),
        "the snapshot cannot be restored: the snapshot is of a machine with 1 vCPUs, not 2"
    );
    file.write_all_at(b"\xff\xff", 100).unwrap();
    assert!(refusal(&file, 1).contains("corrupt"));
    file.set_len(1 << 20).unwrap();
    assert!(refusal(&file, 1).starts_with("the snapshot cannot be restored: "));
    file.write_all_at(b"?", 0).unwrap();
    assert!(refusal(&file, 1).ends_with("the file is not a snapshot"));
}

#[test]
fn a_machine_with_a_console_is_not_written_and_goes_on() {
    let options = Options {
        console: true,
        ..Options::new(SPIN)
    };
    let Some(guest) = start(&options) else { return };
    guest.running();
    let file = tempfile::tempfile().unwrap();
    control::send(
        &guest.control,
        Body::Snapshot(Snapshot {}),
        Some(file.as_fd()),
    )
    .unwrap();
    let (body, _) = control::receive(&guest.control).unwrap();
    let Body::Snapshotted(done) = body else {
        panic!("{body:?}");
    };
    assert!(done.error.contains("debug console"), "{}", done.error);
    control::send(&guest.control, Body::Stop(Stop {}), None).unwrap();
    assert_eq!(guest.ended().0.end(), End::Stopped);
}

#[test]
fn a_bad_kernel_is_told_in_one_line_on_both_sides() {
    let options = Options {
        kernel: b"#!/bin/sh\n".to_vec(),
        ..Options::new(SPIN)
    };
    let Some(guest) = start(&options) else { return };
    let (ended, status, errors) = guest.ended();
    assert_eq!((ended.end(), status.code()), (End::Setup, Some(1)));
    assert_eq!(
        ended.detail,
        "the guest kernel cannot be started: the kernel is not an ELF file; it must be the \
         uncompressed vmlinux, not a bzImage"
    );
    assert_eq!(errors, format!("ampoule-vmm: {}\n", ended.detail));
}

/// Runs the VMM with arguments alone.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ampoule-vmm"));
    let output = command.args(args).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), errors)
}

#[test]
fn descriptors_that_are_not_there_or_not_meant_are_refused_by_number() {
    let sizes = ["--cpus=1", "--memory-mib=64", "--life-ms=1000"];
    let with = |last: &str| {
        let given = [
            last,
            "--kernel-fd=901",
            "--control-fd=902",
            "--connector-fd=903",
        ];
        let args: Vec<_> = sizes.into_iter().chain(given).collect();
        refused(&args)
    };
    for (argument, said) in [
        (
            "--kvm-fd=900",
            "descriptor 900, named on the command line, is not open",
        ),
        (
            "--kvm-fd=2",
            "descriptor 2, named on the command line, is a standard stream",
        ),
    ] {
        let (code, errors) = with(argument);
        assert_eq!(code, Some(1));
        assert!(errors.ends_with(&format!("{said}\n")), "{errors}");
    }
    let (code, errors) = refused(&["--cpus=0"]);
    assert_eq!(code, Some(2));
    assert!(
        errors.contains("must be between 1 and 32, not 0"),
        "{errors}"
    );
}
