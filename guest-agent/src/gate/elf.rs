// SPDX-License-Identifier: Apache-2.0
//! The loader that an ELF program names (`PT_INTERP`), which the kernel opens with it. Only what
//! the kernel takes of an x86-64 program is read: anything else has no loader.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fs::File;
use std::os::unix::fs::FileExt;

const PT_INTERP: u32 = 3;
/// Size of `Elf64_Phdr`.
const HEADER: u16 = 56;
/// Headers that are looked at (the kernel takes 64 KiB of them).
const MOST_HEADERS: u16 = 1170;
/// `PATH_MAX`.
const LONGEST: u64 = 4096;

fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk::<N>().copied()
}

/// The loader's path, given the file's first bytes (at least 64).
pub(crate) fn loader(start: &[u8], file: &File) -> Option<Vec<u8>> {
    if !start.starts_with(b"\x7fELF") {
        return None;
    }
    let table = u64::from_le_bytes(at(start, 32)?);
    let size = u16::from_le_bytes(at(start, 54)?);
    let count = u16::from_le_bytes(at(start, 56)?).min(MOST_HEADERS);
    if size != HEADER {
        return None;
    }
    let mut headers = vec![0; usize::from(size).checked_mul(usize::from(count))?];
    file.read_exact_at(&mut headers, table).ok()?;
    let mut headers = headers.chunks_exact(usize::from(HEADER));
    let named = headers.find(|header| at(header, 0).map(u32::from_le_bytes) == Some(PT_INTERP))?;
    let offset = u64::from_le_bytes(at(named, 8)?);
    let len = u64::from_le_bytes(at(named, 32)?).min(LONGEST);
    let mut path = vec![0; usize::try_from(len).ok()?];
    file.read_exact_at(&mut path, offset).ok()?;
    let end = path.iter().position(|byte| *byte == 0)?;
    path.truncate(end);
    Some(path)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test that fails may panic")]
mod tests {
    use super::*;

    fn of(path: &str) -> Option<Vec<u8>> {
        let file = File::open(path).unwrap();
        let mut start = [0; 256];
        let read = file.read_at(&mut start, 0).unwrap();
        loader(&start[..read], &file)
    }

    #[test]
    fn a_program_names_its_loader_and_what_is_none_names_none() {
        let shell = of("/bin/sh").unwrap();
        assert!(shell.starts_with(b"/lib"), "{shell:?}");
        assert_eq!(of("/etc/passwd"), None);
    }

    #[test]
    fn a_header_that_lies_is_no_loader() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut bytes = vec![0xff; 256];
        bytes[..4].copy_from_slice(b"\x7fELF");
        bytes[54..56].copy_from_slice(&56u16.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(of(path.to_str().unwrap()), None);
        std::fs::write(&path, &bytes[..20]).unwrap();
        assert_eq!(of(path.to_str().unwrap()), None);
    }
}
