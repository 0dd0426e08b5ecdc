// SPDX-License-Identifier: Apache-2.0
//! Records of tasks: one SQLite file that any number of `ampoule` processes share.
//!
//! A row is written before a VM starts, completed when the VMM runs, and closed when the task
//! ends; what only one reader needs (the request, the outcome) is JSON in the row.
//!
//! Write-ahead logging with `synchronous=NORMAL`: a commit costs no fsync, a crash of the host
//! may lose the last rows and never the file. The log is not folded back at each close, since
//! nearly every command would pay fsyncs for it; SQLite does so by itself every thousand pages.

mod damage;
mod file;
#[cfg(test)]
pub(crate) mod sample;
mod tasks;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use crate::folders::{FolderError, Folders};
pub use damage::{Damaged, RowError, Wreck};
use file::PATIENCE;
pub(crate) use file::{File, open};
pub(crate) use tasks::now_ms;
pub use tasks::{Process, State, Task};

/// How long a supervisor waits that has a guest to serve meanwhile.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);

const FILE: File = File {
    name: "ampoule.db",
    schema: 1,
    synchronous: "NORMAL",
    tables: TABLES,
};

const TABLES: &str = "
CREATE TABLE tasks (
    id          TEXT PRIMARY KEY,
    state       TEXT NOT NULL,      -- starting, running, ended
    created_ms  INTEGER NOT NULL,   -- since 1970
    deadline_ms INTEGER NOT NULL,   -- created + TTL + every level's margin
    ended_ms    INTEGER,
    runtime     TEXT NOT NULL,      -- folder with its locks and sockets
    spec        TEXT NOT NULL,      -- JSON: what was asked for
    process     TEXT,               -- JSON: pids, cgroup
    outcome     TEXT                -- JSON: how it ended
) WITHOUT ROWID;
CREATE INDEX tasks_by_time ON tasks (created_ms);
CREATE INDEX tasks_alive ON tasks (state) WHERE state <> 'ended';
";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its folder is not to be had.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A newer version wrote it.
    #[error("the store {} was written by a newer version (tables {found}, this one knows {known}); \
             use that version, or set XDG_STATE_HOME to another folder", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// The disk is full.
    #[error("no space is left for the store {}; free some disk", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Another failure of the file.
    #[error("the store {} cannot be used", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A row that cannot be read back.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Not an id.
    #[error(transparent)]
    NotAnId(#[from] crate::task::NotAnId),
    /// No such task.
    #[error("there is no task {0}; `ampoule ps -a` lists them")]
    Unknown(String),
    /// More than one task begins so.
    #[error("'{prefix}' is the beginning of {} tasks: {}; write more of it", ids.len(), ids.join(", "))]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// The candidates.
        ids: Vec<String>,
    },
}

/// The open store.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens the store of this user, making it when missing.
    ///
    /// # Errors
    /// As [`StoreError`] says; a newer store is never touched.
    pub fn open(folders: &Folders) -> Result<Self, StoreError> {
        let (db, path) = open(folders, &FILE)?;
        Ok(Self { db, path })
    }

    /// Has every write fail, as on a full disk.
    #[cfg(test)]
    pub(crate) fn refuse_writes(&self) {
        self.db.pragma_update(None, "query_only", true).unwrap();
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

pub(crate) fn failed(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    if source.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        return StoreError::Full { path };
    }
    StoreError::Database { path, source }
}

#[cfg(test)]
mod tests;
