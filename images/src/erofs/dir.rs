// SPDX-License-Identifier: Apache-2.0
//! Directories on disk: blocks of dirents followed by their names, sorted by bytes throughout.
//!
//! The kernel finds a name by bisection, first over the blocks, then inside one (`namei.c`), so
//! `.` and `..` stand where their bytes put them, not first. A block that is not the last is
//! filled with zeros behind its last name, which ends that name; in the last block the
//! directory's size does.

use super::spec::{BLOCK, BLOCK_LEN, DIRENT, dirent};
use crate::tree::{NodeId, Tree};

/// The entries of the directory `id`, `.` and `..` (which is `parent`) among them.
pub(super) fn sorted(tree: &Tree, id: NodeId, parent: NodeId) -> Vec<(&[u8], NodeId)> {
    let Some(entries) = tree.entries(id) else {
        return Vec::new();
    };
    let mut all = Vec::with_capacity(entries.len() + 2);
    all.push((&b"."[..], id));
    all.push((&b".."[..], parent));
    all.extend(entries.iter());
    all.sort_unstable();
    all
}

/// How many of `entries` go into the next block, and how many bytes of it they use.
fn fill(entries: &[(&[u8], NodeId)]) -> (usize, usize) {
    let mut used = 0;
    for (count, (name, _)) in entries.iter().enumerate() {
        let more = DIRENT + name.len();
        if used + more > BLOCK_LEN {
            return (count, used);
        }
        used += more;
    }
    (entries.len(), used)
}

/// The directory's size in bytes: whole blocks, and what the last one uses.
pub(super) fn size(mut entries: &[(&[u8], NodeId)]) -> u64 {
    let mut size = 0;
    loop {
        let (count, used) = fill(entries);
        entries = &entries[count..];
        if entries.is_empty() {
            return size + used as u64;
        }
        size += BLOCK;
    }
}

/// Encodes the next block of `entries`, of which it takes what fits; `place` tells the nid and
/// type of a node. Every block but the last is padded.
pub(super) fn next_block(
    entries: &mut &[(&[u8], NodeId)],
    place: impl Fn(NodeId) -> (u64, u8),
) -> Vec<u8> {
    let (count, used) = fill(entries);
    let (here, rest) = entries.split_at(count);
    let mut block = Vec::with_capacity(BLOCK_LEN);
    let mut name_offset = count * DIRENT;
    for (name, id) in here {
        let (nid, file_type) = place(*id);
        let offset = u16::try_from(name_offset).unwrap_or(u16::MAX);
        block.extend(dirent(nid, offset, file_type));
        name_offset += name.len();
    }
    for (name, _) in here {
        block.extend_from_slice(name);
    }
    debug_assert_eq!(block.len(), used);
    if !rest.is_empty() {
        block.resize(BLOCK_LEN, 0);
    }
    *entries = rest;
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Content, Meta, Node};

    /// A directory whose entries, `.` and `..` with them, come to `total` bytes.
    fn of_size(total: usize) -> Tree {
        let mut tree = Tree::new(Meta::new(0o755));
        let mut left = total - 2 * DIRENT - 3;
        for index in 0.. {
            // The last name takes the rest, which is always between 4 and 203 bytes.
            let name = if left <= DIRENT + 203 {
                left - DIRENT
            } else {
                200
            };
            let name = format!("{index:0name$}");
            tree.insert(&name, Node::file(Meta::new(0o644), Content::bytes(vec![])))
                .unwrap();
            left -= DIRENT + name.len();
            if left == 0 {
                break;
            }
        }
        tree
    }

    #[test]
    fn a_block_is_filled_to_its_last_byte_and_no_further() {
        for total in [4095, 4096, 4097] {
            let tree = of_size(total);
            let entries = sorted(&tree, tree.root(), tree.root());
            let size = size(&entries);
            let mut left = &entries[..];
            let mut written = 0;
            while !left.is_empty() {
                let block = next_block(&mut left, |_| (36, 1));
                assert!(block.len() <= BLOCK_LEN);
                written += block.len() as u64;
            }
            assert_eq!(size, written);
            // Beyond a block, the last name moves into the next as a whole.
            assert_eq!(
                size > BLOCK,
                total > BLOCK_LEN,
                "{total} bytes became {size}"
            );
            assert!(total > BLOCK_LEN || size == total as u64);
        }
    }
}
