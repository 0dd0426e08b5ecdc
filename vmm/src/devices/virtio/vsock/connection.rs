// SPDX-License-Identifier: Apache-2.0
//! One connection: its state and its credit (virtio 1.2 §5.10.6.3 to §5.10.6.5). Pure: no
//! descriptor, no clock.
//!
//! ```text
//!  guest asks ──► Connecting ──host accepts──►┐
//!                                             ├─► Open ──both directions shut──► Closing
//!  host asks ───► Requested ──guest accepts──►┘      (by us; the guest's reset ends it)
//! ```
//!
//! Credit works the same both ways: a side may send as long as what it sent and the other has
//! not taken out of its buffer (`fwd_cnt`) fits the other's buffer (`buf_alloc`). Ours is
//! [`BUF_ALLOC`] bytes, so that is also the most we ever hold for a connection. A guest that
//! sends more is reset; a guest that lies about its own buffer only hurts itself.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::num::Wrapping;

use super::spec::{Header, Op, Shut};

/// Bytes a guest may have on the way to one host socket. Four of the kernel's largest packets
/// (64 KiB), so that a sender need not wait for each to be taken; and the most memory that one
/// connection to a host peer who does not read can hold.
pub(super) const BUF_ALLOC: u32 = 256 << 10;

/// Below this much room in the guest's eyes we say how much there really is.
const TELL_BELOW: u32 = BUF_ALLOC / 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The guest asked, the host has not answered.
    Connecting,
    /// The host asked, the guest has not answered.
    Requested,
    /// Data flows, perhaps in one direction only.
    Open,
    /// We told the guest that both directions are over and wait for its reset.
    Closing,
}

/// What a packet of the guest means for whoever owns the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing beyond the connection's own books.
    Nothing,
    /// The guest accepted: the host may send.
    Opened,
    /// The payload is for the host, and fits.
    Data,
    /// The guest said what it will no longer do; see [`Connection::guest_shut`].
    Shut,
    /// The guest reset the connection.
    Gone,
    /// The packet makes no sense here: reset the connection.
    Violation,
}

/// Packets owed to the guest.
#[derive(Clone, Copy, Debug, Default)]
struct Owed {
    request: bool,
    response: bool,
    credit_update: bool,
    credit_request: bool,
    shutdown: bool,
}

/// The counters of an open connection, to go on from.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Books {
    #[prost(uint32, tag = "1")]
    guest_buf_alloc: u32,
    #[prost(uint32, tag = "2")]
    guest_fwd_cnt: u32,
    #[prost(uint32, tag = "3")]
    sent: u32,
    /// All of it taken.
    #[prost(uint32, tag = "4")]
    received: u32,
    #[prost(uint32, tag = "5")]
    announced: u32,
}

/// The books of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    state: State,
    owed: Owed,
    /// The guest's buffer, in its own words.
    guest_buf_alloc: u32,
    guest_fwd_cnt: Wrapping<u32>,
    /// Bytes sent to the guest.
    sent: Wrapping<u32>,
    /// The guest was asked for credit since data was last sent. Asking again at each answer
    /// would go back and forth for as long as its program does not read.
    asked: bool,
    /// Bytes the guest sent, those the host took, and those the guest knows it took.
    received: Wrapping<u32>,
    taken: Wrapping<u32>,
    announced: Wrapping<u32>,
    /// What the host has not taken yet: `received - taken` bytes, once data is pushed.
    pub(super) buffer: VecDeque<u8>,
    guest_shut: Shut,
    host_shut: Shut,
}

impl Connection {
    fn new(state: State) -> Self {
        Self {
            state,
            owed: Owed::default(),
            guest_buf_alloc: 0,
            guest_fwd_cnt: Wrapping(0),
            sent: Wrapping(0),
            asked: false,
            received: Wrapping(0),
            taken: Wrapping(0),
            announced: Wrapping(0),
            buffer: VecDeque::new(),
            guest_shut: Shut::default(),
            host_shut: Shut::default(),
        }
    }

    /// The guest asked for a connection with this packet.
    pub(super) fn from_guest(request: &Header) -> Self {
        let mut connection = Self::new(State::Connecting);
        connection.note_credit(request);
        connection
    }

    /// The host asks for a connection.
    pub(super) fn to_guest() -> Self {
        let mut connection = Self::new(State::Requested);
        connection.owed.request = true;
        connection
    }

    /// The counters, of a connection that is open both ways and holds nothing back.
    pub(super) fn books(&self) -> Option<Books> {
        let open = self.state == State::Open;
        let whole = self.guest_shut == Shut::default() && self.host_shut == Shut::default();
        (open && whole && self.buffer.is_empty()).then_some(Books {
            guest_buf_alloc: self.guest_buf_alloc,
            guest_fwd_cnt: self.guest_fwd_cnt.0,
            sent: self.sent.0,
            received: self.received.0,
            announced: self.announced.0,
        })
    }

