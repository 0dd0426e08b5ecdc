// SPDX-License-Identifier: Apache-2.0
//! A reader for tests, written from the kernel's side (`super.c`, `inode.c`, `data.c`, `dir.c`,
//! `namei.c`) and sharing no code with the writer. It refuses what the kernel would refuse.

use std::collections::BTreeMap;

const BLOCK: usize = 4096;

/// One inode as an image has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) nid: u64,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nlink: u32,
    pub(crate) size: u64,
    pub(crate) secs: i64,
    pub(crate) nanos: u32,
    pub(crate) device: u32,
    pub(crate) inline: bool,
    /// Content, link target; empty for directories, which are walked.
    pub(crate) data: Vec<u8>,
}

pub(crate) struct Image<'a> {
    bytes: &'a [u8],
    build: (i64, u32),
}

impl<'a> Image<'a> {
    /// Checks the superblock.
    pub(crate) fn open(bytes: &'a [u8]) -> Self {
        let sb = &bytes[1024..];
        assert_eq!(u32_at(sb, 0), 0xE0F5_E1E2, "magic");
        assert_eq!(sb[12], 12, "block size");
        assert_eq!(
            bytes.len() as u64,
            u64::from(u32_at(sb, 36)) * BLOCK as u64,
            "blocks"
        );
        assert_eq!(u32_at(sb, 40), 0, "meta_blkaddr");
        assert_eq!(u32_at(sb, 80), 0, "no incompatible features");
        let mut covered = bytes[1024..BLOCK].to_vec();
        covered[4..8].fill(0);
        assert_eq!(crc32c(&covered), u32_at(sb, 4), "checksum");
        Self {
            bytes,
            build: (i64_at(sb, 24), u32_at(sb, 32)),
        }
    }

    /// Every path with its inode; the root is `""`.
    pub(crate) fn walk(&self) -> BTreeMap<Vec<u8>, Found> {
        let root = u64::from(u16_at(self.bytes, 1024 + 14));
        let mut all = BTreeMap::new();
        let mut pending = vec![(Vec::new(), root, root)];
        while let Some((path, nid, parent)) = pending.pop() {
            let mut inode = self.inode(nid);
            if inode.mode & 0o170_000 == 0o040_000 {
                for (name, child, file_type) in self.entries(&inode, parent) {
                    assert_eq!(
                        self.lookup(&inode, &name),
                        Some(child),
                        "bisection finds {name:?}"
                    );
                    let mut below = path.clone();
                    if !path.is_empty() {
                        below.push(b'/');
                    }
                    below.extend(&name);
                    if file_type == 2 {
                        pending.push((below, child, nid));
                    } else {
                        let found = self.inode(child);
                        assert_eq!(file_type, type_of(found.mode), "type of {below:?}");
                        assert!(all.insert(below, found).is_none(), "one name twice");
                    }
                }
                assert_eq!(self.lookup(&inode, b"not there"), None);
                inode.data.clear();
            }
            assert!(all.insert(path, inode).is_none(), "one directory twice");
        }
        assert_eq!(
            all.values()
                .map(|inode| inode.nid)
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            usize::try_from(u64_at(self.bytes, 1024 + 16)).unwrap(),
            "inodes"
        );
        all
    }

    fn inode(&self, nid: u64) -> Found {
        let at = usize::try_from(nid).unwrap() * 32;
        let raw = &self.bytes[at..];
        let format = u16_at(raw, 0);
        let extended = format & 1 == 1;
        let layout = format >> 1;
        assert!(matches!(layout, 0 | 2) && format < 16, "i_format {format}");
        assert_eq!(u16_at(raw, 2), 0, "xattrs");
        let isize = if extended { 64 } else { 32 };
        assert!(at % BLOCK + isize <= BLOCK, "inode crosses a block");
        let mode = u16_at(raw, 4);
        let mut found = Found {
            nid,
            mode,
            uid: if extended {
                u32_at(raw, 24)
            } else {
                u16_at(raw, 24).into()
            },
            gid: if extended {
                u32_at(raw, 28)
            } else {
                u16_at(raw, 26).into()
            },
            nlink: if extended {
                u32_at(raw, 44)
            } else {
                u16_at(raw, 6).into()
            },
            size: if extended {
                u64_at(raw, 8)
            } else {
                u32_at(raw, 8).into()
            },
            secs: if extended {
                i64_at(raw, 32)
            } else {
                self.build.0
            },
            nanos: if extended {
                u32_at(raw, 40)
            } else {
                self.build.1
            },
            device: 0,
            inline: layout == 2,
            data: Vec::new(),
        };
        match type_of(mode) {
            3 | 4 => found.device = u32_at(raw, 16),
            5 => {}
            _ => found.data = self.data(at + isize, u32_at(raw, 16), &found),
        }
        found
    }

