// SPDX-License-Identifier: Apache-2.0
//! A host folder, such as a task's workspace, as a tree, as a cache key and as an image.
//!
//! [`scan()`] lists and measures, reading no file's content. Its [`Scan::fingerprint`] covers all
//! that can tell two states of the folder apart, so an unchanged folder is recognised by a scan
//! alone. [`image`] does the whole: scan, look for the image of that state, else write it.
//!
//! The rules:
//!
//! - **Owners**: everything belongs to the guest's user. **Modes** keep their permission bits;
//!   set-id bits are dropped, since they would now name another user. What the host could read
//!   its new owner can too (`u+r`, and `u+x` on directories).
//! - **Symbolic links** are kept as they are and never followed, also not by someone who swaps a
//!   directory for one meanwhile: every open is `openat2` with `RESOLVE_BENEATH` and
//!   `RESOLVE_NO_SYMLINKS` (Linux 5.6). Only the folder's own path may contain links.
//! - **Hard links** among the folder's files stay links.
//! - **Sockets, pipes, devices** are left out and reported.
//! - **Other file systems**: a directory that is a mount point (or a Btrfs subvolume) is kept
//!   empty and reported; a folder ends where its file system ends.
//! - **Unreadable** files and directories are an error that names the first, unless
//!   [`ScanOptions::skip_unreadable`]: then they are left out and reported.
//! - **Files that change meanwhile**: each is compared with its measure before and after it is
//!   copied. A difference drops the attempt, and [`image`] scans anew a few times. So an image is
//!   always exactly the state its fingerprint names, file by file; it is not a snapshot of one
//!   instant. A change through a shared mapping may not move the times until it is written back,
//!   and a change of content with forged times *and* change time is beyond what can be seen.
//! - **Names** may be any bytes. Extended attributes are not kept.

mod report;
mod scan;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use report::{Fingerprint, Reason, Scan, ScanError, ScanOptions, Skipped};
pub use scan::scan;

use crate::erofs::{self, WriteError, WriteOptions};
use crate::tree::{ContentError, Time};

/// How often [`image`] scans a folder that keeps changing before it gives up.
const ATTEMPTS: u32 = 5;

/// The pause before another attempt, times the number of attempts made.
const PAUSE: Duration = Duration::from_millis(50);

/// The coarsest clock that stamps files on local file systems: one tick at 100 Hz, doubled.
const TICK: Duration = Duration::from_millis(20);

/// The image of a folder.
#[derive(Debug)]
pub struct Image {
    /// Where it lies.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// The state it holds.
    pub fingerprint: Fingerprint,
    /// Whether it was there already.
    pub reused: bool,
    /// Files, directories and links found.
    pub entries: u64,
    /// What was left out.
    pub skipped: Skipped,
}

/// Why a folder has no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The folder cannot be listed.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// The image cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Something writes to the folder all the time.
    #[error("{} kept changing: gave up after {ATTEMPTS} attempts; stop what writes to it, or leave it out of the workspace", .0.display())]
    KeepsChanging(PathBuf),
    /// The cache cannot be used.
    #[error("cannot use the image cache {}", .path.display())]
    Cache {
        /// The cache's folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The image of `folder`'s present state in `cache` (a folder, made when missing), under the
/// name `<fingerprint>.erofs`. Writes it if it is not there. Several callers may do this at once.
///
/// Images are not synced to disk, which would take longer than writing them: the fingerprint
/// covers the host's boot, so none is trusted that might have been lost in a crash. Removing old
/// ones is the caller's business; one that is open stays whole.
pub fn image(folder: &Path, options: &ScanOptions, cache: &Path) -> Result<Image, ImageError> {
    std::fs::create_dir_all(cache).map_err(|source| ImageError::Cache {
        path: cache.into(),
        source,
    })?;
    persist(PAUSE, || image_once(folder, options, cache))
}

/// Attempts again, after a growing pause, while the reason for failing is a change.
fn persist<T>(
    pause: Duration,
    mut attempt: impl FnMut() -> Result<T, ImageError>,
) -> Result<T, ImageError> {
    let mut made = 0;
    loop {
        let changed = match attempt() {
            Err(ImageError::Write(WriteError::Content(ContentError::Changed(path))))
            | Err(ImageError::Scan(ScanError::Changed(path))) => path,
            done => return done,
        };
        made += 1;
        if made == ATTEMPTS {
            return Err(ImageError::KeepsChanging(changed));
        }
        std::thread::sleep(pause * made);
    }
}

fn image_once(folder: &Path, options: &ScanOptions, cache: &Path) -> Result<Image, ImageError> {
    let Scan {
        tree,
        fingerprint,
        newest,
        entries,
        skipped,
        ..
    } = scan(folder, options)?;
    let path = cache.join(format!("{fingerprint}.erofs"));
    let image = |bytes, reused| Image {
        path: path.clone(),
        bytes,
        fingerprint,
        reused,
        entries,
        skipped,
    };
    if let Ok(found) = std::fs::symlink_metadata(&path)
        && found.is_file()
    {
        return Ok(image(found.len(), true));
    }
    settle(newest);
    let options = WriteOptions {
        build_time: Time::default(),
        max_bytes: options.max_bytes,
        durable: false,
    };
    let written = erofs::write(&tree, &options, &path)?;
    Ok(image(written.bytes, false))
}

/// Waits until the tick of the newest change is over. A later change then has a later time; one
/// within the tick would look like the first, and might come after the file was copied. Times in
/// the future (another machine's clock) are not waited for.
fn settle(newest: Time) {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let newest = Duration::new(u64::try_from(newest.secs).unwrap_or(0), newest.nanos);
    if now >= newest {
        std::thread::sleep((newest + TICK).saturating_sub(now));
    }
}

#[cfg(test)]
mod tests;
