// SPDX-License-Identifier: Apache-2.0
//! A task from its request to its record: everything is checked and opened, the record written,
//! the VMM run to its end, what it held freed.
//!
//! The order is what makes it safe for many `ampoule` at once and for one that dies anywhere:
//!
//! 1. Checks and opened files: whatever can be known to fail does so here, and leaves nothing.
//! 2. The runtime folder with the supervisor's lock: from here on the task is seen to live.
//! 3. The record. Without it there is no VM.
//! 4. The VMM, in its cgroup, and the loop.
//! 5. The record's end. From here on the task has ended for everybody.
//! 6. What it held, taken away by a process that nobody waits for ([`super::reaper`]).

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vmm::config::{ConfigError, Life, MemoryMib, VcpuCount};

use super::cgroup::Cgroup;
use super::clients::Clients;
use super::files::Files;
use super::gate::{self, Gate};
use super::kvm::KvmError;
use super::machine::{Launch, Machine, MachineError};
use super::reaper::Holdings;
use super::run::{Finished, Job, Notice, Streams, VMM_MARGIN};
use super::{holdings, locks, run};
use crate::cli::chain;
use crate::folders::{self, FolderError, Folders};
use crate::gate::client::ClientError;
use crate::image::ImageError;
use crate::image::workspace::WorkspaceError;
use crate::logs::LogWriter;
use crate::pool::take::Taken;
use crate::sockets;
use crate::stdio::Terminal;
use crate::store::{Store, StoreError};
use crate::sys::signals::Signals;
use crate::task::{End, How, Kind as EndKind, Outcome, Spec, Start, TaskId, code};
use crate::template::make::Request;
use crate::template::{self, Cold, Key, Templates};

/// Records and logs are kept so long unless somebody prunes them sooner.
pub const RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Records removed by one run at most, so that none pays for many.
const PRUNED_AT_ONCE: usize = 16;

/// Ids tried before giving up.
const IDS: u32 = 16;

/// Why a task could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// This host cannot run guests.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// Kernel or image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The workspace.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A number that the VMM does not take.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nobody can judge what it would do.
    #[error(transparent)]
    Gate(#[from] ClientError),
    /// The VMM.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// The kernel does not fit.
    #[error(
        "{given}M of memory is too small for this kernel; give it at least {least}M with --memory"
    )]
    Memory {
        /// Asked for.
        given: u32,
        /// Needed.
        least: u64,
    },
    /// Something of the task's own folders.
    #[error("cannot {what} in {}", path.display())]
    Prepare {
        /// What was being done.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// How the command's streams and our signals are connected.
#[derive(Debug)]
pub struct Front {
    /// Where the command's streams go.
    pub streams: Streams,
    /// The terminal it belongs to.
    pub terminal: Option<Terminal>,
    /// Signals of this process.
    pub signals: Signals,
    /// Whether they are for the command.
    pub forward_signals: bool,
}

/// A task that is recorded and about to run.
#[derive(Debug)]
pub struct Task<'a> {
    folders: &'a Folders,
    store: &'a Store,
    /// Its id.
    pub id: TaskId,
    holds: Holdings,
}

impl<'a> Task<'a> {
    /// Makes the task's folder and its record, after clearing away what others left.
    ///
    /// # Errors
    /// As [`TaskError`] says; nothing is left.
    pub fn record(
        folders: &'a Folders,
        store: &'a Store,
        spec: &Spec,
        files: &mut Files,
    ) -> Result<Self, TaskError> {
        crate::cli::sweep(store, folders);
        prune(folders, store, RETENTION, PRUNED_AT_ONCE)?;
        folders.make_runtime()?;
        files.take_from_pool(folders);
        let (id, holds) = match taken_folder(folders, files) {
            Some(taken) => taken,
            None => own_folder(folders)?,
        };
        let task = Self {
            folders,
            store,
            id,
            holds,
        };
        store
            .insert(&task.id, spec, &task.holds.runtime)
            // A guest that waited has its log already.
            .inspect_err(|_| drop(fs::remove_dir_all(folders.task(task.id.as_str()))))?;
        Ok(task)
    }

    /// Runs it. Its end is recorded, whatever it is; what it held is still there.
    ///
    /// # Errors
    /// When its VMM could not be started.
    pub fn run(
        &mut self,
        spec: &Spec,
        files: Files,
        front: Front,
        on_start: &mut dyn FnMut(&TaskId),
    ) -> Result<Finished, TaskError> {
        let result = self.run_machine(spec, files, front, on_start);
        let outcome = match &result {
            Ok((finished, _)) => finished.outcome.clone(),
            Err(error) => {
                let detail = crate::cli::chain(error);
                Outcome::new(code::FAILED, End::new(EndKind::HostFailed, detail))
            }
        };
        if let Err(error) = self.store.finish(&self.id, &outcome) {
            // The command's end is known and counts; the next command will record that it is gone.
            eprintln!(
                "ampoule: the task's end is not recorded: {}",
                crate::cli::chain(&error)
            );
        }
        let (finished, machine) = result?;
        self.holds.machine = Some(machine);
        Ok(finished)
    }

