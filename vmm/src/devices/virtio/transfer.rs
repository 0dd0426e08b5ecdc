// SPDX-License-Identifier: Apache-2.0
//! System calls on buffers in guest memory.
//!
//! Guest memory changes under us whenever a vCPU likes, so Rust slices of it must not exist, and
//! the safe wrappers of these calls take slices. The kernel copies to and from it as it would
//! for any process whose other threads write their buffers during a call.
#![expect(
    unsafe_code,
    reason = "system calls with pointers into guest memory, which no Rust slice may alias"
)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use vm_memory::VolatileSlice;

/// Most buffers the kernel takes in one call (`UIO_MAXIOV`, include/uapi/linux/uio.h).
const MAX_BUFFERS: usize = 1024;

/// Reads from `offset` of `file` into `buffers`, as much as one call gives. The file's own
/// position is neither used nor moved.
pub(super) fn read_at(
    file: &File,
    buffers: &[VolatileSlice<'_>],
    offset: u64,
) -> io::Result<usize> {
    let offset = libc::off64_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let buffers = buffers.get(..MAX_BUFFERS).unwrap_or(buffers);
    let guards: Vec<_> = buffers.iter().map(VolatileSlice::ptr_guard_mut).collect();
    let vectors: Vec<libc::iovec> = guards
        .iter()
        .map(|guard| libc::iovec {
            iov_base: guard.as_ptr().cast(),
            iov_len: guard.len(),
        })
        .collect();
    let count = libc::c_int::try_from(vectors.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    retry(|| {
        // SAFETY: preadv64 needs `count` valid iovecs, each writable for its length: they are
        // `vectors`, made of guards that stay alive past the call, and a VolatileSlice promises
        // that its range is mapped for its lifetime. The memory is not behind any reference.
        unsafe { libc::preadv64(file.as_raw_fd(), vectors.as_ptr(), count, offset) }
    })
}

/// Sends from `buffer` what the socket takes now; `WouldBlock` when that is nothing.
pub(super) fn send(socket: BorrowedFd<'_>, buffer: &VolatileSlice<'_>) -> io::Result<usize> {
    let guard = buffer.ptr_guard();
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    retry(|| {
        // SAFETY: send needs `len` readable bytes: the guard, alive past the call, covers a
        // VolatileSlice, which promises that its range is mapped for its lifetime.
        unsafe {
            libc::send(
                socket.as_raw_fd(),
                guard.as_ptr().cast(),
                guard.len(),
                flags,
            )
        }
    })
}

/// Receives into `buffer` what the socket has; 0 at its end, `WouldBlock` when it has nothing.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &VolatileSlice<'_>) -> io::Result<usize> {
    let guard = buffer.ptr_guard_mut();
    retry(|| {
        // SAFETY: recv needs `len` writable bytes: the guard, alive past the call, covers a
        // VolatileSlice, which promises that its range is mapped for its lifetime. The memory
        // is not behind any reference.
        unsafe {
            libc::recv(
                socket.as_raw_fd(),
                guard.as_ptr().cast(),
                guard.len(),
                libc::MSG_DONTWAIT,
            )
        }
    })
}

fn retry(mut call: impl FnMut() -> libc::ssize_t) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}
