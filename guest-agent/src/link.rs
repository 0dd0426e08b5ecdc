// SPDX-License-Identifier: Apache-2.0
//! A connection to the host: frames in, frames out, never blocking.
//!
//! What the host does not take waits in the outbox. Whoever makes output looks at
//! [`Link::idle`] first and makes none while something waits, so the outbox holds one frame of
//! bulk data, or the small messages of the commands there are.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::{Decoder, Frame, FrameError, Kind, Message, write_frame, write_message};
use rustix::event::PollFlags;
use rustix::net::sockopt::socket_error;

/// Opens connections to the host's ports: vsock in a guest, socket pairs in a test.
pub trait Connect: Send + Sync {
    /// A socket on its way to being connected: writable once it is, or has failed.
    ///
    /// # Errors
    /// What the socket calls say.
    fn connect(&self, port: u32) -> io::Result<OwnedFd>;
}

/// The guest's way to the host.
#[derive(Clone, Copy, Debug)]
pub struct Vsock;

impl Connect for Vsock {
    fn connect(&self, port: u32) -> io::Result<OwnedFd> {
        crate::sys::connect_vsock(protocol::HOST_CID, port)
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    socket: File,
    connecting: bool,
    decoder: Decoder,
    outbox: Vec<u8>,
}

impl Link {
    /// Wraps a socket that [`Connect::connect`] gave.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket: File::from(socket),
            connecting: true,
            decoder: Decoder::default(),
            outbox: Vec::new(),
        })
    }

    /// Whether bulk data may be sent: nothing waits before it.
    pub(crate) fn idle(&self) -> bool {
        !self.connecting && self.outbox.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn backlog(&self) -> usize {
        self.outbox.len()
    }

    /// What to wait for. `input` is whether a frame would be welcome.
    pub(crate) fn interest(&self, input: bool) -> PollFlags {
        let mut flags = PollFlags::empty();
        if input && !self.connecting {
            flags |= PollFlags::IN;
        }
        if self.connecting || !self.outbox.is_empty() {
            flags |= PollFlags::OUT;
        }
        flags
    }

    /// Takes a message into the outbox and sends what goes.
    pub(crate) fn send(&mut self, kind: Kind, message: &impl Message) -> Result<(), FrameError> {
        self.send_bytes(kind, &message.encode_to_vec())
    }

    /// Takes a message into the outbox, for [`Link::flush`] to send.
    pub(crate) fn queue(&mut self, kind: Kind, message: &impl Message) -> Result<(), FrameError> {
        write_message(&mut self.outbox, kind, message)
    }

    /// As [`Link::send`], for bodies that are bytes.
    pub(crate) fn send_bytes(&mut self, kind: Kind, body: &[u8]) -> Result<(), FrameError> {
        if !self.idle() {
            write_frame(&mut self.outbox, kind, body)?;
            return self.flush();
        }
        // Nothing waits: most frames go out in one call, without a copy.
        let header = protocol::frame::Header::encode(kind, body.len())?;
        let parts = [io::IoSlice::new(&header), io::IoSlice::new(body)];
        let sent = match self.socket.write_vectored(&parts) {
            Ok(sent) => sent,
            Err(e) if not_now(&e) => 0,
            Err(e) => return Err(e.into()),
        };
        let of_body = sent.saturating_sub(header.len());
        self.outbox
            .extend_from_slice(header.get(sent..).unwrap_or_default());
        self.outbox
            .extend_from_slice(body.get(of_body..).unwrap_or_default());
        Ok(())
    }

    /// Sends what waits, as far as it goes.
    pub(crate) fn flush(&mut self) -> Result<(), FrameError> {
        if self.connecting && !self.connected()? {
            return Ok(());
        }
        while !self.outbox.is_empty() {
            match self.socket.write(&self.outbox) {
                Ok(n) => drop(self.outbox.drain(..n)),
                Err(e) if not_now(&e) => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
        // A link that caught up holds no memory.
        self.outbox = Vec::new();
        Ok(())
    }

    /// Looks whether the connection stands by now.
    fn connected(&mut self) -> Result<bool, FrameError> {
        let mut fds = [rustix::event::PollFd::new(&self.socket, PollFlags::OUT)];
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let ready = rustix::event::poll(&mut fds, Some(&now)).map_err(io::Error::from)?;
        if ready == 0 {
            return Ok(false);
        }
        socket_error(&self.socket)
            .map_err(io::Error::from)?
            .map_err(io::Error::from)?;
        self.connecting = false;
        Ok(true)
    }

    /// Reads once, at most `buffer`. [`FrameError::Closed`] when the host closed in good order.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<(), FrameError> {
        match self.socket.read(buffer) {
            Ok(0) if self.decoder.is_empty() => Err(FrameError::Closed),
            Ok(0) => Err(FrameError::Truncated),
            Ok(n) => {
                self.decoder.push(buffer.get(..n).unwrap_or_default());
                Ok(())
            }
            Err(e) if not_now(&e) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// The next whole frame that was received.
    pub(crate) fn frame(&mut self) -> Result<Option<Frame>, FrameError> {
        self.decoder.frame()
    }

    /// Tells the host that nothing more will come.
    pub(crate) fn finish(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether to try again later rather than give up.
pub(crate) fn not_now(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
