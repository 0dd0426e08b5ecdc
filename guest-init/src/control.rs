// SPDX-License-Identifier: Apache-2.0
//! The control connection to the supervisor.
//!
//! It is opened blocking, for the greeting and the assignment, with a bound on each wait; then it
//! is switched to non-blocking and served by the loop. What cannot be sent at once waits in a
//! bounded outbox, and a heartbeat that finds the outbox in use is left out (its number shows the
//! gap), so a host that stops reading never stops PID 1.
//!
//! The last word: [`Control::goodbye`] writes the frame, shuts down the sending side and waits
//! until the host closes its end, at most [`GOODBYE_WAIT`]. The wait is needed because the
//! kernel hands packets to the device from a work queue (`virtio_transport_send_pkt_work`), and a
//! reset right after the write would lose them. A host that closes on *goodbye* makes it short.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use protocol::messages::{Assignment, EndReason, Goodbye, Hello, Retime, Shutdown};
use protocol::{Decoder, Frame, FrameError, Kind, Message, read_frame, write_message};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::clock;

/// How long the host has to answer the greeting. It has the answer ready; a minute is for a
/// server under load, and the VMM's own timer bounds it anyway.
const ASSIGNMENT_WAIT: Duration = Duration::from_secs(60);
/// How long PID 1 waits for the host to take its last word.
const GOODBYE_WAIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// Most bytes that wait to be sent: some heartbeats and a report.
const OUTBOX_CAP: usize = 4096;

