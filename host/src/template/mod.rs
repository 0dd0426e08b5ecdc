// SPDX-License-Identifier: Apache-2.0
//! Templates: snapshots of guests that are ready and belong to nobody yet. A task starts from one
//! instead of booting.
//!
//! ```text
//! data/templates/<key>/snapshot      state and memory (vmm::snapshot), read-only
//!                      manifest.json what it was made under, how to know the file again
//! data/templates/<key>.failed        why there is none, for a while
//! data/templates/lock                held by who makes one
//! ```
//!
//! The [`Key`] is everything a snapshot depends on that can be told without KVM; the VMM checks
//! the rest ([`vmm::snapshot`]) and refuses what does not fit. Then the task boots cold, and says
//! why. No key names a task or a workspace: a template has no medium in its workspace drive, and
//! the guest gets its identity, clock, entropy and workspace when it is restored, before anything
//! of the task runs.
//!
//! What a restore checks is cheap: the file's length, inode and times against the manifest. Its
//! memory is digested when it is made; [`Templates::verify`] reads it all.

mod digest;
pub mod make;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::folders::Folders;
use crate::task::Resources;

/// A failure is believed for so long; then a template is tried again.
const FAILED_FOR: Duration = Duration::from_secs(10 * 60);

/// Templates that are kept: each kind of guest an operator uses has one, and a changed image or
/// VMM leaves one that nobody finds any more. The oldest go.
const KEPT: usize = 16;

/// What a snapshot depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Version of the snapshot's format.
    pub format: u32,
    /// The image's digest.
    pub image: String,
    /// The guest kernel's digest.
    pub kernel: String,
    /// vCPUs.
    pub cpus: u8,
    /// Guest memory.
    pub memory_mib: u32,
    /// The VMM's version and binary.
    pub vmm: (String, FileId),
    /// The host kernel's release.
    pub host_kernel: String,
}

/// A file as it was, without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    bytes: u64,
    inode: u64,
    /// Content and name or mode were last changed: seconds, nanoseconds.
    changed: (i64, i64, i64, i64),
}

impl FileId {
    fn of(metadata: &fs::Metadata) -> Self {
        let m = metadata;
        Self {
            bytes: m.len(),
            inode: m.ino(),
            changed: (m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()),
        }
    }
}

impl Key {
    /// For a guest of `image` and `kernel` (their digests), run by the binary `vmm`.
    ///
    /// # Errors
    /// The binary cannot be looked at.
    pub fn new(
        (image, kernel): (&str, &str),
        resources: &Resources,
        vmm: &Path,
    ) -> io::Result<Self> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self {
            format: vmm::snapshot::VERSION,
            image: image.to_owned(),
            kernel: kernel.to_owned(),
            cpus: resources.cpus,
            memory_mib: resources.memory_mib,
            vmm: (version, FileId::of(&fs::metadata(vmm)?)),
            host_kernel: rustix::system::uname().release().to_string_lossy().into(),
        })
    }

    /// The template's name.
    #[must_use]
    pub fn name(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let digest = Sha256::digest(json);
        digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// What is known of a template beside its snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    key: Key,
    file: FileId,
    /// Of the whole snapshot, as [`digest`] says.
    sha256: String,
}

