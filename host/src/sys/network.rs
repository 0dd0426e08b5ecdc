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
#![expect(unsafe_code, reason = "unshare has no safe wrapper")]

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock, fstatfs};
use rustix::mount::mount_bind;
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Where it is.
const PLACE: &str = "/run/ampoule-no-network";
/// File system of namespaces (linux/magic.h).
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// The host's empty network namespace; `None` where it cannot be kept, as in a container: then
/// each VMM has one of its own.
#[must_use]
pub fn empty() -> Option<File> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let folder = Path::new(PLACE);
    let place = folder.join("ns");
    match File::open(&place) {
        Ok(file) if is_other_network(&file) => return Some(file),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => return None,
    }
    make(folder, &place).ok()
}

/// Under a lock, so that of several first tasks one makes it.
fn make(folder: &Path, place: &Path) -> io::Result<File> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = folder.symlink_metadata()?;
    if !found.is_dir() || found.uid() != 0 || found.mode() & 0o022 != 0 {
        return Err(io::Error::other("its folder is not root's alone"));
    }
    let lock = File::open(folder)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if let Ok(file) = File::open(place)
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
    let file = File::open(place)?;
    if is_other_network(&file) {
        Ok(file)
    } else {
        Err(io::Error::other("what is there is no network namespace"))
    }
}

/// Whether it is a namespace, and not the one of this process. That it is a network's clone3's
/// child finds out: setns(2) is told which kind it expects.
fn is_other_network(file: &File) -> bool {
    let is_namespace = fstatfs(file)
        .is_ok_and(|found| u64::try_from(found.f_type).is_ok_and(|kind| kind == NSFS_MAGIC));
    let own = std::fs::metadata("/proc/self/ns/net").map(|own| own.ino());
    is_namespace && matches!((own, file.metadata()), (Ok(own), Ok(found)) if own != found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_namespace_and_the_hosts_own_are_not_taken() {
        assert!(!is_other_network(&tempfile::tempfile().unwrap()));
        assert!(!is_other_network(&File::open("/proc/self/ns/net").unwrap()));
        assert!(is_other_network(&File::open("/proc/self/ns/uts").unwrap()));
    }
}