/// Why the connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The host does not take our connection.
    #[error("could not connect to the host")]
    Connect(#[source] io::Error),
    /// A socket option was refused.
    #[error("could not set up the control connection")]
    Setup(#[source] io::Error),
    /// The host sent what is no frame, or ended.
    #[error("the control connection broke")]
    Frame(#[from] FrameError),
    /// The assignment names no deadline; a guest without one must not run.
    #[error("the assignment has no TTL")]
    NoTtl,
}

/// What the host says on it after the assignment.
#[derive(Debug, PartialEq)]
pub(crate) enum Order {
    /// This guest was restored from a snapshot and is now somebody's: another assignment.
    Assignment(Box<Assignment>),
    /// Another deadline.
    Retime(Retime),
    /// End in good order.
    Shutdown {
        /// Between SIGTERM and SIGKILL.
        grace_ms: u64,
    },
}

fn assignment(frame: &Frame) -> Result<Assignment, ControlError> {
    let assignment: Assignment = frame.decode(Kind::Assignment)?;
    match assignment.ttl_ms {
        0 => Err(ControlError::NoTtl),
        _ => Ok(assignment),
    }
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Control {
    socket: File,
    decoder: Decoder,
    outbox: Vec<u8>,
}

impl Control {
    /// Wraps the connected socket and greets the host.
    pub(crate) fn greet(socket: OwnedFd) -> Result<Self, ControlError> {
        set_socket_timeout(&socket, Timeout::Recv, Some(ASSIGNMENT_WAIT))
            .map_err(|e| ControlError::Setup(e.into()))?;
        let mut socket = File::from(socket);
        let hello = Hello {
            version: protocol::VERSION,
            boot_ns: clock::now(),
        };
        write_message(&mut socket, Kind::Hello, &hello)?;
        Ok(Self {
            socket,
            decoder: Decoder::default(),
            outbox: Vec::new(),
        })
    }

    /// Waits for the assignment, then makes the connection non-blocking.
    pub(crate) fn assignment(&mut self) -> Result<Assignment, ControlError> {
        let frame = read_frame(&mut self.socket)?;
        let assignment = assignment(&frame)?;
        rustix::io::ioctl_fionbio(&self.socket, true).map_err(|e| ControlError::Setup(e.into()))?;
        Ok(assignment)
    }

    /// What the loop should wait for.
    pub(crate) fn interest(&self) -> PollFlags {
        if self.outbox.is_empty() {
            PollFlags::IN
        } else {
            PollFlags::IN | PollFlags::OUT
        }
    }

    /// Reads once and gives the orders that are whole.
    pub(crate) fn receive(&mut self) -> Result<Vec<Order>, ControlError> {
        let mut piece = [0; 1024];
        match self.socket.read(&mut piece) {
            Ok(0) => return Err(FrameError::Closed.into()),
            Ok(n) => self.decoder.push(piece.get(..n).unwrap_or_default()),
            Err(e) if not_now(&e) => {}
            Err(e) => return Err(FrameError::Io(e).into()),
        }
        let mut orders = Vec::new();
        while let Some(frame) = self.decoder.frame()? {
            orders.push(match frame.kind {
                Kind::Assignment => Order::Assignment(Box::new(assignment(&frame)?)),
                Kind::Retime => Order::Retime(frame.decode(Kind::Retime)?),
                _ => {
                    let Shutdown { grace_ms } = frame.decode(Kind::Shutdown)?;
                    Order::Shutdown { grace_ms }
                }
            });
        }
        Ok(orders)
    }

    /// Sends a message, now or when the host takes it; drops it when too much waits already.
    pub(crate) fn send(&mut self, kind: Kind, message: &impl Message) -> Result<(), ControlError> {
        if self.outbox.len() < OUTBOX_CAP {
            write_message(&mut self.outbox, kind, message)?;
        }
        self.flush()
    }

    /// Sends what waits, as far as it goes.
    pub(crate) fn flush(&mut self) -> Result<(), ControlError> {
        while !self.outbox.is_empty() {
            match self.socket.write(&self.outbox) {
                Ok(n) => drop(self.outbox.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if not_now(&e) => break,
                Err(e) => return Err(FrameError::Io(e).into()),
            }
        }
        Ok(())
    }

    /// The last word. Failures have nobody left to hear them.
    pub(crate) fn goodbye(mut self, reason: EndReason, detail: &str) {
        let goodbye = Goodbye {
            reason: reason.into(),
            detail: detail.to_owned(),
        };
        if self.send(Kind::Goodbye, &goodbye).is_err() {
            return;
        }
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
        let end = clock::now().saturating_add(GOODBYE_WAIT.tv_nsec.unsigned_abs());
        let mut rest = [0; 1024];
        while clock::now() < end {
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut fds, Some(&GOODBYE_WAIT)) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            match self.socket.read(&mut rest) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn not_now(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    fn pair() -> (UnixStream, Control) {
        let (host, guest) = UnixStream::pair().unwrap();
        let control = Control::greet(guest.into()).unwrap();
        (host, control)
    }

    fn assign(host: &mut UnixStream, ttl_ms: u64) {
        let assignment = Assignment {
            ttl_ms,
            ..Assignment::default()
        };
        write_message(host, Kind::Assignment, &assignment).unwrap();
    }

    #[test]
    fn the_greeting_comes_first_and_the_assignment_answers_it() {
        let (mut host, mut control) = pair();
        assert_eq!(read_frame(&mut host).unwrap().kind, Kind::Hello);
        assign(&mut host, 7);
        assert_eq!(control.assignment().unwrap().ttl_ms, 7);
    }

    #[test]
    fn an_assignment_without_a_ttl_is_refused() {
        let (mut host, mut control) = pair();
        assign(&mut host, 0);
        assert!(matches!(control.assignment(), Err(ControlError::NoTtl)));
    }

    #[test]
    fn shutdown_is_an_order_and_anything_else_breaks_the_connection() {
        let (mut host, mut control) = pair();
        assign(&mut host, 7);
        control.assignment().unwrap();
        assert_eq!(control.receive().unwrap(), []);
        write_message(&mut host, Kind::Shutdown, &Shutdown { grace_ms: 9 }).unwrap();
        assert_eq!(
            control.receive().unwrap(),
            [Order::Shutdown { grace_ms: 9 }]
        );
        write_message(&mut host, Kind::Shutdown, &Shutdown { grace_ms: 9 }).unwrap();
        host.write_all(&[0; 6]).unwrap();
        assert!(control.receive().is_err());
    }

    #[test]
    fn a_host_that_does_not_read_never_blocks_us() {
        let (mut host, mut control) = pair();
        assign(&mut host, 7);
        control.assignment().unwrap();
        for _ in 0..100_000 {
            control.send(Kind::Hello, &Hello::default()).unwrap();
            control
                .send(
                    Kind::Goodbye,
                    &Goodbye {
                        reason: 1,
                        detail: "x".repeat(500),
                    },
                )
                .unwrap();
        }
        assert!(control.outbox.len() < OUTBOX_CAP * 2);
        assert_eq!(control.interest(), PollFlags::IN | PollFlags::OUT);
    }

    #[test]
    fn goodbye_waits_for_the_host_to_close_but_not_for_ever() {
        let (mut host, control) = pair();
        let begun = Instant::now();
        control.goodbye(EndReason::Ttl, "over");
        assert!(begun.elapsed() >= Duration::from_millis(90));
        read_frame(&mut host).unwrap();
        let goodbye: Goodbye = read_frame(&mut host)
            .unwrap()
            .decode(Kind::Goodbye)
            .unwrap();
        assert_eq!(goodbye.reason(), EndReason::Ttl);
        assert_eq!(goodbye.detail, "over");
    }

    #[test]
    fn a_host_that_closes_is_not_waited_for() {
        let (host, control) = pair();
        drop(host);
        let begun = Instant::now();
        control.goodbye(EndReason::Shutdown, "");
        assert!(begun.elapsed() < Duration::from_millis(90));
    }
}
