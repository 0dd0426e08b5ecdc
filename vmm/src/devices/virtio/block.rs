// SPDX-License-Identifier: Apache-2.0
//! The block device (virtio 1.2 §5.2), read-only: a file of the host as a disk of the guest.
//!
//! There is no writable mode. Guests write to their overlays, and the file is shared with every
//! other guest of its image, so a write is answered with the device's error status whatever the
//! driver negotiated.
//!
//! Data goes from the file's page cache straight into the guest's buffers. Reads happen on the
//! event thread, one after the other: the files are local and usually cached.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fs::File;
use std::io;

use super::chain::{Buffers, Chain};
use super::log_limit::LogLimit;
use super::queue::Queues;
use super::{DeviceError, Identity, RingFault, VirtioDevice};

/// Bytes of a sector, whatever the block size (virtio 1.2 §5.2.4).
const SECTOR: u64 = 512;
/// Entries of the queue: deep enough for a boot's read-ahead, few enough to allocate quickly.
const QUEUE_SIZE: u16 = 128;
/// Data buffers of a request: a chain as long as the ring, less header and status.
const SEG_MAX: u32 = 126;
/// Bytes of a data buffer. With [`SEG_MAX`] it keeps requests within a chain's most bytes.
const SIZE_MAX: u32 = 64 << 10;
const _: () = assert!(
    SEG_MAX as usize * SIZE_MAX as usize + 64 <= super::chain::MAX_CHAIN_BYTES,
    "a request within the announced limits must fit a chain (virtio 1.2 §5.2.6.1)"
);

/// Feature bits (virtio 1.2 §5.2.3).
mod feature {
    pub(super) const SIZE_MAX: u64 = 1 << 1;
    pub(super) const SEG_MAX: u64 = 1 << 2;
    pub(super) const RO: u64 = 1 << 5;
}

/// Request types (virtio 1.2 §5.2.6).
mod request {
    pub(super) const IN: u32 = 0;
    pub(super) const OUT: u32 = 1;
    pub(super) const FLUSH: u32 = 4;
    pub(super) const GET_ID: u32 = 8;
    pub(super) const DISCARD: u32 = 11;
    pub(super) const WRITE_ZEROES: u32 = 13;
    pub(super) const SECURE_ERASE: u32 = 14;
}

/// The identification string (virtio 1.2 §5.2.6: 20 bytes, padded with zeros).
const ID: [u8; 20] = *b"ampoule\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The last byte of every request (virtio 1.2 §5.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}

/// Why a file cannot be a disk.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// Its size cannot be read.
    #[error("the drive's size cannot be read")]
    Size(#[source] io::Error),
    /// Not a regular file.
    #[error("a drive must be a regular file")]
    NotAFile,
    /// No bytes.
    #[error("the drive is empty")]
    Empty,
}

/// A read-only disk.
#[derive(Debug)]
pub struct Block {
    disk: Disk,
    config: [u8; 16],
    log_limit: LogLimit,
}

#[derive(Debug)]
struct Disk {
    /// Absent for a drive without a medium.
    file: Option<File>,
    /// Bytes of the file when the guest started. The last sector is padded with zeros.
    len: u64,
}

impl Block {
    /// A disk with the contents of `file`, whose size must not change any more.
    ///
    /// # Errors
    /// `file` is not a regular file with something in it.
    pub fn new(file: File) -> Result<Self, BlockError> {
        let metadata = file.metadata().map_err(BlockError::Size)?;
        if !metadata.is_file() {
            return Err(BlockError::NotAFile);
        }
        let len = metadata.len();
        if len == 0 {
            return Err(BlockError::Empty);
        }
        Ok(Self::with(Some(file), len))
    }

    /// A drive without a medium: it has no sectors. One may be put in later.
    #[must_use]
    pub fn empty() -> Self {
        Self::with(None, 0)
    }

    fn with(file: Option<File>, len: u64) -> Self {
        Self {
            disk: Disk { file, len },
            config: config(len.div_ceil(SECTOR)),
            log_limit: LogLimit::new(),
        }
    }
}

/// virtio 1.2 §5.2.4: capacity, `size_max`, `seg_max`.
fn config(sectors: u64) -> [u8; 16] {
    let fields = u128::from(sectors) | u128::from(SIZE_MAX) << 64 | u128::from(SEG_MAX) << 96;
    fields.to_le_bytes()
}

