// SPDX-License-Identifier: Apache-2.0
//! The device between a driver on rings and real sockets of the host.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests make what they index and count"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

use proptest::prelude::*;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::super::testing::{Driver, WRITE};
use super::connection::BUF_ALLOC;
use super::spec::{HEADER_LEN, HOST_CID, Header, Op, TYPE_STREAM};
use super::*;
use crate::control::{self, Body, Connect, Connected, Refused};

const CID: u64 = 3;
const PORT: u32 = 1024;
const ROOM: usize = 4096;

/// A guest, and the supervisor of its VMM.
struct Guest {
    driver: Driver,
    supervisor: OwnedFd,
    _folder: tempfile::TempDir,
    path: PathBuf,
    /// Address of the buffer behind each descriptor of the rx queue.
    buffers: Vec<u64>,
}

fn guest() -> Guest {
    let flags = SocketFlags::CLOEXEC;
    let (connector, supervisor) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vsock");
    let listener = UnixListener::bind(&path).unwrap();
    let driver = Driver::started(Vsock::new(CID, connector, Some(listener)).unwrap());
    let mut guest = Guest {
        driver,
        supervisor,
        _folder: folder,
        path,
        buffers: Vec::new(),
    };
    guest.fill();
    guest
}

fn header(op: Op, port: u32) -> Header {
    Header {
        src_cid: CID,
        dst_cid: HOST_CID,
        src_port: port,
        dst_port: PORT,
        len: 0,
        kind: TYPE_STREAM,
        op: Some(op),
        flags: 0,
        buf_alloc: 1 << 20,
        fwd_cnt: 0,
    }
}

impl Guest {
    fn fill(&mut self) {
        for _ in 0..32 {
            let buffer = self.driver.allocate(ROOM);
            self.buffers.push(buffer);
            self.driver.send(RX, &[(buffer, ROOM, WRITE)]);
        }
        self.driver.kick(RX);
    }

    /// Sends a packet and has the device look at both queues and its backend.
    fn send(&mut self, mut header: Header, payload: &[u8]) {
        header.len = u32::try_from(payload.len()).unwrap();
        self.send_raw(&header.to_bytes(), payload);
    }

    fn send_raw(&mut self, header: &[u8], payload: &[u8]) {
        let head = self.driver.put(header);
        let body = self.driver.put(payload);
        let buffers = [(head, header.len(), 0), (body, payload.len(), 0)];
        self.driver.send(TX, &buffers);
        self.driver.kick(TX);
        assert!(self.driver.used(TX).is_some());
    }

    /// The next packet for the guest, if there is one. Its buffer is offered again.
    fn receive(&mut self) -> Option<(Header, Vec<u8>)> {
        self.driver.transport.handle_backend().unwrap();
        let (id, len) = self.driver.used(RX)?;
        let buffer = self.buffers[usize::try_from(id).unwrap()];
        let bytes = self.driver.bytes(buffer, usize::try_from(len).unwrap());
        let (header, payload) = bytes.split_first_chunk::<HEADER_LEN>().unwrap();
        let header = Header::from_bytes(*header);
        assert_eq!(payload.len(), usize::try_from(header.len).unwrap());
        assert_eq!(header.dst_cid, CID);
        self.driver.offer(RX, u16::try_from(id).unwrap());
        self.driver.kick(RX);
        Some((header, payload.to_vec()))
    }

    fn expect(&mut self, op: Op) -> (Header, Vec<u8>) {
        let (header, payload) = self
            .receive()
            .unwrap_or_else(|| panic!("no packet: {op:?}"));
        assert_eq!(header.op, Some(op));
        (header, payload)
    }

    fn expect_nothing(&mut self) {
        let packet = self.receive();
        assert!(packet.is_none(), "{packet:?}");
    }

