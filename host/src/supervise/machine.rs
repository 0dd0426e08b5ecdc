// SPDX-License-Identifier: Apache-2.0
//! The VMM process of one task: started in its namespaces and cgroup with its descriptors, told
//! to stop, killed, reaped. One that waited for its task in a pool is the pool's child
//! ([`handover`]).

mod handover;
mod stand;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, pidfd_send_signal};
use vmm::config::{Config, Descriptors, Life, MemoryMib, Origin, VcpuCount};
use vmm::control::{self, Body, ControlError, Ended, Prepare, Rehearsed, Running, Snapshot, Stop};

use super::cgroup::Cgroup;
use crate::poll::Interests;
use crate::store::Process;
use crate::sys::clone::{self, Child, NOT_EXECUTED, Program};
use crate::sys::network;
use crate::sys::process::{Ending, reap};

/// How long a process that was killed is waited for that is nobody's child here.
const KILLED: Duration = Duration::from_secs(1);

/// Why no VMM could be started.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The binary is not where it belongs.
    #[error("{} is missing: it belongs beside ampoule; build or install all three binaries", .0.display())]
    NoVmm(PathBuf),
    /// clone3 was refused.
    #[error(
        "cannot start the VMM in namespaces of its own; as another user than root this needs \
             user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces)"
    )]
    Clone(#[source] io::Error),
    /// Anything else of the preparations.
    #[error("cannot prepare the VMM: {what}")]
    Prepare {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// The VMM's binary.
pub const VMM: &str = "ampoule-vmm";

/// Everything a VMM is started with.
#[derive(Debug)]
pub struct Launch {
    /// The binary.
    pub vmm: PathBuf,
    /// How many vCPUs.
    pub vcpus: VcpuCount,
    /// How much memory.
    pub memory: MemoryMib,
    /// The VMM's own timer.
    pub life: Life,
    /// Keep the kernel's last words.
    pub debug_console: bool,
    /// The guest waits for a task, and ends with us until it is one's.
    pub waits: bool,
    /// `/dev/kvm`.
    pub kvm: File,
    /// The kernel to boot.
    pub kernel: Option<File>,
    /// A snapshot to go on from; then the kernel is not used.
    pub snapshot: Option<File>,
    /// The root, then the workspace; `None` for a drive without a medium.
    pub drives: Vec<Option<File>>,
    /// Where host-initiated vsock connections arrive, if they may.
    pub vsock: Option<UnixListener>,
    /// The lock that says that the VMM lives, if somebody asks.
    pub lock: Option<File>,
    /// Where its own words go.
    pub stderr: File,
}

/// What the VMM's life socket said.
#[derive(Debug)]
pub enum Word {
    /// The first vCPU is about to run.
    Running(Running),
    /// The guest that waited is its task's.
    Adopted,
    /// A snapshot was written, or was not: then why.
    Snapshotted(String),
    /// No vCPU runs, or why one does not any more.
    Paused(String),
    /// The guest's memory is in its file, or why it is not.
    Parked(String),
    /// The machine ended.
    Ended(Ended),
    /// It will say nothing more.
    Closed,
}

/// A running VMM.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    kin: Kin,
    life: OwnedFd,
    connector: OwnedFd,
    ending: Option<Ending>,
}

/// Whose child the VMM is, and who ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kin {
    /// Ours.
    Child,
    /// Another process's, and ours to end.
    Adopted,
    /// Ours, and another process's to end.
    HandedOn,
}

