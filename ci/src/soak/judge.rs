// SPDX-License-Identifier: Apache-2.0
//! Which differences count.
//!
//! A case that fails or differs in the long run may do so because another one had the processor, or
//! because a time-out made for a real machine is short in a simulated one. So it is run again by
//! itself, twice on each side, and a side's result counts where both agree. Where they do not, the
//! case is *unsteady* there, said and not counted: nothing can be learnt from it. On hardware a
//! case that is unsteady in the guest alone counts as a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::cases::{Cases, End, Kind};
use super::turns::module_of;

/// What is known to differ, and why.
const EXPECTED: &str = include_str!("expected.toml");

/// A case's end on both sides.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) outside: End,
    pub(super) inside: End,
}

/// A case's end on both sides, alone; nothing where it was unsteady.
#[derive(Clone, Debug)]
pub(super) struct Alone {
    pub(super) outside: Option<End>,
    pub(super) inside: Option<End>,
}

/// The differences that are explained.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    #[serde(default)]
    difference: Vec<Difference>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    outside: Kind,
    inside: Kind,
    /// For whoever reads the list.
    #[serde(rename = "why")]
    _why: String,
    cases: Vec<String>,
}

/// What came of it; each a line for people.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) same: u32,
    pub(super) explained: u32,
    pub(super) differ: Vec<String>,
    pub(super) unsteady: Vec<String>,
    pub(super) once: Vec<String>,
    pub(super) stale: Vec<String>,
}

/// How strictly, and over what.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    pub(super) expected: &'a Expected,
    /// What is unsteady in the guest alone counts.
    pub(super) strict: bool,
    /// Modules of which every case was run.
    pub(super) whole: BTreeSet<String>,
}

impl Pair {
    fn differs(&self) -> bool {
        !self.outside.is_like(&self.inside)
    }

    fn failed(&self) -> bool {
        [&self.outside, &self.inside]
            .iter()
            .any(|end| end.kind == Kind::Failed)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outside {}, in a guest {}", self.outside, self.inside)
    }
}

impl Expected {
    pub(super) fn read() -> Result<Self> {
        toml::from_str(EXPECTED).context("ci/src/soak/expected.toml")
    }

    fn explains(&self, case: &str, pair: &Pair) -> bool {
        self.difference.iter().any(|known| {
            known.outside == pair.outside.kind
                && known.inside == pair.inside.kind
                && known.cases.iter().any(|known| known == case)
        })
    }

    fn cases(&self) -> impl Iterator<Item = &String> {
        self.difference.iter().flat_map(|known| &known.cases)
    }
}

/// Both sides of every case that either knows.
pub(super) fn pairs(outside: &Cases, inside: &Cases) -> BTreeMap<String, Pair> {
    let names: BTreeSet<_> = outside.keys().chain(inside.keys()).collect();
    let of = |cases: &Cases, name: &str| cases.get(name).cloned().unwrap_or_else(End::not_run);
    let pair = |name: &String| Pair {
        outside: of(outside, name),
        inside: of(inside, name),
    };
    names
        .into_iter()
        .map(|name| (name.clone(), pair(name)))
        .collect()
}

/// The cases that have to be run alone.
pub(super) fn doubtful(pairs: &BTreeMap<String, Pair>, expected: &Expected) -> Vec<String> {
    let unclear = |(name, pair): &(&String, &Pair)| {
        (pair.differs() || pair.failed()) && !expected.explains(name, pair)
    };
    pairs
        .iter()
        .filter(unclear)
        .map(|(name, _)| name.clone())
        .collect()
}

/// Judges every case by what it came to alone, or else in the long run.
pub(super) fn judge(
    pairs: &BTreeMap<String, Pair>,
    alone: &BTreeMap<String, Alone>,
    rules: &Rules<'_>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut explained = BTreeSet::new();
    for (name, first) in pairs {
        let last = match alone.get(name) {
            None => first.clone(),
            Some(Alone {
                outside: Some(outside),
                inside: Some(inside),
            }) => Pair {
                outside: outside.clone(),
                inside: inside.clone(),
            },
            Some(Alone { outside, .. }) => {
                let counts = rules.strict && outside.is_some();
                let list = if counts {
                    &mut verdict.differ
                } else {
                    &mut verdict.unsteady
                };
                list.push(format!("{name}: {first}; alone not the same twice"));
                continue;
            }
        };
        if !last.differs() {
            verdict.same = verdict.same.saturating_add(1);
            if first.differs() {
                verdict.once.push(format!(
                    "{name}: {first}; alone {} on both sides",
                    last.inside
                ));
            }
        } else if rules.expected.explains(name, &last) {
            verdict.explained = verdict.explained.saturating_add(1);
            explained.insert(name);
        } else {
            verdict.differ.push(format!("{name}: {last}"));
        }
    }
    for name in rules.expected.cases() {
        let known = pairs.contains_key(name) || rules.whole.contains(module_of(name));
        if known && !explained.contains(name) {
            verdict.stale.push(name.clone());
        }
    }
    verdict
}

#[cfg(test)]
#[path = "judge/tests.rs"]
mod tests;
