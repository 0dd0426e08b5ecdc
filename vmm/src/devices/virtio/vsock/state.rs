// SPDX-License-Identifier: Apache-2.0
//! The connections in a snapshot.
//!
//! A connection that the guest opened, that is open both ways and holds nothing back is
//! *carried*: the restored device asks its supervisor for a socket to the same port, and the
//! guest goes on with the connection it has, without a word. To the supervisor it is a request
//! like any other, which it may refuse. Every other connection is reset. What the guest sends
//! on a carried one before its socket is there waits for it.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use prost::Message;

use super::connection::{Books, Connection};
use super::muxer::{Key, MAX_CONNECTIONS, Muxer};

#[derive(Clone, PartialEq, Message)]
struct VsockState {
    #[prost(message, repeated, tag = "1")]
    connections: Vec<ConnectionState>,
    /// Where the next number of a connection from the host is looked for.
    #[prost(uint32, tag = "2")]
    next_port: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ConnectionState {
    #[prost(uint32, tag = "1")]
    guest: u32,
    #[prost(uint32, tag = "2")]
    host: u32,
    /// The books of a carried connection.
    #[prost(message, optional, tag = "3")]
    books: Option<Books>,
}

impl Muxer {
    /// The state of every connection the guest knows of.
    pub(super) fn save(&self) -> Vec<u8> {
        let known = self.entries.values().filter(|entry| !entry.detached);
        let connections = known.map(|entry| ConnectionState {
            guest: entry.key.guest,
            host: entry.key.host,
            books: entry
                .connection
                .books()
                .filter(|_| entry.stream.is_some() && !entry.is_from_host()),
        });
        let state = VsockState {
            connections: connections.collect(),
            next_port: self.next_port,
        };
        state.encode_to_vec()
    }

    /// Goes on from `state`; `None` if it is none.
    pub(super) fn restore(&mut self, state: &[u8]) -> Option<()> {
        let state = VsockState::decode(state).ok()?;
        if state.connections.len() > MAX_CONNECTIONS {
            return None;
        }
        self.next_port = state.next_port;
        for ConnectionState { guest, host, books } in state.connections {
            let key = Key { guest, host };
            let token = self.token();
            let asked = match (&self.connector, books) {
                (Some(connector), Some(_)) => connector.ask(token, host),
                _ => false,
            };
            match books {
                Some(books) if asked => {
                    self.asked.insert(token);
                    self.insert(token, key, Connection::from_books(books), None);
                }
                _ => self.push_reset(key),
            }
        }
        Some(())
    }
}
