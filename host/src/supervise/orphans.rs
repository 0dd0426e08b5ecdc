// SPDX-License-Identifier: Apache-2.0
//! Tasks whose supervisor was killed: found by the next command, recorded as ended once their
//! guest is gone too, and what they held is freed. So is what a task held whose end is recorded
//! and whose reaper was killed.
//!
//! A guest without its supervisor goes on until its TTL, which guest-init and the VMM's timer
//! hold without us; or until `ampoule kill`.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{cgroup, holdings, locks, machine};
use crate::folders::Folders;
use crate::gate::left;
use crate::store::{Process, Store, StoreError, Task, now_ms};
use crate::task::{By, End, Kind, Outcome, TaskId, code};

/// How old a folder without a record must be before it is nobody's: far longer than the moment
/// between a task's folder and its record.
const STRAY: Duration = Duration::from_secs(10);

/// Where a task stands that is recorded as not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Somebody watches it.
    Supervised,
    /// Its guest runs, and nobody watches.
    Unwatched,
    /// Everything of it is gone.
    Gone,
}

/// Where a task stands.
#[must_use]
pub fn standing(task: &Task) -> Standing {
    let held = |name| locks::is_held(&task.runtime, name).unwrap_or(true);
    if held(locks::SUPERVISOR) {
        Standing::Supervised
    } else if held(locks::VMM) || task.process.as_ref().is_some_and(lives) {
        Standing::Unwatched
    } else {
        Standing::Gone
    }
}

/// Whether the VMM of that record is still the process of its number. Its lock file may be gone:
/// a session's runtime folder goes with the session.
fn lives(process: &Process) -> bool {
    let ticks = machine::start_ticks(process.vmm_pid);
    process.vmm_start_ticks > 0 && ticks == Some(process.vmm_start_ticks)
}

/// Frees what every task that is gone held, and records its end. Everything is freed that can be,
/// whatever cannot be recorded.
///
/// # Errors
/// The first record that could not be read or written.
pub fn sweep(store: &Store, folders: &Folders) -> Result<(), StoreError> {
    let mut failure = None;
    let alive = store.alive()?;
    for task in &alive {
        if standing(task) == Standing::Gone {
            failure = failure.or(bury(store, folders, task).err());
        }
    }
    let is_alive = |id: &TaskId| alive.iter().any(|task| task.id == *id);
    strays(store, folders, is_alive);
    failure.map_or(Ok(()), Err)
}

fn bury(store: &Store, folders: &Folders, task: &Task) -> Result<(), StoreError> {
    free(task);
    let outcome = outcome(task, now_ms());
    // It may have ended in good order between the look at the store and the look at the lock.
    if store.has_ended(task.id.as_str())? != Some(true) {
        close(folders, task, &outcome);
    }
    store.finish(&task.id, &outcome)
}

/// What cannot be closed now ends with its deadline.
fn close(folders: &Folders, task: &Task, outcome: &Outcome) {
    let why = outcome.end.detail.as_deref().unwrap_or("the task is gone");
    let _ = left::close(folders, &task.id, (outcome.code, why));
}

/// Frees the folders of tasks whose supervisor was killed before there was a record, and of
/// those whose reaper was killed after it was closed.
fn strays(store: &Store, folders: &Folders, is_alive: impl Fn(&TaskId) -> bool) {
    let entries = std::fs::read_dir(&folders.runtime)
        .into_iter()
        .flatten()
        .flatten();
    for entry in entries {
        let id: Option<TaskId> = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(id) = id.filter(|id| !is_alive(id)) else {
            continue;
        };
        let path = entry.path();
        let held = |name| locks::is_held(&path, name).unwrap_or(true);
        let age = || entry.metadata().and_then(|meta| meta.modified()).ok();
        let old = || age().and_then(|then| then.elapsed().ok()) >= Some(STRAY);
        // The locks last: who ends a task records that before it lets go of them.
        match store.has_ended(id.as_str()) {
            Ok(Some(true)) if !held(locks::SUPERVISOR) && !held(locks::REAPER) => {
                kill_holder(&path);
                holdings::free(&path, &id, None);
            }
            Ok(None) if old() && !held(locks::SUPERVISOR) && !held(locks::VMM) => {
                holdings::free(&path, &id, None);
                // A guest that waited in a pool has this without a record.
                let _ = std::fs::remove_dir_all(folders.task(id.as_str()));
            }
            _ => {}
        }
    }
}

