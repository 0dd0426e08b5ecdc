// SPDX-License-Identifier: Apache-2.0
//! A tree out of the guest: every entry named before what it holds, folders in order of name.
//!
//! No link is followed below the path that was asked for (nor that path itself): each name is
//! opened relative to its folder's descriptor with `O_NOFOLLOW`, and looked at after it was opened.
//! Devices, sockets and pipes are named and never opened. What vanishes meanwhile is left out; a
//! file that grows is sent as long as it was, so that no writer can make a copy endless.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use protocol::kind::DATA_CAP;
use protocol::messages::{Entry, EntryKind};
use protocol::{Kind, write_frame, write_message};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat,
};
use rustix::io::Errno;

use super::{CopyError, MAX_DEPTH};

/// How much is read of a file that says it has no bytes: those of /proc say so and have some.
const MAX_UNSIZED: u64 = 1 << 20;
/// Most names of one folder, which are held in memory to be sorted.
const MAX_NAMES: usize = 1 << 20;

/// A folder being walked.
struct Level {
    folder: OwnedFd,
    /// Names still to be sent, last first.
    names: Vec<CString>,
}

struct Sender<'a, W> {
    to: &'a mut W,
    /// The components of what is sent at the moment.
    path: Vec<Vec<u8>>,
    root: &'a Path,
}

/// Sends the tree at `root`.
pub(super) fn send(to: &mut impl Write, root: &Path) -> Result<(), CopyError> {
    let name = CString::new(root.as_os_str().as_bytes()).map_err(|e| CopyError::at(root, e))?;
    let mut sender = Sender {
        to,
        path: Vec::new(),
        root,
    };
    let mut levels = Vec::new();
    match sender.entry(CWD, &name) {
        Ok(level) => levels.extend(level),
        Err(Found::Gone) => return Err(CopyError::at(root, "no such file or folder")),
        Err(Found::Failed(e)) => return Err(e),
    }
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.names.pop() else {
            levels.pop();
            sender.path.pop();
            continue;
        };
        sender.path.push(name.as_bytes().to_vec());
        if levels.len() >= MAX_DEPTH {
            return Err(CopyError::at(sender.place(), "too deep a tree"));
        }
        let Some(level) = levels.last() else { break };
        match sender.entry(level.folder.as_fd(), &name) {
            Ok(Some(below)) => levels.push(below),
            Ok(None) | Err(Found::Gone) => drop(sender.path.pop()),
            Err(Found::Failed(e)) => return Err(e),
        }
    }
    Ok(())
}

/// Why an entry was not sent.
enum Found {
    /// It was there a moment ago.
    Gone,
    Failed(CopyError),
}

impl From<CopyError> for Found {
    fn from(e: CopyError) -> Self {
        Found::Failed(e)
    }
}

impl<W: Write> Sender<'_, W> {
    /// Where the walk is, for people.
    fn place(&self) -> PathBuf {
        let below = self.path.iter().map(|name| OsStr::from_bytes(name));
        let mut place = self.root.to_path_buf();
        place.extend(below);
        place
    }

    fn failed(&self, errno: Errno) -> Found {
        match errno {
            Errno::NOENT => Found::Gone,
            errno => Found::Failed(CopyError::at(self.place(), errno)),
        }
    }

    /// Sends one entry; a folder comes back to be walked.
    fn entry(&mut self, folder: BorrowedFd<'_>, name: &CStr) -> Result<Option<Level>, Found> {
        let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| self.failed(e))?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let file =
                    openat(folder, name, flags, Mode::empty()).map_err(|e| self.failed(e))?;
                // It may be another one by now.
                let stat = fstat(&file).map_err(|e| self.failed(e))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                    return Err(Found::Gone);
                }
                self.file(File::from(file), &stat)?;
                Ok(None)
            }
            FileType::Directory => {
                let flags = flags | OFlags::DIRECTORY;
                let below =
                    openat(folder, name, flags, Mode::empty()).map_err(|e| self.failed(e))?;
                let names = self.names(&below)?;
                self.announce(EntryKind::Folder, &stat, Vec::new())?;
                Ok(Some(Level {
                    folder: below,
                    names,
                }))
            }
            FileType::Symlink => {
                let target = readlinkat(folder, name, Vec::new()).map_err(|e| self.failed(e))?;
                self.announce(EntryKind::Link, &stat, target.into_bytes())?;
                Ok(None)
            }
            _ => {
                self.announce(EntryKind::Special, &stat, Vec::new())?;
                Ok(None)
            }
        }
    }

    /// The names in a folder, last first.
    fn names(&self, folder: &OwnedFd) -> Result<Vec<CString>, Found> {
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(|e| self.failed(e))? {
            let entry = entry.map_err(|e| self.failed(e))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if names.len() >= MAX_NAMES {
                return Err(CopyError::at(self.place(), "too many names in one folder").into());
            }
            names.push(name.to_owned());
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    fn announce(&mut self, kind: EntryKind, stat: &Stat, target: Vec<u8>) -> Result<(), CopyError> {
        let size = if kind == EntryKind::File {
            stat.st_size
        } else {
            0
        };
        let seconds = stat.st_mtime.saturating_mul(1_000_000_000);
        let rest = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
        let entry = Entry {
            path: self.path.clone(),
            kind: kind.into(),
            mode: stat.st_mode & 0o7777,
            mtime_ns: seconds.saturating_add(rest),
            size: u64::try_from(size).unwrap_or(0),
            target,
        };
        Ok(write_message(self.to, Kind::Entry, &entry)?)
    }

    fn file(&mut self, file: File, stat: &Stat) -> Result<(), Found> {
        self.announce(EntryKind::File, stat, Vec::new())?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let mut file = file.take(if size == 0 { MAX_UNSIZED } else { size });
        let cap = usize::try_from(DATA_CAP).unwrap_or(usize::MAX);
        let longest = usize::try_from(size).unwrap_or(usize::MAX).clamp(4096, cap);
        let mut piece = vec![0; longest];
        loop {
            let read = file.read(&mut piece);
            let n = read.map_err(|e| CopyError::at(self.place(), e))?;
            if n == 0 {
                break;
            }
            let piece = piece.get(..n).unwrap_or_default();
            write_frame(self.to, Kind::FileData, piece).map_err(CopyError::from)?;
        }
        write_frame(self.to, Kind::FileEnd, &[]).map_err(CopyError::from)?;
        Ok(())
    }
}
