// SPDX-License-Identifier: Apache-2.0
//! The index: the files git knows, and what they looked like when it last saw them.
//!
//! Format: gitformat-index(5), versions 2 to 4. What does not fit it, or splits or thins the index
//! (`link`, `sdir`), is no index for us.

use std::collections::HashMap;

use rustix::fs::{FileType, Stat};

use super::Oid;
use crate::workspace::beneath::size;
use crate::workspace::clock::Clock;

/// Most files that are read. Git itself is slow by then, and the time for looking over.
const ENTRIES: u32 = 1_000_000;

/// How often the clock is asked, in files.
const STRIDE: u32 = 4096;

/// A time of a file, in seconds and nanoseconds, as the index keeps it.
type Time = (u32, u32);

/// A file in the index.
#[derive(Debug)]
pub(super) struct Entry {
    /// From the top of the work tree.
    pub(super) path: Box<[u8]>,
    pub(super) mode: u32,
    pub(super) oid: Oid,
    ctime: Time,
    mtime: Time,
    inode: u32,
    size: u32,
    /// In conflict, added by intent only, or said to be unchanged whatever is seen.
    odd: bool,
    /// The last commit has a file there.
    pub(super) known: bool,
    /// The last commit has it as it is here.
    pub(super) committed: bool,
    /// A remote has it as it is here.
    pub(super) pushed: bool,
}

impl Entry {
    /// Whether a file is what git last saw, by the same signs that git goes by. One that changed in
    /// the tick in which the index was written might look the same and counts as changed.
    pub(super) fn is_unchanged(&self, stat: &Stat, written: Time) -> bool {
        let mode = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if stat.st_mode & 0o100 != 0 => 0o100_755,
            FileType::RegularFile => 0o100_644,
            FileType::Symlink => 0o120_000,
            _ => return false,
        };
        !self.odd
            && self.mode == mode
            && u64::from(self.size) == size(stat) & u64::from(u32::MAX)
            && self.mtime == time(stat.st_mtime, stat.st_mtime_nsec)
            && self.ctime == time(stat.st_ctime, stat.st_ctime_nsec)
            && u64::from(self.inode) == stat.st_ino & u64::from(u32::MAX)
            && self.mtime < written
    }
}

/// When a file was last changed.
pub(super) fn modified(stat: &Stat) -> Time {
    time(stat.st_mtime, stat.st_mtime_nsec)
}

/// The low 32 bits of each, as git keeps them.
fn time(secs: i64, nanos: impl TryInto<u32>) -> Time {
    let secs = u32::try_from(secs.rem_euclid(1 << 32)).unwrap_or(0);
    (secs, nanos.try_into().unwrap_or(0))
}

/// The index, read.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Sorted by path.
    pub(super) entries: Vec<Entry>,
    /// Folders whose tree git had at hand when it wrote the index, with the slash behind them.
    pub(super) trees: HashMap<Vec<u8>, Oid>,
}

impl Index {
    /// Reads an index; nothing when it is not one we know.
    pub(super) fn parse(bytes: &[u8], clock: &Clock) -> Option<Self> {
        // The checksum at the end is not ours to check: who could forge the file could forge it.
        let end = bytes.len().checked_sub(20)?;
        let mut rest = Bytes(bytes.get(..end)?);
        if rest.take(4)? != b"DIRC" {
            return None;
        }
        let version = rest.number()?;
        let count = rest.number()?;
        if !(2..=4).contains(&version) || count > ENTRIES {
            return None;
        }
        let mut index = Self::default();
        let mut last: Vec<u8> = Vec::new();
        for nth in 0..count {
            if nth.is_multiple_of(STRIDE) && clock.is_over() {
                return None;
            }
            let entry = entry(&mut rest, version, &mut last)?;
            let sorted = index
                .entries
                .last()
                .is_none_or(|last| last.path <= entry.path);
            if !sorted {
                return None;
            }
            index.entries.push(entry);
        }
        while rest.0.len() >= 8 {
            let name = rest.take(4)?;
            let len = usize::try_from(rest.number()?).ok()?;
            let body = rest.take(len)?;
            match name {
                b"TREE" => index.trees = trees(body).unwrap_or_default(),
                // A capital letter marks what may be left out.
                [b'A'..=b'Z', ..] => {}
                _ => return None,
            }
        }
        Some(index)
    }

    /// Where a file is in the list.
    pub(super) fn find(&self, path: &[u8]) -> Option<usize> {
        let found = self
            .entries
            .binary_search_by(|entry| entry.path.as_ref().cmp(path));
        found.ok()
    }