/// What can be said of a task that nobody saw ending.
fn outcome(task: &Task, now_ms: i64) -> Outcome {
    let lived = u64::try_from(now_ms.saturating_sub(task.created_ms)).unwrap_or(0);
    if lived >= task.spec.ttl_ms {
        let detail = "its supervisor was killed; the task was ended by its TTL at the latest";
        let end = End {
            by: Some(By::Vmm),
            ..End::new(Kind::SupervisorKilled, detail)
        };
        return Outcome::new(code::TTL, end);
    }
    let detail = "its supervisor was killed, and its guest ended before its TTL";
    Outcome::new(code::FAILED, End::new(Kind::SupervisorKilled, detail))
}

fn free(task: &Task) {
    holdings::free(&task.runtime, &task.id, recorded_cgroup(task));
}

fn recorded_cgroup(task: &Task) -> Option<&Path> {
    task.process.as_ref()?.cgroup.as_deref()
}

/// Why a task that nobody watches is not recorded as killed.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// Its VMM lives.
    #[error("the VMM of task {0} could not be killed; it ends with its TTL at the latest")]
    Alive(TaskId),
    /// The record.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends a task that nobody watches, and records it as killed.
///
/// # Errors
/// As [`KillError`] says; a task whose VMM lives keeps its record and its locks.
pub fn kill(store: &Store, folders: &Folders, task: &Task) -> Result<(), KillError> {
    let give_up = Instant::now() + Duration::from_secs(2);
    while standing(task) == Standing::Unwatched {
        if Instant::now() >= give_up {
            return Err(KillError::Alive(task.id.clone()));
        }
        kill_vmm(task);
        std::thread::sleep(Duration::from_millis(5));
    }
    free(task);
    let end = End::new(
        Kind::Killed,
        "the task was killed after its supervisor had been",
    );
    let outcome = Outcome::new(code::KILLED, end);
    close(folders, task, &outcome);
    Ok(store.finish(&task.id, &outcome)?)
}

/// By its cgroup, which takes all of it, by its recorded process, and by its lock.
fn kill_vmm(task: &Task) {
    for path in holdings::cgroups(&task.runtime, &task.id, recorded_cgroup(task)) {
        cgroup::kill(&path);
    }
    match &task.process {
        Some(process) => {
            let pid = i32::try_from(process.vmm_pid).unwrap_or_default();
            kill_process(pid, || lives(process));
        }
        None => {
            for pid in holdings::vmms(&task.runtime) {
                kill_process(pid, || holdings::is_vmm(&task.runtime, pid));
            }
        }
    }
}

/// Kills the VMM that holds the lock in `runtime`, if one does.
pub(crate) fn kill_holder(runtime: &Path) {
    if !locks::is_held(runtime, locks::VMM).unwrap_or(true) {
        return;
    }
    for pid in holdings::vmms(runtime) {
        kill_process(pid, || holdings::is_vmm(runtime, pid));
    }
}

