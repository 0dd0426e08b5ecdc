// SPDX-License-Identifier: Apache-2.0
//! Guest memory: anonymous pages, and file pages laid over them. The only place that maps memory.
//!
//! Nothing is reserved and nothing is touched: a page exists once someone uses it. The mappings
//! are never undone. One process is one guest, and its end takes everything at once, which is
//! cheaper for KVM than memory that goes piece by piece under a machine that still stands.
//!
//! Large pages are the host's choice (`/sys/kernel/mm/transparent_hugepage/enabled`; with
//! `always` a boot takes some 17 million instructions less than with `never`). They are not asked
//! for by `madvise`: on a host short of them a boot would wait for compaction.
#![expect(unsafe_code, reason = "maps guest memory")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::mm::{MapFlags, ProtFlags};
use vm_memory::mmap::MmapRegionError;
use vm_memory::{
    GuestAddress, GuestMemoryBackend, GuestMemoryError, GuestRegionCollectionError,
    GuestRegionMmap, MmapRegion,
};

use crate::arch::x86_64::layout;

/// The guest's physical memory. Cheap to clone: the regions are shared.
pub type GuestMemory = vm_memory::GuestMemoryMmap<()>;

/// What one entry of a page directory maps.
pub(crate) const LARGE_PAGE: u64 = 2 << 20;

/// Regions begin at a multiple of a large page, in the guest as in this process, so that KVM can
/// use large pages where the host has them.
const ALIGNMENT: usize = 2 << 20;

/// Why guest memory could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The host refused.
    #[error("the host gave no address space for {length} bytes of guest memory")]
    Map {
        /// Bytes asked for.
        length: u64,
        /// What the host said.
        #[source]
        source: io::Error,
    },
    /// vm-memory does not take the mapping.
    #[error("a mapping cannot be guest memory")]
    Region(#[from] MmapRegionError),
    /// vm-memory does not take the regions.
    #[error("the regions cannot be guest memory")]
    Regions(#[from] GuestRegionCollectionError),
    /// Not within one region, or not whole pages.
    #[error("{length} bytes at guest address {address:#x} cannot be mapped from a file")]
    Range {
        /// Where in the guest.
        address: u64,
        /// How many bytes.
        length: u64,
        /// What vm-memory said about the range, if that was it.
        #[source]
        source: Option<GuestMemoryError>,
    },
    /// Pages cannot be made.
    #[error("the host does not populate guest memory")]
    Populate(#[source] io::Error),
    /// The file cannot be mapped or read.
    #[error("a file could not be brought into guest memory; is it a regular file?")]
    File(#[source] io::Error),
}

/// `bytes` of guest memory, all zero, in the ranges of [`layout::memory_ranges`].
pub(crate) fn allocate(bytes: u64) -> Result<GuestMemory, MemoryError> {
    let regions = layout::memory_ranges(bytes)
        .map(|(address, length)| region(address, length))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(GuestMemory::from_regions(regions)?)
}

fn region(address: u64, length: u64) -> Result<GuestRegionMmap<()>, MemoryError> {
    let refused = |source| MemoryError::Map { length, source };
    let out_of_range = || refused(io::ErrorKind::OutOfMemory.into());
    let size = usize::try_from(length).map_err(|_| out_of_range())?;
    let reserved = size.checked_add(ALIGNMENT).ok_or_else(out_of_range)?;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: a fixed address must not be one in use; none is given, so the kernel chooses a
    // free range that no Rust object lives in.
    let mapped =
        unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), reserved, protection, flags) }
            .map_err(|error| refused(error.into()))?;
    let start = mapped.cast::<u8>();
    // At most ALIGNMENT - 1, so `size` bytes from there stay inside the mapping.
    let start = start.wrapping_add(start.align_offset(ALIGNMENT));
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: `start` and `size` must lie within a valid mapping: they lie within the one just
    // made, by the arithmetic above, and it is never undone.
    let mapping =
        unsafe { MmapRegion::build_raw(start, size, libc::PROT_READ | libc::PROT_WRITE, flags) }?;
    if address == 0 {
        small_pages(start, size.min(ALIGNMENT));
    }
    GuestRegionMmap::new(mapping, GuestAddress(address)).ok_or_else(out_of_range)
}

/// Keeps the start of memory out of large pages: a guest uses some 20 pages of it, and the boot
/// structures would be the first to have a whole one made and cleared. A host without large pages
/// refuses, which is as good.
fn small_pages(start: *mut u8, length: usize) {
    // SAFETY: the range must be mapped: it is the start of the mapping just made. The advice
    // changes how the host keeps it, not what it holds.
    unsafe { libc::madvise(start.cast(), length, libc::MADV_NOHUGEPAGE) };
}

