// SPDX-License-Identifier: Apache-2.0
//! A risk in words: what adds how much, and what alone would have to be absent for nobody to be
//! asked.

use super::features::{EXTRAS, Extra, Features, Part, Zone};
use super::model::{Claim, Model, Source};
use super::weights::{Slot, Weights};
use crate::effects::{Hard, Harm, Kind};

/// Most distinct things whose absence is tried.
const TRIED: usize = 64;

/// What one thing adds to a risk.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// In words: `deletes what has no other copy`.
    pub words: String,
    /// How much, in log-odds.
    pub amount: f64,
    /// The effect of the analysis, when it is one.
    pub effect: Option<usize>,
}

impl std::fmt::Display for Contribution {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(out, "{}: {:+.1}", self.words, self.amount)
    }
}

/// What would be without one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Without {
    /// The thing, in words.
    pub words: String,
    /// The upper bound then.
    pub upper: f64,
}

/// What a claim and the extras add, the largest first.
pub(super) fn contributions(
    weights: &Weights,
    features: &Features,
    lead: Claim,
) -> Vec<Contribution> {
    let line = |words: String, amount: f64| Contribution {
        words,
        amount,
        effect: None,
    };
    let mut lines = Vec::new();
    match lead.source {
        Source::Nothing => {}
        Source::Hard(hard) => lines.push(line(of_hard(hard).to_owned(), lead.mean)),
        Source::Leak => lines.push(line(LEAK.to_owned(), lead.mean)),
        Source::Part(index, harm) => {
            let tokens = features.local.part(index);
            // What the clamp on words leaves of them.
            let part = features.shared.parts.get(index);
            let shared = part.map_or(0.0, |part| weights.shared_part(*part, harm));
            let words = lead.mean - shared;
            lines.extend(part.map(|part| Contribution {
                effect: Some(index),
                ..line(of_part(*part), shared)
            }));
            if !tokens.is_empty() && words != 0.0 {
                lines.push(line(LEARNT.to_owned(), words));
            }
        }
    }
    lines.extend(EXTRAS.iter().map(|extra| {
        let amount = features.shared.extra(*extra) * weights.get(Slot::Extra(*extra)).mean();
        line(of_extra(*extra).to_owned(), amount)
    }));
    lines.retain(|line| line.amount.abs() >= 0.05);
    lines.sort_by(|one, other| other.amount.abs().total_cmp(&one.amount.abs()));
    lines
}

impl Weights {
    /// What a part's kind, zone and harm say, without its words.
    fn shared_part(&self, part: Part, harm: Harm) -> f64 {
        super::model::slots(part, harm)
            .iter()
            .map(|slot| self.get(*slot).mean())
            .sum()
    }
}

/// The single things without which nobody would be asked, the safest first. Empty when nobody is
/// asked anyway, or no single one would do.
#[must_use]
pub fn counterfactuals(model: &Model, features: &Features) -> Vec<Without> {
    if !model.asks(features) {
        return Vec::new();
    }
    let shared = &features.shared;
    let mut parts = shared.parts.clone();
    parts.sort_unstable_by(|one, other| (other.harm, one).cmp(&(one.harm, other)));
    parts.dedup();
    let mut tried: Vec<(String, Features)> = Vec::new();
    for part in parts.into_iter().take(TRIED) {
        tried.push((of_part(part), without(features, part)));
    }
    for hard in &shared.findings {
        let mut less = features.clone();
        less.shared.findings.retain(|other| other != hard);
        tried.push((of_hard(*hard).to_owned(), less));
    }
    if shared.leak {
        let mut less = features.clone();
        less.shared.leak = false;
        tried.push((LEAK.to_owned(), less));
    }
    for extra in EXTRAS.into_iter().filter(|e| shared.extra(*e) > 0.0) {
        let mut less = features.clone();
        less.shared.set(extra, 0);
        tried.push((of_extra(extra).to_owned(), less));
    }
    let mut enough: Vec<Without> = tried
        .into_iter()
        .map(|(words, less)| Without {
            words,
            upper: model.bounds(&less).1,
        })
        .filter(|without| without.upper < model.ask_at())
        .collect();
    enough.sort_by(|one, other| one.upper.total_cmp(&other.upper));
    enough
}

