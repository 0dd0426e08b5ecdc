// SPDX-License-Identifier: Apache-2.0
//! Files and links that take the place of older ones only when they are whole.
//!
//! ```text
//! O_TMPFILE ─► bytes ─► mode, time ─► linkat (temporary name) ─► renameat (final name)
//! ```
//!
//! A guest may break off at any byte, and a signal may end this process. The old file stays until
//! the rename; a file without a name vanishes with the process. Where the file system has no
//! `O_TMPFILE` (NFS, some FUSE) the new one has its temporary name from the beginning: then a
//! signal leaves that behind, but never half a file under the final name. Temporary names are
//! random, so that a guest cannot send an entry that meets one.

use std::ffi::CString;
use std::fmt::Write;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How everything is opened below a copy's root.
pub(super) const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// The path by which the kernel finds the file behind `fd`, whatever its names became.
pub(super) fn by_descriptor(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// A name in a folder; what has it is taken away when this is dropped.
#[derive(Debug)]
struct Temporary<'a> {
    folder: BorrowedFd<'a>,
    name: CString,
    renamed: bool,
}

impl<'a> Temporary<'a> {
    /// Picks a name that nobody can guess; nothing has it yet.
    fn pick(folder: BorrowedFd<'a>) -> io::Result<Self> {
        let mut random = [0; 16];
        crate::entropy(&mut random)?;
        let mut name = String::from(".ampoule-");
        for byte in random {
            // Writing into a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        Ok(Self {
            folder,
            name: CString::new(name)?,
            renamed: false,
        })
    }

    fn rename(mut self, name: &Path) -> io::Result<()> {
        rustix::fs::renameat(self.folder, &self.name, self.folder, name)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = rustix::fs::unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}

/// A file being written, which goes if it is dropped before it is [named](Self::finish).
#[derive(Debug)]
pub(super) struct NewFile<'a> {
    /// To write to.
    pub(super) file: File,
    folder: BorrowedFd<'a>,
    temporary: Option<Temporary<'a>>,
}

impl<'a> NewFile<'a> {
    /// An empty file in `folder`, for its owner only.
    pub(super) fn create(folder: BorrowedFd<'a>) -> io::Result<Self> {
        // File systems differ in how they say that they have no O_TMPFILE; whatever else is
        // wrong, the second way meets it too and says so.
        Self::nameless(folder).or_else(|_| Self::named(folder))
    }

    fn nameless(folder: BorrowedFd<'a>) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(folder, c".", flags, Mode::RUSR | Mode::WUSR, BENEATH)?;
        Ok(Self {
            file: file.into(),
            folder,
            temporary: None,
        })
    }

    fn named(folder: BorrowedFd<'a>) -> io::Result<Self> {
        let temporary = Temporary::pick(folder)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat2(folder, &temporary.name, flags, mode, BENEATH)?;
        Ok(Self {
            file: file.into(),
            folder,
            temporary: Some(temporary),
        })
    }

    /// Gives the file its `name` in the folder, in the place of what has it; a folder keeps it.
    pub(super) fn finish(self, name: &Path) -> io::Result<()> {
        let temporary = match self.temporary {
            Some(temporary) => temporary,
            None => {
                // linkat(2) replaces nothing, so a rename has to.
                let temporary = Temporary::pick(self.folder)?;
                let (from, flags) = (by_descriptor(&self.file), AtFlags::SYMLINK_FOLLOW);
                rustix::fs::linkat(CWD, from, self.folder, &temporary.name, flags)?;
                temporary
            }
        };
        temporary.rename(name)
    }
}

/// A link to `target`, in the place of what has the `name` in `folder`; a folder keeps it.
pub(super) fn link(target: &[u8], folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    match rustix::fs::symlinkat(target, folder, name) {
        Err(Errno::EXIST) => {
            let temporary = Temporary::pick(folder)?;
            rustix::fs::symlinkat(target, folder, &temporary.name)?;
            temporary.rename(name)
        }
        made => Ok(made?),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    /// Made in the way of file systems with `O_TMPFILE`, or in that of those without.
    fn create(nameless: bool, folder: &File) -> NewFile<'_> {
        let folder = folder.as_fd();
        let new = if nameless {
            NewFile::nameless(folder)
        } else {
            NewFile::named(folder)
        };
        new.unwrap()
    }

    #[test]
    fn a_file_takes_a_name_when_it_is_finished_and_goes_when_it_is_dropped() {
        for nameless in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let old = dir.path().join("f");
            fs::write(&old, "old").unwrap();
            let folder = File::open(dir.path()).unwrap();
            let mut dropped = create(nameless, &folder);
            dropped.file.write_all(b"half").unwrap();
            drop(dropped);
            let mut new = create(nameless, &folder);
            new.file.write_all(b"new").unwrap();
            assert_eq!(fs::read(&old).unwrap(), b"old");
            new.finish(Path::new("f")).unwrap();
            assert_eq!(fs::read(&old).unwrap(), b"new");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn what_cannot_take_its_name_is_taken_away() {
        for nameless in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("d")).unwrap();
            let folder = File::open(dir.path()).unwrap();
            let new = create(nameless, &folder);
            new.finish(Path::new("d")).unwrap_err();
            link(b"x", folder.as_fd(), Path::new("d")).unwrap_err();
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}
