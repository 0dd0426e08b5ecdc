// SPDX-License-Identifier: Apache-2.0
//! The clients of a running task: `ampoule exec`, `cp`, `stop`, `kill`, each on a connection of
//! its own with one request.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use crate::api::{Event, Lines, Received, Request, send_line};
use crate::poll::Interests;

/// Clients at once. More wait in the socket's backlog.
const MOST: usize = 64;

/// What a client's request became in the guest: the number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing yet.
    None,
    /// A command.
    Command(u32),
    /// A copy.
    Copy(u32),
}

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    lines: Lines,
    work: Work,
}

/// The clients of one task.
#[derive(Debug)]
pub struct Clients {
    listener: UnixListener,
    connections: BTreeMap<u64, Connection>,
    next: u64,
}

impl Clients {
    /// Nobody yet.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            connections: BTreeMap::new(),
            next: 0,
        })
    }

    /// Asks for new clients and new requests.
    pub fn interests<'a, T: Copy>(
        &'a self,
        into: &mut Interests<'a, T>,
        name: impl Fn(Option<u64>) -> T,
    ) {
        if self.connections.len() < MOST {
            into.read(self.listener.as_fd(), name(None));
        }
        for (number, connection) in &self.connections {
            into.read(connection.socket.as_fd(), name(Some(*number)));
        }
    }

    /// Takes a client that waits.
    pub fn accept(&mut self) {
        if let Ok((stream, _)) = self.listener.accept() {
            let (socket, lines) = (stream.into(), Lines::default());
            self.connections.insert(
                self.next,
                Connection {
                    socket,
                    lines,
                    work: Work::None,
                },
            );
            self.next += 1;
        }
    }

    /// The requests of a client that are there; `None` when the client is gone or talks rubbish,
    /// and then what it was at.
    pub fn read(&mut self, number: u64) -> Result<Vec<Request>, Work> {
        let Some(connection) = self.connections.get_mut(&number) else {
            return Ok(Vec::new());
        };
        match requests(connection) {
            Some(requests) => Ok(requests),
            None => {
                let gone = self.connections.remove(&number);
                Err(gone.map_or(Work::None, |connection| connection.work))
            }
        }
    }

    /// What a client is at.
    #[must_use]
    pub fn work(&self, number: u64) -> Work {
        self.connections
            .get(&number)
            .map_or(Work::None, |connection| connection.work)
    }

    /// A number for a new request. At random: any process of the guest can open a connection and
    /// claim to be the agent's for a number it guesses.
    #[must_use]
    pub fn unused_id(&self) -> Option<u32> {
        let mut bytes = [0; 4];
        crate::entropy(&mut bytes).ok()?;
        // Above the task's own command, which has the number 1.
        let id = u32::from_ne_bytes(bytes).max(1 << 16);
        let used = |work| matches!(work, Work::Command(n) | Work::Copy(n) if n == id);
        (!self
            .connections
            .values()
            .any(|connection| used(connection.work)))
        .then_some(id)
    }

    /// Notes what a client's request became.
    pub fn assign(&mut self, number: u64, work: Work) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.work = work;
        }
    }

    /// Tells a client something. One that does not listen is dropped.
    pub fn tell(&mut self, number: u64, event: &Event, descriptor: Option<BorrowedFd<'_>>) {
        if let Some(connection) = self.connections.get(&number)
            && send_line(&connection.socket, event, descriptor, false).is_err()
        {
            self.connections.remove(&number);
        }
    }

    /// Tells the client whose request has this number in the guest; says whether there is one.
    pub fn tell_about(
        &mut self,
        id: u32,
        event: &Event,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> bool {
        let whose = |work| matches!(work, Work::Command(n) | Work::Copy(n) if n == id);
        let mut found = self
            .connections
            .iter()
            .filter(|(_, client)| whose(client.work));
        let Some(number) = found.next().map(|(number, _)| *number) else {
            return false;
        };
        self.tell(number, event, descriptor);
        true
    }

    /// Whether nothing runs for any of them.
    #[must_use]
    pub fn are_idle(&self) -> bool {
        let mut all = self.connections.values();
        all.all(|connection| connection.work == Work::None)
    }

    /// The numbers of all commands that clients run.
    #[must_use]
    pub fn commands(&self) -> Vec<u32> {
        let work = self.connections.values().map(|connection| connection.work);
        work.filter_map(|work| {
            if let Work::Command(id) = work {
                Some(id)
            } else {
                None
            }
        })
        .collect()
    }
}

fn requests(connection: &mut Connection) -> Option<Vec<Request>> {
    if connection.lines.receive(&connection.socket, false).ok()? == Received::Closed {
        return None;
    }
    let mut requests = Vec::new();
    while let Some(request) = connection.lines.take().ok()? {
        requests.push(request);
    }
    Some(requests)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_client_is_told_about_its_own_request_and_forgotten_when_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut clients = Clients::new(crate::sockets::listener(&path).unwrap()).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        clients.accept();
        send_line(&client, &Request::Kill, None, true).unwrap();
        assert_eq!(clients.read(0), Ok(vec![Request::Kill]));
        clients.assign(0, Work::Command(5));
        assert!(clients.tell_about(5, &Event::Started, None));
        assert!(!clients.tell_about(6, &Event::Started, None));
        let mut lines = Lines::default();
        lines.receive(&client, true).unwrap();
        assert_eq!(lines.take::<Event>().unwrap(), Some(Event::Started));
        drop(client);
        assert_eq!(clients.read(0), Err(Work::Command(5)));
        assert!(clients.commands().is_empty());
    }
}
