// SPDX-License-Identifier: Apache-2.0
//! What git has of a folder's files, read from its files.
//!
//! A repository's own configuration and attributes name programs (`core.fsmonitor`, filters,
//! `diff.external`, hooks, a remote's transport for objects that are missing), and the folder may
//! have come from anywhere. **Nothing here runs anything**: no program is started, not git either,
//! and neither configuration (but for the word `sha256`) nor attributes are read. Why not `gix`: it
//! maps files into memory, so that one that is cut short meanwhile would end this process, and it
//! is some sixty packages for the little that is needed here.
//!
//! ```text
//! .git/index ─► entries: what git last saw of each file (times, size, inode)
//! HEAD ─► commit ─► trees: which entries are as committed ─┐ folders that the index has a
//! refs/remotes ─► commit ─► trees: which a remote has ─────┘ valid tree of are not gone through
//! ```
//!
//! A file is *committed* when its entry is in the last commit as it is and the file looks as git
//! last saw it. Contents are not hashed: what git would only know by hashing counts as changed,
//! until `git status` refreshes the index. An index that lies about a file is believed, as git
//! believes it.
//!
//! Not read, so that recovery is unknown: repositories with SHA-256, reftables, split or sparse
//! indexes, submodules' own, alternates.

mod index;
mod objects;
mod refs;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use policy::blast::Recovery;
use rustix::fs::Stat;

use self::index::{Entry, Index};
use self::objects::{Kind, Objects};
use self::refs::{Head, Refs};
use super::beneath::Beneath;
use super::clock::Clock;

/// An object's name.
type Oid = [u8; 20];

/// Longest index that is read.
const INDEX: u64 = 64 << 20;

/// Longest `.git`, `commondir` or `config` file.
const SMALL: u64 = 64 << 10;

/// How far up a repository is looked for.
const UP: usize = 16;

/// Most trees that are read for one commit.
const TREES: usize = 50_000;

/// What git has of a folder.
#[derive(Debug)]
pub(super) enum Git {
    /// Nothing: there is no repository.
    None,
    /// There is one, but what it has is not known.
    Unknown,
    /// This.
    Known(Known),
}

/// A repository that was read.
#[derive(Debug)]
pub(super) struct Known {
    index: Index,
    /// When the index was written.
    written: (u32, u32),
    /// The folder within the work tree, with a slash behind it; empty for its top.
    prefix: Vec<u8>,
    /// The commits were all read.
    complete: bool,
}

impl Git {
    /// Looks for the repository of a folder, there and above, and reads it.
    pub(super) fn read(folder: &Path, clock: &Clock) -> Self {
        match Found::find(folder) {
            None => Self::None,
            Some(found) => found
                .and_then(|found| found.read(clock))
                .map_or(Self::Unknown, Self::Known),
        }
    }

    /// How a tracked file could be had again; nothing when git does not know it.
    pub(super) fn recovery(&self, path: &[u8], stat: &Stat) -> Option<Recovery> {
        let known = match self {
            Self::None => return None,
            Self::Unknown => return Some(Recovery::Unknown),
            Self::Known(known) => known,
        };
        let path = [known.prefix.as_slice(), path].concat();
        let entry = known.index.entries.get(known.index.find(&path)?)?;
        let same = entry.is_unchanged(stat, known.written);
        Some(match (entry.committed && same, entry.pushed, entry.known) {
            (true, true, _) => Recovery::Committed,
            (true, false, _) => Recovery::CommittedHere,
            (false, _, true) => Recovery::Modified,
            (false, ..) if known.complete => Recovery::OnlyCopy,
            (false, ..) => Recovery::Unknown,
        })
    }
}

/// A repository and where the folder is in its work tree.
struct Found {
    own: Beneath,
    common: Beneath,
    prefix: Vec<u8>,
}

impl Found {
    /// Nothing when there is none, `Some(None)` for one that cannot be used.
    fn find(folder: &Path) -> Option<Option<Self>> {
        let folder = fs::canonicalize(folder).ok()?;
        let owner = fs::metadata(&folder).ok()?.uid();
        for top in folder.ancestors().take(UP) {
            // Another user's folder above says nothing about ours.
            if fs::metadata(top).ok()?.uid() != owner {
                return None;
            }
            let at = top.join(".git");
            let Ok(meta) = fs::symlink_metadata(&at) else {
                continue;
            };
            let mut prefix = folder
                .strip_prefix(top)
                .ok()?
                .as_os_str()
                .as_bytes()
                .to_vec();
            if !prefix.is_empty() {
                prefix.push(b'/');
            }
            let places = if meta.is_dir() {
                plain(&at)
            } else {
                linked(top)
            };
            return Some(places.and_then(|places| Self::at(places, prefix)));
        }
        None
    }

    fn at((own, common): (Beneath, Beneath), prefix: Vec<u8>) -> Option<Self> {
        // The one setting that changes the format of all the rest. Only looked for, not obeyed.
        if let Some((config, _)) = common.read(b"config", SMALL)
            && config
                .to_ascii_lowercase()
                .windows(6)
                .any(|word| word == b"sha256")
        {
            return None;
        }
        Some(Self {
            own,
            common,
            prefix,
        })
    }

