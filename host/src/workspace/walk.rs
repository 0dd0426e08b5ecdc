// SPDX-License-Identifier: Apache-2.0
//! A folder's entries, one at a time, so that who asked can stop.
//!
//! Folders wait in a list by their paths and are opened from the top one at a time, so depth costs
//! no descriptors and no stack. A walk ends where the file system ends.

use policy::blast::{Entry, Recovery, Step, What};
use rustix::fs::{AtFlags, Dir, DirEntry, OFlags};
use rustix::io::Errno;

use super::{Folder, Spot};

/// A listing of one folder, or a walk through all that is below it.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    folder: &'a Folder,
    spot: Spot<'a>,
    deep: bool,
    /// The file system that the walk stays in, once known.
    device: Option<u64>,
    /// Folders to be opened.
    waiting: Vec<Vec<u8>>,
    /// The folder being listed.
    listed: Option<(Vec<u8>, Dir)>,
    /// Something was out of sight and is to be said.
    unseen: bool,
    /// What the guest says is there too.
    guest: std::vec::IntoIter<Entry>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(folder: &'a Folder, spot: Spot<'a>, deep: bool, guest: Vec<Entry>) -> Self {
        Self {
            folder,
            deep,
            device: None,
            waiting: vec![spot.path.clone()],
            listed: None,
            unseen: false,
            guest: guest.into_iter(),
            spot,
        }
    }

    fn open(&mut self, path: Vec<u8>) {
        let opened = self.spot.side.open(&path, OFlags::DIRECTORY);
        let opened = opened.and_then(|fd| {
            let device = rustix::fs::fstat(&fd)?.st_dev;
            if *self.device.get_or_insert(device) != device {
                return Err(Errno::XDEV);
            }
            Dir::new(fd)
        });
        match opened {
            Ok(listed) => self.listed = Some((path, listed)),
            // Gone since it was listed, or only the guest has it.
            Err(Errno::NOENT) => {}
            Err(_) => self.unseen = true,
        }
    }

    fn entry(&mut self, found: &DirEntry) -> Option<Step> {
        let (folder, listed) = self.listed.as_ref()?;
        let name = found.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            return None;
        }
        let stat = listed
            .fd()
            .and_then(|fd| rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW));
        let stat = match stat {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return None,
            Err(_) => return Some(Step::Unseen),
        };
        let mut path = folder.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.to_bytes());
        let entry = self.folder.entry(&self.spot, &path, &stat);
        let enter = entry.what == What::Folder && entry.recovery != Recovery::History;
        if self.deep && enter {
            self.waiting.push(path);
        }
        Some(Step::Found(entry))
    }
}

impl Iterator for Walk<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            if std::mem::take(&mut self.unseen) {
                return Some(Step::Unseen);
            }
            let found = self.listed.as_mut().map(|(_, listed)| listed.read());
            match found {
                Some(Some(Ok(found))) => {
                    if let Some(step) = self.entry(&found) {
                        return Some(step);
                    }
                }
                Some(Some(Err(_))) => {
                    self.listed = None;
                    return Some(Step::Unseen);
                }
                Some(None) => self.listed = None,
                None => match self.waiting.pop() {
                    Some(path) => self.open(path),
                    None => return self.guest.next().map(Step::Found),
                },
            }
        }
    }
}
