// SPDX-License-Identifier: Apache-2.0
//! Snapshots: one file that holds a machine standing still.
//!
//! ```text
//!  0        64              64 + length           2 MiB                  2 MiB + memory
//!  │ header │ state (protobuf) │ nothing ...        │ guest memory, sparse │
//! ```
//!
//! The header says what follows and checks it; all integers are little endian. Memory lies at
//! the offset of a large page so that it can be mapped as such. Pages that are all zero are holes.
//!
//! A snapshot goes back to the host kernel, VMM and processor it was taken under, and nowhere
//! else; [`open`] and [`SnapshotError`] say which of them differs. The checksum (XXH3) is
//! against accidents: who may write the file may have written the checksum too, so the store
//! keeps files that only their owner writes. That the memory is the one that was written is
//! likewise the store's business: reading it here would cost what mapping it saves.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod memory;
mod state;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use prost::Message;
use twox_hash::XxHash3_64;

pub(crate) use state::{MachineState, QueueState, TransportState, VcpuState};

use crate::memory::{GuestMemory, MemoryError};

/// The format's version.
pub const VERSION: u32 = 1;
/// Where guest memory begins: the size of a large page, and so the most that header and state
/// may take. 32 vCPUs and all devices take a tenth of it.
pub const MEMORY_AT: u64 = 2 << 20;
const MAGIC: [u8; 8] = *b"AmpSnap\0";
const HEADER: usize = 64;

