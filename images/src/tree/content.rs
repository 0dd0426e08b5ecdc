// SPDX-License-Identifier: Apache-2.0
//! Where a file's content comes from, and the proof that it is still what was measured.
//!
//! The image's layout is computed from lengths before a byte is read, so every source is stamped
//! (device, inode, length, modification and change time) when it enters the tree and checked
//! when it is opened and again after its last byte was read. A source that differs is
//! [`ContentError::Changed`] and no image comes to be.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::Time;

/// Why a file's content could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It cannot be opened.
    #[error("cannot open {}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not a regular file.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// It is not what it was when the tree was made.
    #[error("{} changed while the image was being made", .0.display())]
    Changed(PathBuf),
}

/// What tells whether a file is still the one that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) mtime: Time,
    pub(crate) ctime: Time,
}

impl Stamp {
    pub(crate) fn of(stat: &Stat) -> Self {
        let time = |secs, nanos| Time {
            secs,
            nanos: u32::try_from(nanos).unwrap_or(0),
        };
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// An open file of which parts are contents: a tar.
#[derive(Debug)]
pub struct Archive {
    file: File,
    path: PathBuf,
    stamp: Stamp,
}

impl Archive {
    /// Opens the regular file at `path`, links followed.
    pub fn open(path: &Path) -> Result<Self, ContentError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| ContentError::Open {
                path: path.into(),
                source: errno.into(),
            })?;
        let stamp = regular(&fd, path)?.ok_or_else(|| ContentError::NotAFile(path.into()))?;
        Ok(Self {
            file: fd.into(),
            path: path.into(),
            stamp,
        })
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length when it was opened.
    pub fn len(&self) -> u64 {
        self.stamp.size
    }

    /// Whether it was empty when it was opened.
    pub fn is_empty(&self) -> bool {
        self.stamp.size == 0
    }

    /// Fills `buffer` from `offset`.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), ContentError> {
        read_exact(&self.file, buffer, offset, &self.path)
    }
}

/// The open top of a folder whose files are contents, and the name it goes by in messages.
#[derive(Debug)]
pub(crate) struct HostFolder {
    pub(crate) top: OwnedFd,
    pub(crate) path: PathBuf,
}

impl HostFolder {
    /// Opens what is at `path` below the top. No component may be a link and nothing leads
    /// out: a concurrent swap makes this fail, it cannot lead elsewhere. `NONBLOCK`, so that a
    /// file swapped for a pipe cannot hang us.
    pub(crate) fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let path = if path.is_empty() { b"." } else { path };
        rustix::fs::openat2(
            &self.top,
            path,
            flags | OFlags::NONBLOCK,
            Mode::empty(),
            resolve,
        )
    }

    /// The path of something below the top, for messages.
    pub(crate) fn full(&self, path: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(path))
    }
}

/// A regular file's content: bytes, or where they will be read.
#[derive(Debug, Clone)]
pub struct Content(Source);

#[derive(Debug, Clone)]
enum Source {
    Bytes(Arc<[u8]>),
    Part {
        archive: Arc<Archive>,
        offset: u64,
        len: u64,
    },
    Path {
        path: Arc<Path>,
        stamp: Stamp,
    },
    Below {
        folder: Arc<HostFolder>,
        path: Box<[u8]>,
        stamp: Stamp,
    },
}

