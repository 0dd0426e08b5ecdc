// SPDX-License-Identifier: Apache-2.0
//! Commit titles: `area: Imperative summary`, at most 72 characters, no full stop. The area is a
//! folder of the tree or a module of one (a device, say), or `project` for what concerns all.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Verdict, files};
use crate::tools;

const MOST_CHARACTERS: usize = 72;

/// Reads every title there is.
pub(super) fn check() -> Result<Verdict> {
    if !tools::root().join(".git").exists() {
        return Ok(Verdict::Skipped("there is no history here"));
    }
    let mut git = Command::new("git");
    git.current_dir(tools::root())
        .args(["log", "--no-merges", "--format=%h %s"]);
    let log = tools::output(&mut git)?;
    let areas = areas(&files()?);
    let wrong: Vec<_> = log
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(id, title)| Some(format!("{id} '{title}': {}", fault(title, &areas)?)))
        .collect();
    Ok(wrong.into())
}

fn areas(files: &[String]) -> BTreeSet<String> {
    let mut areas = BTreeSet::from(["project".to_owned()]);
    for file in files {
        let parts = Path::new(file).iter().filter_map(|part| part.to_str());
        areas.extend(parts.map(|part| part.strip_suffix(".rs").unwrap_or(part).to_owned()));
    }
    areas
}

fn fault(title: &str, areas: &BTreeSet<String>) -> Option<String> {
    let Some((area, summary)) = title.split_once(": ") else {
        return Some("has no 'area: '".to_owned());
    };
    let known = area.split('/').all(|part| areas.contains(part));
    if !known {
        return Some(format!(
            "'{area}' is no folder, no module and not 'project'"
        ));
    }
    if title.chars().count() > MOST_CHARACTERS {
        return Some(format!("is longer than {MOST_CHARACTERS} characters"));
    }
    if !summary.starts_with(char::is_uppercase) {
        return Some("its summary does not begin with a capital".to_owned());
    }
    summary
        .ends_with('.')
        .then(|| "ends with a full stop".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_titles_are_named() {
        let areas = areas(&["vmm/src/devices/virtio/rng.rs".to_owned()]);
        let fault = |title: &str| fault(title, &areas);
        assert_eq!(fault("vmm: Map the kernel"), None);
        assert_eq!(fault("virtio/rng: Cap a request"), None);
        assert_eq!(fault("project: Lay out the workspace"), None);
        assert!(fault("Fix things").unwrap().contains("area"));
        assert!(fault("nothing: Fix things").unwrap().contains("no folder"));
        assert!(fault("vmm: fix things").unwrap().contains("capital"));
        assert!(fault("vmm: Fix things.").unwrap().contains("full stop"));
        assert!(
            fault(&format!("vmm: F{}", "x".repeat(70)))
                .unwrap()
                .contains("longer")
        );
    }
}
