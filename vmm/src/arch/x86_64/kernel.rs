// SPDX-License-Identifier: Apache-2.0
//! The kernel's ELF file: what of it goes where, and putting it there.
//!
//! `vmlinux` is linked for the upper half of the address space; its physical addresses and its
//! entry point say where it expects to lie. [`parse`] is pure and believes nothing: every sum is
//! checked, every segment lies within the file and within memory, none overlaps another. What it
//! returns can be loaded.
//!
//! [`load`] maps the file's pages rather than copying them, wherever a segment is only read and
//! file offset and guest address agree modulo the page size. Guests then share these pages with
//! each other and with the page cache, as long as nobody writes to them: why the command line
//! says `noreplace-smp`. Pages at a segment's edges that hold something else in the file are
//! copied, so that what follows a segment is zero, as the kernel's `.bss` must be.
//!
//! A writable segment is copied whole. The kernel writes to nearly all of it while it boots (its
//! initial part is overwritten before it is freed), so nothing of it would stay shared, and each
//! page would cost two faults and the same copy; copied, it may lie in a large page, which is one.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::layout;
use crate::memory::{GuestMemory, MemoryError, map_file};

/// Most program headers; Linux has five. Bounds the walk of a hostile file.
const MAX_HEADERS: u64 = 64;
/// Sizes of the ELF header and of a program header (ELF-64 Object File Format 1.5, §3 and §7).
const ELF_HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
/// `p_type` of a segment that is loaded.
const PT_LOAD: u32 = 1;
/// `p_flags` of a segment that may be written to.
const PF_W: u32 = 2;
/// `e_machine` of x86-64.
const EM_X86_64: u16 = 62;
/// What is copied is copied in pieces of this many bytes.
const CHUNK: usize = 64 * 1024;

