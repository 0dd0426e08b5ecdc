// SPDX-License-Identifier: Apache-2.0
//! States and credit of one connection.
#![expect(clippy::arithmetic_side_effects, reason = "tests make what they count")]

use super::super::spec::{HOST_CID, TYPE_STREAM};
use super::*;
use proptest::prelude::*;

fn packet(op: Op, len: u32) -> Header {
    Header {
        src_cid: 3,
        dst_cid: HOST_CID,
        src_port: 5000,
        dst_port: 1024,
        len,
        kind: TYPE_STREAM,
        op: Some(op),
        flags: 0,
        buf_alloc: 1000,
        fwd_cnt: 0,
    }
}

fn shutdown(flags: u32) -> Header {
    Header {
        flags,
        ..packet(Op::Shutdown, 0)
    }
}

/// A connection the guest asked for and the host accepted, the response sent.
fn open() -> Connection {
    let mut connection = Connection::from_guest(&packet(Op::Request, 0));
    connection.accept();
    assert_eq!(sent(&mut connection), Some((Op::Response, 0)));
    connection
}

fn sent(connection: &mut Connection) -> Option<(Op, u32)> {
    let (op, flags) = connection.next_packet()?;
    let mut header = packet(op, 0);
    connection.stamp(&mut header, 0);
    Some((op, flags))
}

/// Sends `len` bytes to the guest.
fn send_data(connection: &mut Connection, len: u32) {
    connection.stamp(&mut packet(Op::Data, 0), len);
}

#[test]
fn a_guests_request_is_open_once_the_host_accepts() {
    let mut connection = Connection::from_guest(&packet(Op::Request, 0));
    assert_eq!(connection.state(), State::Connecting);
    assert!(!connection.owes());
    assert_eq!(connection.credit(), 0);
    connection.accept();
    assert_eq!(connection.state(), State::Open);
    assert_eq!(sent(&mut connection), Some((Op::Response, 0)));
    assert_eq!(connection.credit(), 1000);
    assert!(!connection.owes());
}

#[test]
fn a_hosts_request_is_open_once_the_guest_responds() {
    let mut connection = Connection::to_guest();
    assert_eq!(sent(&mut connection), Some((Op::Request, 0)));
    assert_eq!(connection.credit(), 0);
    assert_eq!(
        connection.on_packet(&packet(Op::Response, 0)),
        Event::Opened
    );
    assert_eq!(connection.state(), State::Open);
    assert_eq!(connection.credit(), 1000);
}

#[test]
fn packets_out_of_their_state_are_violations() {
    let connecting = || Connection::from_guest(&packet(Op::Request, 0));
    for op in [
        Op::Request,
        Op::Response,
        Op::Data,
        Op::Shutdown,
        Op::CreditRequest,
    ] {
        let event = connecting().on_packet(&packet(op, 0));
        assert_eq!(event, Event::Violation, "connecting: {op:?}");
    }
    for op in [Op::Request, Op::Data, Op::Shutdown] {
        let event = Connection::to_guest().on_packet(&packet(op, 0));
        assert_eq!(event, Event::Violation, "requested: {op:?}");
    }
    for op in [Op::Request, Op::Response] {
        assert_eq!(
            open().on_packet(&packet(op, 0)),
            Event::Violation,
            "open: {op:?}"
        );
    }
    let unknown = Header {
        op: None,
        ..packet(Op::Data, 0)
    };
    assert_eq!(open().on_packet(&unknown), Event::Violation);
}

#[test]
fn a_reset_ends_every_state() {
    let mut closing = open();
    closing.shut(Shut::BOTH);
    let requested = Connection::to_guest();
    for mut connection in [open(), closing, requested] {
        assert_eq!(connection.on_packet(&packet(Op::Reset, 0)), Event::Gone);
    }
}

