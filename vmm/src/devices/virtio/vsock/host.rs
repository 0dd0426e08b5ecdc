// SPDX-License-Identifier: Apache-2.0
//! What happens on the host's side of the table: the supervisor's answers, clients of the
//! listener, readable and writable sockets, deadlines.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;
use std::time::{Duration, Instant};

use super::connection::{Connection, State};
use super::muxer::{Entry, Key, MAX_CONNECTIONS, Muxer, later};
use super::spec::Shut;
use super::unix::{Answer, Greeting, Ready, Stream, Token, accept, read_greeting};

/// Most clients that have connected and not said their line. They are the operator's own
/// programs; more than this is a fault of theirs.
const MAX_GREETING: usize = 16;
/// How long a client may take to say its line.
const GREETING_TIME: Duration = Duration::from_secs(2);
/// How long the guest may take to answer a request of the host.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Our ports of connections that the host asks for, as Firecracker numbers them: above 2^30, so
/// that they are told apart from services, and below 2^31.
const FIRST_PORT: u32 = 1 << 30;

impl Entry {
    /// Whether the host asked for it.
    pub(super) fn is_from_host(&self) -> bool {
        self.key.host >= FIRST_PORT
    }
}

impl Muxer {
    /// Starts watching the host's side.
    pub(super) fn start(&mut self) -> io::Result<()> {
        if let Some(connector) = &self.connector {
            self.poller.watch(connector, Token::CONNECTOR)?;
        }
        if let Some(listener) = &self.listener {
            self.poller.watch(listener, Token::LISTENER)?;
        }
        Ok(())
    }

    /// Ends every connection and stops watching.
    pub(super) fn stop(&mut self) {
        self.clear();
        if let Some(connector) = &self.connector {
            self.poller.forget(connector);
        }
        if let Some(listener) = &self.listener {
            self.poller.forget(listener);
        }
        self.poller.disarm();
        self.armed = false;
        self.listener_rests = false;
    }

    /// Deals with everything that happened.
    pub(super) fn on_host(&mut self) -> io::Result<()> {
        for ready in self.poller.ready()? {
            match ready.token {
                Token::CONNECTOR => self.on_answer(),
                Token::LISTENER => self.on_client(),
                Token::TIMER => self.on_timer(),
                _ if self.greeting.contains_key(&ready.token) => self.on_greeting(ready.token),
                _ => self.on_stream(ready),
            }
        }
        Ok(())
    }

    fn on_answer(&mut self) {
        let answer = match &self.connector {
            Some(connector) => connector.answer(),
            None => return,
        };
        match answer {
            Answer::Connected(token, stream) => {
                self.asked.remove(&token);
                self.connected(token, stream);
            }
            Answer::Refused(token) => {
                self.asked.remove(&token);
                self.reset(token);
            }
            Answer::Nothing => {}
            Answer::Closed => self.lose_connector(),
        }
    }

    fn connected(&mut self, token: Token, mut stream: Stream) {
        // One that was carried over from a snapshot is open already.
        let waiting = |state| matches!(state, State::Connecting | State::Open);
        match self.entries.get_mut(&token) {
            Some(entry) if entry.stream.is_none() && waiting(entry.connection.state()) => {
                let waits = !entry.connection.buffer.is_empty();
                let watched = self.poller.watch_stream(&stream, token);
                let watched = watched.and_then(|()| match waits {
                    true => self.poller.set_blocked(&mut stream, token, true),
                    false => Ok(()),
                });
                if watched.is_err() {
                    return self.reset(token);
                }
                entry.stream = Some(stream);
                entry.connection.accept();
                self.schedule(token);
            }
            // The guest gave up meanwhile.
            _ => stream.shut(Shut::BOTH),
        }
    }

    fn lose_connector(&mut self) {
        log::warn!("vsock: the supervisor closed the connector; the guest can connect no more");
        if let Some(connector) = self.connector.take() {
            self.poller.forget(&connector);
        }
        for token in std::mem::take(&mut self.asked) {
            self.reset(token);
        }
    }

    fn on_client(&mut self) {
        let Some(listener) = &self.listener else {
            return;
        };
        let stream = match accept(listener) {
            Ok(Some(stream)) => stream,
            Ok(None) => return,
            Err(_) => {
                // Out of descriptors, most likely. The client would wake us for ever, so look
                // again with the timer.
                self.poller.forget(listener);
                self.listener_rests = true;
                return self.arm();
            }
        };
        let full = self.greeting.len() >= MAX_GREETING || self.entries.len() >= MAX_CONNECTIONS;
        let token = self.token();
        // A client that is dropped sees its connection closed.
        if !full && self.poller.watch_stream(&stream, token).is_ok() {
            self.greeting.insert(token, (stream, later(GREETING_TIME)));
            self.arm();
        }
    }

