// SPDX-License-Identifier: Apache-2.0
//! Writing a log. A log that cannot be written (a full disk) is given up with one line; the
//! task goes on.

use std::fs::{self, File};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{CURRENT, MAGIC, PREVIOUS, RECORD_HEADER, SEGMENT, SEGMENT_HEADER, Stream};

/// The log of a running task.
#[derive(Debug)]
pub struct LogWriter {
    folder: PathBuf,
    /// None once writing failed.
    file: Option<File>,
    number: u64,
    written: u64,
    segment: u64,
}

impl LogWriter {
    /// Begins the log of a task in its folder, which must be there.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(folder: &Path) -> io::Result<Self> {
        Self::with_segment(folder, SEGMENT)
    }

    pub(super) fn with_segment(folder: &Path, segment: u64) -> io::Result<Self> {
        let file = begin(folder, 0)?;
        let written = SEGMENT_HEADER as u64;
        Ok(Self {
            folder: folder.to_owned(),
            file: Some(file),
            number: 0,
            written,
            segment,
        })
    }

    /// Appends the first `len` bytes of `parts`.
    pub fn write(&mut self, stream: Stream, parts: &[IoSlice<'_>], len: usize) {
        let mut rest = len;
        for part in parts {
            let part = &part[..part.len().min(rest)];
            rest -= part.len();
            if let Err(error) = self.append(stream, part) {
                if self.file.take().is_some() {
                    let folder = self.folder.display();
                    eprintln!("ampoule: the log in {folder} is cut off here: {error}");
                }
                return;
            }
        }
    }

    fn append(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        // What would be pushed out by the rest of the same write need not be written at all.
        let most =
            usize::try_from(self.segment).unwrap_or(usize::MAX) - SEGMENT_HEADER - RECORD_HEADER;
        let whole_segments = bytes.len().saturating_sub(1) / most;
        let skip = whole_segments.saturating_sub(1) * most;
        if skip > 0 {
            self.number += 1;
        }
        for record in bytes[skip..].chunks(most) {
            self.rotate(RECORD_HEADER + record.len())?;
            let Some(file) = &mut self.file else {
                return Ok(());
            };
            let header = header(stream, record.len());
            write_both(file, &header, record)?;
            self.written += (RECORD_HEADER + record.len()) as u64;
        }
        Ok(())
    }

    /// Begins a new segment unless `more` bytes fit this one.
    fn rotate(&mut self, more: usize) -> io::Result<()> {
        if self.file.is_none() || self.written + more as u64 <= self.segment {
            return Ok(());
        }
        fs::rename(self.folder.join(CURRENT), self.folder.join(PREVIOUS))?;
        self.number += 1;
        self.file = Some(begin(&self.folder, self.number)?);
        self.written = SEGMENT_HEADER as u64;
        Ok(())
    }
}

fn begin(folder: &Path, number: u64) -> io::Result<File> {
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(folder.join(CURRENT))?;
    let mut header = [0; SEGMENT_HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..].copy_from_slice(&number.to_le_bytes());
    file.write_all(&header)?;
    Ok(file)
}

fn header(stream: Stream, len: usize) -> [u8; RECORD_HEADER] {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let mut header = [0; RECORD_HEADER];
    header[..4].copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    header[4] = match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    };
    header[8..].copy_from_slice(&nanos.to_le_bytes());
    header
}

/// One system call where the disk allows it, so that a reader rarely sees half a record.
fn write_both(file: &mut File, header: &[u8], bytes: &[u8]) -> io::Result<()> {
    let wrote = file.write_vectored(&[IoSlice::new(header), IoSlice::new(bytes)])?;
    if let Some(rest) = header.get(wrote..) {
        file.write_all(rest)?;
    }
    file.write_all(&bytes[wrote.saturating_sub(header.len())..])
}
