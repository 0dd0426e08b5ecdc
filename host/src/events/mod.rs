// SPDX-License-Identifier: Apache-2.0
//! What happened to tasks: one record, only ever added to, from which every view is made.
//!
//! `events/events.jsonl` in the state folder has one JSON object a line ([`mod@line`]), numbered from
//! 1 without a gap by whoever writes it ([`mod@file`]). That is the policy loop; of two versions of it
//! both may at once.
//!
//! ```text
//! note ─► waiting (bounded) ─┬─ 50 ms later, a thread ─► one write
//! seal ──────────────────────┴─ now, before it returns ─► one write, fdatasync
//! ```
//!
//! What was noted by one process is in the order it was noted. What could not be kept is counted,
//! and a `gap` says how many and why; nothing is ever taken away.
//!
//! Only whole lines are read back ([`Reader`]), and fields that this version does not know are
//! ignored: that is where a later one puts a chain of hashes and signatures. A line's `v` is
//! raised when what is here would misread it.
//!
//! The thread lives while something waits, and a second longer. A process that forks
//! ([`crate::sys::fork`]) must not keep a record open.

mod file;
mod line;
mod queue;
mod reader;
mod redact;
mod tail;
mod what;

use std::path::PathBuf;
use std::sync::Arc;

use crate::folders::{self, FolderError, Folders};
pub use line::{LINE, TEXT, VERSION, excerpt};
use queue::Shared;
pub use reader::{Head, Line, Place, Reader, Recorded, Text};
pub use what::{Event, KINDS, UseOf, What};

/// Why something cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// Its folder is not to be had.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The disk is full.
    #[error("no space is left for the record of events {}; free some disk: until then no task may start", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Somebody keeps the lock.
    #[error("another process keeps the record of events {} locked; `fuser` tells which: end it", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Its last number is the last there is.
    #[error("the record of events {} has a last line that no number can follow; move the file away", path.display())]
    Numbers {
        /// The file.
        path: PathBuf,
    },
    /// Another failure of the file.
    #[error("the record of events {} cannot be used; until it can be written no task may start", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The open record. Clones are the same.
#[derive(Clone, Debug)]
pub struct Events(Arc<Owner>);

/// Flushes when the last clone is gone.
#[derive(Debug)]
struct Owner(Arc<Shared>);

impl Events {
    /// Opens the record of this user, making it when missing.
    ///
    /// # Errors
    /// When there is no file to write to.
    pub fn open(folders: &Folders) -> Result<Self, EventsError> {
        folders::make_private(&folders.state)?;
        let shared = Shared::open(path(folders))?;
        Ok(Self(Arc::new(Owner(Arc::new(shared)))))
    }

    /// Records an event within 50 ms or so; never waits for the disk. When more waits than is kept
    /// it is counted instead.
    pub fn note(&self, event: Event) {
        Shared::note(&self.0.0, event);
    }

    /// Records an event, after all that was noted before it; it is on the disk when this returns.
    /// Its number.
    ///
    /// # Errors
    /// Then it will not be recorded later, and what it is about must not happen. (If only the disk
    /// would not confirm it, its line may be there all the same.)
    pub fn seal(&self, event: Event) -> Result<u64, EventsError> {
        Shared::seal(&self.0.0, event)
    }

    /// Why the last write failed, if it did: then no new work may start. What waits is tried again
    /// each second.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.0.0.broken()
    }

    /// Writes what waits, without waiting for the disk, and ends the thread.
    ///
    /// # Errors
    /// When it cannot be written; it goes on waiting.
    #[cfg(test)]
    pub fn flush(&self) -> Result<(), EventsError> {
        self.0.0.flush()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Where the record lies.
#[must_use]
pub fn path(folders: &Folders) -> PathBuf {
    folders.state.join("events").join("events.jsonl")
}

/// Now, in milliseconds since 1970.
fn now_ms() -> u64 {
    u64::try_from(crate::store::now_ms()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
