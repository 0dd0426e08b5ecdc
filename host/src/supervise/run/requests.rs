// SPDX-License-Identifier: Apache-2.0
//! What people ask for while a task runs: signals to `ampoule run`, requests of clients.

use std::io;
use std::time::{Duration, Instant};

use policy::posture::Posture;
use protocol::Kind;
use protocol::messages::{ReadFiles, WindowSize, WriteFiles};

use super::Supervisor;
use crate::api::{Event, Request};
use crate::stdio::tell;
use crate::supervise::clients::Work;
use crate::supervise::verdict::Cause;

/// Interrupts after which we no longer wait for the command to take notice.
const PATIENCE: u32 = 3;

/// Why a task that asks too much takes nothing on.
pub(super) const STANDS: &str = "the task stands still until people have said whether it may go \
                                 on; `ampoule approvals ls` has the question";

/// The grace of a task whose supervisor is told to end.
const GRACE: Duration = Duration::from_secs(5);

impl Supervisor<'_> {
    pub(super) fn signal(&mut self) -> io::Result<()> {
        while let Some(signal) = self.signals.next()? {
            match signal {
                libc::SIGWINCH => {
                    if let Some(terminal) = &self.terminal {
                        let size = terminal.size();
                        self.resize(self.command, size);
                    }
                }
                _ if !self.forward_signals => self.stop(GRACE),
                libc::SIGINT | libc::SIGTERM => self.interrupt(signal),
                _ => self.forward(signal),
            }
        }
        Ok(())
    }

    /// The third time, people mean it.
    fn interrupt(&mut self, signal: i32) {
        self.interrupts = self.interrupts.saturating_add(1);
        if self.interrupts >= PATIENCE {
            let line = format!("interrupted {PATIENCE} times; killing the task");
            tell(self.terminal.as_ref(), &line);
            self.fail(Cause::Killed);
        }
        self.forward(signal);
    }

    fn forward(&mut self, signal: i32) {
        if self.runs() {
            self.signal_command(self.command, signal.unsigned_abs());
        } else {
            self.fail(Cause::Interrupted(signal));
        }
    }

    /// SIGTERM to every command now, SIGKILL after the grace.
    fn stop(&mut self, grace: Duration) {
        self.facts.stopping = true;
        // What is kept still does not hear of it.
        if !self.runs() || self.stand.is_kept_still() {
            self.fail(Cause::Stopped);
            return;
        }
        let commands = self.clients.commands();
        for id in std::iter::once(self.command).chain(commands) {
            self.signal_command(id, libc::SIGTERM.unsigned_abs());
        }
        self.ending.stop_within(Instant::now(), grace);
    }

    pub(super) fn client(&mut self, number: u64) {
        match self.clients.read(number) {
            Ok(requests) => requests
                .into_iter()
                .for_each(|request| self.serve(number, request)),
            // As a shell does to what it leaves behind.
            Err(Work::Command(id)) if self.let_go(id) => {}
            Err(Work::Command(id)) => self.signal_command(id, libc::SIGHUP.unsigned_abs()),
            Err(_) => {}
        }
    }

    fn serve(&mut self, number: u64, request: Request) {
        match request {
            Request::Exec(exec) => {
                if let Some(id) = self.new_work(number, Work::Command) {
                    self.judge_for_client(id, exec);
                }
            }
            Request::ReadFiles(path) => {
                if let Some(id) = self.new_work(number, Work::Copy) {
                    let path = path.as_slice().to_vec();
                    self.tell_agent(Kind::ReadFiles, &ReadFiles { id, path });
                }
            }
            Request::WriteFiles(path) => {
                if let Some(id) = self.new_work(number, Work::Copy) {
                    let path = path.as_slice().to_vec();
                    self.tell_agent(Kind::WriteFiles, &WriteFiles { id, path });
                }
            }
            Request::Signal(signal) => {
                if let Work::Command(id) = self.clients.work(number) {
                    self.signal_of_client(id, signal);
                }
            }
            Request::Resize(size) => {
                if let Work::Command(id) = self.clients.work(number) {
                    self.resize(
                        id,
                        WindowSize {
                            rows: size.rows,
                            cols: size.cols,
                        },
                    );
                }
            }
            Request::Fork if self.spec.plan.is_some() => {
                let why = "a task that carries out a plan cannot be copied".to_owned();
                self.clients.tell(number, &Event::Refused(why), None);
            }
            Request::Fork => self.fork(number),
            Request::Hold(hold) => self.hold(number, hold),
            Request::Stop(grace_ms) => {
                self.clients.tell(number, &Event::Accepted, None);
                self.stop(Duration::from_millis(grace_ms));
            }
            Request::Kill => {
                self.clients.tell(number, &Event::Accepted, None);
                self.fail(Cause::Killed);
            }
        }
    }

    /// A number for a client's request, unless the guest cannot serve one or the client has one.
    fn new_work(&mut self, number: u64, work: fn(u32) -> Work) -> Option<u32> {
        let refusal = match self.clients.work(number) {
            _ if !self.ending.ready => Some("the guest is still starting".to_owned()),
            _ if self.gate.held().posture >= Posture::Paused => {
                let goes_on = format!("`ampoule posture {} normal` has it go on", self.id);
                Some(format!("the task is paused; {goes_on}"))
            }
            _ if self.stand.is_kept_still() => Some(STANDS.to_owned()),
            Work::None => None,
            _ => Some("one request a connection".to_owned()),
        };
        if let Some(why) = refusal {
            self.clients.tell(number, &Event::Refused(why), None);
            return None;
        }
        let id = self.clients.unused_id()?;
        self.clients.assign(number, work(id));
        Some(id)
    }
}
