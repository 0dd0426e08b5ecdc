// SPDX-License-Identifier: Apache-2.0
//! The host's side: Unix stream sockets, the supervisor's connector, the listener, and one
//! epoll for all of them.
//!
//! A stream is watched edge-triggered for reading: the muxer remembers that it is readable until
//! a read says otherwise, so a stream that must wait for the guest's credit costs no system
//! call and no wake-up. It is watched for writing only while it holds data back.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use vm_memory::VolatileSlice;

use super::super::transfer;
use super::spec::Shut;
use crate::control::{self, Body, Connect, Connected, ControlError, Refused};

/// What an event belongs to. Never used twice, so a late event finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token(u64);

impl Token {
    pub(super) const CONNECTOR: Self = Self(0);
    pub(super) const LISTENER: Self = Self(1);
    pub(super) const TIMER: Self = Self(2);
    pub(super) const FIRST_STREAM: Self = Self(16);

    /// The one after. 2^64 connections are not reached.
    pub(super) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// As the supervisor's number for a request.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    pub(super) fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// What happened to a descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) token: Token,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The peer closed both directions, or the socket failed.
    pub(super) hung_up: bool,
}

/// Events taken from the kernel at once; more are taken in another turn.
const EVENTS: usize = 64;

/// How often deadlines are looked at, while there are any.
const TICK: Duration = Duration::from_secs(1);

