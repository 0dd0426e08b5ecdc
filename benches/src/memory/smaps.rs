// SPDX-License-Identifier: Apache-2.0
//! `/proc/PID/smaps` (Linux `Documentation/filesystems/proc.rst`), as far as it tells a guest's
//! memory from its VMM's.

use std::fs;

use anyhow::{Context, Result};

/// The mappings of one process.
#[derive(Debug)]
pub(super) struct Smaps(Vec<Mapping>);

/// One mapping, in bytes.
#[derive(Debug, Default)]
struct Mapping {
    has_file: bool,
    /// Mapped with `MAP_NORESERVE`, as the VMM maps the guest's memory and nothing else.
    of_guest: bool,
    rss: u64,
    pss: u64,
    private: u64,
    /// Pages of no file, or copies of a file's pages that were written to. Not what `Private_Dirty`
    /// says: of a file in a tmpfs every page is dirty.
    anonymous: u64,
}

impl Smaps {
    pub(super) fn of(pid: u64) -> Result<Self> {
        let path = format!("/proc/{pid}/smaps");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let mut mappings: Vec<Mapping> = Vec::new();
        for line in text.lines() {
            let Some((key, rest)) = line.split_once(':') else {
                continue;
            };
            if key.contains('-') {
                // `55d0-55d8 r-xp 00002000 08:01 131 /path`
                let has_file = rest.split_whitespace().any(|word| word.starts_with('/'));
                mappings.push(Mapping {
                    has_file,
                    ..Mapping::default()
                });
                continue;
            }
            let Some(mapping) = mappings.last_mut() else {
                continue;
            };
            let kib = rest
                .trim()
                .strip_suffix(" kB")
                .and_then(|n| n.parse::<u64>().ok());
            let bytes = kib.unwrap_or(0) << 10;
            match key {
                "Rss" => mapping.rss = bytes,
                "Pss" => mapping.pss = bytes,
                "Private_Clean" | "Private_Dirty" => mapping.private += bytes,
                "Anonymous" => mapping.anonymous = bytes,
                "VmFlags" => mapping.of_guest = rest.split_whitespace().any(|flag| flag == "nr"),
                _ => {}
            }
        }
        Self(mappings)
    }

    /// Pages that no other process has.
    pub(super) fn private(&self) -> u64 {
        self.0.iter().map(|mapping| mapping.private).sum()
    }

    /// Pages that no file would give back.
    pub(super) fn anonymous(&self) -> u64 {
        self.0.iter().map(|mapping| mapping.anonymous).sum()
    }

    /// The process's share of its pages.
    pub(super) fn pss(&self) -> u64 {
        self.0.iter().map(|mapping| mapping.pss).sum()
    }

    /// Private pages outside the guest's memory.
    pub(super) fn without_guest(&self) -> u64 {
        let own = self.0.iter().filter(|mapping| !mapping.of_guest);
        own.map(|mapping| mapping.private).sum()
    }

    /// Of the pages of files that are the guest's memory (kernel, template) and in use: bytes that
    /// are the file's still, and all.
    pub(super) fn of_files(&self) -> (u64, u64) {
        let files = self
            .0
            .iter()
            .filter(|mapping| mapping.of_guest && mapping.has_file);
        files.fold((0, 0), |(still, all), mapping| {
            (
                still + mapping.rss.saturating_sub(mapping.anonymous),
                all + mapping.rss,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
7f0000000000-7f0008000000 rw-p 00000000 00:00 0
Rss:                1000 kB
Pss:                1000 kB
Private_Clean:         0 kB
Private_Dirty:      1000 kB
Anonymous:          1000 kB
VmFlags: rd wr mr mw me nr
7f0008000000-7f0009000000 rw-p 00200000 00:19 12 /run/d/store/ab-cd
Rss:                 400 kB
Pss:                 130 kB
Private_Clean:        20 kB
Private_Dirty:       100 kB
Anonymous:           100 kB
VmFlags: rd wr mr mw me nr
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
Rss:                  12 kB
Pss:                  12 kB
Private_Dirty:        12 kB
VmFlags: rd wr mr mw me gd ac
";

    #[test]
    fn guest_memory_is_told_from_the_vmms_own() {
        let smaps = Smaps::parse(TEXT);
        assert_eq!(smaps.private(), (1000 + 120 + 12) << 10);
        assert_eq!(smaps.anonymous(), (1000 + 100) << 10);
        assert_eq!(smaps.pss(), 1142 << 10);
        assert_eq!(smaps.without_guest(), 12 << 10);
        assert_eq!(smaps.of_files(), (300 << 10, 400 << 10));
    }
}
