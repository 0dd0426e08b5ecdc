// SPDX-License-Identifier: Apache-2.0
//! The plan that a question is a step of, as far as people can read it.
//!
//! They decide a step by what it is for and by what stands beside it, which needs nobody and so is
//! in no question. All of it is the words of whoever wrote the plan, and bounded.

use serde::{Deserialize, Serialize};

use super::item::line;
use crate::action::{Action, Plan};
use crate::text::cut;

/// Characters of the goal.
const GOAL: usize = 1000;

/// Characters of the reasoning.
const REASONING: usize = 8 << 10;

/// Steps that are kept: each question has them.
const STEPS: usize = 100;

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// What it is for.
    pub goal: String,
    /// How its writer came to it.
    pub reasoning: String,
    /// Its first steps, in order.
    pub steps: Vec<Step>,
    /// How many more there are.
    pub more: usize,
}

/// A step of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The action in one line.
    pub action: String,
    /// Whether people are asked about it; else policies allow it.
    pub asks: bool,
}

impl Planned {
    /// A plan whose steps these are, each with whether it asks.
    pub fn of<'a>(plan: &Plan, steps: impl ExactSizeIterator<Item = (&'a Action, bool)>) -> Self {
        let more = steps.len().saturating_sub(STEPS);
        let step = |(action, asks)| Step {
            action: line(action),
            asks,
        };
        Self {
            goal: cut(&plan.goal, GOAL),
            reasoning: cut(&plan.reasoning, REASONING),
            steps: steps.take(STEPS).map(step).collect(),
            more,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_nobody_can_read_is_cut() {
        let plan = Plan {
            goal: "g".repeat(5000),
            reasoning: "r".repeat(1 << 20),
            actions: vec![Action::shell("true"); 1000],
        };
        let planned = Planned::of(&plan, plan.actions.iter().map(|action| (action, false)));
        assert_eq!((planned.steps.len(), planned.more), (STEPS, 900));
        let count = |text: &str| text.chars().count();
        assert_eq!(count(&planned.goal), GOAL + 1);
        assert_eq!(count(&planned.reasoning), REASONING + 1);
    }
}