/// Kills the process `pid` if it is the one that is meant.
fn kill_process(pid: i32, is_meant: impl Fn() -> bool) {
    // The descriptor first, then the look at whose it is: the number cannot change hands between.
    let pidfd = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    if let Some(pidfd) = pidfd
        && is_meant()
    {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{State, sample};

    fn task(runtime: &Path, process: Option<Process>) -> Task {
        Task {
            id: "0000aaaa".parse().unwrap(),
            created_ms: 1000,
            deadline_ms: 603_000,
            runtime: runtime.to_owned(),
            process,
            ..sample::task(None)
        }
    }

    #[test]
    fn locks_tell_who_lives() {
        let dir = tempfile::tempdir().unwrap();
        let supervisor = locks::take(dir.path(), locks::SUPERVISOR).unwrap();
        let vmm = locks::take(dir.path(), locks::VMM).unwrap();
        let task = task(dir.path(), None);
        assert_eq!(standing(&task), Standing::Supervised);
        drop(supervisor);
        assert_eq!(standing(&task), Standing::Unwatched);
        drop(vmm);
        assert_eq!(standing(&task), Standing::Gone);
    }

    #[test]
    fn without_locks_the_process_and_its_birth_tell() {
        let own = std::process::id();
        let ticks = machine::start_ticks(own).unwrap();
        let process = |vmm_start_ticks| {
            Some(Process {
                vmm_pid: own,
                vmm_start_ticks,
                ..Process::default()
            })
        };
        let nowhere = Path::new("/no/such/folder");
        assert_eq!(
            standing(&task(nowhere, process(ticks))),
            Standing::Unwatched
        );
        assert_eq!(standing(&task(nowhere, process(ticks + 1))), Standing::Gone);
    }

    #[test]
    fn an_end_that_nobody_saw_is_the_ttls_once_that_is_past() {
        let task = task(Path::new("/no"), None);
        assert_eq!(outcome(&task, 2000).code, 125);
        assert_eq!(outcome(&task, 1000 + 600_000).code, 124);
    }

    /// A recorded task with its folder, and the store.
    fn recorded(dir: &Path) -> (Store, Task) {
        let store = Store::open(&Folders::below(dir)).unwrap();
        let task = task(&dir.join("r/0000aaaa"), None);
        std::fs::create_dir_all(&task.runtime).unwrap();
        store.insert(&task.id, &task.spec, &task.runtime).unwrap();
        (store, task)
    }

    #[test]
    fn what_a_dead_task_held_is_freed_though_its_end_cannot_be_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let (store, task) = recorded(dir.path());
        store.refuse_writes();
        assert!(sweep(&store, &Folders::below(dir.path())).is_err());
        assert!(!task.runtime.exists());
    }

    #[test]
    fn a_folder_without_a_record_is_freed_once_it_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Folders::below(dir.path())).unwrap();
        let folder = |id: &str| {
            let path = dir.path().join("r").join(id);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let age = |path: &Path| {
            let then = std::time::SystemTime::now() - 2 * STRAY;
            std::fs::File::open(path)
                .unwrap()
                .set_modified(then)
                .unwrap();
        };
        let (young, old, held) = (folder("0000aaaa"), folder("0000bbbb"), folder("0000cccc"));
        let lock = locks::take(&held, locks::SUPERVISOR).unwrap();
        age(&old);
        age(&held);
        sweep(&store, &Folders::below(dir.path())).unwrap();
        assert!(young.exists() && held.exists() && !old.exists());
        drop(lock);
        age(&held);
        sweep(&store, &Folders::below(dir.path())).unwrap();
        assert!(!held.exists());
    }

    #[test]
    fn what_is_left_of_an_ended_task_is_freed_unless_somebody_is_at_it() {
        let dir = tempfile::tempdir().unwrap();
        let (store, task) = recorded(dir.path());
        let sweep = || sweep(&store, &Folders::below(dir.path())).unwrap();
        let supervisor = locks::take(&task.runtime, locks::SUPERVISOR).unwrap();
        let reaper = locks::take(&task.runtime, locks::REAPER).unwrap();
        let outcome = Outcome::new(0, End::exited());
        store.finish(&task.id, &outcome).unwrap();
        sweep();
        drop(supervisor);
        sweep();
        assert!(task.runtime.exists());
        drop(reaper);
        sweep();
        assert!(!task.runtime.exists());
    }

    #[test]
    fn a_vmm_that_was_not_recorded_is_found_by_its_lock_and_killed() {
        let dir = tempfile::tempdir().unwrap();
        let (store, task) = recorded(&dir.path().canonicalize().unwrap());
        let lock = locks::take(&task.runtime, locks::VMM).unwrap();
        let mut command = std::process::Command::new("sleep");
        let mut vmm = command.arg("60").stdin(lock).spawn().unwrap();
        drop(command); // It has the lock too.
        let reaper = std::thread::spawn(move || vmm.wait().unwrap());
        kill(&store, &Folders::below(dir.path()), &task).unwrap();
        assert!(!reaper.join().unwrap().success());
        assert_eq!(store.find("0000aaaa").unwrap().state, State::Ended);
    }

    #[test]
    fn a_vmm_that_lives_on_keeps_its_record_and_its_locks() {
        let dir = tempfile::tempdir().unwrap();
        let (store, task) = recorded(dir.path());
        // This process holds it, and is not killed.
        let _vmm = locks::take(&task.runtime, locks::VMM).unwrap();
        assert!(matches!(
            kill(&store, &Folders::below(dir.path()), &task),
            Err(KillError::Alive(_))
        ));
        assert_eq!(store.find("0000aaaa").unwrap().state, State::Starting);
        assert_eq!(standing(&task), Standing::Unwatched);
    }
}
