// SPDX-License-Identifier: Apache-2.0
//! A tree into the guest.
//!
//! The root's own path is the operator's and may lead through links. Below the root nothing does:
//! components are single names, and each folder is opened with `openat2` and `RESOLVE_BENEATH |
//! RESOLVE_NO_SYMLINKS`. A file that is there is replaced by a new one, never written into, so that
//! a hard link elsewhere keeps its content. Modes and times of folders are set at the end, so that
//! a read-only folder can be filled.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use protocol::messages::{CopyEnd, Entry, EntryKind};
use protocol::{Frame, FrameError, Kind, read_frame};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, Timespec, Timestamps, fchmod, futimens, mkdirat,
    openat, openat2, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::{CopyError, MAX_DEPTH};

/// The unprivileged user of every image.
const OWNER: u32 = 1000;
/// Most folders whose mode and time are kept for the end; beyond, they keep the defaults.
const MAX_FOLDERS: usize = 100_000;
/// `NAME_MAX`.
const MAX_NAME: usize = 255;

struct Receiver<'a> {
    /// The folder the root is in, and its name there.
    parent: OwnedFd,
    name: OsString,
    root: &'a Path,
    /// The root, when it is a folder.
    folder: Option<OwnedFd>,
    /// Folders to be given their mode and time at the end.
    folders: Vec<(Vec<u8>, Entry)>,
    /// The file being written, with its mode and time.
    open: Option<(File, Entry)>,
}

/// Writes what the host sends, as the unprivileged user where the agent is root.
pub(super) fn receive(from: &mut impl Read, root: &Path) -> Result<(), CopyError> {
    if rustix::process::geteuid().is_root() {
        crate::sys::act_as(OWNER, OWNER, &[]).map_err(|e| CopyError::at(root, e))?;
    }
    let name = root
        .file_name()
        .ok_or_else(|| CopyError::at(root, "names no file or folder"))?;
    let parent = root.parent().unwrap_or(Path::new("/"));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = openat(CWD, parent, flags, Mode::empty()).map_err(|e| CopyError::at(parent, e))?;
    let mut receiver = Receiver {
        parent,
        name: name.to_owned(),
        root,
        folder: None,
        folders: Vec::new(),
        open: None,
    };
    loop {
        let frame = read_frame(from)?;
        if frame.kind == Kind::CopyEnd {
            let CopyEnd { error } = frame.decode(Kind::CopyEnd)?;
            receiver.finish_folders();
            return if error.is_empty() {
                Ok(())
            } else {
                Err(CopyError::at(root, error))
            };
        }
        receiver.take(&frame)?;
    }
}

