// SPDX-License-Identifier: Apache-2.0
//! What the VMM and its supervisor say to each other, over two inherited `SOCK_SEQPACKET`
//! Unix sockets; one message a packet, protobuf.
//!
//! ```text
//!              life socket                         connector socket
//! VMM ── Running, Ended ──► supervisor    VMM ── Connect{id, port} ─────────► supervisor
//!     ◄── Stop ────────────                   ◄── Connected{id} + descriptor ──
//!     ◄── Snapshot + descriptor,              ◄── Refused{id} ─────────────────
//!         Rehearsed + descriptor
//!     ── Snapshotted ─────►
//!     ◄── Prepare ─────────
//!     ◄── Adopt (+ descriptor)
//!     ── Adopted ─────────►
//!     ◄── Pause, Resume, Retime
//!     ── Paused ──────────►
//!     ◄── Park + descriptor
//!     ── Parked ──────────►
//! ```
//!
//! Two sockets, so that each has one owner inside the VMM: the machine owns its life, the
//! vsock device owns the connections it asks for. The VMM opens no path itself: a connection
//! that the guest starts becomes a request, and the supervisor answers with a connected
//! stream socket (`SCM_RIGHTS`) or a refusal.
//!
//! The supervisor trusts these messages no more than the jail they come from: sizes are
//! capped, unknown ones are errors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use prost::Message;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
};

/// Longest message either way: an `Ended` with the debug console's tail is the largest.
pub const MAX_MESSAGE: usize = 96 * 1024;

/// Most bytes of console output that `Ended` carries.
pub const CONSOLE_TAIL: usize = 64 * 1024;

/// VMM to supervisor, life socket: the first vCPU is about to run.
///
/// Times are `CLOCK_MONOTONIC` nanoseconds, the supervisor's own clock.
#[derive(Clone, PartialEq, Message)]
pub struct Running {
    /// `main` was entered.
    #[prost(uint64, tag = "1")]
    pub entered_ns: u64,
    /// Memory and kernel were mapped.
    #[prost(uint64, tag = "2")]
    pub mapped_ns: u64,
    /// Devices and vCPUs stood; the first `KVM_RUN` follows.
    #[prost(uint64, tag = "3")]
    pub running_ns: u64,
}

/// How a guest's machine ended, as its VMM saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum End {
    /// Never said by a VMM.
    Unspecified = 0,
    /// The guest asked for a reset (i8042). After a goodbye this is a shutdown, without one a
    /// panic or a reboot: the supervisor knows which.
    Reset = 1,
    /// `KVM_EXIT_SHUTDOWN`: a triple fault.
    TripleFault = 2,
    /// The VMM's own timer.
    Life = 3,
    /// The supervisor said [`Stop`].
    Stopped = 4,
    /// KVM could not run the guest (`KVM_EXIT_FAIL_ENTRY`, `KVM_EXIT_INTERNAL_ERROR`, or an
    /// exit this VMM does not serve).
    Kvm = 5,
    /// Set-up failed, before the guest ran.
    Setup = 6,
    /// The VMM met a failure of the host while the guest ran.
    Host = 7,
}

/// VMM to supervisor, life socket: its last word.
#[derive(Clone, PartialEq, Message)]
pub struct Ended {
    /// How.
    #[prost(enumeration = "End", tag = "1")]
    pub end: i32,
    /// One line for people; the whole error chain for failures.
    #[prost(string, tag = "2")]
    pub detail: String,
    /// The last bytes of the debug console, when there is one.
    #[prost(bytes = "vec", tag = "3")]
    pub console: Vec<u8>,
    /// Names of devices whose rings the guest broke.
    #[prost(string, repeated, tag = "4")]
    pub broken_devices: Vec<String>,
    /// The process's largest resident set so far, in bytes. The supervisor does not wait for its
    /// end, which would tell.
    #[prost(uint64, tag = "5")]
    pub peak_resident: u64,
}

/// Supervisor to VMM, life socket: end the guest now.
#[derive(Clone, PartialEq, Message)]
pub struct Stop {}

/// Supervisor to VMM, life socket: write a snapshot of the guest into the packet's one
/// descriptor, an empty file open for writing. The guest stands still meanwhile.
#[derive(Clone, PartialEq, Message)]
pub struct Snapshot {}

/// Supervisor to VMM, life socket: the guest, restored from the snapshot in the packet's one
/// descriptor, is about to run its first command. Note what it has used so far; on the second of
/// these add what it used to the snapshot. Answered like [`Snapshot`].
#[derive(Clone, PartialEq, Message)]
pub struct Rehearsed {}

/// Supervisor to VMM, life socket: the guest's first command comes now. Not answered.
#[derive(Clone, PartialEq, Message)]
pub struct Prepare {}

