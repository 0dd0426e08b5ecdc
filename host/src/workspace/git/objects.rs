// SPDX-License-Identifier: Apache-2.0
//! Commits and trees, out of loose objects and packs.
//!
//! Formats: gitformat-pack(5), gitrepository-layout(5). Objects that other repositories lend
//! (`objects/info/alternates`) are not looked for. Every length is bounded; what is too long, too
//! deep or malformed is not found.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::fs::{Dir, OFlags};

use super::Oid;
use crate::workspace::beneath::{Beneath, size};
use crate::workspace::clock::Clock;

/// Longest object that is read: the tree of a folder with a hundred thousand files.
const OBJECT: usize = 8 << 20;

/// Most packs that are looked through.
const PACKS: usize = 64;

/// Longest chain of differences; git makes them 50 long.
const CHAIN: usize = 128;

/// Longest pack: file offsets are signed.
const PACK: u64 = 1 << 62;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    Tree,
    Other,
}

/// All objects of a repository.
#[derive(Debug)]
pub(super) struct Objects<'a> {
    folder: Beneath,
    packs: Option<Vec<Pack>>,
    clock: &'a Clock,
}

/// A pack and its index, open.
#[derive(Debug)]
struct Pack {
    index: File,
    pack: File,
    len: u64,
    count: u64,
}

impl<'a> Objects<'a> {
    pub(super) fn open(common: &Beneath, clock: &'a Clock) -> Option<Self> {
        Some(Self {
            folder: common.folder(b"objects").ok()?,
            packs: None,
            clock,
        })
    }

    /// An object of a kind.
    pub(super) fn get(&mut self, oid: &Oid, wanted: Kind) -> Option<Vec<u8>> {
        if self.clock.is_over() {
            return None;
        }
        let (kind, bytes) = self.loose(oid).or_else(|| self.packed(oid))?;
        (kind == wanted).then_some(bytes)
    }

    fn loose(&self, oid: &Oid) -> Option<(Kind, Vec<u8>)> {
        let mut path = hex(oid);
        path.insert(2, '/');
        let limit = u64::try_from(OBJECT).ok()?;
        let (packed, _) = self.folder.read(path.as_bytes(), limit)?;
        let bytes = inflate(&packed, OBJECT)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let (head, body) = bytes.split_at(end);
        let kind = match head.split(|byte| *byte == b' ').next()? {
            b"commit" => Kind::Commit,
            b"tree" => Kind::Tree,
            _ => Kind::Other,
        };
        Some((kind, body.get(1..)?.to_vec()))
    }

    fn packed(&mut self, oid: &Oid) -> Option<(Kind, Vec<u8>)> {
        if self.packs.is_none() {
            self.packs = Some(packs(&self.folder));
        }
        let packs = self.packs.as_deref()?;
        packs.iter().find_map(|pack| {
            let at = pack.find(oid)?;
            pack.object(at)
        })
    }
}

fn packs(folder: &Beneath) -> Vec<Pack> {
    let Ok(listed) = folder.open(b"pack", OFlags::DIRECTORY).and_then(Dir::new) else {
        return Vec::new();
    };
    let names = listed.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().to_bytes();
        name.strip_suffix(b".idx").map(<[u8]>::to_vec)
    });
    let packs = names
        .take(PACKS)
        .filter_map(|name| Pack::open(folder, &name));
    packs.collect()
}

impl Pack {
    fn open(folder: &Beneath, name: &[u8]) -> Option<Self> {
        let path = |ending: &[u8]| [b"pack/", name, ending].concat();
        let (index, _) = folder.file(&path(b".idx"), PACK)?;
        let (pack, stat) = folder.file(&path(b".pack"), PACK)?;
        let mut head = [0; 8];
        index.read_exact_at(&mut head, 0).ok()?;
        if head != *b"\xfftOc\0\0\0\x02" {
            return None;
        }
        let count = u64::from(number(&index, 8 + 255 * 4)?);
        Some(Self {
            index,
            pack,
            len: size(&stat),
            count,
        })
    }

