// SPDX-License-Identifier: Apache-2.0
//! Guests that wait: restored from a template before there is a task, each given to the first
//! `ampoule run` that wants one of its kind.
//!
//! ```text
//! ampoule pool (serve) ── clone3 ──► ampoule-vmm --waits      one a guest that waits (guest)
//!   │   ▲                                 ▲
//!   │   │ Take ──► Guest + descriptors    │ Adopt, Assignment, as after a restore
//!   │   ampoule run (take) ───────────────┘
//!   └── fork ──► ampoule-guard: frees what a pool that was killed leaves (guard)
//! ```
//!
//! A guest that waits has what every guest of its template has, and a name: its runtime folder,
//! its lock, its vsock socket and its cgroup are those of a task already, so that `ps`, `kill`,
//! the reaper and the search for orphans find what they know. Nothing of it is anybody's before
//! it was taken: workspace, identity, entropy, time, limits and deadline come with the task.
//!
//! Whose it is, is told by the supervisor's lock in its folder, which can be made once: by who
//! took it, or by who takes it away. A guest ends with the sockets of whoever holds it, so it
//! never outlives a pool that dies, nor a taker that dies before its task runs; once it is a
//! task's it never notices what becomes of the pool.
//!
//! The pool is a process of the user's like any other: its sockets lie in a folder that only the
//! user may enter, both ends look whose process the other is, and whatever is wrong with a pool
//! or its guest, the task starts as if there was none, and says why.
//!
//! It makes a new guest once the task of the one that was taken runs, and not while that starts
//! ([`pace`]).

pub mod guard;
pub mod guest;
pub mod pace;
pub mod serve;
pub mod take;
pub mod wire;

use std::path::PathBuf;

use crate::folders::Folders;
use crate::template::Key;

/// Where the pools' sockets and locks lie.
#[must_use]
pub fn folder(folders: &Folders) -> PathBuf {
    folders.runtime.join("pool")
}

/// Where the pool of this kind of guest listens.
#[must_use]
pub fn socket(folders: &Folders, key: &Key) -> PathBuf {
    folder(folders).join(format!("{}.sock", key.name()))
}
