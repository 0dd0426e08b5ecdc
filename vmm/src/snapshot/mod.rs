// SPDX-License-Identifier: Apache-2.0
//! Snapshots: one file that holds a machine standing still.
//!
//! ```text
//!  0        64                 1 MiB    1 MiB + 64    2 MiB                  2 MiB + memory
//!  │ header │ state (protobuf) │ header │ working set │ guest memory, sparse │
//! ```
//!
//! A header says what follows and checks it; all integers are little endian. Memory lies at
//! the offset of a large page so that it can be mapped as such. Pages that are all zero are holes
//! in the file, and where many lie together no page of the file is mapped: a guest that begins to
//! use them gets fresh memory, not a copy of zeros.
//!
//! The *working set* is what a guest wrote to that was restored once for this purpose (the idea of
//! REAP, Ustiugov et al., ASPLOS 2021): until it was ready, and then for a first command. With it
//! known, pages are copied all at once and not one by one when the guest stumbles over them. It
//! changes nothing but the time. Pages that are only read are left to the host's own fault-around:
//! measured, to map them beforehand costs what it saves.
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

pub(crate) use state::{Extent, MachineState, QueueState, TransportState, VcpuState, WorkingSet};

use crate::memory::{GuestMemory, MemoryError};

/// The format's version.
pub const VERSION: u32 = 1;
/// Where guest memory begins: the size of a large page.
pub const MEMORY_AT: u64 = 2 << 20;
/// Where the working set's header lies, and so the most that the state may take: 32 vCPUs and all
/// devices take a fifth of it.
const WORKING_SET_AT: u64 = 1 << 20;
const MAGIC: [u8; 8] = *b"AmpSnap\0";
const WORKING_SET_MAGIC: [u8; 8] = *b"AmpWork\0";
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

/// A snapshot that can be restored here, as far as can be told without KVM.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) state: MachineState,
    /// Empty if none was noted.
    pub(crate) working_set: WorkingSet,
}

/// Writes a whole snapshot into an empty file.
pub(crate) fn write(
    file: &File,
    mut state: MachineState,
    memory: &GuestMemory,
) -> Result<(), SnapshotError> {
    state.extents = memory::write(file, memory, MEMORY_AT)?;
    let length = MEMORY_AT.saturating_add(state.memory);
    file.set_len(length)?;
    // The header last, so that a snapshot which was not finished is none.
    write_part(file, 0, MAGIC, &state.encode_to_vec(), length)
}

/// Adds the working set to the snapshot that this machine was restored from: what is its own now,
/// beside what was when it was `ready`.
pub(crate) fn add_working_set(
    file: &File,
    memory: &GuestMemory,
    ready: &[Extent],
) -> Result<(), SnapshotError> {
    let set = WorkingSet {
        ready: ready.to_vec(),
        command: memory::without(&memory::own(memory), ready),
    };
    let set = set.encode_to_vec();
    write_part(file, WORKING_SET_AT, WORKING_SET_MAGIC, &set, 0)
}

/// The pages that are this guest's own by now.
pub(crate) fn own_pages(memory: &GuestMemory) -> Vec<Extent> {
    memory::own(memory)
}

fn write_part(
    file: &File,
    at: u64,
    magic: [u8; 8],
    bytes: &[u8],
    length: u64,
) -> Result<(), SnapshotError> {
    let header = Header::of(magic, bytes, length)?;
    file.write_all_at(bytes, at.saturating_add(HEADER as u64))?;
    Ok(file.write_all_at(&header.to_bytes(), at)?)
}

/// Reads and checks a snapshot: all but what only KVM knows, and its memory.
pub(crate) fn open(file: &File) -> Result<Snapshot, SnapshotError> {
    let found = file.metadata()?.len();
    let (expected, bytes) = read_part(file, 0, MAGIC)?.ok_or(SnapshotError::Foreign)?;
    if found != expected {
        return Err(SnapshotError::Truncated { found, expected });
    }
    let state = MachineState::decode(&bytes[..])
        .map_err(|_| SnapshotError::Corrupt("its state is no message"))?;
    if MEMORY_AT.checked_add(state.memory) != Some(expected) {
        return Err(SnapshotError::Corrupt("its memory has another size"));
    }
    same("by ampoule-vmm", &state.vmm, env!("CARGO_PKG_VERSION"))?;
    same("under the host kernel", &state.host_kernel, &host_kernel())?;
    let working_set = match read_part(file, WORKING_SET_AT, WORKING_SET_MAGIC)? {
        None => WorkingSet::default(),
        Some((_, bytes)) => WorkingSet::decode(&bytes[..])
            .map_err(|_| SnapshotError::Corrupt("its working set is no message"))?,
    };
    Ok(Snapshot { state, working_set })
}

