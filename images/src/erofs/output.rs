// SPDX-License-Identifier: Apache-2.0
//! The file that becomes the image: without a name until it is whole.
//!
//! A process killed half-way then leaves nothing behind, however it is killed. Where the file
//! system has no unnamed files (9p, some network ones) it has a temporary name, which a kill does
//! leave behind.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use tempfile::TempPath;

/// Images are never changed, only replaced.
const READ_ONLY: u32 = 0o444;

const PREFIX: &str = ".image-";

#[derive(Debug)]
pub(super) struct Output {
    file: File,
    folder: PathBuf,
    /// Where the file system needs one.
    name: Option<TempPath>,
}

impl Output {
    /// An empty file on the file system of `folder`.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let folder = folder.to_path_buf();
        match rustix::fs::open(&folder, flags, Mode::from_raw_mode(READ_ONLY)) {
            Ok(fd) => Ok(Self {
                file: fd.into(),
                folder,
                name: None,
            }),
            // What kernels and file systems say that do not know O_TMPFILE.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Self::named(folder),
            Err(errno) => Err(errno.into()),
        }
    }

    fn named(folder: PathBuf) -> io::Result<Self> {
        let named = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(READ_ONLY))
            .tempfile_in(&folder)?;
        let (file, name) = named.into_parts();
        Ok(Self {
            file,
            folder,
            name: Some(name),
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name, which may be another's until then.
    pub(super) fn publish(self, path: &Path) -> io::Result<()> {
        let name = match self.name {
            Some(name) => name,
            None => match link(&self.file, path) {
                Ok(()) => return Ok(()),
                // A link cannot replace, a rename can.
                Err(Errno::EXIST) => self.link_temporarily()?,
                Err(errno) => return Err(errno.into()),
            },
        };
        name.persist(path).map_err(|error| error.error)
    }

    fn link_temporarily(&self) -> io::Result<TempPath> {
        let linked = tempfile::Builder::new()
            .prefix(PREFIX)
            .make_in(&self.folder, |path| Ok(link(&self.file, path)?))?;
        Ok(linked.into_temp_path())
    }
}

/// Names an open file, through `/proc` as `open(2)` says under `O_TMPFILE`: by descriptor alone
/// it would take a capability.
fn link(file: &File, path: &Path) -> Result<(), Errno> {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, open, CWD, path, AtFlags::SYMLINK_FOLLOW)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn unnamed_and_named_outputs_appear_whole_and_replace() {
        for create in [Output::create, |folder: &Path| Output::named(folder.into())] {
            let folder = tempfile::TempDir::new().unwrap();
            let path = folder.path().join("image");
            for content in ["first", "second"] {
                let output = create(folder.path()).unwrap();
                output.file().write_all(content.as_bytes()).unwrap();
                output.publish(&path).unwrap();
                assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
                assert_eq!(names(folder.path()), 1);
            }
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o222, 0, "nobody may write");
        }
    }

    #[test]
    fn an_abandoned_output_leaves_nothing() {
        let folder = tempfile::TempDir::new().unwrap();
        let output = Output::create(folder.path()).unwrap();
        assert_eq!(names(folder.path()), usize::from(output.name.is_some()));
        drop(output);
        assert_eq!(names(folder.path()), 0);
    }
}
