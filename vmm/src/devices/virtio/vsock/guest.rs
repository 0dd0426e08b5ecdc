// SPDX-License-Identifier: Apache-2.0
//! What the guest sends to the table and gets from it.
//!
//! Payload is copied once each way: from the guest's buffer to the host's socket, if that takes
//! it at once, and from the socket into the guest's buffer.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use super::super::RingFault;
use super::super::chain::Buffers;
use super::connection::{Connection, Event};
use super::muxer::{Key, MAX_CONNECTIONS, Muxer, packet};
use super::spec::{HEADER_LEN, HOST_CID, Header, Op, Shut, TYPE_STREAM};
use super::unix::Token;

/// Most requests the supervisor has not answered. It answers at once; a guest that asks faster
/// is refused and costs the supervisor no more than this.
const MAX_ASKED: usize = 64;
/// Most bytes held for all host sockets together. [`MAX_CONNECTIONS`] times the credit of one
/// would be 128 MiB; nobody honest comes near this.
pub(super) const MAX_BUFFERED: usize = 32 << 20;
/// Largest payload of a packet to the guest, the kernel driver's own limit
/// (`VIRTIO_VSOCK_MAX_PKT_BUF_SIZE`, include/linux/virtio_vsock.h).
const MAX_PAYLOAD: usize = 64 << 10;

impl Muxer {
    /// Takes a packet the guest sent. What makes no sense resets its connection.
    pub(super) fn take_packet(&mut self, packet: &mut Buffers<'_>) {
        let Some(header) = packet.read().map(Header::from_bytes) else {
            return self.complain("a packet without a whole header");
        };
        // virtio 1.2 §5.10.6.4.1: the guest has one address and may not borrow another.
        if header.src_cid != self.guest_cid {
            return self.complain("a packet from another address");
        }
        if header.dst_cid != HOST_CID || header.kind != TYPE_STREAM {
            return self.refuse(&header);
        }
        let key = Key {
            guest: header.src_port,
            host: header.dst_port,
        };
        match (self.by_key.get(&key), header.op) {
            (Some(token), _) => self.on_packet(*token, &header, packet),
            (None, Some(Op::Request)) => self.ask(key, &header),
            (None, _) => self.refuse(&header),
        }
    }

    fn on_packet(&mut self, token: Token, header: &Header, payload: &mut Buffers<'_>) {
        let Some(entry) = self.entries.get_mut(&token) else {
            return;
        };
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        if len > payload.len() {
            self.complain("a packet shorter than it says");
            return self.reset(token);
        }
        match entry.connection.on_packet(header) {
            Event::Nothing => {}
            Event::Opened => self.opened(token),
            Event::Data => {
                let _beyond = payload.split_off(len);
                self.deliver(token, payload);
            }
            Event::Shut => self.guest_shut(token),
            Event::Gone => self.detach(token),
            Event::Violation => {
                self.complain("a packet its connection does not allow");
                return self.reset(token);
            }
        }
        self.schedule(token);
    }

    /// A guest's request becomes the supervisor's.
    fn ask(&mut self, key: Key, request: &Header) {
        let room = self.entries.len() < MAX_CONNECTIONS && self.asked.len() < MAX_ASKED;
        let token = self.token();
        let asked = match &self.connector {
            Some(connector) if room => connector.ask(token, key.host),
            _ => false,
        };
        if !asked {
            return self.refuse(request);
        }
        self.asked.insert(token);
        self.insert(token, key, Connection::from_guest(request), None);
    }

    /// Payload for the host: to its socket at once if it can be, else into the buffer.
    fn deliver(&mut self, token: Token, payload: &mut Buffers<'_>) {
        let Some(entry) = self.entries.get_mut(&token) else {
            return;
        };
        let connection = &mut entry.connection;
        if connection.host_shut().receive {
            // The host no longer listens, and the guest was told.
            return connection.took(payload.len());
        }
        if let Some(stream) = entry
            .stream
            .as_mut()
            .filter(|_| connection.buffer.is_empty())
        {
            while let Some(slice) = payload.slices().first() {
                let (whole, sent) = match stream.send(slice) {
                    Ok(sent) => (slice.len(), sent),
                    Err(_) => {
                        connection.took(payload.len());
                        return self.host_shut(
                            token,
                            Shut {
                                receive: true,
                                send: false,
                            },
                        );
                    }
                };
                connection.took(sent);
                payload.consume(sent);
                if sent < whole {
                    break;
                }
            }
        }
        if !payload.is_empty() {
            self.hold(token, payload);
        }
    }

