// SPDX-License-Identifier: Apache-2.0
//! Which commit is checked out, and which ones remotes are known to have.

use rustix::fs::{Dir, FileType, OFlags};

use super::Oid;
use crate::workspace::beneath::Beneath;

/// Longest file of one reference.
const ONE: u64 = 4096;

/// Longest list of packed references.
const PACKED: u64 = 4 << 20;

/// Most references of remotes that are read.
const REMOTE: usize = 200;

/// Most commits of remotes that are compared with.
const TIPS: usize = 3;

/// References that lead to references, at most.
const HOPS: u32 = 5;

/// What is checked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// A commit.
    Commit(Oid),
    /// A branch without a commit yet.
    Unborn,
}

/// The references of a repository.
#[derive(Debug)]
pub(super) struct Refs<'a> {
    /// What this work tree has of its own.
    pub(super) own: &'a Beneath,
    /// What all of the repository's work trees share.
    pub(super) common: &'a Beneath,
    packed: Vec<u8>,
}

impl<'a> Refs<'a> {
    /// Nothing when the references are kept in a way that is not read here.
    pub(super) fn open(own: &'a Beneath, common: &'a Beneath) -> Option<Self> {
        if common.folder(b"reftable").is_ok() {
            return None;
        }
        let packed = match common.stat(b"packed-refs") {
            Ok(_) => common.read(b"packed-refs", PACKED)?.0,
            Err(_) => Vec::new(),
        };
        Some(Self {
            own,
            common,
            packed,
        })
    }

    /// What is checked out, and the name of its branch.
    pub(super) fn head(&self) -> Option<(Head, Vec<u8>)> {
        let (mut text, _) = self.own.read(b"HEAD", ONE)?;
        let mut name = Vec::new();
        for _ in 0..HOPS {
            if let Some(oid) = oid(text.trim_ascii_end()) {
                return Some((Head::Commit(oid), name));
            }
            name = text.strip_prefix(b"ref:")?.trim_ascii().to_vec();
            if !name.starts_with(b"refs/") {
                return None;
            }
            match self.common.read(&name, ONE) {
                Some((next, _)) => text = next,
                None => {
                    let packed = self.packed(&name).map(Head::Commit);
                    return Some((packed.unwrap_or(Head::Unborn), name));
                }
            }
        }
        None
    }

    fn packed(&self, name: &[u8]) -> Option<Oid> {
        let mut all = packed(&self.packed);
        all.find(|(_, known)| *known == name).map(|(oid, _)| oid)
    }

    /// Some of the commits that remotes are known to have, of this branch first.
    pub(super) fn remote(&self, branch: &[u8]) -> Vec<Oid> {
        let mut found: Vec<(Vec<u8>, Oid)> = Vec::new();
        let mut open: Vec<Vec<u8>> = vec![b"refs/remotes".to_vec()];
        while let Some(folder) = open.pop() {
            self.loose(&folder, &mut open, &mut found);
        }
        let packed = packed(&self.packed).filter(|(_, name)| name.starts_with(b"refs/remotes/"));
        found.extend(packed.take(REMOTE).map(|(oid, name)| (name.to_vec(), oid)));
        let branch = branch.strip_prefix(b"refs/heads/").unwrap_or(branch);
        found.sort_by_key(|(name, _)| rank(name, branch));
        let mut tips = Vec::new();
        for (_, oid) in found {
            if !tips.contains(&oid) && tips.len() < TIPS {
                tips.push(oid);
            }
        }
        tips
    }

    fn loose(&self, folder: &[u8], open: &mut Vec<Vec<u8>>, found: &mut Vec<(Vec<u8>, Oid)>) {
        let Ok(listed) = self
            .common
            .open(folder, OFlags::DIRECTORY)
            .and_then(Dir::new)
        else {
            return;
        };
        for entry in listed.take(REMOTE).filter_map(Result::ok) {
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." || open.len() + found.len() > REMOTE {
                continue;
            }
            let path = [folder, b"/", name].concat();
            if entry.file_type() == FileType::Directory {
                open.push(path);
            } else if let Some((text, _)) = self.common.read(&path, ONE)
                && let Some(oid) = oid(text.trim_ascii_end())
            {
                found.push((path, oid));
            }
        }
    }
}

/// The lines of the list of packed references.
fn packed(list: &[u8]) -> impl Iterator<Item = (Oid, &[u8])> {
    list.split(|byte| *byte == b'\n').filter_map(|line| {
        let (digits, name) = line.split_at_checked(40)?;
        Some((oid(digits)?, name.strip_prefix(b" ")?))
    })
}

/// The branch of the same name first, then the main one.
fn rank(name: &[u8], branch: &[u8]) -> u8 {
    // `refs/remotes/origin/main`
    let own = name.splitn(4, |byte| *byte == b'/').nth(3).unwrap_or(name);
    if own == branch {
        0
    } else if own == b"main" || own == b"master" {
        1
    } else {
        2
    }
}

/// An object's name from its forty digits.
pub(super) fn oid(digits: &[u8]) -> Option<Oid> {
    let mut oid = Oid::default();
    if digits.len() != 40 {
        return None;
    }
    for (byte, pair) in oid.iter_mut().zip(digits.chunks_exact(2)) {
        if !pair.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(oid)
}