    fn asked(&mut self) -> Connect {
        match control::receive(&self.supervisor).unwrap().0 {
            Body::Connect(connect) => connect,
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, body: Body, socket: Option<&UnixStream>) {
        control::send(&self.supervisor, body, socket.map(AsFd::as_fd)).unwrap();
    }

    /// A connection from the guest's `port`, established. The host's end.
    fn connect(&mut self, port: u32) -> UnixStream {
        self.send(header(Op::Request, port), &[]);
        let asked = self.asked();
        assert_eq!(asked.port, PORT);
        let (host, passed) = UnixStream::pair().unwrap();
        self.answer(Body::Connected(Connected { id: asked.id }), Some(&passed));
        let (response, _) = self.expect(Op::Response);
        assert_eq!((response.src_port, response.dst_port), (PORT, port));
        assert_eq!(response.buf_alloc, BUF_ALLOC);
        host.set_nonblocking(true).unwrap();
        host
    }

    fn client(&self) -> UnixStream {
        let client = UnixStream::connect(&self.path).unwrap();
        client.set_nonblocking(true).unwrap();
        client
    }
}

fn read(mut stream: &UnixStream) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    match stream.read(&mut bytes) {
        Ok(count) => bytes.truncate(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => bytes.clear(),
        Err(error) => panic!("{error}"),
    }
    bytes
}

/// The peer has closed its sending half, and everything was read.
fn at_end(mut stream: &UnixStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0))
}

#[test]
fn a_guests_connection_carries_data_both_ways() {
    let mut guest = guest();
    let mut host = guest.connect(9);
    guest.send(header(Op::Data, 9), b"from the guest");
    assert_eq!(read(&host), b"from the guest");
    host.write_all(b"from the host").unwrap();
    let (data, payload) = guest.expect(Op::Data);
    assert_eq!(payload, b"from the host");
    assert_eq!(data.fwd_cnt, 14);
    guest.expect_nothing();
}

#[test]
fn a_refused_connection_is_reset() {
    let mut guest = guest();
    guest.send(header(Op::Request, 9), &[]);
    let id = guest.asked().id;
    guest.expect_nothing();
    guest.answer(Body::Refused(Refused { id }), None);
    let (reset, _) = guest.expect(Op::Reset);
    assert_eq!((reset.src_port, reset.dst_port), (PORT, 9));
}

#[test]
fn requests_the_supervisor_does_not_answer_are_bounded() {
    let mut guest = guest();
    for port in 0..64 {
        guest.send(header(Op::Request, port), &[]);
        // Giving up does not free the place: the supervisor still has the question.
        guest.send(header(Op::Reset, port), &[]);
    }
    guest.expect_nothing();
    guest.send(header(Op::Request, 100), &[]);
    guest.expect(Op::Reset);
    let id = guest.asked().id;
    guest.answer(Body::Refused(Refused { id }), None);
    guest.expect_nothing();
    guest.send(header(Op::Request, 100), &[]);
    guest.expect_nothing();
}

#[test]
fn an_answer_after_the_guest_gave_up_closes_the_socket() {
    let mut guest = guest();
    guest.send(header(Op::Request, 9), &[]);
    let id = guest.asked().id;
    guest.send(header(Op::Reset, 9), &[]);
    let (host, passed) = UnixStream::pair().unwrap();
    guest.answer(Body::Connected(Connected { id }), Some(&passed));
    guest.expect_nothing();
    assert!(at_end(&host));
}

#[test]
fn without_a_supervisor_every_connection_is_reset() {
    let mut guest = guest();
    let host = guest.connect(8);
    guest.send(header(Op::Request, 9), &[]);
    let (closed, _) = UnixStream::pair().unwrap();
    guest.supervisor = closed.into();
    let (reset, _) = guest.expect(Op::Reset);
    assert_eq!(reset.dst_port, 9);
    guest.send(header(Op::Request, 10), &[]);
    guest.expect(Op::Reset);
    guest.send(header(Op::Data, 8), b"still open");
    assert_eq!(read(&host), b"still open");
}

#[test]
fn packets_that_make_no_sense_are_reset_or_dropped() {
    let mut guest = guest();
    let cases = [
        (
            Header {
                dst_cid: 7,
                ..header(Op::Request, 9)
            },
            true,
        ),
        (
            Header {
                kind: 2,
                ..header(Op::Request, 9)
            },
            true,
        ),
        (header(Op::Data, 9), true),
        (header(Op::Response, 9), true),
        (
            Header {
                op: None,
                ..header(Op::Data, 9)
            },
            true,
        ),
        (header(Op::Reset, 9), false),
        (
            Header {
                src_cid: 4,
                ..header(Op::Request, 9)
            },
            false,
        ),
    ];
    for (packet, reset) in cases {
        guest.send(packet, &[]);
        match reset {
            true => {
                let (answer, _) = guest.expect(Op::Reset);
                assert_eq!((answer.src_cid, answer.kind), (packet.dst_cid, packet.kind));
            }
            false => guest.expect_nothing(),
        }
    }
    guest.send_raw(&[0; 43], &[]);
    guest.expect_nothing();
    assert!(!guest.driver.needs_reset());
}