/// Why a task boots cold.
#[derive(Debug, thiserror::Error)]
pub enum Cold {
    /// It was asked to.
    #[error("asked for with --cold")]
    Asked,
    /// The debug console is no part of a snapshot.
    #[error("the debug console needs it")]
    Console,
    /// The first of its kind on this host.
    #[error("no template of this guest yet")]
    None,
    /// It could not be made.
    #[error("no template could be made: {0}")]
    Failed(String),
    /// The file is not the one that was written.
    #[error("the template was changed since it was made: its {0} differs")]
    Changed(&'static str),
    /// It cannot be read.
    #[error("the template cannot be read")]
    Unreadable(#[source] io::Error),
    /// The VMM refused it.
    #[error("{0}")]
    Refused(String),
}

impl Cold {
    /// Whether making a template anew would help.
    #[must_use]
    pub fn wants_template(&self) -> bool {
        !matches!(self, Self::Asked | Self::Console | Self::Failed(_))
    }

    /// Whether people should hear of it: it is neither asked for nor the first time.
    #[must_use]
    pub fn is_a_fault(&self) -> bool {
        !matches!(self, Self::Asked | Self::Console | Self::None)
    }
}

/// The templates of this user.
#[derive(Debug)]
pub struct Templates {
    folder: PathBuf,
}

impl Templates {
    /// Where they are; makes nothing.
    #[must_use]
    pub fn new(folders: &Folders) -> Self {
        Self {
            folder: folders.data.join("templates"),
        }
    }

    fn place(&self, key: &Key) -> PathBuf {
        self.folder.join(key.name())
    }

    /// Opens the snapshot for `key` after the checks that are cheap.
    ///
    /// # Errors
    /// Why there is none.
    pub fn open(&self, key: &Key) -> Result<File, Cold> {
        let place = self.place(key);
        let manifest = match manifest(&place) {
            Ok(manifest) => manifest,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.absent(key)),
            Err(error) => return Err(Cold::Unreadable(error)),
        };
        if manifest.key != *key {
            return Err(Cold::Changed("key"));
        }
        let file = open_file(&place.join(SNAPSHOT)).map_err(Cold::Unreadable)?;
        let is = FileId::of(&file.metadata().map_err(Cold::Unreadable)?);
        match differs(&manifest.file, &is) {
            None => Ok(file),
            Some(what) => Err(Cold::Changed(what)),
        }
    }

    fn absent(&self, key: &Key) -> Cold {
        let note = self.failure(key);
        let age = |metadata: fs::Metadata| {
            let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            SystemTime::now()
                .duration_since(modified)
                .unwrap_or_default()
        };
        match fs::metadata(&note).map(age) {
            Ok(age) if age < FAILED_FOR => {
                Cold::Failed(fs::read_to_string(note).unwrap_or_default())
            }
            _ => Cold::None,
        }
    }

    fn failure(&self, key: &Key) -> PathBuf {
        self.place(key).with_extension("failed")
    }

    /// Removes a template that turned out to be of no use.
    pub fn remove(&self, key: &Key) {
        let _ = fs::remove_dir_all(self.place(key));
    }

    /// Reads every template of the image with this digest and compares it with what was written;
    /// how many there are, and what is wrong with each that is damaged.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub fn verify(&self, image: &str) -> io::Result<(usize, Vec<String>)> {
        let mut bad = Vec::new();
        let mut count = 0;
        for place in self.places()? {
            let manifest = match manifest(&place) {
                Ok(manifest) if manifest.key.image != image => continue,
                Ok(manifest) => manifest,
                Err(error) => {
                    bad.push(format!("{}: {error}", place.display()));
                    continue;
                }
            };
            count += 1;
            let found = open_file(&place.join(SNAPSHOT)).and_then(|file| digest::of(&file));
            match found {
                Ok(found) if found == manifest.sha256 => {}
                Ok(_) => bad.push(format!("{}: another digest", place.display())),
                Err(error) => bad.push(format!("{}: {error}", place.display())),
            }
        }
        Ok((count, bad))
    }

    /// Removes the templates of images and kernels that are gone, and the oldest beyond a bound.
    /// A guest that was restored from one keeps it until it ends.
    pub fn sweep(&self, digests: &[String]) {
        let Ok(places) = self.places() else { return };
        let mut kept = Vec::new();
        for place in places {
            let known = manifest(&place).ok().filter(|manifest| {
                let key = &manifest.key;
                digests.contains(&key.image) && digests.contains(&key.kernel)
            });
            match known.and_then(|_| fs::metadata(&place).and_then(|m| m.modified()).ok()) {
                Some(made) => kept.push((made, place)),
                None => drop(fs::remove_dir_all(place)),
            }
        }
        kept.sort();
        let surplus = kept.len().saturating_sub(KEPT);
        for (_, place) in kept.into_iter().take(surplus) {
            let _ = fs::remove_dir_all(place);
        }
    }

    /// The folders of finished templates.
    fn places(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let paths = entries.flatten().map(|entry| entry.path());
        Ok(paths
            .filter(|path| path.extension().is_none() && path.is_dir())
            .collect())
    }
}

const SNAPSHOT: &str = "snapshot";
const MANIFEST: &str = "manifest.json";
/// A hundred times what one takes.
const LONGEST_MANIFEST: u64 = 64 * 1024;

/// A file, and nothing that would have its reader wait, or lies elsewhere.
fn open_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let file = options.read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no file")),
    }
}

fn manifest(place: &Path) -> io::Result<Manifest> {
    let mut text = Vec::new();
    let file = open_file(&place.join(MANIFEST))?;
    file.take(LONGEST_MANIFEST).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(Into::into)
}

/// What of a file is not as it was.
fn differs(was: &FileId, is: &FileId) -> Option<&'static str> {
    let checks = [
        (was.bytes == is.bytes, "length"),
        (was.inode == is.inode, "inode"),
        (was.changed == is.changed, "time of change"),
    ];
    let mut wrong = checks.into_iter().filter(|(same, _)| !same);
    wrong.next().map(|(_, what)| what)
}

#[cfg(test)]
mod tests;
