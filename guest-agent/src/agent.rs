// SPDX-License-Identifier: Apache-2.0
//! The loop: one thread, one `poll` over the supervisor's connection and every command.
//!
//! No command can hold up another: nothing here blocks, and a round does at most one read of each
//! descriptor. Copies walk file systems, which blocks, so each has a thread of its own and shares
//! nothing with the loop.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;
use std::sync::Arc;

use protocol::messages::{
    Continue, Exec, Hello, Paused, ReadFiles, Ready, Resize, Signal, WriteFiles,
};
use protocol::{Frame, FrameError, Kind, ports};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::clock;
use crate::exec::command::{Around, Command, Part, failed};
use crate::exec::request::Refusal;
use crate::files::{Copies, Copy};
use crate::gate::Gate;
use crate::guest::{self, Guest};
use crate::link::{Connect, Link, Vsock};
use crate::pause;

/// Most commands at once: each has up to seven descriptors and 128 KiB of buffers.
const MAX_COMMANDS: usize = 128;
/// While this much waits for a host that does not read, nothing more is taken from it.
const MAX_BACKLOG: usize = 256 * 1024;
/// Lent to whatever reads: a whole frame of bulk data.
const BUFFER: usize = 64 * 1024;
/// How soon a copy that waits for another's end is looked at again.
const COPY_RETRY_NS: u64 = 100_000_000;