#[test]
fn a_packet_shorter_than_it_says_resets_its_connection() {
    let mut guest = guest();
    let host = guest.connect(9);
    let lie = Header {
        len: 100,
        ..header(Op::Data, 9)
    };
    guest.send_raw(&lie.to_bytes(), &[1; 99]);
    guest.expect(Op::Reset);
    assert!(at_end(&host));
}

#[test]
fn a_request_for_a_connection_that_is_there_resets_it() {
    let mut guest = guest();
    let host = guest.connect(9);
    guest.send(header(Op::Request, 9), &[]);
    guest.expect(Op::Reset);
    assert!(at_end(&host));
}

#[test]
fn a_host_that_does_not_read_is_given_no_more_than_the_credit() {
    let mut guest = guest();
    let host = guest.connect(9);
    let chunk = vec![7; 64 << 10];
    let mut sent: usize = 0;
    let mut reported: u32 = 0;
    // What the socket takes is forwarded, the rest is held: the guest's credit ends.
    while sent - usize::try_from(reported).unwrap() + chunk.len()
        <= usize::try_from(BUF_ALLOC).unwrap()
    {
        guest.send(header(Op::Data, 9), &chunk);
        sent += chunk.len();
        while let Some((packet, _)) = guest.receive() {
            assert_eq!(packet.op, Some(Op::CreditUpdate));
            reported = packet.fwd_cnt;
        }
    }
    guest.send(header(Op::CreditRequest, 9), &[]);
    reported = guest.expect(Op::CreditUpdate).0.fwd_cnt;
    let room = usize::try_from(BUF_ALLOC).unwrap() - (sent - usize::try_from(reported).unwrap());
    guest.send(header(Op::Data, 9), &vec![7; room]);
    sent += room;
    // Reading lets it all through, and gives the credit back.
    let mut got = 0;
    while got < sent {
        let bytes = read(&host);
        assert!(bytes.iter().all(|byte| *byte == 7));
        got += bytes.len();
        if let Some((packet, _)) = guest.receive() {
            assert_eq!(packet.op, Some(Op::CreditUpdate));
        }
    }
    assert_eq!(got, sent);
    guest.send(header(Op::Data, 9), &chunk);
    assert_eq!(read(&host).len(), chunk.len());
}

#[test]
fn a_guest_that_ignores_its_credit_is_reset() {
    let mut guest = guest();
    let _host = guest.connect(9);
    let mut reset = false;
    for _ in 0..20 {
        guest.send(header(Op::Data, 9), &vec![7; 64 << 10]);
        while let Some((packet, _)) = guest.receive() {
            reset |= packet.op == Some(Op::Reset);
        }
    }
    assert!(reset);
}

#[test]
fn a_guest_without_credit_gets_nothing_until_it_gives_some() {
    let mut guest = guest();
    let mut host = guest.connect(9);
    let none = Header {
        buf_alloc: 4,
        ..header(Op::CreditUpdate, 9)
    };
    guest.send(none, &[]);
    host.write_all(b"123456").unwrap();
    assert_eq!(guest.expect(Op::Data).1, b"1234");
    guest.expect(Op::CreditRequest);
    guest.send(none, &[]);
    guest.expect_nothing();
    let more = Header { fwd_cnt: 4, ..none };
    guest.send(more, &[]);
    assert_eq!(guest.expect(Op::Data).1, b"56");
}

#[test]
fn a_guest_without_buffers_gets_its_packets_when_it_has_some() {
    let mut guest = guest();
    let mut host = guest.connect(9);
    host.write_all(&[5; 33 * (ROOM - HEADER_LEN)]).unwrap();
    guest.driver.transport.handle_backend().unwrap();
    let mut total = 0;
    while let Some((_, payload)) = guest.receive() {
        total += payload.len();
    }
    assert_eq!(total, 33 * (ROOM - HEADER_LEN));
}

