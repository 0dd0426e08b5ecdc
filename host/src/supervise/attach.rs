// SPDX-License-Identifier: Apache-2.0
//! Connections that the guest has opened for a request and that have not said yet for which.
//!
//! The first frame is `Attach`; it is read to its last byte and not one further, since the
//! connection may be handed to a client, who reads on from there.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::frame::{HEADER_LEN, Header};
use protocol::messages::Attach;
use protocol::{Frame, FrameError, Kind};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

/// A connection before its `Attach`.
#[derive(Debug)]
pub struct Pending {
    /// Which service it is for.
    pub port: u32,
    socket: OwnedFd,
    got: Vec<u8>,
}

impl Pending {
    /// A connection just made.
    #[must_use]
    pub fn new(port: u32, socket: OwnedFd) -> Self {
        Self {
            port,
            socket,
            got: Vec::new(),
        }
    }

    /// Reads on; the id once it is known.
    ///
    /// # Errors
    /// Anything but an `Attach`.
    pub fn read(&mut self) -> Result<Option<u32>, FrameError> {
        loop {
            let wanted = match self.got.first_chunk::<HEADER_LEN>() {
                None => HEADER_LEN,
                Some(header) => {
                    let Header { kind, len } = Header::parse(*header)?;
                    if kind != Kind::Attach {
                        return Err(FrameError::Unexpected { kind });
                    }
                    HEADER_LEN.saturating_add(usize::try_from(len).unwrap_or(usize::MAX))
                }
            };
            let missing = wanted.saturating_sub(self.got.len());
            if missing == 0 {
                return self.id().map(Some);
            }
            let mut bytes = vec![0; missing];
            match recv(&self.socket, &mut bytes[..], RecvFlags::DONTWAIT) {
                Ok((_, 0)) | Err(Errno::CONNRESET) => return Err(FrameError::Truncated),
                Ok((_, n)) => self
                    .got
                    .extend_from_slice(bytes.get(..n).unwrap_or_default()),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
    }

    fn id(&self) -> Result<u32, FrameError> {
        let body = self.got.get(HEADER_LEN..).unwrap_or_default().to_vec();
        let attach: Attach = Frame {
            kind: Kind::Attach,
            body,
        }
        .decode(Kind::Attach)?;
        Ok(attach.id)
    }

    /// The connection, right after its `Attach`.
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }
}

impl AsFd for Pending {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn an_attach_is_read_to_its_last_byte_and_no_further() {
        let (mut guest, ours) = UnixStream::pair().unwrap();
        let mut pending = Pending::new(protocol::ports::STDIO, ours.into());
        let mut bytes = Vec::new();
        protocol::write_message(&mut bytes, Kind::Attach, &Attach { id: 300 }).unwrap();
        bytes.extend(b"rest");
        for (n, byte) in bytes.iter().enumerate() {
            guest.write_all(&[*byte]).unwrap();
            let id = pending.read().unwrap();
            assert_eq!(id, (n + 5 >= bytes.len()).then_some(300));
        }
        drop(guest);
        let mut rest = String::new();
        UnixStream::from(pending.into_socket())
            .read_to_string(&mut rest)
            .unwrap();
        assert_eq!(rest, "rest");
    }

    #[test]
    fn another_frame_is_refused() {
        let (mut guest, ours) = UnixStream::pair().unwrap();
        let mut pending = Pending::new(protocol::ports::STDIO, ours.into());
        guest
            .write_all(&Header::encode(Kind::Stdout, 60_000).unwrap())
            .unwrap();
        assert!(matches!(
            pending.read(),
            Err(FrameError::Unexpected { kind: Kind::Stdout })
        ));
    }
}
