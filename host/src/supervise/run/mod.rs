// SPDX-License-Identifier: Apache-2.0
//! One task from the clone of its VMM to the last byte of its output: a poll loop that owns
//! everything.
//!
//! ```text
//!            ┌────────── live ──────────┐            ┌─ stopping ─┐
//!  start ──► │ booting ─► ready ─► command runs │ ──► │ Stop said  │ ──► killed ──► reaped, drained
//!            └──────────────────────────┘            └────────────┘
//!                  any end, any failure, any timer     │ 100 ms
//!                                                      └─ Ended heard ──► drained
//! ```
//!
//! A VMM that has said its last word is not waited for: KVM takes tens of milliseconds to take a
//! machine down, and the command's end and output are known by then. Its process is left to
//! whoever called [`run`].
//!
//! Each turn builds what to wait for from the state, waits, does what became possible, and then
//! looks at the clock ([`deadlines`]). Nothing here waits for the guest, for a client or for a
//! reader of the output; what each of them may leave unread is bounded. Facts are only collected;
//! [`super::verdict`] says afterwards what they mean.

mod deadlines;
mod finished;
mod fork;
mod hold;
mod judged;
mod pooled;
mod requests;
mod restore;
mod stand;
mod steps;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use protocol::ports;

use super::attach::Pending;
use super::cgroup::Cgroup;
use super::clients::Clients;
use super::connector::Connector;
use super::gate::Gate;
use super::guest::{Guest, Role};
use super::machine::{Launch, Machine, MachineError, Word};
use super::timeline::Timeline;
use super::verdict::{Cause, Facts};
use crate::api::ExecRequest;
use crate::logs::LogWriter;
use crate::poll::Interests;
use crate::pool::take::Taken;
use crate::stdio::{Input, Output, Pump, Side, Terminal};
use crate::store::Process;
use crate::sys::signals::Signals;
use crate::task::{Spec, TaskId};
use deadlines::Ending;
pub use deadlines::VMM_MARGIN;
pub use finished::Finished;
use fork::Fork;
use hold::Holding;
use pooled::Pooled;
use stand::Stand;

/// The number of the task's own command in the guest; of a plan's first step, which others follow.
pub(super) const MAIN: u32 = 1;

/// Connections of the guest that have not said what they are for.
const PENDING: usize = 64;

/// Where the command's streams go.
#[derive(Debug)]
pub struct Streams {
    /// Its stdin, if it gets one.
    pub input: Option<Input>,
    /// Its stdout, or its terminal.
    pub stdout: Output,
    /// Its stderr.
    pub stderr: Output,
}

/// What the caller of [`run`] is told meanwhile.
#[derive(Debug)]
pub enum Notice {
    /// The VMM was started.
    Cloned(Process),
    /// The VMM did not take the snapshot; the guest boots in another.
    Refused(String),
    /// The guest that waited was of no use; another is made as without a pool.
    NoPool(String),
    /// People are asked whether the command may run.
    Waits,
    /// The command runs.
    Started,
}

/// Everything a task needs to run.
#[derive(Debug)]
pub struct Job<'a> {
    /// Its id.
    pub id: &'a TaskId,
    /// What was asked for.
    pub spec: &'a Spec,
    /// The VMM's part.
    pub launch: Launch,
    /// A guest that waited; then that is what there is to start if it is of no use.
    pub taken: Option<Taken>,
    /// Its runtime folder.
    pub folder: PathBuf,
    /// Where its record is kept.
    pub scratch: PathBuf,
    /// The guest goes on from the middle of another task's.
    pub is_copy: bool,
    /// Who judges it.
    pub gate: Gate,
    /// Its clients.
    pub clients: Clients,
    /// Its cgroup, if there is one.
    pub cgroup: Option<&'a Cgroup>,
    /// Why there is none, or no limits.
    pub cgroup_note: Option<String>,
    /// Its streams.
    pub streams: Streams,
    /// The terminal it belongs to.
    pub terminal: Option<Terminal>,
    /// Signals of this process.
    pub signals: Signals,
    /// Whether a signal is for the command, or for us to end the task by.
    pub forward_signals: bool,
    /// Where a copy of its output is kept.
    pub log: Option<LogWriter>,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    Signal,
    Vmm,
    Life,
    Connector,
    Gate,
    Guest(Role),
    Pending(usize),
    Main(Side),
    Client(Option<u64>),
}