#[test]
fn what_all_hosts_together_do_not_read_is_bounded() {
    let mut guest = guest();
    let mut hosts = Vec::new();
    let mut reset = None;
    for port in 0..256 {
        guest.driver.rewind();
        hosts.push(guest.connect(port));
        // The socket takes some, the device holds the rest of the credit.
        let mut sent = 0;
        let mut taken = 0;
        while sent - taken < usize::try_from(BUF_ALLOC).unwrap() && reset.is_none() {
            guest.send(header(Op::Data, port), &[0; 32 << 10]);
            sent += 32 << 10;
            while let Some((packet, _)) = guest.receive() {
                match packet.op {
                    Some(Op::CreditUpdate) => taken = usize::try_from(packet.fwd_cnt).unwrap(),
                    Some(Op::Reset) => reset = Some(port),
                    other => panic!("{other:?}"),
                }
            }
        }
        if reset.is_some() {
            break;
        }
    }
    let reset = reset.expect("everything was held");
    assert!((100..200).contains(&reset), "{reset}");
    // The others go on.
    assert!(!read(&hosts[0]).is_empty());
    guest.expect(Op::CreditUpdate);
}

#[test]
fn connections_left_without_taking_what_is_due_leave_nothing() {
    let mut guest = guest();
    // Use up the guest's buffers.
    let mut host = guest.connect(1);
    for _ in 0..32 {
        host.write_all(b"x").unwrap();
        guest.driver.transport.handle_backend().unwrap();
    }
    for _ in 0..100 {
        guest.driver.rewind();
        guest.send(header(Op::Request, 2), &[]);
        let id = guest.asked().id;
        let (_host, passed) = UnixStream::pair().unwrap();
        guest.answer(Body::Connected(Connected { id }), Some(&passed));
        guest.driver.transport.handle_backend().unwrap();
        guest.send(header(Op::Reset, 2), &[]);
    }
    let mut data = 0;
    while let Some((packet, _)) = guest.receive() {
        assert_eq!((packet.op, packet.dst_port), (Some(Op::Data), 1));
        data += 1;
    }
    assert_eq!(data, 32);
}

#[test]
fn connections_take_turns() {
    let mut guest = guest();
    let mut bulk = guest.connect(8);
    let mut word = guest.connect(9);
    bulk.write_all(&[1; 100_000]).unwrap();
    word.write_all(b"word").unwrap();
    let first = [guest.expect(Op::Data).0, guest.expect(Op::Data).0];
    assert!(first.iter().any(|packet| packet.dst_port == 9));
}

#[test]
fn the_guests_end_of_sending_reaches_the_host_after_its_data() {
    let mut guest = guest();
    let mut host = guest.connect(9);
    guest.send(header(Op::Data, 9), b"last words");
    let shutdown = Header {
        flags: 2,
        ..header(Op::Shutdown, 9)
    };
    guest.send(shutdown, &[]);
    assert_eq!(read(&host), b"last words");
    assert!(at_end(&host));
    host.write_all(b"answer").unwrap();
    assert_eq!(guest.expect(Op::Data).1, b"answer");
    drop(host);
    assert_eq!(guest.expect(Op::Shutdown).0.flags, 3);
    guest.send(header(Op::Reset, 9), &[]);
    guest.expect_nothing();
}

#[test]
fn the_hosts_end_of_sending_reaches_the_guest_after_its_data() {
    let mut guest = guest();
    let mut host = guest.connect(9);
    host.write_all(b"last words").unwrap();
    host.shutdown(Shutdown::Write).unwrap();
    assert_eq!(guest.expect(Op::Data).1, b"last words");
    assert_eq!(guest.expect(Op::Shutdown).0.flags, 2);
    guest.send(header(Op::Data, 9), b"answer");
    assert_eq!(read(&host), b"answer");
    drop(host);
    assert_eq!(guest.expect(Op::Shutdown).0.flags, 3);
}

#[test]
fn a_host_that_closes_gives_the_guest_everything_and_then_the_end() {
    let mut guest = guest();
    let mut host = guest.connect(9);
    host.write_all(b"goodbye").unwrap();
    drop(host);
    // The guest's own data finds nobody, which is no reason to lose the host's.
    guest.send(header(Op::Data, 9), b"too late");
    let mut ops = Vec::new();
    let mut data = Vec::new();
    while let Some((packet, payload)) = guest.receive() {
        ops.push(packet);
        data.extend(payload);
    }
    assert_eq!(data, b"goodbye");
    assert_eq!(
        ops.last().map(|packet| (packet.op, packet.flags)),
        Some((Some(Op::Shutdown), 3))
    );
    guest.send(header(Op::Data, 9), b"still on the way");
    guest.expect_nothing();
}