impl Machine {
    /// Starts the VMM.
    ///
    /// # Errors
    /// As [`MachineError`] says.
    pub fn start(launch: &Launch, cgroup: Option<&Cgroup>) -> Result<Self, MachineError> {
        if !launch.vmm.is_file() {
            return Err(MachineError::NoVmm(launch.vmm.clone()));
        }
        let (life, vmm_life) = pair().map_err(prepare("its control socket"))?;
        let (connector, vmm_connector) = pair().map_err(prepare("its connector socket"))?;
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.map_err(prepare("/dev/null"))?;
        let (origin, begins_from) = match (&launch.snapshot, &launch.kernel) {
            (Some(file), _) => (Origin::Snapshot(file.as_raw_fd()), file),
            (None, Some(file)) => (Origin::Kernel(file.as_raw_fd()), file),
            (None, None) => {
                let missing = io::Error::from(io::ErrorKind::NotFound);
                return Err(prepare("what it begins from")(missing));
            }
        };
        let args = config(launch, origin, &vmm_life, &vmm_connector).to_args();
        let mut inherit: Vec<BorrowedFd<'_>> = vec![
            launch.kvm.as_fd(),
            begins_from.as_fd(),
            vmm_life.as_fd(),
            vmm_connector.as_fd(),
        ];
        inherit.extend(launch.vsock.as_ref().map(AsFd::as_fd));
        inherit.extend(launch.lock.as_ref().map(AsFd::as_fd));
        inherit.extend(launch.drives.iter().flatten().map(AsFd::as_fd));
        let argv = std::iter::once(VMM.to_owned())
            .chain(args)
            .map(CString::new);
        let argv: Result<_, _> = argv.collect();
        let path = CString::new(launch.vmm.clone().into_os_string().into_vec());
        let network = network::empty();
        let program = Program {
            path: path.map_err(prepare("its path"))?,
            argv: argv.map_err(prepare("its arguments"))?,
            env: Vec::new(),
            inherit,
            null: null.as_fd(),
            stderr: launch.stderr.as_fd(),
            cgroup: cgroup.map(Cgroup::dir),
            network: network.as_ref().map(AsFd::as_fd),
            user_namespace: !rustix::process::geteuid().is_root(),
        };
        let child = clone::spawn(&program).map_err(MachineError::Clone)?;
        Ok(Self {
            child,
            kin: Kin::Child,
            life,
            connector,
            ending: None,
        })
    }

    /// Readable when the VMM is gone.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd.as_fd()
    }

    /// All that this holds open.
    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; 3] {
        [
            self.child.pidfd.as_fd(),
            self.life.as_fd(),
            self.connector.as_fd(),
        ]
    }

    /// Readable when the VMM says something of its life.
    #[must_use]
    pub fn life(&self) -> BorrowedFd<'_> {
        self.life.as_fd()
    }

    /// Readable when the VMM asks for a connection.
    #[must_use]
    pub fn connector(&self) -> BorrowedFd<'_> {
        self.connector.as_fd()
    }

    /// The next word of its life; `None` when there is none now.
    ///
    /// # Errors
    /// A message that it should not have sent.
    pub fn word(&self) -> Result<Option<Word>, ControlError> {
        match control::receive(&self.life) {
            Ok((Body::Running(running), _)) => Ok(Some(Word::Running(running))),
            Ok((Body::Ended(ended), _)) => Ok(Some(Word::Ended(ended))),
            Ok((Body::Adopted(_), _)) => Ok(Some(Word::Adopted)),
            Ok((Body::Paused(paused), _)) => Ok(Some(Word::Paused(paused.error))),
            Ok((Body::Parked(parked), _)) => Ok(Some(Word::Parked(parked.error))),
            Ok((Body::Snapshotted(done), _)) => Ok(Some(Word::Snapshotted(done.error))),
            Ok(_) => Err(ControlError::Malformed),
            Err(ControlError::Closed) => Ok(Some(Word::Closed)),
            Err(ControlError::Io(e)) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(ControlError::Io(e)) if e.kind() == io::ErrorKind::ConnectionReset => {
                Ok(Some(Word::Closed))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks the VMM to end its guest. One that no longer listens will be killed.
    pub fn stop(&self) {
        let _ = control::send(&self.life, Body::Stop(Stop {}), None);
    }

    /// Asks the VMM to write a snapshot of its guest into an empty file.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn snapshot(&self, file: BorrowedFd<'_>) -> Result<(), ControlError> {
        control::send(&self.life, Body::Snapshot(Snapshot {}), Some(file))
    }

    /// Has the VMM note what its guest has used of the snapshot it was restored from; the second
    /// time it adds that to the snapshot.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn rehearsed(&self, file: BorrowedFd<'_>) -> Result<(), ControlError> {
        control::send(&self.life, Body::Rehearsed(Rehearsed {}), Some(file))
    }

    /// Tells the VMM of a restored guest that its first command comes now. One that does not
    /// listen will be slower.
    pub fn prepare(&self) {
        let _ = control::send(&self.life, Body::Prepare(Prepare {}), None);
    }

    /// Kills the VMM. One that is gone already is as good.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&self.child.pidfd, Signal::KILL);
    }

    /// Reaps it if it is gone.
    ///
    /// # Errors
    /// What wait4 says.
    pub fn reap(&mut self) -> io::Result<bool> {
        if self.ending.is_none() {
            self.ending = match self.kin {
                Kin::Adopted => handover::ending(&self.child.pidfd)?,
                Kin::Child | Kin::HandedOn => reap(self.child.pid, false)?,
            };
        }
        Ok(self.ending.is_some())
    }

    /// How it ended, once it was reaped.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Whether it never became the VMM.
    #[must_use]
    pub fn was_not_executed(&self) -> bool {
        self.ending
            .and_then(|ending| ending.status)
            .is_some_and(|status| status.code() == Some(NOT_EXECUTED))
    }

    /// For the record.
    #[must_use]
    pub fn process(&self, cgroup: Option<&Cgroup>, cgroup_note: Option<String>) -> Process {
        let vmm_pid = u32::try_from(self.child.pid).unwrap_or_default();
        Process {
            supervisor_pid: std::process::id(),
            vmm_pid,
            vmm_start_ticks: start_ticks(vmm_pid).unwrap_or_default(),
            cgroup: cgroup.map(|cgroup| cgroup.path().to_owned()),
            cgroup_note,
        }
    }
}