impl Receiver<'_> {
    fn take(&mut self, frame: &Frame) -> Result<(), CopyError> {
        match (frame.kind, &mut self.open) {
            (Kind::Entry, None) => self.entry(frame.decode(Kind::Entry)?),
            (Kind::FileData, Some((file, _))) => {
                let written = file.write_all(&frame.body);
                written.map_err(|e| CopyError::at(self.root, e))
            }
            (Kind::FileEnd, Some(_)) => {
                if let Some((file, entry)) = self.open.take() {
                    // A file is there and whole without its time; its mode was set at the start.
                    let _ = futimens(&file, &times(&entry));
                }
                Ok(())
            }
            (kind, _) => Err(FrameError::Unexpected { kind }.into()),
        }
    }

    fn entry(&mut self, entry: Entry) -> Result<(), CopyError> {
        let place = self.place(&entry);
        let failed = |what: &dyn ToString| CopyError::at(&place, what.to_string());
        if entry.path.len() > MAX_DEPTH || !entry.path.iter().all(|name| is_name(name)) {
            return Err(failed(&"not a path below the root of a copy"));
        }
        let made = match entry.kind() {
            EntryKind::File => self
                .file(&entry)
                .map(|file| self.open = Some((file, entry))),
            EntryKind::Folder => self.folder(entry),
            EntryKind::Link => self.link(&entry),
            // Named, never made.
            EntryKind::Special => Ok(()),
            EntryKind::Unknown => return Err(failed(&"an entry of no known kind")),
        };
        made.map_err(|e| failed(&e))
    }

    /// Calls `make` with the folder an entry is in and its name there.
    fn within<T>(
        &self,
        entry: &Entry,
        make: impl FnOnce(BorrowedFd<'_>, &OsStr) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let Some((name, above)) = entry.path.split_last() else {
            return make(self.parent.as_fd(), &self.name);
        };
        let root = self.folder.as_ref().ok_or(Errno::NOTDIR)?;
        let name = OsStr::from_bytes(name);
        if above.is_empty() {
            return make(root.as_fd(), name);
        }
        let folder = beneath(root.as_fd(), &above.join(&b'/'), OFlags::PATH)?;
        make(folder.as_fd(), name)
    }

    fn file(&self, entry: &Entry) -> Result<File, Errno> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.within(entry, |folder, name| {
            remove(folder, name)?;
            openat(folder, name, flags, Mode::RUSR | Mode::WUSR)
        })?;
        fchmod(&file, mode(entry))?;
        Ok(File::from(file))
    }

    fn folder(&mut self, entry: Entry) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = self.within(&entry, |folder, name| {
            match mkdirat(folder, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e),
            }
            // Something else by that name is an error here.
            openat(folder, name, flags, Mode::empty())
        })?;
        if entry.path.is_empty() {
            self.folder = Some(folder);
        }
        if self.folders.len() < MAX_FOLDERS {
            self.folders.push((entry.path.join(&b'/'), entry));
        }
        Ok(())
    }

    fn link(&self, entry: &Entry) -> Result<(), Errno> {
        let target = OsString::from_vec(entry.target.clone());
        self.within(entry, |folder, name| {
            remove(folder, name)?;
            symlinkat(target.as_os_str(), folder, name)?;
            let _ = utimensat(folder, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW);
            Ok(())
        })
    }

    /// Modes and times of folders, deepest first. Those of a folder that was there and belongs to
    /// somebody else stay as they are.
    fn finish_folders(&mut self) {
        let Some(root) = self.folder.take() else {
            return;
        };
        for (path, entry) in self.folders.drain(..).rev() {
            let path: &[u8] = if path.is_empty() { b"." } else { &path };
            if let Ok(folder) = beneath(root.as_fd(), path, OFlags::RDONLY) {
                let _ = futimens(&folder, &times(&entry));
                let _ = fchmod(&folder, mode(&entry));
            }
        }
    }

    fn place(&self, entry: &Entry) -> std::path::PathBuf {
        let mut place = self.root.to_path_buf();
        // Hostile components are shown, not followed: a text that is only printed.
        for name in &entry.path {
            place.as_mut_os_string().push("/");
            place.as_mut_os_string().push(OsStr::from_bytes(name));
        }
        place
    }
}

/// Opens a folder below `root` without a step outside or over a link.
fn beneath(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(root, OsStr::from_bytes(path), flags, Mode::empty(), resolve)
}

/// Makes room for a file or link; a folder in the way is an error.
fn remove(folder: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        done => done,
    }
}

/// One component of a path: a name and nothing else.
fn is_name(name: &[u8]) -> bool {
    let plain = !name.iter().any(|byte| matches!(byte, b'/' | 0));
    plain && !matches!(name, b"" | b"." | b"..") && name.len() <= MAX_NAME
}

/// Permission bits; no copy makes a program that changes its user.
fn mode(entry: &Entry) -> Mode {
    Mode::from_raw_mode(entry.mode & 0o777)
}

fn times(entry: &Entry) -> Timestamps {
    const NS: i64 = 1_000_000_000;
    let time = Timespec {
        tv_sec: entry.mtime_ns.div_euclid(NS),
        tv_nsec: entry.mtime_ns.rem_euclid(NS),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_names_are_components() {
        for name in [&b"a"[..], b"..a", b"a b", b"\xff"] {
            assert!(is_name(name), "{name:?}");
        }
        for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0", &[b'x'; 256]] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn times_before_1970_are_times() {
        let entry = Entry {
            mtime_ns: -1,
            ..Entry::default()
        };
        let time = times(&entry).last_modification;
        assert_eq!((time.tv_sec, time.tv_nsec), (-1, 999_999_999));
    }
}
