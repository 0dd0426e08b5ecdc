// SPDX-License-Identifier: Apache-2.0
//! One area of the image, written front to back through one large buffer.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;

use super::spec::BLOCK;
use crate::tree::{ContentError, Opened};

/// Bytes gathered before a write. Larger ones measure no faster.
const BUFFER: usize = 512 << 10;

/// From this length a copy inside the kernel is worth its extra calls; file systems that share
/// blocks (Btrfs, XFS) then copy nothing at all.
const KERNEL_COPY: u64 = 128 << 10;

/// What can fail while content is moved.
#[derive(Debug)]
pub(super) enum CopyError {
    Image(io::Error),
    Content(ContentError),
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::Image(error)
    }
}

impl From<ContentError> for CopyError {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

#[derive(Debug)]
pub(super) struct Stream<'a> {
    image: &'a File,
    /// Where the buffer's first byte belongs.
    at: u64,
    buffer: Vec<u8>,
    used: usize,
    kernel_copy: bool,
}

impl<'a> Stream<'a> {
    /// A stream that begins at `at`.
    pub(super) fn new(image: &'a File, at: u64) -> Self {
        Self {
            image,
            at,
            buffer: vec![0; BUFFER],
            used: 0,
            kernel_copy: true,
        }
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> u64 {
        self.at + self.used as u64
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(BUFFER) {
            self.room(part.len())?.copy_from_slice(part);
            self.used += part.len();
        }
        Ok(())
    }

    /// Zeros up to `position`, which is less than a buffer away.
    pub(super) fn pad_to(&mut self, position: u64) -> io::Result<()> {
        let gap = position.saturating_sub(self.position());
        let gap = usize::try_from(gap).unwrap_or(BUFFER).min(BUFFER);
        self.room(gap)?.fill(0);
        self.used += gap;
        Ok(())
    }

    /// Zeros up to the next block.
    pub(super) fn pad_block(&mut self) -> io::Result<()> {
        self.pad_to(self.position().next_multiple_of(BLOCK))
    }

    /// `len` bytes of a content from `offset`.
    pub(super) fn copy(
        &mut self,
        content: &Opened<'_>,
        mut offset: u64,
        len: u64,
    ) -> Result<(), CopyError> {
        let end = offset + len;
        if len >= KERNEL_COPY {
            offset += self.copy_in_kernel(content, offset, len)?;
        }
        while offset < end {
            if self.used == BUFFER {
                self.flush()?;
            }
            let free = &mut self.buffer[self.used..];
            let count =
                usize::try_from(end - offset).map_or(free.len(), |left| left.min(free.len()));
            content.read(&mut free[..count], offset)?;
            self.used += count;
            offset += count as u64;
        }
        Ok(())
    }

    /// Copies what the kernel will copy by itself and says how much that was. Once it refuses
    /// (another file system, an old kernel), it is not asked again.
    fn copy_in_kernel(&mut self, content: &Opened<'_>, offset: u64, len: u64) -> io::Result<u64> {
        let Some((file, base)) = content.file() else {
            return Ok(0);
        };
        if !self.kernel_copy {
            return Ok(0);
        }
        self.flush()?;
        let mut from = base + offset;
        let mut done = 0;
        while done < len {
            let left = usize::try_from(len - done).unwrap_or(usize::MAX >> 1);
            let copied = rustix::fs::copy_file_range(
                file,
                Some(&mut from),
                self.image,
                Some(&mut self.at),
                left,
            );
            match copied {
                // The source ended early: reading finds out what that means.
                Ok(0) => break,
                Ok(count) => done += count as u64,
                Err(Errno::INTR) => {}
                Err(Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::FBIG) => {
                    // Said by the write that follows, which knows whose error it is.
                    break;
                }
                Err(_) => {
                    self.kernel_copy = false;
                    break;
                }
            }
        }
        Ok(done)
    }

    /// At least `len` free bytes of the buffer, which is no shorter.
    fn room(&mut self, len: usize) -> io::Result<&mut [u8]> {
        if BUFFER - self.used < len {
            self.flush()?;
        }
        Ok(&mut self.buffer[self.used..self.used + len])
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.image
            .write_all_at(&self.buffer[..self.used], self.at)?;
        self.at += self.used as u64;
        self.used = 0;
        Ok(())
    }
}
