// SPDX-License-Identifier: Apache-2.0
//! From a path as an action writes it to where it leads.

use super::glob;
use crate::effects::place::{Area, Place, Setting};
use crate::effects::word::UNKNOWN;

/// Longest path that is followed; the kernel's own limit.
const LONGEST: usize = 4096;

/// Where a target's path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// Nowhere that keeps anything: `/dev/null`.
    Nowhere,
    /// A device.
    Device(String),
    /// There, absolute; it may be a pattern.
    At(String),
    /// To anything below this folder.
    Below(String),
    /// To anything at all.
    Anything,
}

/// A path of an effect and where it starts from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'a> {
    /// As written.
    pub(super) path: &'a str,
    /// What it was taken for when it was read.
    pub(super) place: Place,
    /// The effect's own folder, or the action's.
    pub(super) cwd: &'a str,
}

impl Written<'_> {
    pub(super) fn spot(&self, setting: &Setting) -> Spot {
        match self.place.area {
            Area::Null => return Spot::Nowhere,
            Area::Device => return Spot::Device(self.path.to_owned()),
            Area::Unresolved => return Spot::Anything,
            _ => {}
        }
        let path = self.path.strip_prefix("file://").unwrap_or(self.path);
        // What is not known may be a link or hold slashes: `..` behind it leads anywhere.
        let unclear = path
            .split_once(UNKNOWN)
            .is_some_and(|(_, rest)| rest.contains(".."));
        if unclear || path.len() > LONGEST {
            return Spot::Anything;
        }
        // Read from another folder than it was analysed for: it is not known which.
        if setting.place(path, Some(self.cwd)).area != self.place.area {
            return Spot::Anything;
        }
        let Some(whole) = setting.absolute(path, Some(self.cwd)) else {
            return Spot::Anything;
        };
        match whole.split_once(UNKNOWN) {
            Some((known, _)) => Spot::Below(folder_of(known).to_owned()),
            None => Spot::At(whole),
        }
    }
}

/// The folder that something is in: `/a` for `/a/b`, `/` for `/a`.
fn folder_of(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((folder, _)) => folder,
    }
}

/// Whether the names below a folder are ones that a pattern's parts stand for, `**` for any number
/// of folders.
pub(super) fn parts_match(pattern: &[&str], path: &str) -> bool {
    // Which parts of the pattern may come next.
    let mut open = vec![false; pattern.len() + 1];
    set(&mut open, 0);
    skip_any_depth(pattern, &mut open);
    for name in path.split('/') {
        let mut next = vec![false; pattern.len() + 1];
        for (at, part) in pattern.iter().enumerate() {
            if !open.get(at).copied().unwrap_or_default() {
                continue;
            }
            if *part == "**" {
                set(&mut next, at);
            } else if glob::matches(part, name) {
                set(&mut next, at + 1);
            }
        }
        skip_any_depth(pattern, &mut next);
        open = next;
    }
    open.last().copied().unwrap_or_default()
}

/// `**` may stand for no folder at all.
fn skip_any_depth(pattern: &[&str], open: &mut [bool]) {
    for (at, part) in pattern.iter().enumerate() {
        if *part == "**" && open.get(at).copied().unwrap_or_default() {
            set(open, at + 1);
        }
    }
}

fn set(open: &mut [bool], at: usize) {
    if let Some(one) = open.get_mut(at) {
        *one = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(path: &str, cwd: &str) -> Spot {
        let setting = Setting::default();
        let place = setting.place(path, Some(cwd));
        Written { path, place, cwd }.spot(&setting)
    }

    #[test]
    fn what_is_known_of_a_path_bounds_where_it_leads() {
        let at = |path: &str| Spot::At(path.to_owned());
        let in_src = "/workspace/src";
        for (path, cwd, wanted) in [
            ("a", in_src, at("/workspace/src/a")),
            ("../b", in_src, at("/workspace/b")),
            ("~/x", in_src, at("/home/task/x")),
            ("/dev/null", in_src, Spot::Nowhere),
            (
                "a/\u{F0000}/b",
                in_src,
                Spot::Below("/workspace/src/a".to_owned()),
            ),
            (
                "a\u{F0000}",
                in_src,
                Spot::Below("/workspace/src".to_owned()),
            ),
            ("a/\u{F0000}/../b", in_src, Spot::Anything),
            ("\u{F0000}", in_src, Spot::Anything),
        ] {
            assert_eq!(spot(path, cwd), wanted, "{path}");
        }
    }

    #[test]
    fn a_path_read_for_another_folder_leads_anywhere() {
        let setting = Setting::default();
        let place = setting.place("*", Some("/workspace/src"));
        let written = Written {
            path: "*",
            place,
            cwd: "/workspace",
        };
        assert_eq!(written.spot(&setting), Spot::Anything);
    }

    #[test]
    fn two_stars_stand_for_any_depth() {
        for (pattern, path, wanted) in [
            ("**/x", "x", true),
            ("**/x", "a/b/x", true),
            ("**/x", "a/b/y", false),
            ("a/**", "a/b/c", true),
            ("**/test/*.rs", "a/test/b.rs", true),
            ("**/test/*.rs", "a/test/c/b.rs", false),
        ] {
            let parts: Vec<&str> = pattern.split('/').collect();
            assert_eq!(parts_match(&parts, path), wanted, "{pattern} {path}");
        }
    }
}
