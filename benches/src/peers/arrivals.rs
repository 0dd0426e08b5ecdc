// SPDX-License-Identifier: Apache-2.0
//! Where a guest's connections arrive, whatever its monitor: each is a stream, the port it was
//! opened to and the moment it was there.
//!
//! ```text
//! ampoule-vmm   asks on its connector socket ─┐
//! vhost-vsock   AF_VSOCK listeners           ─┼─► (port, stream, when) ─► guest.rs
//! Firecracker   Unix sockets `<path>_<port>` ─┘
//! ```

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use protocol::ports;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{SocketFlags, accept_with};
use vmm::control::{self, Body, Connected};

use super::vsock;

/// The ports a guest opens connections to: init, agent, a command's streams.
const PORTS: [u32; 3] = [ports::CONTROL, ports::AGENT, ports::STDIO];

/// One connection.
pub(super) struct Arrival {
    pub(super) port: u32,
    pub(super) stream: File,
    pub(super) when: Instant,
}

/// The connections of one guest. The threads behind it end when it is dropped.
pub(super) struct Arrivals {
    arrivals: Receiver<Arrival>,
    _stop: UnixStream,
}

impl Arrivals {
    /// Of a guest of `ampoule-vmm`, whose connector socket this is.
    pub(super) fn of_connector(connector: OwnedFd) -> Result<Self> {
        let (sender, arrivals) = channel();
        let (stop, _) = UnixStream::pair()?;
        // Ends with the VMM: the socket closes.
        thread::spawn(move || serve(&connector, &sender));
        Ok(Self {
            arrivals,
            _stop: stop,
        })
    }

    /// Of guests of vhost-vsock.
    pub(super) fn of_vhost() -> Result<Self> {
        let listeners = PORTS.map(|port| Ok((port, vsock::listener(port)?)));
        let listeners: std::io::Result<Vec<_>> = listeners.into_iter().collect();
        Self::of_listeners(listeners.context("cannot listen for guests on AF_VSOCK")?)
    }

    /// Of a guest whose monitor has Firecracker's hybrid sockets below `path`.
    pub(super) fn of_hybrid(path: &Path) -> Result<Self> {
        let listener = |port: u32| -> Result<(u32, OwnedFd)> {
            let path = format!("{}_{port}", path.display());
            Ok((port, UnixListener::bind(path)?.into()))
        };
        let listeners: Result<Vec<_>> = PORTS.into_iter().map(listener).collect();
        Self::of_listeners(listeners?)
    }

    fn of_listeners(listeners: Vec<(u32, OwnedFd)>) -> Result<Self> {
        let (sender, arrivals) = channel();
        let (stop, stopped) = UnixStream::pair()?;
        thread::spawn(move || accept(&listeners, &stopped, &sender));
        Ok(Self {
            arrivals,
            _stop: stop,
        })
    }

    /// The next connection to `port`, within `patience`, which holds for each read of it too: a
    /// guest that hangs must not hang us. Others that come first are none that it should have.
    pub(super) fn next(&self, port: u32, patience: Duration) -> Result<Arrival> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let arrival = self
                .arrivals
                .recv_timeout(left.max(Duration::from_millis(1)));
            let arrival =
                arrival.with_context(|| format!("the guest did not connect to {port}"))?;
            if arrival.port == port {
                set_socket_timeout(&arrival.stream, Timeout::Recv, Some(patience))?;
                return Ok(arrival);
            }
        }
    }
}

/// Answers the VMM's requests for connections, until it is gone.
fn serve(connector: &OwnedFd, sender: &Sender<Arrival>) {
    while let Ok((body, _)) = control::receive(connector) {
        let when = Instant::now();
        let (Body::Connect(connect), Ok((ours, theirs))) = (body, UnixStream::pair()) else {
            return;
        };
        let connected = Body::Connected(Connected { id: connect.id });
        if control::send(connector, connected, Some(theirs.as_fd())).is_err() {
            return;
        }
        let (port, stream) = (connect.port, File::from(OwnedFd::from(ours)));
        if sender.send(Arrival { port, stream, when }).is_err() {
            return;
        }
    }
}

fn accept(listeners: &[(u32, OwnedFd)], stopped: &UnixStream, sender: &Sender<Arrival>) {
    loop {
        let fds = listeners.iter().map(|(_, fd)| fd.as_fd());
        let mut fds: Vec<_> = fds
            .chain([stopped.as_fd()])
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        if poll(&mut fds, None).is_err() {
            return;
        }
        let when = Instant::now();
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready.last() == Some(&true) {
            return;
        }
        for ((port, listener), _) in listeners.iter().zip(ready).filter(|(_, ready)| *ready) {
            let Ok(stream) = accept_with(listener, SocketFlags::CLOEXEC) else {
                return;
            };
            let (port, stream) = (*port, File::from(stream));
            if sender.send(Arrival { port, stream, when }).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_arrive_by_port_and_one_to_another_port_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v");
        let arrivals = Arrivals::of_hybrid(&path).unwrap();
        let connect =
            |port: u32| UnixStream::connect(format!("{}_{port}", path.display())).unwrap();
        let _others = (connect(ports::STDIO), connect(ports::AGENT));
        let patience = Duration::from_secs(20);
        assert_eq!(
            arrivals.next(ports::AGENT, patience).unwrap().port,
            ports::AGENT
        );
        assert!(arrivals.next(ports::CONTROL, Duration::ZERO).is_err());
    }
}
