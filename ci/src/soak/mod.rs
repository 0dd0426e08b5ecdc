// SPDX-License-Identifier: Apache-2.0
//! `cargo ci soak`: ordinary programs work in a guest as they do on the server. CPython's own tests
//! run outside a guest and in one, over the same userland (`both.sh` says how), and every case must
//! end the same way on both sides, or `expected.toml` says why it does not.
//!
//! ```text
//! stock.rs   kernel and image
//! turns.rs   which tests          cases.py   runs them and tells of each case
//! sides.rs   both sides           both.sh    the part in the KVM server
//! cases.rs   what was told        judge.rs   which differences count
//! ```
//!
//! In the simulated server a run that does not come to its end is made once more (QEMU breaks one
//! boot of some hundreds, `test/inside.rs` says how); on hardware it counts.

mod cases;
mod judge;
mod sides;
mod stock;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::machine::Kvm;
use crate::tools;
use cases::{Cases, End};
use judge::{Alone, Expected, Pair, Rules, Verdict};
use sides::Both;
use stock::Stock;
pub(crate) use turns::MODULES;
use turns::Turn;

/// How often a doubtful case is run alone on each side.
const ALONE: usize = 2;
/// More doubtful cases than these are no accident, and would take hours.
const MOST_ALONE: usize = 40;

/// How much is run.
#[derive(Debug)]
pub(crate) enum Extent {
    /// These modules.
    Whole(Vec<String>),
    /// The selection that `cargo ci test` runs.
    Short,
}

impl Extent {
    /// As the command line says it.
    pub(crate) fn of(modules: Vec<String>, short: bool) -> Self {
        if short {
            Self::Short
        } else {
            Self::Whole(modules)
        }
    }
}

/// Runs and judges; whether no case differs without an explanation.
pub(crate) fn run(kvm: Kvm, extent: &Extent) -> Result<bool> {
    let soak = Soak {
        kvm,
        stock: stock::get()?,
        results: results(extent)?,
    };
    let (turns, whole) = match extent {
        Extent::Whole(modules) => (turns::whole(modules), modules.iter().cloned().collect()),
        Extent::Short => (turns::short(), BTreeSet::new()),
    };
    let expected = Expected::read()?;
    let runs = soak.to_the_end(&turns)?;
    let pairs = soak.pairs(&runs);
    let alone = soak.alone(&judge::doubtful(&pairs, &expected))?;
    let rules = Rules {
        expected: &expected,
        strict: kvm == Kvm::Hardware,
        whole,
    };
    let verdict = judge::judge(&pairs, &alone, &rules);
    let mut broken = idle(&turns, &pairs);
    for (turn, both) in turns.iter().zip(&runs) {
        broken.extend(both.broken().map(|why| format!("{}: {why}", turn.name)));
    }
    Ok(show(&verdict, &broken, &soak.results))
}

/// Modules of which nothing was run: a name that is wrong must not look like a success.
fn idle(turns: &[Turn], pairs: &BTreeMap<String, Pair>) -> Vec<String> {
    let ran: BTreeSet<_> = pairs.keys().map(|case| turns::module_of(case)).collect();
    let modules = turns.iter().flat_map(|turn| &turn.modules);
    let idle = modules.filter(|module| !ran.contains(module.as_str()));
    idle.map(|module| format!("{module}: not one case was run"))
        .collect()
}

/// Where the output of the last runs is kept.
fn results(extent: &Extent) -> Result<PathBuf> {
    let name = match extent {
        Extent::Whole(_) => "whole",
        Extent::Short => "short",
    };
    Ok(tools::cache()?.join("soak").join(name))
}

struct Soak {
    kvm: Kvm,
    stock: Stock,
    results: PathBuf,
}

impl Soak {
    fn run(&self, turns: &[Turn], part: &str) -> Result<Vec<Both>> {
        let runs = sides::run(self.kvm, &self.stock, turns, &self.results.join(part))?;
        for (turn, Both { outside, inside }) in turns.iter().zip(&runs) {
            println!(
                "soak: {}: {} cases in {} s outside, {} in {} s in a guest",
                turn.name,
                outside.cases.len(),
                outside.seconds,
                inside.cases.len(),
                inside.seconds
            );
        }
        Ok(runs)
    }