#[test]
fn a_guest_that_closes_is_answered_at_once_and_the_host_gets_everything() {
    let mut guest = guest();
    let host = guest.connect(9);
    // More than a socket takes, so that the device holds some.
    for _ in 0..6 {
        guest.send(header(Op::Data, 9), &vec![3; 64 << 10]);
        while guest.receive().is_some() {}
    }
    let close = Header {
        flags: 3,
        ..header(Op::Shutdown, 9)
    };
    guest.send(close, &[]);
    guest.expect(Op::Reset);
    // The port is free again, while the rest is still on its way.
    let second = guest.connect(9);
    let mut got = 0;
    while got < 6 * (64 << 10) {
        got += read(&host).len();
        guest.expect_nothing();
    }
    assert!(at_end(&host));
    guest.send(header(Op::Data, 9), b"second");
    assert_eq!(read(&second), b"second");
}

#[test]
fn a_host_reaches_the_guest_with_the_hybrid_greeting() {
    let mut guest = guest();
    let mut client = guest.client();
    client.write_all(b"CONNECT 52\nearly").unwrap();
    guest.driver.transport.handle_backend().unwrap();
    let (request, _) = guest.expect(Op::Request);
    assert_eq!(request.dst_port, 52);
    assert!(read(&client).is_empty());
    let mut response = header(Op::Response, 52);
    response.dst_port = request.src_port;
    guest.send(response, &[]);
    assert_eq!(
        read(&client),
        format!("OK {}\n", request.src_port).as_bytes()
    );
    assert_eq!(guest.expect(Op::Data).1, b"early");
    response.op = Some(Op::Data);
    guest.send(response, b"hello");
    assert_eq!(read(&client), b"hello");
}

#[test]
fn a_greeting_may_come_in_pieces() {
    let mut guest = guest();
    let mut client = guest.client();
    for piece in [&b"CONN"[..], b"ECT 5", b"2", b"\n"] {
        guest.expect_nothing();
        client.write_all(piece).unwrap();
    }
    assert_eq!(guest.expect(Op::Request).0.dst_port, 52);
}

#[test]
fn a_port_the_guest_refuses_closes_the_client() {
    let mut guest = guest();
    let mut client = guest.client();
    client.write_all(b"CONNECT 52\n").unwrap();
    guest.driver.transport.handle_backend().unwrap();
    let (request, _) = guest.expect(Op::Request);
    let mut reset = header(Op::Reset, 52);
    reset.dst_port = request.src_port;
    guest.send(reset, &[]);
    assert!(at_end(&client));
}

#[test]
fn other_greetings_close_the_client() {
    for words in [
        "HELLO 1\n",
        "CONNECT\n",
        "CONNECT \n",
        "CONNECT x\n",
        "CONNECT +1\n",
        "CONNECT -1\n",
        "CONNECT 4294967296\n",
        "CONNECT 1 2\n",
        "\n",
        "CONNECT 00000000000000000000000001\n",
        "no end of line, and more than any greeting needs",
    ] {
        let mut guest = guest();
        let mut client = guest.client();
        client.write_all(words.as_bytes()).unwrap();
        guest.expect_nothing();
        guest.expect_nothing();
        let closed = client.read(&mut [0]);
        let closed = matches!(closed, Ok(0))
            || closed.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset);
        assert!(closed, "{words}");
    }
}

#[test]
fn clients_that_say_nothing_are_few_and_not_forever() {
    let mut guest = guest();
    let clients: Vec<UnixStream> = (0..17)
        .map(|_| {
            let client = guest.client();
            guest.expect_nothing();
            client
        })
        .collect();
    assert!(at_end(&clients[16]));
    assert!(!at_end(&clients[0]));
    std::thread::sleep(std::time::Duration::from_millis(2100));
    guest.expect_nothing();
    guest.expect_nothing();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    guest.expect_nothing();
    assert!(at_end(&clients[0]));
}

/// Whether the device's backend would wake the event thread.
fn wakes(guest: &Guest) -> bool {
    let fd = guest.driver.transport.backend().unwrap();
    let epoll = Epoll::new().unwrap();
    let event = EpollEvent::new(EventSet::IN, 0);
    epoll.ctl(ControlOperation::Add, fd, event).unwrap();
    epoll.wait(0, &mut [EpollEvent::default()]).unwrap() > 0
}

