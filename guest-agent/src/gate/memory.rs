// SPDX-License-Identifier: Apache-2.0
//! Strings and lists out of the memory of a process that waits in a call.
//!
//! The process can change its memory at any time (another thread, a page shared with somebody), so
//! what is read here is what is judged, and never what the kernel reads later: whoever lets the
//! call be carried out from that memory has another way to know (see `super::images`).
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use rustix::io::Errno;

use super::sys;

/// `PATH_MAX`, with its nul.
const LONGEST_PATH: usize = 4096;
/// Read at once: a part of a page, never across its end, since what is mapped behind it is nobody's
/// promise. The paths and lists of most calls take a few hundred bytes.
const PART: u64 = 1024;
/// Parts kept of one call.
const MOST_PARTS: usize = 64;
/// Most bytes of arguments and of names of the environment that are told. What is cut says so, and
/// is judged by the host as that.
const MOST_BYTES: usize = 256 * 1024;

/// Strings, or as many as were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strings {
    pub(crate) list: Vec<Vec<u8>>,
    /// There are more, or longer ones.
    pub(crate) cut: bool,
}

/// The memory of one process, as it was when each part of it was first read.
#[derive(Debug)]
pub(crate) struct Memory {
    pid: u32,
    parts: Vec<(u64, Vec<u8>)>,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Self {
        Self {
            pid,
            parts: Vec::new(),
        }
    }

    /// What is mapped from an address to the end of its part. The arguments of a program mostly lie
    /// beside each other: a part is read once for all of them.
    fn rest_of_part(&mut self, address: u64) -> Result<&[u8], Errno> {
        let inside = address.checked_rem(PART).unwrap_or(0);
        let start = address.saturating_sub(inside);
        let known = self.parts.iter().position(|(at, _)| *at == start);
        let known = match known {
            Some(known) => known,
            None => self.load(start)?,
        };
        let part = self.parts.get(known).map(|(_, part)| part.as_slice());
        let inside = usize::try_from(inside).unwrap_or(0);
        part.and_then(|part| part.get(inside..)).ok_or(Errno::FAULT)
    }

    fn load(&mut self, start: u64) -> Result<usize, Errno> {
        let mut part = vec![0; usize::try_from(PART).unwrap_or(0)];
        match sys::read_memory(self.pid, start, &mut part) {
            Ok(read) if read == part.len() => {}
            _ => return Err(Errno::FAULT),
        }
        if self.parts.len() >= MOST_PARTS {
            self.parts.clear();
        }
        self.parts.push((start, part));
        Ok(self.parts.len().saturating_sub(1))
    }

    /// A nul-terminated string of at most `most` bytes; whether it was cut there.
    pub(crate) fn string(&mut self, address: u64, most: usize) -> Result<(Vec<u8>, bool), Errno> {
        let mut text = Vec::new();
        let mut at = address;
        loop {
            let rest = self.rest_of_part(at)?;
            let end = rest.iter().position(|byte| *byte == 0);
            text.extend_from_slice(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default());
            at = at.saturating_add(u64::try_from(rest.len()).unwrap_or(u64::MAX));
            if text.len() > most {
                text.truncate(most);
                return Ok((text, true));
            }
            if end.is_some() {
                return Ok((text, false));
            }
        }
    }

    /// A path, as a call takes it.
    pub(crate) fn path(&mut self, address: u64) -> Result<Vec<u8>, Errno> {
        match self.string(address, LONGEST_PATH.saturating_sub(1))? {
            (path, false) => Ok(path),
            (_, true) => Err(Errno::NAMETOOLONG),
        }
    }

    /// Bytes of a known length.
    pub(crate) fn bytes(&mut self, address: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = Vec::new();
        let mut at = address;
        while bytes.len() < len {
            let rest = self.rest_of_part(at)?;
            let want = len.saturating_sub(bytes.len()).min(rest.len());
            bytes.extend_from_slice(rest.get(..want).unwrap_or_default());
            at = at.saturating_add(u64::try_from(want).unwrap_or(u64::MAX));
        }
        Ok(bytes)
    }

    /// A word.
    pub(crate) fn word(&mut self, address: u64) -> Result<u64, Errno> {
        if let Some(bytes) = self.rest_of_part(address)?.first_chunk() {
            return Ok(u64::from_ne_bytes(*bytes));
        }
        let bytes = self.bytes(address, 8)?;
        let bytes = bytes.first_chunk().ok_or(Errno::FAULT)?;
        Ok(u64::from_ne_bytes(*bytes))
    }