    /// An open connection with these counters.
    pub(super) fn from_books(books: Books) -> Self {
        let mut connection = Self::new(State::Open);
        connection.guest_buf_alloc = books.guest_buf_alloc;
        connection.guest_fwd_cnt = Wrapping(books.guest_fwd_cnt);
        connection.sent = Wrapping(books.sent);
        connection.received = Wrapping(books.received);
        connection.taken = connection.received;
        connection.announced = Wrapping(books.announced);
        connection.owed.credit_update = connection.taken != connection.announced;
        connection
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn guest_shut(&self) -> Shut {
        self.guest_shut
    }

    /// What the guest was told, or will be next.
    pub(super) fn host_shut(&self) -> Shut {
        self.host_shut
    }

    /// The host accepted what the guest asked for.
    pub(super) fn accept(&mut self) {
        if self.state == State::Connecting {
            self.state = State::Open;
            self.owed.response = true;
        }
    }

    /// Takes note of a packet from the guest.
    pub(super) fn on_packet(&mut self, packet: &Header) -> Event {
        let Some(op) = packet.op else {
            return Event::Violation;
        };
        self.note_credit(packet);
        match (op, self.state) {
            (Op::Reset, _) => Event::Gone,
            (Op::Response, State::Requested) => {
                self.state = State::Open;
                Event::Opened
            }
            (Op::Data, State::Open | State::Closing) => self.on_data(packet.len),
            (Op::CreditUpdate, _) => Event::Nothing,
            (Op::CreditRequest, State::Open | State::Closing) => {
                self.owed.credit_update = true;
                Event::Nothing
            }
            (Op::Shutdown, State::Open | State::Closing) => {
                self.guest_shut = self.guest_shut.and(Shut::from_flags(packet.flags));
                Event::Shut
            }
            _ => Event::Violation,
        }
    }

    fn on_data(&mut self, len: u32) -> Event {
        let held = (self.received - self.taken).0;
        let fits = held.checked_add(len).is_some_and(|held| held <= BUF_ALLOC);
        if !fits || self.guest_shut.send {
            return Event::Violation;
        }
        self.received += Wrapping(len);
        Event::Data
    }

    fn note_credit(&mut self, packet: &Header) {
        self.guest_buf_alloc = packet.buf_alloc;
        self.guest_fwd_cnt = Wrapping(packet.fwd_cnt);
    }

    /// The host took `len` bytes that the guest sent.
    pub(super) fn took(&mut self, len: usize) {
        // At most what was received: BUF_ALLOC, which fits.
        self.taken += Wrapping(u32::try_from(len).unwrap_or(u32::MAX));
        let in_guests_eyes = (self.received - self.announced).0;
        if BUF_ALLOC.saturating_sub(in_guests_eyes) < TELL_BELOW && self.taken != self.announced {
            self.owed.credit_update = true;
        }
    }

    /// Bytes the guest lets us send now.
    pub(super) fn credit(&self) -> u32 {
        if self.state != State::Open || self.guest_shut.receive || self.host_shut.send {
            return 0;
        }
        let on_the_way = (self.sent - self.guest_fwd_cnt).0;
        self.guest_buf_alloc.saturating_sub(on_the_way)
    }

    /// There is data for the guest and [`Connection::credit`] is 0: ask, once, to be told when
    /// that changes.
    pub(super) fn want_credit(&mut self) {
        let could_send =
            self.state == State::Open && !self.guest_shut.receive && !self.host_shut.send;
        if could_send && !self.asked {
            self.asked = true;
            self.owed.credit_request = true;
        }
    }

    /// The host will no longer do this. Everything it sent before was sent to the guest.
    pub(super) fn shut(&mut self, shut: Shut) {
        let now = self.host_shut.and(shut);
        if now != self.host_shut {
            self.host_shut = now;
            self.owed.shutdown = true;
        }
        if now == Shut::BOTH && self.state == State::Open {
            self.state = State::Closing;
        }
    }

    /// Whether [`Connection::next_packet`] has one.
    pub(super) fn owes(&self) -> bool {
        let owed = &self.owed;
        owed.request || owed.response || owed.credit_update || owed.credit_request || owed.shutdown
    }

    /// The packet without payload that is due, as operation and flags.
    pub(super) fn next_packet(&mut self) -> Option<(Op, u32)> {
        let owed = &mut self.owed;
        let due = [
            (&mut owed.request, Op::Request, 0),
            (&mut owed.response, Op::Response, 0),
            (&mut owed.credit_update, Op::CreditUpdate, 0),
            (&mut owed.credit_request, Op::CreditRequest, 0),
            (&mut owed.shutdown, Op::Shutdown, self.host_shut.flags()),
        ];
        let (flag, op, flags) = due.into_iter().find(|(flag, _, _)| **flag)?;
        *flag = false;
        Some((op, flags))
    }

    /// Fills in what every packet says about our buffer, and that `payload` bytes go with it.
    pub(super) fn stamp(&mut self, packet: &mut Header, payload: u32) {
        packet.len = payload;
        packet.buf_alloc = BUF_ALLOC;
        packet.fwd_cnt = self.taken.0;
        self.sent += Wrapping(payload);
        self.asked &= payload == 0;
        self.announced = self.taken;
        self.owed.credit_update = false;
    }
}

#[cfg(test)]
mod tests;
