// SPDX-License-Identifier: Apache-2.0
//! Guest memory in a snapshot's file: regions one after the other, zero pages as holes.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use vm_memory::{
    Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion, GuestRegionMmap,
    MemoryRegionAddress,
};

use super::state::Extent;
use crate::arch::x86_64::layout;
use crate::memory::{self, GuestMemory, MemoryError, map_file};

const PAGE: usize = 4096;
const _: () = assert!(PAGE as u64 == layout::PAGE);
/// Written in one system call at most.
const RUN: usize = 64 * PAGE;
const RUN_PAGES: u64 = 64;
/// What the kernel is asked about at once where there may be nothing: most of a large guest.
const STRIDE: usize = 32 * RUN;
/// Extents with fewer pages than this between them are mapped as one: each is a mapping of the
/// host's, and the pages between them cost nothing unless they are used.
const GAP: u64 = 64;
/// Extents that are mapped at most where a guest goes on from them: each is two mappings or so of
/// the 65530 that a process may have (`vm.max_map_count`).
const MOST_EXTENTS: usize = 16_384;
/// Flags of a page of this process (`Documentation/admin-guide/mm/pagemap.rst`): present, swapped
/// out, of a file.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_A_FILE: u64 = 1 << 61;

/// Writes what is not zero; where there is something.
pub(super) fn write(file: &File, memory: &GuestMemory, at: u64) -> io::Result<Vec<Extent>> {
    let mut writer = Writer {
        file,
        at,
        pages: Pages::open(),
        written: Vec::new(),
    };
    let mut first = 0;
    for region in memory.iter() {
        writer.region(region, first)?;
        first = end_of(region, first);
    }
    Ok(joined(&writer.written, GAP))
}

/// The page after a region's last, in the count of [`Extent`].
fn end_of(region: &GuestRegionMmap<()>, first: u64) -> u64 {
    first.saturating_add(region.len() / layout::PAGE)
}

/// Lays the extents over `memory`.
pub(super) fn map(
    file: &File,
    memory: &GuestMemory,
    at: u64,
    extents: &[Extent],
) -> Result<(), MemoryError> {
    in_guest(memory, extents, |address, first, length| {
        let offset = first.saturating_mul(layout::PAGE).saturating_add(at);
        map_file(memory, address, file, (offset, length))
    })
}

/// Gives the guest pages of its own at once, which would else be copied one by one while it runs.
/// A host that cannot (a kernel before 5.14, memory that is short) leaves it at that.
pub(super) fn populate(memory: &GuestMemory, extents: &[Extent]) {
    let done = in_guest(memory, extents, |address, _, length| {
        memory::populate(memory, address, length)
    });
    if let Err(error) = done {
        log::info!("the working set is not populated: {error}");
    }
}

/// Calls `act` with the guest address, the first page and the bytes of each extent, cut where a
/// region ends.
fn in_guest<E>(
    memory: &GuestMemory,
    extents: &[Extent],
    mut act: impl FnMut(u64, u64, u64) -> Result<(), E>,
) -> Result<(), E> {
    let mut begin = 0;
    for region in memory.iter() {
        let end = end_of(region, begin);
        for extent in extents {
            let first = extent.first.max(begin);
            let last = extent.first.saturating_add(extent.count).min(end);
            if first < last {
                let bytes = |pages: u64| pages.saturating_mul(layout::PAGE);
                let into = bytes(first.saturating_sub(begin));
                let address = region.start_addr().0.saturating_add(into);
                act(address, first, bytes(last.saturating_sub(first)))?;
            }
        }
        begin = end;
    }
    Ok(())
}

