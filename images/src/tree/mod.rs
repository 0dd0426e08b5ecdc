// SPDX-License-Identifier: Apache-2.0
//! A file tree in memory: what an image will hold, before it is an image.
//!
//! A recipe, a tar or a host folder becomes a [`Tree`]; callers add and replace nodes; the EROFS
//! writer turns it into bytes. The tree holds names and metadata only. A file's content is a
//! [`Content`]: bytes, or where to read them when the image is written.
//!
//! Shaped like a file system: nodes live in a table, a directory maps names to node ids, and a
//! hard link is a second name for one id. Names are bytes and a directory is always walked in
//! byte order, so two equal trees give equal images. Nothing here follows a symbolic link.

mod content;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub use content::{Archive, Content, ContentError};
pub(crate) use content::{HostFolder, Opened, Stamp, gone};

/// Longest name of one directory entry, in bytes (`EROFS_NAME_LEN`, and Linux's `NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// Longest target of a symbolic link, in bytes: Linux's `PATH_MAX` without the final NUL.
pub const MAX_TARGET: usize = 4095;

/// Bits of a mode that a [`Meta`] keeps: permissions, set-id and sticky, not the type.
const MODE_BITS: u16 = 0o7777;

/// A point in time as file systems keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Seconds since 1970, negative before.
    pub secs: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

impl Time {
    /// Whole seconds since 1970.
    pub const fn seconds(secs: i64) -> Self {
        Self { secs, nanos: 0 }
    }
}

/// Who owns a node, who may use it, when it last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meta {
    mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time.
    pub mtime: Time,
}

impl Meta {
    /// Metadata with `mode`'s permission bits (others are dropped), owned by root, time zero.
    pub const fn new(mode: u16) -> Self {
        Self {
            mode: mode & MODE_BITS,
            uid: 0,
            gid: 0,
            mtime: Time { secs: 0, nanos: 0 },
        }
    }

    /// The same with another owner and group.
    pub const fn owned(mut self, uid: u32, gid: u32) -> Self {
        self.uid = uid;
        self.gid = gid;
        self
    }

    /// The same with another modification time.
    pub const fn at(mut self, mtime: Time) -> Self {
        self.mtime = mtime;
        self
    }

    /// Permission, set-id and sticky bits.
    pub const fn mode(&self) -> u16 {
        self.mode
    }
}

/// Names one node of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Number of a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Driver.
    pub major: u32,
    /// Instance.
    pub minor: u32,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A directory.
    Dir(Entries),
    /// A regular file.
    File(Content),
    /// A symbolic link with its target, kept as it is.
    Symlink(Box<[u8]>),
    /// A character device.
    Char(Device),
    /// A block device.
    Block(Device),
    /// A named pipe.
    Fifo,
}

/// The names in a directory, in byte order.
#[derive(Debug, Clone, Default)]
pub struct Entries(BTreeMap<Box<[u8]>, NodeId>);

impl Entries {
    /// Every name with its node, in byte order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], NodeId)> {
        self.0.iter().map(|(name, id)| (&**name, *id))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One file, directory, link or special file.
#[derive(Debug, Clone)]
pub struct Node {
    /// Owner, mode, time.
    pub meta: Meta,
    kind: Kind,
}

impl Node {
    /// An empty directory.
    pub fn dir(meta: Meta) -> Self {
        Self {
            meta,
            kind: Kind::Dir(Entries::default()),
        }
    }

    /// A regular file.
    pub fn file(meta: Meta, content: Content) -> Self {
        Self {
            meta,
            kind: Kind::File(content),
        }
    }

    /// A symbolic link; its target is checked when it is put into a tree.
    pub fn symlink(meta: Meta, target: &[u8]) -> Self {
        Self {
            meta,
            kind: Kind::Symlink(target.into()),
        }
    }

    /// A character device.
    pub fn char_device(meta: Meta, device: Device) -> Self {
        Self {
            meta,
            kind: Kind::Char(device),
        }
    }

    /// A block device.
    pub fn block_device(meta: Meta, device: Device) -> Self {
        Self {
            meta,
            kind: Kind::Block(device),
        }
    }

