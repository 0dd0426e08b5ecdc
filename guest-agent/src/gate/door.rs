// SPDX-License-Identifier: Apache-2.0
//! The gate's socket in the guest, for programs that know of it: lines of JSON in, lines of JSON
//! out (`docs/wire.md`). What is said goes to the host as it is and is read there; answers come
//! back as they are. An agent that declares what it will do is judged before it does it, one that
//! asks is told at once whether and for how long it will wait.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use protocol::actions::{Declared, Reply};
use rustix::event::PollFlags;
use rustix::io::ioctl_fionread;
use rustix::net::sockopt::socket_peercred;

use crate::clock;
use crate::link::not_now;

/// Most programs that are connected at once.
const MOST_CLIENTS: usize = 64;
/// What one is told that goes to make room for another. It is about no line, so its number is 0.
const MADE_ROOM: &str = concat!(
    r#"{"id":0,"verdict":"error","text":"the gate has no room for more connections, and "#,
    r#"nothing of this one waits; connect again","final":true}"#,
    "\n"
);
/// What one is told that finds no room.
const NO_ROOM: &str = concat!(
    r#"{"id":0,"verdict":"error","text":"the gate has no room for more connections, and "#,
    r#"something of each waits; try again later","final":true}"#,
    "\n"
);
/// Longest line, the largest plan: what the frame to the host has room for.
const LONGEST: usize = 1 << 20;
/// What waits for a program that does not read; then it is let go.
const MOST_WAITING: usize = 256 * 1024;
/// Lines of one program that wait for the host.
const MOST_OPEN: usize = 64;
/// Bytes of lines, of all, from which on only those are heard that have few of them: none of them
/// may fill the guest's memory, or hold up the others.
const MOST_HELD: usize = 16 << 20;
const FEW_HELD: usize = 256 << 10;

/// A descriptor of the door.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Listener,
    Client(u64),
}

/// A line that a program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) client: u64,
    pub(crate) root: u64,
    pub(crate) line: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    process: u32,
    /// The root action that its process belonged to when it connected.
    root: u64,
    inbox: Vec<u8>,
    /// So much of it has no line's end.
    looked: usize,
    outbox: Vec<u8>,
    /// When it said something, or was told something.
    heard_ns: u64,
    /// It says nothing more, and reads what it is answered.
    has_said_all: bool,
    /// What waits for the host, by number.
    open: BTreeMap<u64, Declared>,
}

/// A program that has just connected.
#[derive(Debug)]
pub(crate) struct Accepted(Client);

impl Accepted {
    pub(crate) fn process(&self) -> u32 {
        self.0.process
    }
}

/// The socket, and who is connected.
#[derive(Debug)]
pub(crate) struct Door {
    listener: Option<UnixListener>,
    clients: BTreeMap<u64, Client>,
    /// What nobody waits for any more, since its client is gone.
    gone: Vec<u64>,
    next: u64,
}

impl Door {
    /// Opens it, where there is to be one.
    pub(crate) fn open(socket: Option<&Path>) -> Self {
        Self {
            listener: socket.and_then(|socket| listen(socket).ok()),
            clients: BTreeMap::new(),
            gone: Vec::new(),
            next: 1,
        }
    }

    /// What to wait for. With `is_behind` nothing is heard from programs: the host has not taken
    /// yet what they said before.
    pub(crate) fn watch<'a>(
        &'a self,
        is_behind: bool,
        add: &mut dyn FnMut(Part, BorrowedFd<'a>, PollFlags),
    ) {
        let held = self.clients.values().map(Client::held);
        let is_full = held.fold(0, usize::saturating_add) >= MOST_HELD;
        for (number, client) in &self.clients {
            let part = Part::Client(*number);
            let hears = !is_behind && (!is_full || client.held() < FEW_HELD);
            add(part, client.stream.as_fd(), client.interest(hears));
        }
        // After those that may have gone, and made room.
        if let Some(listener) = &self.listener {
            add(Part::Listener, listener.as_fd(), PollFlags::IN);
        }
    }

    /// Takes in that a descriptor has something; the lines that are whole.
    pub(crate) fn on(&mut self, part: Part, flags: PollFlags) -> Vec<Said> {
        match part {
            Part::Listener => Vec::new(),
            Part::Client(number) => {
                let Some(client) = self.clients.get_mut(&number) else {
                    return Vec::new();
                };
                match client.turn(flags) {
                    Ok(lines) if !lines.is_empty() || !client.is_done() => {
                        let root = client.root;
                        let said = |line| Said {
                            client: number,
                            root,
                            line,
                        };
                        lines.into_iter().map(said).collect()
                    }
                    _ => {
                        self.forget(number);
                        Vec::new()
                    }
                }
            }
        }
    }

    /// Whoever has connected, if there is room.
    pub(crate) fn accept(&mut self) -> Option<Accepted> {
        let (stream, _) = self.listener.as_ref()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        if !self.make_room() {
            dismiss(&stream, NO_ROOM);
            return None;
        }
        let process = socket_peercred(&stream).map(|cred| cred.pid.as_raw_nonzero().get());
        Some(Accepted(Client {
            process: process
                .ok()
                .and_then(|pid| pid.try_into().ok())
                .unwrap_or(0),
            root: 0,
            stream,
            inbox: Vec::new(),
            looked: 0,
            outbox: Vec::new(),
            heard_ns: clock::now(),
            has_said_all: false,
            open: BTreeMap::new(),
        }))
    }

