// SPDX-License-Identifier: Apache-2.0
//! What a pool and those who want something of it say: JSON, one message a packet
//! (`SOCK_SEQPACKET`), descriptors beside it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::task::TaskId;

/// Longest message: names, numbers and a line for people.
const LONGEST: usize = 8 * 1024;

/// A guest's descriptors: pidfd, life and connector of its VMM, its control and its agent's
/// connection.
pub const DESCRIPTORS: usize = 5;

/// To a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// A guest of this kind, by the name of its template's key. The connection stays open until
    /// the guest's task runs.
    Take(String),
    /// How it is.
    Status,
}

/// From a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// A guest, with its descriptors.
    Guest {
        /// Its name.
        id: TaskId,
        /// Why it has no cgroup, or no limits.
        cgroup_note: Option<String>,
    },
    /// None, and why.
    Refused(String),
    /// How it is.
    Status(Status),
}

/// How a pool is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// Of its guests.
    pub image: String,
    /// Of each.
    pub memory_mib: u32,
    /// Of each.
    pub cpus: u8,
    /// How many are to wait.
    pub size: u16,
    /// How many could be taken now.
    pub waiting: u16,
    /// How many were taken.
    pub taken: u64,
}

/// Sends one message; never waits.
///
/// # Errors
/// What the system says.
pub fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let parts = [IoSlice::new(&bytes)];
    rustix::io::retry_on_intr(|| sendmsg(&socket, &parts, &mut ancillary, flags))?;
    Ok(())
}

/// Receives one message with its descriptors; `None` when there is none now.
///
/// # Errors
/// `UnexpectedEof` at the end, `InvalidData` for what is no message, else what the system says.
pub fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = [0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let received = match recvmsg(&socket, &mut parts, &mut ancillary, flags) {
        Ok(received) => received,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let descriptors = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let descriptors: Vec<OwnedFd> = descriptors.flatten().collect();
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let said = bytes.get(..received.bytes).unwrap_or_default();
    Ok(Some((serde_json::from_slice(said)?, descriptors)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::os::fd::AsFd;

    fn pair() -> (OwnedFd, OwnedFd) {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        socketpair(family, kind, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn a_message_arrives_whole_with_its_descriptors() {
        let (a, b) = pair();
        assert!(receive::<Answer>(&b).unwrap().is_none());
        let null = std::fs::File::open("/dev/null").unwrap();
        let answer = Answer::Guest {
            id: "0000aaaa".parse().unwrap(),
            cgroup_note: None,
        };
        send(&a, &answer, &[null.as_fd(); DESCRIPTORS]).unwrap();
        let (said, descriptors) = receive::<Answer>(&b).unwrap().unwrap();
        assert_eq!((said, descriptors.len()), (answer, DESCRIPTORS));
        drop(a);
        let error = receive::<Answer>(&b).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_too_long_or_no_message_is_an_error() {
        let (a, b) = pair();
        let long = [&b"\"status\""[..], &[b' '; LONGEST]].concat();
        for bytes in [long, b"{".to_vec(), b"\"take\"".to_vec()] {
            rustix::net::send(&a, &bytes, SendFlags::empty()).unwrap();
            assert!(receive::<Request>(&b).is_err());
        }
    }
}
