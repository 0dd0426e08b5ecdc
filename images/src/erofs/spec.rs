// SPDX-License-Identifier: Apache-2.0
//! EROFS on disk: the parts of Linux's `fs/erofs/erofs_fs.h` (as of 6.1) that this writer uses.
//!
//! All integers are little-endian. A *nid* is an inode's byte offset in units of [`SLOT`], counted
//! from `meta_blkaddr`, which is 0 here: so an inode's nid says where it lies in the image.

use crate::tree::Device;

/// Size of a block; `blkszbits` is its logarithm. 6.1 mounts block sizes up to the page size.
pub(super) const BLOCK: u64 = 1 << BLOCK_BITS;
/// The same for lengths in memory.
pub(super) const BLOCK_LEN: usize = 1 << BLOCK_BITS;
const BLOCK_BITS: u8 = 12;

/// Unit of nids, and the size of a compact inode.
pub(super) const SLOT: u64 = 32;

/// Where the superblock begins (`EROFS_SUPER_OFFSET`).
pub(super) const SUPER_OFFSET: u64 = 1024;

/// Size of the superblock without extension slots.
pub(super) const SUPER_SIZE: u64 = 128;

/// `EROFS_SUPER_MAGIC_V1`, from `include/uapi/linux/magic.h`.
pub(super) const MAGIC: u32 = 0xe0f5_e1e2;

/// `EROFS_FEATURE_COMPAT_SB_CHKSUM`: the checksum field counts.
const COMPAT_SB_CHECKSUM: u32 = 1;
/// `EROFS_FEATURE_COMPAT_MTIME`: the time of extended inodes is the modification time.
const COMPAT_MTIME: u32 = 2;

/// Size of one `erofs_dirent`; the names of a block follow its dirents.
pub(super) const DIRENT: usize = 12;

/// How an inode's data lies (`EROFS_INODE_FLAT_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// All of it in whole blocks from the start block.
    Plain = 0,
    /// Whole blocks from the start block; the rest right behind the inode, in its block.
    Inline = 2,
}

/// The two sizes of inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// 32 bytes: 16-bit owners and links, 32-bit size, the image's build time.
    Compact = 0,
    /// 64 bytes, with room for everything.
    Extended = 1,
}

impl Form {
    pub(super) const fn size(self) -> u64 {
        match self {
            Self::Compact => 32,
            Self::Extended => 64,
        }
    }
}

/// File types of dirents: `FT_*` of `include/linux/fs_types.h`.
pub(super) mod ft {
    pub(crate) const REGULAR: u8 = 1;
    pub(crate) const DIR: u8 = 2;
    pub(crate) const CHAR: u8 = 3;
    pub(crate) const BLOCK: u8 = 4;
    pub(crate) const FIFO: u8 = 5;
    pub(crate) const SYMLINK: u8 = 7;
}

/// Type bits of `i_mode` (`S_IF*` of `include/uapi/linux/stat.h`).
pub(super) mod mode {
    pub(crate) const FIFO: u16 = 0o010_000;
    pub(crate) const CHAR: u16 = 0o020_000;
    pub(crate) const DIR: u16 = 0o040_000;
    pub(crate) const BLOCK: u16 = 0o060_000;
    pub(crate) const REGULAR: u16 = 0o100_000;
    pub(crate) const SYMLINK: u16 = 0o120_000;
}

/// The fields of an inode, either form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inode {
    pub(super) form: Form,
    pub(super) layout: Layout,
    pub(super) mode: u16,
    pub(super) nlink: u32,
    pub(super) size: u64,
    /// Start block, or a device's number.
    pub(super) union: u32,
    pub(super) number: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) secs: i64,
    pub(super) nanos: u32,
}