    fn on_greeting(&mut self, token: Token) {
        let Some((stream, _)) = self.greeting.get(&token) else {
            return;
        };
        let greeting = read_greeting(stream);
        if greeting == Greeting::Unfinished {
            return;
        }
        let Some((stream, _)) = self.greeting.remove(&token) else {
            return;
        };
        match (greeting, self.entries.len() < MAX_CONNECTIONS) {
            (Greeting::Connect(port), true) => self.request(token, stream, port),
            _ => self.poller.forget(&stream),
        }
    }

    /// Asks the guest for a connection to its `port`.
    fn request(&mut self, token: Token, stream: Stream, port: u32) {
        let key = self.free_key(port);
        self.insert(token, key, Connection::to_guest(), Some(stream));
        if let Some(entry) = self.entries.get_mut(&token) {
            entry.deadline = Some(later(REQUEST_TIME));
        }
        self.arm();
        self.schedule(token);
    }

    fn free_key(&mut self, guest: u32) -> Key {
        loop {
            // 2^30 numbers and MAX_CONNECTIONS connections: the loop finds one.
            let host = FIRST_PORT | self.next_port & (FIRST_PORT.wrapping_sub(1));
            self.next_port = self.next_port.wrapping_add(1);
            let key = Key { guest, host };
            if !self.by_key.contains_key(&key) {
                return key;
            }
        }
    }

    /// The guest accepted: the client is told the host's port, as Firecracker does.
    pub(super) fn opened(&mut self, token: Token) {
        let Some(entry) = self.entries.get_mut(&token) else {
            return;
        };
        entry.deadline = None;
        let line = format!("OK {}\n", entry.key.host);
        let told = match &entry.stream {
            Some(stream) => stream.send_bytes(line.as_bytes()).unwrap_or(0),
            None => 0,
        };
        // The socket's buffer is empty and takes a line whole, unless the client is gone.
        if told != line.len() {
            self.reset(token);
        }
    }

    fn on_stream(&mut self, ready: Ready) {
        let token = ready.token;
        let Some(entry) = self.entries.get_mut(&token) else {
            return;
        };
        entry.hung_up |= ready.hung_up;
        entry.readable |= !entry.detached && (ready.readable || ready.hung_up);
        let connection = &entry.connection;
        let read_out =
            entry.detached || connection.host_shut().send || connection.guest_shut().receive;
        if ready.hung_up && read_out {
            return self.host_shut(token, Shut::BOTH);
        }
        if ready.writable {
            self.flush(token);
        }
        self.schedule(token);
    }

    /// Gives the host socket what was held back for it.
    fn flush(&mut self, token: Token) {
        let Some(entry) = self.entries.get_mut(&token) else {
            return;
        };
        let (connection, Some(stream)) = (&mut entry.connection, &mut entry.stream) else {
            return;
        };
        while !connection.buffer.is_empty() {
            match stream.send_bytes(connection.buffer.as_slices().0) {
                Ok(0) => return,
                Ok(sent) => {
                    connection.buffer.drain(..sent);
                    connection.took(sent);
                    self.buffered = self.buffered.saturating_sub(sent);
                }
                Err(_) => {
                    let receive = true;
                    let send = entry.detached;
                    return self.host_shut(token, Shut { receive, send });
                }
            }
        }
        // An idle connection holds no memory.
        connection.buffer.shrink_to_fit();
        if entry.detached || self.poller.set_blocked(stream, token, false).is_err() {
            return self.reset(token);
        }
        let send = connection.guest_shut().send;
        stream.shut(Shut {
            receive: false,
            send,
        });
        self.end_if_over(token);
    }

    /// Has the timer come up, if it will not already.
    pub(super) fn arm(&mut self) {
        // Without a timer a deadline is late, and nothing worse.
        self.armed = self.armed || self.poller.arm().is_ok();
    }

    fn on_timer(&mut self) {
        self.poller.disarm();
        self.armed = false;
        let now = Instant::now();
        let slow = self
            .greeting
            .iter()
            .filter(|(_, (_, deadline))| *deadline <= now);
        let slow: Vec<Token> = slow.map(|(token, _)| *token).collect();
        for token in slow {
            if let Some((stream, _)) = self.greeting.remove(&token) {
                self.poller.forget(&stream);
            }
        }
        let passed = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        let late = self
            .entries
            .iter()
            .filter(|(_, entry)| passed(entry.deadline));
        let late: Vec<(Token, State)> = late
            .map(|(token, entry)| (*token, entry.connection.state()))
            .collect();
        for (token, state) in late {
            match state {
                // The guest's program may still be reading what it got; should the guest speak
                // of the connection again, it is answered with a reset.
                State::Closing => self.remove(token),
                _ => self.reset(token),
            }
        }
        if let (true, Some(listener)) = (self.listener_rests, &self.listener) {
            self.listener_rests = self.poller.watch(listener, Token::LISTENER).is_err();
        }
        let waiting = self.entries.values().any(|entry| entry.deadline.is_some());
        if waiting || self.listener_rests || !self.greeting.is_empty() {
            self.arm();
        }
    }
}
