// SPDX-License-Identifier: Apache-2.0
//! What a task wrote, kept on disk within a bound, stdout and stderr apart and in order.
//!
//! A log is at most two segments, `log` and the one before it, `log.old`. A segment that is full
//! becomes `log.old`, so the last [`SEGMENT`] bytes are always there. A segment begins with its
//! number, by which a reader that follows sees what it missed; then come records:
//!
//! ```text
//!  0        4   5    8                16
//! +--------+---+----+----------------+-------- - -
//! | length | 1 |  0 | ns since 1970  | bytes        1: stdout, 2: stderr; little-endian
//! +--------+---+----+----------------+-------- - -
//! ```

mod reader;
mod writer;

pub use reader::{Chunk, LogReader};
pub use writer::LogWriter;

/// Bytes of a segment.
pub const SEGMENT: u64 = 8 << 20;

/// Bytes before the first record: a magic word and the segment's number.
const SEGMENT_HEADER: usize = 16;

/// First bytes of a segment.
const MAGIC: [u8; 8] = *b"AMPLOG1\n";

/// Bytes before a record's own.
const RECORD_HEADER: usize = 16;

/// The segment that is written.
const CURRENT: &str = "log";

/// The one before it.
const PREVIOUS: &str = "log.old";

/// Which stream bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::IoSlice;

    fn text(chunks: &[Chunk], stream: Stream) -> Vec<u8> {
        let mine = chunks.iter().filter(|chunk| chunk.stream == stream);
        mine.flat_map(|chunk| chunk.bytes.clone()).collect()
    }

    fn read(reader: &mut LogReader) -> (Vec<Chunk>, bool) {
        let mut all = Vec::new();
        let mut missed = false;
        while let Some(chunk) = reader.read().unwrap() {
            missed |= chunk.missed;
            all.push(chunk);
        }
        (all, missed)
    }

    #[test]
    fn streams_are_kept_apart_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::create(dir.path()).unwrap();
        writer.write(
            Stream::Stdout,
            &[IoSlice::new(b"ou"), IoSlice::new(b"t\nXX")],
            4,
        );
        writer.write(Stream::Stderr, &[IoSlice::new(b"err\n")], 4);
        let mut reader = LogReader::open(dir.path());
        let (all, missed) = read(&mut reader);
        assert_eq!(text(&all, Stream::Stdout), b"out\n");
        assert_eq!(text(&all, Stream::Stderr), b"err\n");
        assert!(!missed);
        writer.write(Stream::Stdout, &[IoSlice::new(b"more")], 4);
        assert_eq!(text(&read(&mut reader).0, Stream::Stdout), b"more");
    }

    #[test]
    fn a_log_is_bounded_and_its_end_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::with_segment(dir.path(), 1000).unwrap();
        for n in 0..500u32 {
            let line = format!("line {n}\n");
            writer.write(Stream::Stdout, &[IoSlice::new(line.as_bytes())], line.len());
        }
        let size: u64 = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().metadata().unwrap().len())
            .sum();
        assert!(size <= 2000, "{size}");
        let (all, missed) = read(&mut LogReader::open(dir.path()));
        let all = String::from_utf8(text(&all, Stream::Stdout)).unwrap();
        assert!(
            all.ends_with("line 498\nline 499\n") && all.starts_with("line "),
            "{all}"
        );
        assert!(missed);
    }

    #[test]
    fn a_reader_that_follows_sees_every_segment() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::with_segment(dir.path(), 1000).unwrap();
        let mut reader = LogReader::open(dir.path());
        let mut seen = Vec::new();
        let mut wanted = Vec::new();
        for n in 0..500u32 {
            let line = format!("line {n}\n");
            wanted.extend_from_slice(line.as_bytes());
            writer.write(Stream::Stdout, &[IoSlice::new(line.as_bytes())], line.len());
            if n % 7 == 0 {
                seen.extend(text(&read(&mut reader).0, Stream::Stdout));
            }
        }
        seen.extend(text(&read(&mut reader).0, Stream::Stdout));
        assert_eq!(seen, wanted);
    }

    #[test]
    fn a_write_larger_than_a_segment_keeps_the_bound() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::with_segment(dir.path(), 1000).unwrap();
        let big: Vec<u8> = (0..5000u32).map(|n| (n % 251) as u8).collect();
        writer.write(Stream::Stdout, &[IoSlice::new(&big)], big.len());
        let (all, _) = read(&mut LogReader::open(dir.path()));
        let kept = text(&all, Stream::Stdout);
        assert!(!kept.is_empty() && big.ends_with(&kept));
        assert!(std::fs::metadata(dir.path().join(CURRENT)).unwrap().len() <= 1000);
    }

    #[test]
    fn no_log_reads_as_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(LogReader::open(dir.path()).read().unwrap().is_none());
    }
}
