// SPDX-License-Identifier: Apache-2.0
//! Who lives, told by locks: they end with the processes that hold them, however those end.
//!
//! A running task has two lock files in its runtime folder. `supervisor.lock` is held by the
//! supervisor. `vmm.lock` is held by an open file description that only the VMM has, by
//! inheritance. A later command that finds the first one free knows that nobody watches the
//! task any more, and by the second whether its guest still runs. A task that has ended has
//! `reaper.lock` while somebody takes away what it held: a lock of its own, because who waits
//! for the task's end must not wait for that too.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Held by the supervisor.
pub const SUPERVISOR: &str = "supervisor.lock";

/// Held by the VMM.
pub const VMM: &str = "vmm.lock";

/// Held by who takes away what a task held that has ended.
pub const REAPER: &str = "reaper.lock";

/// Makes the lock file `name` in `folder` and takes it. It is held until every descriptor of
/// this open file description is closed.
///
/// # Errors
/// What the system says.
pub fn take(folder: &Path, name: &str) -> io::Result<File> {
    let mut options = File::options();
    let file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(folder.join(name))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Whether somebody holds the lock `name` in `folder`.
///
/// # Errors
/// What the system says; a lock file that is not there is held by nobody.
pub fn is_held(folder: &Path, name: &str) -> io::Result<bool> {
    let Some(file) = open(folder, name)? else {
        return Ok(false);
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(errno) => Err(errno.into()),
    }
}

/// Waits until nobody holds the lock `name` in `folder`; says whether there is such a lock.
///
/// # Errors
/// What the system says.
pub fn wait(folder: &Path, name: &str) -> io::Result<bool> {
    match open(folder, name)? {
        Some(file) => {
            rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockShared))?;
            Ok(true)
        }
        None => Ok(false),
    }
}

fn open(folder: &Path, name: &str) -> io::Result<Option<File>> {
    match File::open(folder.join(name)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_as_long_as_any_copy_of_its_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_held(dir.path(), VMM).unwrap());
        let lock = take(dir.path(), VMM).unwrap();
        let inherited = lock.try_clone().unwrap();
        drop(lock);
        assert!(is_held(dir.path(), VMM).unwrap());
        drop(inherited);
        assert!(!is_held(dir.path(), VMM).unwrap());
        assert!(wait(dir.path(), VMM).unwrap());
        assert!(!wait(dir.path(), SUPERVISOR).unwrap());
    }
}
