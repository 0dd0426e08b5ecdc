// SPDX-License-Identifier: Apache-2.0
//! Made-up people who answer. What they would truly say and what they answer may differ: a tired
//! one says yes.

use std::collections::BTreeMap;

use ::policy::effects::{Harm, Kind};

use super::random::Random;
use super::stream::Seen;

/// How people decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// By weights that are not the prior's.
    Logistic,
    /// By a tree of rules about programs, hours and depths of paths.
    Tree,
    /// By weights that are others from the middle on.
    Drifting,
    /// By weights, but tired: most answers are a fast yes.
    Noisy,
}

pub(crate) const MANNERS: [Manner; 4] = [
    Manner::Logistic,
    Manner::Tree,
    Manner::Drifting,
    Manner::Noisy,
];

impl Manner {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic reviewer",
            Self::Tree => "rule-tree reviewer",
            Self::Drifting => "drifting reviewer",
            Self::Noisy => "noisy reviewer",
        }
    }
}

/// When a drifting reviewer's mind changes.
const CHANGE: usize = 500;

/// Log-odds of refusing by harm alone, and how consistent people are.
const BASE: [f64; 5] = [-4.0, -3.2, -2.2, -0.5, 2.5];
const CONSISTENT: f64 = 3.0;

/// One mind's weights, made when first needed.
struct Mind {
    seed: u64,
    programs: BTreeMap<String, f64>,
    kinds: BTreeMap<Kind, f64>,
}

impl Mind {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            programs: BTreeMap::new(),
            kinds: BTreeMap::new(),
        }
    }

    fn log_odds(&mut self, seen: &Seen) -> f64 {
        let seed = self.seed;
        let name = seen.program.bytes();
        let purpose = name.fold(17, |hash: u64, b| hash.wrapping_mul(31) + u64::from(b));
        let program = *self
            .programs
            .entry(seen.program.clone())
            .or_insert_with(|| Random::new(seed, purpose).gauss(1.2));
        let kind = *self
            .kinds
            .entry(seen.kind)
            .or_insert_with(|| Random::new(seed, 1000 + seen.kind as u64).gauss(0.8));
        let base = BASE.get(seen.harm as usize).copied().unwrap_or(0.0);
        let critical = if seen.harm == Harm::Critical {
            0.4
        } else {
            1.0
        };
        let findings = seen.analysis.findings.len() as f64;
        CONSISTENT * (base + critical * (program + kind) + 1.5 * findings)
    }
}

/// An answer.
pub(crate) struct Answered {
    pub(crate) refused: bool,
    pub(crate) latency_ms: u64,
}

pub(crate) struct Reviewer {
    manner: Manner,
    seed: u64,
    minds: [Mind; 2],
    /// For what people would truly say, which no policy changes.
    truth: Random,
    /// For how they answer.
    manners: Random,
}

impl Reviewer {
    pub(crate) fn new(manner: Manner, seed: u64) -> Self {
        Self {
            manner,
            seed,
            minds: [Mind::new(seed ^ 0xa11), Mind::new(seed ^ 0xb22)],
            truth: Random::new(seed, 3),
            manners: Random::new(seed, 4),
        }
    }

    /// Whether they would refuse the action at this place of the stream, all considered.
    pub(crate) fn refuses(&mut self, seen: &Seen, at: usize) -> bool {
        let chance = self.truth.share();
        if self.manner == Manner::Tree {
            return self.tree(seen, at);
        }
        let late = self.manner == Manner::Drifting && at >= CHANGE;
        let [early, other] = &mut self.minds;
        let mind = if late { other } else { early };
        let odds = mind.log_odds(seen);
        chance < 1.0 / (1.0 + (-odds).exp())
    }

    fn tree(&self, seen: &Seen, at: usize) -> bool {
        let name = seen.program.bytes();
        let purpose = name.fold(5, |hash: u64, b| hash.wrapping_mul(131) + u64::from(b));
        let banned = Random::new(self.seed, purpose).share() < 0.4;
        let hour = at / 7 % 24;
        let outward = matches!(seen.kind, Kind::Publish | Kind::Send);
        seen.harm == Harm::Critical
            || (seen.harm >= Harm::Medium
                && (banned || (seen.depth == 1) || (outward && hour >= 20)))
    }

    /// What they answer when asked, and how fast.
    pub(crate) fn answers(&mut self, seen: &Seen, truth: bool) -> Answered {
        let reading = 2000 + 15 * u64::from(seen.shown);
        let hurry = self.manners.share();
        let tired = self.manner == Manner::Noisy && self.manners.share() < 0.85;
        if tired {
            let latency_ms = 300 + self.manners.next() % 1200;
            return Answered {
                refused: false,
                latency_ms,
            };
        }
        // Somebody who reads takes about the reading time, sometimes a little less.
        let longer = self.manners.next() % 20_000;
        let latency_ms = if hurry < 0.2 {
            reading * 3 / 4
        } else {
            reading + longer
        };
        Answered {
            refused: truth,
            latency_ms,
        }
    }
}
