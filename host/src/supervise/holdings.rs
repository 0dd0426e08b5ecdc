// SPDX-License-Identifier: Apache-2.0
//! What a task holds besides its record, and freeing it.
//!
//! ```text
//! <runtime>/<id>/   *.lock                      who lives (locks.rs)
//!                   api.sock, vsock.sock*       how it is reached (sockets.rs)
//!                   cgroup                      the path of its cgroup, written before that is made
//!                   pool                        which pool its guest waited in, if it did
//! ```
//!
//! The folder alone is enough to free everything: a supervisor may be killed between any two of
//! its steps, and the database may be full, locked or gone. A path that comes from the database
//! is believed only as far as its last name is the task's: nothing else is ever removed.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::cgroup::{self, Cgroup, Limits, Place};
use super::locks;
use crate::sockets;
use crate::task::{Resources, TaskId};

/// The file that names the cgroup.
const CGROUP: &str = "cgroup";

/// The file that names the pool.
pub const POOL: &str = "pool";

/// Makes the cgroup of a guest, or says why it has none, and why its limits do not hold.
#[must_use]
pub fn make_cgroup(
    runtime: &Path,
    id: &TaskId,
    resources: &Resources,
) -> (Option<Cgroup>, Option<String>) {
    let limits = Limits {
        memory: u64::from(resources.memory_mib) << 20,
        cpus: resources.cpus.into(),
    };
    let place = match Place::find() {
        Ok(place) => place,
        Err(why) => return (None, Some(why)),
    };
    let noted = note_cgroup(runtime, &place.of(id.as_str()));
    match noted.and_then(|()| place.make(id.as_str(), limits)) {
        Ok(cgroup) => (Some(cgroup), place.note),
        Err(error) => {
            let place = place.path.display();
            (None, Some(format!("no cgroup in {place}: {error}")))
        }
    }
}

/// Notes the cgroup that is about to be made.
///
/// # Errors
/// What the system says; then it must not be made.
pub fn note_cgroup(runtime: &Path, path: &Path) -> io::Result<()> {
    fs::write(runtime.join(CGROUP), path.as_os_str().as_bytes())
}

/// The cgroups that were noted and `recorded`, as far as they are this task's.
#[must_use]
pub fn cgroups(runtime: &Path, id: &TaskId, recorded: Option<&Path>) -> Vec<PathBuf> {
    let recorded = recorded.filter(|path| is_cgroup_of(path, id));
    let recorded = recorded.map(Path::to_owned);
    cgroup_of(runtime, id).into_iter().chain(recorded).collect()
}

/// The cgroup that was noted, if it is this task's.
fn cgroup_of(runtime: &Path, id: &TaskId) -> Option<PathBuf> {
    let noted = fs::read(runtime.join(CGROUP)).ok()?;
    let path = PathBuf::from(std::ffi::OsString::from_vec(noted));
    is_cgroup_of(&path, id).then_some(path)
}

/// Whether a path can be the cgroup of this task (see `cgroup::Place`).
fn is_cgroup_of(path: &Path, id: &TaskId) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    let name = name.map(|name| name.strip_prefix("ampoule-").unwrap_or(name));
    path.is_absolute() && name == Some(id.as_str())
}

/// Frees all that a task held. `recorded` is the cgroup its record names.
pub fn free(runtime: &Path, id: &TaskId, recorded: Option<&Path>) {
    for path in cgroups(runtime, id, recorded) {
        let _ = cgroup::destroy(&path);
    }
    if runtime.file_name() != Some(OsStr::new(id.as_str())) {
        return;
    }
    let entries = fs::read_dir(runtime).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_ours(&entry.file_name())) {
        let _ = fs::remove_file(entry.path());
    }
    let _ = fs::remove_dir(runtime);
}

fn is_ours(name: &OsStr) -> bool {
    let [supervisor, vmm, reaper] = [locks::SUPERVISOR, locks::VMM, locks::REAPER];
    [supervisor, vmm, reaper, sockets::API, CGROUP, POOL]
        .iter()
        .any(|ours| name == *ours)
        || name.as_bytes().starts_with(sockets::VSOCK.as_bytes())
}

/// The processes that have a task's VMM lock open: its VMM, when nothing has recorded which.
#[must_use]
pub fn vmms(runtime: &Path) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    pids.filter(|pid| *pid != own && is_vmm(runtime, *pid))
        .collect()
}

/// Whether a process has a task's VMM lock open, and is no copy of this program: one that has
/// just been cloned has all that its parent has, until it becomes what it was cloned for.
#[must_use]
pub fn is_vmm(runtime: &Path, pid: i32) -> bool {
    let program = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    if program(&pid.to_string()) == program("self") {
        return false;
    }
    let lock = runtime.join(locks::VMM);
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
    let descriptors = descriptors.into_iter().flatten().flatten();
    let mut files = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    files.any(|file| file == lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> TaskId {
        "0000aaaa".parse().unwrap()
    }

    #[test]
    fn only_what_is_a_tasks_is_freed() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().join("0000aaaa");
        fs::create_dir(&runtime).unwrap();
        for name in ["supervisor.lock", "vsock.sock_5000", "cgroup"] {
            fs::write(runtime.join(name), "").unwrap();
        }
        free(&runtime, &id(), None);
        assert!(!runtime.exists());
        fs::create_dir(&runtime).unwrap();
        fs::write(runtime.join("precious"), "").unwrap();
        free(&runtime, &id(), None);
        assert!(runtime.join("precious").exists());
        let other = dir.path().join("precious");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("vmm.lock"), "").unwrap();
        free(&other, &id(), None);
        assert!(other.join("vmm.lock").exists());
    }

    #[test]
    fn a_cgroup_is_known_before_the_record_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = Path::new("/sys/fs/cgroup/ampoule/0000aaaa");
        note_cgroup(dir.path(), path).unwrap();
        assert_eq!(cgroup_of(dir.path(), &id()).as_deref(), Some(path));
        assert_eq!(cgroup_of(dir.path(), &"0000bbbb".parse().unwrap()), None);
        note_cgroup(dir.path(), Path::new("/sys/fs/cgroup/ampoule-0000aaaa")).unwrap();
        assert!(cgroup_of(dir.path(), &id()).is_some());
    }

    #[test]
    fn the_process_that_has_the_lock_open_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = dir.path().canonicalize().unwrap();
        let lock = locks::take(&runtime, locks::VMM).unwrap();
        assert!(vmms(&runtime).is_empty());
        let mut child = std::process::Command::new("sleep");
        let mut child = child.arg("30").stdin(lock).spawn().unwrap();
        let found = vmms(&runtime);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, [i32::try_from(child.id()).unwrap()]);
    }
}