/// Without all effects of one sort. What they leave behind in the extras stays, apart from the
/// order of harms, so that this promises too little rather than too much.
fn without(features: &Features, part: Part) -> Features {
    let mut less = features.clone();
    let parts = &features.shared.parts;
    less.local = features.local.keep(|index| parts.get(index) != Some(&part));
    less.shared.parts.retain(|other| *other != part);
    less.shared.rank();
    less
}

const LEAK: &str = "a secret on its way to the network";
const LEARNT: &str = "what people here said of such commands";

fn of_part(part: Part) -> String {
    let does = match part.kind {
        Kind::Read => "reads",
        Kind::Write => "writes",
        Kind::Delete => "deletes",
        Kind::Execute => "runs code",
        Kind::Connect => "connects",
        Kind::Send => "sends data",
        Kind::Install => "installs",
        Kind::Escalate => "changes rights",
        Kind::Persist => "stays behind",
        Kind::Publish => "publishes",
        Kind::TouchSecret => "touches a secret",
        Kind::Obfuscate => "hides what it does",
        Kind::Disrupt => "disrupts",
        Kind::Unknown => "could do anything",
    };
    let place = match part.zone {
        Zone::Scratch => " in temporary or built files",
        Zone::Work => " in the workspace",
        Zone::AllWork => " over the whole workspace or its history",
        Zone::Home => " in a home folder",
        Zone::Whole => " over a whole home, device or machine",
        Zone::System => " in the system's files",
        Zone::Outside => " outside the workspace",
        Zone::Unresolved => " in a place not known yet",
        Zone::Remote => " on another machine",
        Zone::Here => "",
    };
    let harm = match part.harm {
        Harm::None => "harmless",
        Harm::Low => "low harm",
        Harm::Medium => "medium harm",
        Harm::High => "high harm",
        Harm::Critical => "critical harm",
    };
    format!("{does}{place}, {harm}")
}

fn of_hard(hard: Hard) -> &'static str {
    match hard {
        Hard::Unparsed => "the text is no shell",
        Hard::ParsersDiffer => "two parsers read different commands",
        Hard::DynamicProgram => "a program is known only when it runs",
        Hard::DynamicCode => "code is made as it runs",
        Hard::TooMuch => "too long or too deep to follow",
        Hard::Misleading => "characters that mislead a reader",
        Hard::NotText => "bytes that are no text",
        Hard::UnreadScript => "a script that could not be read",
        Hard::Cycle => "scripts that run each other",
        Hard::AnnouncedNotDone => "the plan announces what no step does",
        Hard::DoneNotAnnounced => "a step does what the plan never mentions",
        Hard::TooBroad => "the plan declares more than it uses",
    }
}

fn of_extra(extra: Extra) -> &'static str {
    match extra {
        Extra::SecondLow => "another effect of low harm",
        Extra::SecondMedium => "another effect of medium harm",
        Extra::SecondHigh => "another effect of high harm",
        Extra::SecondCritical => "another effect of critical harm",
        Extra::Secret => "secrets are touched",
        Extra::Unknown => "something that could do anything",
        Extra::Wrapped => "wrapped in other programs",
        Extra::Breadth => "many targets",
        Extra::Findings => "hard to read in several ways",
        Extra::OnlyCopy => "reaches what has no other copy",
        Extra::Committed => "reaches committed files",
        Extra::Outside => "reaches files outside the workspace",
        Extra::Hosts => "speaks to hosts",
        Extra::Credentials => "credentials are within reach",
        Extra::Leaves => "leaves the machine",
        Extra::Uncontained => "counts before anybody reviews it",
        Extra::Posture => "the task is held tight",
        Extra::Plan => "a whole plan",
        Extra::InPlan => "a declared step",
        Extra::OutsidePlan => "not among the declared steps",
    }
}
