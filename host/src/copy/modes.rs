// SPDX-License-Identifier: Apache-2.0
//! Which permissions of a guest are given here: no more than the user's umask leaves, never
//! set-id or sticky bits, and folders always such that their owner can enter and remove them.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::Mode;

use super::CopyError;

/// Permissions that are not given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Umask(Mode);

impl Umask {
    /// This process's own.
    ///
    /// It is read from `/proc`: umask(2) tells it only by changing it, which other threads would
    /// see in the files that they make meanwhile.
    pub(super) fn current() -> Result<Self, CopyError> {
        let path = Path::new("/proc/thread-self/status");
        let failed = || CopyError::file("find the umask in", path);
        let status = fs::read_to_string(path).map_err(failed())?;
        Self::parse(&status).ok_or_else(|| failed()(io::Error::from(io::ErrorKind::InvalidData)))
    }

    /// proc_pid_status(5): `Umask:` and the mask in octal.
    fn parse(status: &str) -> Option<Self> {
        let mut lines = status.lines();
        let mask = lines.find_map(|line| line.strip_prefix("Umask:"))?.trim();
        Some(Self(Mode::from_raw_mode(
            u32::from_str_radix(mask, 8).ok()? & 0o777,
        )))
    }

    /// Whether it takes something from the owner.
    pub(super) fn takes_from_owner(self) -> bool {
        self.0.intersects(Mode::RWXU)
    }

    /// What a file gets of the guest's `mode`.
    pub(super) fn file(self, mode: u32) -> Mode {
        Mode::from_raw_mode(mode & 0o777).difference(self.0)
    }

    /// What a folder gets of the guest's `mode`.
    pub(super) fn folder(self, mode: u32) -> Mode {
        self.file(mode) | Mode::RWXU
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_umask_is_found_among_other_lines_or_not_at_all() {
        let found = |text| Umask::parse(text).map(|Umask(mask)| mask.as_raw_mode());
        assert_eq!(found("Name:\tcp\nUmask:\t0027\nState:\tR\n"), Some(0o027));
        assert_eq!(found("Name:\tcp\n"), None);
        assert_eq!(found("Umask:\t09\n"), None);
        Umask::current().unwrap();
    }
}
