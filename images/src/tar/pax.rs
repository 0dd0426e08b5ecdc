// SPDX-License-Identifier: Apache-2.0
//! Extended headers: POSIX.1-2001 (`pax`) records, `<length> <key>=<value>\n`.

#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use crate::tree::Time;

/// What extended headers say about the next entry, or (global ones) about all that follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Time>,
    /// One of GNU tar's ways to store holes.
    pub(super) sparse: bool,
    /// Extended attributes, counted only.
    pub(super) attributes: u64,
}

impl Extended {
    /// Takes over all records of one header; `None` when they are malformed.
    pub(super) fn add(&mut self, mut records: &[u8]) -> Option<()> {
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ')?;
            let length = usize::try_from(decimal(records.get(..space)?)?).ok()?;
            let record = records.get(..length)?;
            let record = record.get(space.checked_add(1)?..)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            self.record(record.get(..equals)?, record.get(equals.checked_add(1)?..)?)?;
            records = records.get(length..)?;
        }
        Some(())
    }

    /// Keys not named here say nothing that an image holds.
    fn record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(u32::try_from(decimal(value)?).ok()?),
            b"gid" => self.gid = Some(u32::try_from(decimal(value)?).ok()?),
            b"mtime" => self.mtime = Some(time(value)?),
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ if key.starts_with(b"SCHILY.xattr.") || key.starts_with(b"LIBARCHIVE.xattr.") => {
                self.attributes = self.attributes.saturating_add(1);
            }
            _ => {}
        }
        Some(())
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Seconds with an optional fraction, of which nine digits count. A negative time with a fraction
/// is rounded down to a second that the nanoseconds then add to.
fn time(value: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let secs: i64 = whole.parse().ok()?;
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits
        .into_iter()
        .try_fold(0_u32, |nanos, byte| match byte {
            b'0'..=b'9' => nanos.checked_mul(10)?.checked_add(u32::from(byte & 15)),
            _ => None,
        })?;
    if whole.starts_with('-') && nanos > 0 {
        let nanos = 1_000_000_000_u32.checked_sub(nanos)?;
        return Some(Time {
            secs: secs.checked_sub(1)?,
            nanos,
        });
    }
    Some(Time { secs, nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(records: &[u8]) -> Option<Extended> {
        let mut extended = Extended::default();
        extended.add(records).map(|()| extended)
    }

    #[test]
    fn records_are_taken_over_and_others_ignored() {
        let all = b"13 path=a\nb=\n12 uid=4096\n21 mtime=-1.25000000\n16 comment=else\n\
            26 SCHILY.xattr.user.a=\0\0\n";
        let extended = parsed(all).unwrap();
        assert_eq!(extended.path.unwrap(), b"a\nb=");
        assert_eq!(extended.uid, Some(4096));
        assert_eq!(
            extended.mtime,
            Some(Time {
                secs: -2,
                nanos: 750_000_000
            })
        );
        assert_eq!(extended.attributes, 1);
    }

    #[test]
    fn malformed_records_are_refused() {
        for records in [
            &b"99 path=a\n"[..],
            b"9 path=ab\n",
            b"x path=a\n",
            b"0 path=a\n",
            b"2 path=a\n",
            b"7 patha\n",
            b"path",
            b"11 uid=-12\n",
            b"99999999999999999999 path=a\n",
            b"14 mtime=1.x2\n",
        ] {
            assert_eq!(
                parsed(records),
                None,
                "{}",
                String::from_utf8_lossy(records)
            );
        }
    }

    #[test]
    fn times_with_fractions() {
        assert_eq!(time(b"12"), Some(Time::seconds(12)));
        assert_eq!(
            time(b"12.5"),
            Some(Time {
                secs: 12,
                nanos: 500_000_000
            })
        );
        assert_eq!(
            time(b"12.1234567899"),
            Some(Time {
                secs: 12,
                nanos: 123_456_789
            })
        );
        assert_eq!(
            time(b"-0.5"),
            Some(Time {
                secs: -1,
                nanos: 500_000_000
            })
        );
        assert_eq!(time(b"now"), None);
    }
}