impl Content {
    /// These bytes.
    pub fn bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(Source::Bytes(bytes.into()))
    }

    /// The whole of the regular file at `path` (links followed), read when the image is written.
    pub fn file(path: &Path) -> Result<Self, ContentError> {
        let archive = Archive::open(path)?;
        Ok(Self(Source::Path {
            path: path.into(),
            stamp: archive.stamp,
        }))
    }

    /// `len` bytes of `archive` from `offset`. `None` when the archive does not hold them all.
    pub fn part(archive: &Arc<Archive>, offset: u64, len: u64) -> Option<Self> {
        let end = offset.checked_add(len)?;
        let archive = Arc::clone(archive);
        (end <= archive.len()).then_some(Self(Source::Part {
            archive,
            offset,
            len,
        }))
    }

    /// The regular file at `path` below a scanned folder.
    pub(crate) fn below(folder: &Arc<HostFolder>, path: &[u8], stamp: Stamp) -> Self {
        Self(Source::Below {
            folder: Arc::clone(folder),
            path: path.into(),
            stamp,
        })
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::Part { len, .. } => *len,
            Source::Path { stamp, .. } | Source::Below { stamp, .. } => stamp.size,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens it for reading and checks that it is what was measured.
    pub(crate) fn open(&self) -> Result<Opened<'_>, ContentError> {
        let (fd, path, stamp) = match &self.0 {
            Source::Bytes(bytes) => return Ok(Opened::Bytes(bytes)),
            Source::Part {
                archive, offset, ..
            } => {
                let opened = Opened::Part {
                    archive,
                    base: *offset,
                };
                opened.finish()?;
                return Ok(opened);
            }
            Source::Path { path, stamp } => {
                let archive = Archive::open(path)?;
                (archive.file.into(), path.to_path_buf(), *stamp)
            }
            Source::Below {
                folder,
                path,
                stamp,
            } => {
                let full = folder.full(path);
                (
                    folder
                        .open(path, OFlags::empty())
                        .map_err(|e| gone(e, &full))?,
                    full,
                    *stamp,
                )
            }
        };
        let opened = Opened::File {
            file: File::from(fd),
            path,
            stamp,
        };
        opened.finish()?;
        Ok(opened)
    }
}

/// A content being read.
#[derive(Debug)]
pub(crate) enum Opened<'a> {
    Bytes(&'a [u8]),
    Part {
        archive: &'a Archive,
        base: u64,
    },
    File {
        file: File,
        path: PathBuf,
        stamp: Stamp,
    },
}

impl Opened<'_> {
    /// Fills `buffer` from `offset` of the content.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), ContentError> {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(buffer.len());
                if let Some(part) = bytes.get(start..end) {
                    buffer.copy_from_slice(part);
                }
                Ok(())
            }
            Self::Part { archive, base } => archive.read(buffer, base.saturating_add(offset)),
            Self::File { file, path, .. } => read_exact(file, buffer, offset, path),
        }
    }

    /// The file behind it and where the content begins there, for copies inside the kernel.
    pub(crate) fn file(&self) -> Option<(&File, u64)> {
        match self {
            Self::Bytes(_) => None,
            Self::Part { archive, base } => Some((&archive.file, *base)),
            Self::File { file, .. } => Some((file, 0)),
        }
    }

    /// Checks that the file behind it still is what was measured: to be called after reading.
    pub(crate) fn finish(&self) -> Result<(), ContentError> {
        let (file, path, stamp) = match self {
            Self::Bytes(_) => return Ok(()),
            Self::Part { archive, .. } => (&archive.file, &archive.path, archive.stamp),
            Self::File { file, path, stamp } => (file, path, *stamp),
        };
        match regular(file, path)? {
            Some(now) if now == stamp => Ok(()),
            _ => Err(ContentError::Changed(path.clone())),
        }
    }
}

/// The stamp of an open file, `None` when it is not a regular one.
fn regular(fd: impl std::os::fd::AsFd, path: &Path) -> Result<Option<Stamp>, ContentError> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| ContentError::Read {
        path: path.into(),
        source: errno.into(),
    })?;
    let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    Ok(regular.then(|| Stamp::of(&stat)))
}

/// An end before `buffer` is full means that the file shrank.
fn read_exact(file: &File, buf: &mut [u8], offset: u64, path: &Path) -> Result<(), ContentError> {
    file.read_exact_at(buf, offset)
        .map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => ContentError::Changed(path.into()),
            _ => ContentError::Read {
                path: path.into(),
                source,
            },
        })
}

/// What failing to open a file that a scan saw means: gone, or now a link or a mount, is a
/// change; anything else is the system's own word.
pub(crate) fn gone(errno: Errno, path: &Path) -> ContentError {
    match errno {
        Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::XDEV | Errno::NXIO | Errno::AGAIN => {
            ContentError::Changed(path.into())
        }
        _ => ContentError::Open {
            path: path.into(),
            source: errno.into(),
        },
    }
}
