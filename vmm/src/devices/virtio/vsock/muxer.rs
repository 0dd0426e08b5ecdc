// SPDX-License-Identifier: Apache-2.0
//! The table of connections.
//!
//! Everything a guest can make this hold is bounded: connections, requests the supervisor has
//! not answered, bytes a host socket has not taken (by credit for one connection, by
//! [`super::guest::MAX_BUFFERED`] for all) and resets not yet delivered. A connection the guest left while the
//! host had not read everything is *detached*: it has no number in the guest any more, and is
//! gone when the rest is delivered or the host closes.
//!
//! Connections with something for the guest wait in one line; each gives one packet and goes to
//! its end, so that bulk data on one never delays a word on another by more than a packet each.
//!
//! Here is what both sides do to a connection. The guest's side, its packets, is in
//! [`super::guest`]; the host's, its sockets and the supervisor, in [`super::host`].
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use super::super::log_limit::LogLimit;
use super::connection::{Connection, State};
use super::spec::{HOST_CID, Header, Op, Shut, TYPE_STREAM};
use super::unix::{Connector, Poller, Stream, Token};

/// Most connections of a guest, detached ones included: several times what a busy task with a
/// proxy opens at once. Each is a descriptor here, and a process may have 1024 by default.
pub(super) const MAX_CONNECTIONS: usize = 512;
/// Most resets waiting for room in the guest's queue. One too many is dropped, and its sender
/// is told when it sends again.
const MAX_RESETS: usize = 256;
/// How long the guest may take to end a connection that we told it is over; the kernel driver's
/// own patience (`VSOCK_CLOSE_TIMEOUT`, net/vmw_vsock/virtio_transport_common.c).
const CLOSE_TIME: Duration = Duration::from_secs(8);

/// A connection's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) guest: u32,
    pub(super) host: u32,
}

/// A connection and its host socket.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) connection: Connection,
    /// Absent until the supervisor connects, and once the host is done with both directions.
    pub(super) stream: Option<Stream>,
    /// The socket may have something; a read says.
    pub(super) readable: bool,
    /// The peer closed both directions.
    pub(super) hung_up: bool,
    /// Stands in the line for the guest.
    pub(super) due: bool,
    /// The guest is through with it.
    pub(super) detached: bool,
    pub(super) deadline: Option<Instant>,
}

/// The table (see the module's text).
#[derive(Debug)]
pub(super) struct Muxer {
    pub(super) guest_cid: u64,
    pub(super) poller: Poller,
    /// Absent once the supervisor is gone.
    pub(super) connector: Option<Connector>,
    pub(super) listener: Option<UnixListener>,
    /// In order rather than hashed: a guest chooses half of a key, and every packet looks one up.
    pub(super) entries: BTreeMap<Token, Entry>,
    pub(super) by_key: BTreeMap<Key, Token>,
    /// Requests the supervisor has not answered.
    pub(super) asked: BTreeSet<Token>,
    /// Clients of the listener that have not said their line.
    pub(super) greeting: BTreeMap<Token, (Stream, Instant)>,
    pub(super) due: VecDeque<Token>,
    pub(super) resets: VecDeque<Header>,
    pub(super) next_token: Token,
    pub(super) next_port: u32,
    /// Bytes in all connections' buffers.
    pub(super) buffered: usize,
    /// The timer will come up.
    pub(super) armed: bool,
    /// The listener is not watched until the timer comes up.
    pub(super) listener_rests: bool,
    log_limit: LogLimit,
}

impl Muxer {
    pub(super) fn new(
        guest_cid: u64,
        connector: Connector,
        listener: Option<UnixListener>,
    ) -> io::Result<Self> {
        Ok(Self {
            guest_cid,
            poller: Poller::new()?,
            connector: Some(connector),
            listener,
            entries: BTreeMap::new(),
            by_key: BTreeMap::new(),
            asked: BTreeSet::new(),
            greeting: BTreeMap::new(),
            due: VecDeque::new(),
            resets: VecDeque::new(),
            next_token: Token::FIRST_STREAM,
            next_port: 0,
            buffered: 0,
            armed: false,
            listener_rests: false,
            log_limit: LogLimit::new(),
        })
    }

