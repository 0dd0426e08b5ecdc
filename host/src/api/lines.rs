// SPDX-License-Identifier: Apache-2.0
//! Lines of JSON on a stream socket, some with a descriptor.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest line. Arguments and environment are at most a mebibyte on the wire to the guest;
/// bytes that are no text take up to four characters each here.
const LONGEST: usize = 5 << 20;

/// Descriptors kept for lines that have not been read yet.
const DESCRIPTORS: usize = 4;

/// What a read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Something, perhaps a line.
    Some,
    /// Nothing now.
    Nothing,
    /// The other side has closed.
    Closed,
}

/// The receiving half.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Lines {
    /// Reads once.
    ///
    /// # Errors
    /// The socket's failure, or `InvalidData` for a line without end.
    pub fn receive(&mut self, socket: impl AsFd, wait: bool) -> io::Result<Received> {
        let mut bytes = [0; 16 * 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let wait = if wait {
            RecvFlags::empty()
        } else {
            RecvFlags::DONTWAIT
        };
        let flags = RecvFlags::CMSG_CLOEXEC | wait;
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let received = match recvmsg(&socket, &mut parts, &mut ancillary, flags) {
            Ok(received) => received.bytes,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
            Err(Errno::CONNRESET) => return Ok(Received::Closed),
            Err(errno) => return Err(errno.into()),
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
                self.descriptors.truncate(DESCRIPTORS);
            }
        }
        if received == 0 {
            return Ok(Received::Closed);
        }
        if self.bytes.len() + received > LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a line is too long",
            ));
        }
        self.bytes.extend_from_slice(&bytes[..received]);
        Ok(Received::Some)
    }

    /// Takes the next whole line.
    ///
    /// # Errors
    /// `InvalidData` when it is not what it should be.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let parsed = serde_json::from_slice(&self.bytes[..end]);
        self.bytes.drain(..=end);
        Ok(Some(parsed?))
    }

    /// The descriptor that came first and was not taken yet.
    pub fn descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }
}

/// Sends one line, with a descriptor if there is one. A peer that has not read kilobytes of
/// earlier lines loses the connection instead of holding the sender up.
///
/// # Errors
/// The socket's failure, or `WouldBlock` for a peer that does not read.
pub fn send_line(
    socket: impl AsFd,
    line: &impl Serialize,
    descriptor: Option<BorrowedFd<'_>>,
    wait: bool,
) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    send_bytes(socket, &bytes, descriptor, wait)
}

fn send_bytes(
    socket: impl AsFd,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
    wait: bool,
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    let wait = if wait {
        SendFlags::empty()
    } else {
        SendFlags::DONTWAIT
    };
    let flags = SendFlags::NOSIGNAL | wait;
    let mut rest = bytes;
    while !rest.is_empty() {
        let sent = rustix::io::retry_on_intr(|| {
            sendmsg(&socket, &[IoSlice::new(rest)], &mut ancillary, flags)
        })?;
        // The descriptor goes with the first byte and must not go again.
        ancillary.clear();
        rest = rest.get(sent..).unwrap_or_default();
    }
    Ok(())
}

/// Sends lines at once, without descriptors, and waits for the peer to take them.
///
/// # Errors
/// The socket's failure.
pub fn send_lines(socket: impl AsFd, lines: &[impl Serialize]) -> io::Result<()> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
    }
    send_bytes(socket, &bytes, None, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Event, ExecRequest, Request};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_line_brings_its_descriptor() {
        let (client, supervisor) = UnixStream::pair().unwrap();
        let (mut kept, passed) = UnixStream::pair().unwrap();
        send_line(&supervisor, &Event::Attached, Some(passed.as_fd()), false).unwrap();
        send_line(&supervisor, &Event::Started, None, false).unwrap();
        let mut lines = Lines::default();
        let mut events = Vec::new();
        while events.len() < 2 {
            assert_ne!(lines.receive(&client, true).unwrap(), Received::Closed);
            while let Some(event) = lines.take::<Event>().unwrap() {
                events.push(event);
            }
        }
        assert_eq!(events, [Event::Attached, Event::Started]);
        kept.write_all(b"x").unwrap();
        let mut byte = [0];
        UnixStream::from(lines.descriptor().unwrap())
            .read_exact(&mut byte)
            .unwrap();
        assert!(lines.descriptor().is_none());
    }

    #[test]
    fn a_large_request_arrives_whole() {
        let (client, supervisor) = UnixStream::pair().unwrap();
        let request = Request::Exec(ExecRequest {
            argv: vec![crate::task::Bytes::Raw(vec![0xfe; 500_000])],
            env: Vec::new(),
            workdir: None,
            user: None,
            terminal: None,
        });
        let sent = request.clone();
        let sender = std::thread::spawn(move || send_line(&client, &sent, None, true).unwrap());
        let mut lines = Lines::default();
        let got = loop {
            lines.receive(&supervisor, true).unwrap();
            if let Some(request) = lines.take::<Request>().unwrap() {
                break request;
            }
        };
        sender.join().unwrap();
        assert_eq!(got, request);
    }

    #[test]
    fn rubbish_and_endless_lines_are_refused() {
        let (mut client, supervisor) = UnixStream::pair().unwrap();
        client.write_all(b"{\"format\":1}\n").unwrap();
        let mut lines = Lines::default();
        lines.receive(&supervisor, true).unwrap();
        assert!(lines.take::<Request>().is_err());
        let flood = std::thread::spawn(move || {
            let block = [b'x'; 65536];
            while client.write_all(&block).is_ok() {}
        });
        let refused = loop {
            if let Err(error) = lines.receive(&supervisor, true) {
                break error;
            }
        };
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        drop(supervisor);
        flood.join().unwrap();
    }
}
