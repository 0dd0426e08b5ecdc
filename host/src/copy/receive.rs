// SPDX-License-Identifier: Apache-2.0
//! A tree out of a guest, written below one folder here and nowhere else.
//!
//! Everything is opened relative to the copy's own root with `openat2` and `RESOLVE_BENEATH |
//! RESOLVE_NO_SYMLINKS`: neither a name of the guest nor a link that somebody lays meanwhile
//! leads out. Links are made last, so that nothing is written through them; a file that is there
//! is replaced by a new one, never written into. Set-id bits are dropped. What is not made is
//! said.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use protocol::messages::{CopyEnd, Entry, EntryKind};
use protocol::{Frame, FrameError, Kind, read_frame};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::names::{is_component, link_stays_below};
use super::{CopyError, MAX_BYTES, MAX_DEPTH, MAX_ENTRIES, MAX_KEPT};

/// What a copy came to.
#[derive(Debug, Default)]
pub struct Received {
    /// Files, folders and links made.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// What was not made, and why: a line each.
    pub left_out: Vec<String>,
}

/// Lines kept of what was left out.
const MAX_LINES: usize = 100;

struct Copy<'a> {
    /// The folder that holds the root, and the root's name in it.
    anchor: OwnedFd,
    root: PathBuf,
    done: Received,
    links: Vec<(Vec<Vec<u8>>, Vec<u8>)>,
    folders: Vec<(Vec<Vec<u8>>, u32, i64)>,
    /// Bytes in `links` and `folders`, at most [`MAX_KEPT`].
    kept: usize,
    from: &'a mut dyn Read,
}

/// Receives what comes over `from` as `destination`, or, where that is a folder, as `name` in it
/// (unless `name` is none: then what the copy's root holds goes right into it).
///
/// # Errors
/// As [`CopyError`] says. What was made before stays.
pub fn receive(
    from: &mut dyn Read,
    destination: &Path,
    name: Option<&[u8]>,
) -> Result<Received, CopyError> {
    let first = match next(from)? {
        Some(entry) => entry,
        None => return Ok(Received::default()),
    };
    if !first.path.is_empty() {
        return Err(CopyError::Hostile("an entry before the root".to_owned()));
    }
    let (anchor, root) = place(destination, name, first.kind())?;
    let mut copy = Copy {
        anchor,
        root,
        done: Received::default(),
        links: Vec::new(),
        folders: Vec::new(),
        kept: 0,
        from,
    };
    copy.entry(first)?;
    while let Some(entry) = next(copy.from)? {
        copy.entry(entry)?;
    }
    copy.finish()
}

/// The next entry; `None` at the end.
fn next(from: &mut dyn Read) -> Result<Option<Entry>, CopyError> {
    let mut from = from;
    let frame = read_frame(&mut from)?;
    match frame.kind {
        Kind::Entry => Ok(Some(frame.decode(Kind::Entry)?)),
        Kind::CopyEnd => {
            let CopyEnd { error } = frame.decode(Kind::CopyEnd)?;
            if error.is_empty() {
                return Ok(None);
            }
            Err(CopyError::Guest(crate::supervise::verdict::clean(&error)))
        }
        kind => Err(FrameError::Unexpected { kind }.into()),
    }
}

/// The folder that the copy's root goes into and its name there, as `docker cp` has it.
fn place(
    destination: &Path,
    name: Option<&[u8]>,
    kind: EntryKind,
) -> Result<(OwnedFd, PathBuf), CopyError> {
    let refuse = |what| CopyError::Destination {
        path: destination.to_owned(),
        what,
    };
    let there = std::fs::metadata(destination).ok();
    let is_folder = there.as_ref().is_some_and(std::fs::Metadata::is_dir);
    if is_folder {
        let name = name.filter(|name| is_component(name));
        let name = name.map_or_else(
            || PathBuf::from("."),
            |name| PathBuf::from(std::ffi::OsStr::from_bytes(name)),
        );
        if name == Path::new(".") && kind != EntryKind::Folder {
            return Err(refuse(
                "is a folder; say what the copy is to be called in it",
            ));
        }
        return Ok((open_folder(destination)?, name));
    }
    if there.is_some() && kind == EntryKind::Folder {
        return Err(refuse("is a file, and what is copied is a folder"));
    }
    let wants_folder = destination.as_os_str().as_bytes().ends_with(b"/");
    if there.is_none() && wants_folder && kind != EntryKind::Folder {
        return Err(refuse("is no folder"));
    }
    let Some(root) = destination.file_name() else {
        return Err(refuse("does not say what the copy is to be called"));
    };
    let parent = destination
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    Ok((
        open_folder(parent.unwrap_or(Path::new(".")))?,
        PathBuf::from(root),
    ))
}