/// Why a file is not a snapshot that can be restored here.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Not one of ours.
    #[error("the file is not a snapshot")]
    Foreign,
    /// Another format.
    #[error("the snapshot has format version {0}, this VMM reads {VERSION}")]
    Version(u32),
    /// Too short, or longer than it says.
    #[error("the snapshot is truncated: {found} bytes where {expected} belong")]
    Truncated {
        /// Bytes there are.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// Its state is not what was written.
    #[error("the snapshot is corrupt: {0}")]
    Corrupt(&'static str),
    /// Taken under something else.
    #[error("the snapshot was taken {what} '{then}', here is '{now}'")]
    Elsewhere {
        /// Under, by or with what.
        what: &'static str,
        /// What it says.
        then: String,
        /// What is here.
        now: String,
    },
    /// Another processor, or KVM with other features.
    #[error("the snapshot was taken on another processor: {0} differ")]
    Processor(&'static str),
    /// Its machine is not the one asked for.
    #[error("the snapshot is of a machine with {then} {what}, not {now}")]
    Machine {
        /// Of what.
        what: &'static str,
        /// In the snapshot.
        then: u64,
        /// Asked for.
        now: u64,
    },
    /// The file cannot be read or written.
    #[error("the snapshot's file failed")]
    File(#[from] io::Error),
    /// Its memory cannot be mapped.
    #[error("the snapshot's memory cannot be mapped")]
    Memory(#[from] MemoryError),
    /// State larger than the format allows.
    #[error("the machine's state is larger than a snapshot holds")]
    TooLarge,
}

/// Writes a whole snapshot into an empty file.
pub(crate) fn write(
    file: &File,
    state: &MachineState,
    memory: &GuestMemory,
) -> Result<(), SnapshotError> {
    memory::write(file, memory, MEMORY_AT)?;
    let length = MEMORY_AT.saturating_add(state.memory);
    file.set_len(length)?;
    // Last, so that a snapshot which was not finished is none.
    let state_bytes = state.encode_to_vec();
    let header = Header::of(&state_bytes, length)?;
    file.write_all_at(&state_bytes, HEADER as u64)?;
    Ok(file.write_all_at(&header.to_bytes(), 0)?)
}

/// Reads and checks a snapshot's state: all but what only KVM knows.
pub(crate) fn open(file: &File) -> Result<MachineState, SnapshotError> {
    let found = file.metadata()?.len();
    // One read for nearly all: a vCPU's state is some 8 KiB.
    let mut start = vec![0; 32 * 1024];
    let got = file.read_at(&mut start, 0)?;
    start.truncate(got);
    let header = Header::parse(&start)?;
    if found != header.file {
        let expected = header.file;
        return Err(SnapshotError::Truncated { found, expected });
    }
    let end = HEADER.saturating_add(header.length);
    if start.len() < end {
        let already = start.len();
        start.resize(end, 0);
        let rest = start.get_mut(already..).unwrap_or_default();
        file.read_exact_at(rest, already as u64)?;
    }
    let bytes = start.get(HEADER..end).unwrap_or_default();
    if XxHash3_64::oneshot(bytes) != header.checksum {
        return Err(SnapshotError::Corrupt("its state does not match its sum"));
    }
    let state = MachineState::decode(bytes)
        .map_err(|_| SnapshotError::Corrupt("its state is no message"))?;
    if MEMORY_AT.checked_add(state.memory) != Some(header.file) {
        return Err(SnapshotError::Corrupt("its memory has another size"));
    }
    same("by ampoule-vmm", &state.vmm, env!("CARGO_PKG_VERSION"))?;
    same("under the host kernel", &state.host_kernel, &host_kernel())?;
    Ok(state)
}

/// Lays a snapshot's memory over fresh guest memory, private to this guest once it writes to it.
pub(crate) fn map(file: &File, memory: &GuestMemory) -> Result<(), SnapshotError> {
    Ok(memory::map(file, memory, MEMORY_AT)?)
}

/// `Ok` if a machine has as much of something as its snapshot.
pub(crate) fn agree(what: &'static str, then: u64, now: u64) -> Result<(), SnapshotError> {
    match then == now {
        true => Ok(()),
        false => Err(SnapshotError::Machine { what, then, now }),
    }
}

fn same(what: &'static str, then: &str, now: &str) -> Result<(), SnapshotError> {
    if then == now {
        return Ok(());
    }
    Err(SnapshotError::Elsewhere {
        what,
        then: then.to_owned(),
        now: now.to_owned(),
    })
}

/// The host kernel's release.
pub(crate) fn host_kernel() -> String {
    let name = rustix::system::uname();
    name.release().to_string_lossy().into_owned()
}

/// The first [`HEADER`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// Bytes of state.
    length: usize,
    /// Of the state.
    checksum: u64,
    /// Bytes of the whole file.
    file: u64,
}

impl Header {
    fn of(state: &[u8], file: u64) -> Result<Self, SnapshotError> {
        if state.len() > max_state() {
            return Err(SnapshotError::TooLarge);
        }
        Ok(Self {
            length: state.len(),
            checksum: XxHash3_64::oneshot(state),
            file,
        })
    }

    fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let fields = MAGIC
            .into_iter()
            .chain(VERSION.to_le_bytes())
            .chain(u32::try_from(self.length).unwrap_or(u32::MAX).to_le_bytes())
            .chain(self.checksum.to_le_bytes())
            .chain(self.file.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let header = bytes.get(..HEADER).ok_or(SnapshotError::Foreign)?;
        if !header.starts_with(&MAGIC) {
            return Err(SnapshotError::Foreign);
        }
        let [version, length] = [8, 12].map(|at| number::<4>(header, at).map(u32::from_le_bytes));
        let [checksum, file] = [16, 24].map(|at| number::<8>(header, at).map(u64::from_le_bytes));
        let version = version.unwrap_or_default();
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let length = usize::try_from(length.unwrap_or_default()).unwrap_or(usize::MAX);
        if length > max_state() {
            return Err(SnapshotError::Corrupt("its state is longer than any"));
        }
        Ok(Self {
            length,
            checksum: checksum.unwrap_or_default(),
            file: file.unwrap_or_default(),
        })
    }
}

fn max_state() -> usize {
    usize::try_from(MEMORY_AT).unwrap_or(usize::MAX).saturating_sub(HEADER)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests;