#[test]
fn what_waits_for_the_guest_does_not_wake_the_event_thread() {
    let mut guest = guest();
    let mut host = guest.connect(9);
    let none = Header {
        buf_alloc: 0,
        ..header(Op::CreditUpdate, 9)
    };
    guest.send(none, &[]);
    host.write_all(b"waits").unwrap();
    assert!(wakes(&guest));
    guest.expect(Op::CreditRequest);
    assert!(!wakes(&guest));
}

#[test]
fn a_reset_of_the_device_closes_everything_and_it_works_again() {
    let mut guest = guest();
    let host = guest.connect(9);
    let _slow = guest.client();
    guest.expect_nothing();
    guest.driver.write(super::super::mmio::register::STATUS, 0);
    assert!(at_end(&host));
    // Nothing is pending that would wake the event thread for a stopped device.
    let _client = guest.client();
    assert!(!wakes(&guest));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(!wakes(&guest), "the timer of a stopped device");
    guest.buffers.clear();
    guest.driver.start(super::super::mmio::F_VERSION_1);
    guest.fill();
    let host = guest.connect(9);
    guest.send(header(Op::Data, 9), b"again");
    assert_eq!(read(&host), b"again");
}

#[test]
fn a_buffer_without_room_for_a_header_breaks_the_ring() {
    let mut guest = guest();
    // All buffers offered so far come first.
    let mut host = guest.connect(9);
    for _ in 0..32 {
        host.write_all(b"x").unwrap();
        guest.driver.transport.handle_backend().unwrap();
        guest.driver.used(RX).unwrap();
    }
    let buffer = guest.driver.allocate(16);
    guest.driver.send(RX, &[(buffer, 16, WRITE)]);
    host.write_all(b"x").unwrap();
    guest.driver.transport.handle_backend().unwrap();
    assert!(guest.driver.needs_reset());
}

#[derive(Clone, Debug)]
enum Step {
    Packet {
        guest: u32,
        host: u32,
        op: u16,
        flags: u32,
        claim: u32,
        body: usize,
        credit: u32,
    },
    Connect(bool),
    HostWrites(usize),
    HostReads,
    HostCloses(u8),
    Client(Vec<u8>),
    GuestReads,
}

fn step() -> impl Strategy<Value = Step> {
    let packet = (
        0..4_u32,
        prop_oneof![Just(PORT), 1_u32 << 30..(1 << 30) + 3],
        0..9_u16,
        0..4_u32,
        prop_oneof![4 => Just(0_u32), 1 => any::<u32>()],
        prop_oneof![0..100_usize, 0..70_000_usize],
        prop_oneof![Just(0_u32), Just(1 << 20), any::<u32>()],
    );
    let packet = packet.prop_map(
        |(guest, host, op, flags, claim, body, credit)| Step::Packet {
            guest,
            host,
            op,
            flags,
            claim,
            body,
            credit,
        },
    );
    prop_oneof![
        8 => packet,
        3 => any::<bool>().prop_map(Step::Connect),
        1 => (0..100_000_usize).prop_map(Step::HostWrites),
        1 => Just(Step::HostReads),
        1 => (0..3_u8).prop_map(Step::HostCloses),
        1 => prop_oneof![Just(b"CONNECT 2\n".to_vec()), prop::collection::vec(any::<u8>(), 0..40)]
            .prop_map(Step::Client),
        3 => Just(Step::GuestReads),
    ]
}