impl VirtioDevice for Block {
    fn identity(&self) -> Identity {
        Identity {
            name: "block",
            id: 2,
            features: feature::RO | feature::SIZE_MAX | feature::SEG_MAX,
            queue_sizes: &[QUEUE_SIZE],
        }
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn handle_queue(&mut self, index: usize, queues: &mut Queues) -> Result<(), DeviceError> {
        let Some(queue) = queues.get(index) else {
            return Ok(());
        };
        let (disk, log_limit) = (&self.disk, &mut self.log_limit);
        queue.serve(|chain| {
            let (written, problem) = answer(disk, chain)?;
            if let Some(problem) = problem.filter(|_| log_limit.allows()) {
                log::warn!("block: {problem}");
            }
            Ok(written)
        })
    }

    /// Once: another medium would be a disk that changes under the guest's file system.
    fn insert(&mut self, medium: File) -> io::Result<()> {
        if self.disk.file.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let Self { disk, config, .. } = Self::new(medium).map_err(io::Error::other)?;
        (self.disk, self.config) = (disk, config);
        Ok(())
    }

    fn save(&self) -> Vec<u8> {
        self.disk.len.to_le_bytes().to_vec()
    }

    /// A medium may be put into a drive that had none; another one than was there would be a
    /// disk that changes under the guest's file system.
    fn restore(&mut self, state: &[u8]) -> io::Result<()> {
        let len = state.first_chunk().map(|len| u64::from_le_bytes(*len));
        match len {
            Some(0) => Ok(()),
            Some(len) if len == self.disk.len => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Why a request was not served; the driver gets only a status.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("a request without a whole header")]
    NoHeader,
    #[error("a write to a read-only drive")]
    ReadOnly,
    #[error("a request of unknown type {0}")]
    Unknown(u32),
    #[error("a read of {len} bytes at sector {sector} leaves the drive")]
    Bounds { sector: u64, len: usize },
    #[error("an identification buffer of {0} bytes")]
    IdRoom(usize),
    #[error("reading the drive's file: {0}")]
    Read(#[from] io::Error),
}

impl Refusal {
    fn status(&self) -> Status {
        match self {
            Self::Unknown(_) => Status::Unsupported,
            _ => Status::IoError,
        }
    }
}

/// Serves one request and returns how many bytes of its buffers are now meaningful.
fn answer(disk: &Disk, mut chain: Chain<'_>) -> Result<(u32, Option<Refusal>), RingFault> {
    let data = chain
        .writable
        .len()
        .checked_sub(1)
        .ok_or(RingFault::NoRoom)?;
    let mut status = chain.writable.split_off(data);
    let (byte, written, problem) = match perform(disk, &mut chain) {
        Ok(()) => (Status::Ok, data.saturating_add(1), None),
        Err(refusal) => (refusal.status(), 1, Some(refusal)),
    };
    if !status.write(&[byte as u8]) {
        return Err(RingFault::NoRoom);
    }
    // Less than MAX_CHAIN_BYTES.
    Ok((u32::try_from(written).unwrap_or(1), problem))
}

fn perform(disk: &Disk, chain: &mut Chain<'_>) -> Result<(), Refusal> {
    // virtio 1.2 §5.2.6: le32 type, le32 reserved, le64 sector.
    let kind = chain.readable.read().map(u32::from_le_bytes);
    let _reserved: Option<[u8; 4]> = chain.readable.read();
    let sector = chain.readable.read().map(u64::from_le_bytes);
    let (Some(kind), Some(sector)) = (kind, sector) else {
        return Err(Refusal::NoHeader);
    };
    let data = &mut chain.writable;
    match kind {
        request::IN => disk.read(sector, data),
        request::GET_ID => match data.write(&ID) {
            true => Ok(()),
            false => Err(Refusal::IdRoom(data.len())),
        },
        // Nothing was written, so all of it is on stable storage.
        request::FLUSH => Ok(()),
        request::OUT | request::DISCARD | request::WRITE_ZEROES | request::SECURE_ERASE => {
            Err(Refusal::ReadOnly)
        }
        unknown => Err(Refusal::Unknown(unknown)),
    }
}

impl Disk {
    /// Fills `data` from `sector` on.
    fn read(&self, sector: u64, data: &mut Buffers<'_>) -> Result<(), Refusal> {
        let len = data.len();
        let bounds = Refusal::Bounds { sector, len };
        let (Some(mut offset), Some(file)) = (self.locate(sector, len), &self.file) else {
            return Err(bounds);
        };
        let stored = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut padding = data.split_off(stored);
        while !data.is_empty() {
            match super::transfer::read_at(file, data.slices(), offset)? {
                // The file became shorter: not ours to invent what it held.
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                count => {
                    data.consume(count);
                    offset = offset.saturating_add(u64::try_from(count).unwrap_or(0));
                }
            }
        }
        // Less than a sector: `locate` allows no more past the file's end.
        while padding.write(&[0]) {}
        Ok(())
    }

    /// The file offset of a read, if it is of whole sectors inside the drive.
    fn locate(&self, sector: u64, len: usize) -> Option<u64> {
        let len = u64::try_from(len).ok()?;
        let offset = sector.checked_mul(SECTOR)?;
        let end = offset.checked_add(len)?;
        let capacity = self.len.div_ceil(SECTOR).checked_mul(SECTOR)?;
        (len.is_multiple_of(SECTOR) && end <= capacity).then_some(offset)
    }
}

#[cfg(test)]
mod tests;
