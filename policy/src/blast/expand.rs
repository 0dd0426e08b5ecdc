// SPDX-License-Identifier: Apache-2.0
//! Patterns, held against what is there.

use super::measure::{Meter, Op};
use super::paths::parts_match;
use super::{Look, Step, What, glob};
use crate::effects::place::below;

impl Meter<'_> {
    /// All that a pattern without braces stands for, folder by folder.
    pub(super) fn pattern(&mut self, path: &str, op: Op) {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let mut folders = vec![String::new()];
        for (at, part) in parts.iter().enumerate() {
            if *part == "**" {
                let rest = parts.get(at..).unwrap_or_default();
                return self.deep(&folders, rest, op);
            }
            let last = at + 1 == parts.len();
            let mut next = Vec::new();
            for folder in &folders {
                if !self.may(op) {
                    return;
                }
                let path = format!("{folder}/{part}");
                match (glob::is_pattern(part), last) {
                    (true, _) => self.matching(folder, part, (last, op), &mut next),
                    (false, true) => {
                        let look = self.workspace.look(&path);
                        if look != Look::Nothing {
                            self.looked(&path, look, op);
                        }
                    }
                    (false, false) => next.push(path),
                }
            }
            folders = next;
        }
    }

    /// What one part of a pattern stands for in a folder: counted when it is the last part.
    fn matching(
        &mut self,
        folder: &str,
        part: &str,
        (last, op): (bool, Op),
        next: &mut Vec<String>,
    ) {
        let workspace = self.workspace;
        let listed = if folder.is_empty() { "/" } else { folder };
        for step in workspace.list(listed) {
            if !self.may(op) {
                return;
            }
            let Step::Found(entry) = step else {
                self.blast.partial = true;
                continue;
            };
            let name = entry.path.rsplit('/').next().unwrap_or_default();
            if !glob::matches(part, name) {
                continue;
            }
            match (last, entry.what) {
                (true, _) => self.found(&entry, op),
                (false, What::Folder) => next.push(entry.path),
                (false, What::Link) => self.away(&entry.path),
                (false, _) => {}
            }
        }
    }

    /// A pattern with `**`: all that is below the folders is held against the rest of it.
    fn deep(&mut self, folders: &[String], rest: &[&str], op: Op) {
        let workspace = self.workspace;
        for folder in folders {
            let walked = if folder.is_empty() { "/" } else { folder };
            for step in workspace.walk(walked) {
                if !self.may(op) {
                    return;
                }
                match step {
                    Step::Unseen => self.blast.partial = true,
                    Step::Found(entry) => {
                        let name = below(&entry.path, folder).unwrap_or_default();
                        if parts_match(rest, name) {
                            self.found(&entry, op);
                        }
                    }
                }
            }
        }
    }
}
