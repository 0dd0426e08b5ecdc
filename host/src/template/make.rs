// SPDX-License-Identifier: Apache-2.0
//! Making a template: a guest is booted for nobody, and stored once it is ready and at rest.
//!
//! `ampoule run` leaves this to a process of its own ([`in_background`]) when a task had to boot
//! cold, so that nobody waits for it. One process makes templates at a time; others leave it to
//! that one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{FileId, Key, MANIFEST, Manifest, SNAPSHOT, Templates, digest};
use crate::folders::{FolderError, Folders, make_private};
use crate::image::{Catalogue, ImageError, KERNEL, Kind};
use crate::supervise::files::binaries;
use crate::supervise::kvm::{self, KvmError};
use crate::supervise::machine::VMM;
use crate::task::Resources;

mod gate;
mod guest;

pub use guest::BootError;

/// The hidden sub-command that makes a template.
pub const COMMAND: &str = "template";

/// Which template is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Name of the image.
    pub image: String,
    /// Of the guest.
    pub resources: Resources,
}

/// Why there is no template.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// Kernel or image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// This host cannot run guests.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// A folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The guest.
    #[error("the guest to be stored did not come up")]
    Boot(#[from] BootError),
    /// The file.
    #[error("cannot {what} the template")]
    File {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

fn file(what: &'static str) -> impl FnOnce(io::Error) -> MakeError {
    move |source| MakeError::File { what, source }
}

/// How a request was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// There was one.
    Already,
    /// There is one now.
    Now,
    /// Another process is at it.
    Elsewhere,
}

/// Has a process of its own make the template; whether it does is not waited for. Its process id,
/// for who lives on and reaps.
pub fn in_background(request: &Request) -> Option<i32> {
    let (own, json) = (std::env::current_exe(), serde_json::to_string(request));
    let (own, json) = (own.ok()?, json.ok()?);
    // What it needs and nothing else of the caller's, who may wait for all that was his to go.
    let keep = ["HOME", "XDG_DATA_HOME"];
    let keep = keep
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    // Fails when the system has no process to give: then the next task asks again.
    let child = Command::new(own)
        .args([COMMAND, &json])
        .env_clear()
        .envs(keep)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    i32::try_from(child.ok()?.id()).ok()
}

/// Makes the template unless there is one.
///
/// # Errors
/// As [`MakeError`] says. What a later task should not try again for a while is noted.
pub fn make(folders: &Folders, request: &Request) -> Result<Made, MakeError> {
    let templates = Templates::new(folders);
    make_private(&templates.folder)?;
    let Some(_lock) = lock(&templates.folder).map_err(file("lock"))? else {
        return Ok(Made::Elsewhere);
    };
    let catalogue = Catalogue::new(folders);
    let (kernel, kernel_file) = catalogue.open(KERNEL, Kind::Kernel)?;
    let (image, root) = catalogue.open(&request.image, Kind::Image)?;
    let vmm = binaries().map_err(file("find the VMM for"))?.join(VMM);
    let digests = (image.sha256.as_str(), kernel.sha256.as_str());
    let key = Key::new(digests, &request.resources, &vmm).map_err(file("find the VMM for"))?;
    if templates.open(&key).is_ok() {
        return Ok(Made::Already);
    }
    let files = guest::Files {
        vmm,
        kvm: kvm::open()?,
        kernel: kernel_file,
        root,
    };
    let made = templates.store(key.clone(), |snapshot| {
        Ok(guest::store(&files, &request.resources, snapshot)?)
    });
    let note = templates.failure(&key);
    match made {
        Ok(()) => {
            let _ = fs::remove_file(note);
            // What this one replaces.
            let _ = catalogue.sweep();
            Ok(Made::Now)
        }
        Err(error) => {
            let _ = fs::write(note, crate::cli::chain(&error));
            Err(error)
        }
    }
}

impl Templates {
    /// Has `write` write a snapshot, and keeps it with its manifest: whole, or not at all.
    pub(super) fn store(
        &self,
        key: Key,
        write: impl FnOnce(&File) -> Result<(), MakeError>,
    ) -> Result<(), MakeError> {
        let place = self.place(&key);
        let unfinished = Unfinished::new(&self.folder).map_err(file("make a folder for"))?;
        let path = unfinished.0.join(SNAPSHOT);
        let mut options = File::options();
        let snapshot = options.read(true).write(true).create_new(true).mode(0o600);
        let snapshot = snapshot.open(&path).map_err(file("write"))?;
        write(&snapshot)?;
        let read_only = fs::Permissions::from_mode(0o400);
        snapshot.set_permissions(read_only).map_err(file("write"))?;
        snapshot.sync_all().map_err(file("write"))?;
        let sha256 = digest::of(&snapshot).map_err(file("read"))?;
        let manifest = Manifest {
            key,
            file: FileId::of(&snapshot.metadata().map_err(file("read"))?),
            sha256,
        };
        let json = serde_json::to_vec_pretty(&manifest).map_err(|e| file("describe")(e.into()))?;
        fs::write(unfinished.0.join(MANIFEST), json).map_err(file("describe"))?;
        // One that was found to be damaged is in the way.
        let _ = fs::remove_dir_all(&place);
        fs::rename(&unfinished.0, &place).map_err(file("put in place"))
    }
}

/// A folder that is gone unless it was moved away.
struct Unfinished(PathBuf);

impl Unfinished {
    /// Under the lock, so whatever is left of another was left by one that died.
    fn new(folder: &Path) -> io::Result<Self> {
        let path = folder.join("unfinished.tmp");
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The lock of who makes templates; `None` if another process has it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).mode(0o600);
    let file = file.open(folder.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