    /// Frees what it held, which takes a moment.
    pub fn free(self) {
        self.holds.free();
    }

    /// Has what it held freed by a process of its own. To be called while this one has one
    /// thread.
    pub fn leave(self) {
        self.holds.leave();
    }

    fn run_machine(
        &mut self,
        spec: &Spec,
        mut files: Files,
        front: Front,
        on_start: &mut dyn FnMut(&TaskId),
    ) -> Result<(Finished, Machine), TaskError> {
        // First of all: the verdict is found while the guest is made.
        let gate = self.begin(spec)?;
        let folder = self.folders.task(self.id.as_str());
        folders::make_private(&folder)?;
        let log = LogWriter::create(&folder).map_err(prepare("write the log", &folder))?;
        let mut spec = spec.clone();
        let own = std::mem::take(&mut spec.env);
        spec.env = files.env.iter().cloned().chain(own).collect();
        let mut origin = Origin::of(self.folders, &spec, &files);
        let taken = files.taken.take();
        let (launch, cold) = self.launch(&spec, files, &folder, taken.is_some())?;
        say_if_a_fault(cold.as_ref());
        origin.cold = cold;
        let api = sockets::listener(&self.holds.runtime.join(sockets::API));
        let clients = api
            .and_then(Clients::new)
            .map_err(prepare("listen", &self.holds.runtime))?;
        let cgroup_note = self.make_cgroup(&spec, taken.as_ref());
        let job = Job {
            id: &self.id,
            spec: &spec,
            launch,
            taken,
            folder: self.holds.runtime.clone(),
            scratch: folder.clone(),
            is_copy: spec.copy_of.is_some(),
            gate,
            clients,
            cgroup: self.holds.cgroup.as_ref(),
            cgroup_note,
            streams: front.streams,
            terminal: front.terminal,
            signals: front.signals,
            forward_signals: front.forward_signals,
            log: Some(log),
        };
        let (store, id) = (self.store, &self.id);
        let mut failure = None;
        let (mut finished, machine) = run::run(job, &mut |notice| match notice {
            Notice::Cloned(process) => failure = store.running(id, &process).err(),
            Notice::Refused(why) => origin.refused(why),
            Notice::NoPool(why) => origin.not_pooled(why),
            Notice::Started => {
                on_start(id);
                origin.want_template();
            }
        })?;
        finished.outcome.start = Some(origin.start());
        if let Some(error) = failure {
            eprintln!(
                "ampoule: the task's process is not recorded: {}",
                crate::cli::chain(&error)
            );
        }
        if !finished.console.is_empty() {
            let _ = fs::write(folder.join("console.log"), &finished.console);
        }
        Ok((finished, machine))
    }

    /// Tells the policy loop of the task. The commands of a copy run already.
    fn begin(&self, spec: &Spec) -> Result<Gate, TaskError> {
        let words = (spec.argv.as_slice(), spec.env.as_slice());
        let command = gate::root(u64::from(run::MAIN), "run", words, spec.workdir.as_ref());
        let command = Some(command).filter(|_| spec.copy_of.is_none());
        Ok(Gate::begin(self.folders, &self.id, spec, command)?)
    }

    /// What the VMM is started with, and why it has to boot if it has.
    fn launch(
        &self,
        spec: &Spec,
        files: Files,
        folder: &Path,
        taken: bool,
    ) -> Result<(Launch, Option<Cold>), TaskError> {
        let runtime = &self.holds.runtime;
        // A guest that waited has them already.
        let (vsock, lock) = match taken {
            true => (None, None),
            false => {
                let vsock = sockets::listener(&runtime.join(sockets::VSOCK));
                let lock = locks::take(runtime, locks::VMM);
                let vsock = vsock.map_err(prepare("listen", runtime))?;
                (
                    Some(vsock),
                    Some(lock.map_err(prepare("make a lock", runtime))?),
                )
            }
        };
        let mut log = File::options();
        let stderr = log
            .append(true)
            .create(true)
            .mode(0o600)
            .open(folder.join("vmm.log"));
        let (snapshot, cold) = match files.snapshot {
            Ok(snapshot) => (Some(snapshot), None),
            Err(cold) => (None, Some(cold)),
        };
        let launch = Launch {
            vmm: files.vmm,
            vcpus: VcpuCount::try_from(u64::from(spec.resources.cpus))?,
            memory: MemoryMib::try_from(u64::from(spec.resources.memory_mib))?,
            life: Life::try_from(spec.ttl() + VMM_MARGIN)?,
            debug_console: spec.debug_console,
            waits: false,
            kvm: files.kvm,
            kernel: files.kernel,
            snapshot,
            drives: files.drives,
            vsock,
            lock,
            stderr: stderr.map_err(prepare("write vmm.log", folder))?,
        };
        Ok((launch, cold))
    }

