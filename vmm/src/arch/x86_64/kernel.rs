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
//! What lies in a large page with something writable is copied: the kernel writes to nearly all of
//! its writable parts while it boots, so nothing of them would stay shared, and each page would
//! cost two faults and the same copy. Copied, all of it lies in a large page, which is one fault.
//! The guest kernel's build counts on it (`images/kernel`): the code that a boot runs is marked
//! writable, since the kernel patches it, and lies in one large page with the data; the rest of
//! its code, and what is only read, is mapped.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::layout;
use crate::memory::{GuestMemory, LARGE_PAGE, MemoryError, map_file, read_file};

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
    /// The file cannot be mapped, or read into guest memory.
    #[error("the kernel could not be put into guest memory")]
    Map(#[from] MemoryError),
}

/// A piece of the file and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    /// Guest physical address.
    address: u64,
    /// Where in the file.
    offset: u64,
    /// Bytes from the file; zeroes follow up to `end`.
    length: u64,
    /// Where it ends in memory.
    end: u64,
    /// The guest may write to it.
    writable: bool,
}

impl Segment {
    /// The part from `start` to `end`, addresses within what comes from the file.
    fn part(self, start: u64, end: u64) -> Self {
        Self {
            address: start,
            offset: self
                .offset
                .saturating_add(start.saturating_sub(self.address)),
            length: end.saturating_sub(start),
            ..self
        }
    }

    /// The large pages it lies in.
    fn large_pages(self) -> std::ops::Range<u64> {
        self.address / LARGE_PAGE..self.end.div_ceil(LARGE_PAGE)
    }
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
        place(file, memory, *segment, &kernel.segments)?;
    }
    Ok(kernel.entry)
}

/// Copies of a segment what lies in a large page with something writable, and maps the rest.
fn place(
    file: &File,
    memory: &GuestMemory,
    segment: Segment,
    all: &[Segment],
) -> Result<(), KernelError> {
    let written = |page: u64| {
        let mut writable = all.iter().filter(|other| other.writable);
        writable.any(|other| other.large_pages().contains(&page))
    };
    let end = segment.address.saturating_add(segment.length);
    let mut start = segment.address;
    while start < end {
        let page = start / LARGE_PAGE;
        // As far as it is the same: few mappings and reads.
        let after = (page..)
            .find(|next| written(*next) != written(page) || next.saturating_mul(LARGE_PAGE) >= end)
            .map_or(end, |next| next.saturating_mul(LARGE_PAGE).min(end));
        let part = segment.part(start, after);
        if written(page) {
            copy(file, memory, part)?;
        } else {
            map(file, memory, part)?;
        }
        start = after;
    }
    Ok(())
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
            end,
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

/// Maps the whole pages of a part that is only read, and copies what is left.
fn map(file: &File, memory: &GuestMemory, part: Segment) -> Result<(), KernelError> {
    let (start, end) = (part.address, part.address.saturating_add(part.length));
    let first = start.next_multiple_of(layout::PAGE);
    let last = end & !(layout::PAGE - 1);
    let congruent = start % layout::PAGE == part.offset % layout::PAGE;
    if !congruent || last <= first {
        return copy(file, memory, part);
    }
    let pages = part.part(first, last);
    copy(file, memory, part.part(start, first))?;
    map_file(memory, first, file, (pages.offset, pages.length))?;
    copy(file, memory, part.part(last, end))
}

fn copy(file: &File, memory: &GuestMemory, part: Segment) -> Result<(), KernelError> {
    if part.length == 0 {
        return Ok(());
    }
    read_file(memory, part.address, file, (part.offset, part.length)).map_err(|error| match error {
        MemoryError::File(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
            KernelError::Truncated
        }
        other => KernelError::Map(other),
    })
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