    /// Makes the runs, and in the simulated server those that broke once more.
    fn to_the_end(&self, turns: &[Turn]) -> Result<Vec<Both>> {
        println!("soak: output of the tests: {}", self.results.display());
        let mut runs = self.run(turns, "first")?;
        let mut again = Vec::new();
        for (number, both) in runs.iter().enumerate() {
            if let Some((turn, why)) = turns.get(number).zip(both.broken()) {
                println!("soak: {}: {why}", turn.name);
                again.push((number, turn.clone()));
            }
        }
        if again.is_empty() || self.kvm == Kvm::Hardware {
            return Ok(runs);
        }
        println!("soak: once more, since the simulated server itself may be why");
        let (numbers, again): (Vec<_>, Vec<_>) = again.into_iter().unzip();
        for (number, both) in numbers.into_iter().zip(self.run(&again, "again")?) {
            if let Some(run) = runs.get_mut(number) {
                *run = both;
            }
        }
        Ok(runs)
    }

    fn pairs(&self, runs: &[Both]) -> BTreeMap<String, Pair> {
        let all = |side: fn(&Both) -> &Cases| -> Cases {
            runs.iter().flat_map(|both| side(both).clone()).collect()
        };
        judge::pairs(
            &all(|both| &both.outside.cases),
            &all(|both| &both.inside.cases),
        )
    }

    /// Runs doubtful cases by themselves.
    fn alone(&self, names: &[String]) -> Result<BTreeMap<String, Alone>> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        if names.len() > MOST_ALONE {
            println!(
                "soak: {} cases failed or differ, too many to run each alone",
                names.len()
            );
            return Ok(BTreeMap::new());
        }
        println!(
            "soak: {} cases failed or differ; each again alone, {ALONE} times on each side",
            names.len()
        );
        let turns: Vec<_> = names
            .iter()
            .flat_map(|name| std::iter::repeat_n(turns::alone(name), ALONE))
            .collect();
        let runs = self.run(&turns, "alone")?;
        let alone = names.iter().zip(runs.chunks(ALONE));
        Ok(alone
            .map(|(name, runs)| {
                let outside = steady(runs.iter().map(|both| &both.outside.cases), name);
                let inside = steady(runs.iter().map(|both| &both.inside.cases), name);
                (name.clone(), Alone { outside, inside })
            })
            .collect())
    }
}

/// A case's end, if it was the same every time.
fn steady<'a>(mut runs: impl Iterator<Item = &'a Cases>, name: &str) -> Option<End> {
    let of = |cases: &Cases| cases.get(name).cloned().unwrap_or_else(End::not_run);
    let first = of(runs.next()?);
    runs.all(|cases| of(cases).is_like(&first)).then_some(first)
}

fn show(verdict: &Verdict, broken: &[String], results: &Path) -> bool {
    let say = |what: &str, lines: &[String]| {
        for line in lines {
            println!("soak: {what}: {line}");
        }
    };
    say("only once", &verdict.once);
    say("unsteady, not counted", &verdict.unsteady);
    say(
        "no longer differs as ci/src/soak/expected.toml says",
        &verdict.stale,
    );
    say("DIFFERS", &verdict.differ);
    say("BROKEN", broken);
    let well = verdict.differ.is_empty() && broken.is_empty();
    if !well {
        println!(
            "soak: {} has what the tests printed; a difference that is right belongs into \
             ci/src/soak/expected.toml with its reason",
            results.display()
        );
    }
    println!(
        "soak: {} cases end the same, {} differ as explained, {} differ, {} unsteady",
        verdict.same,
        verdict.explained,
        verdict.differ.len(),
        verdict.unsteady.len()
    );
    well
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_that_ran_no_case_is_named() {
        let turns = turns::whole(&["test_os".to_owned(), "test_so".to_owned()]);
        let ran = cases::read(r#"{"case": "test.test_os.C.a", "result": "ok", "why": ""}"#);
        let idle = idle(&turns, &judge::pairs(&ran, &ran));
        assert_eq!(idle, ["test_so: not one case was run"]);
    }

    #[test]
    fn case_is_steady_when_every_run_alone_ended_alike() {
        let run = |kind: &str| {
            cases::read(&format!(
                r#"{{"case": "c", "result": "{kind}", "why": ""}}"#
            ))
        };
        let steady = |runs: &[Cases]| super::steady(runs.iter(), "c").map(|end| end.kind);
        assert_eq!(steady(&[run("ok"), run("ok")]), Some(cases::Kind::Ok));
        assert_eq!(steady(&[run("ok"), run("failed")]), None);
        assert_eq!(steady(&[run("ok"), Cases::new()]), None);
        assert_eq!(
            steady(&[Cases::new(), Cases::new()]),
            Some(cases::Kind::NotRun)
        );
    }
}
