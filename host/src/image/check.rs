// SPDX-License-Identifier: Apache-2.0
//! The checks of kernel and images that cost no more than a page: enough that a wrong or
//! truncated file is named before a VM exists.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Kind;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The manifest names no digest.
    #[error("its manifest has no valid sha256")]
    NotADigest,
    /// The store has no such file.
    #[error("its file is gone from the store")]
    Gone,
    /// It cannot be read.
    #[error("its file cannot be read")]
    Read(#[from] io::Error),
    /// It is shorter or longer than it was.
    #[error("its file has {found} bytes instead of {wanted}")]
    Size {
        /// Bytes now.
        found: u64,
        /// Bytes as stored.
        wanted: u64,
    },
    /// The content is another.
    #[error("its file has another digest than its name, {found}")]
    Digest {
        /// What the content's digest is.
        found: String,
    },
    /// Not an ELF, or not one for this machine.
    #[error("it is not an uncompressed x86-64 ELF kernel (vmlinux)")]
    NotAKernel,
    /// A segment lies beyond the end.
    #[error("the kernel is cut short: a segment ends at byte {end} of {bytes}")]
    KernelCut {
        /// Where the segment ends.
        end: u64,
        /// The file's length.
        bytes: u64,
    },
    /// Not an EROFS image.
    #[error("it is not an EROFS image")]
    NotErofs,
    /// The superblock says more than there is.
    #[error("the image is cut short: {bytes} bytes of {wanted}")]
    ImageCut {
        /// The file's length.
        bytes: u64,
        /// What the superblock says.
        wanted: u64,
    },
}

/// Bytes of a page, and the most that is read.
const PAGE: usize = 4096;

/// EROFS superblock (linux/fs/erofs/erofs_fs.h): at byte 1024; magic at 0, log2 of the block size
/// at 12, number of blocks at 36.
const EROFS_MAGIC: u32 = 0xe0f5_e1e2;
const EROFS_SUPER: usize = 1024;

/// Checks a stored file.
///
/// # Errors
/// What is wrong with it.
pub fn file(file: &File, kind: Kind, wanted: u64) -> Result<(), CheckError> {
    let bytes = file.metadata()?.len();
    if bytes != wanted {
        return Err(CheckError::Size {
            found: bytes,
            wanted,
        });
    }
    let mut page = [0; PAGE];
    let n = read(file, &mut page)?;
    let head = page.get(..n).unwrap_or_default();
    match kind {
        Kind::Kernel => kernel(head, bytes).map(drop),
        Kind::Image => image(head, bytes),
    }
}

/// The guest-physical address that the kernel's segments reach up to.
///
/// # Errors
/// What is wrong with it.
pub fn kernel_end(file: &File) -> Result<u64, CheckError> {
    let mut page = [0; PAGE];
    let n = read(file, &mut page)?;
    kernel(page.get(..n).unwrap_or_default(), file.metadata()?.len())
}

