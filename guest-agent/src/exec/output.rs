// SPDX-License-Identifier: Apache-2.0
//! What a command writes, on its way to the host: as it was written, in pieces that fit a frame.
//!
//! A piece is read only when the connection takes it at once, so a host that reads slowly slows the
//! command (its pipe fills) and nothing is held here.
//!
//! What a background process holds open does not hold up the end: as the command is reaped, the
//! bytes that are in its pipes are counted, and no more than these are sent. (For a terminal, whose
//! buffers have no such count, until nothing is there, with a bound.)
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::kind::DATA_CAP;
use protocol::{FrameError, Kind};
use rustix::io::{Errno, read};

use crate::link::Link;
use crate::sys;

/// Most that is drained of a terminal after its command ended.
const TERMINAL_DRAIN: usize = 1 << 20;

#[derive(Debug)]
enum Stream {
    /// To be read while the host takes it.
    Open {
        kind: Kind,
        from: OwnedFd,
    },
    /// The command has ended; this much is still to come.
    Draining {
        kind: Kind,
        from: OwnedFd,
        left: usize,
    },
    Closed,
}

/// stdout and stderr, or a terminal.
#[derive(Debug)]
pub(crate) struct Streams {
    streams: [Stream; 2],
    terminal: bool,
}

impl Streams {
    pub(crate) fn new(outputs: [Option<(Kind, OwnedFd)>; 2], terminal: bool) -> Self {
        let streams = outputs.map(|output| match output {
            Some((kind, from)) => Stream::Open { kind, from },
            None => Stream::Closed,
        });
        Self { streams, terminal }
    }

    /// Names the descriptors that may give something.
    pub(crate) fn watch<'a>(&'a self, add: &mut dyn FnMut(usize, BorrowedFd<'a>)) {
        for (number, stream) in self.streams.iter().enumerate() {
            if let Stream::Open { from, .. } = stream {
                add(number, from.as_fd());
            }
        }
    }

    /// Sends a piece of one stream.
    pub(crate) fn send(
        &mut self,
        number: usize,
        link: &mut Link,
        buffer: &mut [u8],
    ) -> Result<(), FrameError> {
        let Some(stream) = self.streams.get_mut(number) else {
            return Ok(());
        };
        let Stream::Open { kind, from } = stream else {
            return Ok(());
        };
        if !link.idle() {
            return Ok(());
        }
        match read_into(from, buffer) {
            Got::Bytes(bytes) => link.send_bytes(*kind, bytes)?,
            Got::NothingNow => {}
            Got::End => *stream = Stream::Closed,
        }
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        self.streams = [Stream::Closed, Stream::Closed];
    }

    /// Counts what is in the pipes; no more will be sent.
    pub(crate) fn drain_from_now(&mut self) {
        let terminal = self.terminal;
        for stream in &mut self.streams {
            if let Stream::Open { kind, from } = std::mem::replace(stream, Stream::Closed) {
                let left = if terminal {
                    TERMINAL_DRAIN
                } else {
                    sys::waiting(&from)
                };
                *stream = Stream::Draining { kind, from, left };
            }
        }
    }

    /// Sends one piece of what is left; `false` when nothing is.
    pub(crate) fn drain(&mut self, link: &mut Link, buffer: &mut [u8]) -> Result<bool, FrameError> {
        for stream in &mut self.streams {
            let Stream::Draining { kind, from, left } = stream else {
                continue;
            };
            let wanted = (*left).min(buffer.len());
            let piece = buffer.get_mut(..wanted).unwrap_or_default();
            if let Got::Bytes(bytes) = read_into(from, piece) {
                *left = left.saturating_sub(bytes.len());
                link.send_bytes(*kind, bytes)?;
                return Ok(true);
            }
            *stream = Stream::Closed;
        }
        Ok(false)
    }
}

enum Got<'a> {
    Bytes(&'a [u8]),
    NothingNow,
    End,
}

/// Reads a piece as it was written, at most what a frame holds.
fn read_into<'a>(from: &OwnedFd, buffer: &'a mut [u8]) -> Got<'a> {
    let cap = usize::try_from(DATA_CAP).unwrap_or(usize::MAX);
    let wanted = buffer.len().min(cap);
    let piece = buffer.get_mut(..wanted).unwrap_or_default();
    match read(from, &mut *piece) {
        Ok(0) => Got::End,
        Ok(n) => Got::Bytes(piece.get(..n).unwrap_or_default()),
        Err(Errno::AGAIN | Errno::INTR) => Got::NothingNow,
        // EIO: the last holder of the terminal closed it.
        Err(_) => Got::End,
    }
}
