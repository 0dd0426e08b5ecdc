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

mod origin;

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
use super::{holdings, locks, planned, run};
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
use crate::task::{End, Kind as EndKind, Outcome, Spec, TaskId, code};
use crate::template::Cold;
use origin::{Origin, say_if_a_fault};

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
        // A guest does not wait while people think about a plan.
        if spec.plan.is_none() {
            files.take_from_pool(folders);
        }
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

    /// Runs it. Its end is recorded, whatever it is; what it held is still there. `on_news` is
    /// called when the command runs, and before that when people are asked whether it may.
    ///
    /// # Errors
    /// When its VMM could not be started.
    pub fn run(
        &mut self,
        spec: &Spec,
        files: Files,
        front: Front,
        on_news: &mut dyn FnMut(&TaskId),
    ) -> Result<Finished, TaskError> {
        let result = self.run_machine(spec, files, front, on_news);
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
        self.holds.machine = machine;
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
        files: Files,
        front: Front,
        on_news: &mut dyn FnMut(&TaskId),
    ) -> Result<(Finished, Option<Machine>), TaskError> {
        // First of all: the verdict is found while the guest is made, that on a plan before.
        let gate = self.begin(spec)?;
        let api = sockets::listener(&self.holds.runtime.join(sockets::API));
        let clients = api
            .and_then(Clients::new)
            .map_err(prepare("listen", &self.holds.runtime))?;
        let (signals, id) = (&front.signals, &self.id);
        let judged = planned::judge((gate, clients), spec, signals, &mut || on_news(id));
        let (gate, clients) = match judged {
            Ok(judged) => judged,
            Err(outcome) => return Ok((Finished::before(*outcome), None)),
        };
        let given = (files, gate, clients);
        let (finished, machine) = self.run_judged(spec, given, front, on_news)?;
        Ok((finished, Some(machine)))
    }

    fn run_judged(
        &mut self,
        spec: &Spec,
        (mut files, gate, clients): (Files, Gate, Clients),
        front: Front,
        on_news: &mut dyn FnMut(&TaskId),
    ) -> Result<(Finished, Machine), TaskError> {
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
            Notice::Waits => on_news(id),
            Notice::Started => {
                on_news(id);
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
        let command = Some(command).filter(|_| spec.copy_of.is_none() && spec.plan.is_none());
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
