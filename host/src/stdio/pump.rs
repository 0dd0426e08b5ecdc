// SPDX-License-Identifier: Apache-2.0
//! Moves a command's bytes: frames from the guest to stdout and stderr, stdin to the guest.
//!
//! ```text
//!  guest ══ frames ══► window ── bodies, several a writev ──► stdout / stderr (and the log)
//!        ◄═ Stdin ════ one frame ◄──────────────────────────── stdin
//! ```
//!
//! Bodies are written where they lie in the window; nothing is copied. Memory is bounded by the
//! window and one frame: when an output has no room, the guest's socket is not read, and the
//! guest's own flow control does the rest.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::frame::{HEADER_LEN, Header};
use protocol::kind::DATA_CAP;
use protocol::{FrameError, Kind};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{Input, Output};
use crate::logs::{LogWriter, Stream};
use crate::poll::Interests;

/// Bytes read from the guest at once: four full frames, so that a writev gathers several.
const WINDOW: usize = 256 * 1024;

/// Bodies gathered in one write.
const GATHER: usize = 16;

/// Bytes of stdin in one frame.
const INPUT: usize = 64 * 1024;
const _: () = assert!(
    INPUT <= DATA_CAP as usize,
    "a frame of stdin must be allowed"
);

/// Which end of a pump is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The guest's socket.
    Guest,
    /// Our stdin.
    Input,
    /// The output that had no room.
    Output,
}

/// A frame body that is being passed on.
#[derive(Clone, Copy, Debug)]
struct Body {
    stream: Stream,
    left: usize,
}

/// The streams of one command.
#[derive(Debug)]
pub struct Pump {
    guest: OwnedFd,
    input: Option<Input>,
    /// A frame for the guest, and how much of it was sent.
    to_guest: Vec<u8>,
    sent: usize,
    window: Box<[u8]>,
    start: usize,
    end: usize,
    body: Option<Body>,
    stdout: Output,
    stderr: Output,
    log: Option<LogWriter>,
    /// The output that has no room.
    blocked: Option<Stream>,
    /// Nothing more comes from the guest.
    drained: bool,
    /// Something was passed on.
    written: bool,
}

impl Pump {
    /// For a connection whose `Attach` was read.
    #[must_use]
    pub fn new(guest: OwnedFd, input: Option<Input>, outputs: (Output, Output)) -> Self {
        let (stdout, stderr) = outputs;
        Self {
            guest,
            input,
            to_guest: Vec::new(),
            sent: 0,
            window: vec![0; WINDOW].into(),
            start: 0,
            end: 0,
            body: None,
            stdout,
            stderr,
            log: None,
            blocked: None,
            drained: false,
            written: false,
        }
    }

    /// Keeps a copy of the output in `log`.
    #[must_use]
    pub fn with_log(mut self, log: Option<LogWriter>) -> Self {
        self.log = log;
        self
    }

    /// Gives the outputs and the log back, for another command's streams.
    #[must_use]
    pub fn into_outputs(self) -> (Output, Output, Option<LogWriter>) {
        (self.stdout, self.stderr, self.log)
    }