/// The pages that are this guest's own since the memory was mapped from a snapshot.
pub(super) fn own(memory: &GuestMemory) -> Vec<Extent> {
    let mut pages = Pages::open();
    let mut own = Vec::new();
    let mut begin: u64 = 0;
    for region in memory.iter() {
        let mut address = region.as_ptr().addr();
        let (mut first, end) = (begin, end_of(region, begin));
        while first < end {
            let count = end.saturating_sub(first).min(RUN_PAGES);
            let flags = pages.read(address, usize::try_from(count).unwrap_or(0));
            for (first, flags) in (first..).zip(flags.into_iter().flatten()) {
                if flags & (PRESENT | SWAPPED) != 0 && flags & OF_A_FILE == 0 {
                    own.push(Extent { first, count: 1 });
                }
            }
            first = first.saturating_add(count);
            address = address.saturating_add(RUN);
        }
        begin = end;
    }
    joined(&own, 1)
}

/// Copies a guest's own pages to a file, each to where it is in guest memory, and some that lie
/// between them.
pub(super) fn copy(file: &File, memory: &GuestMemory) -> io::Result<Vec<Extent>> {
    let own = own(memory);
    let mut gap = GAP;
    let mut extents = joined(&own, gap);
    while extents.len() > MOST_EXTENTS {
        gap = gap.saturating_mul(2);
        extents = joined(&own, gap);
    }
    let mut run = vec![0; RUN];
    let copied = in_guest(memory, &extents, |address, first, length| {
        let mut done: u64 = 0;
        while done < length {
            let wanted = length.saturating_sub(done).min(RUN as u64);
            let wanted = usize::try_from(wanted).unwrap_or(RUN);
            let buffer = run.get_mut(..wanted).unwrap_or_default();
            let from = GuestAddress(address.saturating_add(done));
            memory.read_slice(buffer, from).map_err(io::Error::other)?;
            let at = first.saturating_mul(layout::PAGE).saturating_add(done);
            file.write_all_at(buffer, at)?;
            done = done.saturating_add(wanted as u64);
        }
        Ok(())
    });
    copied.map(|()| extents)
}

/// The pages of `all` that are not in `some`; both are in order.
pub(super) fn without(all: &[Extent], some: &[Extent]) -> Vec<Extent> {
    let mut left = Vec::new();
    for extent in all {
        let end = extent.first.saturating_add(extent.count);
        let mut first = extent.first;
        for gone in some {
            let gone_end = gone.first.saturating_add(gone.count);
            if gone_end <= first || gone.first >= end {
                continue;
            }
            if gone.first > first {
                let count = gone.first.saturating_sub(first);
                left.push(Extent { first, count });
            }
            first = gone_end.min(end);
        }
        if first < end {
            let count = end.saturating_sub(first);
            left.push(Extent { first, count });
        }
    }
    left
}

/// Extents in order, with those joined that have fewer than `gap` pages between them.
pub(super) fn joined(extents: &[Extent], gap: u64) -> Vec<Extent> {
    let mut joined: Vec<Extent> = Vec::new();
    for extent in extents {
        match joined.last_mut() {
            Some(last)
                if extent.first < last.first.saturating_add(last.count).saturating_add(gap) =>
            {
                let end = extent.first.saturating_add(extent.count);
                last.count = end.saturating_sub(last.first);
            }
            _ => joined.push(*extent),
        }
    }
    joined
}

struct Writer<'a> {
    file: &'a File,
    /// Where memory begins.
    at: u64,
    pages: Pages,
    written: Vec<Extent>,
}