/// Supervisor to VMM, life socket: the guest that waited for nobody in particular is a task's from
/// now on. With a descriptor, that is the medium of one of its drives that had none.
#[derive(Clone, PartialEq, Message)]
pub struct Adopt {
    /// The guest's life, counted from here.
    #[prost(uint64, tag = "1")]
    pub life_ms: u64,
    /// Which drive gets the medium.
    #[prost(uint32, tag = "2")]
    pub drive: u32,
}

/// VMM to supervisor, life socket: all that [`Adopt`] asked for holds.
#[derive(Clone, PartialEq, Message)]
pub struct Adopted {}

/// Supervisor to VMM, life socket: stop the vCPUs and the guest's clocks. From then on the guest
/// ends with its supervisor. Answered by [`Paused`].
#[derive(Clone, PartialEq, Message)]
pub struct Pause {
    /// The guest's life, counted from here: what it may stand still and run in all.
    #[prost(uint64, tag = "1")]
    pub life_ms: u64,
}

/// VMM to supervisor, life socket: no vCPU runs, or one had ended.
#[derive(Clone, PartialEq, Message)]
pub struct Paused {
    /// Empty when all went well, else one line for people.
    #[prost(string, tag = "1")]
    pub error: String,
    /// `CLOCK_MONOTONIC` nanoseconds when the last one had stopped.
    #[prost(uint64, tag = "2")]
    pub stopped_ns: u64,
}

/// Supervisor to VMM, life socket, of a guest that stands still: keep its memory in the packet's
/// one descriptor, an empty file, and give the host's back. Answered by [`Parked`].
#[derive(Clone, PartialEq, Message)]
pub struct Park {}

/// VMM to supervisor, life socket: the guest's memory is in the file, or is not.
#[derive(Clone, PartialEq, Message)]
pub struct Parked {
    /// Empty when all went well, else one line for people.
    #[prost(string, tag = "1")]
    pub error: String,
}

/// Supervisor to VMM, life socket: the guest goes on from where it stood still. Not answered.
#[derive(Clone, PartialEq, Message)]
pub struct Resume {
    /// The guest's life, counted from here.
    #[prost(uint64, tag = "1")]
    pub life_ms: u64,
}

/// Supervisor to VMM, life socket: the guest has another life. Not answered.
#[derive(Clone, PartialEq, Message)]
pub struct Retime {
    /// Counted from here.
    #[prost(uint64, tag = "1")]
    pub life_ms: u64,
}

/// VMM to supervisor, life socket: the snapshot is written, or is not; the guest goes on.
#[derive(Clone, PartialEq, Message)]
pub struct Snapshotted {
    /// Empty when all went well, else one line for people.
    #[prost(string, tag = "1")]
    pub error: String,
}

/// VMM to supervisor, connector socket: the guest connects to `port`.
#[derive(Clone, PartialEq, Message)]
pub struct Connect {
    /// The VMM's number for the request.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The vsock port the guest asked for.
    #[prost(uint32, tag = "2")]
    pub port: u32,
}

/// Supervisor to VMM, connector socket: the connection, in the packet's one descriptor.
#[derive(Clone, PartialEq, Message)]
pub struct Connected {
    /// The request's number.
    #[prost(uint64, tag = "1")]
    pub id: u64,
}

/// Supervisor to VMM, connector socket: nobody is there, or it is not allowed.
#[derive(Clone, PartialEq, Message)]
pub struct Refused {
    /// The request's number.
    #[prost(uint64, tag = "1")]
    pub id: u64,
}

/// A message of either socket, either way.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Body {
    /// See [`Running`].
    #[prost(message, tag = "1")]
    Running(Running),
    /// See [`Ended`].
    #[prost(message, tag = "2")]
    Ended(Ended),
    /// See [`Stop`].
    #[prost(message, tag = "3")]
    Stop(Stop),
    /// See [`Connect`].
    #[prost(message, tag = "4")]
    Connect(Connect),
    /// See [`Connected`].
    #[prost(message, tag = "5")]
    Connected(Connected),
    /// See [`Refused`].
    #[prost(message, tag = "6")]
    Refused(Refused),
    /// See [`Snapshot`].
    #[prost(message, tag = "7")]
    Snapshot(Snapshot),
    /// See [`Snapshotted`].
    #[prost(message, tag = "8")]
    Snapshotted(Snapshotted),
    /// See [`Rehearsed`].
    #[prost(message, tag = "9")]
    Rehearsed(Rehearsed),
    /// See [`Prepare`].
    #[prost(message, tag = "10")]
    Prepare(Prepare),
    /// See [`Adopt`].
    #[prost(message, tag = "11")]
    Adopt(Adopt),
    /// See [`Adopted`].
    #[prost(message, tag = "12")]
    Adopted(Adopted),
    /// See [`Pause`].
    #[prost(message, tag = "13")]
    Pause(Pause),
    /// See [`Paused`].
    #[prost(message, tag = "14")]
    Paused(Paused),
    /// See [`Park`].
    #[prost(message, tag = "15")]
    Park(Park),
    /// See [`Parked`].
    #[prost(message, tag = "16")]
    Parked(Parked),
    /// See [`Resume`].
    #[prost(message, tag = "17")]
    Resume(Resume),
    /// See [`Retime`].
    #[prost(message, tag = "18")]
    Retime(Retime),
}

