// SPDX-License-Identifier: Apache-2.0
//! A root filesystem's tar as a tree, unpacked nowhere.
//!
//! Contents stay where they are: the tree refers to ranges of the tar, which must exist until the
//! image is written. So owners, device nodes and set-id bits need no root, and nothing in the tar
//! can reach the host's file system.
//!
//! Read are `ustar`, GNU and pax tars as mmdebstrap, `docker export`, GNU tar and bsdtar make
//! them. Names count from the tree's root whether or not they begin with `/` or `./`; one with
//! `..` is refused. A name that comes twice has its last meaning; a directory that comes twice
//! keeps what is in it. Directories that no entry describes are root's with mode 0755. Extended
//! attributes are counted and dropped. What an image could only hold wrongly is refused: sparse
//! files, multi-volume tars, compressed ones, and a tar without its end.

#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod header;
mod pax;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use header::{Header, HeaderError, RECORD};
use pax::Extended;

use crate::tree::{
    Archive, Content, ContentError, Device, Meta, Node, Time, Tree, TreeError, to_path,
};

/// Length of an extended header, which is read into memory. Names end at 4096 bytes; this leaves
/// room for attributes.
const MAX_EXTENSION: u64 = 1 << 20;

/// Length of a name: Linux's `PATH_MAX`. Bounds the directories that one entry can make.
const MAX_PATH: usize = 4096;

/// What a tar may come to.
#[derive(Debug, Clone, Copy)]
pub struct TarLimits {
    /// Entries, extended headers counted too; and nodes of the tree.
    pub max_entries: u64,
    /// Sum of the files' lengths.
    pub max_bytes: u64,
}

impl Default for TarLimits {
    /// A million entries, 64 GiB.
    fn default() -> Self {
        Self {
            max_entries: 1_000_000,
            max_bytes: 64 << 30,
        }
    }
}

/// What a tar holds.
#[derive(Debug)]
pub struct Rootfs {
    /// The tree; its files' contents are in the tar.
    pub tree: Tree,
    /// Entries that made it.
    pub entries: u64,
    /// Extended attributes that were dropped.
    pub dropped_attributes: u64,
}

/// Why a tar was refused.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// It cannot be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// It is not a tar.
    #[error("{} is not a tar", .0.display())]
    NotATar(PathBuf),
    /// It is compressed.
    #[error("{} is compressed with {tool}; decompress it first ({tool} -d)", .path.display())]
    Compressed {
        /// The tar.
        path: PathBuf,
        /// The program that decompresses it.
        tool: &'static str,
    },
    /// It ends too early.
    #[error("{} is cut off: it ends inside an entry or without an end mark", .0.display())]
    Truncated(PathBuf),
    /// A header is damaged.
    #[error("{} is damaged: the header at byte {offset} has a wrong {field}", .path.display())]
    Damaged {
        /// The tar.
        path: PathBuf,
        /// Where the header is.
        offset: u64,
        /// What is wrong in it.
        field: &'static str,
    },
    /// An entry of a kind that is not handled.
    #[error("{} in the tar is {what}, which is not supported", .name.display())]
    Unsupported {
        /// The entry.
        name: PathBuf,
        /// Its kind.
        what: &'static str,
    },
    /// A hard link to what is not there.
    #[error("{} in the tar is a hard link to {}, which does not come before it", .name.display(), .target.display())]
    LinkTarget {
        /// The entry.
        name: PathBuf,
        /// What it names.
        target: PathBuf,
    },
    /// A name or target that no tree holds.
    #[error("the tar holds an entry that cannot be used: {0}")]
    Entry(TreeError),
    /// More entries than allowed.
    #[error("the tar has more than {0} entries and directories")]
    TooMany(u64),
    /// More bytes than allowed.
    #[error("the tar's files come to more than {max} bytes with {}", .name.display())]
    TooLarge {
        /// The file that no longer fitted.
        name: PathBuf,
        /// The limit.
        max: u64,
    },
}

/// Reads the uncompressed tar at `path`.
pub fn read(path: &Path, limits: &TarLimits) -> Result<Rootfs, TarError> {
    let archive = Arc::new(Archive::open(path)?);
    let mut reader = Reader {
        archive,
        limits,
        offset: 0,
        tree: Tree::new(Meta::new(0o755)),
        entries: 0,
        records: 0,
        bytes: 0,
        dropped_attributes: 0,
        global: Extended::default(),
    };
    while reader.entry()? {}
    let Reader {
        tree,
        entries,
        dropped_attributes,
        ..
    } = reader;
    if entries == 0 {
        return Err(TarError::NotATar(path.into()));
    }
    Ok(Rootfs {
        tree,
        entries,
        dropped_attributes,
    })
}