    /// A named pipe.
    pub fn fifo(meta: Meta) -> Self {
        Self {
            meta,
            kind: Kind::Fifo,
        }
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir(_))
    }
}

/// Why a tree refused a node.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A component is empty, too long, or holds a byte that no name may hold.
    #[error("{} is not a usable path: a name has 1 to {MAX_NAME} bytes and no NUL", .0.display())]
    BadName(PathBuf),
    /// `..` could lead out of the tree.
    #[error("{} leads upwards with '..'", .0.display())]
    Upwards(PathBuf),
    /// A component that should hold others is something else.
    #[error("{} is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The root must stay a directory and cannot be removed.
    #[error("the root of the tree cannot be replaced or removed")]
    Root,
    /// Directories have one name.
    #[error("{} cannot be a hard link to a directory", .0.display())]
    LinkToDirectory(PathBuf),
    /// The target of a symbolic link is not one that Linux can hold.
    #[error("the symbolic link {} needs a target of 1 to {MAX_TARGET} bytes and no NUL", .0.display())]
    BadTarget(PathBuf),
    /// More nodes than ids.
    #[error("the tree has more than {} nodes", u32::MAX)]
    Full,
}

/// A file tree. Node 0 is its root and always a directory.
#[derive(Debug, Clone)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// A tree whose root is an empty directory.
    pub fn new(root: Meta) -> Self {
        Self {
            nodes: vec![Node::dir(root)],
        }
    }

    /// The root directory.
    pub const fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// The node that an id of this tree names.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Owner, mode and time of a node, to change them.
    pub fn meta_mut(&mut self, id: NodeId) -> &mut Meta {
        &mut self.nodes[id.index()].meta
    }

    /// Number of ids ever given; nodes that were replaced are counted too.
    pub fn ids(&self) -> usize {
        self.nodes.len()
    }

    /// The names in a directory, or `None` when `id` is something else.
    pub fn entries(&self, id: NodeId) -> Option<&Entries> {
        match &self.node(id).kind {
            Kind::Dir(entries) => Some(entries),
            _ => None,
        }
    }

    /// The node at `path`, symbolic links not followed.
    pub fn lookup(&self, path: impl AsRef<Path>) -> Option<NodeId> {
        let names = components(path.as_ref()).ok()?;
        names
            .iter()
            .try_fold(self.root(), |dir, name| self.child(dir, name))
    }

    /// Puts `node` at `path`, and directories above it where there are none (0755, root's, with
    /// the node's time). What was there is replaced, except that a directory put over a directory
    /// keeps the names in it.
    pub fn insert(&mut self, path: impl AsRef<Path>, node: Node) -> Result<NodeId, TreeError> {
        let path = path.as_ref();
        let names = components(path)?;
        let Some((name, above)) = names.split_last() else {
            if !node.is_dir() {
                return Err(TreeError::Root);
            }
            self.nodes[0].meta = node.meta;
            return Ok(self.root());
        };
        let dir = self.make_dirs(above, Meta::new(0o755).at(node.meta.mtime))?;
        self.put(dir, name, node).map_err(|error| error.at(path))
    }

    /// The directory at `path`, made with `meta` when missing, with all above it. What exists
    /// keeps its metadata.
    pub fn mkdir_p(&mut self, path: impl AsRef<Path>, meta: Meta) -> Result<NodeId, TreeError> {
        let names = components(path.as_ref())?;
        self.make_dirs(&names, meta)
    }

    /// Gives a node that is not a directory another name.
    pub fn link(&mut self, target: NodeId, path: impl AsRef<Path>) -> Result<(), TreeError> {
        let path = path.as_ref();
        if self.node(target).is_dir() {
            return Err(TreeError::LinkToDirectory(path.into()));
        }
        let names = components(path)?;
        let (name, above) = names.split_last().ok_or(TreeError::Root)?;
        let meta = Meta::new(0o755).at(self.node(target).meta.mtime);
        let dir = self.make_dirs(above, meta)?;
        self.attach(dir, name, target)
            .map_err(|error| error.at(path))
    }

    /// Takes the name at `path` away with all below it; says whether there was one.
    pub fn remove(&mut self, path: impl AsRef<Path>) -> Result<bool, TreeError> {
        let names = components(path.as_ref())?;
        let (name, above) = names.split_last().ok_or(TreeError::Root)?;
        let dir = above
            .iter()
            .try_fold(self.root(), |dir, name| self.child(dir, name));
        Ok(match dir.map(|id| &mut self.nodes[id.index()].kind) {
            Some(Kind::Dir(entries)) => entries.0.remove(*name).is_some(),
            _ => false,
        })
    }

    /// Puts `node` into the directory `dir` under `name`, as [`insert`](Self::insert) does but
    /// without walking a path. Errors carry the bare name.
    pub fn put(&mut self, dir: NodeId, name: &[u8], node: Node) -> Result<NodeId, TreeError> {
        check_name(name)?;
        if let Kind::Symlink(target) = &node.kind
            && (target.is_empty() || target.len() > MAX_TARGET || target.contains(&0))
        {
            return Err(TreeError::BadTarget(to_path(name)));
        }
        if node.is_dir()
            && let Some(old) = self.child(dir, name)
            && self.node(old).is_dir()
        {
            self.nodes[old.index()].meta = node.meta;
            return Ok(old);
        }
        let id = NodeId(u32::try_from(self.nodes.len()).map_err(|_| TreeError::Full)?);
        self.nodes.push(node);
        self.attach(dir, name, id)?;
        Ok(id)
    }

    /// Gives the node `id`, which is not a directory, a name in the directory `dir`.
    pub(crate) fn attach(&mut self, dir: NodeId, name: &[u8], id: NodeId) -> Result<(), TreeError> {
        check_name(name)?;
        match &mut self.nodes[dir.index()].kind {
            Kind::Dir(entries) => {
                entries.0.insert(name.into(), id);
                Ok(())
            }
            _ => Err(TreeError::NotADirectory(to_path(name))),
        }
    }

    /// Sets every time later than `latest` to `latest`, so that what a build itself wrote does
    /// not carry the hour of the build.
    pub fn clamp_mtimes(&mut self, latest: Time) {
        for node in &mut self.nodes {
            node.meta.mtime = node.meta.mtime.min(latest);
        }
    }

    /// Gives every node one owner and group.
    pub fn set_owner(&mut self, uid: u32, gid: u32) {
        for node in &mut self.nodes {
            node.meta = node.meta.owned(uid, gid);
        }
    }

    fn child(&self, dir: NodeId, name: &[u8]) -> Option<NodeId> {
        self.entries(dir)?.0.get(name).copied()
    }

    fn make_dirs(&mut self, names: &[&[u8]], meta: Meta) -> Result<NodeId, TreeError> {
        let mut dir = self.root();
        for (depth, name) in names.iter().enumerate() {
            dir = match self.child(dir, name) {
                Some(id) if self.node(id).is_dir() => id,
                Some(_) => {
                    return Err(TreeError::NotADirectory(to_path(
                        &names[..=depth].join(&b'/'),
                    )));
                }
                None => self.put(dir, name, Node::dir(meta))?,
            };
        }
        Ok(dir)
    }
}

impl TreeError {
    /// The same error, naming the whole path rather than its last component.
    pub(crate) fn at(self, path: &Path) -> Self {
        match self {
            Self::BadName(_) => Self::BadName(path.into()),
            Self::BadTarget(_) => Self::BadTarget(path.into()),
            Self::NotADirectory(_) => Self::NotADirectory(path.into()),
            other => other,
        }
    }
}

/// The names of a path; leading, doubled and trailing slashes and `.` mean nothing.
fn components(path: &Path) -> Result<Vec<&[u8]>, TreeError> {
    let mut names = Vec::new();
    for name in path.as_os_str().as_bytes().split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(TreeError::Upwards(path.into())),
            _ => {
                check_name(name).map_err(|error| error.at(path))?;
                names.push(name);
            }
        }
    }
    Ok(names)
}

fn check_name(name: &[u8]) -> Result<(), TreeError> {
    let bad = name.is_empty() || name.len() > MAX_NAME || matches!(name, b"." | b"..");
    if bad || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
        return Err(TreeError::BadName(to_path(name)));
    }
    Ok(())
}

/// Bytes as the path they are.
pub(crate) fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests;
