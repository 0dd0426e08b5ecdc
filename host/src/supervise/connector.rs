// SPDX-License-Identifier: Apache-2.0
//! Answers the VMM when its guest connects to a port: the guest's own services get one end of a
//! socket pair, other ports the Unix socket `vsock.sock_<port>` if somebody listens there.
//!
//! How many a guest may ask for in a second is bounded; more are refused, at no cost but its own.
//! The services have a bound of their own, so that a program that dials other ports in a loop
//! keeps nobody from `ampoule exec` and `cp`. (One that dials the services does, in its guest.)
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::ports;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, socketpair};
use vmm::control::{self, Body, Connected, ControlError, Refused};

use crate::sockets;

/// Connections a guest may ask for at once, and again each second: to services, and to the rest.
const BURST: u32 = 256;

/// Room for bulk data between VMM and supervisor: a few full frames, so that both work at once.
const BUFFER: usize = 512 * 1024;

/// A connection that the guest has made to one of its services here.
#[derive(Debug)]
pub struct Incoming {
    /// Which service.
    pub port: u32,
    /// Our end.
    pub socket: OwnedFd,
}

/// Answers one VMM.
#[derive(Debug)]
pub struct Connector {
    folder: PathBuf,
    open: bool,
    left: [u32; 2],
    since: Instant,
}

impl Connector {
    /// For the VMM whose sockets lie in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            open: true,
            left: [BURST; 2],
            since: Instant::now(),
        }
    }

    /// Whether the VMM may still ask: a socket that it has closed is readable for ever.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Another VMM of the same task asks from here on.
    pub fn begin_again(&mut self) {
        self.open = true;
    }

    /// Answers the requests that wait at `socket`; the connections that are for us.
    ///
    /// # Errors
    /// A message that the VMM should not have sent.
    pub fn answer(&mut self, socket: BorrowedFd<'_>) -> Result<Vec<Incoming>, ControlError> {
        let mut incoming = Vec::new();
        loop {
            match control::receive(socket) {
                Ok((Body::Connect(asked), _)) => {
                    incoming.extend(self.connect(socket, asked.id, asked.port)?);
                }
                Ok(_) => return Err(ControlError::Malformed),
                Err(ControlError::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(incoming);
                }
                Err(ControlError::Closed) => {
                    self.open = false;
                    return Ok(incoming);
                }
                Err(ControlError::Io(e)) if e.kind() == io::ErrorKind::ConnectionReset => {
                    self.open = false;
                    return Ok(incoming);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn connect(
        &mut self,
        socket: BorrowedFd<'_>,
        id: u64,
        port: u32,
    ) -> Result<Option<Incoming>, ControlError> {
        let (theirs, ours) = match self.is_allowed(port).then(|| self.open(port)) {
            Some(Ok(ends)) => ends,
            _ => return answer(socket, Body::Refused(Refused { id }), None).map(|()| None),
        };
        answer(
            socket,
            Body::Connected(Connected { id }),
            Some(theirs.as_fd()),
        )?;
        Ok(ours.map(|socket| Incoming { port, socket }))
    }

    fn is_allowed(&mut self, port: u32) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            (self.since, self.left) = (Instant::now(), [BURST; 2]);
        }
        let [services, others] = &mut self.left;
        let left = if is_service(port) { services } else { others };
        let allowed = *left > 0;
        *left = left.saturating_sub(1);
        allowed
    }

    /// The VMM's end, and ours where the service is.
    fn open(&self, port: u32) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
        if is_service(port) {
            let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
            let (theirs, ours) = socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
            if matches!(port, ports::STDIO | ports::FILES) {
                set_socket_send_buffer_size(&theirs, BUFFER)?;
                set_socket_send_buffer_size(&ours, BUFFER)?;
            }
            return Ok((theirs, Some(ours)));
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let theirs = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let path = self.folder.join(format!("{}_{port}", sockets::VSOCK));
        sockets::connect(&theirs, &path)?;
        Ok((theirs, None))
    }
}

fn is_service(port: u32) -> bool {
    matches!(
        port,
        ports::CONTROL | ports::AGENT | ports::STDIO | ports::FILES | ports::ACTIONS
    )
}

/// A VMM that does not read its answers loses them; it asked for them.
fn answer(
    socket: BorrowedFd<'_>,
    body: Body,
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), ControlError> {
    match control::send(socket, body, descriptor) {
        Err(ControlError::Io(_)) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "test data has no hostile sizes")]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use vmm::control::Connect;

    fn seqpacket() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
    }

    fn ask(vmm: &OwnedFd, id: u64, port: u32) {
        control::send(vmm, Body::Connect(Connect { id, port }), None).unwrap();
    }

    #[test]
    fn a_service_gets_a_pair_and_another_port_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let (vmm, ours) = seqpacket();
        let mut connector = Connector::new(dir.path());
        let listener = UnixListener::bind(dir.path().join("vsock.sock_5000")).unwrap();
        ask(&vmm, 1, ports::AGENT);
        ask(&vmm, 2, 5000);
        ask(&vmm, 3, 5001);
        let incoming = connector.answer(ours.as_fd()).unwrap();
        assert_eq!(incoming.len(), 1);
        assert_eq!(incoming[0].port, ports::AGENT);
        let (first, fd) = control::receive(&vmm).unwrap();
        assert_eq!(first, Body::Connected(Connected { id: 1 }));
        UnixStream::from(fd.unwrap()).write_all(b"x").unwrap();
        let mut byte = [0];
        rustix::io::read(&incoming[0].socket, &mut byte).unwrap();
        assert_eq!(&byte, b"x");
        let (second, fd) = control::receive(&vmm).unwrap();
        assert_eq!(second, Body::Connected(Connected { id: 2 }));
        UnixStream::from(fd.unwrap()).write_all(b"y").unwrap();
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"y");
        assert_eq!(
            control::receive(&vmm).unwrap().0,
            Body::Refused(Refused { id: 3 })
        );
    }

    #[test]
    fn a_vmm_that_has_closed_its_socket_is_asked_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let (vmm, ours) = seqpacket();
        let mut connector = Connector::new(dir.path());
        ask(&vmm, 1, ports::AGENT);
        drop(vmm);
        connector.answer(ours.as_fd()).unwrap();
        connector.answer(ours.as_fd()).unwrap();
        assert!(!connector.is_open());
    }

    #[test]
    fn a_guest_that_asks_too_often_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (vmm, ours) = seqpacket();
        let mut connector = Connector::new(dir.path());
        let mut refused = 0;
        for id in 0..u64::from(BURST) + 20 {
            ask(&vmm, id, ports::STDIO);
            connector.answer(ours.as_fd()).unwrap();
            refused += u32::from(matches!(
                control::receive(&vmm).unwrap().0,
                Body::Refused(_)
            ));
        }
        assert!((1..=20).contains(&refused), "{refused}");
    }

    #[test]
    fn a_guest_that_dials_other_ports_too_often_still_reaches_its_services() {
        let dir = tempfile::tempdir().unwrap();
        let (vmm, ours) = seqpacket();
        let mut connector = Connector::new(dir.path());
        for id in 0..u64::from(BURST) + 20 {
            ask(&vmm, id, 5000);
            connector.answer(ours.as_fd()).unwrap();
            control::receive(&vmm).unwrap();
        }
        ask(&vmm, 1000, ports::STDIO);
        assert_eq!(connector.answer(ours.as_fd()).unwrap().len(), 1);
    }
}
