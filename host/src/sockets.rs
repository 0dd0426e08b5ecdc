// SPDX-License-Identifier: Apache-2.0
//! Unix sockets at paths of any length, and their names in a task's runtime folder.
//!
//! An address holds 107 bytes of path (unix(7)); a longer one is reached through a descriptor of
//! its folder, `/proc/self/fd/<n>/<name>`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{bind, listen, socket_with};

/// Where `ampoule exec`, `stop` and the others reach a task's supervisor.
pub const API: &str = "api.sock";

/// The VMM's hybrid vsock socket; a guest's port is this, `_` and its number.
pub const VSOCK: &str = "vsock.sock";

/// Longest path an address holds.
const LONGEST: usize = 107;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;

/// Listens at `path`.
///
/// # Errors
/// What the system says.
pub fn listener(path: &Path) -> io::Result<UnixListener> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    listen_at(&socket, path)?;
    Ok(socket.into())
}

/// Listens at `path` for packets (`SOCK_SEQPACKET`), never waiting.
///
/// # Errors
/// What the system says.
pub fn packet_listener(path: &Path) -> io::Result<OwnedFd> {
    let socket = packet_socket()?;
    listen_at(&socket, path)?;
    Ok(socket)
}

/// A socket for packets that never waits.
///
/// # Errors
/// What the system says.
pub fn packet_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    Ok(socket_with(family, kind, flags, None)?)
}

/// Whether the process at the other end (the one that listened, or connected) is this user's.
///
/// # Errors
/// What the system says.
pub fn is_own(socket: impl AsFd) -> io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(peer.uid == rustix::process::geteuid())
}

fn listen_at(socket: &OwnedFd, path: &Path) -> io::Result<()> {
    let (_folder, address) = address(path)?;
    bind(socket, &address)?;
    Ok(listen(socket, BACKLOG)?)
}

/// Connects `socket` to `path`.
///
/// # Errors
/// What the system says.
pub fn connect(socket: impl AsFd, path: &Path) -> io::Result<()> {
    let (_folder, address) = address(path)?;
    rustix::net::connect(socket, &address)?;
    Ok(())
}

/// The address of `path`, and the folder's descriptor that must live as long.
fn address(path: &Path) -> io::Result<(Option<OwnedFd>, SocketAddrUnix)> {
    if path.as_os_str().as_bytes().len() <= LONGEST {
        return Ok((None, SocketAddrUnix::new(path)?));
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = open(
        folder,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    let address = SocketAddrUnix::new(&short)?;
    Ok((Some(folder), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_longer_than_an_address_works() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("d".repeat(120));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join(API);
        let listener = listener(&path).unwrap();
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
        connect(&socket, &path).unwrap();
        listener.accept().unwrap();
        assert!(path.exists());
    }
}