fn read(file: &File, page: &mut [u8]) -> io::Result<usize> {
    let mut done = 0usize;
    loop {
        let rest = page.get_mut(done..).unwrap_or_default();
        match file.read_at(rest, u64::try_from(done).unwrap_or(u64::MAX)) {
            Ok(0) => return Ok(done),
            Ok(n) => done = done.saturating_add(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn image(head: &[u8], bytes: u64) -> Result<(), CheckError> {
    let superblock = head.get(EROFS_SUPER..).unwrap_or_default();
    if u32_at(superblock, 0) != Some(EROFS_MAGIC) {
        return Err(CheckError::NotErofs);
    }
    let bits = superblock.get(12).copied().ok_or(CheckError::NotErofs)?;
    let blocks = u32_at(superblock, 36).ok_or(CheckError::NotErofs)?;
    let size = 1u64
        .checked_shl(bits.into())
        .filter(|size| (512..=65536).contains(size));
    let wanted = u64::from(blocks).saturating_mul(size.ok_or(CheckError::NotErofs)?);
    if bytes < wanted {
        Err(CheckError::ImageCut { bytes, wanted })
    } else {
        Ok(())
    }
}

/// ELF-64 (the System V ABI): an executable for x86-64 whose loadable segments are all there.
fn kernel(head: &[u8], bytes: u64) -> Result<u64, CheckError> {
    let magic = head.get(..6) == Some(b"\x7fELF\x02\x01");
    let executable = matches!(u16_at(head, 16), Some(2 | 3)) && u16_at(head, 18) == Some(62);
    let table = (u64_at(head, 32), u16_at(head, 54), u16_at(head, 56));
    let (Some(offset), Some(56), Some(count @ 1..=64)) = table else {
        return Err(CheckError::NotAKernel);
    };
    if !magic || !executable {
        return Err(CheckError::NotAKernel);
    }
    let mut reach = 0;
    for index in 0..u64::from(count) {
        let at = index.saturating_mul(56).saturating_add(offset);
        let header = usize::try_from(at).ok().and_then(|at| head.get(at..));
        let header = header.ok_or(CheckError::NotAKernel)?;
        if u32_at(header, 0) != Some(1) {
            continue;
        }
        let field = |at| u64_at(header, at).ok_or(CheckError::NotAKernel);
        let (from, address, in_file, in_memory) = (field(8)?, field(24)?, field(32)?, field(40)?);
        let end = from.saturating_add(in_file);
        if end > bytes {
            return Err(CheckError::KernelCut { end, bytes });
        }
        reach = reach.max(address.saturating_add(in_memory));
    }
    if reach == 0 {
        Err(CheckError::NotAKernel)
    } else {
        Ok(reach)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|word| u16::from_le_bytes(*word))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|word| u32::from_le_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|word| u64::from_le_bytes(*word))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "test data has no hostile sizes")]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An ELF of one segment: 4096 bytes of the file at 16 MiB.
    pub(in crate::image) fn elf() -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        for word in [0x100_0000u64, 64, 0] {
            file.extend(word.to_le_bytes());
        }
        file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
        file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
        for word in [4096u64, 0x100_0000, 0x100_0000, 4096, 8192, 4096] {
            file.extend(word.to_le_bytes());
        }
        file.resize(8192, 0x90);
        file
    }

    /// The first block of an EROFS image of two blocks.
    pub(in crate::image) fn erofs() -> Vec<u8> {
        let mut file = vec![0; 8192];
        file[1024..1028].copy_from_slice(&EROFS_MAGIC.to_le_bytes());
        file[1036] = 12;
        file[1060] = 2;
        file
    }

    #[test]
    fn a_kernel_tells_how_far_it_reaches() {
        assert_eq!(kernel(&elf(), 8192).unwrap(), 0x100_2000);
    }

    #[test]
    fn a_kernel_cut_short_and_other_files_are_refused() {
        assert!(matches!(
            kernel(&elf()[..4096], 5000),
            Err(CheckError::KernelCut { end: 8192, .. })
        ));
        assert!(matches!(
            kernel(b"not a kernel", 12),
            Err(CheckError::NotAKernel)
        ));
        let mut bzimage = elf();
        bzimage[0] = b'M';
        assert!(kernel(&bzimage, 8192).is_err());
        let mut arm = elf();
        arm[18] = 183;
        assert!(kernel(&arm, 8192).is_err());
    }

    #[test]
    fn an_image_cut_short_and_other_files_are_refused() {
        assert!(image(&erofs(), 8192).is_ok());
        assert!(matches!(
            image(&erofs(), 4096),
            Err(CheckError::ImageCut { wanted: 8192, .. })
        ));
        assert!(matches!(image(&[0; 4096], 4096), Err(CheckError::NotErofs)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(mut bytes in prop::collection::vec(any::<u8>(), 0..2048), as_elf: bool) {
            if as_elf {
                let start = elf();
                let n = bytes.len().min(20);
                bytes[..n].copy_from_slice(&start[..n]);
            }
            let _ = (kernel(&bytes, 2048), image(&bytes, 2048));
        }
    }
}