/// What a header says of the file's length, and the bytes it checks; `None` for no header of ours.
fn read_part(
    file: &File,
    at: u64,
    magic: [u8; 8],
) -> Result<Option<(u64, Vec<u8>)>, SnapshotError> {
    // One read for nearly all: a vCPU's state is some 8 KiB.
    let mut start = vec![0; 24 * 1024];
    let got = file.read_at(&mut start, at)?;
    start.truncate(got);
    let Some(header) = Header::parse(&start, magic)? else {
        return Ok(None);
    };
    let end = HEADER.saturating_add(header.length);
    if start.len() < end {
        let already = start.len();
        start.resize(end, 0);
        let rest = start.get_mut(already..).unwrap_or_default();
        file.read_exact_at(rest, at.saturating_add(already as u64))?;
    }
    start.truncate(end);
    start.drain(..HEADER);
    if XxHash3_64::oneshot(&start) != header.checksum {
        return Err(SnapshotError::Corrupt("a part does not match its sum"));
    }
    Ok(Some((header.file, start)))
}

/// Lays a snapshot's memory over fresh guest memory, private to this guest once it writes to it.
pub(crate) fn map(
    file: &File,
    snapshot: &Snapshot,
    memory: &GuestMemory,
) -> Result<(), SnapshotError> {
    memory::map(file, memory, MEMORY_AT, &snapshot.state.extents)?;
    memory::populate(memory, &snapshot.working_set.ready);
    Ok(())
}

/// Why a guest's memory is not in a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParkError {
    #[error("the guest runs")]
    Runs,
    #[error("the file for the guest's memory cannot be written")]
    File(#[from] io::Error),
    /// It may be neither here nor there.
    #[error("the file with the guest's memory cannot be mapped")]
    Lost(#[source] MemoryError),
}

/// Moves the memory that is a guest's own to a file, from which it comes back as it is used. The
/// guest stands still. What others have as well (the kernel's file, a template) stays where it is.
pub(crate) fn move_to(file: &File, memory: &GuestMemory) -> Result<(), ParkError> {
    let extents = memory::copy(file, memory)?;
    // Nowhere else from here on: a disk that loses it must say so now.
    file.sync_data()?;
    memory::map(file, memory, 0, &extents).map_err(ParkError::Lost)
}

/// Gives the guest the pages at once that its first command will want.
pub(crate) fn populate_for_command(set: &WorkingSet, memory: &GuestMemory) {
    memory::populate(memory, &set.command);
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

/// The first [`HEADER`] bytes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    magic: [u8; 8],
    /// Bytes of the part, without this.
    length: usize,
    /// Of those.
    checksum: u64,
    /// Bytes of the whole file, in the first part.
    file: u64,
}

impl Header {
    fn of(magic: [u8; 8], bytes: &[u8], file: u64) -> Result<Self, SnapshotError> {
        if bytes.len() > max_part() {
            return Err(SnapshotError::TooLarge);
        }
        Ok(Self {
            magic,
            length: bytes.len(),
            checksum: XxHash3_64::oneshot(bytes),
            file,
        })
    }

    fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let length = u32::try_from(self.length).unwrap_or(u32::MAX);
        let fields = self
            .magic
            .into_iter()
            .chain(VERSION.to_le_bytes())
            .chain(length.to_le_bytes())
            .chain(self.checksum.to_le_bytes())
            .chain(self.file.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }

    fn parse(bytes: &[u8], magic: [u8; 8]) -> Result<Option<Self>, SnapshotError> {
        let Some(header) = bytes.get(..HEADER).filter(|h| h.starts_with(&magic)) else {
            return Ok(None);
        };
        let [version, length] = [8, 12].map(|at| number::<4>(header, at).map(u32::from_le_bytes));
        let [checksum, file] = [16, 24].map(|at| number::<8>(header, at).map(u64::from_le_bytes));
        let version = version.unwrap_or_default();
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        let length = usize::try_from(length.unwrap_or_default()).unwrap_or(usize::MAX);
        if length > max_part() {
            return Err(SnapshotError::Corrupt("a part is longer than any"));
        }
        Ok(Some(Self {
            magic,
            length,
            checksum: checksum.unwrap_or_default(),
            file: file.unwrap_or_default(),
        }))
    }
}

fn max_part() -> usize {
    let part = usize::try_from(WORKING_SET_AT).unwrap_or(usize::MAX);
    part.saturating_sub(HEADER)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests;
