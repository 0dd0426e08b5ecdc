// SPDX-License-Identifier: Apache-2.0
//! The digest of a snapshot: SHA-256 over its pages that are not zero, each after its offset.
//! Most of a guest's memory is holes, which cost nothing to write, to keep, or to read here.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use sha2::{Digest, Sha256};

const PAGE: usize = 4096;
/// Read at once.
const PIECE: usize = 64 * PAGE;

/// The digest in hexadecimal, of the file's length too.
pub(super) fn of(file: &File) -> io::Result<String> {
    let length = file.metadata()?.len();
    let mut hash = Sha256::new();
    hash.update(length.to_le_bytes());
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while let Some(data) = next_data(file, at)? {
        // Holes begin where a file system likes; pages do not.
        at = data - data % PAGE as u64;
        let got = read_full(file, &mut piece, at)?;
        for (index, page) in piece[..got].chunks(PAGE).enumerate() {
            if page.iter().any(|byte| *byte != 0) {
                hash.update((at + (index * PAGE) as u64).to_le_bytes());
                hash.update(page);
            }
        }
        at += PIECE as u64;
    }
    let digest = hash.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Where the next bytes that are no hole begin.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, SeekFrom::Data(at)) {
        Ok(at) => Ok(Some(at)),
        Err(Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn read_full(file: &File, piece: &mut [u8], at: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < piece.len() {
        match file.read_at(&mut piece[got..], at + got as u64)? {
            0 => break,
            more => got += more,
        }
    }
    Ok(got)
}
