// SPDX-License-Identifier: Apache-2.0
//! The scan: one pass of `readdir` and `fstatat` over a folder.
//!
//! Directories wait in a list by their paths and are opened from the top one at a time, so depth
//! costs no descriptors and no stack. Entries are sorted before they count, so that the tree and
//! the fingerprint do not depend on the order in which the file system lists them.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, RawDir, RawMode, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::report::{
    Fingerprint, MAX_DEPTH, MAX_PATH, Reason, Scan, ScanError, ScanOptions, Skipped,
};
use crate::erofs::FORMAT_VERSION;
use crate::tree::{Content, HostFolder, Meta, Node, NodeId, Stamp, Time, Tree, gone, to_path};

/// Bytes of directory entries read with one call, as in the C library.
const LISTING: usize = 32 << 10;

/// Scans `folder`. Its own path may be or contain symbolic links; below it none is followed.
pub fn scan(folder: &Path, options: &ScanOptions) -> Result<Scan, ScanError> {
    let top = open_top(folder)?;
    let stat = rustix::fs::fstat(&top).map_err(|errno| io_error(errno, folder))?;
    let host = Arc::new(HostFolder {
        top,
        path: folder.into(),
    });
    let mut scanner = Scanner {
        options,
        device: stat.st_dev,
        tree: Tree::new(meta(&stat, options)),
        hash: Sha256::new(),
        newest: Time::default(),
        entries: 0,
        bytes: 0,
        skipped: Skipped::default(),
        links: HashMap::new(),
        pending: Vec::new(),
        listing: Vec::with_capacity(LISTING),
        user: rustix::process::geteuid().as_raw(),
        host,
    };
    scanner.begin(&stat);
    let root = Pending {
        path: Box::default(),
        id: scanner.tree.root(),
        inode: stat.st_ino,
    };
    scanner.pending.push(root);
    while let Some(dir) = scanner.pending.pop() {
        scanner.dir(&dir)?;
    }
    Ok(Scan {
        tree: scanner.tree,
        fingerprint: Fingerprint(scanner.hash.finalize().into()),
        newest: scanner.newest,
        entries: scanner.entries,
        bytes: scanner.bytes,
        skipped: scanner.skipped,
    })
}

fn open_top(folder: &Path) -> Result<OwnedFd, ScanError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT | Errno::NOTDIR => ScanError::NotADirectory(folder.into()),
        Errno::ACCESS => ScanError::Unreadable(folder.into()),
        _ => io_error(errno, folder),
    })
}

/// A directory that was seen and is to be listed.
#[derive(Debug)]
struct Pending {
    path: Box<[u8]>,
    id: NodeId,
    inode: u64,
}

#[derive(Debug)]
struct Scanner<'a> {
    options: &'a ScanOptions,
    host: Arc<HostFolder>,
    /// The folder's file system.
    device: u64,
    tree: Tree,
    hash: Sha256,
    newest: Time,
    entries: u64,
    bytes: u64,
    skipped: Skipped,
    /// Files with several names, by device and inode.
    links: HashMap<(u64, u64), NodeId>,
    pending: Vec<Pending>,
    /// Room for what one call lists.
    listing: Vec<u8>,
    /// This process's user.
    user: u32,
}

