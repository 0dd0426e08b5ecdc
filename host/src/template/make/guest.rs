// SPDX-License-Identifier: Apache-2.0
//! A guest for nobody: booted until it is ready, made to run a command, stored, ended. Then one is
//! restored from what was stored and made to do the same, and what it touched is noted beside it.
//!
//! The command is the least there is, `true` of the image. Having run it, the guest has in memory
//! what any command needs, from the directories on the way to programs to the kernel's own
//! structures, and reads none of it from the drive again. Nothing of it may be left when the guest
//! is stored: the commands are asked to stand still, and there must be none.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prost::Message;
use protocol::actions;
use protocol::messages::{Assignment, Continue, Exec};
use protocol::{Kind, ports};
use vmm::config::{ConfigError, Life, MemoryMib, VcpuCount};
use vmm::control::ControlError;

use super::gate::Gate;
use crate::poll::Interests;
use crate::supervise::assignment;
use crate::supervise::connector::Connector;
use crate::supervise::gate::free;
use crate::supervise::guest::{Guest, GuestError, Role, Said};
use crate::supervise::load;
use crate::supervise::machine::{Launch, Machine, MachineError, Word};
use crate::task::Resources;

/// How long the whole may take on a host that has the time; nobody waits for it.
const TIME: Duration = Duration::from_secs(60);
/// The TTL that a stored guest has until it is given another: its clock stands still in between.
const TTL: Duration = Duration::from_secs(60 * 60);
/// Rest between the command's end and the snapshot: what the guest's kernel puts off until it is
/// idle (RCU, work queues, the end of its first timers) would else be done again in every guest
/// restored.
const REST: Duration = Duration::from_millis(100);

/// Why a guest was not stored.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// Its VMM could not be started.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// A number that the VMM does not take.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The VMM made no sense.
    #[error("the VMM made no sense")]
    Vmm(#[from] ControlError),
    /// The guest made no sense.
    #[error("the guest broke the protocol")]
    Guest(#[from] GuestError),
    /// Nothing happens any more.
    #[error("it took longer than {0:?}")]
    Time(Duration),
    /// The machine ended.
    #[error("it ended: {0}")]
    Ended(String),
    /// Every task would have them, before it has an identity.
    #[error("its first command left processes behind")]
    Left,
    /// The VMM could not write it.
    #[error("the VMM could not write it: {0}")]
    Snapshot(String),
    /// Waiting, or what every guest is told.
    #[error("the host failed")]
    Host(#[from] io::Error),
}

/// What the guest is made of.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) vmm: PathBuf,
    pub(super) kvm: File,
    pub(super) kernel: File,
    pub(super) root: File,
}

/// The least that a command can be, gated as a task's is.
fn least() -> Exec {
    Exec {
        id: 1,
        argv: vec![b"true".to_vec()],
        gate: Some(actions::Gate {
            root: 1,
            free: free(None),
        }),
        ..Exec::default()
    }
}

#[derive(Clone, Copy, Debug)]
enum Name {
    Vmm,
    Connector,
    Guest(Role),
    Gate,
}

/// What a guest is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To be stored at rest.
    Store,
    /// To show what a restored guest touches.
    Rehearse,
}

struct Actor<'a> {
    purpose: Purpose,
    machine: Machine,
    connector: Connector,
    guest: Guest,
    gate: Option<Gate>,
    resources: &'a Resources,
    ready: bool,
    reported: bool,
    /// Streams of the command.
    streams: Vec<OwnedFd>,
    /// When the VMM is to write.
    write_at: Option<Instant>,
    asked: bool,
    /// Its command was asked for.
    commanded: bool,
    written: bool,
}

/// Boots a guest and has it stored in `snapshot`, with its working set.
pub(super) fn store(
    files: &Files,
    resources: &Resources,
    snapshot: &File,
) -> Result<(), BootError> {
    act(Purpose::Store, files, resources, snapshot)?;
    // Without it a restore is slower and nothing else.
    if let Err(error) = act(Purpose::Rehearse, files, resources, snapshot) {
        eprintln!("ampoule: no working set: {}", crate::cli::chain(&error));
    }
    Ok(())
}

fn act(
    purpose: Purpose,
    files: &Files,
    resources: &Resources,
    snapshot: &File,
) -> Result<(), BootError> {
    let time = TIME.saturating_mul(load::share(resources.cpus));
    let until = Instant::now() + time;
    let mut actor = Actor::start(purpose, (files, snapshot), resources, time)?;
    while !actor.written {
        let now = Instant::now();
        if now >= until {
            return Err(BootError::Time(time));
        }
        if !actor.asked && actor.write_at.is_some_and(|at| now >= at) {
            actor.asked = true;
            match purpose {
                Purpose::Store => actor.machine.snapshot(snapshot.as_fd())?,
                Purpose::Rehearse => actor.machine.rehearsed(snapshot.as_fd())?,
            }
        }
        let next = actor.write_at.filter(|_| !actor.asked).unwrap_or(until);
        actor.turn(next.min(until))?;
    }
    // What is left of it ends with its machine here.
    Ok(())
}