/// Why a file is not a kernel this VMM can start.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No ELF header.
    #[error("the kernel is not an ELF file; it must be the uncompressed vmlinux, not a bzImage")]
    NotElf,
    /// An ELF file for some other machine.
    #[error("the kernel is not a 64-bit x86-64 ELF executable")]
    NotX86_64,
    /// An x86-64 program, but not a kernel.
    #[error("the ELF file is not a Linux kernel: its entry point lies in no kernel segment")]
    NotKernel,
    /// The file ends before what its headers name.
    #[error("the kernel is truncated: its headers name bytes beyond the end of the file")]
    Truncated,
    /// Headers that contradict themselves.
    #[error("the kernel's ELF headers are corrupt: {0}")]
    Corrupt(&'static str),
    /// A segment over the boot structures or where kernels cannot be mapped.
    #[error("the kernel wants to lie at {start:#x}..{end:#x}, outside {least:#x}..{most:#x}")]
    Place {
        /// First address.
        start: u64,
        /// Address after the last.
        end: u64,
        /// Lowest possible.
        least: u64,
        /// Highest possible end.
        most: u64,
    },
    /// The guest is too small.
    #[error("the kernel needs {needed} MiB of memory to be loaded, the guest has {given} MiB")]
    Memory {
        /// MiB to the kernel's end.
        needed: u64,
        /// MiB the guest has below 4 GiB.
        given: u64,
    },
    /// The file cannot be read.
    #[error("the kernel could not be read")]
    Read(#[source] io::Error),
    /// The file cannot be mapped.
    #[error("the kernel could not be mapped")]
    Map(#[from] MemoryError),
    /// Guest memory does not take a copied part.
    #[error("the kernel could not be copied into guest memory")]
    Copy(#[from] GuestMemoryError),
}

/// A piece of the file and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    /// Guest physical address.
    address: u64,
    /// Where in the file.
    offset: u64,
    /// Bytes from the file; zeroes follow up to the segment's length in memory.
    length: u64,
    /// The guest may write to it.
    writable: bool,
}

/// A kernel that fits its file and the guest.
#[derive(Debug, PartialEq, Eq)]
struct Kernel {
    /// Guest physical address of the first instruction.
    entry: u64,
    segments: Vec<Segment>,
}

/// Puts the kernel into fresh memory and returns its entry point.
///
/// `memory_end` is where memory ends, below 4 GiB.
pub(crate) fn load(file: &File, memory: &GuestMemory, memory_end: u64) -> Result<u64, KernelError> {
    let length = file.metadata().map_err(KernelError::Read)?.len();
    // The headers come first in every vmlinux: one read for both. A short file ends early.
    let mut start = [0; 1024];
    let count = file.read_at(&mut start, 0).map_err(KernelError::Read)?;
    let start = start.get(..count).unwrap_or_default();
    let table = program_headers(start)?;
    let mut elsewhere = Vec::new();
    let headers = match range(start, table) {
        Some(headers) => headers,
        None => {
            elsewhere.resize(usize::try_from(table.1).unwrap_or_default(), 0);
            read(file, &mut elsewhere, table.0)?;
            &elsewhere
        }
    };
    let kernel = parse(start, headers, length, memory_end)?;
    for segment in &kernel.segments {
        place(file, memory, *segment)?;
    }
    Ok(kernel.entry)
}

/// Offset and length of the program headers, at most [`MAX_HEADERS`] of them.
fn program_headers(start: &[u8]) -> Result<(u64, u64), KernelError> {
    let magic = start.get(..4).ok_or(KernelError::NotElf)?;
    if magic != b"\x7fELF" {
        return Err(KernelError::NotElf);
    }
    let header = start.get(..ELF_HEADER).ok_or(KernelError::Truncated)?;
    // Class 64-bit, little endian; executable; x86-64.
    let ident = (header.get(4), header.get(5));
    if ident != (Some(&2), Some(&1)) || half(header, 16) != 2 || half(header, 18) != EM_X86_64 {
        return Err(KernelError::NotX86_64);
    }
    let (size, count) = (half(header, 54), u64::from(half(header, 56)));
    if usize::from(size) != PROGRAM_HEADER {
        return Err(KernelError::Corrupt("program headers of an unknown size"));
    }
    if count == 0 || count > MAX_HEADERS {
        return Err(KernelError::Corrupt("none or too many program headers"));
    }
    Ok((long(header, 32), count.saturating_mul(u64::from(size))))
}

/// Reads the segments out of the ELF header and the program headers. Pure.
fn parse(
    header: &[u8],
    headers: &[u8],
    file_length: u64,
    memory_end: u64,
) -> Result<Kernel, KernelError> {
    let entry = long(header, 24);
    let mut segments = Vec::new();
    let mut taken: Vec<(u64, u64)> = Vec::new();
    let mut entered = false;
    for header in headers.chunks_exact(PROGRAM_HEADER) {
        let (offset, length, in_memory) = (long(header, 8), long(header, 32), long(header, 40));
        if word(header, 0) != PT_LOAD || in_memory == 0 {
            continue;
        }
        let (linked, address) = (long(header, 16), long(header, 24));
        if length > in_memory {
            return Err(KernelError::Corrupt(
                "a segment longer in the file than in memory",
            ));
        }
        let file_end = offset.checked_add(length).ok_or(KernelError::Truncated)?;
        if file_end > file_length {
            return Err(KernelError::Truncated);
        }
        let end = fits(address, in_memory, memory_end)?;
        if taken
            .iter()
            .any(|(start, after)| address < *after && *start < end)
        {
            return Err(KernelError::Corrupt("segments that overlap"));
        }
        taken.push((address, end));
        // Kernels are linked for the upper half, programs for the lower one.
        let code_end = address.saturating_add(length);
        entered |= linked >> 63 == 1 && (address..code_end).contains(&entry);
        segments.push(Segment {
            address,
            offset,
            length,
            writable: word(header, 4) & PF_W != 0,
        });
    }
    if !entered {
        return Err(KernelError::NotKernel);
    }
    Ok(Kernel { entry, segments })
}

/// The end of a segment, if kernels may lie there and the guest has memory there.
fn fits(start: u64, length: u64, memory_end: u64) -> Result<u64, KernelError> {
    let end = start.saturating_add(length);
    let (least, most) = (layout::HIGH_MEMORY, layout::IDENTITY_MAPPED);
    if start < least || end > most {
        return Err(KernelError::Place {
            start,
            end,
            least,
            most,
        });
    }
    if end > memory_end {
        return Err(KernelError::Memory {
            needed: end.div_ceil(1 << 20),
            given: memory_end >> 20,
        });
    }
    Ok(end)
}

/// Maps the whole pages of a segment that is only read, and copies what is left.
fn place(file: &File, memory: &GuestMemory, segment: Segment) -> Result<(), KernelError> {
    let Segment {
        address,
        offset,
        length,
        writable,
    } = segment;
    let end = address.saturating_add(length);
    let first = address.next_multiple_of(layout::PAGE);
    let last = end & !(layout::PAGE - 1);
    let congruent = address % layout::PAGE == offset % layout::PAGE;
    if writable || !congruent || last <= first {
        return copy(file, memory, segment);
    }
    let head = first.saturating_sub(address);
    let pages = last.saturating_sub(first);
    let from = offset.saturating_add(head);
    copy(
        file,
        memory,
        Segment {
            length: head,
            ..segment
        },
    )?;
    map_file(memory, first, file, (from, pages))?;
    copy(
        file,
        memory,
        Segment {
            address: last,
            offset: from.saturating_add(pages),
            length: end.saturating_sub(last),
            ..segment
        },
    )
}

fn copy(file: &File, memory: &GuestMemory, segment: Segment) -> Result<(), KernelError> {
    let mut piece = Vec::new();
    let mut done = 0;
    while done < segment.length {
        let left = segment.length.saturating_sub(done);
        piece.resize(usize::try_from(left).unwrap_or(CHUNK).min(CHUNK), 0);
        read(file, &mut piece, segment.offset.saturating_add(done))?;
        memory.write_slice(&piece, GuestAddress(segment.address.saturating_add(done)))?;
        done = done.saturating_add(u64::try_from(piece.len()).unwrap_or(left));
    }
    Ok(())
}

fn read(file: &File, bytes: &mut [u8], offset: u64) -> Result<(), KernelError> {
    file.read_exact_at(bytes, offset)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => KernelError::Truncated,
            _ => KernelError::Read(error),
        })
}

fn range(bytes: &[u8], (offset, length): (u64, u64)) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)
}

/// Little-endian numbers of headers whose length was checked; zero beyond.
fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(number(bytes, at))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(number(bytes, at))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(number(bytes, at))
}

#[cfg(test)]
mod tests;
