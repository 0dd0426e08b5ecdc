// SPDX-License-Identifier: Apache-2.0
//! The labelled commands in `benches/corpora`, as its README says which rows count.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// Groups are split into so many folds.
pub(crate) const FOLDS: usize = 5;

/// Folds whose misses may be looked at when rules are written; `--misses` shows no others.
const LOOKED_AT: [usize; 2] = [1, 2];

/// A command and whether it is harmful.
#[derive(Clone, Debug)]
pub(crate) struct Labelled {
    pub(crate) command: String,
    pub(crate) harmful: bool,
    /// The fold of its group.
    pub(crate) fold: usize,
}

impl Labelled {
    /// Whether a person who writes rules may see how this command was judged.
    pub(crate) fn may_be_seen(&self) -> bool {
        LOOKED_AT.contains(&self.fold)
    }
}

/// A row of `shellfirm.jsonl`.
#[derive(Debug, Deserialize)]
struct Row {
    group: String,
    severity: String,
    readings: String,
    command: String,
}

impl Row {
    fn severe(&self) -> bool {
        matches!(self.severity.as_str(), "critical" | "high")
    }

    fn labelled(self, harmful: bool) -> Labelled {
        Labelled {
            fold: fold(&self.group),
            command: self.command,
            harmful,
        }
    }
}

/// A row of `everyday.jsonl` and `everyday-sealed.jsonl`.
#[derive(Debug, Deserialize)]
struct Everyday {
    readings: String,
    command: String,
}

/// Two spellings that differ only in what is done.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pair {
    pub(crate) operation: String,
    pub(crate) transform: String,
    pub(crate) harmful: String,
    pub(crate) harmless: String,
}

impl Pair {
    /// Every second pair, by hash, may be looked at.
    pub(crate) fn may_be_seen(&self) -> bool {
        let digest = Sha256::digest(self.harmful.as_bytes());
        digest.first().is_some_and(|byte| byte % 2 == 0)
    }
}

/// Commands on whose label the source and both readings agree.
pub(crate) fn shellfirm() -> Result<Vec<Labelled>> {
    let rows: Vec<Row> = read(include_str!("../../corpora/shellfirm.jsonl"))?;
    let kept = rows.into_iter().filter_map(|row| {
        let harmful = row.severe();
        let agreed = if harmful { "hh" } else { "ss" };
        (row.readings == agreed).then(|| row.labelled(harmful))
    });
    Ok(kept.collect())
}

/// All rows, by the source's label alone.
pub(crate) fn shellfirm_raw() -> Result<Vec<Labelled>> {
    let rows: Vec<Row> = read(include_str!("../../corpora/shellfirm.jsonl"))?;
    let labelled = rows.into_iter().map(|row| {
        let harmful = row.severe();
        row.labelled(harmful)
    });
    Ok(labelled.collect())
}

/// Commands of ordinary work; the sealed half is never looked at.
pub(crate) fn everyday(sealed: bool) -> Result<Vec<String>> {
    let rows: Vec<Everyday> = read(if sealed {
        include_str!("../../corpora/everyday-sealed.jsonl")
    } else {
        include_str!("../../corpora/everyday.jsonl")
    })?;
    let ordinary = rows.into_iter().filter(|row| row.readings == "ss");
    Ok(ordinary.map(|row| row.command).collect())
}

/// Spellings that try to evade, with their harmless twins.
pub(crate) fn evasion() -> Result<Vec<Pair>> {
    read(include_str!("../../corpora/evasion.jsonl"))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<Vec<T>> {
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| serde_json::from_str(line).with_context(|| format!("row {}", at + 1)))
        .collect()
}

/// SHA-256 of the group's name modulo [`FOLDS`].
fn fold(group: &str) -> usize {
    let digest = Sha256::digest(group.as_bytes());
    digest
        .iter()
        .fold(0, |rest, byte| (rest * 256 + usize::from(*byte)) % FOLDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frozen_lists_are_what_their_readme_says() {
        let kept = shellfirm().unwrap();
        let harmful = kept.iter().filter(|row| row.harmful).count();
        assert_eq!((harmful, kept.len() - harmful), (1291, 794));
        assert_eq!(shellfirm_raw().unwrap().len(), 3109);
        let everyday = [false, true].map(|sealed| everyday(sealed).unwrap().len());
        assert_eq!(everyday, [1093, 1173]);
        assert_eq!(evasion().unwrap().len(), 300);
    }
}