impl<'a> Actor<'a> {
    fn start(
        purpose: Purpose,
        (files, snapshot): (&Files, &File),
        resources: &'a Resources,
        time: Duration,
    ) -> Result<Self, BootError> {
        let rehearses = purpose == Purpose::Rehearse;
        let launch = Launch {
            vmm: files.vmm.clone(),
            vcpus: VcpuCount::try_from(u64::from(resources.cpus))?,
            memory: MemoryMib::try_from(u64::from(resources.memory_mib))?,
            life: Life::try_from(time)?,
            debug_console: false,
            waits: false,
            kvm: files.kvm.try_clone()?,
            kernel: Some(files.kernel.try_clone()?),
            snapshot: rehearses.then(|| snapshot.try_clone()).transpose()?,
            drives: vec![Some(files.root.try_clone()?), None],
            vsock: None,
            lock: None,
            stderr: File::options().write(true).open("/dev/null")?,
        };
        Ok(Self {
            purpose,
            machine: Machine::start(&launch, None)?,
            // It has no services but ours: no socket lies in a folder that is not there.
            connector: Connector::new(Path::new("/nonexistent")),
            guest: match purpose {
                Purpose::Store => Guest::default(),
                Purpose::Rehearse => Guest::restored(),
            },
            gate: None,
            resources,
            ready: false,
            reported: false,
            streams: Vec::new(),
            write_at: None,
            asked: false,
            commanded: false,
            written: false,
        })
    }

    fn turn(&mut self, until: Instant) -> Result<(), BootError> {
        let mut into = Interests::new();
        into.read(self.machine.pidfd(), Name::Vmm);
        into.read(self.machine.life(), Name::Vmm);
        into.read(self.machine.connector(), Name::Connector);
        let links = [
            (Role::Init, &self.guest.init),
            (Role::Agent, &self.guest.agent),
        ];
        for (role, link) in links {
            if let Some(wire) = link.open() {
                into.both(wire.as_fd(), wire.is_sending(), Name::Guest(role));
            }
        }
        if let Some(wire) = self.gate.as_ref().and_then(Gate::open) {
            into.both(wire.as_fd(), wire.is_sending(), Name::Gate);
        }
        for name in into.wait(Some(until))? {
            match name {
                Name::Vmm => self.words()?,
                Name::Connector => {
                    for new in self.connector.answer(self.machine.connector())? {
                        self.connected(new.port, new.socket)?;
                    }
                }
                Name::Gate => {
                    let answered = self.gate.iter_mut().try_for_each(Gate::answer);
                    answered.map_err(GuestError::from)?;
                }
                Name::Guest(role) => {
                    for said in self.guest.read(role)? {
                        self.hear(&said)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn words(&mut self) -> Result<(), BootError> {
        while let Some(word) = self.machine.word()? {
            match word {
                Word::Running(_) | Word::Adopted | Word::Paused(_) | Word::Parked(_) => {}
                Word::Snapshotted(error) if error.is_empty() => self.wrote()?,
                Word::Snapshotted(error) => return Err(BootError::Snapshot(error)),
                Word::Ended(ended) => return Err(BootError::Ended(ended.detail)),
                Word::Closed => return Err(BootError::Ended("its VMM is gone".to_owned())),
            }
        }
        Ok(())
    }

    /// What was asked for is written. In a rehearsal that was the first half: its command follows.
    fn wrote(&mut self) -> Result<(), BootError> {
        if self.commanded {
            self.written = true;
            return Ok(());
        }
        (self.asked, self.write_at) = (false, None);
        self.command()
    }

    fn command(&mut self) -> Result<(), BootError> {
        self.commanded = true;
        let exec = least().encode_to_vec();
        Ok(self.guest.post(Role::Agent, Kind::Exec, &exec)?)
    }

    fn connected(&mut self, port: u32, socket: OwnedFd) -> Result<(), BootError> {
        match port {
            ports::CONTROL => {
                self.guest.connected(port, socket);
                if self.guest.is_restored() {
                    self.assign()?;
                }
            }
            ports::AGENT => self.guest.connected(port, socket),
            ports::ACTIONS => self.gate = Some(Gate::new(socket)),
            // Its command writes nothing that matters.
            _ => self.streams.push(socket),
        }
        Ok(())
    }

    fn assign(&mut self) -> Result<(), BootError> {
        let assignment = Assignment {
            ttl_ms: u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX),
            scratch_bytes: self.resources.scratch_bytes,
            ..assignment::fresh("template")?
        };
        let assignment = assignment.encode_to_vec();
        Ok(self.guest.post(Role::Init, Kind::Assignment, &assignment)?)
    }

    fn hear(&mut self, said: &Said) -> Result<(), BootError> {
        match said {
            Said::Hello(_) => self.assign()?,
            Said::Ready(_) => self.ready = true,
            Said::Report(_) => self.reported = true,
            Said::Resumed(_) => self.write_at = Some(Instant::now()),
            // An image without it has shown enough.
            Said::Exited(_) | Said::NotStarted(_) => match self.purpose {
                Purpose::Store => self.guest.post(Role::Agent, Kind::Pause, &[])?,
                Purpose::Rehearse => self.write_at = Some(Instant::now()),
            },
            Said::Paused(paused) if paused.populated => return Err(BootError::Left),
            Said::Paused(_) => {
                let go_on = Continue { copy: false }.encode_to_vec();
                self.guest.post(Role::Agent, Kind::Continue, &go_on)?;
                self.streams.clear();
                self.gate = None;
                self.write_at = Some(Instant::now() + REST);
            }
            Said::Goodbye(goodbye) => return Err(BootError::Ended(goodbye.detail.clone())),
            _ => {}
        }
        let stores = self.purpose == Purpose::Store && !self.commanded;
        if stores && self.ready && self.reported {
            self.command()?;
        }
        Ok(())
    }
}
