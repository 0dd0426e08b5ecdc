// SPDX-License-Identifier: Apache-2.0
//! A tree out of a guest, written below one folder here and nowhere else.
//!
//! Everything is opened relative to the copy's own root with `openat2` and `RESOLVE_BENEATH |
//! RESOLVE_NO_SYMLINKS`: neither a name of the guest nor a link that somebody lays meanwhile
//! leads out. Links are made last, so that nothing is written through them; a file that is there
//! is replaced by a new one when that is whole ([`replace`]), never written into,
//! and a device, pipe or socket is not replaced at all. Modes are as [`modes`](super::modes) has
//! them. What is not made is said.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use protocol::messages::{CopyEnd, Entry, EntryKind};
use protocol::{Frame, FrameError, Kind, read_frame};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::modes::Umask;
use super::names::{is_component, link_stays_below};
use super::replace::{self, BENEATH, NewFile, by_descriptor};
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
    /// The folder that holds the root, its path as the user has it, and the root's name in it.
    anchor: OwnedFd,
    anchor_path: PathBuf,
    root: PathBuf,
    umask: Umask,
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
    let (anchor_path, root) = place(destination, name, first.kind())?;
    let mut copy = Copy {
        anchor: open_folder(&anchor_path)?,
        anchor_path,
        root,
        umask: Umask::current()?,
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
) -> Result<(PathBuf, PathBuf), CopyError> {
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
        return Ok((destination.to_owned(), name));
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
    let parent = destination.parent().unwrap_or(Path::new(""));
    Ok((parent.to_owned(), PathBuf::from(root)))
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens `path`; the empty one is the working folder.
fn open_folder(path: &Path) -> Result<OwnedFd, CopyError> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    rustix::fs::open(path, FOLDER, Mode::empty()).map_err(CopyError::file("open the folder", path))
}

/// Where something is to be made.
struct Place {
    folder: OwnedFd,
    name: PathBuf,
    /// Its path below the anchor, for messages.
    whole: PathBuf,
}

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
        let fd = rustix::fs::openat2(&self.anchor, &folder, FOLDER, Mode::empty(), BENEATH)
            .map_err(CopyError::file("enter the folder of", &whole))?;
        Ok((fd, name))
    }

    /// The same for what is no folder, where nothing stands in its way.
    ///
    /// A device, pipe or socket does: none is got back by copying, and `/dev/null` as the
    /// destination means that the user takes it for a file to write into.
    fn vacant(&self, path: &[Vec<u8>], doing: &'static str) -> Result<Place, CopyError> {
        let whole = self.below(path);
        let (folder, name) = self.parent(path)?;
        let there = match rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) => Some(FileType::from_raw_mode(there.st_mode)),
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(CopyError::file(doing, &whole)(errno)),
        };
        match there {
            None | Some(FileType::RegularFile | FileType::Symlink) => Ok(Place {
                folder,
                name,
                whole,
            }),
            Some(FileType::Directory) => Err(CopyError::file(doing, &whole)(Errno::ISDIR)),
            Some(_) => Err(CopyError::Destination {
                // Without the `.` that stands for a root without a name.
                path: self.anchor_path.join(whole).components().collect(),
                what: "is a device, pipe or socket, which a copy never replaces; \
                       copy to another name",
            }),
        }
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
        match self.make_folder(&parent, &name) {
            Ok(()) => self.folders.push((entry.path, entry.mode, entry.mtime_ns)),
            Err(Errno::EXIST) => {
                // Goes on in it, if it is one and no link.
                rustix::fs::openat2(&parent, &name, FOLDER, Mode::empty(), BENEATH)
                    .map_err(CopyError::file("make the folder", &whole))?;
            }
            Err(errno) => return Err(CopyError::file("make the folder", &whole)(errno)),
        }
        Ok(())
    }

    /// A new folder that its owner alone can enter as yet.
    fn make_folder(&self, parent: &OwnedFd, name: &Path) -> rustix::io::Result<()> {
        rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
        if self.umask.takes_from_owner() {
            // By its descriptor: a link laid in its place meanwhile is not followed.
            let folder = rustix::fs::openat2(parent, name, FOLDER, Mode::empty(), BENEATH)?;
            rustix::fs::chmod(by_descriptor(&folder), Mode::RWXU)?;
        }
        Ok(())
    }

    fn file(&mut self, entry: &Entry) -> Result<(), CopyError> {
        let place = self.vacant(&entry.path, "make")?;
        let failed = |what| CopyError::file(what, &place.whole);
        let mut new = NewFile::create(place.folder.as_fd()).map_err(failed("make"))?;
        self.content(&mut new.file, &place.whole)?;
        let (mode, times) = (self.umask.file(entry.mode), times(entry.mtime_ns));
        rustix::fs::fchmod(&new.file, mode)
            .and_then(|()| rustix::fs::futimens(&new.file, &times))
            .map_err(CopyError::file("set the mode of", &place.whole))?;
        new.finish(&place.name).map_err(failed("make"))
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
            let place = self.vacant(&path, "make the link")?;
            replace::link(&target, place.folder.as_fd(), &place.name)
                .map_err(CopyError::file("make the link", &place.whole))?;
        }
        for (path, mode, mtime) in self.folders.iter().rev() {
            let whole = self.below(path);
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let failed = || CopyError::file("set the mode of", &whole);
            let folder = rustix::fs::openat2(&self.anchor, &whole, flags, Mode::empty(), BENEATH)
                .map_err(failed())?;
            rustix::fs::futimens(&folder, &times(*mtime)).map_err(failed())?;
            rustix::fs::fchmod(&folder, self.umask.folder(*mode)).map_err(failed())?;
        }
        Ok(self.done)
    }
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
