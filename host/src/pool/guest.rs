// SPDX-License-Identifier: Apache-2.0
//! One guest that waits: restored, with all that a task's guest has on the host.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use protocol::ports;
use rustix::process::{Pid, geteuid, setpriority_process};
use vmm::config::{Life, MemoryMib, VcpuCount};

use super::serve::PoolError;
use super::wire::{self, Answer};
use crate::folders::{Folders, make_private};
use crate::image::{Catalogue, KERNEL, Kind};
use crate::sockets;
use crate::supervise::connector::Connector;
use crate::supervise::files::vmm_binary;
use crate::supervise::machine::{Launch, Machine, Word};
use crate::supervise::task::{new_folder, prepare};
use crate::supervise::{cgroup, holdings, kvm, locks};
use crate::task::{Resources, TaskId};
use crate::template::make::{Made, Request, in_background, make};
use crate::template::{Cold, Key, Templates};

/// How old a guest may become that nobody takes; then another takes its place. What it is made
/// from ends it at an hour.
pub const OLDEST: Duration = Duration::from_secs(50 * 60);

/// How much later its VMM ends it, whatever became of us.
const MARGIN: Duration = Duration::from_secs(60);

/// How soon to look again whether another process has made its template.
const AGAIN: Duration = Duration::from_millis(200);

/// How willingly a guest that is being restored gives way to tasks.
const NICE: i32 = 10;

/// What the guests of a pool are made from.
#[derive(Debug)]
pub struct Source<'a> {
    /// Where things lie.
    pub folders: &'a Folders,
    /// The image's name.
    pub image: String,
    /// Of each guest.
    pub resources: Resources,
    /// How old each becomes.
    pub age: Duration,
    /// Of their template.
    pub key: Key,
    vmm: PathBuf,
}

/// A guest that waits, or will.
#[derive(Debug)]
pub struct Waiting {
    id: TaskId,
    runtime: PathBuf,
    logs: PathBuf,
    /// Gone when it is somebody's.
    machine: Option<Machine>,
    connector: Connector,
    control: Option<OwnedFd>,
    agent: Option<OwnedFd>,
    runs: bool,
    /// When it was started.
    pub since: Instant,
    cgroup: Option<PathBuf>,
    cgroup_note: Option<String>,
}

impl<'a> Source<'a> {
    /// Looks at image, kernel and VMM as they are now.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn find(
        folders: &'a Folders,
        image: &str,
        resources: &Resources,
    ) -> Result<Self, PoolError> {
        let catalogue = Catalogue::new(folders);
        let (kernel, _) = catalogue.open(KERNEL, Kind::Kernel)?;
        let (is, _) = catalogue.open(image, Kind::Image)?;
        let vmm = vmm_binary()?;
        let digests = (is.sha256.as_str(), kernel.sha256.as_str());
        let key = Key::new(digests, resources, &vmm).map_err(prepare("look at", &vmm))?;
        Ok(Self {
            folders,
            image: image.to_owned(),
            resources: resources.clone(),
            age: OLDEST,
            key,
            vmm,
        })
    }

    /// Whether tasks still look for guests of this kind.
    ///
    /// # Errors
    /// As [`Source::find`].
    pub fn is_current(&self) -> Result<bool, PoolError> {
        let now = Self::find(self.folders, &self.image, &self.resources)?;
        Ok(now.key == self.key)
    }

    /// Has their template made, unless there is one.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make_template(&self) -> Result<(), PoolError> {
        let request = self.request();
        while make(self.folders, &request)? == Made::Elsewhere {
            std::thread::sleep(AGAIN);
        }
        Ok(())
    }

    fn request(&self) -> Request {
        Request {
            image: self.image.clone(),
            resources: self.resources.clone(),
        }
    }

    /// Whether there is a template.
    ///
    /// # Errors
    /// None can be made.
    pub fn has_template(&self) -> Result<bool, PoolError> {
        match Templates::new(self.folders).open(&self.key) {
            Ok(_) => Ok(true),
            Err(Cold::Failed(why)) => Err(PoolError::Useless(why)),
            Err(_) => Ok(false),
        }
    }

    /// Has it made meanwhile, by a child whose process id this is.
    pub fn want_template(&self) -> Option<i32> {
        in_background(&self.request())
    }

    /// Removes a template that turned out to be of no use.
    pub fn remove_template(&self) {
        Templates::new(self.folders).remove(&self.key);
    }

    fn launch(&self, runtime: &std::path::Path, stderr: File) -> Result<Launch, PoolError> {
        let (_, root) = Catalogue::new(self.folders).open(&self.image, Kind::Image)?;
        let snapshot = Templates::new(self.folders).open(&self.key);
        let vsock = sockets::listener(&runtime.join(sockets::VSOCK));
        let lock = locks::take(runtime, locks::VMM);
        Ok(Launch {
            vmm: self.vmm.clone(),
            vcpus: VcpuCount::try_from(u64::from(self.resources.cpus))?,
            memory: MemoryMib::try_from(u64::from(self.resources.memory_mib))?,
            life: Life::try_from(self.age.saturating_add(MARGIN))?,
            debug_console: false,
            waits: true,
            kvm: kvm::open()?,
            kernel: None,
            snapshot: Some(snapshot?),
            drives: vec![Some(root), None],
            vsock: Some(vsock.map_err(prepare("listen", runtime))?),
            lock: Some(lock.map_err(prepare("make a lock", runtime))?),
            stderr,
        })
    }
}

