// SPDX-License-Identifier: Apache-2.0
//! From effects to the probability that a person would refuse.
//!
//! ```text
//! Analysis, Reach, Context ─► Features ─► Weights: one Gaussian each ─► calibration ─► Risk
//!                             │ shared: kinds, harms, areas, counts           ▲
//!                             └ local: hashed words, never leave              │ promotion
//!                                           people's answers ─► candidate ────┘
//! ```
//!
//! An action is as risky as its riskiest *claim* (an effect at its harm, something that made it
//! hard to read, a secret on its way to the network), plus what its breadth, its blast radius and
//! its context add. That shape, not only the signs of the weights, is why one more effect or a
//! worse one can never lower the risk, and why answers about harmless actions say nothing about
//! harmful ones: each level of harm has weights of its own.
//!
//! Nothing here decides; `verdict` compares [`Risk::upper`] with [`Risk::ask_at`].

pub mod beta;
pub mod calibrate;
pub mod conformal;
pub mod explain;
pub mod features;
pub mod learning;
pub mod lexical;
pub mod model;
pub mod prior;
pub mod scores;
pub mod state;
pub mod weights;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::effects::Analysis;

pub use explain::Contribution;
pub use features::{Features, Shared};
pub use model::Model;
pub use state::State;

/// Where asking begins on the first day, for [`Risk::upper`].
pub const ASK: f64 = 0.4;

/// What effects could reach, in plain counts. Absent counts are zeros: they never lower a risk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// Files changed or deleted that exist nowhere else.
    pub only_copy: u64,
    /// Files that version control has.
    pub committed: u64,
    /// Files outside the workspace.
    pub outside: u64,
    /// Hosts spoken to.
    pub hosts: u64,
    /// Credentials within reach.
    pub credentials: u64,
    /// Something of it leaves the machine.
    pub leaves_machine: bool,
    /// All of it is seen by a person before it counts.
    pub contained_by_review: bool,
}

/// How a step relates to what was declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Declared {
    /// Nothing was declared.
    #[default]
    NoPlan,
    /// It is a step of the plan.
    InPlan,
    /// There is a plan, and it is none of its steps.
    OutsidePlan,
}

/// Around the action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// How tight the task is held: 0 is free, 3 and above paused.
    pub posture: u8,
    /// A whole plan is judged, not one step.
    pub plan: bool,
    /// Whether it was declared. Declaring never lowers a risk.
    pub declared: Declared,
}

/// What a risk is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What was learnt of the action by reading it.
    pub analysis: &'a Analysis,
    /// What its effects could reach, when that was counted.
    pub reach: Option<&'a Reach>,
    /// Around it.
    pub context: Context,
}

impl<'a> Inputs<'a> {
    /// An analysis alone.
    #[must_use]
    pub fn of(analysis: &'a Analysis) -> Self {
        Self {
            analysis,
            reach: None,
            context: Context::default(),
        }
    }
}

/// How likely a person would refuse. All numbers are finite, and between 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Risk {
    /// The best guess.
    pub probability: f64,
    /// How unsure that is, one standard deviation.
    pub sd: f64,
    /// Three in four chances that it is no more than this; what asking goes by.
    pub upper: f64,
    /// From where on a person is asked.
    pub ask_at: f64,
    /// What it is made of, the largest first.
    pub contributions: Vec<Contribution>,
    /// Whether the model may be believed.
    pub state: State,
}

impl Risk {
    /// How much uncertainty widens *ask*.
    #[must_use]
    pub fn margin(&self) -> f64 {
        (self.upper - self.probability).max(0.0)
    }

    /// Whether a person should be asked, by risk alone.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.upper >= self.ask_at || matches!(self.state, State::Void(_))
    }

    /// The probability in basis points, 0 to 10,000.
    #[must_use]
    pub fn probability_bps(&self) -> u16 {
        basis_points(self.probability)
    }

    /// The standard deviation in basis points.
    #[must_use]
    pub fn sd_bps(&self) -> u16 {
        basis_points(self.sd)
    }

    /// The upper bound in basis points.
    #[must_use]
    pub fn upper_bps(&self) -> u16 {
        basis_points(self.upper)
    }

    /// The margin in basis points.
    #[must_use]
    pub fn margin_bps(&self) -> u16 {
        basis_points(self.margin())
    }
}

/// A share in basis points, rounded up: a risk is never shown smaller than it is. What is no
/// number is the greatest.
#[must_use]
pub fn basis_points(share: f64) -> u16 {
    if share.is_nan() {
        return 10_000;
    }
    // A hair less, so that 0.2 is 2,000 and not 2,001.
    whole((share.clamp(0.0, 1.0) * 10_000.0 - 1e-6).ceil())
}

/// The greatest integer that is no more than `value`, at least 0: a cast would not say where it
/// saturates.
fn whole(value: f64) -> u16 {
    (0..u16::BITS).rev().fold(0, |found, bit| {
        let next = found | 1 << bit;
        if f64::from(next) <= value {
            next
        } else {
            found
        }
    })
}