#[test]
fn the_guest_may_send_its_credit_and_not_a_byte_more() {
    let mut connection = open();
    let most = packet(Op::Data, BUF_ALLOC);
    assert_eq!(connection.on_packet(&most), Event::Data);
    assert_eq!(connection.on_packet(&packet(Op::Data, 0)), Event::Data);
    assert_eq!(connection.on_packet(&packet(Op::Data, 1)), Event::Violation);
    let mut connection = open();
    assert_eq!(
        connection.on_packet(&packet(Op::Data, u32::MAX)),
        Event::Violation
    );
}

#[test]
fn what_the_host_took_may_be_sent_again_past_the_wrap_of_the_counters() {
    let mut connection = open();
    // 2^32 bytes and some.
    for _ in 0..(1 << 14) + 5 {
        assert_eq!(
            connection.on_packet(&packet(Op::Data, BUF_ALLOC)),
            Event::Data
        );
        connection.took(BUF_ALLOC as usize);
        assert_eq!(sent(&mut connection), Some((Op::CreditUpdate, 0)));
    }
}

#[test]
fn credit_is_announced_when_half_is_used_in_the_guests_eyes_or_when_asked() {
    let mut connection = open();
    let half = BUF_ALLOC / 2;
    connection.on_packet(&packet(Op::Data, half));
    connection.took(half as usize);
    assert!(!connection.owes());
    connection.on_packet(&packet(Op::Data, 1));
    connection.took(1);
    assert_eq!(sent(&mut connection), Some((Op::CreditUpdate, 0)));
    connection.on_packet(&packet(Op::CreditRequest, 0));
    assert_eq!(sent(&mut connection), Some((Op::CreditUpdate, 0)));
    assert!(!connection.owes());
}

#[test]
fn any_packet_announces_credit() {
    let mut connection = open();
    connection.on_packet(&packet(Op::Data, BUF_ALLOC));
    connection.took(BUF_ALLOC as usize);
    let mut data = packet(Op::Data, 0);
    connection.stamp(&mut data, 1);
    assert_eq!((data.buf_alloc, data.fwd_cnt), (BUF_ALLOC, BUF_ALLOC));
    assert!(!connection.owes());
}

#[test]
fn sending_uses_the_guests_credit_until_it_gives_more() {
    let mut connection = open();
    send_data(&mut connection, 999);
    assert_eq!(connection.credit(), 1);
    send_data(&mut connection, 1);
    assert_eq!(connection.credit(), 0);
    let update = Header {
        fwd_cnt: 600,
        ..packet(Op::CreditUpdate, 0)
    };
    assert_eq!(connection.on_packet(&update), Event::Nothing);
    assert_eq!(connection.credit(), 600);
}

#[test]
fn a_guest_that_lies_about_its_buffer_gets_no_more_credit_than_it_named() {
    let mut connection = open();
    send_data(&mut connection, 500);
    for (buf_alloc, fwd_cnt, credit) in [(100, 0, 0), (1000, 501, 0), (u32::MAX, 500, u32::MAX)] {
        let lie = Header {
            buf_alloc,
            fwd_cnt,
            ..packet(Op::CreditUpdate, 0)
        };
        connection.on_packet(&lie);
        assert_eq!(connection.credit(), credit, "{buf_alloc} {fwd_cnt}");
    }
}

#[test]
fn credit_is_asked_for_once_until_data_flows_again() {
    let mut connection = open();
    send_data(&mut connection, 1000);
    connection.want_credit();
    assert_eq!(sent(&mut connection), Some((Op::CreditRequest, 0)));
    connection.on_packet(&packet(Op::CreditUpdate, 0));
    connection.want_credit();
    assert!(
        !connection.owes(),
        "an answer of no credit is not asked about again"
    );
    let update = Header {
        fwd_cnt: 1000,
        ..packet(Op::CreditUpdate, 0)
    };
    connection.on_packet(&update);
    send_data(&mut connection, 1000);
    connection.want_credit();
    assert!(connection.owes());
}