    /// Whether a string begins with these bytes, none of them a nul.
    fn begins(&mut self, address: u64, with: &[u8]) -> Result<bool, Errno> {
        let mut at = address;
        for wanted in with {
            if self.rest_of_part(at)?.first() != Some(wanted) {
                return Ok(false);
            }
            at = at.saturating_add(1);
        }
        Ok(true)
    }

    /// Whether any of a list of strings (envp) begins with these bytes, or there are more than
    /// `most`.
    pub(crate) fn any_begins(
        &mut self,
        address: u64,
        most: usize,
        with: &[u8],
    ) -> Result<bool, Errno> {
        let mut at = address;
        for _ in 0..most {
            let pointer = match at {
                0 => 0,
                at => self.word(at)?,
            };
            if pointer == 0 {
                return Ok(false);
            }
            if self.begins(pointer, with)? {
                return Ok(true);
            }
            at = at.saturating_add(8);
        }
        Ok(true)
    }

    /// The strings of a list of pointers that ends with a null (argv, envp); a null list is empty.
    /// `keep` says what of each is wanted; at most so many of them are taken.
    pub(crate) fn strings(
        &mut self,
        address: u64,
        most: usize,
        keep: impl Fn(Vec<u8>) -> Option<Vec<u8>>,
    ) -> Result<Strings, Errno> {
        let mut strings = Strings::default();
        let mut total = 0usize;
        let mut at = address;
        while at != 0 {
            let pointer = self.word(at)?;
            if pointer == 0 {
                break;
            }
            at = at.saturating_add(8);
            let room = MOST_BYTES.saturating_sub(total);
            if strings.list.len() >= most || room == 0 {
                strings.cut = true;
                break;
            }
            let (text, cut) = self.string(pointer, room)?;
            total = total.saturating_add(text.len()).saturating_add(1);
            strings.cut |= cut;
            strings.list.extend(keep(text));
        }
        Ok(strings)
    }
}

/// A path out of a process' memory, for the calls that read nothing else.
pub(crate) fn path(pid: u32, address: u64) -> Result<Vec<u8>, Errno> {
    Memory::of(pid).path(address)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test that fails may panic")]
mod tests {
    use super::*;
    use std::ffi::CString;

    fn here() -> u32 {
        std::process::id()
    }

    fn address<T>(of: *const T) -> u64 {
        u64::try_from(of.addr()).unwrap()
    }

    #[test]
    fn a_list_is_read_to_its_null_and_each_string_to_its_nul() {
        let texts = ["ls", "", &"x".repeat(5000)].map(|text| CString::new(text).unwrap());
        let mut pointers: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        let list = address(pointers.as_ptr());
        let read = Memory::of(here()).strings(list, 99, Some).unwrap();
        let wanted: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        assert_eq!((read.list, read.cut), (wanted, false));
        let none = Memory::of(here()).strings(0, 99, Some).unwrap();
        assert_eq!(none, Strings::default());
        let two = Memory::of(here()).strings(list, 2, Some).unwrap();
        assert!(two.cut && two.list.len() == 2);
    }

    #[test]
    fn a_list_is_looked_through_for_a_beginning() {
        let texts = ["A=LD_", "LD", "", "LD_X=1"].map(|text| CString::new(text).unwrap());
        let mut pointers: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
        pointers.push(std::ptr::null());
        let list = address(pointers.as_ptr());
        let any = |list, most, with: &[u8]| Memory::of(here()).any_begins(list, most, with);
        assert_eq!(any(list, 99, b"LD_"), Ok(true));
        assert_eq!(any(list, 99, b"LE_"), Ok(false));
        // What is behind the most that are looked at could be it.
        assert_eq!(any(list, 3, b"LE_"), Ok(true));
        assert_eq!(any(0, 99, b"LD_"), Ok(false));
        pointers.pop();
        pointers.push(std::ptr::without_provenance(8));
        assert_eq!(any(list, 99, b"LE_"), Err(Errno::FAULT));
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let text = CString::new("y".repeat(600_000)).unwrap();
        let pointers = [text.as_ptr(), std::ptr::null()];
        let list = address(pointers.as_ptr());
        let read = Memory::of(here()).strings(list, 99, Some).unwrap();
        assert!(read.cut && read.list[0].len() == MOST_BYTES);
        let path = CString::new("p".repeat(4096)).unwrap();
        let read = self::path(here(), address(path.as_ptr()));
        assert_eq!(read, Err(Errno::NAMETOOLONG));
    }

    #[test]
    fn a_wild_pointer_is_a_fault() {
        assert_eq!(path(here(), 8), Err(Errno::FAULT));
        assert_eq!(Memory::of(here()).word(u64::MAX), Err(Errno::FAULT));
        assert!(Memory::of(here()).strings(16, 99, Some).is_err());
    }
}
