// SPDX-License-Identifier: Apache-2.0
//! What a scan is asked and what it answers.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::tree::{ContentError, Time, Tree, TreeError, to_path};

/// Paths that [`Skipped`] keeps; the rest are only counted.
const MAX_NAMED: usize = 32;

/// Longest path below the folder: one open takes no longer one (`PATH_MAX` without the NUL).
pub(super) const MAX_PATH: usize = 4095;

/// Directories may nest this deep. Every open costs its depth, so this bounds what a folder made
/// to be slow can cost; real ones stay below a hundred.
pub(super) const MAX_DEPTH: usize = 256;

/// How to scan.
#[derive(Debug, Clone, Copy)]
pub struct ScanOptions {
    /// Owner of everything in the tree.
    pub uid: u32,
    /// Group of everything in the tree.
    pub gid: u32,
    /// Leave unreadable files and directories out rather than fail.
    pub skip_unreadable: bool,
    /// Names that the folder may have altogether.
    pub max_entries: u64,
    /// Bytes that the files, and so about the image, may have altogether.
    pub max_bytes: u64,
}

impl Default for ScanOptions {
    /// The guest's user 1000, fail on unreadable files, a million names, 16 GiB.
    fn default() -> Self {
        Self {
            uid: 1000,
            gid: 1000,
            skip_unreadable: false,
            max_entries: 1_000_000,
            max_bytes: 16 << 30,
        }
    }
}

/// SHA-256 over all that a scan saw, the options that shape the image, the image format's version
/// and the host's boot: a key for images of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(super) [u8; 32]);

impl Fingerprint {
    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    /// Lower-case hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A socket, pipe or device.
    Special,
    /// No permission to read it.
    Unreadable,
    /// A directory on another file system: it is there, but empty.
    OtherFileSystem,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Special => "socket, pipe or device",
            Self::Unreadable => "no permission to read it",
            Self::OtherFileSystem => "on another file system, kept empty",
        })
    }
}

/// What was left out of a tree.
#[derive(Debug, Clone, Default)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// The first of them, relative to the folder.
    pub named: Vec<(PathBuf, Reason)>,
}

impl Skipped {
    pub(super) fn add(&mut self, path: &[u8], reason: Reason) {
        self.count += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push((to_path(path), reason));
        }
    }
}

/// A folder as it was found.
#[derive(Debug)]
pub struct Scan {
    /// What is in it; contents are read from the folder when an image is written.
    pub tree: Tree,
    /// The key of this state.
    pub fingerprint: Fingerprint,
    /// The latest change of anything in it.
    pub newest: Time,
    /// Names found and kept.
    pub entries: u64,
    /// Sum of the files' lengths, hard links counted once.
    pub bytes: u64,
    /// What was left out.
    pub skipped: Skipped,
}

/// Why a folder cannot be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// There is no such directory.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// Something in it may not be read.
    #[error("no permission to read {}; change its mode, or leave it out of the workspace", .0.display())]
    Unreadable(PathBuf),
    /// It is not what it was a moment ago.
    #[error("{} changed while it was being read", .0.display())]
    Changed(PathBuf),
    /// The system failed.
    #[error("cannot read {}", .path.display())]
    Io {
        /// What was being read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// More names than allowed.
    #[error("{} has more than {max} files and directories; leave something out", .path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
        /// The limit.
        max: u64,
    },
    /// More bytes than allowed.
    #[error("the files come to more than {max} bytes with {}; leave something out", .path.display())]
    TooLarge {
        /// The file that no longer fitted.
        path: PathBuf,
        /// The limit.
        max: u64,
    },
    /// Directories in directories without end.
    #[error("{} leads too deep: at most {MAX_DEPTH} directories or {MAX_PATH} bytes below the folder", .0.display())]
    TooDeep(PathBuf),
    /// A name that an image cannot hold.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl From<ContentError> for ScanError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Changed(path) => Self::Changed(path),
            ContentError::NotAFile(path) => Self::NotADirectory(path),
            ContentError::Open { path, source } | ContentError::Read { path, source } => {
                Self::Io { path, source }
            }
        }
    }
}
