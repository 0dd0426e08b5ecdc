// SPDX-License-Identifier: Apache-2.0
//! Writes a [`Tree`] as an uncompressed EROFS image for Linux 6.1 and newer.
//!
//! Uncompressed because the guest maps these files: a page of a program is then a page of the
//! image, shared through the host's page cache by every guest that uses it.
//!
//! The same tree and options give the same bytes. Nothing else enters an image: no clock, no
//! random identifier (the UUID is zero), no order but that of bytes. `layout` decides where
//! everything goes from names and lengths alone; then each content is opened once and streamed to
//! its place, through buffers of a fixed size, into a file that gets its name when complete.
//! Whoever sees the destination sees a whole image.
//!
//! What is kept: directories, files beyond 4 GiB, links of both kinds, devices, pipes; mode,
//! owner, group, modification time to the nanosecond (EROFS has no other time). Inodes whose
//! time is the build time take 32 bytes rather than 64. Small files and the ends of larger ones
//! lie beside their inode. Not kept: extended attributes (so file capabilities and ACLs), and
//! holes, which become zeros.

mod dir;
mod layout;
mod output;
mod spec;
mod stream;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::tree::{Content, ContentError, Kind, NodeId, Time, Tree};
use layout::{Place, Plan};
use output::Output;
use spec::{BLOCK, CHECKSUM_FIELD, SLOT, SUPER_OFFSET, ft, mode};
use stream::{CopyError, Stream};

/// Changes when the same tree gives other bytes than before: part of what caches are keyed by.
pub const FORMAT_VERSION: u32 = 1;

/// How to write an image.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// Recorded in the superblock; nodes with exactly this time take less room.
    pub build_time: Time,
    /// The image may not be larger.
    pub max_bytes: u64,
    /// Whether the image must survive a crash of the host once [`write()`] has returned. A cache
    /// that is dropped at boot needs it not.
    pub durable: bool,
}

