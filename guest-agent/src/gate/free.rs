// SPDX-License-Identifier: Apache-2.0
//! The folders below which a command may write without asking, and Landlock, which holds it there
//! (`Documentation/userspace-api/landlock.rst`).
//!
//! The gate lets a call in a free folder be carried out by the kernel from the process' own memory.
//! What it believes of the path does not matter for safety: Landlock lets nothing be written
//! elsewhere, whatever is in that memory when the kernel reads it. A wrong belief costs an ask, or
//! an EACCES where there could have been an ask.
//!
//! Below the workspace files may be made and written, and nothing removed or renamed: the gate does
//! that itself, since what was there before the task counts.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

use super::sys;

/// Access rights of `include/uapi/linux/landlock.h`.
mod access {
    pub(super) const WRITE_FILE: u64 = 1 << 1;
    pub(super) const REMOVE_DIR: u64 = 1 << 4;
    pub(super) const REMOVE_FILE: u64 = 1 << 5;
    /// Char device, folder, file, socket, FIFO, block device, link.
    pub(super) const MAKE: u64 = 0x7f << 6;
    pub(super) const REFER: u64 = 1 << 13;
    pub(super) const TRUNCATE: u64 = 1 << 14;
}

const REMOVE: u64 = access::REMOVE_DIR | access::REMOVE_FILE;

/// Stands for the home of the command's user.
const HOME: &[u8] = b"~";

/// The free folders of a command.
#[derive(Clone, Debug)]
pub(crate) struct Free {
    folders: Vec<PathBuf>,
    workspace: PathBuf,
}

/// Where a path lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lies {
    /// In the workspace: written freely, removed by the gate.
    Workspace,
    /// In another free folder: anything goes.
    Free,
    /// Elsewhere.
    Outside,
}

impl Free {
    /// As the host says them.
    pub(crate) fn new(folders: &[Vec<u8>], home: &str, workspace: &Path) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let path = |bytes: &Vec<u8>| match bytes.as_slice() {
            HOME => PathBuf::from(home),
            bytes => PathBuf::from(std::ffi::OsStr::from_bytes(bytes)),
        };
        // A home that is everything would make everything free.
        let sane = |path: &PathBuf| path.is_absolute() && path.components().count() > 1;
        Self {
            folders: folders.iter().map(path).filter(sane).collect(),
            workspace: workspace.to_owned(),
        }
    }

    /// Where an absolute path without `..` lies, by its words.
    pub(crate) fn of(&self, path: &Path) -> Lies {
        let free = self.folders.iter().any(|folder| path.starts_with(folder));
        match free {
            true if path.starts_with(&self.workspace) => Lies::Workspace,
            true => Lies::Free,
            false => Lies::Outside,
        }
    }

    /// What holds a command to its free folders. None without Landlock: the caller runs nothing
    /// then.
    pub(crate) fn ruleset(&self) -> io::Result<OwnedFd> {
        let mut handled = access::WRITE_FILE | REMOVE | access::MAKE | access::REFER;
        match sys::landlock_version() {
            ..2 => return Err(io::ErrorKind::Unsupported.into()),
            2 => {}
            _ => handled |= access::TRUNCATE,
        }
        let ruleset = sys::ruleset(handled)?;
        for folder in &self.folders {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            // What is not there cannot be written; made later, it is outside.
            let Ok(opened) = open(folder, flags, Mode::empty()) else {
                continue;
            };
            let kind = FileType::from_raw_mode(fstat(&opened)?.st_mode);
            let allowed = match kind {
                FileType::Directory if folder.starts_with(&self.workspace) => handled & !REMOVE,
                FileType::Directory => handled,
                _ => handled & (access::WRITE_FILE | access::TRUNCATE),
            };
            sys::allow(&ruleset, &opened, allowed)?;
        }
        Ok(ruleset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free() -> Free {
        let folders: Vec<Vec<u8>> = ["/workspace", "/tmp", "~", "relative"]
            .map(|path| path.as_bytes().to_vec())
            .to_vec();
        Free::new(&folders, "/home/agent", Path::new("/workspace"))
    }

    #[test]
    fn a_path_lies_where_its_parts_say() {
        let lies = |path: &str| free().of(Path::new(path));
        assert_eq!(lies("/workspace/a"), Lies::Workspace);
        assert_eq!(lies("/tmp/x/y"), Lies::Free);
        assert_eq!(lies("/home/agent/.cache"), Lies::Free);
        assert_eq!(lies("/tmpfile"), Lies::Outside);
        assert_eq!(lies("/etc/passwd"), Lies::Outside);
        assert_eq!(lies("/"), Lies::Outside);
    }

    #[test]
    fn a_home_that_is_everything_frees_nothing() {
        let free = Free::new(&[HOME.to_vec()], "/", Path::new("/workspace"));
        assert_eq!(free.of(Path::new("/etc/passwd")), Lies::Outside);
    }
}