    /// The files whose paths begin so.
    pub(super) fn below(&mut self, prefix: &[u8]) -> &mut [Entry] {
        let start = self
            .entries
            .partition_point(|entry| entry.path.as_ref() < prefix);
        let rest = self.entries.get_mut(start..).unwrap_or_default();
        let end = rest.partition_point(|entry| entry.path.starts_with(prefix));
        rest.get_mut(..end).unwrap_or_default()
    }
}

fn entry(rest: &mut Bytes, version: u32, last: &mut Vec<u8>) -> Option<Entry> {
    let before = rest.0.len();
    let ctime = (rest.number()?, rest.number()?);
    let mtime = (rest.number()?, rest.number()?);
    let _device = rest.number()?;
    let inode = rest.number()?;
    let mode = rest.number()?;
    let _owner = (rest.number()?, rest.number()?);
    let size = rest.number()?;
    let oid: Oid = rest.take(20)?.try_into().ok()?;
    let flags = rest.short()?;
    // Assumed unchanged, or of a stage that a conflict made.
    let mut odd = flags & 0xB000 != 0;
    if flags & 0x4000 != 0 {
        // Skipped in the work tree, or added by intent.
        odd |= rest.short()? & 0x6000 != 0;
    }
    if version == 4 {
        let cut = rest.offset()?;
        last.truncate(last.len().checked_sub(cut)?);
        last.extend_from_slice(rest.until_nul()?);
    } else {
        last.clear();
        last.extend_from_slice(rest.until_nul()?);
        // Up to seven more zeros, to a multiple of eight.
        let used = before.checked_sub(rest.0.len())?;
        rest.take((8 - used % 8) % 8)?;
    }
    Some(Entry {
        path: last.as_slice().into(),
        mode,
        oid,
        ctime,
        mtime,
        inode,
        size,
        odd,
        known: false,
        committed: false,
        pushed: false,
    })
}

/// Most folders within folders that are read from the cache of trees.
const DEPTH: usize = 256;

/// The cache of trees: each folder as its name, the number of its files (-1 when it is out of
/// date) and of its folders, and its tree; folders before what is in them.
fn trees(body: &[u8]) -> Option<HashMap<Vec<u8>, Oid>> {
    let mut trees = HashMap::new();
    let mut rest = Bytes(body);
    // The folders around: the length of their paths, and how many in them are still to come.
    let mut open: Vec<(usize, u32)> = Vec::new();
    let mut path: Vec<u8> = Vec::new();
    while !rest.0.is_empty() {
        let name = rest.until_nul()?;
        let files = rest.until(b' ')?;
        let folders: u32 = std::str::from_utf8(rest.until(b'\n')?).ok()?.parse().ok()?;
        if !name.is_empty() {
            path.extend_from_slice(name);
            path.push(b'/');
        }
        if files != b"-1" {
            trees.insert(path.clone(), rest.take(20)?.try_into().ok()?);
        }
        open.push((path.len(), folders));
        if open.len() > DEPTH {
            return None;
        }
        while let Some((_, 0)) = open.last() {
            open.pop();
        }
        let Some((len, left)) = open.last_mut() else {
            break;
        };
        *left = left.saturating_sub(1);
        path.truncate(*len);
    }
    Some(trees)
}

/// Bytes that are taken from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let at = self.0.iter().position(|byte| *byte == end)?;
        let taken = self.take(at)?;
        self.take(1)?;
        Some(taken)
    }

    fn until_nul(&mut self) -> Option<&'a [u8]> {
        self.until(0)
    }

    /// A number of seven bits a byte, as packs have it for offsets.
    fn offset(&mut self) -> Option<usize> {
        let mut value = 0_usize;
        for at in 0..5 {
            let byte = *self.take(1)?.first()?;
            value = value
                .checked_mul(128)?
                .checked_add(usize::from(byte & 127))?;
            if byte & 128 == 0 {
                return Some(value);
            }
            if at < 4 {
                value = value.checked_add(1)?;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock() -> Clock {
        Clock::new(std::time::Duration::from_secs(60))
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..400), version in 1_u32..6, count in 0_u32..5) {
            let mut bytes = b"DIRC".to_vec();
            bytes.extend(version.to_be_bytes());
            bytes.extend(count.to_be_bytes());
            bytes.extend(&body);
            let _ = Index::parse(&bytes, &clock());
            let _ = trees(&body);
        }
    }

    #[test]
    fn a_count_beyond_what_is_there_is_no_index() {
        let mut bytes = b"DIRC\0\0\0\x02\0\0\xff\xff".to_vec();
        bytes.extend([0; 20]);
        assert!(Index::parse(&bytes, &clock()).is_none());
    }
}