impl Writer<'_> {
    fn region(&mut self, region: &GuestRegionMmap<()>, first: u64) -> io::Result<()> {
        let mut run = vec![0; RUN];
        let start = region.as_ptr().addr();
        let mut offset = 0_usize;
        let length = usize::try_from(region.len()).unwrap_or(0);
        while offset < length {
            let left = length.saturating_sub(offset);
            let stride = STRIDE.min(left);
            let begins = offset.is_multiple_of(STRIDE);
            if begins && !self.pages.hold(start.saturating_add(offset), stride) {
                offset = offset.saturating_add(stride);
                continue;
            }
            let wanted = RUN.min(left);
            let buffer = run.get_mut(..wanted).unwrap_or_default();
            if self.pages.hold(start.saturating_add(offset), wanted) {
                let from = MemoryRegionAddress(offset as u64);
                region.read_slice(buffer, from).map_err(io::Error::other)?;
                let page = offset as u64 / layout::PAGE;
                self.run(buffer, first.saturating_add(page))?;
            }
            offset = offset.saturating_add(wanted);
        }
        Ok(())
    }

    /// Writes the stretches of pages that are not zero.
    fn run(&mut self, bytes: &[u8], mut first: u64) -> io::Result<()> {
        let pages = bytes.chunks(PAGE);
        let full: Vec<bool> = pages.map(|page| !is_zero(page)).collect();
        let mut from = 0_usize;
        for stretch in full.chunk_by(|a, b| a == b) {
            let count = stretch.len() as u64;
            let to = stretch.len().saturating_mul(PAGE).saturating_add(from);
            if stretch.first() == Some(&true) {
                let bytes = bytes.get(from..to.min(bytes.len())).unwrap_or_default();
                let offset = first.saturating_mul(layout::PAGE).saturating_add(self.at);
                self.file.write_all_at(bytes, offset)?;
                self.written.push(Extent { first, count });
            }
            first = first.saturating_add(count);
            from = to;
        }
        Ok(())
    }
}

/// Whether a page holds nothing but zeros. In chunks that the compiler makes vectors of: byte by
/// byte it took longer than writing the page.
fn is_zero(page: &[u8]) -> bool {
    let mut chunks = page.chunks(64);
    chunks.all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
}

/// What the kernel says of this process's pages. Reading one that does not exist would make it.
struct Pages {
    /// Absent where there is no proc: then all are taken to exist.
    map: Option<File>,
    /// Where files are mapped: a page that nobody has touched holds what the file does, though
    /// it does not exist yet.
    files: Vec<std::ops::Range<usize>>,
    entries: Vec<u8>,
}

impl Pages {
    fn open() -> Self {
        let maps = std::fs::read_to_string("/proc/self/maps").ok();
        let map = maps
            .as_ref()
            .and_then(|_| File::open("/proc/self/pagemap").ok());
        let files = maps
            .iter()
            .flat_map(|maps| maps.lines())
            .filter_map(of_a_file);
        Self {
            map,
            files: files.collect(),
            entries: Vec::new(),
        }
    }

    /// Whether one of the pages from `address` on may hold something.
    fn hold(&mut self, address: usize, length: usize) -> bool {
        let end = address.saturating_add(length);
        let overlaps = |file: &std::ops::Range<usize>| file.start < end && address < file.end;
        if self.files.iter().any(overlaps) {
            return true;
        }
        match self.read(address, length.div_ceil(PAGE)) {
            None => true,
            Some(mut flags) => flags.any(|flags| flags & (PRESENT | SWAPPED) != 0),
        }
    }

    /// The flags of `count` pages from `address` on.
    fn read(&mut self, address: usize, count: usize) -> Option<impl Iterator<Item = u64>> {
        let map = self.map.as_ref()?;
        self.entries.resize(count.saturating_mul(8), 0);
        let at = (address / PAGE).saturating_mul(8) as u64;
        map.read_exact_at(&mut self.entries, at).ok()?;
        let entries = self.entries.chunks_exact(8);
        let entries = entries.filter_map(|entry| entry.first_chunk().copied());
        Some(entries.map(u64::from_le_bytes))
    }
}

/// The addresses of a line of proc(5)'s maps that is about a file:
/// `7f00-7f10 rw-p 00200000 08:01 1234 /path`, with inode 0 for memory without one.
fn of_a_file(line: &str) -> Option<std::ops::Range<usize>> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let inode = words.nth(3)?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    (inode != "0").then_some(number(start)?..number(end)?)
}
