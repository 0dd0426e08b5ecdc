// SPDX-License-Identifier: Apache-2.0
//! The end of a pool, however it comes: its guests go, and what they held.
//!
//! A copy of the pool's process waits for that end at a pipe, in a session of its own and deaf to
//! the pool's signals. It holds the pool's lock with it, so a new pool of the same kind begins
//! when all of the old one is gone. A pool that ends in good order does the same itself, and says
//! so before.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::folders::{Folders, make_private};
use crate::supervise::{cgroup, holdings, locks, orphans};
use crate::sys::fork;
use crate::task::TaskId;
use crate::template::Key;

/// What the process is called.
const NAME: &CStr = c"ampoule-guard";

/// How long a new pool waits for the end of the one before.
const BEFORE: Duration = Duration::from_secs(3);

/// Where a pool is on this host.
#[derive(Clone, Debug)]
pub struct Place {
    folders: Folders,
    /// Of its key.
    name: String,
}

/// The pool's right to be the one of its kind.
#[derive(Debug)]
pub struct Guarded {
    place: Place,
    end: PipeWriter,
    _lock: File,
}

impl Place {
    /// Of the pool of this kind.
    #[must_use]
    pub fn new(folders: &Folders, key: &Key) -> Self {
        Self {
            folders: folders.clone(),
            name: key.name(),
        }
    }

    fn file(&self, kind: &str) -> PathBuf {
        super::folder(&self.folders).join(format!("{}.{kind}", self.name))
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.file("sock")
    }

    /// Becomes the pool of this kind; `None` if there is one. To be called while this process has
    /// one thread, and with the signals blocked that are the pool's.
    ///
    /// # Errors
    /// What the system says.
    pub fn take(&self) -> io::Result<Option<Guarded>> {
        let Some(lock) = self.lock()? else {
            return Ok(None);
        };
        // One that was killed with its guard may have left it.
        self.clean();
        let (ended, end) = io::pipe()?;
        let place = self.clone();
        let keep = [ended.as_raw_fd(), lock.as_raw_fd()];
        fork::beside(NAME, &keep, move || place.watch(ended))?;
        Ok(Some(Guarded {
            place: self.clone(),
            end,
            _lock: lock,
        }))
    }

    fn make_folder(&self) -> io::Result<()> {
        let folder = super::folder(&self.folders);
        make_private(&folder).map_err(io::Error::other)?;
        // Who made it before may have let others in.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))
    }

    /// The pool's lock; `None` if another holds it for longer than it takes to end.
    fn lock(&self) -> io::Result<Option<File>> {
        let until = Instant::now() + BEFORE;
        let path = self.file("lock");
        loop {
            // Each time: the pool before takes it away, if it can.
            self.make_folder()?;
            let mut options = File::options();
            let options = options.write(true).create(true).truncate(false).mode(0o600);
            let file = match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                // Else it is one that the pool before took away with it.
                if is_at(&file, &path) {
                    return Ok(Some(file));
                }
            } else if Instant::now() >= until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The guard's whole life.
    fn watch(&self, mut ended: PipeReader) {
        let mut word = [0];
        // A word is the end in good order, none the other.
        if !matches!(ended.read(&mut word), Ok(1)) {
            self.clean();
            self.let_others();
        }
    }

    /// Takes away every guest of this pool that is nobody's task, and its socket.
    fn clean(&self) {
        let guests = self.guests();
        for (id, runtime, _) in &guests {
            let cgroups = holdings::cgroups(runtime, id, None);
            cgroups.iter().for_each(|path| cgroup::kill(path));
            orphans::kill_holder(runtime);
        }
        for (id, runtime, _lock) in &guests {
            holdings::free(runtime, id, None);
            let _ = fs::remove_dir_all(self.folders.task(id.as_str()));
        }
        let _ = fs::remove_file(self.socket());
    }

    /// Lets a new pool of this kind begin.
    fn let_others(&self) {
        let _ = fs::remove_file(self.file("lock"));
        // Unless other pools are in it.
        let _ = fs::remove_dir(super::folder(&self.folders));
    }

    /// The guests of this pool that are nobody's task, and never will be.
    fn guests(&self) -> Vec<(TaskId, PathBuf, File)> {
        let entries = fs::read_dir(&self.folders.runtime).into_iter().flatten();
        let found = entries.flatten().filter_map(|entry| {
            let id: TaskId = entry.file_name().to_str()?.parse().ok()?;
            let runtime = entry.path();
            let pool = fs::read_to_string(runtime.join(holdings::POOL)).ok()?;
            if pool != self.name {
                return None;
            }
            let lock = locks::take(&runtime, locks::SUPERVISOR).ok()?;
            Some((id, runtime, lock))
        });
        found.collect()
    }
}

/// Whether this is the file at `path`, and not one that was there.
fn is_at(file: &File, path: &Path) -> bool {
    let (own, there) = (file.metadata(), fs::metadata(path));
    own.is_ok_and(|own| there.is_ok_and(|there| own.ino() == there.ino()))
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let Self { place, end, .. } = self;
        place.clean();
        // Once a new pool may begin, the guard must not clean.
        if end.write_all(b"x").is_ok() {
            place.let_others();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: &std::path::Path) -> Place {
        let folders = Folders::below(dir);
        let name = "k".to_owned();
        make_private(&super::super::folder(&folders)).unwrap();
        Place { folders, name }
    }

    #[test]
    fn a_pool_takes_away_its_own_guests_and_leaves_those_that_were_taken() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let guest = |id: &str, pool: &str| {
            let runtime = place.folders.runtime.join(id);
            fs::create_dir_all(&runtime).unwrap();
            fs::write(runtime.join(holdings::POOL), pool).unwrap();
            fs::write(runtime.join("vsock.sock"), "").unwrap();
            runtime
        };
        let own = guest("0000aaaa", "k");
        let other = guest("0000bbbb", "another");
        let taken = guest("0000cccc", "k");
        let lock = locks::take(&taken, locks::SUPERVISOR).unwrap();
        let logs = place.folders.task("0000aaaa");
        fs::create_dir_all(&logs).unwrap();
        fs::write(place.socket(), "").unwrap();
        place.clean();
        assert!(!own.exists() && !logs.exists() && !place.socket().exists());
        assert!(other.exists() && taken.exists());
        drop(lock);
        // Its lock was made, so it is a task's, and that task's to be cleared away.
        place.clean();
        assert!(taken.exists());
    }

    #[test]
    fn a_lock_that_was_taken_away_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let path = place.file("lock");
        let first = place.lock().unwrap().unwrap();
        assert!(is_at(&first, &path));
        assert!(place.lock().unwrap().is_none());
        place.let_others();
        assert!(!is_at(&first, &path));
        // Though the first is held still.
        let second = place.lock().unwrap().unwrap();
        assert!(!is_at(&first, &path) && is_at(&second, &path));
    }
}