impl Waiting {
    /// Starts one.
    ///
    /// # Errors
    /// Something of it is not to be had; nothing is left.
    pub fn start(source: &Source<'_>) -> Result<Self, PoolError> {
        source.folders.make_runtime()?;
        let (id, runtime) = new_folder(source.folders)?;
        let mut guest = Self {
            logs: source.folders.task(id.as_str()),
            connector: Connector::new(&runtime),
            id,
            runtime,
            machine: None,
            control: None,
            agent: None,
            runs: false,
            since: Instant::now(),
            cgroup: None,
            cgroup_note: None,
        };
        // From here on its end takes away what there is of it.
        let mark = guest.runtime.join(holdings::POOL);
        fs::write(&mark, source.key.name()).map_err(prepare("write", &mark))?;
        make_private(&guest.logs)?;
        let mut log = File::options();
        let log = log.append(true).create(true).mode(0o600);
        let log = log.open(guest.logs.join("vmm.log"));
        let log = log.map_err(prepare("write vmm.log", &guest.logs))?;
        let launch = source.launch(&guest.runtime, log)?;
        let (cgroup, note) = holdings::make_cgroup(&guest.runtime, &guest.id, &source.resources);
        guest.cgroup = cgroup.as_ref().map(|cgroup| cgroup.path().to_owned());
        guest.cgroup_note = note;
        guest.machine = Some(Machine::start(&launch, cgroup.as_ref())?);
        Ok(guest)
    }

    /// Whether it can be taken.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.runs && self.control.is_some() && self.agent.is_some()
    }

    /// Readable when it has something to say, or is gone.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let machine = self.machine.iter();
        machine.flat_map(|machine| machine.handles().into_iter())
    }

    /// Takes in what its VMM says; an error is its end.
    ///
    /// # Errors
    /// Why it is of no use.
    pub fn turn(&mut self) -> Result<(), String> {
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        loop {
            match machine.word().map_err(|error| error.to_string())? {
                Some(Word::Running(_)) => {
                    self.runs = true;
                    // What a first command will want is there before there is one.
                    machine.prepare();
                }
                Some(Word::Ended(ended)) => return Err(ended.detail),
                Some(Word::Closed) => return Err("its VMM is gone".to_owned()),
                Some(_) => return Err("its VMM made no sense".to_owned()),
                None => break,
            }
        }
        if machine.reap().map_err(|error| error.to_string())? {
            return Err("its VMM is gone".to_owned());
        }
        let asked = self.connector.answer(machine.connector());
        for new in asked.map_err(|error| error.to_string())? {
            match new.port {
                ports::CONTROL if self.control.is_none() => self.control = Some(new.socket),
                ports::AGENT if self.agent.is_none() => self.agent = Some(new.socket),
                _ => return Err("its snapshot has other connections".to_owned()),
            }
        }
        Ok(())
    }

    /// Has it give way to tasks while it is restored, or not any more. For root: nobody else can
    /// take it back.
    pub fn give_way(&self, gives: bool) {
        let Some(machine) = self.machine.as_ref().filter(|_| geteuid().is_root()) else {
            return;
        };
        let nice = if gives { NICE } else { 0 };
        let process = format!("/proc/{}", machine.pid());
        // Its threads among each other, and its session among others (sched(7), autogroup). Where
        // that fails it is as hurried as a task is.
        let _ = fs::write(format!("{process}/autogroup"), nice.to_string());
        let threads = fs::read_dir(format!("{process}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let id = thread.file_name();
            let id = id.to_str().and_then(|id| id.parse().ok());
            if let Some(id) = id.and_then(Pid::from_raw) {
                let _ = setpriority_process(Some(id), nice);
            }
        }
    }

    /// Ends it; what it held goes with this.
    pub fn kill(&self) {
        self.machine.iter().for_each(Machine::kill);
    }

    /// Gives it to whoever asked; what it was, for the time until its task runs.
    ///
    /// # Errors
    /// It stays here.
    pub fn hand_over(&mut self, to: &OwnedFd) -> io::Result<Handed> {
        let none = || io::Error::from(io::ErrorKind::NotConnected);
        let machine = self.machine.as_ref().ok_or_else(none)?;
        let [pidfd, life, connector] = machine.handles();
        let control = self.control.as_ref().ok_or_else(none)?.as_fd();
        let agent = self.agent.as_ref().ok_or_else(none)?.as_fd();
        let answer = Answer::Guest {
            id: self.id.clone(),
            cgroup_note: self.cgroup_note.clone(),
        };
        wire::send(to, &answer, &[pidfd, life, connector, control, agent])?;
        let pid = self.machine.take().map_or(0, Machine::hand_on);
        Ok(Handed {
            pid,
            id: self.id.clone(),
            runtime: self.runtime.clone(),
            logs: self.logs.clone(),
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Without its machine it was handed over, or never had one.
        let handed = self.machine.is_none() && self.runs;
        if handed {
            return;
        }
        self.machine = None;
        if let Some(path) = &self.cgroup {
            let _ = cgroup::destroy(path);
        }
        let _ = fs::remove_dir_all(&self.runtime);
        let _ = fs::remove_dir_all(&self.logs);
    }
}

/// A guest that was given away.
#[derive(Debug)]
pub struct Handed {
    /// Its VMM, our child.
    pub pid: i32,
    id: TaskId,
    runtime: PathBuf,
    logs: PathBuf,
}

impl Handed {
    /// The connection of who took it has closed. If it is nobody's task by then, it never will be.
    pub fn settle(self) {
        if let Ok(_lock) = locks::take(&self.runtime, locks::SUPERVISOR) {
            holdings::free(&self.runtime, &self.id, None);
            let _ = fs::remove_dir_all(&self.logs);
        }
    }
}