    /// Whether there is room for one more. Who has been silent longest makes it: else one program
    /// that does nothing but connect would keep all others out.
    fn make_room(&mut self) -> bool {
        if self.clients.len() < MOST_CLIENTS {
            return true;
        }
        let idle = self.clients.iter().filter(|(_, client)| client.is_idle());
        let silent = idle.min_by_key(|(_, client)| client.heard_ns);
        let Some(number) = silent.map(|(number, _)| *number) else {
            return false;
        };
        if let Some(client) = self.clients.remove(&number) {
            dismiss(&client.stream, MADE_ROOM);
        }
        true
    }

    /// Serves who has connected from now on.
    pub(crate) fn add(&mut self, accepted: Accepted, root: u64) {
        let client = Client { root, ..accepted.0 };
        self.clients.insert(self.next, client);
        self.next = self.next.saturating_add(1);
    }

    /// Notes that a line went to the host.
    pub(crate) fn said(&mut self, client: u64, declared: Declared) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.open.insert(declared.id, declared);
        }
    }

    /// All that waits for the host, to be said again to another.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &Declared> {
        self.clients
            .values()
            .flat_map(|client| client.open.values())
    }

    /// Passes an answer on.
    pub(crate) fn reply(&mut self, reply: &Reply) {
        let mut clients = self.clients.iter_mut();
        let whose = clients.find(|(_, client)| client.open.contains_key(&reply.id));
        let Some((number, client)) = whose else {
            return;
        };
        let number = *number;
        if reply.last {
            client.open.remove(&reply.id);
        }
        let line = reply.json.split(|byte| *byte == b'\n').next();
        client.outbox.extend_from_slice(line.unwrap_or_default());
        client.outbox.push(b'\n');
        client.heard_ns = clock::now();
        let keeps = client.outbox.len() <= MOST_WAITING && client.flush().is_ok();
        if !keeps || client.is_done() {
            self.forget(number);
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(client) = self.clients.remove(&number) {
            self.gone.extend(client.open.into_keys());
        }
    }

    /// What nobody waits for any more.
    pub(crate) fn gone(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.gone)
    }
}

impl Client {
    /// What to wait for. That it is gone is told whatever is waited for.
    fn interest(&self, hears: bool) -> PollFlags {
        let mut flags = PollFlags::empty();
        let has_room = hears && self.open.len() < MOST_OPEN;
        let has_lines = self.looked < self.inbox.len();
        // The end of what it says would be told for ever.
        if has_room && !has_lines && !self.has_said_all {
            flags |= PollFlags::IN;
        }
        // Lines for which there was no room are taken once there is: it need not say more for that.
        if !self.outbox.is_empty() || (has_room && has_lines) {
            flags |= PollFlags::OUT;
        }
        flags
    }

    /// Bytes of it that are kept here.
    fn held(&self) -> usize {
        let open = self.open.values().map(|one| one.json.len());
        open.fold(self.inbox.len(), usize::saturating_add)
    }

    fn turn(&mut self, flags: PollFlags) -> io::Result<Vec<Vec<u8>>> {
        self.flush()?;
        if !flags.intersects(!PollFlags::OUT) {
            return self.lines();
        }
        let mut piece = [0; 4096];
        match self.stream.read(&mut piece) {
            // POLLHUP: both ways are closed (unix_poll of net/unix/af_unix.c). Without it only the
            // way here is, as after `nc -N`, and it still reads.
            Ok(0) if flags.intersects(PollFlags::HUP | PollFlags::ERR) => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(0) => {
                self.has_said_all = true;
                // The end ends a line too.
                if !self.inbox.is_empty() && self.looked == self.inbox.len() {
                    self.inbox.push(b'\n');
                }
            }
            Ok(read) => {
                let read = piece.get(..read).unwrap_or_default();
                self.inbox.extend_from_slice(read);
                self.heard_ns = clock::now();
            }
            Err(e) if not_now(&e) => {}
            Err(e) => return Err(e),
        }
        self.lines()
    }

    /// The lines that are whole, as many as may wait for the host.
    fn lines(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        let most = MOST_OPEN.saturating_sub(self.open.len());
        while lines.len() < most {
            let rest = self.inbox.get(self.looked..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                self.looked = self.inbox.len();
                break;
            };
            let end = self.looked.saturating_add(end);
            self.looked = 0;
            let rest = self.inbox.split_off(end.saturating_add(1));
            let mut line = std::mem::replace(&mut self.inbox, rest);
            line.truncate(end);
            lines.push(line);
        }
        match self.inbox.len() > LONGEST {
            true => Err(io::ErrorKind::InvalidData.into()),
            false => Ok(lines),
        }
    }

    /// Whether nothing of it waits: no line, no part of one, here or not yet read, and no answer.
    fn is_idle(&self) -> bool {
        let nothing = self.open.is_empty() && self.inbox.is_empty() && self.outbox.is_empty();
        nothing && matches!(ioctl_fionread(&self.stream), Ok(0))
    }

    /// Whether nothing more is to be heard from it, nor to be told.
    fn is_done(&self) -> bool {
        let answered = self.open.is_empty() && self.outbox.is_empty();
        self.has_said_all && answered && self.looked == self.inbox.len()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(written) => drop(self.outbox.drain(..written)),
                Err(e) if not_now(&e) => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Tells why, if that can be at once; nobody is waited for.
fn dismiss(mut stream: &UnixStream, why: &str) {
    let _ = stream.write(why.as_bytes());
}

/// Everybody may connect; the folder is root's, so nobody else can be there in its place.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    let folder = socket.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test data has no hostile sizes"
)]
mod tests;
