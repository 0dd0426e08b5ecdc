// SPDX-License-Identifier: Apache-2.0
//! The policies and the model in force for one task, as they are on disk now.
//!
//! Looked at again before each verdict, by what the system says of their files, which costs some
//! microseconds; read again when one changed. Tasks of the same policies share what was read. A set
//! that is not fit any more denies everything from then on, until it is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use protocol::actions::Grants;

use crate::cli::chain;
use crate::folders::Folders;
use crate::model;
use crate::policies::{self, InForce};

/// Sets of policies kept for tasks to come.
const KEPT: usize = 16;

/// Whose policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The user's.
    pub folders: Folders,
    /// Files that the task's caller added.
    pub added: Vec<PathBuf>,
    /// The agent that the model is asked about.
    pub agent: String,
}

/// What the system says of a file: another one when any of it differs.
type Mark = Option<[i64; 7]>;

/// What the system says of all files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stamp(Vec<(PathBuf, Mark)>);

impl Stamp {
    fn of(paths: Vec<PathBuf>) -> Self {
        let marked = paths.into_iter().map(|path| {
            let mark = mark(&path);
            (path, mark)
        });
        Self(marked.collect())
    }

    fn is_current(&self) -> bool {
        self.0.iter().all(|(path, was)| mark(path) == *was)
    }
}

fn mark(path: &Path) -> Mark {
    let is = fs::metadata(path).ok()?;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    // SQLite gives it its owner again whenever root opens it (`robustFchown` in its os_unix.c): it
    // would have changed each time that it was read.
    let is_log = path.as_os_str().as_encoded_bytes().ends_with(b"-wal");
    let changed = if is_log {
        (0, 0)
    } else {
        (is.ctime(), is.ctime_nsec())
    };
    Some([
        whole(is.dev()),
        whole(is.ino()),
        whole(is.size()),
        is.mtime(),
        is.mtime_nsec(),
        // Nobody can set it back.
        changed.0,
        changed.1,
    ])
}

/// What was read for one key.
#[derive(Clone, Debug)]
struct Kept {
    key: Key,
    stamp: Stamp,
    in_force: Result<Arc<InForce>, String>,
    /// What is granted under the built-in policies, once a task wanted to know: the same to all.
    grants: Arc<OnceLock<Grants>>,
}

/// What was read, for all tasks.
#[derive(Debug, Default)]
pub struct Shelf {
    // Held by the thread of one task while it reads, so that others of the same policies wait for
    // it instead of reading them too.
    kept: Mutex<Vec<Kept>>,
}

impl Shelf {
    fn get(&self, key: &Key) -> Kept {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().position(|kept| kept.key == *key);
        let current = found.map(|at| all.remove(at));
        let kept = current.filter(|kept| kept.stamp.is_current());
        let kept = kept.unwrap_or_else(|| read(key));
        all.truncate(KEPT - 1);
        all.insert(0, kept.clone());
        kept
    }
}

fn read(key: &Key) -> Kept {
    // Before they are read: what changes meanwhile is seen by the next look.
    let watched = policies::watched(&key.folders, &key.added);
    let mut paths = watched.as_ref().map_or_else(|_| Vec::new(), Clone::clone);
    for name in ["model.db", "model.db-wal"] {
        paths.push(key.folders.state.join(name));
    }
    let stamp = Stamp::of(paths);
    let load = || {
        watched.map_err(|error| chain(&error))?;
        let model = model::current(&key.folders, &key.agent).map_err(|error| chain(&error))?;
        let loaded = policies::load(&key.folders, &key.added, None, model);
        loaded.map(Arc::new).map_err(|error| chain(&error))
    };
    Kept {
        in_force: load(),
        key: key.clone(),
        stamp,
        grants: Arc::default(),
    }
}

/// What is in force for one task.
#[derive(Debug)]
pub struct Force {
    kept: Kept,
    workspace: Option<PathBuf>,
    /// Counts how often it changed: what was asked about under another number is judged again.
    pub generation: u64,
}

impl Force {
    /// Reads it, unless it was read already.
    #[must_use]
    pub fn new(shelf: &Shelf, key: &Key, workspace: Option<PathBuf>) -> Self {
        let mut force = Self {
            kept: shelf.get(key),
            workspace,
            generation: 0,
        };
        force.check();
        force
    }

    /// Looks whether it is what it was.
    pub fn look(&mut self, shelf: &Shelf) {
        if !self.kept.stamp.is_current() {
            self.kept = shelf.get(&self.kept.key.clone());
            self.generation = self.generation.saturating_add(1);
            self.check();
        }
    }

    /// What judges.
    ///
    /// # Errors
    /// In a line why nothing is in force.
    pub fn in_force(&self) -> Result<Arc<InForce>, String> {
        self.kept.in_force.clone()
    }

    /// What is granted under the built-in policies, found out at most once.
    pub fn grants(&self, find: impl FnOnce() -> Grants) -> &Grants {
        self.kept.grants.get_or_init(find)
    }

    /// Policies where the agent writes are none.
    fn check(&mut self) {
        let (Some(workspace), Ok(in_force)) = (&self.workspace, &self.kept.in_force) else {
            return;
        };
        let mut all = in_force.files.iter();
        if let Some(error) = all.find_map(|file| policies::outside(file, workspace).err()) {
            self.kept.in_force = Err(chain(&error));
        }
    }
}

/// Whether policies other than the built-in ones may decide.
#[must_use]
pub fn has_own(in_force: &InForce) -> bool {
    let cedar = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "cedar");
    !in_force.judge.limits.built_in || in_force.files.iter().any(cedar)
}
