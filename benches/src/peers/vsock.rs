// SPDX-License-Identifier: Apache-2.0
//! Listening on `AF_VSOCK`, where guests of vhost-vsock arrive: `rustix` has no safe wrapper for
//! its addresses.
#![expect(unsafe_code, reason = "vsock addresses have no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, listen, socket_with};

/// Connections that may wait: a guest opens one a port.
const BACKLOG: i32 = 16;

/// Listens on a port of this host for every guest.
pub(super) fn listener(port: u32) -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::VSOCK, SocketType::STREAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    // SAFETY: sockaddr_vm is plain integers, for which all zeroes is a value.
    let mut address: libc::sockaddr_vm = unsafe { std::mem::zeroed() };
    address.svm_family = libc::sa_family_t::try_from(libc::AF_VSOCK).unwrap_or_default();
    address.svm_cid = libc::VMADDR_CID_ANY;
    address.svm_port = port;
    let len = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or_default();
    let pointer = std::ptr::from_ref(&address).cast();
    // SAFETY: bind() reads `len` bytes at the pointer: `address`, whose size `len` is.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), pointer, len) };
    if bound == -1 {
        return Err(io::Error::last_os_error());
    }
    listen(&socket, BACKLOG)?;
    Ok(socket)
}
