// SPDX-License-Identifier: Apache-2.0
//! The network namespace that VMMs run in: an empty one of the host, made by the first task after
//! the host's start and kept at [`PLACE`] by a bind mount, as ip-netns(8) keeps those it names.
//!
//! Making a namespace for every VMM cost a fifth of the time to its guest's first instruction, and
//! many at once wait for each other in the kernel (`pernet_ops_rwsem`). There is nothing in it: no
//! interface but a loopback that is down, and nobody listens. What VMMs could share in it are
//! abstract Unix sockets, with another VMM that was taken over as well.
//!
//! Only root can keep one; a user namespace's VMM has its own.
#![expect(unsafe_code, reason = "unshare and ioctl_ns have no safe wrapper")]

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock, fstatfs};
use rustix::mount::mount_bind;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Where it is.
const PLACE: &str = "/run/ampoule-no-network";
/// File system of namespaces (linux/magic.h).
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// `_IO(0xb7, 3)` (linux/nsfs.h).
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// The host's empty network namespace; `None` where it cannot be kept, as in a container: then
/// each VMM has one of its own.
#[must_use]
pub fn empty() -> Option<File> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let folder = Path::new(PLACE);
    let place = folder.join("ns");
    match is_roots_alone(folder).and_then(|()| open(&place)) {
        Ok(file) if is_other_network(&file) => Some(file),
        // A file that nothing was mounted on, or nothing at all.
        Ok(file) if file.metadata().is_ok_and(|found| found.is_file()) => make(folder, &place).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(folder, &place).ok(),
        _ => None,
    }
}

/// Whatever is there: never waits, follows no link.
fn open(place: &Path) -> io::Result<File> {
    let mut options = File::options();
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    options.read(true).custom_flags(flags).open(place)
}

fn is_roots_alone(folder: &Path) -> io::Result<()> {
    let found = folder.symlink_metadata()?;
    match found.is_dir() && found.uid() == 0 && found.mode() & 0o022 == 0 {
        true => Ok(()),
        false => Err(io::Error::other("its folder is not root's alone")),
    }
}

/// Under a lock, so that of several first tasks one makes it.
fn make(folder: &Path, place: &Path) -> io::Result<File> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    is_roots_alone(folder)?;
    let lock = File::open(folder)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if let Ok(file) = open(place)
        && is_other_network(&file)
    {
        return Ok(file);
    }
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    drop(options.open(place)?);
    let kept = place.to_owned();
    // A thread of its own: the namespace is the thread's, and goes with it unless it is kept.
    let made = std::thread::spawn(move || -> io::Result<()> {
        // SAFETY: what unshare can break is the sharing of descriptors or memory among threads;
        // a network namespace is neither, and this thread has no sockets.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
        Ok(mount_bind("/proc/thread-self/ns/net", kept)?)
    });
    made.join()
        .map_err(|_| io::Error::other("the thread that makes it failed"))??;
    let file = open(place)?;
    if is_other_network(&file) {
        Ok(file)
    } else {
        Err(io::Error::other("what is there is no network namespace"))
    }
}

/// Whether it is a network namespace (ioctl_ns(2)), and not the one of this process.
fn is_other_network(file: &File) -> bool {
    let is_namespace = fstatfs(file)
        .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == NSFS_MAGIC));
    // SAFETY: NS_GET_NSTYPE takes no argument, and any other file refuses it.
    let kind = || unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
    let own = std::fs::metadata("/proc/self/ns/net").map(|own| own.ino());
    is_namespace
        && kind() == libc::CLONE_NEWNET
        && matches!((own, file.metadata()), (Ok(own), Ok(found)) if own != found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_namespace_and_the_hosts_own_are_not_taken() {
        assert!(!is_other_network(&tempfile::tempfile().unwrap()));
        assert!(!is_other_network(&File::open("/proc/self/ns/net").unwrap()));
        assert!(!is_other_network(&File::open("/proc/self/ns/uts").unwrap()));
    }
}
