// SPDX-License-Identifier: Apache-2.0
//! What the guest says, and what it is told.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use protocol::actions::Gate;
use protocol::messages::{
    Assignment, Exec, ExecFailed, Exited, Resize, Signal, Started, WindowSize,
};
use protocol::{Kind, ports};

use super::Supervisor;
use crate::api::{Event, ExecRequest};
use crate::stdio::Pump;
use crate::supervise::assignment;
use crate::supervise::gate::free;
use crate::supervise::guest::{Role, Said};
use crate::supervise::verdict::{Cause, clean, exit_of, not_started_code};
use crate::task::{Bytes, TaskId};

/// How often guest-init says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(1);

impl Supervisor<'_> {
    pub(super) fn guest_words(&mut self, role: Role) {
        match self.guest.read(role) {
            Ok(said) => said.into_iter().for_each(|word| self.hear(word)),
            Err(error) => self.fail(Cause::Protocol(error.to_string())),
        }
    }

    fn hear(&mut self, word: Said) {
        match word {
            Said::Hello(hello) => {
                self.timeline.hello(&hello);
                self.assign();
            }
            Said::Report(report) => self.timeline.report(&report),
            Said::Heartbeat(beat) => self.stand.beat(Duration::from_micros(beat.task_us)),
            Said::Goodbye(goodbye) => {
                self.facts.goodbye.get_or_insert(goodbye);
                self.ending.said_goodbye(Instant::now());
            }
            Said::Ready(_) => self.ready(),
            Said::Resumed(resumed) => self.resumed(&resumed),
            Said::Paused(paused) => self.paused(&paused),
            Said::Started(started) => self.command_runs(&started),
            Said::NotStarted(failed) => self.command_did_not_start(failed),
            Said::Exited(exited) => self.command_ended(exited),
        }
    }

    /// Sends a message; a guest that does not read breaks the protocol.
    pub(super) fn say(&mut self, role: Role, kind: Kind, message: &impl prost::Message) {
        if role == Role::Agent {
            self.wake();
        }
        if !self.is_kept(role, kind, message) {
            self.say_bytes(role, kind, &message.encode_to_vec());
        }
    }

    pub(super) fn say_bytes(&mut self, role: Role, kind: Kind, body: &[u8]) {
        if let Err(error) = self.guest.post(role, kind, body) {
            self.fail(Cause::Protocol(format!(
                "it does not read its messages: {error}"
            )));
        }
    }

    pub(super) fn assignment(&self) -> io::Result<Assignment> {
        Ok(Assignment {
            ttl_ms: millis(self.life_left()).max(1),
            grace_ms: self.spec.grace_ms,
            scratch_bytes: self.spec.resources.scratch_bytes,
            // A copy's is mounted.
            workspace: self.spec.workspace.is_some() && !self.is_copy,
            copy_of: self.spec.copy_of.iter().map(TaskId::to_string).collect(),
            heartbeat_ms: u32::try_from(HEARTBEAT.as_millis()).unwrap_or(1000),
            ..assignment::fresh(self.id.as_str())?
        })
    }

    pub(super) fn ready(&mut self) {
        if std::mem::replace(&mut self.ending.ready, true) {
            return;
        }
        self.timeline.ready();
        // What was decided since it was assigned.
        if self.stand.has_waited() {
            self.retime(assignment::wall_clock_ns());
        }
        self.run_command();
    }

    /// Runs the task's command, once its guest is ready and it is allowed.
    pub(super) fn run_command(&mut self) {
        // A copy's runs already.
        if !self.ending.ready || !self.allowed || self.is_copy {
            return;
        }
        let spec = self.spec;
        let (argv, workdir) = self.command();
        let request = ExecRequest {
            argv: argv.to_vec(),
            env: spec.env.clone(),
            workdir: workdir.cloned(),
            user: spec.user.clone(),
            terminal: None,
        };
        let size = self.terminal.as_ref().map(|terminal| terminal.size());
        let no_window = WindowSize { rows: 24, cols: 80 };
        let window = spec.terminal.then(|| size.unwrap_or(no_window));
        // Which step would get how much of it could not be told.
        let stdin = self
            .streams
            .as_ref()
            .is_some_and(|streams| streams.input.is_some() && spec.plan.is_none());
        let mut exec = self.exec(self.command, request, window);
        exec.stdin = stdin;
        self.say(Role::Agent, Kind::Exec, &exec);
    }

    /// Runs a command for a client, which was allowed.
    pub(super) fn run_for_client(&mut self, id: u32, request: ExecRequest) {
        let window = request.terminal.map(|size| WindowSize {
            rows: size.rows,
            cols: size.cols,
        });
        let mut exec = self.exec(id, request, window);
        exec.stdin = true;
        self.say(Role::Agent, Kind::Exec, &exec);
    }

    /// Passes a message of a client on to the agent.
    pub(super) fn tell_agent(&mut self, kind: Kind, message: &impl prost::Message) {
        self.say(Role::Agent, kind, message);
    }

    pub(super) fn signal_command(&mut self, id: u32, signal: u32) {
        self.say(Role::Agent, Kind::Signal, &Signal { id, signal });
    }

    pub(super) fn resize(&mut self, id: u32, size: WindowSize) {
        self.say(
            Role::Agent,
            Kind::Resize,
            &Resize {
                id,
                size: Some(size),
            },
        );
    }

    fn command_runs(&mut self, started: &Started) {
        if started.id == self.command {
            self.between = false;
            if !std::mem::replace(&mut self.started, true) {
                self.timeline.started(started.boot_ns);
                if let Some(terminal) = &mut self.terminal {
                    terminal.raw();
                }
            }
        } else {
            self.clients.tell_about(started.id, &Event::Started, None);
        }
    }

    fn command_did_not_start(&mut self, failed: ExecFailed) {
        if failed.id == self.command {
            self.facts.not_started.get_or_insert(failed);
            return;
        }
        let event = Event::Failed {
            code: not_started_code(&failed),
            detail: clean(&failed.detail),
        };
        self.clients.tell_about(failed.id, &event, None);
    }

    fn command_ended(&mut self, exited: Exited) {
        if exited.id == self.command {
            let now = Instant::now();
            if self.goes_on(&exited) {
                self.ending.command_ended(now);
                self.stepping = true;
            } else if self.facts.exited.is_none() && !self.stepping {
                self.timeline.exited(exited.boot_ns);
                self.facts.warned = self.is_warned();
                self.ending.command_ended(now);
                self.facts.exited = Some(exited);
            }
            return;
        }
        let detail = match (exited.oom, exited.scratch_full) {
            (true, _) => Some("the guest was out of memory".to_owned()),
            (_, true) => Some("scratch space was full".to_owned()),
            _ => None,
        };
        let event = Event::Exited {
            code: exit_of(&exited).code(),
            detail,
        };
        self.clients.tell_about(exited.id, &event, None);
    }

    /// A command as the agent is told, gated where the task is.
    fn exec(&self, id: u32, request: ExecRequest, terminal: Option<WindowSize>) -> Exec {
        let gate = self.gate.is_gated().unwrap_or(true).then(|| Gate {
            root: u64::from(id),
            free: free(request.user.as_deref()),
        });
        let bytes = |list: Vec<Bytes>| list.iter().map(|b| b.as_slice().to_vec()).collect();
        Exec {
            id,
            argv: bytes(request.argv),
            env: bytes(request.env),
            cwd: request
                .workdir
                .map(|b| b.as_slice().to_vec())
                .unwrap_or_default(),
            user: request.user.unwrap_or_default(),
            terminal,
            stdin: false,
            gate,
        }
    }

    /// Reads on what a connection is for, and gives it to whom it belongs.
    pub(super) fn attach(&mut self, index: usize) {
        let Some(pending) = self.pending.get_mut(index) else {
            return;
        };
        let id = match pending.read() {
            Ok(None) => return,
            Ok(Some(id)) => Some(id),
            Err(_) => None, // closed, or rubbish: nobody waits for it yet
        };
        let pending = self.pending.swap_remove(index);
        let Some(id) = id else { return };
        if id == self.command && pending.port == ports::STDIO {
            if let Some(streams) = self.streams.take() {
                let outputs = (streams.stdout, streams.stderr);
                let input = streams.input.filter(|_| self.spec.plan.is_none());
                let pump = Pump::new(pending.into_socket(), input, outputs);
                self.pump = Some(pump.with_log(self.log.take()));
            }
            return;
        }
        // Only the first connection of a request, whatever the guest says.
        if self.attached.insert(id) {
            let socket = pending.into_socket();
            self.clients
                .tell_about(id, &Event::Attached, Some(socket.as_fd()));
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