    fn data(&self, behind_inode: usize, start: u32, inode: &Found) -> Vec<u8> {
        let size = usize::try_from(inode.size).unwrap();
        let blocks = size.div_ceil(BLOCK);
        let whole = if inode.inline { blocks - 1 } else { blocks };
        let from = usize::try_from(start).unwrap() * BLOCK;
        let mut data = Vec::new();
        if whole > 0 {
            let len = size.min(whole * BLOCK);
            data.extend(&self.bytes[from..from + len]);
            let end = from + whole * BLOCK;
            assert!(
                self.bytes[from + len..end].iter().all(|byte| *byte == 0),
                "padding"
            );
        }
        if inode.inline {
            let tail = size - whole * BLOCK;
            assert!(
                behind_inode % BLOCK + tail <= BLOCK,
                "inline data crosses a block"
            );
            data.extend(&self.bytes[behind_inode..behind_inode + tail]);
        }
        data
    }

    /// `.` and `..` checked, the others returned in their order.
    fn entries(&self, dir: &Found, parent: u64) -> Vec<(Vec<u8>, u64, u8)> {
        let mut all = Vec::new();
        for block in dir.data.chunks(BLOCK) {
            let first = usize::from(u16_at(block, 8));
            assert!(
                first > 0 && first < BLOCK && first.is_multiple_of(12),
                "nameoff {first}"
            );
            let count = first / 12;
            for index in 0..count {
                let raw = &block[index * 12..];
                let name = name(block, index, count);
                assert!((1..=255).contains(&name.len()), "name {name:?}");
                all.push((name.to_vec(), u64_at(raw, 0), raw[10]));
            }
        }
        assert!(all.is_sorted_by(|a, b| a.0 < b.0), "sorted");
        let of = |wanted: &[u8]| all.iter().find(|(name, ..)| name == wanted).cloned();
        assert_eq!(of(b"."), Some((b".".to_vec(), dir.nid, 2)));
        assert_eq!(of(b".."), Some((b"..".to_vec(), parent, 2)));
        all.retain(|(name, ..)| name != b"." && name != b"..");
        all
    }

    /// As `erofs_namei`: bisect the blocks by their first names, then the block.
    fn lookup(&self, dir: &Found, wanted: &[u8]) -> Option<u64> {
        let blocks: Vec<_> = dir.data.chunks(BLOCK).collect();
        let first = |block: &[u8]| name(block, 0, usize::from(u16_at(block, 8)) / 12).to_vec();
        let block = blocks.partition_point(|block| first(block).as_slice() <= wanted);
        let block = blocks[block.checked_sub(1)?];
        let count = usize::from(u16_at(block, 8)) / 12;
        let (mut low, mut high) = (0, count);
        while low < high {
            let mid = low.midpoint(high);
            match name(block, mid, count).cmp(wanted) {
                std::cmp::Ordering::Equal => return Some(u64_at(&block[mid * 12..], 0)),
                std::cmp::Ordering::Less => low = mid + 1,
                std::cmp::Ordering::Greater => high = mid,
            }
        }
        None
    }
}

fn name(block: &[u8], index: usize, count: usize) -> &[u8] {
    let start = usize::from(u16_at(block, index * 12 + 8));
    if index + 1 < count {
        return &block[start..usize::from(u16_at(block, index * 12 + 20))];
    }
    let rest = &block[start..];
    &rest[..rest
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(rest.len())]
}

fn type_of(mode: u16) -> u8 {
    match mode >> 12 {
        0o01 => 5,
        0o02 => 3,
        0o04 => 2,
        0o06 => 4,
        0o10 => 1,
        0o12 => 7,
        other => panic!("type {other:o}"),
    }
}

/// By table, to differ from the writer's.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut table = [0_u32; 256];
    for (index, entry) in (0_u32..).zip(table.iter_mut()) {
        *entry = index;
        for _ in 0..8 {
            *entry = if *entry & 1 == 1 {
                (*entry >> 1) ^ 0x82F6_3B78
            } else {
                *entry >> 1
            };
        }
    }
    let mut crc = 0xFFFF_FFFF_u32;
    for byte in bytes {
        crc = table[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8);
    }
    crc
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
