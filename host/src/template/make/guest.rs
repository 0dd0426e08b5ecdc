// SPDX-License-Identifier: Apache-2.0
//! A guest for nobody: booted until it is ready, stored, ended.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::messages::Assignment;
use protocol::{Kind, ports};
use vmm::config::{ConfigError, Life, MemoryMib, VcpuCount};
use vmm::control::ControlError;

use crate::poll::Interests;
use crate::supervise::assignment;
use crate::supervise::connector::Connector;
use crate::supervise::guest::{Guest, GuestError, Role, Said};
use crate::supervise::load;
use crate::supervise::machine::{Launch, Machine, MachineError, Word};
use crate::task::Resources;

/// How long the whole may take on a host that has the time; nobody waits for it.
const TIME: Duration = Duration::from_secs(60);
/// The TTL that a stored guest has until it is given another: its clock stands still in between.
const TTL: Duration = Duration::from_secs(60 * 60);
/// Rest between *ready* and the snapshot: what the guest's kernel puts off until it is idle (RCU,
/// work queues, the end of its first timers) would else be done again in every guest restored.
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

#[derive(Clone, Copy, Debug)]
enum Name {
    Vmm,
    Connector,
    Guest(Role),
}

struct Boot {
    machine: Machine,
    connector: Connector,
    guest: Guest,
    scratch_bytes: u64,
    ready: bool,
    reported: bool,
    /// When it has rested.
    rested: Option<Instant>,
    asked: bool,
    stored: bool,
}

/// Boots a guest and has it stored in `snapshot`.
pub(super) fn store(files: Files, resources: &Resources, snapshot: &File) -> Result<(), BootError> {
    let time = TIME.saturating_mul(load::share(resources.cpus));
    let until = Instant::now() + time;
    let mut boot = Boot::start(files, resources, time)?;
    while !boot.stored {
        let now = Instant::now();
        if now >= until {
            return Err(BootError::Time(time));
        }
        if !boot.asked && boot.rested.is_some_and(|at| now >= at) {
            boot.asked = true;
            boot.machine.snapshot(snapshot.as_fd())?;
        }
        let next = boot.rested.filter(|_| !boot.asked).unwrap_or(until);
        boot.turn(next.min(until))?;
    }
    // What is left of it ends with its machine here.
    Ok(())
}

impl Boot {
    fn start(files: Files, resources: &Resources, time: Duration) -> Result<Self, BootError> {
        let launch = Launch {
            vmm: files.vmm,
            vcpus: VcpuCount::try_from(u64::from(resources.cpus))?,
            memory: MemoryMib::try_from(u64::from(resources.memory_mib))?,
            life: Life::try_from(time)?,
            debug_console: false,
            kvm: files.kvm,
            kernel: files.kernel,
            snapshot: None,
            drives: vec![Some(files.root), None],
            vsock: None,
            lock: None,
            stderr: File::options().write(true).open("/dev/null")?,
        };
        Ok(Self {
            machine: Machine::start(&launch, None)?,
            // It has no services but ours: no socket lies in a folder that is not there.
            connector: Connector::new(Path::new("/nonexistent")),
            guest: Guest::default(),
            scratch_bytes: resources.scratch_bytes,
            ready: false,
            reported: false,
            rested: None,
            asked: false,
            stored: false,
        })
    }

    fn turn(&mut self, until: Instant) -> Result<(), BootError> {
        let mut into = Interests::new();
        into.read(self.machine.pidfd(), Name::Vmm);
        into.read(self.machine.life(), Name::Vmm);
        into.read(self.machine.connector(), Name::Connector);
        let links = [(Role::Init, &self.guest.init), (Role::Agent, &self.guest.agent)];
        for (role, link) in links {
            if let Some(wire) = link.open() {
                into.both(wire.as_fd(), wire.is_sending(), Name::Guest(role));
            }
        }
        for name in into.wait(Some(until))? {
            match name {
                Name::Vmm => self.words()?,
                Name::Connector => {
                    for new in self.connector.answer(self.machine.connector())? {
                        if matches!(new.port, ports::CONTROL | ports::AGENT) {
                            self.guest.connected(new.port, new.socket);
                        }
                    }
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
                Word::Running(_) => {}
                Word::Snapshotted(error) if error.is_empty() => self.stored = true,
                Word::Snapshotted(error) => return Err(BootError::Snapshot(error)),
                Word::Ended(ended) => return Err(BootError::Ended(ended.detail)),
                Word::Closed => return Err(BootError::Ended("its VMM is gone".to_owned())),
            }
        }
        Ok(())
    }

    fn hear(&mut self, said: &Said) -> Result<(), BootError> {
        match said {
            Said::Hello(_) => {
                let assignment = Assignment {
                    ttl_ms: u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX),
                    scratch_bytes: self.scratch_bytes,
                    ..assignment::fresh("template")?
                };
                self.guest.post(Role::Init, Kind::Assignment, &assignment)?;
            }
            Said::Ready(_) => self.ready = true,
            Said::Report(_) => self.reported = true,
            Said::Goodbye(goodbye) => return Err(BootError::Ended(goodbye.detail.clone())),
            _ => {}
        }
        if self.ready && self.reported {
            self.rested.get_or_insert(Instant::now() + REST);
        }
        Ok(())
    }
}