#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(
        oneof = "Body",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18"
    )]
    body: Option<Body>,
}

/// Why a packet could not be sent or understood.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The other side has closed.
    #[error("the control socket was closed by the other side")]
    Closed,
    /// Longer than [`MAX_MESSAGE`].
    #[error("a control message is longer than {MAX_MESSAGE} bytes")]
    TooLong,
    /// Not a message this version knows.
    #[error("a control message does not parse")]
    Malformed,
    /// The socket failed; `WouldBlock` on a non-blocking one with nothing to read.
    #[error("the control socket failed")]
    Io(#[from] io::Error),
}

/// Sends one message, with a descriptor where the message carries one.
///
/// # Errors
/// [`ControlError::TooLong`] before anything is sent, or the socket's failure.
pub fn send(
    socket: impl AsFd,
    body: Body,
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), ControlError> {
    let bytes = Envelope { body: Some(body) }.encode_to_vec();
    if bytes.len() > MAX_MESSAGE {
        return Err(ControlError::TooLong);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(ControlError::TooLong);
    }
    let parts = [IoSlice::new(&bytes)];
    rustix::io::retry_on_intr(|| sendmsg(&socket, &parts, &mut ancillary, SendFlags::NOSIGNAL))
        .map_err(io::Error::from)?;
    Ok(())
}

/// Receives one message and the descriptor it carries, if any. Extra descriptors are closed.
///
/// # Errors
/// [`ControlError::Closed`] at the end, otherwise as the variants say.
pub fn receive(socket: impl AsFd) -> Result<(Body, Option<OwnedFd>), ControlError> {
    // A look at the length first: most messages are a few bytes, and clearing room for the longest
    // would cost more than all the rest.
    let (peek, truncate) = (RecvFlags::PEEK, RecvFlags::TRUNC);
    let waits = rustix::io::retry_on_intr(|| recv(&socket, &mut [0u8; 0][..], peek | truncate));
    let (_, waits) = waits.map_err(io::Error::from)?;
    let mut bytes = vec![0; waits.min(MAX_MESSAGE)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        recvmsg(&socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })
    .map_err(io::Error::from)?;
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(ControlError::TooLong);
    }
    if received.bytes == 0 {
        return Err(ControlError::Closed);
    }
    let envelope = bytes
        .get(..received.bytes)
        .and_then(|bytes| Envelope::decode(bytes).ok());
    let body = envelope
        .and_then(|envelope| envelope.body)
        .ok_or(ControlError::Malformed)?;
    Ok((body, descriptor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap()
    }

    #[test]
    fn a_descriptor_arrives_with_its_message_and_works() {
        let (vmm, supervisor) = pair();
        let (mut kept, passed) = UnixStream::pair().unwrap();
        let sent = Body::Connected(Connected { id: 7 });
        send(&supervisor, sent.clone(), Some(passed.as_fd())).unwrap();
        let (received, descriptor) = receive(&vmm).unwrap();
        assert_eq!(received, sent);
        kept.write_all(b"x").unwrap();
        let mut byte = [0];
        UnixStream::from(descriptor.unwrap())
            .read_exact(&mut byte)
            .unwrap();
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn a_closed_socket_is_closed_and_rubbish_is_malformed() {
        let (vmm, supervisor) = pair();
        rustix::net::send(&supervisor, b"\xff\xff\xff", SendFlags::empty()).unwrap();
        assert!(matches!(receive(&vmm), Err(ControlError::Malformed)));
        drop(supervisor);
        assert!(matches!(receive(&vmm), Err(ControlError::Closed)));
    }

    #[test]
    fn too_long_a_message_is_not_sent() {
        let (vmm, _supervisor) = pair();
        let ended = Ended {
            console: vec![0; MAX_MESSAGE],
            ..Ended::default()
        };
        assert!(matches!(
            send(&vmm, Body::Ended(ended), None),
            Err(ControlError::TooLong)
        ));
    }
}
