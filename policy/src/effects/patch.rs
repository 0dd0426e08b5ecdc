// SPDX-License-Identifier: Apache-2.0
//! Which files a patch changes: unified diffs, git's own headers, and the form agents write
//! (`*** Begin Patch`).

/// Files of one patch that are read.
const MOST: usize = 10_000;

/// What a patch does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// Creates or changes it.
    Write(&'a str),
    /// Takes it away.
    Delete(&'a str),
}

/// What a patch does; nothing when it is none.
pub(super) fn read(diff: &str) -> Option<Vec<Change<'_>>> {
    let mut changes = Vec::new();
    let mut before = None;
    for line in diff.lines() {
        let after = |head: &str| line.strip_prefix(head).map(name);
        if let Some(path) = after("--- ") {
            before = Some(path);
        } else if let Some(path) = after("+++ ") {
            match (before.take(), path) {
                (Some(old), "/dev/null") => changes.push(Change::Delete(old)),
                (old, path) => {
                    let moved = old.filter(|old| *old != path && *old != "/dev/null");
                    changes.extend(moved.map(Change::Write));
                    changes.push(Change::Write(path));
                }
            }
        } else if let Some(path) = after("rename from ").or(after("*** Delete File: ")) {
            changes.push(Change::Delete(path));
        } else if let Some(path) = [
            "rename to ",
            "copy to ",
            "*** Add File: ",
            "*** Update File: ",
            "*** Move to: ",
            "Index: ",
        ]
        .iter()
        .find_map(|head| after(head))
        {
            changes.push(Change::Write(path));
        } else if let Some(both) = line.strip_prefix("diff --git ") {
            // Of a change of mode or of a binary file there is nothing else.
            changes.extend(both.split(' ').next_back().map(name).map(Change::Write));
        }
        if changes.len() > MOST {
            return None;
        }
    }
    (!changes.is_empty()).then_some(changes)
}

/// A path without the prefix and the time that diffs add.
fn name(path: &str) -> &str {
    let path = path
        .split('\t')
        .next()
        .unwrap_or(path)
        .trim()
        .trim_matches('"');
    let inner = path.strip_prefix("a/").or_else(|| path.strip_prefix("b/"));
    inner.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::Change::{Delete, Write};
    use super::*;

    #[test]
    fn each_form_names_its_files() {
        for (diff, wanted) in [
            ("--- a/x\n+++ b/x\n@@ -1 +1 @@", vec![Write("x")]),
            ("--- a/x\n+++ /dev/null", vec![Delete("x")]),
            (
                "--- /dev/null\n+++ b/.git/hooks/pre-push",
                vec![Write(".git/hooks/pre-push")],
            ),
            (
                "rename from a\nrename to ../../.bashrc",
                vec![Delete("a"), Write("../../.bashrc")],
            ),
            (
                "*** Begin Patch\n*** Delete File: src/a.rs\n*** Add File: b\n*** End Patch",
                vec![Delete("src/a.rs"), Write("b")],
            ),
            (
                "Index: /etc/passwd\n@@ -1 +1 @@",
                vec![Write("/etc/passwd")],
            ),
        ] {
            assert_eq!(read(diff), Some(wanted), "{diff}");
        }
        for diff in ["", "nope", "@@ -1 +1 @@"] {
            assert_eq!(read(diff), None, "{diff}");
        }
    }
}