/// Lays `length` bytes of `file` from `offset` over guest memory at `address`: whole pages,
/// private to this guest once it writes to them.
///
/// The file must not change while the guest lives: a page the guest has not written follows its
/// file, and one past a shortened file's end is a fatal signal. That is the store's promise.
pub(crate) fn map_file(
    memory: &GuestMemory,
    address: u64,
    file: &File,
    (offset, length): (u64, u64),
) -> Result<(), MemoryError> {
    let bad_range = |source| MemoryError::Range {
        address,
        length,
        source,
    };
    let size = usize::try_from(length).map_err(|_| bad_range(None))?;
    if [address, offset, length]
        .iter()
        .any(|n| n % layout::PAGE != 0)
        || length == 0
    {
        return Err(bad_range(None));
    }
    // Within one region, or an error.
    let slice = memory
        .get_slice(GuestAddress(address), size)
        .map_err(|error| bad_range(Some(error)))?;
    let start = slice.ptr_guard_mut().as_ptr().cast();
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    // SAFETY: what MAP_FIXED replaces must not be in use by anyone who does not expect it: it is
    // guest memory, by the slice just taken, which this process reaches only through vm-memory's
    // volatile accesses, and it stays mapped readable and writable throughout.
    unsafe { rustix::mm::mmap(start, size, protection, flags, file.as_fd(), offset) }
        .map(drop)
        .map_err(|error| MemoryError::File(error.into()))
}

/// Makes the pages of guest memory exist from `address` on, as a write to each would: a page of a
/// file becomes this guest's own.
pub(crate) fn populate(memory: &GuestMemory, address: u64, length: u64) -> Result<(), MemoryError> {
    let bad_range = |source| MemoryError::Range {
        address,
        length,
        source,
    };
    let size = usize::try_from(length).map_err(|_| bad_range(None))?;
    let slice = memory
        .get_slice(GuestAddress(address), size)
        .map_err(|error| bad_range(Some(error)))?;
    let start = slice.ptr_guard_mut().as_ptr().cast();
    // SAFETY: the range must be mapped: it is guest memory, by the slice just taken. The advice
    // leaves what the pages hold as it is.
    match unsafe { libc::madvise(start, size, libc::MADV_POPULATE_WRITE) } {
        0 => Ok(()),
        _ => Err(MemoryError::Populate(io::Error::last_os_error())),
    }
}

/// Reads `length` bytes of `file` from `offset` into guest memory at `address`, with no buffer
/// between them.
pub(crate) fn read_file(
    memory: &GuestMemory,
    address: u64,
    file: &File,
    (offset, length): (u64, u64),
) -> Result<(), MemoryError> {
    let bad_range = |source| MemoryError::Range {
        address,
        length,
        source,
    };
    let size = usize::try_from(length).map_err(|_| bad_range(None))?;
    let slice = memory
        .get_slice(GuestAddress(address), size)
        .map_err(|error| bad_range(Some(error)))?;
    let mut done = 0;
    while done < size {
        let rest = slice
            .offset(done)
            .map_err(|error| bad_range(Some(error.into())))?;
        let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        let at = i64::try_from(at).map_err(|_| bad_range(None))?;
        let into = rest.ptr_guard_mut();
        // SAFETY: the buffer must be valid for writes of its length, and no Rust reference may
        // expect it unchanged: it is guest memory, by the slice just taken, which this process
        // reaches only through vm-memory's volatile accesses.
        let count = unsafe { libc::pread(file.as_raw_fd(), into.as_ptr().cast(), rest.len(), at) };
        match usize::try_from(count) {
            Ok(0) => return Err(MemoryError::File(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => done = done.saturating_add(count),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(MemoryError::File(error)),
            },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use vm_memory::{Bytes, GuestMemoryRegion};

    #[test]
    fn memory_around_the_hole_is_two_aligned_regions() {
        let memory = allocate(5 << 30).unwrap();
        let regions: Vec<_> = memory.iter().map(|r| (r.start_addr().0, r.len())).collect();
        assert_eq!(
            regions,
            [(0, 0xd000_0000), (1 << 32, (5 << 30) - 0xd000_0000)]
        );
        assert!(
            memory
                .iter()
                .all(|r| r.as_ptr().align_offset(ALIGNMENT) == 0)
        );
    }

    #[test]
    fn file_pages_are_read_from_the_file_and_written_privately() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 8192]).unwrap();
        let memory = allocate(48 << 20).unwrap();
        map_file(&memory, 0x20_0000, &file, (4096, 4096)).unwrap();
        let read = |at: u64| memory.read_obj::<u8>(GuestAddress(at)).unwrap();
        assert_eq!((read(0x1f_ffff), read(0x20_0000)), (0, 7));
        assert_eq!((read(0x20_0fff), read(0x20_1000)), (7, 0));
        memory.write_obj(9u8, GuestAddress(0x20_0000)).unwrap();
        let mut on_disk = [0; 1];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut on_disk, 4096).unwrap();
        assert_eq!(on_disk, [7]);
    }

    #[test]
    fn ranges_outside_memory_and_parts_of_pages_are_refused() {
        let file = tempfile::tempfile().unwrap();
        let memory = allocate(48 << 20).unwrap();
        for (address, offset, length) in [
            (48 << 20, 0, 4096),
            ((48 << 20) - 4096, 0, 8192),
            (0x1000, 1, 4096),
            (0x1001, 0, 4096),
            (0x1000, 0, 4095),
            (0x1000, 0, 0),
            (u64::MAX - 4095, 0, 4096),
        ] {
            let refused = map_file(&memory, address, &file, (offset, length));
            assert!(
                matches!(refused, Err(MemoryError::Range { .. })),
                "{address:#x}"
            );
        }
    }
}