struct Supervisor<'a> {
    id: &'a TaskId,
    spec: &'a Spec,
    machine: Machine,
    connector: Connector,
    guest: Guest,
    /// While a snapshot is being restored, or a guest taken: what to start from if that fails.
    restoring: Option<Launch>,
    /// Of a guest that waited, until its task runs.
    pooled: Option<Pooled>,
    is_copy: bool,
    gate: Gate,
    /// The number of the task's command, or of the step of its plan that runs or is next.
    command: u32,
    /// A step has ended, another one follows.
    stepping: bool,
    /// That other one does not run yet.
    between: bool,
    /// The task's command may run, once its guest is ready.
    allowed: bool,
    /// Commands of clients that may not run yet.
    held: BTreeMap<u32, ExecRequest>,
    /// The guest's drives, for copies of it.
    drives: Vec<Option<File>>,
    scratch: PathBuf,
    cgroup: Option<&'a Cgroup>,
    fork: Option<Fork>,
    stand: Stand,
    holding: Option<Holding>,
    pending: Vec<Pending>,
    /// Before the guest attaches: the streams. After: the pump.
    streams: Option<Streams>,
    pump: Option<Pump>,
    log: Option<LogWriter>,
    clients: Clients,
    /// Requests that the guest has attached to.
    attached: BTreeSet<u32>,
    terminal: Option<Terminal>,
    signals: Signals,
    forward_signals: bool,
    interrupts: u32,
    started: bool,
    broken_pipe_told: bool,
    timeline: Timeline,
    ending: Ending,
    facts: Facts,
}

/// Runs a task to its end; what it was, and the VMM, which may take a moment to be gone.
///
/// # Errors
/// When its VMM cannot be started. Whatever fails later is in the outcome.
pub fn run(
    mut job: Job<'_>,
    notify: &mut dyn FnMut(Notice),
) -> Result<(Finished, Machine), MachineError> {
    let (cgroup, cgroup_note) = (job.cgroup, job.cgroup_note.clone());
    let timeline = Timeline::begin();
    let (machine, pooled) = match job.taken.take() {
        Some(taken) => {
            let (machine, pooled) = Pooled::new(taken, &job.folder);
            (machine, Some(pooled))
        }
        None => (Machine::start(&job.launch, cgroup)?, None),
    };
    notify(Notice::Cloned(machine.process(cgroup, cgroup_note.clone())));
    let mut supervisor = Supervisor::new(job, machine, timeline);
    if let Some(pooled) = pooled {
        supervisor.adopt(pooled);
    }
    loop {
        if let Some(notice) = supervisor.refusal() {
            notify(notice);
            supervisor.begin_instead(cgroup)?;
            let process = supervisor.machine.process(cgroup, cgroup_note.clone());
            notify(Notice::Cloned(process));
        }
        if supervisor.is_over() {
            break;
        }
        let (waited, was_started) = (supervisor.waits_to_start(), supervisor.started);
        if let Err(error) = supervisor.turn() {
            supervisor.fail(Cause::Host(format!("the supervisor failed: {error}")));
        }
        if supervisor.waits_to_start() && !waited {
            notify(Notice::Waits);
        }
        if supervisor.started && !was_started {
            supervisor.pooled = None;
            notify(Notice::Started);
        }
    }
    Ok(supervisor.finish(cgroup))
}

/// A drive, to be kept beside the VMM's own. One that cannot be is missed by copies, which then
/// do not match their snapshot.
fn copy_of_drive(drive: &Option<File>) -> Option<File> {
    drive.as_ref()?.try_clone().ok()
}

impl<'a> Supervisor<'a> {
    fn new(job: Job<'a>, machine: Machine, timeline: Timeline) -> Self {
        let launch = job.launch;
        let drives = launch.drives.iter().map(copy_of_drive).collect();
        // Of a boot the lock and the listener are the VMM's alone from here on.
        let restoring = launch.snapshot.is_some().then_some(launch);
        Self {
            id: job.id,
            spec: job.spec,
            machine,
            connector: Connector::new(&job.folder),
            guest: match restoring {
                Some(_) => Guest::restored(),
                None => Guest::default(),
            },
            restoring,
            pooled: None,
            is_copy: job.is_copy,
            gate: job.gate,
            command: MAIN,
            stepping: false,
            between: false,
            allowed: false,
            held: BTreeMap::new(),
            drives,
            scratch: job.scratch,
            cgroup: job.cgroup,
            fork: None,
            stand: Stand::new(Duration::from_millis(job.spec.gating.wait_ms)),
            holding: None,
            pending: Vec::new(),
            streams: Some(job.streams),
            pump: None,
            log: job.log,
            clients: job.clients,
            attached: BTreeSet::new(),
            terminal: job.terminal,
            signals: job.signals,
            forward_signals: job.forward_signals,
            interrupts: 0,
            started: false,
            broken_pipe_told: false,
            ending: Ending::new(job.spec, timeline.start),
            timeline,
            facts: Facts::default(),
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let until = self.next_deadline();
        let ready = self.interests().wait(until)?;
        self.ending.silent = ready.is_empty();
        // Later indices first: a connection that is taken out does not move those before it.
        for name in ready.into_iter().rev() {
            match name {
                Name::Signal => self.signal()?,
                Name::Life | Name::Vmm => self.machine_words()?,
                Name::Connector => self.connections(),
                Name::Gate => self.judged(),
                Name::Guest(role) => self.guest_words(role),
                Name::Pending(index) => self.attach(index),
                Name::Main(side) => self.pump(side),
                Name::Client(None) => self.clients.accept(),
                Name::Client(Some(number)) => self.client(number),
            }
        }
        self.look_at_the_clock(Instant::now());
        Ok(())
    }

    fn interests(&self) -> Interests<'_, Name> {
        let mut into = Interests::new();
        into.read(self.signals.as_fd(), Name::Signal);
        if self.machine.ending().is_none() {
            into.read(self.machine.pidfd(), Name::Vmm);
            if !self.ending.life_closed {
                into.read(self.machine.life(), Name::Life);
            }
            if self.connector.is_open() {
                into.read(self.machine.connector(), Name::Connector);
            }
        }
        if let Some(gate) = self.gate.descriptor() {
            into.read(gate, Name::Gate);
        }
        let links = [
            (Role::Init, &self.guest.init),
            (Role::Agent, &self.guest.agent),
        ];
        for (role, wire) in links
            .into_iter()
            .filter_map(|(role, link)| Some((role, link.open()?)))
        {
            into.both(wire.as_fd(), wire.is_sending(), Name::Guest(role));
        }
        for (index, pending) in self.pending.iter().enumerate() {
            into.read(pending.as_fd(), Name::Pending(index));
        }
        if let Some(pump) = &self.pump {
            pump.interests(&mut into, Name::Main);
        }
        self.clients.interests(&mut into, Name::Client);
        into
    }

