// SPDX-License-Identifier: Apache-2.0
//! What `.gitignore` files leave out.
//!
//! Only ever asked about names that builds use (`build`, `dist`, `bin`): being ignored alone says
//! nothing, since what is ignored may be the only copy of a key or a database. Patterns as in
//! gitignore(5); the user's own global list is not read.

use std::cell::RefCell;
use std::collections::HashMap;

use policy::blast::glob;

use super::beneath::Beneath;

/// Longest list that is read.
const LONGEST: u64 = 256 << 10;

/// Most patterns of a list.
const PATTERNS: usize = 2000;

/// The lists of a folder and the folders below, as far as they were asked for.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    lists: RefCell<HashMap<Vec<u8>, Vec<Pattern>>>,
}

#[derive(Clone, Debug)]
struct Pattern {
    parts: Vec<String>,
    /// Takes back what an earlier pattern said.
    not: bool,
    /// Only folders.
    folder: bool,
    /// Holds from the list's folder on; else for a name at any depth.
    rooted: bool,
}

impl Ignore {
    /// Whether a path, or a folder around it, is left out. `folder` says whether it is one itself.
    pub(super) fn has(&self, top: &Beneath, path: &[u8], folder: bool) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let ends: Vec<usize> = ends.map(|(at, _)| at).collect();
        let around = ends.iter().filter_map(|end| path.get(..*end));
        around.into_iter().any(|around| self.is(top, around, true)) || self.is(top, path, folder)
    }

    /// The last pattern that fits decides, a deeper list before a higher one.
    fn is(&self, top: &Beneath, path: &[u8], folder: bool) -> bool {
        let mut lists = self.lists.borrow_mut();
        let mut ignored = false;
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1));
        for start in starts {
            let (at, below) = path.split_at(start);
            let list = lists.entry(at.to_vec()).or_insert_with(|| read(top, at));
            let below = String::from_utf8_lossy(below);
            for pattern in list.iter().filter(|pattern| pattern.fits(&below, folder)) {
                ignored = !pattern.not;
            }
        }
        ignored
    }
}

fn read(top: &Beneath, folder: &[u8]) -> Vec<Pattern> {
    let mut text = Vec::new();
    if folder.is_empty()
        && let Some((exclude, _)) = top.read(b".git/info/exclude", LONGEST)
    {
        text = exclude;
        text.push(b'\n');
    }
    if let Some((own, _)) = top.read(&[folder, b".gitignore"].concat(), LONGEST) {
        text.extend(own);
    }
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .filter_map(Pattern::parse)
        .take(PATTERNS)
        .collect()
}

impl Pattern {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (not, line) = match line.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (folder, line) = match line.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let rooted = line.contains('/');
        let parts = line.trim_start_matches('/').split('/');
        Some(Self {
            parts: parts.map(str::to_owned).collect(),
            not,
            folder,
            rooted,
        })
    }

    fn fits(&self, path: &str, folder: bool) -> bool {
        if self.folder && !folder {
            return false;
        }
        let mut names: Vec<&str> = path.split('/').collect();
        if !self.rooted {
            names = names.pop().into_iter().collect();
        }
        let mut parts = self.parts.as_slice();
        // `**` stands for as many folders as it takes; the shortest tail that is left must fit.
        while let [first, rest @ ..] = parts {
            if first == "**" {
                let keep = rest.len().min(names.len());
                names = names.split_off(names.len() - keep);
            } else {
                let Some(name) = names.first() else {
                    return false;
                };
                if !glob::matches_any(first, name) {
                    return false;
                }
                names.remove(0);
            }
            parts = rest;
        }
        names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_git_has_them() {
        for (line, path, folder, wanted) in [
            ("build", "build", true, true),
            ("build", "a/build", true, true),
            ("/build", "a/build", true, false),
            ("build/", "build", false, false),
            ("*.o", "a/b.o", false, true),
            ("a/*.o", "a/b.o", false, true),
            ("a/*.o", "a/c/b.o", false, false),
            ("**/out", "a/b/out", true, true),
            ("out", "outer", true, false),
        ] {
            let pattern = Pattern::parse(line).unwrap();
            assert_eq!(pattern.fits(path, folder), wanted, "{line} {path}");
        }
        assert!(Pattern::parse("# note").is_none());
    }

    #[test]
    fn a_later_or_deeper_pattern_takes_back_an_earlier_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join(".gitignore"), "bin\n*.o\n!keep.o\n").unwrap();
        std::fs::write(dir.path().join("a/.gitignore"), "!bin\n").unwrap();
        let top = Beneath::top(dir.path()).unwrap();
        let ignore = Ignore::default();
        assert!(ignore.has(&top, b"bin/x", false));
        assert!(!ignore.has(&top, b"a/bin/x", false));
        assert!(ignore.has(&top, b"x.o", false));
        assert!(!ignore.has(&top, b"keep.o", false));
    }
}
