// SPDX-License-Identifier: Apache-2.0
//! What is believed before anybody has answered: weights set by hand, so that the first day is
//! already right for what the words of [`Harm`] say.
//!
//! | worst effect or finding alone | refused by |
//! |---|---|
//! | none, low, medium | 1, 4, 20 % |
//! | high | 80 %, less where something is published, shown or sent |
//! | critical | 97 % |
//! | unreadable: parsers differ, dynamic program, too much, … | 50 to 70 % |
//! | hidden, with nothing harmful behind it | 25 % |
//! | a secret on its way to the network | 98 % |
//!
//! The means are those log-odds stretched by what averaging over the variance takes away.

use super::features::{EXTRAS, Extra, GROUPS, Group, HARDS, HARMS};
use super::weights::{Gauss, Slot, Weights};
use crate::effects::{Hard, Harm};

/// Log-odds of an action without effects.
const BIAS: f64 = -7.4;

/// The Gaussian of a level of harm. Variance is spread over four weights (level, group, cell,
/// words), so that an answer teaches most about its like and a little about the level.
fn harm(harm: Harm) -> Gauss {
    let score = match harm {
        Harm::None => BIAS,
        Harm::Low => -5.1,
        Harm::Medium => -2.3,
        Harm::High => 2.25,
        Harm::Critical => 5.6,
    };
    Gauss::new(score - BIAS, 0.3)
}

fn hard(hard: Hard) -> Gauss {
    let score = match hard {
        Hard::ParsersDiffer | Hard::TooMuch => 0.7,
        Hard::Unparsed | Hard::DynamicProgram | Hard::NotText => 0.4,
        Hard::DynamicCode | Hard::Cycle | Hard::DoneNotAnnounced => -0.9,
        Hard::UnreadScript | Hard::AnnouncedNotDone => -1.3,
        Hard::TooBroad => -1.6,
        Hard::Misleading => -1.2,
    };
    Gauss::new(score - BIAS, 0.3)
}

fn extra(extra: Extra) -> Gauss {
    // Small where it is no news of most actions: what pushes on must not make all of them asked.
    let mean = match extra {
        Extra::SecondLow | Extra::Plan | Extra::InPlan => 0.0,
        Extra::SecondMedium | Extra::Committed | Extra::Wrapped | Extra::Unknown => 0.1,
        Extra::Leaves | Extra::Uncontained | Extra::Hosts => 0.1,
        Extra::Secret | Extra::Breadth => 0.2,
        Extra::SecondHigh | Extra::OutsidePlan => 0.5,
        Extra::SecondCritical | Extra::Posture => 0.8,
        Extra::Findings | Extra::Outside => 1.0,
        Extra::Credentials => 1.5,
        Extra::OnlyCopy => 2.5,
    };
    Gauss::new(mean, 0.05)
}

/// The weights of the first day.
#[must_use]
pub fn weights() -> Weights {
    let mut weights = Weights::all(Gauss::new(0.0, 0.6));
    weights.set(Slot::Bias, Gauss::new(BIAS, 0.02));
    for level in HARMS {
        weights.set(Slot::Harm(level), harm(level));
        for group in GROUP {
            weights.set(Slot::Group(group, level), Gauss::new(0.0, 0.5));
        }
    }
    // What is published, shown or sent can be meant; what is destroyed seldom is.
    for (group, mean) in [
        (Group::Publish, -0.9),
        (Group::Secret, -0.7),
        (Group::Reach, -0.4),
        (Group::Run, -0.3),
    ] {
        weights.set(Slot::Group(group, Harm::High), Gauss::new(mean, 0.5));
    }
    // Hidden, whatever is behind it: as for `Misleading`.
    for level in [Harm::None, Harm::Low, Harm::Medium] {
        let score = -1.9 - BIAS - harm(level).mean();
        weights.set(Slot::Group(Group::Hide, level), Gauss::new(score, 0.5));
    }
    for each in HARDS {
        weights.set(Slot::Hard(each), hard(each));
    }
    weights.set(Slot::Leak, Gauss::new(4.3 - BIAS, 0.2));
    for each in EXTRAS {
        weights.set(Slot::Extra(each), extra(each));
    }
    weights
}

const GROUP: [Group; GROUPS] = [
    Group::Look,
    Group::Change,
    Group::Destroy,
    Group::Run,
    Group::Reach,
    Group::Rights,
    Group::Publish,
    Group::Secret,
    Group::Hide,
];