    /// Keeps payload until the host's socket takes it, or is there at all: a connection carried
    /// over from a snapshot waits for its own.
    fn hold(&mut self, token: Token, payload: &mut Buffers<'_>) {
        let Some(entry) = self.entries.get_mut(&token) else {
            return;
        };
        let held = self.buffered.saturating_add(payload.len());
        let watched = match &mut entry.stream {
            Some(stream) => self.poller.set_blocked(stream, token, true).is_ok(),
            None => true,
        };
        if held > MAX_BUFFERED || !watched {
            return self.reset(token);
        }
        self.buffered = held;
        let mut chunk = [0; 4096];
        while !payload.is_empty() {
            let count = payload.len().min(chunk.len());
            let (chunk, _) = chunk.split_at_mut(count);
            if payload.read_slice(chunk) {
                entry.connection.buffer.extend(&*chunk);
            }
        }
    }

    /// The guest said what it will no longer do.
    fn guest_shut(&mut self, token: Token) {
        let Some(entry) = self.entries.get(&token) else {
            return;
        };
        let shut = entry.connection.guest_shut();
        if shut == Shut::BOTH {
            // virtio 1.2 §5.10.6.5: both directions over are answered by a reset. What the host
            // has not read yet is still delivered to it.
            let key = entry.key;
            self.push_reset(key);
            return self.detach(token);
        }
        let drained = entry.connection.buffer.is_empty();
        let send = shut.send && drained;
        if let Some(stream) = &entry.stream {
            stream.shut(Shut { send, ..shut });
        }
        if entry.hung_up && shut.receive {
            return self.host_shut(token, Shut::BOTH);
        }
        self.end_if_over(token);
    }

    /// Fills a buffer of the guest with the next packet due and returns its length.
    pub(super) fn give_packet(
        &mut self,
        mut header: Buffers<'_>,
    ) -> Result<Option<u32>, RingFault> {
        let payload = header.split_off(HEADER_LEN);
        if header.len() < HEADER_LEN {
            return Err(RingFault::NoRoom);
        }
        let packet = match self.resets.pop_front() {
            Some(reset) => Some(reset),
            None => self.next_due(&payload)?,
        };
        let Some(packet) = packet else {
            return Ok(None);
        };
        // The room was checked above.
        let _ = header.write(&packet.to_bytes());
        // A header is 44 bytes: no overflow after MAX_PAYLOAD.
        Ok(Some(packet.len.saturating_add(44)))
    }

    fn next_due(&mut self, payload: &Buffers<'_>) -> Result<Option<Header>, RingFault> {
        while let Some(token) = self.due.pop_front() {
            let packet = self.packet_of(token, payload)?;
            self.schedule(token);
            if packet.is_some() {
                return Ok(packet);
            }
        }
        Ok(None)
    }

    fn packet_of(
        &mut self,
        token: Token,
        payload: &Buffers<'_>,
    ) -> Result<Option<Header>, RingFault> {
        let Some(entry) = self.entries.get_mut(&token).filter(|entry| !entry.detached) else {
            return Ok(None);
        };
        entry.due = false;
        let mut packet = packet(self.guest_cid, entry.key);
        if let Some((op, flags)) = entry.connection.next_packet() {
            packet.op = Some(op);
            packet.flags = flags;
            entry.connection.stamp(&mut packet, 0);
            return Ok(Some(packet));
        }
        let credit = usize::try_from(entry.connection.credit()).unwrap_or(usize::MAX);
        let Some(stream) = entry
            .stream
            .as_ref()
            .filter(|_| entry.readable && credit > 0)
        else {
            return Ok(None);
        };
        // One slice, so one system call; a buffer of the kernel's driver is one slice.
        let slice = payload.slices().first().ok_or(RingFault::NoRoom)?;
        let room = slice.len().min(credit).min(MAX_PAYLOAD);
        let slice = slice.subslice(0, room).map_err(|_| RingFault::NoRoom)?;
        match stream.receive(&slice) {
            Ok(Some(0)) => {
                entry.readable = false;
                let receive = entry.hung_up;
                self.host_shut(
                    token,
                    Shut {
                        receive,
                        send: true,
                    },
                );
                self.end_if_over(token);
            }
            Ok(Some(count)) => {
                packet.op = Some(Op::Data);
                let count = u32::try_from(count).unwrap_or(0);
                entry.connection.stamp(&mut packet, count);
                return Ok(Some(packet));
            }
            Ok(None) => entry.readable = false,
            Err(_) => self.host_shut(token, Shut::BOTH),
        }
        Ok(None)
    }

    /// Answers a packet of no connection (virtio 1.2 §5.10.6.4.2).
    fn refuse(&mut self, header: &Header) {
        if header.op == Some(Op::Reset) {
            return;
        }
        let mut reset = packet(
            self.guest_cid,
            Key {
                guest: header.src_port,
                host: header.dst_port,
            },
        );
        reset.src_cid = header.dst_cid;
        reset.kind = header.kind;
        reset.op = Some(Op::Reset);
        self.queue_reset(reset);
    }
}