impl Default for WriteOptions {
    /// Build time 0, at most 64 GiB, durable.
    fn default() -> Self {
        Self {
            build_time: Time::default(),
            max_bytes: 64 << 30,
            durable: true,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Length of the image.
    pub bytes: u64,
    /// Inodes in it.
    pub inodes: u64,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The tree needs more than it may have.
    #[error("the image would be larger than {max} bytes: it overflows at {}; leave something out or raise the limit", .path.display())]
    TooLarge {
        /// The node that no longer fitted.
        path: PathBuf,
        /// The limit.
        max: u64,
    },
    /// Linux cannot name such a device.
    #[error("the device number of {} does not fit (major below 4096, minor below 1048576)", .0.display())]
    Device(PathBuf),
    /// A file of the tree cannot be read, or changed since the tree was made.
    #[error(transparent)]
    Content(ContentError),
    /// The image's file cannot be made or written.
    #[error("cannot write the image {}", .path.display())]
    Image {
        /// Where the image was to be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes `tree` to `path`, replacing what is there, readable by all and writable by none.
pub fn write(tree: &Tree, options: &WriteOptions, path: &Path) -> Result<Written, WriteError> {
    let plan = Plan::new(tree, options.build_time, options.max_bytes)?;
    let failed = |source| WriteError::Image {
        path: path.into(),
        source,
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let output = Output::create(folder).map_err(failed)?;
    let bytes = u64::from(plan.blocks) * BLOCK;
    let image = output.file();
    image.set_len(bytes).map_err(failed)?;
    Writer {
        tree,
        plan: &plan,
        options,
    }
    .all(image)
    .map_err(|error| error.at(path))?;
    if options.durable {
        image.sync_all().map_err(failed)?;
    }
    output.publish(path).map_err(failed)?;
    if options.durable {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
    }
    Ok(Written {
        bytes,
        inodes: plan.places.len() as u64,
    })
}

/// What can fail inside, before the destination's name is known.
#[derive(Debug)]
enum Failure {
    Copy(CopyError),
    Node(WriteError),
}

impl Failure {
    fn at(self, path: &Path) -> WriteError {
        match self {
            Self::Copy(CopyError::Image(source)) => WriteError::Image {
                path: path.into(),
                source,
            },
            Self::Copy(CopyError::Content(error)) => WriteError::Content(error),
            Self::Node(error) => error,
        }
    }
}

impl<E: Into<CopyError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Copy(error.into())
    }
}

#[derive(Debug)]
struct Writer<'a> {
    tree: &'a Tree,
    plan: &'a Plan,
    options: &'a WriteOptions,
}

impl Writer<'_> {
    fn all(&self, image: &File) -> Result<(), Failure> {
        let mut meta = Stream::new(image, 0);
        let mut data = Stream::new(image, self.plan.meta_blocks * BLOCK);
        meta.pad_to(SUPER_OFFSET)?;
        meta.put(&self.superblock().encode())?;
        for (index, place) in self.plan.places.iter().enumerate() {
            meta.pad_to(place.offset)?;
            meta.put(&self.inode(index, place)?.encode())?;
            match self.tree.node(place.node).kind() {
                Kind::Dir(_) => self.dir(place, &mut meta, &mut data)?,
                Kind::File(content) => file(content, place, &mut meta, &mut data)?,
                Kind::Symlink(target) if place.tail() > 0 => meta.put(target)?,
                Kind::Symlink(target) => data.put(target)?,
                Kind::Char(_) | Kind::Block(_) | Kind::Fifo => {}
            }
            data.pad_block()?;
        }
        meta.flush()?;
        data.flush()?;
        seal(image)?;
        Ok(())
    }

    fn superblock(&self) -> spec::Superblock {
        spec::Superblock {
            // The root lies in block 0 or 1, so its nid is below 256.
            root_nid: u16::try_from(self.plan.nid(self.tree.root())).unwrap_or(u16::MAX),
            inodes: self.plan.places.len() as u64,
            build_secs: self.options.build_time.secs,
            build_nanos: self.options.build_time.nanos,
            blocks: self.plan.blocks,
        }
    }

    fn inode(&self, index: usize, place: &Place) -> Result<spec::Inode, Failure> {
        let node = self.tree.node(place.node);
        let union = match node.kind() {
            Kind::Char(device) | Kind::Block(device) => spec::encode_device(*device)
                .ok_or_else(|| WriteError::Device(self.plan.path(self.tree, index)))
                .map_err(Failure::Node)?,
            // The layout keeps all blocks within 32 bits.
            _ => u32::try_from(self.plan.meta_blocks + place.start).unwrap_or(u32::MAX),
        };
        Ok(spec::Inode {
            form: place.form,
            layout: place.layout,
            mode: node.meta.mode() | types(node.kind()).0,
            nlink: place.nlink,
            size: place.size,
            union,
            number: u32::try_from(index + 1).unwrap_or(u32::MAX),
            uid: node.meta.uid,
            gid: node.meta.gid,
            secs: node.meta.mtime.secs,
            nanos: node.meta.mtime.nanos,
        })
    }

    fn dir(&self, place: &Place, meta: &mut Stream<'_>, data: &mut Stream<'_>) -> io::Result<()> {
        let entries = dir::sorted(self.tree, place.node, place.parent);
        let mut left = &entries[..];
        while !left.is_empty() {
            let block = dir::next_block(&mut left, |id| self.reference(id));
            if left.is_empty() && place.tail() > 0 {
                meta.put(&block)?;
            } else {
                data.put(&block)?;
            }
        }
        Ok(())
    }

    fn reference(&self, id: NodeId) -> (u64, u8) {
        (self.plan.nid(id), types(self.tree.node(id).kind()).1)
    }
}

/// Streams a content: whole blocks to the data, the inline tail behind the inode.
fn file(
    content: &Content,
    place: &Place,
    meta: &mut Stream<'_>,
    data: &mut Stream<'_>,
) -> Result<(), CopyError> {
    if content.is_empty() {
        return Ok(());
    }
    let opened = content.open()?;
    let tail = place.tail();
    let body = place.size - tail;
    data.copy(&opened, 0, body)?;
    meta.copy(&opened, body, tail)?;
    opened.finish()?;
    Ok(())
}

/// Type bits of the mode, type of the dirent.
fn types(kind: &Kind) -> (u16, u8) {
    match kind {
        Kind::Dir(_) => (mode::DIR, ft::DIR),
        Kind::File(_) => (mode::REGULAR, ft::REGULAR),
        Kind::Symlink(_) => (mode::SYMLINK, ft::SYMLINK),
        Kind::Char(_) => (mode::CHAR, ft::CHAR),
        Kind::Block(_) => (mode::BLOCK, ft::BLOCK),
        Kind::Fifo => (mode::FIFO, ft::FIFO),
    }
}

/// Puts the checksum into the superblock. It covers the rest of block 0, inodes included, so it
/// comes last.
fn seal(image: &File) -> io::Result<()> {
    let mut block = vec![0; usize::try_from(BLOCK - SUPER_OFFSET).unwrap_or(0)];
    image.read_exact_at(&mut block, SUPER_OFFSET)?;
    let sum = spec::checksum(&block);
    image.write_all_at(
        &sum.to_le_bytes(),
        SUPER_OFFSET + CHECKSUM_FIELD.start as u64,
    )
}

const _: () = assert!((SUPER_OFFSET + spec::SUPER_SIZE).is_multiple_of(SLOT));

#[cfg(test)]
pub(crate) mod reader;
#[cfg(test)]
mod tests;
