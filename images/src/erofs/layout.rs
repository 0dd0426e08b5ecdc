// SPDX-License-Identifier: Apache-2.0
//! Where everything goes, computed before anything is read.
//!
//! ```text
//! block 0                                 blocks .. meta     meta .. end
//! 1024 zero bytes | superblock | root  ...  inodes, tails  |  whole data blocks
//! ```
//!
//! Nodes are placed in the order of a walk from the root, each directory before what it holds, so
//! neighbours in the tree are neighbours on disk and both areas are written front to back. The
//! root comes first because its nid has 16 bits in the superblock (6.1). An inode never crosses a
//! block, and neither does inode plus tail: the kernel requires the latter.

use super::WriteError;
use super::dir;
use super::spec::{BLOCK, Form, Layout, SLOT, SUPER_OFFSET, SUPER_SIZE};
use crate::tree::{Kind, Meta, NodeId, Time, Tree};

/// One inode's place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) node: NodeId,
    /// The directory that `..` names; for other nodes the one that names them first.
    pub(super) parent: NodeId,
    pub(super) form: Form,
    pub(super) layout: Layout,
    pub(super) size: u64,
    pub(super) nlink: u32,
    /// Where the inode lies in the image.
    pub(super) offset: u64,
    /// First data block, counted from the end of the metadata.
    pub(super) start: u64,
}

impl Place {
    /// Number of whole data blocks.
    fn blocks(&self) -> u64 {
        match self.layout {
            Layout::Plain => self.size.div_ceil(BLOCK),
            Layout::Inline => self.size / BLOCK,
        }
    }

    /// Bytes right behind the inode.
    pub(super) fn tail(&self) -> u64 {
        match self.layout {
            Layout::Plain => 0,
            Layout::Inline => self.size % BLOCK,
        }
    }
}

/// The layout of an image.
#[derive(Debug)]
pub(super) struct Plan {
    /// In the order of their offsets.
    pub(super) places: Vec<Place>,
    /// Blocks of superblock, inodes and tails.
    pub(super) meta_blocks: u64,
    /// Blocks of the whole image.
    pub(super) blocks: u32,
    by_node: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl Plan {
    /// Lays `tree` out; the image may have `max_bytes`.
    pub(super) fn new(tree: &Tree, build_time: Time, max_bytes: u64) -> Result<Self, WriteError> {
        let mut plan = walk(tree);
        let mut cursor = SUPER_OFFSET + SUPER_SIZE;
        let mut data = 0;
        for index in 0..plan.places.len() {
            let place = &mut plan.places[index];
            let node = tree.node(place.node);
            place.size = content_size(tree, place);
            place.form = form(&node.meta, place, build_time);
            cursor = put(place, node.kind(), cursor);
            place.start = data;
            data += place.blocks();
            let total = cursor.div_ceil(BLOCK) + data;
            if total.saturating_mul(BLOCK) > max_bytes || u32::try_from(total).is_err() {
                let path = plan.path(tree, index);
                return Err(WriteError::TooLarge {
                    path,
                    max: max_bytes,
                });
            }
        }
        plan.meta_blocks = cursor.div_ceil(BLOCK);
        // Fits: it was checked with the last inode.
        plan.blocks = u32::try_from(plan.meta_blocks + data).unwrap_or(u32::MAX);
        Ok(plan)
    }

    /// The nid of a node that the walk reached.
    pub(super) fn nid(&self, node: NodeId) -> u64 {
        self.places[self.by_node[node.index()] as usize].offset / SLOT
    }

    /// A place's path, found backwards: only messages need it.
    pub(super) fn path(&self, tree: &Tree, index: usize) -> std::path::PathBuf {
        let mut names = Vec::new();
        let mut place = &self.places[index];
        while place.node != tree.root() {
            let entries = tree.entries(place.parent);
            let named = entries.and_then(|all| all.iter().find(|(_, id)| *id == place.node));
            names.push(named.map(|(name, _)| name).unwrap_or_default());
            place = &self.places[self.by_node[place.parent.index()] as usize];
        }
        names.push(b"");
        names.reverse();
        crate::tree::to_path(&names.join(&b'/'))
    }
}

/// Every node that has a name, once, in the order of its inode; with its links counted.
fn walk(tree: &Tree) -> Plan {
    let mut places: Vec<Place> = Vec::with_capacity(tree.ids());
    let mut by_node = vec![NOWHERE; tree.ids()];
    let mut pending = vec![(tree.root(), tree.root())];
    while let Some((node, parent)) = pending.pop() {
        let known = by_node[node.index()];
        if known != NOWHERE {
            places[known as usize].nlink += 1;
            continue;
        }
        by_node[node.index()] = u32::try_from(places.len()).unwrap_or(NOWHERE);
        let mut nlink = 1;
        if let Some(entries) = tree.entries(node) {
            // A directory is named by its parent, by its own '.', and by each child's '..'.
            nlink = 2;
            for (_, child) in entries.iter().rev() {
                nlink += u32::from(tree.node(child).is_dir());
                pending.push((child, node));
            }
        }
        let (form, layout) = (Form::Extended, Layout::Plain);
        places.push(Place {
            node,
            parent,
            form,
            layout,
            size: 0,
            nlink,
            offset: 0,
            start: 0,
        });
    }
    Plan {
        places,
        meta_blocks: 0,
        blocks: 0,
        by_node,
    }
}

fn content_size(tree: &Tree, place: &Place) -> u64 {
    match tree.node(place.node).kind() {
        Kind::Dir(_) => dir::size(&dir::sorted(tree, place.node, place.parent)),
        Kind::File(content) => content.len(),
        Kind::Symlink(target) => target.len() as u64,
        Kind::Char(_) | Kind::Block(_) | Kind::Fifo => 0,
    }
}

/// The compact form where nothing is lost by it.
fn form(meta: &Meta, place: &Place, build_time: Time) -> Form {
    let narrow = |value: u32| u16::try_from(value).is_ok();
    let fits = narrow(meta.uid) && narrow(meta.gid) && narrow(place.nlink);
    if fits && u32::try_from(place.size).is_ok() && meta.mtime == build_time {
        Form::Compact
    } else {
        Form::Extended
    }
}

/// Gives an inode its offset at or behind `cursor` and decides whether its tail is inline;
/// returns where the next may begin. Of the two ways that do not fit the rest of a block, the one
/// that wastes less is taken: leaving the rest empty, or a data block for the tail. Links and
/// directories are always inline if they can: a link's inode is then all that reading it takes.
fn put(place: &mut Place, kind: &Kind, cursor: u64) -> u64 {
    let inode = place.form.size();
    let tail = place.size % BLOCK;
    let room = BLOCK - cursor % BLOCK;
    let next_block = cursor + room;
    let (offset, layout) = if tail == 0 || inode + tail > BLOCK {
        (
            if inode > room { next_block } else { cursor },
            Layout::Plain,
        )
    } else if inode + tail <= room {
        (cursor, Layout::Inline)
    } else if !matches!(kind, Kind::File(_)) || inode > room || room <= BLOCK - tail {
        (next_block, Layout::Inline)
    } else {
        (cursor, Layout::Plain)
    };
    place.offset = offset;
    place.layout = layout;
    (offset + inode + place.tail()).next_multiple_of(SLOT)
}
