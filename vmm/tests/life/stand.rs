// SPDX-License-Identifier: Apache-2.0
//! Guests that stand still.

use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use vmm::control::{
    self, Body, End, Park, Parked, Pause, Paused, Resume, Retime, Snapshot, Snapshotted, Stop,
};

use super::SPIN;
use super::guest::{Guest, Options, pair, start};

/// Where [`COUNT`] counts.
const AT: u64 = 0x30_0000;

/// `mov edi, 0x300000; l: inc dword [rdi]; jmp l`.
const COUNT: &[u8] = b"\xbf\x00\x00\x30\x00\xff\x07\xeb\xfc";

fn say(guest: &Guest, body: Body) {
    control::send(&guest.control, body, None).unwrap();
}

fn pause(guest: &Guest, life_ms: u64) {
    say(guest, Body::Pause(Pause { life_ms }));
    let (body, _) = control::receive(&guest.control).unwrap();
    let Body::Paused(Paused { error, stopped_ns }) = body else {
        panic!("{body:?}");
    };
    assert!(error.is_empty() && stopped_ns > 0, "{error}");
}

/// What the guest has counted to, by the file that its memory moves to.
fn park(guest: &Guest) -> u32 {
    let file = tempfile::tempfile().unwrap();
    control::send(&guest.control, Body::Park(Park {}), Some(file.as_fd())).unwrap();
    let (body, _) = control::receive(&guest.control).unwrap();
    assert_eq!(body, Body::Parked(Parked::default()));
    let mut bytes = [0; 4];
    let there = file.read_exact_at(&mut bytes, AT).is_ok();
    if there { u32::from_le_bytes(bytes) } else { 0 }
}

/// A guest that has begun to count and stands still, and what it had counted to.
fn counting(cpus: u64) -> Option<(Guest, u32)> {
    let guest = start(&Options {
        cpus,
        ..Options::new(COUNT)
    })?;
    guest.running();
    loop {
        pause(&guest, 60_000);
        let counted = park(&guest);
        if counted > 0 {
            return Some((guest, counted));
        }
        resume(&guest, 60_000);
    }
}

fn resume(guest: &Guest, life_ms: u64) {
    say(guest, Body::Resume(Resume { life_ms }));
}

#[test]
fn what_stands_still_does_nothing_and_goes_on_from_there() {
    let Some((guest, first)) = counting(2) else {
        return;
    };
    std::thread::sleep(Duration::from_millis(50));
    // Not a page of it is its own any more, so nothing is written where it would have counted on.
    assert_eq!(park(&guest), 0);
    // It is paused already, and that is not said twice.
    say(&guest, Body::Pause(Pause { life_ms: 60_000 }));
    resume(&guest, 60_000);
    std::thread::sleep(Duration::from_millis(50));
    pause(&guest, 60_000);
    let second = park(&guest);
    assert!(second > first, "{first} {second}");
    say(&guest, Body::Stop(Stop {}));
    assert_eq!(guest.ended().0.end(), End::Stopped);
}

#[test]
fn only_what_stands_still_is_parked_and_only_what_runs_is_copied() {
    let Some((guest, _)) = counting(1) else {
        return;
    };
    resume(&guest, 60_000);
    let file = tempfile::tempfile().unwrap();
    let park = Body::Park(Park {});
    control::send(&guest.control, park, Some(file.as_fd())).unwrap();
    let (body, _) = control::receive(&guest.control).unwrap();
    let error = "the guest runs".to_owned();
    assert_eq!(body, Body::Parked(Parked { error }));
    pause(&guest, 60_000);
    let wish = Body::Snapshot(Snapshot {});
    control::send(&guest.control, wish, Some(file.as_fd())).unwrap();
    let (body, _) = control::receive(&guest.control).unwrap();
    let error = "the guest stands still".to_owned();
    assert_eq!(body, Body::Snapshotted(Snapshotted { error }));
}

#[test]
fn what_cannot_hear_that_its_supervisor_has_gone_ends_with_it() {
    let Some((mut guest, _)) = counting(1) else {
        return;
    };
    guest.control = pair().0;
    assert_eq!(guest.gone().0.code(), Some(0));
    // One that goes on can.
    let Some((mut guest, _)) = counting(1) else {
        return;
    };
    resume(&guest, 400);
    guest.control = pair().0;
    std::thread::sleep(Duration::from_millis(100));
    assert!(guest.child.try_wait().unwrap().is_none());
    assert_eq!(guest.gone().0.code(), Some(0));
}

#[test]
fn each_life_counts_from_when_it_is_given() {
    let lives = [
        Body::Pause(Pause { life_ms: 200 }),
        Body::Retime(Retime { life_ms: 200 }),
        Body::Resume(Resume { life_ms: 200 }),
    ];
    for life in lives {
        let Some(guest) = start(&Options::new(SPIN)) else {
            return;
        };
        guest.running();
        say(&guest, life.clone());
        if matches!(life, Body::Pause(_)) {
            let (body, _) = control::receive(&guest.control).unwrap();
            assert!(matches!(body, Body::Paused(_)));
        }
        let (ended, _, _) = guest.ended();
        assert_eq!(ended.end(), End::Life, "{life:?}: {}", ended.detail);
        assert_eq!(ended.detail, "the guest's life of 200ms is over");
    }
}
