// SPDX-License-Identifier: Apache-2.0
//! How many guests fit this host's memory.
//!
//! A guest that waits has touched a few megabytes, and its task may touch all it was promised; a
//! copy shares its original's pages until it writes to them, and may write to all. So pools and
//! forks count whole guests, against what the kernel says can be had without swapping
//! (`MemAvailable`) and against the limits of the cgroups that guests are in.

use std::fs;
use std::path::Path;

use super::cgroup::{Place, VMM_MEMORY};

/// More guests than memory holds.
#[derive(Debug, thiserror::Error)]
#[error(
    "{count} {kind} of {memory_mib}M may take {wanted} of memory, and {available} can be had: \
     {advice}"
)]
pub struct TooMany {
    count: u16,
    kind: &'static str,
    memory_mib: u32,
    wanted: String,
    available: String,
    advice: String,
}

/// Refuses more guests, which are a `kind` of guest, than this host's memory holds. What to do
/// then depends on how many it does.
///
/// # Errors
/// [`TooMany`].
pub fn check(
    (count, kind): (u16, &'static str),
    memory_mib: u32,
    advice: impl FnOnce(u64) -> String,
) -> Result<(), TooMany> {
    let fitting = fitting(memory_mib);
    if u64::from(count) <= fitting {
        return Ok(());
    }
    Err(TooMany {
        count,
        kind,
        memory_mib,
        wanted: show(of_guest(memory_mib).saturating_mul(count.into())),
        available: show(available()),
        advice: advice(fitting),
    })
}

/// What a guest may take, bytes: its memory and its VMM.
fn of_guest(memory_mib: u32) -> u64 {
    (u64::from(memory_mib) << 20).saturating_add(VMM_MEMORY)
}

/// What can be had now, bytes. Where the system does not tell, all.
fn available() -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let place = Place::find().ok();
    let folders = place.iter().flat_map(|place| place.path.ancestors());
    let left = folders.filter_map(left_in).min();
    let all = mem_available(&meminfo).unwrap_or(u64::MAX);
    all.min(left.unwrap_or(u64::MAX))
}

/// How many guests of this size fit.
#[must_use]
pub fn fitting(memory_mib: u32) -> u64 {
    available() / of_guest(memory_mib).max(1)
}

/// What may still be taken in the cgroup at `path`, if it has a limit.
#[must_use]
pub fn left_in(path: &Path) -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(path.join(name)).ok()?;
        text.trim().parse().ok()
    };
    let stat = fs::read_to_string(path.join("memory.stat")).unwrap_or_default();
    let used = number("memory.current")?.saturating_sub(of_files(&stat));
    Some(number("memory.max")?.saturating_sub(used))
}

/// The page cache in a cgroup (`memory.stat`), which gives way.
fn of_files(stat: &str) -> u64 {
    let lines = stat.lines().filter_map(|line| line.split_once(' '));
    let of_files = lines.filter(|(name, _)| matches!(*name, "active_file" | "inactive_file"));
    of_files
        .filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

/// proc(5), meminfo: `MemAvailable:   123456 kB`.
fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    kib.checked_mul(1024)
}

/// Bytes for people: `31.2G`, `320M`.
fn show(bytes: u64) -> String {
    const GIB: u64 = 1 << 30;
    match bytes {
        0..GIB => format!("{}M", bytes >> 20),
        _ => {
            let tenths = u128::from(bytes) * 10 / u128::from(GIB);
            format!("{}.{}G", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let text = "MemTotal:  100 kB\nMemAvailable:   2048 kB\nBuffers: 1 kB\n";
        assert_eq!(mem_available(text), Some(2 << 20));
        assert_eq!(mem_available("MemTotal: 1 kB\n"), None);
        assert!(available() > 0);
    }

    #[test]
    fn a_cgroups_limit_counts_less_what_is_in_use_and_does_not_give_way() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        assert_eq!(left_in(dir.path()), None);
        write("memory.current", "700\n");
        write("memory.max", "max\n");
        assert_eq!(left_in(dir.path()), None);
        write("memory.max", "1000\n");
        assert_eq!(left_in(dir.path()), Some(300));
        write(
            "memory.stat",
            "anon 1\ninactive_file 200\nactive_file 100\n",
        );
        assert_eq!(left_in(dir.path()), Some(600));
        write("memory.max", "100\n");
        assert_eq!(left_in(dir.path()), Some(0));
    }

    #[test]
    fn a_guest_counts_whole_with_its_vmm() {
        assert_eq!(of_guest(256), 320 << 20);
        assert_eq!(show(of_guest(256)), "320M");
        assert_eq!(show((5 << 30) + (1 << 29)), "5.5G");
        assert_eq!(show(u64::MAX), "17179869183.9G");
    }
}
