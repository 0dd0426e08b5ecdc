// SPDX-License-Identifier: Apache-2.0
//! Reading a log, also while it is written.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{CURRENT, MAGIC, PREVIOUS, RECORD_HEADER, SEGMENT_HEADER, Stream};

/// Bytes of one chunk.
const CHUNK: usize = 64 * 1024;

/// Some bytes of one stream.
#[derive(Debug)]
pub struct Chunk {
    /// Whose.
    pub stream: Stream,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether something was lost before them.
    pub missed: bool,
}

struct Segment {
    file: File,
    inode: u64,
    number: u64,
}

/// A place in a log.
pub struct LogReader {
    folder: PathBuf,
    segment: Option<Segment>,
    offset: u64,
    record: Option<(Stream, u64)>,
    next_number: u64,
    missed: bool,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { folder, offset, .. } = self;
        f.debug_struct("LogReader")
            .field("folder", folder)
            .field("offset", offset)
            .finish()
    }
}

impl LogReader {
    /// At the beginning of what is kept.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            segment: None,
            offset: 0,
            record: None,
            next_number: 0,
            missed: false,
        }
    }

    /// The next bytes; `None` at what is the end for now.
    ///
    /// # Errors
    /// What the system says, or `InvalidData`.
    pub fn read(&mut self) -> io::Result<Option<Chunk>> {
        loop {
            if self.segment.is_none() && !self.open_next()? {
                return Ok(None);
            }
            if let Some(chunk) = self.chunk()? {
                return Ok(Some(chunk));
            }
            if !self.is_superseded()? {
                return Ok(None);
            }
            // What came between the last read and the rename.
            if let Some(chunk) = self.chunk()? {
                return Ok(Some(chunk));
            }
            self.segment = None;
        }
    }

    /// Opens the segment that follows: the previous one if it was not read yet, or the current.
    fn open_next(&mut self) -> io::Result<bool> {
        let segments = [PREVIOUS, CURRENT].map(|name| segment(&self.folder.join(name)));
        for found in segments {
            let Some(found) = found? else { continue };
            if found.number < self.next_number {
                continue;
            }
            self.missed |= found.number > self.next_number;
            self.next_number = found.number + 1;
            self.offset = SEGMENT_HEADER as u64;
            self.record = None;
            self.segment = Some(found);
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether another segment has become the current one.
    fn is_superseded(&self) -> io::Result<bool> {
        match (std::fs::metadata(self.folder.join(CURRENT)), &self.segment) {
            (Ok(current), Some(segment)) => Ok(current.ino() != segment.inode),
            (Err(error), _) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            (Err(error), _) => Err(error),
            (Ok(_), None) => Ok(true),
        }
    }

    fn chunk(&mut self) -> io::Result<Option<Chunk>> {
        let Some(segment) = &self.segment else {
            return Ok(None);
        };
        let (stream, left) = match self.record {
            Some(record) => record,
            None => {
                let mut header = [0; RECORD_HEADER];
                if segment.file.read_at(&mut header, self.offset)? < RECORD_HEADER {
                    return Ok(None);
                }
                self.offset += RECORD_HEADER as u64;
                parse(&header)?
            }
        };
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)];
        let n = segment.file.read_at(&mut bytes, self.offset)?;
        bytes.truncate(n);
        self.offset += n as u64;
        let left = left - n as u64;
        self.record = (left > 0).then_some((stream, left));
        if n == 0 {
            return Ok(None);
        }
        let missed = std::mem::take(&mut self.missed);
        Ok(Some(Chunk {
            stream,
            bytes,
            missed,
        }))
    }
}

fn parse(header: &[u8; RECORD_HEADER]) -> io::Result<(Stream, u64)> {
    let [a, b, c, d, stream, ..] = *header;
    let stream = match stream {
        1 => Stream::Stdout,
        2 => Stream::Stderr,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a damaged log")),
    };
    Ok((stream, u32::from_le_bytes([a, b, c, d]).into()))
}

fn segment(path: &Path) -> io::Result<Option<Segment>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut header = [0; SEGMENT_HEADER];
    if file.read_at(&mut header, 0)? < SEGMENT_HEADER {
        return Ok(None); // being written at this moment
    }
    let (magic, number) = header.split_at(MAGIC.len());
    let number = <[u8; 8]>::try_from(number)
        .map(u64::from_le_bytes)
        .unwrap_or(0);
    if magic != MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a log"));
    }
    let inode = file.metadata()?.ino();
    Ok(Some(Segment {
        file,
        inode,
        number,
    }))
}