/// Takes one step; the sockets of the host are kept in `hosts`.
fn take(guest: &mut Guest, hosts: &mut Vec<UnixStream>, step: Step) {
    match step {
        Step::Packet {
            guest: port,
            host,
            op,
            flags,
            claim,
            body,
            credit,
        } => {
            let mut packet = header(Op::Data, port);
            packet.dst_port = host;
            packet.flags = flags;
            packet.buf_alloc = credit;
            packet.len = claim.max(u32::try_from(body).unwrap());
            let mut bytes = packet.to_bytes();
            bytes[30..32].copy_from_slice(&op.to_le_bytes());
            guest.driver.rewind();
            guest.send_raw(&bytes, &vec![1; body]);
        }
        Step::Connect(accept) => {
            rustix::io::ioctl_fionbio(&guest.supervisor, true).unwrap();
            let Ok((Body::Connect(Connect { id, .. }), _)) = control::receive(&guest.supervisor)
            else {
                return;
            };
            if accept {
                let (host, passed) = UnixStream::pair().unwrap();
                host.set_nonblocking(true).unwrap();
                guest.answer(Body::Connected(Connected { id }), Some(&passed));
                hosts.push(host);
            } else {
                guest.answer(Body::Refused(Refused { id }), None);
            }
        }
        Step::HostWrites(len) => {
            for mut host in hosts.iter() {
                let _ = host.write(&vec![2; len]);
            }
        }
        Step::HostReads => {
            for mut host in hosts.iter() {
                let _ = host.read(&mut [0; 50_000]);
            }
        }
        Step::HostCloses(how) => {
            let Some(host) = hosts.pop() else { return };
            if how > 0 {
                let half = [Shutdown::Read, Shutdown::Write][usize::from(how - 1)];
                let _ = host.shutdown(half);
                hosts.insert(0, host);
            }
        }
        Step::Client(words) => {
            let mut client = guest.client();
            let _ = client.write(&words);
            hosts.push(client);
        }
        Step::GuestReads => while guest.receive().is_some() {},
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever guest and hosts do: no panic, rings stay whole, and the device always settles:
    /// with nothing happening it has nothing to do.
    #[test]
    fn random_traffic_never_breaks_the_device(steps in prop::collection::vec(step(), 1..60)) {
        let mut guest = guest();
        let mut hosts = Vec::new();
        for step in steps {
            take(&mut guest, &mut hosts, step);
            guest.driver.transport.handle_backend().unwrap();
            prop_assert!(!guest.driver.needs_reset());
        }
        let packets = std::iter::from_fn(|| guest.receive()).take(5000).count();
        prop_assert!(packets < 5000, "the device never settles");
        prop_assert!(!wakes(&guest));
    }
}

impl Guest {
    /// The same guest with its device in another VMM, and another supervisor.
    fn restored(self) -> Self {
        let flags = SocketFlags::CLOEXEC;
        let (connector, supervisor) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
        let driver = self
            .driver
            .restored(Vsock::new(CID, connector, None).unwrap());
        let mut guest = Self {
            driver: driver.unwrap(),
            supervisor,
            ..self
        };
        guest.driver.kick(RX);
        guest
    }
}

#[test]
fn a_restored_guest_goes_on_with_the_connection_it_has() {
    let mut guest = guest();
    let mut host = guest.connect(9);
    guest.send(header(Op::Data, 9), b"before");
    host.write_all(b"answer").unwrap();
    guest.expect(Op::Data);
    drop(host);
    let mut guest = guest.restored();
    let asked = guest.asked();
    assert_eq!(asked.port, PORT);
    guest.send(header(Op::Data, 9), b"early");
    let (mut host, passed) = UnixStream::pair().unwrap();
    guest.answer(Body::Connected(Connected { id: asked.id }), Some(&passed));
    host.set_nonblocking(true).unwrap();
    host.write_all(b"after").unwrap();
    // The socket is there, then it is readable; and what was taken may be told before.
    let mut packets = (0..4).filter_map(|_| guest.receive());
    let data = packets.find(|(packet, _)| packet.op == Some(Op::Data));
    let (data, payload) = data.unwrap();
    assert_eq!(payload, b"after");
    assert!(data.fwd_cnt >= 6, "bytes taken are counted on");
    guest.expect_nothing();
    assert_eq!(read(&host), b"early");
    guest.send(header(Op::Data, 9), b"more");
    assert_eq!(read(&host), b"more");
}

#[test]
fn a_connection_that_the_new_supervisor_refuses_or_that_is_not_whole_is_reset() {
    let mut guest = guest();
    let _refused = guest.connect(9);
    let _half = guest.connect(10);
    let mut shut = header(Op::Shutdown, 10);
    shut.flags = 2;
    guest.send(shut, &[]);
    let mut guest = guest.restored();
    let (reset, _) = guest.expect(Op::Reset);
    assert_eq!(reset.dst_port, 10);
    let id = guest.asked().id;
    guest.answer(Body::Refused(Refused { id }), None);
    let (reset, _) = guest.expect(Op::Reset);
    assert_eq!(reset.dst_port, 9);
    guest.expect_nothing();
}