    /// The task's cgroup, or a note why it has none. A guest that waited has been in its own.
    fn make_cgroup(&mut self, spec: &Spec, taken: Option<&Taken>) -> Option<String> {
        if let Some(taken) = taken {
            return taken.cgroup_note.clone();
        }
        let (cgroup, note) = holdings::make_cgroup(&self.holds.runtime, &self.id, &spec.resources);
        self.holds.cgroup = cgroup;
        note
    }
}

/// What a guest begins from, and what is to follow from that.
struct Origin<'a> {
    folders: &'a Folders,
    spec: &'a Spec,
    /// Of its template; a copy has none.
    key: Option<Key>,
    /// Why it boots, if it does.
    cold: Option<Cold>,
    /// It waited in a pool.
    pooled: bool,
    /// Why it did not, though there is one.
    no_pool: Option<String>,
}

impl<'a> Origin<'a> {
    fn of(folders: &'a Folders, spec: &'a Spec, files: &Files) -> Self {
        Self {
            folders,
            spec,
            key: files.key.clone(),
            cold: None,
            pooled: files.taken.is_some(),
            no_pool: files.no_pool.clone(),
        }
    }

    /// The VMM did not take the template.
    fn refused(&mut self, why: String) {
        if let Some(key) = &self.key {
            Templates::new(self.folders).remove(key);
        }
        self.cold = Some(Cold::Refused(why));
        say_if_a_fault(self.cold.as_ref());
    }

    /// The guest from the pool was of no use.
    fn not_pooled(&mut self, why: String) {
        (self.pooled, self.no_pool) = (false, Some(why));
    }

    /// Has a template made where the next such task would miss one.
    fn want_template(&self) {
        if self.cold.as_ref().is_some_and(Cold::wants_template) {
            let (image, resources) = (self.spec.image.clone(), self.spec.resources.clone());
            template::make::in_background(&Request { image, resources });
        }
    }

    fn start(&self) -> Start {
        let how = match &self.cold {
            _ if self.pooled => How::Pool,
            Some(_) => How::Cold,
            None if self.spec.copy_of.is_some() => How::Copied,
            None => How::Restored,
        };
        let why = self.no_pool.iter().cloned();
        let why: Vec<_> = why.chain(self.cold.iter().map(|c| chain(c))).collect();
        let why = Some(why.join("; ")).filter(|why| !why.is_empty());
        Start { how, why }
    }
}

/// Says why a task boots though it should have started from a template.
fn say_if_a_fault(cold: Option<&Cold>) {
    if let Some(cold) = cold.filter(|cold| cold.is_a_fault()) {
        eprintln!("ampoule: the guest boots: {}", crate::cli::chain(cold));
    }
}

pub(crate) fn prepare(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TaskError {
    let path = path.to_owned();
    move |source| TaskError::Prepare { what, path, source }
}

/// The folder of the guest that was taken, now this task's, with its cgroup; none if there was no
/// such guest, or if its pool takes it away.
fn taken_folder(folders: &Folders, files: &mut Files) -> Option<(TaskId, Holdings)> {
    let id = files.taken.as_ref()?.id.clone();
    let runtime = folders.sockets(id.as_str());
    match locks::take(&runtime, locks::SUPERVISOR) {
        Ok(lock) => {
            let cgroup = holdings::cgroups(&runtime, &id, None).pop();
            let holds = Holdings {
                cgroup: cgroup.and_then(|path| Cgroup::open(path).ok()),
                runtime,
                machine: None,
                lock,
            };
            Some((id, holds))
        }
        Err(error) => {
            files.taken = None;
            files.no_pool = Some(format!("the guest from the pool is gone: {error}"));
            None
        }
    }
}

fn own_folder(folders: &Folders) -> Result<(TaskId, Holdings), TaskError> {
    let (id, runtime) = new_folder(folders)?;
    let lock = locks::take(&runtime, locks::SUPERVISOR).map_err(|source| {
        let _ = fs::remove_dir_all(&runtime);
        prepare("make a lock", &runtime)(source)
    })?;
    let holds = Holdings {
        runtime,
        cgroup: None,
        machine: None,
        lock,
    };
    Ok((id, holds))
}

pub(crate) fn new_folder(folders: &Folders) -> Result<(TaskId, PathBuf), TaskError> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..IDS {
        let id = TaskId::random().map_err(prepare("make an id", &folders.runtime))?;
        let path = folders.sockets(id.as_str());
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok((id, path)),
            Err(error) => last = error,
        }
    }
    Err(prepare("make a folder", &folders.runtime)(last))
}

/// Removes records and logs of tasks that ended longer ago than `age`, at most `most`; how many.
///
/// # Errors
/// When the store cannot be used.
pub fn prune(
    folders: &Folders,
    store: &Store,
    age: Duration,
    most: usize,
) -> Result<usize, StoreError> {
    let mut removed = 0;
    for id in store.older_than(age)?.iter().take(most) {
        let _ = fs::remove_dir_all(folders.task(id));
        removed += usize::from(store.remove(id)?);
    }
    Ok(removed)
}