    /// Whether all that the guest will ever send has been written.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.drained && self.start == self.end
    }

    /// Whether something of the output has been passed on.
    #[must_use]
    pub fn has_written(&self) -> bool {
        self.written
    }

    /// Whether it waits for a reader of ours rather than for the guest.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// Whether the reader of stdout has gone away.
    #[must_use]
    pub fn stdout_is_broken(&self) -> bool {
        self.stdout.is_broken()
    }

    /// Whether what was written to stdout ends with a newline, or is nothing.
    #[must_use]
    pub fn stdout_ends_line(&self) -> bool {
        self.stdout.ends_line()
    }

    /// Asks for what can be done now.
    pub fn interests<'a, T: Copy>(&'a self, into: &mut Interests<'a, T>, name: impl Fn(Side) -> T) {
        let sending = self.sent < self.to_guest.len();
        match self
            .blocked
            .and_then(|stream| self.output_ref(stream).room())
        {
            Some(room) => into.write(room, name(Side::Output)),
            None if !self.drained => into.both(self.guest.as_fd(), sending, name(Side::Guest)),
            None => {}
        }
        if !sending
            && !self.drained
            && let Some(fd) = self.input.as_ref().and_then(Input::ready)
        {
            into.read(fd, name(Side::Input));
        }
    }

    /// Does what `side` made possible.
    ///
    /// # Errors
    /// [`FrameError`] when the guest broke the framing or an output failed.
    pub fn turn(&mut self, side: Side) -> Result<(), FrameError> {
        match side {
            Side::Guest => {
                self.send();
                self.receive()
            }
            Side::Output => self.pass_on(),
            Side::Input => self.read_input(),
        }
    }

    fn output_ref(&self, stream: Stream) -> &Output {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        }
    }

    /// Reads from the guest as long as there is something and room for it.
    fn receive(&mut self) -> Result<(), FrameError> {
        while !self.drained && self.blocked.is_none() {
            self.make_room();
            let space = self.window.get_mut(self.end..).unwrap_or_default();
            let wanted = space.len();
            match recv(&self.guest, space, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => {
                    self.drained = true;
                    let within = self.body.is_some_and(|body| body.left > 0);
                    let rest = self.start < self.end;
                    self.end = self.start;
                    return if within || rest {
                        Err(FrameError::Truncated)
                    } else {
                        Ok(())
                    };
                }
                Ok((_, n)) => {
                    self.end = self.end.saturating_add(n);
                    self.pass_on()?;
                    if n < wanted {
                        return Ok(());
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                // The VMM is gone; what it had written was read before.
                Err(Errno::CONNRESET) => self.drained = true,
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
        Ok(())
    }

    /// Moves what is left to the front of the window when its end is reached.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.window.len() && self.start > 0 {
            self.window.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
    }

    /// Writes the bodies in the window until one has no room or a frame is incomplete.
    fn pass_on(&mut self) -> Result<(), FrameError> {
        self.blocked = None;
        while let Some(stream) = self.next_body()? {
            let mut ranges = [(0, 0); GATHER];
            let count = self.gather(stream, &mut ranges);
            let parts = ranges
                .map(|(from, to)| IoSlice::new(self.window.get(from..to).unwrap_or_default()));
            let parts = parts.get(..count).unwrap_or_default();
            let output = match stream {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            let Some(wrote) = output.write(parts)? else {
                self.blocked = Some(stream);
                return Ok(());
            };
            if let Some(log) = &mut self.log {
                log.write(stream, parts, wrote);
            }
            self.written |= wrote > 0;
            self.consume(wrote)?;
        }
        Ok(())
    }

    /// Brings the next body with bytes in the window to the front; its stream.
    fn next_body(&mut self) -> Result<Option<Stream>, FrameError> {
        loop {
            if let Some(body) = self.body.filter(|body| body.left > 0) {
                return Ok((self.start < self.end).then_some(body.stream));
            }
            let Some(header) = self.header_at(self.start)? else {
                return Ok(None);
            };
            self.start = self.start.saturating_add(HEADER_LEN);
            let left = usize::try_from(header.len).unwrap_or(usize::MAX);
            match stream_of(header.kind) {
                Some(stream) => self.body = Some(Body { stream, left }),
                None if header.kind == Kind::OutputEnd => {
                    self.drained = true;
                    (self.start, self.end) = (0, 0);
                    return Ok(None);
                }
                None => return Err(FrameError::Unexpected { kind: header.kind }),
            }
        }
    }

    /// The header at `at`, if all of it is there.
    fn header_at(&self, at: usize) -> Result<Option<Header>, FrameError> {
        let bytes = self.window.get(at..self.end).unwrap_or_default();
        match bytes.first_chunk::<HEADER_LEN>() {
            Some(header) => Header::parse(*header).map(Some),
            None => Ok(None),
        }
    }

    /// Where the bytes for `stream` lie that follow each other, first the current body's.
    fn gather(&self, stream: Stream, ranges: &mut [(usize, usize); GATHER]) -> usize {
        let (mut at, mut count) = (self.start, 0);
        let mut left = self.body.map_or(0, |body| body.left);
        for range in ranges {
            let to = at.saturating_add(left).min(self.end);
            *range = (at, to);
            count = usize::saturating_add(count, 1);
            let whole = to == at.saturating_add(left);
            match self.header_at(to) {
                Ok(Some(next)) if whole && stream_of(next.kind) == Some(stream) => {
                    at = to.saturating_add(HEADER_LEN);
                    left = usize::try_from(next.len).unwrap_or(usize::MAX);
                }
                _ => break,
            }
        }
        count
    }

    /// Steps over `written` bytes of bodies and the headers between them.
    fn consume(&mut self, written: usize) -> Result<(), FrameError> {
        let mut rest = written;
        while rest > 0 && self.next_body()?.is_some() {
            let Some(body) = &mut self.body else { break };
            let step = rest.min(body.left);
            body.left = body.left.saturating_sub(step);
            self.start = self.start.saturating_add(step);
            rest = rest.saturating_sub(step);
        }
        Ok(())
    }

    /// Reads stdin into a frame, or its end into another.
    fn read_input(&mut self) -> Result<(), FrameError> {
        let Some(input) = &self.input else {
            return Ok(());
        };
        let mut bytes = vec![0; HEADER_LEN.saturating_add(INPUT)];
        let Some((head, space)) = bytes.split_first_chunk_mut::<HEADER_LEN>() else {
            return Ok(());
        };
        // A stdin that cannot be read has ended as far as the command can tell.
        let Some(n) = input.read(space).unwrap_or(Some(0)) else {
            return Ok(());
        };
        let kind = if n == 0 { Kind::StdinEnd } else { Kind::Stdin };
        if n == 0 {
            self.input = None;
        }
        *head = Header::encode(kind, n)?;
        bytes.truncate(HEADER_LEN.saturating_add(n));
        (self.to_guest, self.sent) = (bytes, 0);
        self.send();
        Ok(())
    }

    /// Sends what is pending for the guest. A guest that no longer reads its stdin is none of
    /// our errors: the command may have ended.
    fn send(&mut self) {
        while let Some(rest) = self
            .to_guest
            .get(self.sent..)
            .filter(|rest| !rest.is_empty())
        {
            match send(&self.guest, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(n) => self.sent = self.sent.saturating_add(n),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.input = None;
                    break;
                }
            }
        }
        self.to_guest.clear();
        self.sent = 0;
    }
}

impl AsFd for Pump {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.guest.as_fd()
    }
}

fn stream_of(kind: Kind) -> Option<Stream> {
    match kind {
        Kind::Stdout => Some(Stream::Stdout),
        Kind::Stderr => Some(Stream::Stderr),
        _ => None,
    }
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "test data has no hostile sizes"
)]
mod tests;
