// SPDX-License-Identifier: Apache-2.0
//! The pump between socket pairs and pipes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use protocol::{read_frame, write_frame};

use super::*;

struct Rig {
    guest: UnixStream,
    out: File,
    err: File,
    pump: Pump,
}

fn rig(input: Option<Input>) -> Rig {
    let (guest, ours) = UnixStream::pair().unwrap();
    let (out, out_tx) = rustix::pipe::pipe().unwrap();
    let (err, err_tx) = rustix::pipe::pipe().unwrap();
    let outputs = (
        Output::to(out_tx.as_fd()).unwrap(),
        Output::to(err_tx.as_fd()).unwrap(),
    );
    let pump = Pump::new(ours.into(), input, outputs);
    Rig {
        guest,
        out: out.into(),
        err: err.into(),
        pump,
    }
}

/// Turns the pump until it is done or nothing happens for a while.
fn turn(pump: &mut Pump) -> Result<(), FrameError> {
    while !pump.is_done() {
        let mut interests = Interests::new();
        pump.interests(&mut interests, |side| side);
        let ready = interests
            .wait(Some(Instant::now() + Duration::from_millis(300)))
            .unwrap();
        if ready.is_empty() {
            return Ok(());
        }
        for side in ready {
            pump.turn(side)?;
        }
    }
    Ok(())
}

#[test]
fn bodies_arrive_on_their_streams() {
    let Rig {
        mut guest,
        mut out,
        mut err,
        mut pump,
    } = rig(None);
    write_frame(&mut guest, Kind::Stdout, b"one ").unwrap();
    write_frame(&mut guest, Kind::Stdout, b"").unwrap();
    write_frame(&mut guest, Kind::Stdout, b"two").unwrap();
    write_frame(&mut guest, Kind::Stderr, b"err").unwrap();
    write_frame(&mut guest, Kind::OutputEnd, b"").unwrap();
    turn(&mut pump).unwrap();
    assert!(pump.is_done());
    drop(pump);
    let (mut a, mut b) = (String::new(), String::new());
    out.read_to_string(&mut a).unwrap();
    err.read_to_string(&mut b).unwrap();
    assert_eq!((a.as_str(), b.as_str()), ("one two", "err"));
}

#[test]
fn a_reader_that_does_not_read_stops_the_guest() {
    let Rig {
        mut guest,
        mut out,
        mut pump,
        ..
    } = rig(None);
    let writer = std::thread::spawn(move || {
        for n in 0..64u8 {
            write_frame(&mut guest, Kind::Stdout, &[n; 65536]).unwrap();
        }
        write_frame(&mut guest, Kind::OutputEnd, b"").unwrap();
    });
    turn(&mut pump).unwrap();
    assert!(pump.is_blocked() && !writer.is_finished());
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        out.read_to_end(&mut all).unwrap();
        all
    });
    turn(&mut pump).unwrap();
    writer.join().unwrap();
    drop(pump);
    let all = reader.join().unwrap();
    assert_eq!(all.len(), 64 * 65536);
    assert!(
        all.chunks(65536)
            .enumerate()
            .all(|(n, c)| c.iter().all(|b| usize::from(*b) == n))
    );
}

#[test]
fn stdin_and_its_end_are_frames() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let Rig {
        mut guest,
        mut pump,
        ..
    } = rig(Some(Input::from(reader.as_fd()).unwrap()));
    File::from(writer).write_all(b"hello").unwrap();
    turn(&mut pump).unwrap();
    let first = read_frame(&mut guest).unwrap();
    assert_eq!(
        (first.kind, first.body.as_slice()),
        (Kind::Stdin, &b"hello"[..])
    );
    assert_eq!(read_frame(&mut guest).unwrap().kind, Kind::StdinEnd);
}

#[test]
fn a_frame_that_has_no_place_here_is_an_error() {
    let Rig {
        mut guest,
        mut pump,
        ..
    } = rig(None);
    write_frame(&mut guest, Kind::Ready, b"").unwrap();
    let broke = turn(&mut pump).unwrap_err();
    assert!(matches!(
        broke,
        FrameError::Unexpected { kind: Kind::Ready }
    ));
}

#[test]
fn an_end_within_a_frame_is_an_error_and_one_between_frames_is_not() {
    for (cut, fine) in [(0, true), (3, false), (8, false)] {
        let Rig {
            mut guest,
            mut pump,
            ..
        } = rig(None);
        let mut wire = Vec::new();
        write_frame(&mut wire, Kind::Stdout, b"abcdef").unwrap();
        guest.write_all(&wire).unwrap();
        guest.write_all(&wire[..cut]).unwrap();
        drop(guest);
        assert_eq!(turn(&mut pump).is_ok(), fine, "{cut}");
        assert!(pump.is_done());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn however_frames_are_cut_and_pieced_the_bytes_are_the_same(
        frames in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 0..40),
        piece in 1usize..500,
    ) {
        let Rig { mut guest, mut out, mut err, mut pump } = rig(None);
        let (mut wire, mut want_out, mut want_err) = (Vec::new(), Vec::new(), Vec::new());
        for (is_err, body) in &frames {
            let kind = if *is_err { Kind::Stderr } else { Kind::Stdout };
            write_frame(&mut wire, kind, body).unwrap();
            if *is_err { want_err.extend(body) } else { want_out.extend(body) }
        }
        write_frame(&mut wire, Kind::OutputEnd, b"").unwrap();
        for part in wire.chunks(piece) {
            guest.write_all(part).unwrap();
            pump.turn(Side::Guest).unwrap();
        }
        prop_assert!(pump.is_done());
        drop(pump);
        let (mut a, mut b) = (Vec::new(), Vec::new());
        out.read_to_end(&mut a).unwrap();
        err.read_to_end(&mut b).unwrap();
        prop_assert_eq!((a, b), (want_out, want_err));
    }
}

#[test]
fn a_large_stdin_arrives_whole_at_a_slow_guest() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let Rig {
        mut guest,
        mut pump,
        ..
    } = rig(Some(Input::from(reader.as_fd()).unwrap()));
    let bytes: Vec<u8> = (0..700_000u32).map(|n| (n % 251) as u8).collect();
    let fed = bytes.clone();
    let feeder = std::thread::spawn(move || File::from(writer).write_all(&fed).unwrap());
    let slow = std::thread::spawn(move || {
        let mut all = Vec::new();
        loop {
            std::thread::sleep(Duration::from_millis(2));
            let frame = read_frame(&mut guest).unwrap();
            if frame.kind == Kind::StdinEnd {
                return all;
            }
            all.extend(frame.body);
        }
    });
    turn(&mut pump).unwrap();
    feeder.join().unwrap();
    assert!(slow.join().unwrap() == bytes);
}