#[test]
fn half_closed_connections_flow_the_other_way() {
    let mut connection = open();
    assert_eq!(connection.on_packet(&shutdown(2)), Event::Shut);
    assert_eq!(connection.on_packet(&packet(Op::Data, 1)), Event::Violation);
    assert_eq!(connection.credit(), 1000);
    let mut connection = open();
    connection.on_packet(&shutdown(1));
    assert_eq!(connection.credit(), 0);
    assert_eq!(connection.on_packet(&packet(Op::Data, 1)), Event::Data);
    let mut connection = open();
    connection.shut(Shut::from_flags(2));
    assert_eq!(sent(&mut connection), Some((Op::Shutdown, 2)));
    assert_eq!(connection.credit(), 0);
    assert_eq!(connection.on_packet(&packet(Op::Data, 1)), Event::Data);
}

#[test]
fn a_host_that_is_done_says_so_once_and_waits_for_the_reset() {
    let mut connection = open();
    connection.shut(Shut::from_flags(2));
    connection.shut(Shut::BOTH);
    connection.shut(Shut::BOTH);
    assert_eq!(connection.state(), State::Closing);
    assert_eq!(sent(&mut connection), Some((Op::Shutdown, 3)));
    assert!(!connection.owes());
    // What was on the way is no violation.
    assert_eq!(connection.on_packet(&packet(Op::Data, 1)), Event::Data);
    assert_eq!(connection.on_packet(&packet(Op::Reset, 0)), Event::Gone);
}

#[test]
fn a_later_shutdown_does_not_take_back_an_earlier_one() {
    let mut connection = open();
    connection.on_packet(&shutdown(1));
    connection.on_packet(&shutdown(2));
    connection.on_packet(&shutdown(0));
    assert_eq!(connection.guest_shut(), Shut::BOTH);
}

#[derive(Clone, Debug)]
enum Step {
    Packet(Option<u16>, u32, u32, u32, u32),
    Accept,
    Take(usize),
    Send(u32),
    WantCredit,
    Shut(u32),
    Next,
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![0..70_000_u32, any::<u32>()];
    prop_oneof![
        (prop::option::of(0..9_u16), size(), 0..4_u32, size(), size())
            .prop_map(|(op, len, flags, alloc, fwd)| Step::Packet(op, len, flags, alloc, fwd)),
        Just(Step::Accept),
        (0..300_000_usize).prop_map(Step::Take),
        size().prop_map(Step::Send),
        Just(Step::WantCredit),
        (0..4_u32).prop_map(Step::Shut),
        Just(Step::Next),
    ]
}

proptest! {
    /// Whatever the guest sends: no panic, never more held than the credit given, never more
    /// sent than the credit had.
    #[test]
    fn books_stay_balanced(asked in any::<bool>(), steps in prop::collection::vec(step(), 0..80)) {
        let mut connection = match asked {
            true => Connection::from_guest(&packet(Op::Request, 0)),
            false => Connection::to_guest(),
        };
        let mut held = 0_usize;
        for step in steps {
            match step {
                Step::Packet(op, len, flags, buf_alloc, fwd_cnt) => {
                    let bytes = op.unwrap_or(0).to_le_bytes();
                    let mut raw = packet(Op::Data, len).to_bytes();
                    raw[30..32].copy_from_slice(&bytes);
                    let header = Header { flags, buf_alloc, fwd_cnt, ..Header::from_bytes(raw) };
                    if connection.on_packet(&header) == Event::Data {
                        held += len as usize;
                    }
                }
                Step::Accept => connection.accept(),
                Step::Take(count) => {
                    let count = count.min(held);
                    held -= count;
                    connection.took(count);
                }
                Step::Send(count) => {
                    let count = count.min(connection.credit());
                    send_data(&mut connection, count);
                }
                Step::WantCredit => connection.want_credit(),
                Step::Shut(flags) => connection.shut(Shut::from_flags(flags)),
                Step::Next => {
                    let owed = connection.owes();
                    prop_assert_eq!(sent(&mut connection).is_some(), owed);
                }
            }
            prop_assert!(held <= BUF_ALLOC as usize);
            prop_assert_eq!((connection.received - connection.taken).0 as usize, held);
        }
        let mut packets = 0;
        while sent(&mut connection).is_some() {
            packets += 1;
        }
        prop_assert!(packets <= 5);
    }
}