impl Drop for Machine {
    /// Whatever went wrong, and whatever a VMM says: none outlives our interest in it.
    fn drop(&mut self) {
        if self.ending.is_none() && self.kin != Kin::HandedOn {
            self.kill();
            if reap(self.child.pid, true).is_err() {
                // Another's child, or a copy of its parent does this, and its parent is gone.
                let mut gone = Interests::new();
                gone.read(self.child.pidfd.as_fd(), ());
                let _ = gone.wait(Some(Instant::now() + KILLED));
            }
        }
    }
}

fn prepare<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> MachineError {
    move |source| MachineError::Prepare {
        what,
        source: source.into(),
    }
}

/// Our end, which never blocks, and the VMM's, which is as the VMM makes it.
fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let (ours, theirs) = socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

fn config(launch: &Launch, origin: Origin, life: &OwnedFd, connector: &OwnedFd) -> Config {
    Config {
        vcpus: launch.vcpus,
        memory: launch.memory,
        life: launch.life,
        debug_console: launch.debug_console,
        waits: launch.waits,
        descriptors: Descriptors {
            kvm: launch.kvm.as_raw_fd(),
            origin,
            control: life.as_raw_fd(),
            connector: connector.as_raw_fd(),
            vsock: launch.vsock.as_ref().map(AsRawFd::as_raw_fd),
            drives: launch
                .drives
                .iter()
                .map(|drive| drive.as_ref().map(AsRawFd::as_raw_fd))
                .collect(),
        },
    }
}

/// When the process `pid` started, in clock ticks after boot: field 22 of proc(5)'s stat, which
/// is counted after the parenthesis that ends the name.
#[must_use]
pub fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_the_start_time_of_its_birth() {
        let own = start_ticks(std::process::id()).unwrap();
        let child = std::process::Command::new("sleep")
            .arg("0.2")
            .spawn()
            .unwrap();
        let later = start_ticks(child.id()).unwrap();
        assert!(later >= own && own > 0);
        assert_eq!(start_ticks(u32::MAX), None);
        drop(child.wait_with_output());
    }
}
