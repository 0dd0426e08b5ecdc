// SPDX-License-Identifier: Apache-2.0
//! Opening what is below one folder, and nothing else.
//!
//! No component may be a symbolic link and nothing leads out, also not for someone who swaps a
//! folder for a link meanwhile: every opening is openat2(2) with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_SYMLINKS` (Linux 5.6). A pipe or a device is never waited for.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// An open folder.
#[derive(Debug)]
pub(super) struct Beneath(OwnedFd);

impl Beneath {
    /// Opens the folder itself; its own path may contain links, the user named it.
    pub(super) fn top(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map(Self)
    }

    /// Opens what is at `path`, relative; the folder itself when it is empty.
    pub(super) fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags
            | OFlags::RDONLY
            | OFlags::NOFOLLOW
            | OFlags::CLOEXEC
            | OFlags::NOCTTY
            | OFlags::NONBLOCK;
        self.resolve(path, flags)
    }

    fn resolve(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let path = if path.is_empty() { b"." } else { path };
        rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve)
    }

    /// Opens a folder.
    pub(super) fn folder(&self, path: &[u8]) -> Result<Self, Errno> {
        self.open(path, OFlags::DIRECTORY).map(Self)
    }

    /// What is at `path`, a link itself. [`Errno::LOOP`] when a link is on the way.
    pub(super) fn stat(&self, path: &[u8]) -> Result<Stat, Errno> {
        let Some(cut) = path.iter().rposition(|byte| *byte == b'/') else {
            let name = if path.is_empty() { b"." } else { path };
            return rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW);
        };
        let (folder, name) = path.split_at(cut);
        let name = name.get(1..).unwrap_or_default();
        // Without `NOFOLLOW`, which with `PATH` would open a link instead of refusing it.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = self.resolve(folder, flags)?;
        rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// A regular file of at most `limit` bytes, opened.
    pub(super) fn file(&self, path: &[u8], limit: u64) -> Option<(std::fs::File, Stat)> {
        let fd = self.open(path, OFlags::empty()).ok()?;
        let stat = rustix::fs::fstat(&fd).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let fits = size(&stat) <= limit;
        (regular && fits).then(|| (fd.into(), stat))
    }

    /// The bytes of a regular file of at most `limit` of them.
    pub(super) fn read(&self, path: &[u8], limit: u64) -> Option<(Vec<u8>, Stat)> {
        let (file, stat) = self.file(path, limit)?;
        let mut bytes = Vec::with_capacity(usize::try_from(size(&stat)).ok()?);
        file.take(limit).read_to_end(&mut bytes).ok()?;
        Some((bytes, stat))
    }
}

/// A file's length.
pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}