impl Scanner<'_> {
    /// Starts the fingerprint with what shapes the image besides the folder, and with the top.
    fn begin(&mut self, top: &Stat) {
        let options = self.options;
        self.hash.update(b"ampoule folder 1");
        self.hash.update(FORMAT_VERSION.to_le_bytes());
        self.hash.update(options.uid.to_le_bytes());
        self.hash.update(options.gid.to_le_bytes());
        self.hash.update([u8::from(options.skip_unreadable)]);
        // The same for all of a boot; where it cannot be read nothing is lost but that guard.
        let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        self.hash.update((boot.len() as u64).to_le_bytes());
        self.hash.update(boot);
        self.record(b"", top, b"");
    }

    /// Puts one entry into the fingerprint. Directories' sizes are left out: file systems choose
    /// them.
    fn record(&mut self, path: &[u8], stat: &Stat, target: &[u8]) {
        let stamp = Stamp::of(stat);
        let size = if is(stat, FileType::Directory) {
            0
        } else {
            stamp.size
        };
        let mut record = Vec::with_capacity(path.len() + target.len() + 96);
        for bytes in [path, target] {
            record.extend((bytes.len() as u64).to_le_bytes());
            record.extend_from_slice(bytes);
        }
        record.extend(u64::from(stat.st_mode).to_le_bytes());
        for number in [size, stamp.device, stamp.inode] {
            record.extend(number.to_le_bytes());
        }
        for time in [stamp.mtime, stamp.ctime] {
            record.extend(time.secs.to_le_bytes());
            record.extend(time.nanos.to_le_bytes());
        }
        self.hash.update(&record);
        self.newest = self.newest.max(stamp.ctime).max(stamp.mtime);
    }

    fn dir(&mut self, dir: &Pending) -> Result<(), ScanError> {
        let fd = match self.host.open(&dir.path, OFlags::DIRECTORY) {
            Err(Errno::ACCESS) => return self.unreadable_dir(dir),
            opened => opened.map_err(|errno| gone(errno, &self.host.full(&dir.path)))?,
        };
        let stat = rustix::fs::fstat(&fd).map_err(|errno| self.io(errno, &dir.path))?;
        if (stat.st_dev, stat.st_ino) != (self.device, dir.inode) {
            return Err(ScanError::Changed(self.host.full(&dir.path)));
        }
        let names = self.list(&fd, &dir.path)?;
        for name in &names {
            self.entry(&fd, dir, name)?;
        }
        Ok(())
    }

    fn unreadable_dir(&mut self, dir: &Pending) -> Result<(), ScanError> {
        if dir.path.is_empty() || !self.options.skip_unreadable {
            return Err(ScanError::Unreadable(self.host.full(&dir.path)));
        }
        self.tree.remove(to_path(&dir.path))?;
        self.entries -= 1;
        self.skipped.add(&dir.path, Reason::Unreadable);
        Ok(())
    }

    /// The sorted names in a directory.
    fn list(&mut self, fd: &OwnedFd, path: &[u8]) -> Result<Vec<CString>, ScanError> {
        let mut names = Vec::new();
        // The descriptor itself, not a second opening of it: that would ask for the permission
        // to search the directory, which is a question for what is in it.
        let mut listing = RawDir::new(fd, self.listing.spare_capacity_mut());
        while let Some(entry) = listing.next() {
            let entry = entry.map_err(|errno| io_error(errno, &self.host.full(path)))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.entries += 1;
            if self.entries > self.options.max_entries {
                let path = self.host.path.clone();
                return Err(ScanError::TooMany {
                    path,
                    max: self.options.max_entries,
                });
            }
            names.push(name.to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn entry(&mut self, fd: &OwnedFd, dir: &Pending, name: &CString) -> Result<(), ScanError> {
        let path = join(&dir.path, name.to_bytes());
        if path.len() > MAX_PATH {
            return Err(ScanError::TooDeep(self.host.full(&dir.path)));
        }
        let stat = match rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Deleted since it was listed: as if it had not been.
            Err(Errno::NOENT) => {
                self.entries -= 1;
                return Ok(());
            }
            // A directory that may be listed but not searched.
            Err(Errno::ACCESS) => return self.unreadable(&path),
            other => other.map_err(|errno| self.io(errno, &path))?,
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.found_dir(dir, name, path, &stat),
            FileType::RegularFile => self.found_file(fd, (dir.id, name), &path, &stat),
            FileType::Symlink => {
                let target = match rustix::fs::readlinkat(fd, name, Vec::new()) {
                    Err(Errno::NOENT | Errno::INVAL) => {
                        return Err(ScanError::Changed(self.host.full(&path)));
                    }
                    other => other.map_err(|errno| self.io(errno, &path))?,
                };
                self.record(&path, &stat, target.to_bytes());
                let link = Meta::new(0o777).owned(self.options.uid, self.options.gid);
                let link = Node::symlink(link.at(Stamp::of(&stat).mtime), target.to_bytes());
                self.put(dir.id, name, link, &path)?;
                Ok(())
            }
            _ => {
                self.entries -= 1;
                self.record(&path, &stat, b"");
                self.skipped.add(&path, Reason::Special);
                Ok(())
            }
        }
    }

    fn found_dir(
        &mut self,
        parent: &Pending,
        name: &CString,
        path: Box<[u8]>,
        stat: &Stat,
    ) -> Result<(), ScanError> {
        self.record(&path, stat, b"");
        let id = self.put(parent.id, name, Node::dir(meta(stat, self.options)), &path)?;
        if stat.st_dev != self.device {
            self.skipped.add(&path, Reason::OtherFileSystem);
            return Ok(());
        }
        if path.iter().filter(|byte| **byte == b'/').count() >= MAX_DEPTH {
            return Err(ScanError::TooDeep(self.host.full(&path)));
        }
        self.pending.push(Pending {
            path,
            id,
            inode: stat.st_ino,
        });
        Ok(())
    }

    fn found_file(
        &mut self,
        fd: &OwnedFd,
        (dir, name): (NodeId, &CString),
        path: &[u8],
        stat: &Stat,
    ) -> Result<(), ScanError> {
        if !self.readable(fd, name, stat) {
            return self.unreadable(path);
        }
        self.record(path, stat, b"");
        let key = (stat.st_dev, stat.st_ino);
        if stat.st_nlink > 1
            && let Some(known) = self.links.get(&key)
        {
            return Ok(self.tree.attach(dir, name.to_bytes(), *known)?);
        }
        let stamp = Stamp::of(stat);
        self.bytes = self.bytes.saturating_add(stamp.size);
        if self.bytes > self.options.max_bytes {
            let path = self.host.full(path);
            return Err(ScanError::TooLarge {
                path,
                max: self.options.max_bytes,
            });
        }
        let content = Content::below(&self.host, path, stamp);
        let node = Node::file(meta(stat, self.options), content);
        let id = self.put(dir, name, node, path)?;
        if stat.st_nlink > 1 {
            self.links.insert(key, id);
        }
        Ok(())
    }

    /// Whether this process may read a file. The question is only put to the system where the
    /// owner's own bit does not answer it.
    fn readable(&self, fd: &OwnedFd, name: &CString, stat: &Stat) -> bool {
        let own = stat.st_uid == self.user && stat.st_mode & 0o400 != 0;
        own || rustix::fs::accessat(fd, name, Access::READ_OK, AtFlags::EACCESS).is_ok()
    }

    fn unreadable(&mut self, path: &[u8]) -> Result<(), ScanError> {
        if !self.options.skip_unreadable {
            return Err(ScanError::Unreadable(self.host.full(path)));
        }
        self.entries -= 1;
        self.skipped.add(path, Reason::Unreadable);
        Ok(())
    }

    /// Adds a node; what the tree refuses is named by its whole path.
    fn put(
        &mut self,
        dir: NodeId,
        name: &CString,
        node: Node,
        path: &[u8],
    ) -> Result<NodeId, ScanError> {
        let put = self.tree.put(dir, name.to_bytes(), node);
        put.map_err(|error| error.at(&self.host.full(path)).into())
    }

    fn io(&self, errno: Errno, path: &[u8]) -> ScanError {
        io_error(errno, &self.host.full(path))
    }
}

fn io_error(errno: Errno, path: &Path) -> ScanError {
    ScanError::Io {
        path: path.into(),
        source: errno.into(),
    }
}

fn is(stat: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(stat.st_mode) == kind
}

fn join(dir: &[u8], name: &[u8]) -> Box<[u8]> {
    if dir.is_empty() {
        name.into()
    } else {
        [dir, b"/", name].concat().into()
    }
}

/// The metadata of a directory or regular file: see the module's rules on owners and modes.
fn meta(stat: &Stat, options: &ScanOptions) -> Meta {
    let owner: RawMode = if is(stat, FileType::Directory) {
        0o500
    } else {
        0o400
    };
    let mode = u16::try_from((stat.st_mode & 0o1777) | owner).unwrap_or(0);
    Meta::new(mode)
        .owned(options.uid, options.gid)
        .at(Stamp::of(stat).mtime)
}
