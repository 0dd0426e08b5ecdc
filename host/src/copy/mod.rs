// SPDX-License-Identifier: Apache-2.0
//! Copies between host and guest: `ampoule cp`.
//!
//! ```text
//! Entry (the root: a file, or a folder) ─► FileData* FileEnd ─► Entry ... ─► CopyEnd
//! ```
//!
//! What comes out of a guest is hostile: names, links, sizes, order. [`receive()`] writes nowhere
//! but below what the user named, whatever comes; [`names`] has the rules for names and links.

mod modes;
pub mod names;
mod receive;
mod replace;
mod send;

use std::io;
use std::path::{Path, PathBuf};

use protocol::FrameError;

pub use receive::{Received, receive};
pub use send::send;

/// Files, folders and links that one copy may have.
pub const MAX_ENTRIES: u64 = 1_000_000;

/// Bytes that one copy may have.
pub const MAX_BYTES: u64 = 64 << 30;

/// Bytes of names and link targets that are kept until the end of a copy: links are made last,
/// and a folder's mode and time are set last. A guest may name sixteen KiB an entry.
pub const MAX_KEPT: usize = 64 << 20;

/// Folders within folders.
pub const MAX_DEPTH: usize = 256;

/// Why a copy failed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The other side gave up.
    #[error("{0}")]
    Guest(String),
    /// The other side broke the protocol, or the connection did.
    #[error("the copy broke off")]
    Frame(#[from] FrameError),
    /// The guest sent what it must not.
    #[error("the guest sent what it must not: {0}")]
    Hostile(String),
    /// More than a copy may have.
    #[error("the copy is larger than {0}")]
    TooLarge(String),
    /// Where it should go cannot be used.
    #[error("{} {what}", path.display())]
    Destination {
        /// Which path.
        path: PathBuf,
        /// Why not.
        what: &'static str,
    },
    /// A file here failed.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was being done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl CopyError {
    fn file<E: Into<io::Error>>(what: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            what,
            path,
            source: source.into(),
        }
    }
}