impl Inode {
    /// `erofs_inode_compact` or `erofs_inode_extended`. The layout gave an inode the compact
    /// form only if its fields fit, so the narrowing loses nothing.
    pub(super) fn encode(&self) -> Vec<u8> {
        let format = self.form as u16 | (self.layout as u16) << 1;
        let mut out = Bytes::default();
        out.u16(format).u16(0).u16(self.mode);
        match self.form {
            Form::Compact => {
                out.u16(low16(self.nlink)).u32(low32(self.size)).u32(0);
                out.u32(self.union).u32(self.number);
                out.u16(low16(self.uid)).u16(low16(self.gid)).u32(0);
            }
            Form::Extended => {
                out.u16(0).u64(self.size).u32(self.union).u32(self.number);
                out.u32(self.uid)
                    .u32(self.gid)
                    .i64(self.secs)
                    .u32(self.nanos);
                out.u32(self.nlink).u64(0).u64(0);
            }
        }
        out.0
    }
}

/// The fields of the superblock that vary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Superblock {
    pub(super) root_nid: u16,
    pub(super) inodes: u64,
    pub(super) build_secs: i64,
    pub(super) build_nanos: u32,
    pub(super) blocks: u32,
}

impl Superblock {
    /// `erofs_super_block` with a checksum of 0. UUID and volume name are zero: they would be
    /// the only bytes that do not come from the tree.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Bytes::default();
        out.u32(MAGIC).u32(0).u32(COMPAT_SB_CHECKSUM | COMPAT_MTIME);
        out.u8(BLOCK_BITS).u8(0).u16(self.root_nid).u64(self.inodes);
        out.i64(self.build_secs)
            .u32(self.build_nanos)
            .u32(self.blocks);
        out.0.resize(128, 0);
        out.0
    }
}

/// Where the checksum lies in the superblock.
pub(super) const CHECKSUM_FIELD: std::ops::Range<usize> = 4..8;

/// The checksum over the rest of block 0, as `erofs_superblock_csum_verify` computes it: CRC32C
/// from all ones, not inverted at the end. A few kilobytes once an image, so bit by bit.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    const CASTAGNOLI: u32 = 0x82f6_3b78;
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (CASTAGNOLI * (crc & 1))
        })
    })
}

/// A device's number as inodes keep it (`new_encode_dev` of `include/linux/kdev_t.h`). Linux has
/// 12 bits of major and 20 of minor; `None` for what does not fit.
pub(super) fn encode_device(device: Device) -> Option<u32> {
    let Device { major, minor } = device;
    (major < 1 << 12 && minor < 1 << 20)
        .then_some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

/// One `erofs_dirent`.
pub(super) fn dirent(nid: u64, name_offset: u16, file_type: u8) -> [u8; DIRENT] {
    let mut out = [0; DIRENT];
    out[..8].copy_from_slice(&nid.to_le_bytes());
    out[8..10].copy_from_slice(&name_offset.to_le_bytes());
    out[10] = file_type;
    out
}

fn low16(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

fn low32(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Little-endian bytes, in the order of a C struct.
#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_standard_check_string() {
        // The catalogued check value of CRC-32C is 0xe3069283, which is inverted at the end.
        assert_eq!(checksum(b"123456789"), !0xe306_9283);
    }

    #[test]
    fn device_numbers_split_the_minor() {
        assert_eq!(encode_device(Device { major: 8, minor: 1 }), Some(0x801));
        assert_eq!(
            encode_device(Device {
                major: 0xabc,
                minor: 0x12345
            }),
            Some(0x123a_bc45)
        );
        assert_eq!(
            encode_device(Device {
                major: 1 << 12,
                minor: 0
            }),
            None
        );
        assert_eq!(
            encode_device(Device {
                major: 0,
                minor: 1 << 20
            }),
            None
        );
    }

    #[test]
    fn inodes_have_the_size_of_their_form() {
        for form in [Form::Compact, Form::Extended] {
            let inode = Inode {
                form,
                layout: Layout::Inline,
                mode: mode::REGULAR,
                nlink: 1,
                size: 2,
                union: 3,
                number: 4,
                uid: 5,
                gid: 6,
                secs: 7,
                nanos: 8,
            };
            assert_eq!(inode.encode().len() as u64, form.size());
        }
    }
}
