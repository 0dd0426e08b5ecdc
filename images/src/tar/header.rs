// SPDX-License-Identifier: Apache-2.0
//! One 512-byte header of a tar: POSIX.1-1988 (`ustar`), GNU, and the format before both.

#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::ops::Range;

/// Size of a header, and what contents are padded to.
pub(super) const RECORD: usize = 512;

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..265;
const MAJOR: Range<usize> = 329..337;
const MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;

/// What kept a header from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// Its sum is not the one it states.
    Checksum,
    /// A field is not a number, or one that cannot be.
    Number(&'static str),
}

/// A header whose checksum is right.
#[derive(Debug)]
pub(super) struct Header<'a>(&'a [u8; RECORD]);

impl<'a> Header<'a> {
    /// `None` for the record of zeros that ends a tar.
    pub(super) fn parse(record: &'a [u8; RECORD]) -> Result<Option<Self>, HeaderError> {
        if record.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Self(record);
        let stated = number(header.field(&CHECKSUM)).ok_or(HeaderError::Checksum)?;
        // The field itself counts as spaces. Some old writers summed signed bytes.
        let bytes = || {
            record.iter().enumerate().map(
                |(at, byte)| {
                    if CHECKSUM.contains(&at) { b' ' } else { *byte }
                },
            )
        };
        let sum: i64 = bytes().map(i64::from).sum();
        let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
        (stated == sum || stated == signed)
            .then_some(Some(header))
            .ok_or(HeaderError::Checksum)
    }

    /// The type flag.
    pub(super) fn kind(&self) -> u8 {
        self.0.get(TYPE).copied().unwrap_or(0)
    }

    /// Name, with `ustar`'s prefix before it.
    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(self.field(&NAME));
        match text(self.field(&PREFIX)) {
            prefix if self.field(&MAGIC) == b"ustar\x0000" && !prefix.is_empty() => {
                [prefix, b"/", name].concat()
            }
            _ => name.to_vec(),
        }
    }

    /// Target of a link.
    pub(super) fn link(&self) -> &'a [u8] {
        text(self.field(&LINK))
    }

    pub(super) fn size(&self) -> Result<u64, HeaderError> {
        self.unsigned(&SIZE, "size")
    }

    pub(super) fn mode(&self) -> Result<u64, HeaderError> {
        self.unsigned(&MODE, "mode")
    }

    pub(super) fn uid(&self) -> Result<u32, HeaderError> {
        self.small(&UID, "owner")
    }

    pub(super) fn gid(&self) -> Result<u32, HeaderError> {
        self.small(&GID, "group")
    }

    pub(super) fn mtime(&self) -> Result<i64, HeaderError> {
        number(self.field(&MTIME)).ok_or(HeaderError::Number("time"))
    }

    /// Major and minor number.
    pub(super) fn device(&self) -> Result<(u32, u32), HeaderError> {
        Ok((
            self.small(&MAJOR, "device number")?,
            self.small(&MINOR, "device number")?,
        ))
    }

    fn small(&self, field: &Range<usize>, what: &'static str) -> Result<u32, HeaderError> {
        u32::try_from(self.unsigned(field, what)?).map_err(|_| HeaderError::Number(what))
    }

    fn unsigned(&self, field: &Range<usize>, what: &'static str) -> Result<u64, HeaderError> {
        let value = number(self.field(field)).ok_or(HeaderError::Number(what))?;
        u64::try_from(value).map_err(|_| HeaderError::Number(what))
    }

    fn field(&self, range: &Range<usize>) -> &'a [u8] {
        self.0.get(range.clone()).unwrap_or_default()
    }
}

/// Up to the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits between spaces and NULs, nothing being 0; or GNU's big-endian binary, told by the
/// first bit.
fn number(field: &[u8]) -> Option<i64> {
    match field.split_first() {
        Some((first, rest)) if first & 0x80 != 0 => {
            // The other bits of the first byte are the highest; 0xff begins a negative number.
            let start = if *first == 0xff {
                -1
            } else {
                i128::from(first & 0x7f)
            };
            let value = rest.iter().try_fold(start, |value, byte| {
                value.checked_mul(256)?.checked_add(i128::from(*byte))
            })?;
            i64::try_from(value).ok()
        }
        _ => {
            let digits = text(field).trim_ascii();
            digits.iter().try_fold(0_i64, |value, byte| match byte {
                b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(byte & 7)),
                _ => None,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_octal_and_binary() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"77777777777\0"), Some(0o77_777_777_777));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(2 << 32));
        assert_eq!(
            number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"),
            Some(-2)
        );
        assert_eq!(
            number(b"\x8f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            None
        );
        assert_eq!(number(b"12x\0"), None);
        assert_eq!(number(b"-1\0"), None);
    }

    #[test]
    fn wrong_checksum_is_told_from_the_end() {
        let mut record = [0; RECORD];
        assert!(Header::parse(&record).unwrap().is_none());
        if let Some(first) = record.first_mut() {
            *first = b'a';
        }
        assert_eq!(Header::parse(&record).unwrap_err(), HeaderError::Checksum);
    }
}
