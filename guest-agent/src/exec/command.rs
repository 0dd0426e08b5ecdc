// SPDX-License-Identifier: Apache-2.0
//! One command, from its start to the last byte of its output.
//!
//! ```text
//! process:  Starting ── exec done: Started ──► Running ── reaped: Exited ──► Reaped
//!               └────── failed: ExecFailed ──► Failed ─── reaped ──────────────┘
//! output:   open ── reaped: only what is in the pipes now ──► drained: OutputEnd ──► lingering
//! ```
//!
//! What a background process holds open does not hold up the end ([`Streams`]).
//!
//! The connection lingers after OutputEnd until the host closes it, so that closing it never
//! throws away what the host has not read; for a bounded time.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::messages::{self, Attach, ExecFailed, Exited, Started, WindowSize};
use protocol::{FrameError, Kind};
use rustix::event::PollFlags;
use rustix::io::{Errno, read};
use rustix::process::Pid;
use rustix::termios::tcgetpgrp;

use crate::clock;
use crate::exec::child::Report;
use crate::exec::input::Input;
use crate::exec::output::Streams;
use crate::exec::request::{self, Prepared, Refusal};
use crate::exec::start::{self, Gated};
use crate::exec::stdio::{self, Stdio};
use crate::gate::Gate;
use crate::guest::Guest;
use crate::link::Link;
use crate::sys;

/// How long a connection lingers.
const LINGER_NS: u64 = 5_000_000_000;
/// Signals that arrive before the exec wait for it; more than these are lost.
const MAX_EARLY_SIGNALS: usize = 16;

/// A descriptor of a command that the loop waits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The connection for its streams.
    Link,
    /// The pipe that tells of the exec.
    Start,
    /// stdout (or the terminal) and stderr.
    Output(usize),
    /// stdin, while bytes wait for it.
    Input,
    /// The process.
    Process,
}

#[derive(Debug)]
enum Process {
    Starting {
        report: OwnedFd,
        early: Vec<i32>,
        gated: Option<Gated>,
    },
    Running,
    Failed,
    Reaped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Open,
    /// OutputEnd is on its way.
    Ended,
    /// All was sent; waiting for the host to close.
    Lingering {
        until: u64,
    },
    /// The connection is of no more use.
    Over,
}

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    id: u32,
    pid: Pid,
    pidfd: OwnedFd,
    process: Process,
    link: Link,
    host_sends: bool,
    streams: Streams,
    output: Output,
    input: Input,
    terminal: Option<OwnedFd>,
    prepared: Prepared,
    /// The guest's count of processes killed for memory, when it started.
    oom_before: u64,
}

/// What a command needs of its surroundings when something happens.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    /// The connection to the supervisor.
    pub(crate) host: &'a mut Link,
    /// Lent for reading.
    pub(crate) buffer: &'a mut [u8],
    pub(crate) guest: &'a Guest,
    /// The guest's count of processes killed for memory, as last seen.
    pub(crate) oom_seen: &'a mut u64,
    /// Of commands that are gated.
    pub(crate) gate: Option<&'a Gate>,
}

