// SPDX-License-Identifier: Apache-2.0
//! The host's half of the agent's tests: an agent in a thread, over socket pairs.
#![expect(dead_code, reason = "each test program uses its part")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers fail as the test does"
)]

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use guest_agent::{Connect, Guest};
use protocol::messages::{
    Attach, Exec, ExecFailed, Exited, Hello, Ready, Signal, Started, WindowSize,
};
use protocol::{Frame, FrameError, Kind, Message, ports, read_frame, write_frame, write_message};

/// Longer than anything here takes, so that a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(30);

struct Pairs {
    all: Sender<(u32, UnixStream)>,
    actions: Sender<UnixStream>,
}

impl Connect for Pairs {
    fn connect(&self, port: u32) -> io::Result<OwnedFd> {
        let (host, guest) = UnixStream::pair()?;
        host.set_read_timeout(Some(PATIENCE))?;
        match port {
            ports::ACTIONS => self.actions.send(host).map_err(io::Error::other)?,
            _ => self.all.send((port, host)).map_err(io::Error::other)?,
        }
        Ok(guest.into())
    }
}

/// The supervisor's side of one agent.
pub(crate) struct Host {
    pub(crate) agent: UnixStream,
    connections: Receiver<(u32, UnixStream)>,
    actions: Option<Receiver<UnixStream>>,
    next: u32,
}

/// What became of a command.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) exited: Exited,
}

impl Outcome {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

impl Host {
    /// Starts an agent and takes its greeting.
    pub(crate) fn start() -> Self {
        Self::with_workspace(PathBuf::from("/"))
    }

    pub(crate) fn with_workspace(workspace: PathBuf) -> Self {
        let (all, connections) = channel();
        let (of_gate, actions) = channel();
        let pairs = Pairs {
            all,
            actions: of_gate,
        };
        thread::spawn(move || {
            let guest = Guest {
                workspace,
                commands: None,
                // Root is what the agent is in a guest; without it the tests still run.
                switches_users: am_root(),
                door: None,
                confirms: false,
            };
            guest_agent::serve(&guest, Arc::new(pairs))
        });
        let (port, mut agent) = connections.recv_timeout(PATIENCE).unwrap();
        assert_eq!(port, ports::AGENT);
        let hello: Hello = expect(&mut agent, Kind::Hello);
        assert_eq!(hello.version, protocol::VERSION);
        expect::<Ready>(&mut agent, Kind::Ready);
        Self {
            agent,
            connections,
            actions: Some(actions),
            next: 1,
        }
    }

    pub(crate) fn send(&mut self, kind: Kind, message: &impl Message) {
        write_message(&mut self.agent, kind, message).unwrap();
    }

    /// Takes the connection that the agent opened for a request.
    pub(crate) fn attached(&mut self, port: u32, id: u32) -> UnixStream {
        let (got, mut connection) = self.connections.recv_timeout(PATIENCE).unwrap();
        assert_eq!(got, port);
        let attach: Attach = expect(&mut connection, Kind::Attach);
        assert_eq!(attach.id, id);
        connection
    }

    /// As [`Host::attached`], for requests that are served in any order.
    pub(crate) fn attached_any(&mut self, port: u32) -> UnixStream {
        let (got, mut connection) = self.connections.recv_timeout(PATIENCE).unwrap();
        assert_eq!(got, port);
        expect::<Attach>(&mut connection, Kind::Attach);
        connection
    }

    /// The connections that the gate opens, once.
    pub(crate) fn actions(&mut self) -> Receiver<UnixStream> {
        self.actions.take().unwrap()
    }

    pub(crate) fn id(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Asks for a command and takes its connection; it has not started for certain.
    pub(crate) fn begin(&mut self, exec: Exec) -> (u32, UnixStream) {
        let id = self.id();
        self.send(Kind::Exec, &Exec { id, ..exec });
        let stdio = self.attached(ports::STDIO, id);
        (id, stdio)
    }

    /// As [`Host::begin`], and sees it start.
    pub(crate) fn started(&mut self, exec: Exec) -> (u32, UnixStream) {
        let (id, stdio) = self.begin(exec);
        let started: Started = expect(&mut self.agent, Kind::Started);
        assert_eq!(started.id, id);
        (id, stdio)
    }

    pub(crate) fn signal(&mut self, id: u32, signal: u32) {
        self.send(Kind::Signal, &Signal { id, signal });
    }

    pub(crate) fn exited(&mut self) -> Exited {
        expect(&mut self.agent, Kind::Exited)
    }

    /// Runs a command to its end.
    pub(crate) fn run(&mut self, exec: Exec) -> Outcome {
        let (_, mut stdio) = self.started(exec);
        let (stdout, stderr) = output(&mut stdio);
        Outcome {
            stdout,
            stderr,
            exited: self.exited(),
        }
    }

    /// Asks for a command that cannot start.
    pub(crate) fn refused(&mut self, exec: Exec) -> ExecFailed {
        let id = self.id();
        self.send(Kind::Exec, &Exec { id, ..exec });
        let failed: ExecFailed = expect(&mut self.agent, Kind::ExecFailed);
        assert_eq!(failed.id, id);
        failed
    }
}

/// A shell command as the test's own user.
pub(crate) fn sh(script: &str) -> Exec {
    command(&["/bin/sh", "-c", script])
}

pub(crate) fn command(argv: &[&str]) -> Exec {
    Exec {
        argv: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
        user: "0".into(),
        ..Exec::default()
    }
}

pub(crate) fn on_terminal(exec: Exec) -> Exec {
    Exec {
        terminal: Some(WindowSize { rows: 33, cols: 99 }),
        stdin: true,
        ..exec
    }
}

pub(crate) fn with_stdin(exec: Exec) -> Exec {
    Exec {
        stdin: true,
        ..exec
    }
}

pub(crate) fn stdin(stdio: &mut UnixStream, bytes: &[u8]) {
    write_frame(stdio, Kind::Stdin, bytes).unwrap();
}

pub(crate) fn stdin_end(stdio: &mut UnixStream) {
    write_frame(stdio, Kind::StdinEnd, &[]).unwrap();
}

/// Everything until the end of output.
pub(crate) fn output(stdio: &mut UnixStream) -> (Vec<u8>, Vec<u8>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    loop {
        let Frame { kind, body } = read_frame(stdio).unwrap();
        match kind {
            Kind::Stdout => stdout.extend(body),
            Kind::Stderr => stderr.extend(body),
            Kind::OutputEnd => return (stdout, stderr),
            kind => panic!("{kind:?} among output"),
        }
    }
}

/// Output until it holds `wanted`.
pub(crate) fn until(stdio: &mut UnixStream, wanted: &str) -> String {
    let mut seen = Vec::new();
    loop {
        seen.extend(read_frame(stdio).unwrap().body);
        let text = String::from_utf8_lossy(&seen);
        if text.contains(wanted) {
            return text.into_owned();
        }
    }
}

pub(crate) fn expect<M: Message + Default>(from: &mut UnixStream, kind: Kind) -> M {
    read_frame(from)
        .and_then(|frame| frame.decode(kind))
        .unwrap()
}

/// Whether the other end has closed.
pub(crate) fn closed(from: &mut UnixStream) -> bool {
    matches!(
        read_frame(from),
        Err(FrameError::Closed | FrameError::Io(_))
    )
}

pub(crate) fn am_root() -> bool {
    rustix::process::geteuid().is_root()
}