/// One epoll, and the timer for deadlines.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let poller = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            timer: timerfd_create(
                TimerfdClockId::Monotonic,
                TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
            )?,
        };
        poller.watch(&poller.timer, Token::TIMER)?;
        Ok(poller)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Watches for reading, as long as there is something to read.
    pub(super) fn watch(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        let data = EventData::new_u64(token.0);
        Ok(epoll::add(&self.epoll, fd, data, EventFlags::IN)?)
    }

    /// Watches a stream (see the module's text).
    pub(super) fn watch_stream(&self, stream: &Stream, token: Token) -> io::Result<()> {
        let data = EventData::new_u64(token.0);
        Ok(epoll::add(
            &self.epoll,
            &stream.socket,
            data,
            interest(false),
        )?)
    }

    /// Starts or ends watching a stream for writing too.
    pub(super) fn set_blocked(
        &self,
        stream: &mut Stream,
        token: Token,
        blocked: bool,
    ) -> io::Result<()> {
        if stream.blocked != blocked {
            stream.blocked = blocked;
            let data = EventData::new_u64(token.0);
            epoll::modify(&self.epoll, &stream.socket, data, interest(blocked))?;
        }
        Ok(())
    }

    /// Forgets a descriptor. Closing it would not do: the supervisor may hold another
    /// descriptor of the same socket, which keeps it in the epoll.
    pub(super) fn forget(&self, fd: impl AsFd) {
        // Fails only for what is not watched.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// What is ready now; never waits.
    pub(super) fn ready(&self) -> io::Result<Vec<Ready>> {
        let mut events = Vec::with_capacity(EVENTS);
        let now = Timespec::default();
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, spare, Some(&now)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = events.into_iter().map(|event: epoll::Event| {
            let flags = event.flags;
            Ready {
                token: Token(event.data.u64()),
                readable: flags.contains(EventFlags::IN),
                writable: flags.contains(EventFlags::OUT),
                hung_up: flags.intersects(EventFlags::HUP | EventFlags::ERR),
            }
        });
        Ok(ready.collect())
    }

    /// Has [`Token::TIMER`] come up in a while.
    pub(super) fn arm(&self) -> io::Result<()> {
        self.set_timer(Timespec::try_from(TICK).map_err(|_| io::ErrorKind::InvalidInput)?)
    }

    /// Has the timer not come up, and forgets that it did.
    pub(super) fn disarm(&self) {
        // Fails for no reason that this descriptor could give.
        let _ = self.set_timer(Timespec::default());
    }

    fn set_timer(&self, after: Timespec) -> io::Result<()> {
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: after,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

fn interest(blocked: bool) -> EventFlags {
    let reading = EventFlags::IN | EventFlags::ET;
    match blocked {
        true => reading | EventFlags::OUT,
        false => reading,
    }
}

/// A connected stream socket of the host. All operations are non-blocking, whatever the
/// descriptor's own flag says: it is shared with whoever passed the descriptor.
#[derive(Debug)]
pub(super) struct Stream {
    socket: UnixStream,
    /// Watched for writing: the last send did not take everything.
    blocked: bool,
}

impl Stream {
    pub(super) fn new(socket: impl Into<UnixStream>) -> Self {
        Self {
            socket: socket.into(),
            blocked: false,
        }
    }

    /// Sends guest memory; 0 when the socket takes nothing now.
    pub(super) fn send(&self, buffer: &VolatileSlice<'_>) -> io::Result<usize> {
        or_nothing(transfer::send(self.socket.as_fd(), buffer))
    }

    /// Sends bytes; 0 when the socket takes nothing now.
    pub(super) fn send_bytes(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent = rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, bytes, flags));
        or_nothing(sent.map_err(io::Error::from))
    }

    /// Receives into guest memory. `None` when there is nothing now, 0 at the end.
    pub(super) fn receive(&self, buffer: &VolatileSlice<'_>) -> io::Result<Option<usize>> {
        match transfer::receive(self.socket.as_fd(), buffer) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells the peer what the guest will no longer do. It may have closed already.
    pub(super) fn shut(&self, guest: Shut) {
        let how = match (guest.receive, guest.send) {
            (true, true) => Shutdown::Both,
            (true, false) => Shutdown::Read,
            (false, true) => Shutdown::Write,
            (false, false) => return,
        };
        let _ = rustix::net::shutdown(&self.socket, how);
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn or_nothing(sent: io::Result<usize>) -> io::Result<usize> {
    match sent {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        sent => sent,
    }
}

/// Longest `CONNECT <port>\n`: ten digits, with room for a carriage return.
const GREETING_MAX: usize = 32;

/// What a client of the listener has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// Not a whole line yet.
    Unfinished,
    /// It wants to reach this port of the guest.
    Connect(u32),
    /// Something else, or it closed.
    Nonsense,
}

/// Reads the greeting of Firecracker's hybrid vsock (docs/vsock.md there), `CONNECT <port>\n`,
/// and not a byte of what follows it: that is the guest's.
pub(super) fn read_greeting(stream: &Stream) -> Greeting {
    let mut bytes = [0; GREETING_MAX];
    let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
    let peeked = rustix::io::retry_on_intr(|| {
        rustix::net::recv(&stream.socket, &mut bytes[..], flags).map(|(_, count)| count)
    });
    let said = match peeked {
        Ok(count) if count > 0 => bytes.get(..count).unwrap_or_default(),
        Err(rustix::io::Errno::AGAIN) => return Greeting::Unfinished,
        _ => return Greeting::Nonsense,
    };
    let Some(end) = said.iter().position(|byte| *byte == b'\n') else {
        return match said.len() < GREETING_MAX {
            true => Greeting::Unfinished,
            false => Greeting::Nonsense,
        };
    };
    let port = said.get(..end).and_then(parse_greeting);
    // The line with its newline, which is there, as was just seen.
    let line = bytes.get_mut(..=end).unwrap_or_default();
    match (
        port,
        rustix::net::recv(&stream.socket, line, RecvFlags::DONTWAIT),
    ) {
        (Some(port), Ok(_)) => Greeting::Connect(port),
        _ => Greeting::Nonsense,
    }
}

fn parse_greeting(line: &[u8]) -> Option<u32> {
    let line = std::str::from_utf8(line).ok()?.trim_end_matches('\r');
    let (word, port) = line.split_once(' ')?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (word.eq_ignore_ascii_case("connect") && digits).then(|| port.parse().ok())?
}

/// Accepts one client. `None` when it is gone already.
pub(super) fn accept(listener: &UnixListener) -> io::Result<Option<Stream>> {
    // The listener is non-blocking since it was given to the device.
    match listener.accept() {
        Ok((socket, _)) => Ok(Some(Stream::new(socket))),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// The supervisor's answer to a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// A connection for this request.
    Connected(Token, Stream),
    /// None for this one.
    Refused(Token),
    /// Nothing new.
    Nothing,
    /// The supervisor is gone or talks nonsense: no connection will come any more.
    Closed,
}

/// The connector socket ([`crate::control`]).
#[derive(Debug)]
pub(super) struct Connector(OwnedFd);

impl Connector {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self(socket))
    }

    /// Asks for a connection to `port`. `false` when the supervisor cannot be asked now.
    pub(super) fn ask(&self, request: Token, port: u32) -> bool {
        let id = request.number();
        control::send(&self.0, Body::Connect(Connect { id, port }), None).is_ok()
    }

    pub(super) fn answer(&self) -> Answer {
        match control::receive(&self.0) {
            Ok((Body::Connected(answer), Some(socket))) => {
                let request = Token::from_number(answer.id);
                Answer::Connected(request, Stream::new(UnixStream::from(socket)))
            }
            // Without its socket (this process is out of descriptors) it is as good as refused.
            Ok((Body::Refused(Refused { id }) | Body::Connected(Connected { id }), _)) => {
                Answer::Refused(Token::from_number(id))
            }
            Err(ControlError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Answer::Nothing
            }
            Ok(_) | Err(_) => Answer::Closed,
        }
    }
}

impl AsFd for Connector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