#[derive(Debug)]
struct Reader<'a> {
    archive: Arc<Archive>,
    limits: &'a TarLimits,
    /// Of the next header.
    offset: u64,
    tree: Tree,
    entries: u64,
    records: u64,
    bytes: u64,
    dropped_attributes: u64,
    /// From global extended headers.
    global: Extended,
}

/// A header and where its content lies.
struct Found<'a> {
    header: Header<'a>,
    at: u64,
    content: u64,
    size: u64,
}

impl Reader<'_> {
    /// Reads one entry with the extended headers before it; false at the end.
    fn entry(&mut self) -> Result<bool, TarError> {
        let mut extended = self.global.clone();
        let mut first = true;
        loop {
            let mut record = [0; RECORD];
            let Some(found) = self.header(&mut record, extended.size)? else {
                // An extended header must have something to extend.
                return if first {
                    Ok(false)
                } else {
                    Err(self.truncated())
                };
            };
            first = false;
            match found.header.kind() {
                b'x' => self.extension(&found, &mut extended)?,
                b'g' => {
                    let mut global = std::mem::take(&mut self.global);
                    self.extension(&found, &mut global)?;
                    self.global = global;
                    extended = self.global.clone();
                    first = true;
                }
                b'L' => extended.path = Some(header::text(&self.small_content(&found)?).to_vec()),
                b'K' => extended.link = Some(header::text(&self.small_content(&found)?).to_vec()),
                _ => {
                    self.node(&found, extended)?;
                    return Ok(true);
                }
            }
        }
    }

    /// The next header; the offset moves behind its content. `size` overrides an entry's own.
    fn header<'r>(
        &mut self,
        record: &'r mut [u8; RECORD],
        size: Option<u64>,
    ) -> Result<Option<Found<'r>>, TarError> {
        let at = self.offset;
        let content = at.saturating_add(RECORD as u64);
        if content > self.archive.len() {
            return Err(if at == 0 {
                self.not_a_tar()
            } else {
                self.truncated()
            });
        }
        self.archive.read(record, at)?;
        self.check_magic(record)?;
        let header = match Header::parse(record) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(_) if at == 0 => return Err(self.not_a_tar()),
            Err(error) => return Err(self.damaged(at, error)),
        };
        self.records = self.records.saturating_add(1);
        if self.records > self.limits.max_entries {
            return Err(TarError::TooMany(self.limits.max_entries));
        }
        let own = header.size().map_err(|error| self.damaged(at, error))?;
        let extension = matches!(header.kind(), b'x' | b'g' | b'L' | b'K');
        let size = if extension { own } else { size.unwrap_or(own) };
        let end = content
            .checked_add(size)
            .filter(|end| *end <= self.archive.len());
        let end = end.ok_or_else(|| self.truncated())?;
        self.offset = end
            .checked_next_multiple_of(RECORD as u64)
            .unwrap_or(u64::MAX);
        Ok(Some(Found {
            header,
            at,
            content,
            size,
        }))
    }

    /// A compressed tar gets an error of its own.
    fn check_magic(&self, record: &[u8; RECORD]) -> Result<(), TarError> {
        const MAGICS: [(&[u8], &str); 4] = [
            (b"\x1f\x8b", "gzip"),
            (b"BZh", "bzip2"),
            (b"\xfd7zXZ\0", "xz"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
        ];
        let magic = MAGICS.iter().find(|(magic, _)| record.starts_with(magic));
        match magic {
            Some((_, tool)) if self.offset == 0 && Header::parse(record).is_err() => {
                Err(TarError::Compressed {
                    path: self.archive.path().into(),
                    tool,
                })
            }
            _ => Ok(()),
        }
    }

    fn extension(&self, found: &Found<'_>, into: &mut Extended) -> Result<(), TarError> {
        let records = self.small_content(found)?;
        let wrong = HeaderError::Number("extended record");
        into.add(&records)
            .ok_or_else(|| self.damaged(found.at, wrong))
    }

    /// An extended header's content, in memory.
    fn small_content(&self, found: &Found<'_>) -> Result<Vec<u8>, TarError> {
        let length = usize::try_from(found.size)
            .ok()
            .filter(|_| found.size <= MAX_EXTENSION);
        let wrong = HeaderError::Number("length of its extended header");
        let length = length.ok_or_else(|| self.damaged(found.at, wrong))?;
        let mut content = vec![0; length];
        self.archive.read(&mut content, found.content)?;
        Ok(content)
    }

    fn node(&mut self, found: &Found<'_>, extended: Extended) -> Result<(), TarError> {
        let header = &found.header;
        let meta = self.meta(found, &extended)?;
        let path = extended.path.unwrap_or_else(|| header.name());
        let name = to_path(&path);
        if path.len() > MAX_PATH {
            return Err(TarError::Entry(TreeError::BadName(name)));
        }
        if extended.sparse {
            return Err(TarError::Unsupported {
                name,
                what: "a sparse file",
            });
        }
        let target = extended.link.unwrap_or_else(|| header.link().to_vec());
        let device = || -> Result<Device, TarError> {
            let (major, minor) = header
                .device()
                .map_err(|error| self.damaged(found.at, error))?;
            Ok(Device { major, minor })
        };
        let node = match header.kind() {
            // Before `ustar`, a directory was a file whose name ends in a slash.
            0 | b'0' if path.ends_with(b"/") && found.size == 0 => Node::dir(meta),
            0 | b'0' | b'7' => Node::file(meta, self.content(found, &name)?),
            b'1' => {
                self.no_content(found, &name)?;
                self.entries = self.entries.saturating_add(1);
                return self.hard_link(&name, &target);
            }
            b'2' => Node::symlink(meta, &target),
            b'3' => Node::char_device(meta, device()?),
            b'4' => Node::block_device(meta, device()?),
            b'5' => Node::dir(meta),
            b'6' => Node::fifo(meta),
            b'S' => {
                return Err(TarError::Unsupported {
                    name,
                    what: "a sparse file",
                });
            }
            b'M' => {
                return Err(TarError::Unsupported {
                    name,
                    what: "part of a multi-volume tar",
                });
            }
            b'V' => return Ok(()),
            _ => {
                return Err(TarError::Unsupported {
                    name,
                    what: "of an unknown type",
                });
            }
        };
        self.entries = self.entries.saturating_add(1);
        self.dropped_attributes = self.dropped_attributes.saturating_add(extended.attributes);
        self.tree.insert(&name, node).map_err(TarError::Entry)?;
        self.check_nodes()
    }

    /// One entry can make many directories, so nodes are counted too.
    fn check_nodes(&self) -> Result<(), TarError> {
        let max = self.limits.max_entries;
        let within = u64::try_from(self.tree.ids()).is_ok_and(|ids| ids <= max.saturating_add(1));
        within.then_some(()).ok_or(TarError::TooMany(max))
    }

    fn meta(&self, found: &Found<'_>, extended: &Extended) -> Result<Meta, TarError> {
        let header = &found.header;
        let damaged = |error| self.damaged(found.at, error);
        // Above the permission bits some writers put the file's type.
        let mode = header.mode().map_err(damaged)? & 0o7777;
        let uid = extended
            .uid
            .map_or_else(|| header.uid(), Ok)
            .map_err(damaged)?;
        let gid = extended
            .gid
            .map_or_else(|| header.gid(), Ok)
            .map_err(damaged)?;
        let own = || header.mtime().map(Time::seconds);
        let mtime = extended.mtime.map_or_else(own, Ok).map_err(damaged)?;
        Ok(Meta::new(u16::try_from(mode).unwrap_or(0))
            .owned(uid, gid)
            .at(mtime))
    }

    fn content(&mut self, found: &Found<'_>, name: &Path) -> Result<Content, TarError> {
        self.bytes = self.bytes.saturating_add(found.size);
        if self.bytes > self.limits.max_bytes {
            return Err(TarError::TooLarge {
                name: name.into(),
                max: self.limits.max_bytes,
            });
        }
        Content::part(&self.archive, found.content, found.size).ok_or_else(|| self.truncated())
    }

    /// Pax allows a hard link to repeat its content; no writer of root filesystems does, and the
    /// old ones that state a size store nothing, so its meaning is not certain.
    fn no_content(&self, found: &Found<'_>, name: &Path) -> Result<(), TarError> {
        if found.size == 0 {
            return Ok(());
        }
        Err(TarError::Unsupported {
            name: name.into(),
            what: "a hard link with a content",
        })
    }

    fn hard_link(&mut self, name: &Path, target: &[u8]) -> Result<(), TarError> {
        let target = to_path(target);
        let missing = || TarError::LinkTarget {
            name: name.into(),
            target: target.clone(),
        };
        let id = self.tree.lookup(&target).ok_or_else(missing)?;
        self.tree.link(id, name).map_err(TarError::Entry)?;
        self.check_nodes()
    }

    fn damaged(&self, offset: u64, error: HeaderError) -> TarError {
        let field = match error {
            HeaderError::Checksum => "checksum",
            HeaderError::Number(field) => field,
        };
        TarError::Damaged {
            path: self.archive.path().into(),
            offset,
            field,
        }
    }

    fn truncated(&self) -> TarError {
        TarError::Truncated(self.archive.path().into())
    }

    fn not_a_tar(&self) -> TarError {
        TarError::NotATar(self.archive.path().into())
    }
}

#[cfg(test)]
mod tests;