impl Command {
    /// Starts what the host asks for. The connection for its streams is on its way meanwhile.
    pub(crate) fn start(
        exec: &messages::Exec,
        guest: &Guest,
        oom_before: u64,
        connect: impl FnOnce() -> std::io::Result<OwnedFd>,
    ) -> Result<Self, Refusal> {
        let other = |what: &str, e: &dyn std::error::Error| {
            Refusal::new(messages::ExecError::Other, format!("{what}: {e}"))
        };
        let prepared = request::prepare(exec, &guest.workspace)?;
        let link = connect().and_then(Link::new);
        let mut link = link.map_err(|e| other("could not connect its streams to the host", &e))?;
        link.send(Kind::Attach, &Attach { id: exec.id })
            .map_err(|e| other("could not attach its streams", &e))?;
        let uid = guest.switches_users.then_some(prepared.identity.uid);
        let stdio = match exec.terminal {
            Some(size) => stdio::terminal(size, uid),
            None => stdio::pipes(exec.stdin, uid),
        };
        let stdio = stdio.map_err(|e| other("could not make its streams", &e))?;
        let gated = exec.gate.as_ref();
        let gated = gated.map(|gate| Gated::new(gate, &prepared, guest));
        let gated = gated.transpose().map_err(|e| {
            let what = "the guest's kernel cannot gate commands; build the image's kernel anew";
            other(what, &e)
        })?;
        let child = start::spawn(&prepared, &stdio, guest, gated.as_ref()).map_err(|e| match e
            .raw_os_error()
        {
            Some(libc::EAGAIN) => other("the guest has too many processes", &e),
            _ => other("could not start a process", &e),
        })?;
        let Stdio {
            input,
            outputs,
            terminal,
            ..
        } = stdio;
        Ok(Self {
            id: exec.id,
            pid: child.pid,
            pidfd: child.pidfd,
            process: Process::Starting {
                report: child.report,
                early: Vec::new(),
                gated,
            },
            link,
            host_sends: true,
            streams: Streams::new(outputs, terminal.is_some()),
            output: Output::Open,
            input: Input::new(input, terminal.is_some()),
            terminal,
            prepared,
            oom_before,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        self.output == Output::Over && matches!(self.process, Process::Reaped)
    }

    /// When the loop should look again though nothing happened.
    pub(crate) fn wakes_at(&self) -> Option<u64> {
        match self.output {
            Output::Lingering { until } => Some(until),
            _ => None,
        }
    }

    /// Names the descriptors to wait on.
    pub(crate) fn watch<'a>(&'a self, add: &mut dyn FnMut(Part, BorrowedFd<'a>, PollFlags)) {
        if self.output != Output::Over {
            let input = self.host_sends && self.input.welcome();
            add(Part::Link, self.link.as_fd(), self.link.interest(input));
        }
        if let Process::Starting { report, .. } = &self.process {
            add(Part::Start, report.as_fd(), PollFlags::IN);
        }
        if !matches!(self.process, Process::Reaped) {
            add(Part::Process, self.pidfd.as_fd(), PollFlags::IN);
        }
        if let Some(fd) = self.input.blocked_on() {
            add(Part::Input, fd, PollFlags::OUT);
        }
        if self.link.idle() {
            self.streams
                .watch(&mut |number, fd| add(Part::Output(number), fd, PollFlags::IN));
        }
    }

    /// Takes in that a descriptor has something. An error is the supervisor's connection's.
    pub(crate) fn on(
        &mut self,
        part: Part,
        flags: PollFlags,
        around: &mut Around<'_>,
    ) -> Result<(), FrameError> {
        match part {
            Part::Link => self.on_link(flags, around.buffer),
            Part::Start => self.on_start(around)?,
            Part::Output(number) => {
                let sent = self.streams.send(number, &mut self.link, around.buffer);
                if sent.is_err() {
                    self.lose();
                }
            }
            Part::Input => {
                self.input.advance();
                // What came meanwhile may lie here in whole: nothing more need arrive.
                if self.take_frames().is_err() {
                    self.lose();
                }
            }
            Part::Process => self.on_process(around)?,
        }
        self.advance(around.buffer);
        Ok(())
    }

    /// This is a copy of the guest the command was started in. Its output up to here went there,
    /// what it writes from here on goes to a connection of its own; its stdin has ended.
    pub(crate) fn reconnect(&mut self, connect: impl FnOnce() -> std::io::Result<OwnedFd>) {
        if !matches!(self.output, Output::Open | Output::Ended) {
            return self.lose();
        }
        let attached = connect().and_then(Link::new).and_then(|mut link| {
            let attach = Attach { id: self.id };
            link.send(Kind::Attach, &attach)
                .map_err(std::io::Error::other)?;
            Ok(link)
        });
        match attached {
            Ok(link) => {
                self.link = link;
                self.output = Output::Open;
                self.input.end();
            }
            Err(_) => self.lose(),
        }
    }

    /// A moment has come.
    pub(crate) fn tick(&mut self, now: u64) {
        if matches!(self.output, Output::Lingering { until } if now >= until) {
            self.lose();
        }
    }

    /// Passes a signal on: to the process group; for a terminal the signals of its keys go to the
    /// group in the foreground, as if typed.
    pub(crate) fn signal(&mut self, number: u32) {
        let Some(number) = i32::try_from(number).ok().filter(|n| (1..=64).contains(n)) else {
            return;
        };
        match &mut self.process {
            // Before the exec the child still ignores what the agent ignores.
            Process::Starting { early, .. } if early.len() < MAX_EARLY_SIGNALS => {
                early.push(number);
            }
            Process::Running => self.deliver(number),
            _ => {}
        }
    }

    fn deliver(&self, number: i32) {
        let typed = matches!(number, libc::SIGINT | libc::SIGQUIT | libc::SIGTSTP);
        let foreground = self
            .terminal
            .as_ref()
            .filter(|_| typed)
            .and_then(|t| tcgetpgrp(t).ok());
        let _ = sys::signal_group(foreground.unwrap_or(self.pid), number);
    }

    /// Gives the terminal a new size.
    pub(crate) fn resize(&self, size: WindowSize) {
        if let Some(terminal) = &self.terminal {
            let _ = stdio::resize(terminal, size);
        }
    }

    fn on_link(&mut self, flags: PollFlags, buffer: &mut [u8]) {
        if flags.intersects(PollFlags::OUT) && self.link.flush().is_err() {
            return self.lose();
        }
        if flags.intersects(PollFlags::IN) {
            match self.link.receive(buffer) {
                Ok(()) => {}
                // The host may shut down its side and still read: that is the end of stdin.
                Err(FrameError::Closed) => self.end_input(),
                Err(_) => return self.lose(),
            }
        }
        if self.take_frames().is_err() {
            return self.lose();
        }
        if flags.intersects(PollFlags::HUP | PollFlags::ERR) {
            self.lose();
        }
    }

    /// Takes frames while stdin takes bytes.
    fn take_frames(&mut self) -> Result<(), FrameError> {
        while self.input.welcome() {
            let Some(frame) = self.link.frame()? else {
                return Ok(());
            };
            match frame.kind {
                Kind::Stdin => self.input.push(frame.body),
                Kind::StdinEnd => self.input.end(),
                kind => return Err(FrameError::Unexpected { kind }),
            }
        }
        Ok(())
    }

    fn end_input(&mut self) {
        self.host_sends = false;
        self.input.end();
    }

    /// The connection is gone. Closing the pipes tells the command: SIGPIPE, or SIGHUP from its
    /// terminal.
    fn lose(&mut self) {
        self.output = Output::Over;
        self.host_sends = false;
        self.input.close();
        self.streams.close();
        self.terminal = None;
    }

    fn on_start(&mut self, around: &mut Around<'_>) -> Result<(), FrameError> {
        let Process::Starting { report, gated, .. } = &mut self.process else {
            return Ok(());
        };
        let mut bytes = [0; Report::LEN];
        match read(&*report, &mut bytes) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            // The pipe closed without a word: the exec was done, or the child was killed before it.
            // Then the process tells how it ended.
            Ok(0) | Err(_) => {
                return self.runs(around);
            }
            Ok(_) => {}
        }
        let refusal = match Report::decode(bytes) {
            Some(Report::Listens(number)) => {
                let gated = gated.take().zip(around.gate);
                match start::watch(gated, (self.pid, &self.pidfd), number) {
                    Ok(()) => return Ok(()),
                    Err(refusal) => refusal,
                }
            }
            Some(Report::Failed(failure)) => request::explain(&self.prepared, failure),
            None => Refusal::new(messages::ExecError::Other, "the new process broke"),
        };
        self.process = Process::Failed;
        around
            .host
            .send(Kind::ExecFailed, &failed(self.id, refusal))
    }

    fn runs(&mut self, around: &mut Around<'_>) -> Result<(), FrameError> {
        let was = std::mem::replace(&mut self.process, Process::Running);
        if let Process::Starting { early, .. } = was {
            early.into_iter().for_each(|signal| self.deliver(signal));
        }
        let started = Started {
            id: self.id,
            pid: self.pid.as_raw_nonzero().get().unsigned_abs(),
            boot_ns: clock::now(),
        };
        around.host.send(Kind::Started, &started)
    }

    fn on_process(&mut self, around: &mut Around<'_>) -> Result<(), FrameError> {
        // The exec may have been reported in the same moment. A process that has ended says no more:
        // an empty pipe is its end then, whoever else holds it open.
        if matches!(self.process, Process::Starting { .. }) {
            self.on_start(around)?;
        }
        if matches!(self.process, Process::Starting { .. }) {
            self.runs(around)?;
        }
        let ended = match sys::reap(self.pid) {
            Ok(Some(ended)) => ended,
            Ok(None) => return Ok(()),
            // Somebody else reaped it, which cannot be; its end is all that is known.
            Err(_) => sys::Ended::default(),
        };
        let was = std::mem::replace(&mut self.process, Process::Reaped);
        self.input.close();
        self.streams.drain_from_now();
        if matches!(was, Process::Failed) {
            return Ok(());
        }
        let kills = around.guest.oom_kills();
        *around.oom_seen = kills.max(*around.oom_seen);
        let exited = Exited {
            id: self.id,
            code: ended.code,
            signal: ended.signal,
            oom: kills > self.oom_before,
            scratch_full: around.guest.scratch_full(),
            user_us: ended.user_us,
            system_us: ended.system_us,
            max_rss_kib: ended.max_rss_kib,
            boot_ns: clock::now(),
        };
        around.host.send(Kind::Exited, &exited)
    }

    /// Does what may follow now: drains, ends the output, lingers.
    fn advance(&mut self, buffer: &mut [u8]) {
        if !matches!(self.process, Process::Reaped) {
            return;
        }
        while self.link.idle() && self.output == Output::Open {
            match self.streams.drain(&mut self.link, buffer) {
                Ok(true) => {}
                Ok(false) => match self.link.send_bytes(Kind::OutputEnd, &[]) {
                    Ok(()) => self.output = Output::Ended,
                    Err(_) => return self.lose(),
                },
                Err(_) => return self.lose(),
            }
        }
        if self.output == Output::Ended && self.link.idle() {
            self.link.finish();
            let until = clock::now().saturating_add(LINGER_NS);
            self.output = Output::Lingering { until };
        }
        if matches!(self.output, Output::Lingering { .. }) && !self.host_sends {
            self.lose();
        }
    }
}

/// The host's answer to a command that does not start.
pub(crate) fn failed(id: u32, refusal: Refusal) -> ExecFailed {
    ExecFailed {
        id,
        error: refusal.error.into(),
        detail: short(refusal.detail),
    }
}

/// A line that fits its frame, whatever path the host named in it.
pub(crate) fn short(mut line: String) -> String {
    const LONGEST: usize = 8192;
    let mut end = line.len().min(LONGEST);
    while !line.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    line.truncate(end);
    line
}