    /// Where an object is in the pack.
    fn find(&self, oid: &Oid) -> Option<u64> {
        let first = u64::from(*oid.first()?);
        let mut low = match first {
            0 => 0,
            first => u64::from(number(&self.index, 8 + (first - 1) * 4)?),
        };
        let mut high = u64::from(number(&self.index, 8 + first * 4)?).min(self.count);
        // Four tables follow one another: where names begin, names, checks, offsets.
        let names = 8 + 256 * 4;
        while low < high {
            let middle = low.midpoint(high);
            let mut name = Oid::default();
            self.index
                .read_exact_at(&mut name, names + middle * 20)
                .ok()?;
            match name.cmp(oid) {
                std::cmp::Ordering::Equal => return self.offset(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn offset(&self, nth: u64) -> Option<u64> {
        let offsets = 8 + 256 * 4 + self.count * 24;
        let short = number(&self.index, offsets + nth * 4)?;
        let long = u64::from(short & 0x7FFF_FFFF);
        if short & 0x8000_0000 == 0 {
            return Some(long);
        }
        let at = offsets + self.count * 4 + long * 8;
        let high = u64::from(number(&self.index, at)?);
        Some(high << 32 | u64::from(number(&self.index, at + 4)?))
    }

    /// The object at an offset, its differences applied.
    fn object(&self, at: u64) -> Option<(Kind, Vec<u8>)> {
        let mut at = at;
        let mut deltas: Vec<Vec<u8>> = Vec::new();
        let mut total = 0_usize;
        loop {
            let part = self.part(at)?;
            total = total.checked_add(part.bytes.len())?;
            if deltas.len() > CHAIN || total > OBJECT {
                return None;
            }
            let kind = match part.base {
                Base::None(kind) => kind,
                Base::At(base) => {
                    deltas.push(part.bytes);
                    at = base;
                    continue;
                }
            };
            let mut bytes = part.bytes;
            for delta in deltas.iter().rev() {
                bytes = apply(delta, &bytes)?;
            }
            return Some((kind, bytes));
        }
    }

    fn part(&self, at: u64) -> Option<Part> {
        let mut head = [0; 32];
        let there = usize::try_from(self.len.checked_sub(at)?.min(32)).ok()?;
        let head = head.get_mut(..there)?;
        self.pack.read_exact_at(head, at).ok()?;
        let mut rest = &*head;
        let first = next(&mut rest)?;
        let mut size = usize::from(first & 15);
        let mut more = first;
        let mut shift = 4_u32;
        while more & 128 != 0 {
            more = next(&mut rest)?;
            size |= usize::from(more & 127).checked_shl(shift)?;
            shift = shift.checked_add(7).filter(|shift| *shift < 40)?;
        }
        let base = match first >> 4 & 7 {
            1 => Base::None(Kind::Commit),
            2 => Base::None(Kind::Tree),
            3 | 4 => Base::None(Kind::Other),
            6 => Base::At(at.checked_sub(back(&mut rest)?).filter(|base| *base < at)?),
            7 => {
                let name = rest.split_off(..20)?;
                Base::At(self.find(&name.try_into().ok()?)?)
            }
            _ => return None,
        };
        if size > OBJECT {
            return None;
        }
        let used = u64::try_from(there.checked_sub(rest.len())?).ok()?;
        let from = at.checked_add(used)?;
        // Deflate never adds more than a few bytes in a thousand.
        let most = u64::try_from(size + size / 100 + 64).ok()?;
        let len = usize::try_from(self.len.checked_sub(from)?.min(most)).ok()?;
        let mut packed = vec![0; len];
        self.pack.read_exact_at(&mut packed, from).ok()?;
        let bytes = inflate(&packed, size)?;
        (bytes.len() == size).then_some(Part { base, bytes })
    }
}

/// An object as a pack has it.
struct Part {
    base: Base,
    bytes: Vec<u8>,
}

/// What an object is made from.
enum Base {
    /// Nothing: it is whole.
    None(Kind),
    /// The object at an offset, with differences.
    At(u64),
}

/// A distance back in the pack.
fn back(rest: &mut &[u8]) -> Option<u64> {
    let mut byte = next(rest)?;
    let mut value = u64::from(byte & 127);
    while byte & 128 != 0 {
        byte = next(rest)?;
        value = value.checked_add(1)?.checked_mul(128)?;
        value = value.checked_add(u64::from(byte & 127))?;
    }
    Some(value)
}

/// Applies differences: copies from the base, and bytes of their own.
fn apply(delta: &[u8], base: &[u8]) -> Option<Vec<u8>> {
    let mut rest = delta;
    let (from, to) = (length(&mut rest)?, length(&mut rest)?);
    if from != base.len() || to > OBJECT {
        return None;
    }
    let mut bytes = Vec::with_capacity(to);
    while let Some(code) = next(&mut rest) {
        if code & 128 == 0 {
            bytes.extend_from_slice(rest.split_off(..usize::from(code))?);
        } else {
            let mut numbers = [0_usize; 2];
            for bit in 0..7_u32 {
                if code >> bit & 1 == 1 {
                    let number = numbers.get_mut(usize::from(bit >= 4))?;
                    let shift = if bit >= 4 { bit - 4 } else { bit } * 8;
                    *number |= usize::from(next(&mut rest)?) << shift;
                }
            }
            let [at, mut len] = numbers;
            if len == 0 {
                len = 0x10000;
            }
            bytes.extend_from_slice(base.get(at..at.checked_add(len)?)?);
        }
        if bytes.len() > to {
            return None;
        }
    }
    (bytes.len() == to).then_some(bytes)
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0_usize;
    for shift in (0..35_u32).step_by(7) {
        let byte = next(rest)?;
        value |= usize::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Some(value);
        }
    }
    None
}

fn next(rest: &mut &[u8]) -> Option<u8> {
    rest.split_off_first().copied()
}

fn number(file: &File, at: u64) -> Option<u32> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(u32::from_be_bytes(bytes))
}

/// At most `limit` bytes out of a zlib stream.
fn inflate(packed: &[u8], limit: usize) -> Option<Vec<u8>> {
    // A little more than there may be, so that a full buffer is not taken for too small a one.
    miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, limit.saturating_add(64)).ok()
}

/// An object's name in digits.
fn hex(oid: &Oid) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(41);
    for byte in oid {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn differences_copy_and_insert() {
        // Of 5 bytes make 6: copy 3 from offset 1, insert "xyz".
        let delta = [5, 6, 0b1001_0001, 1, 3, 3, b'x', b'y', b'z'];
        assert_eq!(apply(&delta, b"abcde").unwrap(), b"bcdxyz");
        assert!(apply(&delta, b"abcd").is_none());
        assert!(apply(&[5, 6, 0b1001_0001, 4, 3, 3], b"abcde").is_none());
    }

    proptest! {
        #[test]
        fn no_differences_panic(delta in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = apply(&delta, b"abcde");
            let _ = inflate(&delta, 100);
        }
    }
}