    fn read(self, clock: &Clock) -> Option<Known> {
        let (bytes, stat) = match self.own.stat(b"index") {
            Ok(_) => self.own.read(b"index", INDEX)?,
            // Nothing was ever added.
            Err(_) => return Some(Known::empty(self.prefix)),
        };
        let mut known = Known {
            index: Index::parse(&bytes, clock)?,
            written: index::modified(&stat),
            prefix: self.prefix,
            complete: false,
        };
        let refs = Refs::open(&self.own, &self.common)?;
        let (head, branch) = refs.head()?;
        let mut objects = Objects::open(&self.common, clock)?;
        known.complete = match head {
            Head::Unborn => true,
            Head::Commit(head) => {
                let tips = refs.remote(&branch);
                mark(&mut known.index, &mut objects, head, &tips).is_some()
            }
        };
        Some(known)
    }
}

impl Known {
    fn empty(prefix: Vec<u8>) -> Self {
        Self {
            index: Index::default(),
            written: (0, 0),
            prefix,
            complete: true,
        }
    }
}

/// The repository in a folder `.git`, not a link: what is the work tree's own, and what is shared.
fn plain(at: &Path) -> Option<(Beneath, Beneath)> {
    let own = Beneath::top(at).ok()?;
    // It would lead elsewhere.
    if own.stat(b"commondir").is_ok() {
        return None;
    }
    let common = own.folder(b"").ok()?;
    Some((own, common))
}

/// The repository of a further work tree. The file `.git` may name any folder; the one it names
/// must name it in turn, which nobody can make happen who could not write there.
fn linked(top: &Path) -> Option<(Beneath, Beneath)> {
    let (text, _) = Beneath::top(top).ok()?.read(b".git", SMALL)?;
    let at = top.join(path(text.strip_prefix(b"gitdir:")?));
    let own = Beneath::top(&at).ok()?;
    let (back, _) = own.read(b"gitdir", SMALL)?;
    let back = fs::canonicalize(at.join(path(&back))).ok()?;
    if back != fs::canonicalize(top).ok()?.join(".git") {
        return None;
    }
    let (text, _) = own.read(b"commondir", SMALL)?;
    let common = Beneath::top(&at.join(path(&text))).ok()?;
    Some((own, common))
}

fn path(text: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(text.trim_ascii()))
}

/// Notes which entries the commits have. Nothing when the checked-out one could not be read whole.
fn mark(index: &mut Index, objects: &mut Objects, head: Oid, tips: &[Oid]) -> Option<()> {
    let tree = tree_of(objects, &head)?;
    compare(index, objects, tree, &mut |entry, same| {
        entry.known = true;
        entry.committed |= same;
    })?;
    for tip in tips {
        // What is not known to be pushed counts as not pushed.
        if let Some(tree) = tree_of(objects, tip) {
            let _ = compare(index, objects, tree, &mut |entry, same| {
                entry.pushed |= same;
            });
        }
    }
    Some(())
}

fn tree_of(objects: &mut Objects, commit: &Oid) -> Option<Oid> {
    let commit = objects.get(commit, Kind::Commit)?;
    let digits = commit.strip_prefix(b"tree ")?.get(..40)?;
    refs::oid(digits)
}

/// Calls `note` for each entry that a tree has a file for, saying whether it is the same.
fn compare(
    index: &mut Index,
    objects: &mut Objects,
    tree: Oid,
    note: &mut dyn FnMut(&mut Entry, bool),
) -> Option<()> {
    let mut open: Vec<(Vec<u8>, Oid)> = vec![(Vec::new(), tree)];
    let mut read = 0;
    while let Some((prefix, tree)) = open.pop() {
        if index.trees.get(&prefix) == Some(&tree) {
            index
                .below(&prefix)
                .iter_mut()
                .for_each(|entry| note(entry, true));
            continue;
        }
        read += 1;
        if read > TREES {
            return None;
        }
        let bytes = objects.get(&tree, Kind::Tree)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let item = item(&mut rest)?;
            let path = [prefix.as_slice(), item.name].concat();
            if item.mode == 0o40_000 {
                open.push(([path.as_slice(), b"/"].concat(), item.oid));
            } else if let Some(entry) = index.find(&path)
                && let Some(entry) = index.entries.get_mut(entry)
            {
                let same = entry.oid == item.oid && entry.mode == item.mode;
                note(entry, same);
            }
        }
    }
    Some(())
}

/// A file or folder of a tree.
struct Item<'a> {
    mode: u32,
    name: &'a [u8],
    oid: Oid,
}

fn item<'a>(rest: &mut &'a [u8]) -> Option<Item<'a>> {
    let mode = rest.iter().position(|byte| *byte == b' ')?;
    let mode = std::str::from_utf8(rest.split_off(..mode)?).ok()?;
    rest.split_off_first()?;
    let name = rest.iter().position(|byte| *byte == 0)?;
    let name = rest.split_off(..name)?;
    rest.split_off_first()?;
    Some(Item {
        mode: u32::from_str_radix(mode, 8).ok()?,
        name,
        oid: rest.split_off(..20)?.try_into().ok()?,
    })
}