/// Why the agent ends. PID 1 then ends the guest.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The supervisor's connection could not be opened.
    #[error("could not connect to the host")]
    Connect(#[source] io::Error),
    /// It broke, or ended.
    #[error("the connection to the host broke")]
    Host(#[from] FrameError),
    /// The kernel refuses to wait.
    #[error("could not wait for events")]
    Poll(#[source] io::Error),
    /// More copies than a host that waits for their ends would ask for.
    #[error("the host asks for too many copies at once")]
    TooManyCopies,
}

impl AgentError {
    /// The status a process of the agent ends with: of its own for each, so that the goodbye's
    /// detail tells them apart.
    fn status(&self) -> u8 {
        match self {
            Self::Connect(_) => 3,
            Self::Host(_) => 4,
            Self::Poll(_) => 5,
            Self::TooManyCopies => 6,
        }
    }
}

/// What a ready descriptor belongs to.
#[derive(Clone, Copy, Debug)]
enum Source {
    Host,
    Command(u32, Part),
}

/// The agent.
struct Agent<'a> {
    guest: &'a Guest,
    connect: Arc<dyn Connect>,
    host: Link,
    commands: Vec<Command>,
    copies: Copies,
    /// From the first command that is gated.
    gate: Option<Gate>,
    buffer: Vec<u8>,
    oom_seen: u64,
    /// A copy of the guest is being taken: nothing of a command is looked at meanwhile.
    paused: bool,
}

/// The life of the agent's process in a guest that PID 1 has set up; the status it ends with.
#[must_use]
pub fn run() -> u8 {
    serve(&Guest::of_init(), Arc::new(Vsock)).map_or_else(|error| error.status(), |()| 0)
}

/// Connects to the supervisor, says *ready*, and serves until that connection ends.
///
/// # Errors
/// Always, in the end: [`AgentError::Host`] with [`FrameError::Closed`] is the orderly one.
pub fn serve(guest: &Guest, connect: Arc<dyn Connect>) -> Result<(), AgentError> {
    let socket = connect.connect(ports::AGENT).map_err(AgentError::Connect)?;
    let mut host = Link::new(socket).map_err(AgentError::Connect)?;
    greet(&mut host)?;
    // The rest of the set-up is for commands, and the first cannot come before this is done.
    guest::harden();
    let mut agent = Agent {
        guest,
        copies: Copies::new(guest.workspace.clone(), Arc::clone(&connect)),
        connect,
        host,
        commands: Vec::new(),
        gate: None,
        buffer: vec![0; BUFFER],
        oom_seen: 0,
        paused: false,
    };
    loop {
        agent.round()?;
    }
}

/// Sends the greeting and *ready* as one piece, and sees it go.
fn greet(host: &mut Link) -> Result<(), AgentError> {
    let boot_ns = clock::now();
    let hello = Hello {
        version: protocol::VERSION,
        boot_ns,
    };
    // Both wait in the outbox until the connection stands.
    host.queue(Kind::Hello, &hello)?;
    host.queue(Kind::Ready, &Ready { boot_ns })?;
    while !host.idle() {
        let mut fds = [PollFd::new(&*host, PollFlags::OUT)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(AgentError::Poll(e.into())),
        }
        host.flush()?;
    }
    Ok(())
}

impl Agent<'_> {
    /// Waits, then does what there is to do, once.
    fn round(&mut self) -> Result<(), AgentError> {
        let ready = self.wait()?;
        for (source, flags) in ready {
            match source {
                Source::Host => self.on_host(flags)?,
                Source::Command(id, part) => self.on_command(id, part, flags)?,
            }
        }
        let now = clock::now();
        for command in &mut self.commands {
            command.tick(now);
        }
        self.commands.retain(|command| !command.is_over());
        self.copies.start_waiting();
        Ok(())
    }

    fn wait(&self) -> Result<Vec<(Source, PollFlags)>, AgentError> {
        let mut sources = vec![Source::Host];
        let heed = self.host.backlog() < MAX_BACKLOG;
        let host = self.host.interest(heed);
        let mut fds = vec![PollFd::new(&self.host, host)];
        let watched = self.commands.iter().filter(|_| !self.paused);
        for command in watched {
            command.watch(&mut |part, fd, flags| {
                sources.push(Source::Command(command.id(), part));
                fds.push(PollFd::from_borrowed_fd(fd, flags));
            });
        }
        match poll(&mut fds, self.timeout().as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(e) => return Err(AgentError::Poll(e.into())),
        }
        let flags = fds.iter().map(PollFd::revents);
        let ready = sources.into_iter().zip(flags);
        Ok(ready.filter(|(_, flags)| !flags.is_empty()).collect())
    }

    /// How long the loop may sleep; `None` for as long as nothing happens.
    fn timeout(&self) -> Option<Timespec> {
        let now = clock::now();
        let copies = self
            .copies
            .any_waiting()
            .then(|| now.saturating_add(COPY_RETRY_NS));
        let moments = self.commands.iter().filter_map(Command::wakes_at);
        let left = moments.chain(copies).min()?.saturating_sub(now);
        const NS: u64 = 1_000_000_000;
        Some(Timespec {
            tv_sec: i64::try_from(left.wrapping_div(NS)).unwrap_or(0),
            // A nanosecond more, so that the moment has come when the loop looks.
            tv_nsec: i64::try_from(left.wrapping_rem(NS)).unwrap_or(0),
        })
    }

    fn on_host(&mut self, flags: PollFlags) -> Result<(), AgentError> {
        if flags.intersects(PollFlags::OUT) {
            self.host.flush()?;
        }
        if flags.intersects(!PollFlags::OUT) {
            self.host.receive(&mut self.buffer)?;
        }
        while let Some(frame) = self.host.frame()? {
            self.on_frame(&frame)?;
        }
        Ok(())
    }

    fn on_frame(&mut self, frame: &Frame) -> Result<(), AgentError> {
        match frame.kind {
            Kind::Exec => self.exec(&frame.decode(Kind::Exec)?)?,
            Kind::Signal => {
                let Signal { id, signal } = frame.decode(Kind::Signal)?;
                if let Some(command) = self.command(id) {
                    command.signal(signal);
                }
            }
            Kind::Resize => {
                let Resize { id, size } = frame.decode(Kind::Resize)?;
                if let (Some(command), Some(size)) = (self.command(id), size) {
                    command.resize(size);
                }
            }
            Kind::ReadFiles => {
                let ReadFiles { id, path } = frame.decode(Kind::ReadFiles)?;
                self.copy(Copy::Read { id, path })?;
            }
            Kind::WriteFiles => {
                let WriteFiles { id, path } = frame.decode(Kind::WriteFiles)?;
                self.copy(Copy::Write { id, path })?;
            }
            Kind::Pause => self.pause()?,
            Kind::Continue => {
                let Continue { copy } = frame.decode(Kind::Continue)?;
                self.go_on(copy);
            }
            kind => return Err(FrameError::Unexpected { kind }.into()),
        }
        Ok(())
    }

    fn pause(&mut self) -> Result<(), FrameError> {
        let frozen = pause::freeze(|| self.gate.iter().for_each(Gate::pause));
        self.paused = frozen.is_ok();
        // Whose guest goes on from here may be another's, with a host of its own: a gate that has
        // nobody to watch keeps nothing for it.
        if matches!(frozen, Ok(false)) {
            self.gate.take().into_iter().for_each(Gate::end);
        }
        let paused = match frozen {
            Ok(populated) => Paused {
                error: String::new(),
                populated,
            },
            Err(e) => Paused {
                error: format!("the commands do not stop: {e}"),
                populated: true,
            },
        };
        self.host.send(Kind::Paused, &paused)
    }

    /// In a copy the streams' connections are gone; the copy's own come before anything runs.
    fn go_on(&mut self, copy: bool) {
        self.paused = false;
        if copy {
            for command in &mut self.commands {
                command.reconnect(|| self.connect.connect(ports::STDIO));
            }
            self.gate.iter().for_each(Gate::copied);
        }
        self.gate.iter().for_each(Gate::go_on);
        // Fails only where there is no such group; then nothing was stopped.
        let _ = pause::thaw();
    }

    fn copy(&mut self, copy: Copy) -> Result<(), AgentError> {
        self.copies
            .add(copy)
            .map_err(|_full| AgentError::TooManyCopies)
    }

    fn exec(&mut self, exec: &Exec) -> Result<(), FrameError> {
        let started = if self.commands.len() >= MAX_COMMANDS {
            let detail = format!("{MAX_COMMANDS} commands run already");
            Err(Refusal::new(protocol::messages::ExecError::Other, detail))
        } else if self.command(exec.id).is_some() {
            let detail = format!("command {} runs already", exec.id);
            Err(Refusal::new(protocol::messages::ExecError::Other, detail))
        } else {
            self.start_gate(exec).and_then(|()| {
                let connect = || self.connect.connect(ports::STDIO);
                Command::start(exec, self.guest, self.oom_seen, connect)
            })
        };
        match started {
            Ok(command) => {
                self.commands.push(command);
                Ok(())
            }
            Err(refusal) => self.host.send(Kind::ExecFailed, &failed(exec.id, refusal)),
        }
    }

    fn start_gate(&mut self, exec: &Exec) -> Result<(), Refusal> {
        if exec.gate.is_some() && self.gate.is_none() {
            let connect = Arc::clone(&self.connect);
            let (door, confirms) = (self.guest.door.clone(), self.guest.confirms);
            let gate = Gate::start(connect, door, confirms).map_err(|e| {
                let detail = format!("could not start the gate: {e}");
                Refusal::new(protocol::messages::ExecError::Other, detail)
            })?;
            self.gate = Some(gate);
        }
        Ok(())
    }

    fn command(&mut self, id: u32) -> Option<&mut Command> {
        self.commands.iter_mut().find(|command| command.id() == id)
    }

    fn on_command(&mut self, id: u32, part: Part, flags: PollFlags) -> Result<(), FrameError> {
        let mut around = Around {
            host: &mut self.host,
            buffer: &mut self.buffer,
            guest: self.guest,
            oom_seen: &mut self.oom_seen,
            gate: self.gate.as_ref(),
        };
        match self.commands.iter_mut().find(|command| command.id() == id) {
            Some(command) => command.on(part, flags, &mut around),
            None => Ok(()),
        }
    }
}