    /// Whether [`Muxer::give_packet`] may have a packet.
    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty() || !self.resets.is_empty()
    }

    pub(super) fn token(&mut self) -> Token {
        let token = self.next_token;
        self.next_token = token.next();
        token
    }

    pub(super) fn insert(
        &mut self,
        token: Token,
        key: Key,
        connection: Connection,
        stream: Option<Stream>,
    ) {
        let entry = Entry {
            key,
            connection,
            // What came before or with a greeting raised no event of its own.
            readable: stream.is_some(),
            stream,
            hung_up: false,
            due: false,
            detached: false,
            deadline: None,
        };
        self.entries.insert(token, entry);
        self.by_key.insert(key, token);
    }

    /// Both sides have nothing more to say: tell the guest that this is all.
    pub(super) fn end_if_over(&mut self, token: Token) {
        let over = self.entries.get(&token).is_some_and(|entry| {
            let connection = &entry.connection;
            connection.guest_shut().send
                && connection.host_shut().send
                && connection.buffer.is_empty()
        });
        if over {
            self.host_shut(token, Shut::BOTH);
        }
    }

    /// The host will no longer do this (after what it sent went to the guest).
    pub(super) fn host_shut(&mut self, token: Token, shut: Shut) {
        let Some(entry) = self.entries.get_mut(&token) else {
            return;
        };
        if entry.connection.state() == State::Requested {
            return self.reset(token);
        }
        if shut.receive {
            let lost = std::mem::take(&mut entry.connection.buffer).len();
            entry.connection.took(lost);
            self.buffered = self.buffered.saturating_sub(lost);
        }
        entry.connection.shut(shut);
        if entry.connection.host_shut() == Shut::BOTH {
            if let Some(stream) = entry.stream.take() {
                self.poller.forget(&stream);
                stream.shut(Shut::BOTH);
            }
            if entry.detached {
                return self.remove(token);
            }
            entry.deadline = Some(later(CLOSE_TIME));
            self.arm();
        }
        self.schedule(token);
    }

    /// The guest is through with a connection; what it sent before still goes to the host.
    pub(super) fn detach(&mut self, token: Token) {
        let Some(entry) = self.entries.get_mut(&token) else {
            return;
        };
        self.by_key.remove(&entry.key);
        if std::mem::take(&mut entry.due) {
            self.due.retain(|due| *due != token);
        }
        entry.detached = true;
        entry.readable = false;
        entry.deadline = None;
        if let Some(stream) = &entry.stream {
            stream.shut(Shut {
                receive: true,
                send: false,
            });
        }
        if entry.connection.buffer.is_empty() || entry.stream.is_none() {
            self.remove(token);
        }
    }

    /// Ends a connection on both sides at once.
    pub(super) fn reset(&mut self, token: Token) {
        if let Some(entry) = self.entries.get(&token) {
            if !entry.detached {
                let key = entry.key;
                self.push_reset(key);
            }
            self.remove(token);
        }
    }

    /// Forgets a connection; the guest is told nothing.
    pub(super) fn remove(&mut self, token: Token) {
        let Some(entry) = self.entries.remove(&token) else {
            return;
        };
        if !entry.detached {
            self.by_key.remove(&entry.key);
        }
        // The line would else grow with each connection that a guest opens and leaves without
        // taking what is due.
        if entry.due {
            self.due.retain(|due| *due != token);
        }
        let held = entry.connection.buffer.len();
        self.buffered = self.buffered.saturating_sub(held);
        if let Some(stream) = &entry.stream {
            self.poller.forget(stream);
            // The supervisor may hold the socket too: closing ours would tell the peer nothing.
            stream.shut(Shut::BOTH);
        }
    }

    /// Puts a connection in the line if it has something for the guest.
    pub(super) fn schedule(&mut self, token: Token) {
        let Some(entry) = self.entries.get_mut(&token).filter(|entry| !entry.detached) else {
            return;
        };
        let has_data = entry.readable && entry.stream.is_some();
        let credit = entry.connection.credit();
        if has_data && credit == 0 {
            entry.connection.want_credit();
        }
        if !entry.due && (entry.connection.owes() || has_data && credit > 0) {
            entry.due = true;
            self.due.push_back(token);
        }
    }

    pub(super) fn push_reset(&mut self, key: Key) {
        let mut reset = packet(self.guest_cid, key);
        reset.op = Some(Op::Reset);
        self.queue_reset(reset);
    }

    pub(super) fn queue_reset(&mut self, reset: Header) {
        if self.resets.len() < MAX_RESETS {
            self.resets.push_back(reset);
        }
    }

    pub(super) fn complain(&mut self, what: &str) {
        if self.log_limit.allows() {
            log::warn!("vsock: {what}");
        }
    }

    /// The driver reset the device: every connection is over.
    pub(super) fn clear(&mut self) {
        let tokens: Vec<Token> = self.entries.keys().copied().collect();
        for token in tokens {
            self.remove(token);
        }
        for (_, (stream, _)) in std::mem::take(&mut self.greeting) {
            self.poller.forget(&stream);
        }
        self.due.clear();
        self.resets.clear();
    }
}

pub(super) fn packet(guest_cid: u64, key: Key) -> Header {
    Header {
        src_cid: HOST_CID,
        dst_cid: guest_cid,
        src_port: key.host,
        dst_port: key.guest,
        len: 0,
        kind: TYPE_STREAM,
        op: None,
        flags: 0,
        buf_alloc: 0,
        fwd_cnt: 0,
    }
}

/// A moment this far from now.
pub(super) fn later(time: Duration) -> Instant {
    let now = Instant::now();
    // Durations here are seconds; the clock does not end within them.
    now.checked_add(time).unwrap_or(now)
}
