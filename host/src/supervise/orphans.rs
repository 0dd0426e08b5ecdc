// SPDX-License-Identifier: Apache-2.0
//! Tasks whose supervisor was killed: found by the next command, recorded as ended once their
//! guest is gone too, and what they held is freed.
//!
//! A guest without its supervisor goes on until its TTL, which guest-init and the VMM's timer
//! hold without us; or until `ampoule kill`.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{cgroup, locks, machine};
use crate::store::{Process, Store, StoreError, Task, now_ms};
use crate::task::{By, End, Kind, Outcome, code};

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

/// Records the end of every task that is gone, and frees what it held.
///
/// # Errors
/// When the store cannot be used.
pub fn sweep(store: &Store) -> Result<(), StoreError> {
    for task in store.alive()? {
        if standing(&task) == Standing::Gone {
            bury(store, &task)?;
        }
    }
    Ok(())
}

fn bury(store: &Store, task: &Task) -> Result<(), StoreError> {
    // It may have ended in good order between the look at the store and the look at the lock.
    store.finish(&task.id, &outcome(task, now_ms()))?;
    free(&task.runtime, task.process.as_ref());
    Ok(())
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

fn free(runtime: &Path, process: Option<&Process>) {
    if let Some(path) = process.and_then(|process| process.cgroup.as_deref()) {
        let _ = cgroup::destroy(path);
    }
    let _ = std::fs::remove_dir_all(runtime);
}

/// Ends a task that nobody watches, and records it as killed.
///
/// # Errors
/// When the store cannot be used.
pub fn kill(store: &Store, task: &Task) -> Result<(), StoreError> {
    if let Some(process) = &task.process {
        kill_vmm(process);
    }
    let give_up = std::time::Instant::now() + Duration::from_secs(2);
    while standing(task) == Standing::Unwatched && std::time::Instant::now() < give_up {
        std::thread::sleep(Duration::from_millis(5));
    }
    let end = End::new(
        Kind::Killed,
        "the task was killed after its supervisor had been",
    );
    store.finish(&task.id, &Outcome::new(code::KILLED, end))?;
    free(&task.runtime, task.process.as_ref());
    Ok(())
}

fn kill_vmm(process: &Process) {
    if let Some(path) = &process.cgroup {
        let _ = std::fs::write(path.join("cgroup.kill"), "1");
    }
    // The descriptor first, then the look at whose it is: the number cannot change hands between.
    let pid = i32::try_from(process.vmm_pid).ok().and_then(Pid::from_raw);
    let pidfd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    if let Some(pidfd) = pidfd
        && lives(process)
    {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::State;
    use crate::task::{Resources, Spec};

    fn task(runtime: &Path, process: Option<Process>) -> Task {
        Task {
            id: "0000aaaa".parse().unwrap(),
            state: State::Running,
            created_ms: 1000,
            deadline_ms: 603_000,
            ended_ms: None,
            runtime: runtime.to_owned(),
            spec: Spec {
                image: "base".into(),
                workspace: None,
                argv: Vec::new(),
                env: Vec::new(),
                workdir: None,
                user: None,
                terminal: false,
                detached: false,
                resources: Resources {
                    memory_mib: 64,
                    cpus: 1,
                    scratch_bytes: 1,
                },
                ttl_ms: 600_000,
                grace_ms: 0,
                start_timeout_ms: None,
                debug_console: false,
            },
            process,
            outcome: None,
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
}