fn open_folder(path: &Path) -> Result<OwnedFd, CopyError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(CopyError::file("open the folder", path))
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

impl Copy<'_> {
    /// Where the entry at `path` goes, below the anchor.
    fn below(&self, path: &[Vec<u8>]) -> PathBuf {
        let names = path
            .iter()
            .map(|name| Path::new(std::ffi::OsStr::from_bytes(name)));
        names.fold(self.root.clone(), |path, name| path.join(name))
    }

    /// The folder that holds the entry at `path`, and the entry's name in it.
    fn parent(&self, path: &[Vec<u8>]) -> Result<(OwnedFd, PathBuf), CopyError> {
        let whole = self.below(path);
        let (folder, name) = match path.split_last() {
            Some((name, above)) => (
                self.below(above),
                PathBuf::from(std::ffi::OsStr::from_bytes(name)),
            ),
            None => (PathBuf::from("."), whole.clone()),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(&self.anchor, &folder, flags, Mode::empty(), BENEATH)
            .map_err(CopyError::file("enter the folder of", &whole))?;
        Ok((fd, name))
    }

    fn entry(&mut self, entry: Entry) -> Result<(), CopyError> {
        let kind = entry.kind();
        if !entry.path.iter().all(|name| is_component(name)) || entry.path.len() > MAX_DEPTH {
            let shown = entry.path.join(&b'/');
            let shown = crate::supervise::verdict::clean(&String::from_utf8_lossy(&shown));
            return Err(CopyError::Hostile(format!("the path '{shown}'")));
        }
        self.done.entries += 1;
        if self.done.entries > MAX_ENTRIES {
            return Err(CopyError::TooLarge(format!("{MAX_ENTRIES} files")));
        }
        match kind {
            EntryKind::Folder => self.folder(entry),
            EntryKind::File => self.file(&entry),
            EntryKind::Link => {
                if link_stays_below(&entry.target, entry.path.len().saturating_sub(1)) {
                    self.keep(&entry)?;
                    self.links.push((entry.path, entry.target));
                } else {
                    let target = String::from_utf8_lossy(&entry.target).into_owned();
                    self.leave_out(&entry.path, &format!("a link out of the copy, to {target}"));
                }
                Ok(())
            }
            EntryKind::Special | EntryKind::Unknown => {
                self.leave_out(&entry.path, "a device, socket or pipe");
                Ok(())
            }
        }
    }

    /// Makes sure that there is room for what is kept of `entry`.
    fn keep(&mut self, entry: &Entry) -> Result<(), CopyError> {
        let names = entry
            .path
            .iter()
            .map(|name| name.len() + size_of::<Vec<u8>>());
        self.kept += names.sum::<usize>() + entry.target.len();
        if self.kept > MAX_KEPT {
            let what = format!("{} MiB of names and links", MAX_KEPT >> 20);
            return Err(CopyError::TooLarge(what));
        }
        Ok(())
    }

    fn leave_out(&mut self, path: &[Vec<u8>], why: &str) {
        self.done.entries -= 1;
        if self.done.left_out.len() < MAX_LINES {
            let line = format!("{}: {why}", self.below(path).display());
            self.done
                .left_out
                .push(crate::supervise::verdict::clean(&line));
        }
    }

    fn folder(&mut self, entry: Entry) -> Result<(), CopyError> {
        self.keep(&entry)?;
        let whole = self.below(&entry.path);
        let (parent, name) = self.parent(&entry.path)?;
        match rustix::fs::mkdirat(&parent, &name, Mode::RWXU) {
            Ok(()) => self.folders.push((entry.path, entry.mode, entry.mtime_ns)),
            Err(Errno::EXIST) => {
                // Goes on in it, if it is one and no link.
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                rustix::fs::openat2(&parent, &name, flags, Mode::empty(), BENEATH)
                    .map_err(CopyError::file("make the folder", &whole))?;
            }
            Err(errno) => return Err(CopyError::file("make the folder", &whole)(errno)),
        }
        Ok(())
    }

    fn file(&mut self, entry: &Entry) -> Result<(), CopyError> {
        let whole = self.below(&entry.path);
        let (parent, name) = self.parent(&entry.path)?;
        let file = create(parent.as_fd(), &name).map_err(CopyError::file("make", &whole))?;
        let mut file = File::from(file);
        let written = self.content(&mut file, &whole);
        if written.is_err() {
            // Half a file would look like a whole one.
            let _ = rustix::fs::unlinkat(&parent, &name, AtFlags::empty());
            return written;
        }
        let failed = || CopyError::file("set the mode of", &whole);
        rustix::fs::fchmod(&file, mode_of(entry.mode)).map_err(failed())?;
        rustix::fs::futimens(&file, &times(entry.mtime_ns)).map_err(failed())
    }

    fn content(&mut self, file: &mut File, whole: &Path) -> Result<(), CopyError> {
        loop {
            let mut from = &mut *self.from;
            let Frame { kind, body } = read_frame(&mut from)?;
            match kind {
                Kind::FileData => {
                    self.done.bytes = self.done.bytes.saturating_add(body.len() as u64);
                    if self.done.bytes > MAX_BYTES {
                        return Err(CopyError::TooLarge(format!("{} GiB", MAX_BYTES >> 30)));
                    }
                    file.write_all(&body)
                        .map_err(CopyError::file("write", whole))?;
                }
                Kind::FileEnd => return Ok(()),
                kind => return Err(FrameError::Unexpected { kind }.into()),
            }
        }
    }

    /// Makes the links, then sets what could not be set while folders were being filled.
    fn finish(mut self) -> Result<Received, CopyError> {
        for (path, target) in std::mem::take(&mut self.links) {
            let whole = self.below(&path);
            let (parent, name) = self.parent(&path)?;
            let make = || rustix::fs::symlinkat(target.as_slice(), &parent, &name);
            let made = match make() {
                Err(Errno::EXIST) => {
                    rustix::fs::unlinkat(&parent, &name, AtFlags::empty()).and_then(|()| make())
                }
                other => other,
            };
            made.map_err(CopyError::file("make the link", &whole))?;
        }
        for (path, mode, mtime) in self.folders.iter().rev() {
            let whole = self.below(path);
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let failed = || CopyError::file("set the mode of", &whole);
            let folder = rustix::fs::openat2(&self.anchor, &whole, flags, Mode::empty(), BENEATH)
                .map_err(failed())?;
            rustix::fs::futimens(&folder, &times(*mtime)).map_err(failed())?;
            rustix::fs::fchmod(&folder, mode_of(*mode)).map_err(failed())?;
        }
        Ok(self.done)
    }
}

/// A new file; one that is there is taken away first, a folder is not.
fn create(parent: BorrowedFd<'_>, name: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let make = || rustix::fs::openat2(parent, name, flags, Mode::RUSR | Mode::WUSR, BENEATH);
    match make() {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
            make()
        }
        other => other,
    }
}

/// Permissions without set-id and sticky bits.
fn mode_of(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o777)
}

fn times(mtime_ns: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime_ns.div_euclid(1_000_000_000),
        tv_nsec: mtime_ns.rem_euclid(1_000_000_000),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

#[cfg(test)]
mod tests;
