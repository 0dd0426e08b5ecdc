// SPDX-License-Identifier: Apache-2.0
//! Guest memory in a snapshot's file: regions one after the other, zero pages as holes.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use vm_memory::{Bytes, GuestMemoryBackend, GuestMemoryRegion, GuestRegionMmap, MemoryRegionAddress};

use crate::arch::x86_64::layout;
use crate::memory::{GuestMemory, MemoryError, map_file};

const PAGE: usize = layout::PAGE as usize;
/// Written in one system call at most.
const RUN: usize = 64 * PAGE;
/// A page of this process exists (`Documentation/admin-guide/mm/pagemap.rst`): present, swapped.
const EXISTS: u64 = 1 << 63 | 1 << 62;

/// Writes what is not zero.
pub(super) fn write(file: &File, memory: &GuestMemory, mut at: u64) -> io::Result<()> {
    let mut pages = Pages::open();
    for region in memory.iter() {
        write_region(file, region, at, &mut pages)?;
        at = at.saturating_add(region.len());
    }
    Ok(())
}

/// Lays the regions over `memory`.
pub(super) fn map(file: &File, memory: &GuestMemory, mut at: u64) -> Result<(), MemoryError> {
    for region in memory.iter() {
        map_file(memory, region.start_addr().0, file, (at, region.len()))?;
        at = at.saturating_add(region.len());
    }
    Ok(())
}

fn write_region(
    file: &File,
    region: &GuestRegionMmap<()>,
    at: u64,
    pages: &mut Pages,
) -> io::Result<()> {
    let mut run = vec![0; RUN];
    let start = region.as_ptr().addr();
    let mut offset = 0_usize;
    let length = usize::try_from(region.len()).unwrap_or(0);
    while offset < length {
        let wanted = RUN.min(length.saturating_sub(offset));
        let buffer = run.get_mut(..wanted).unwrap_or_default();
        if pages.any(start.saturating_add(offset), wanted) {
            let from = MemoryRegionAddress(offset as u64);
            region.read_slice(buffer, from).map_err(io::Error::other)?;
            write_run(file, buffer, at.saturating_add(offset as u64))?;
        }
        offset = offset.saturating_add(wanted);
    }
    Ok(())
}

/// Writes the stretches of pages that are not zero.
fn write_run(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    let full: Vec<bool> = bytes.chunks(PAGE).map(|page| page.iter().any(|b| *b != 0)).collect();
    let mut page = 0_usize;
    for stretch in full.chunk_by(|a, b| a == b) {
        let from = page.saturating_mul(PAGE);
        page = page.saturating_add(stretch.len());
        let to = page.saturating_mul(PAGE).min(bytes.len());
        if stretch.first() == Some(&true) {
            let bytes = bytes.get(from..to).unwrap_or_default();
            file.write_all_at(bytes, at.saturating_add(from as u64))?;
        }
    }
    Ok(())
}

/// Which pages of this process exist. Reading one that does not would make it.
struct Pages {
    /// Absent where there is no proc: then all are taken to exist.
    map: Option<File>,
    entries: Vec<u8>,
}

impl Pages {
    fn open() -> Self {
        Self {
            map: File::open("/proc/self/pagemap").ok(),
            entries: Vec::new(),
        }
    }

    fn any(&mut self, address: usize, length: usize) -> bool {
        let Some(map) = &self.map else { return true };
        self.entries.resize(length.div_ceil(PAGE).saturating_mul(8), 0);
        let at = (address / PAGE).saturating_mul(8) as u64;
        if map.read_exact_at(&mut self.entries, at).is_err() {
            return true;
        }
        let entries = self.entries.chunks_exact(8);
        let entries = entries.filter_map(|entry| entry.first_chunk().copied());
        entries.map(u64::from_le_bytes).any(|entry| entry & EXISTS != 0)
    }
}
