// SPDX-License-Identifier: Apache-2.0
//! The record on disk. Any number of processes add to it; nobody ever changes what it has.
//!
//! ```text
//! lock ► same file as its path says? ► last number ► one write of whole lines ► unlock
//!        no: open anew                 known, while its length is as we left it
//! ```
//!
//! The lock is flock(2)'s, given up by name: a copy of this process that still has the descriptor
//! must not keep it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::line;
use super::tail::{self, Tail};
use super::what::{Event, What};
use super::{EventsError, now_ms};

/// How long a writer waits for another's write.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at a lock that another holds: a write takes some tens of microseconds.
const FIRST_PAUSE: Duration = Duration::from_micros(50);

/// The longest of them.
const LAST_PAUSE: Duration = Duration::from_millis(5);

/// How often a file may be replaced while it is being opened.
const TRIES: usize = 16;

/// The record, opened when it is first written to.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    id: (u64, u64),
    /// Length and last number as this process left them.
    left: Option<(u64, u64)>,
    /// Length where a write of this process was cut off; its lines are written again.
    cut: Option<u64>,
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// How many lines are in the file all the same.
    pub(super) written: usize,
    /// Why.
    pub(super) error: EventsError,
}

impl From<EventsError> for Failed {
    fn from(error: EventsError) -> Self {
        Self { written: 0, error }
    }
}

impl Record {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Makes or opens the file.
    pub(super) fn prepare(&mut self) -> Result<(), EventsError> {
        if self.open.is_none() {
            let open = open(&self.path).map_err(|e| failed(&self.path, e))?;
            self.open = Some(open);
        }
        Ok(())
    }

    /// Adds lines, each without its number; the last one's.
    pub(super) fn append(&mut self, bodies: &[String]) -> Result<u64, Failed> {
        self.lock()?;
        let result = self.append_locked(bodies);
        if let Some(open) = &mut self.open {
            let _ = flock(&open.file, FlockOperation::Unlock);
        }
        result
    }

    fn append_locked(&mut self, bodies: &[String]) -> Result<u64, Failed> {
        let path = &self.path;
        let failed = |e| Failed::from(failed(path, e));
        let Some(open) = &mut self.open else {
            return Err(failed(io::Error::other("it is not open")));
        };
        let len = open.file.metadata().map_err(failed)?.len();
        let tail = match open.left {
            Some((left, last)) if left == len => Tail {
                last,
                torn: 0,
                whole: false,
            },
            _ => tail::look(&open.file, len).map_err(failed)?,
        };
        let mut text = repaired(&tail, u64::from(open.cut != Some(len)));
        let repair = text.lines().count().saturating_sub(1) as u64;
        let first = text.len();
        let mut number = tail.last.saturating_add(repair);
        for body in bodies {
            number = number.saturating_add(1);
            text.push_str(&line::line(number, body));
        }
        if number == u64::MAX {
            let path = path.clone();
            return Err(EventsError::Numbers { path }.into());
        }
        let (count, result) = write(&mut open.file, text.as_bytes());
        if let Err(error) = result {
            open.cut = Some(len + count as u64);
            let ours = text.as_bytes().get(first..count).unwrap_or_default();
            let written = ours.iter().filter(|byte| **byte == b'\n').count();
            let error = super::file::failed(path, error);
            return Err(Failed { written, error });
        }
        open.left = Some((len + count as u64, number));
        Ok(number)
    }

    /// Has everything that was written reach the disk.
    pub(super) fn sync(&self) -> Result<(), EventsError> {
        match &self.open {
            Some(open) => open.file.sync_data().map_err(|e| failed(&self.path, e)),
            None => Ok(()),
        }
    }

    /// Locks the file that the path names, opening it anew when it is another one by now.
    fn lock(&mut self) -> Result<(), EventsError> {
        for _ in 0..TRIES {
            self.prepare()?;
            let Some(open) = &self.open else { break };
            lock(&open.file).map_err(|e| match e {
                Errno::WOULDBLOCK => EventsError::Busy {
                    path: self.path.clone(),
                },
                errno => failed(&self.path, errno.into()),
            })?;
            match fs::symlink_metadata(&self.path) {
                Ok(there) if (there.dev(), there.ino()) == open.id => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&self.path, error)),
            }
            self.open = None; // which unlocks
        }
        let error = io::Error::other("it is replaced again and again");
        Err(failed(&self.path, error))
    }
}

/// What is written first: the end of a torn line, and what is known of it. Nobody knows how many
/// lines its writer had left.
fn repaired(tail: &Tail, lost: u64) -> String {
    if tail.torn == 0 {
        return String::new();
    }
    if tail.whole {
        return "\n".to_owned();
    }
    let event = Event::from(What::Gap {
        lost,
        why: format!(
            "the {} bytes before this cannot be read: a writer was cut off",
            tail.torn
        ),
    });
    let body = line::body(event, now_ms());
    format!("\n{}", line::line(tail.last.saturating_add(1), &body))
}

/// One write, mostly; how many bytes are in the file.
fn write(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut count = 0;
    while let Some(rest) = bytes.get(count..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (count, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => count += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (count, Err(error)),
        }
    }
    (count, Ok(()))
}

fn lock(file: &File) -> Result<(), Errno> {
    let give_up = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if Instant::now() < give_up => {
                std::thread::sleep(pause);
                pause = LAST_PAUSE.min(pause * 2);
            }
            other => return other,
        }
    }
}

fn open(path: &Path) -> io::Result<Open> {
    let folder = path.parent().unwrap_or(path);
    let mut private = DirBuilder::new();
    private.recursive(true).mode(0o700).create(folder)?;
    close_to_others(folder, fs::symlink_metadata(folder)?.mode(), 0o700)?;
    let mut options = File::options();
    options.read(true).append(true).mode(0o600);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = options.create(true).open(path)?;
            // Its name must outlive a crash as the lines do.
            for folder in [Some(folder), folder.parent()].into_iter().flatten() {
                File::open(folder)?.sync_all()?;
            }
            file
        }
        opened => opened?,
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    close_to_others(path, meta.mode(), 0o600)?;
    Ok(Open {
        id: (meta.dev(), meta.ino()),
        file,
        left: None,
        cut: None,
    })
}

fn close_to_others(path: &Path, mode: u32, private: u32) -> io::Result<()> {
    if mode & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(private))
}

fn failed(path: &Path, source: io::Error) -> EventsError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EventsError::Full { path },
        _ => EventsError::File { path, source },
    }
}