    /// What the VMM says, and whether it is gone.
    fn machine_words(&mut self) -> io::Result<()> {
        let gone = self.machine.reap()?;
        while !self.ending.life_closed {
            match self.machine.word() {
                Ok(Some(Word::Running(running))) => self.timeline.running(&running),
                Ok(Some(Word::Adopted)) => self.adopted(),
                Ok(Some(Word::Paused(error))) => self.stopped(&error),
                Ok(Some(Word::Parked(error))) => self.is_parked(&error),
                Ok(Some(Word::Snapshotted(error))) => self.snapshotted(error),
                Ok(Some(Word::Ended(ended))) => {
                    self.facts.ended = Some(ended);
                    self.timeline.ended();
                }
                // It would be readable for ever.
                Ok(Some(Word::Closed)) => self.ending.life_closed = true,
                Ok(None) => break,
                Err(error) => {
                    self.ending.life_closed = true;
                    self.fail(Cause::Host(format!("the VMM made no sense: {error}")));
                }
            }
        }
        if gone && let Some(ending) = self.machine.ending() {
            self.facts.vmm = ending.status;
            self.facts.not_executed = self.machine.was_not_executed();
            self.timeline.ended();
        }
        Ok(())
    }

    /// Connections that the guest asks for.
    fn connections(&mut self) {
        match self.connector.answer(self.machine.connector()) {
            Ok(incoming) => {
                for new in incoming {
                    match new.port {
                        ports::CONTROL | ports::AGENT => {
                            self.guest.connected(new.port, new.socket);
                            self.greet_restored(new.port);
                        }
                        ports::ACTIONS => self.gate.guest(new.socket),
                        port => {
                            // The oldest goes: whoever means it says at once what it is for.
                            if self.pending.len() >= PENDING {
                                self.pending.remove(0);
                            }
                            self.pending.push(Pending::new(port, new.socket));
                        }
                    }
                }
            }
            Err(error) => self.fail(Cause::Host(format!("the VMM made no sense: {error}"))),
        }
    }

    fn pump(&mut self, side: Side) {
        self.wake();
        let Some(pump) = &mut self.pump else { return };
        if let Err(error) = pump.turn(side) {
            let lost_with_vmm = self.facts.ended.is_some() || self.machine.ending().is_some();
            self.ending.pump_failed = true;
            if !lost_with_vmm {
                self.fail(match error {
                    protocol::FrameError::Io(error) => {
                        Cause::Host(format!("the command's output cannot be written: {error}"))
                    }
                    error => Cause::Protocol(format!("on its output: {error}")),
                });
            }
            return;
        }
        self.ending.output_moved(Instant::now());
        if pump.has_written() {
            self.timeline.output();
        }
        if pump.stdout_is_broken() && !std::mem::replace(&mut self.broken_pipe_told, true) {
            // As the kernel does for a process whose reader has gone.
            self.signal_command(self.command, libc::SIGPIPE.unsigned_abs());
        }
    }

    /// Whether people are asked about the command, which does not run until they have said yes.
    fn waits_to_start(&self) -> bool {
        !self.started && self.gate.waits_for().is_some()
    }

    /// Notes a failure; the first one counts, and ends the task.
    fn fail(&mut self, cause: Cause) {
        self.facts.cause.get_or_insert(cause);
    }
}
