// SPDX-License-Identifier: Apache-2.0
//! What the host sends for a command's stdin, on its way there.
//!
//! At most one frame waits: while one does, no other is read from the connection, so a command
//! that reads slowly slows the host and nobody else. What comes after the command closed its stdin
//! is thrown away.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, write};
use rustix::termios::{LocalModes, SpecialCodeIndex, tcgetattr};

/// The way to stdin.
#[derive(Debug)]
pub(crate) struct Input {
    /// `None` once stdin is closed, or when there is none.
    to: Option<OwnedFd>,
    terminal: bool,
    waiting: Vec<u8>,
    /// Bytes of `waiting` that went already.
    written: usize,
    /// The host has sent the end.
    ending: bool,
    /// The last byte that went ended a line: then one end-of-file character is an end.
    at_line_start: bool,
}

impl Input {
    pub(crate) fn new(to: Option<OwnedFd>, terminal: bool) -> Self {
        Self {
            to,
            terminal,
            waiting: Vec::new(),
            written: 0,
            ending: false,
            at_line_start: true,
        }
    }

    /// Whether another frame may be taken.
    pub(crate) fn welcome(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The descriptor to wait on, while bytes wait.
    pub(crate) fn blocked_on(&self) -> Option<BorrowedFd<'_>> {
        self.to
            .as_ref()
            .filter(|_| !self.welcome())
            .map(AsFd::as_fd)
    }

    /// Takes bytes from the host.
    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        if self.to.is_some() && !self.ending {
            self.waiting = bytes;
            self.written = 0;
            self.advance();
        }
    }

    /// The host sends no more: closes the pipe, or types end-of-file, once all went.
    pub(crate) fn end(&mut self) {
        if !self.ending {
            self.ending = true;
            self.advance();
        }
    }

    /// Closes at once and forgets what waits.
    pub(crate) fn close(&mut self) {
        self.to = None;
        self.waiting = Vec::new();
    }

    /// Writes what goes.
    pub(crate) fn advance(&mut self) {
        while let Some(to) = &self.to {
            let rest = self.waiting.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.waiting = Vec::new();
                self.written = 0;
                break;
            }
            match write(to, rest) {
                Ok(n) => {
                    let last = n.checked_sub(1).and_then(|at| rest.get(at));
                    self.at_line_start = last == Some(&b'\n');
                    self.written = self.written.saturating_add(n);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // EPIPE: the command closed its stdin. EIO: its terminal is gone.
                Err(_) => return self.close(),
            }
        }
        if self.ending {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let Some(to) = self.to.take() else { return };
        if !self.terminal {
            return;
        }
        // A terminal has no end of its own: in canonical mode the VEOF character is one, at the
        // start of a line; within a line the first passes the line on and the second ends.
        let Ok(modes) = tcgetattr(&to) else { return };
        if !modes.local_modes.contains(LocalModes::ICANON) {
            return;
        }
        let eof = modes.special_codes[SpecialCodeIndex::VEOF];
        let typed: &[u8] = if self.at_line_start {
            &[eof]
        } else {
            &[eof, eof]
        };
        // Two bytes that do not fit are lost: then 4 KiB of typing wait for a command that does not
        // read, and the end of the task will end it.
        let _ = write(&to, typed);
    }
}
