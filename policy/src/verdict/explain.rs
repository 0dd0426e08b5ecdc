// SPDX-License-Identifier: Apache-2.0
//! What would have changed a verdict: facts altered one at a time, and decided again.

use std::fmt;

use serde::Serialize;

use super::context::{finding_name, kind_name};
use super::engine::{Engine, Verdict};
use super::facts::{Bps, Count, Facts, Model, Posture, Words};
use crate::effects::{Hard, Harm, Kind};

/// A fact made milder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relaxation {
    /// The risk is below where asking begins.
    LowRisk,
    /// The model fits.
    ValidModel,
    /// The posture is normal.
    NormalPosture,
    /// Without this finding.
    Without(Hard),
    /// Without effects of this kind.
    Gone(Kind),
    /// Effects of this kind do medium harm at most.
    Milder(Kind),
    /// All hosts are in the catalogue.
    Catalogued,
    /// No secrets are touched.
    NoSecret,
    /// Every set holds all there is.
    Whole,
    /// Nothing of which there is no other copy, outside the workspace or of credentials.
    SmallReach,
    /// Nothing leaves the machine.
    Stays,
    /// The plan declares it.
    Declared,
}

impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LowRisk => write!(f, "a risk below where asking begins"),
            Self::ValidModel => write!(f, "a risk model that fits"),
            Self::NormalPosture => write!(f, "a normal posture"),
            Self::Without(hard) => write!(f, "without the finding {}", finding_name(*hard)),
            Self::Gone(kind) => write!(f, "without any effect of kind {}", kind_name(*kind)),
            Self::Milder(kind) => write!(f, "at most medium harm of kind {}", kind_name(*kind)),
            Self::Catalogued => write!(f, "only hosts of the catalogue"),
            Self::NoSecret => write!(f, "no secrets touched"),
            Self::Whole => write!(f, "few enough names to be checked"),
            Self::SmallReach => write!(
                f,
                "no only copies, nothing outside the workspace, no credentials in reach"
            ),
            Self::Stays => write!(f, "nothing that leaves the machine"),
            Self::Declared => write!(f, "declared in the agent's plan"),
        }
    }
}

/// A change that would give another verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What is milder; several only when no single one is enough.
    pub with: Vec<Relaxation>,
    /// What the verdict would be.
    pub verdict: Verdict,
}

impl Engine {
    /// Which milder facts would loosen the verdict: each one that does alone, else one smallest
    /// set found by adding them up and leaving out again what is not needed. Decides again at most
    /// about a hundred times.
    #[must_use]
    pub fn what_would_change(&self, facts: &Facts) -> Vec<Change> {
        let now = self.decide(facts).verdict;
        let candidates = candidates(facts);
        let single = candidates.iter().filter_map(|one| {
            let verdict = self.with(facts, &[*one]);
            (verdict < now).then(|| Change {
                with: vec![*one],
                verdict,
            })
        });
        let single: Vec<Change> = single.collect();
        if single.is_empty() && now != Verdict::Allow {
            self.several(facts, now, candidates).into_iter().collect()
        } else {
            single
        }
    }

    fn several(&self, facts: &Facts, now: Verdict, mut with: Vec<Relaxation>) -> Option<Change> {
        if self.with(facts, &with) >= now {
            return None;
        }
        let mut at = with.len();
        while let Some(next) = at.checked_sub(1) {
            at = next;
            let mut fewer = with.clone();
            fewer.remove(at);
            if self.with(facts, &fewer) < now {
                with = fewer;
            }
        }
        let verdict = self.with(facts, &with);
        Some(Change { with, verdict })
    }

    /// The verdict with these facts made milder.
    fn with(&self, facts: &Facts, relaxations: &[Relaxation]) -> Verdict {
        let mut milder = facts.clone();
        for relaxation in relaxations {
            relaxation.apply(&mut milder);
        }
        self.decide(&milder).verdict
    }
}

/// All that would make a difference to these facts, the more likely to matter first.
fn candidates(facts: &Facts) -> Vec<Relaxation> {
    let kinds = || facts.does.harms.keys().copied();
    let mut all = vec![
        Relaxation::LowRisk,
        Relaxation::ValidModel,
        Relaxation::NormalPosture,
    ];
    all.extend(facts.does.findings.iter().copied().map(Relaxation::Without));
    all.extend(kinds().map(Relaxation::Milder));
    all.extend(kinds().map(Relaxation::Gone));
    all.extend([
        Relaxation::Catalogued,
        Relaxation::NoSecret,
        Relaxation::Whole,
        Relaxation::SmallReach,
        Relaxation::Stays,
        Relaxation::Declared,
    ]);
    all.retain(|one| {
        let mut milder = facts.clone();
        one.apply(&mut milder);
        milder != *facts
    });
    all
}

impl Relaxation {
    fn apply(self, facts: &mut Facts) {
        let does = &mut facts.does;
        match self {
            Self::LowRisk => {
                let risk = &mut facts.risk;
                (risk.estimate, risk.upper, risk.uncertainty) = (Bps::NONE, Bps::NONE, Bps::NONE);
                // With the threshold at nothing no risk is below it.
                risk.ask_threshold = risk.ask_threshold.max(Bps::new(1));
            }
            Self::ValidModel => facts.risk.model = Model::Valid,
            Self::NormalPosture => facts.posture = Posture::Normal,
            Self::Without(hard) => {
                does.findings.remove(&hard);
            }
            Self::Gone(kind) => {
                does.harms.remove(&kind);
                does.areas.retain(|(of, _)| *of != kind);
                if !does.harms.contains_key(&Kind::Connect) && !does.harms.contains_key(&Kind::Send)
                {
                    does.hosts = Words::default();
                    does.hosts_outside = Words::default();
                }
            }
            Self::Milder(kind) => {
                if let Some(harm) = does.harms.get_mut(&kind) {
                    *harm = Harm::Medium.min(*harm);
                }
            }
            Self::Catalogued => does.hosts_outside = Words::default(),
            Self::NoSecret => does.secret = false,
            Self::Whole => whole(facts),
            Self::SmallReach => {
                let reach = &mut facts.reach;
                reach.only_copies = Count::default();
                reach.outside_workspace = Count::default();
                reach.credentials = Count::default();
                reach.partial = false;
            }
            Self::Stays => facts.reach.leaves_machine = false,
            Self::Declared => (facts.planned.in_plan, facts.planned.declared) = (true, true),
        }
    }
}

/// Says of every set that it holds all there is.
fn whole(facts: &mut Facts) {
    let does = &mut facts.does;
    for words in [
        &mut does.rules,
        &mut does.hosts,
        &mut does.hosts_outside,
        &mut does.programs,
        &mut does.words,
        &mut does.packages,
        &mut does.services,
    ] {
        words.assume_whole();
    }
}
