// SPDX-License-Identifier: Apache-2.0
//! One connection of the guest that carries messages: whole frames in, whole frames out, never
//! waiting for the other side.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::frame::{HEADER_LEN, Header};
use protocol::{Frame, FrameError, Kind};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// Most bytes that wait for a guest that does not read: several of the largest requests.
const BACKLOG: usize = 4 << 20;

/// A connection of messages.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
    accepts: &'static [Kind],
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    open: bool,
}

impl Wire {
    /// A connection on which the guest may send these kinds and no others.
    #[must_use]
    pub fn new(socket: OwnedFd, accepts: &'static [Kind]) -> Self {
        Self {
            socket,
            accepts,
            inbox: Vec::new(),
            outbox: Vec::new(),
            open: true,
        }
    }

    /// Whether the guest may still send something.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Whether something waits to be sent.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Reads once. What was read is bounded by one read and one incomplete frame, since
    /// [`Wire::take`] is called until it has no more.
    ///
    /// # Errors
    /// The socket's failure.
    pub fn receive(&mut self) -> Result<(), FrameError> {
        let mut bytes = [0; READ];
        match recv(&self.socket, &mut bytes[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) | Err(Errno::CONNRESET) => self.open = false,
            Ok((_, n)) => self
                .inbox
                .extend_from_slice(bytes.get(..n).unwrap_or_default()),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        Ok(())
    }

    /// Takes the next whole frame.
    ///
    /// # Errors
    /// A kind that has no place on this connection is refused by its header, before its body.
    pub fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((head, rest)) = self.inbox.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let Header { kind, len } = Header::parse(*head)?;
        if !self.accepts.contains(&kind) {
            return Err(FrameError::Unexpected { kind });
        }
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let Some(body) = rest.get(..len) else {
            return Ok(None);
        };
        let frame = Frame {
            kind,
            body: body.to_vec(),
        };
        self.inbox.drain(..HEADER_LEN.saturating_add(len));
        Ok(Some(frame))
    }

    /// Sends a message, or keeps it until there is room.
    ///
    /// # Errors
    /// When the guest has not read megabytes of earlier ones.
    pub fn post(&mut self, kind: Kind, body: &[u8]) -> Result<(), FrameError> {
        let mut frame = Vec::new();
        protocol::write_frame(&mut frame, kind, body)?;
        if self.outbox.len().saturating_add(frame.len()) > BACKLOG {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        self.outbox.append(&mut frame);
        self.flush();
        Ok(())
    }

    /// Sends what waits, as far as there is room. A connection that is gone is noticed when it
    /// is read.
    pub fn flush(&mut self) {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        while !self.outbox.is_empty() {
            match send(&self.socket, &self.outbox, flags) {
                Ok(n) => drop(self.outbox.drain(..n)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.outbox.clear(),
            }
        }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use protocol::messages::{Hello, Signal};
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn wire() -> (UnixStream, Wire) {
        let (guest, ours) = UnixStream::pair().unwrap();
        (guest, Wire::new(ours.into(), &[Kind::Hello]))
    }

    #[test]
    fn a_frame_in_pieces_is_one_frame() {
        let (mut guest, mut wire) = wire();
        let mut bytes = Vec::new();
        let hello = Hello {
            version: 1,
            boot_ns: 9,
        };
        protocol::write_message(&mut bytes, Kind::Hello, &hello).unwrap();
        for byte in bytes {
            assert!(wire.take().unwrap().is_none());
            guest.write_all(&[byte]).unwrap();
            wire.receive().unwrap();
        }
        let frame = wire.take().unwrap().unwrap();
        assert_eq!(frame.decode::<Hello>(Kind::Hello).unwrap(), hello);
    }

    #[test]
    fn a_kind_that_has_no_place_is_refused_by_its_header() {
        let (mut guest, mut wire) = wire();
        guest
            .write_all(&Header::encode(Kind::Exec, 1_000_000).unwrap())
            .unwrap();
        wire.receive().unwrap();
        assert!(matches!(
            wire.take(),
            Err(FrameError::Unexpected { kind: Kind::Exec })
        ));
    }

    #[test]
    fn a_guest_that_does_not_read_is_an_error_in_the_end() {
        let (_guest, mut wire) = wire();
        let exec = protocol::messages::Exec {
            argv: vec![vec![b'x'; 500_000]],
            ..Default::default()
        };
        let exec = exec.encode_to_vec();
        let refused = (0..100).any(|_| wire.post(Kind::Exec, &exec).is_err());
        assert!(refused && wire.is_sending());
    }

    #[test]
    fn the_end_is_seen() {
        let (guest, mut wire) = wire();
        drop(guest);
        wire.receive().unwrap();
        assert!(!wire.is_open());
        let signal = Signal { id: 1, signal: 15 }.encode_to_vec();
        wire.post(Kind::Signal, &signal).unwrap();
    }
}
