// SPDX-License-Identifier: Apache-2.0
//! Learning that cannot be ground down.
//!
//! ```text
//!            refusal ─► live model, at once, tighter only
//! Event ────┤
//!            any ─────► candidate ─► replay on canaries and recent actions ─► a person promotes
//! ```
//!
//! What an answer counts for: refusals twice; approvals given faster than anybody reads, down to
//! a tenth; and from one task about one sort of claim, one unit in all, however often it asks. A
//! [`Learner`] is a function of its events: replaying them gives it bit for bit, and replaying
//! the first `n` gives the model that judged when there were `n`.

pub mod audit;
pub mod event;
pub mod replay;
mod spent;
pub mod store;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::calibrate::{Calibration, Label};
use super::conformal::{self, Audit, Status};
use super::features::Features;
use super::model::{Model, Source, logit};
use super::state::State;
use super::weights::Weights;
use super::{ASK, prior};
use event::{Answer, Asked, Event};
use spent::Spent;

/// Most effects of an action that is learnt from: a longer one is nobody's single thing.
pub const PARTS: usize = 1024;

/// Most answers that calibration looks back on.
pub const LABELS: usize = 2000;

/// Most audits that the threshold looks back on.
pub const AUDITS: usize = 4000;

/// Most promotions that can be rolled back.
pub const PROMOTIONS: usize = 8;

/// An event that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// More than anybody answers about.
    #[error("an answer about more than {PARTS} effects teaches nothing")]
    TooLong,
    /// No such promotion, or it was too long ago.
    #[error("there is no promotion at version {0} to go back to")]
    NoVersion(u64),
    /// A threshold that is none.
    #[error("a threshold is between 0 and {ASK}")]
    Threshold,
}

/// What judges, and how it is calibrated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Judge {
    weights: Weights,
    calibration: Calibration,
    #[serde(with = "super::weights::bits")]
    ask_at: f64,
}

impl Judge {
    fn first_day() -> Self {
        Self {
            weights: prior::weights(),
            calibration: Calibration::Identity,
            ask_at: ASK,
        }
    }

    fn sound(&self) -> bool {
        self.calibration.sound() && (0.0..=ASK).contains(&self.ask_at)
    }
}

/// A promotion that can be gone back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promoted {
    version: u64,
    judge: Judge,
}

/// A team's model and what it is learning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learner {
    salt: u64,
    version: u64,
    live: Judge,
    candidate: Weights,
    spent: Spent,
    labels: VecDeque<Label>,
    audits: VecDeque<Audit>,
    promoted: VecDeque<Promoted>,
}

impl Learner {
    /// One that has learnt nothing. `salt` is the site's own and stays.
    #[must_use]
    pub fn new(salt: u64) -> Self {
        Self {
            salt,
            version: 0,
            live: Judge::first_day(),
            candidate: prior::weights(),
            spent: Spent::default(),
            labels: VecDeque::new(),
            audits: VecDeque::new(),
            promoted: VecDeque::new(),
        }
    }

    /// The one that these events made. With the first `n` of them, the one of that day.
    ///
    /// # Errors
    ///
    /// The first event that cannot be.
    pub fn replay<'a>(
        salt: u64,
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Self, EventError> {
        let mut learner = Self::new(salt);
        for event in events {
            learner.apply(event)?;
        }
        Ok(learner)
    }

    /// How many events made it: the version that a verdict names.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The site's own salt.
    #[must_use]
    pub fn salt(&self) -> u64 {
        self.salt
    }

    /// The model that judges.
    #[must_use]
    pub fn model(&self, state: State) -> Model {
        self.judge(&self.live).in_state(state)
    }

    /// The model that would judge after a promotion, asking where the live one does.
    #[must_use]
    pub fn candidate(&self) -> Model {
        self.judge(&Judge {
            weights: self.candidate.clone(),
            calibration: self.fitted(),
            ask_at: self.live.ask_at,
        })
    }

    fn judge(&self, judge: &Judge) -> Model {
        // A calibration gets here by a promotion alone.
        Model::first_day(self.salt)
            .learnt(&judge.weights)
            .calibrated(judge.calibration.clone(), true)
            .asking_at(judge.ask_at)
    }

    fn fitted(&self) -> Calibration {
        let labels: Vec<Label> = self.labels.iter().copied().collect();
        Calibration::fit(&labels)
    }

    /// How far the operator's bound on wrong allows is held.
    #[must_use]
    pub fn certificate(&self, bound: f64) -> Status {
        let audits: Vec<Audit> = self.audits.iter().copied().collect();
        conformal::certify(&audits, bound, self.live.ask_at)
    }

    /// Takes an event in.
    ///
    /// # Errors
    ///
    /// It cannot be; nothing has changed then.
    pub fn apply(&mut self, event: &Event) -> Result<(), EventError> {
        match event {
            Event::Answer(answer) => self.answer(answer)?,
            Event::Promotion { ask_at } => self.promote(*ask_at)?,
            Event::Rollback { to } => self.roll_back(*to)?,
        }
        self.version = self.version.saturating_add(1);
        Ok(())
    }

    fn answer(&mut self, answer: &Answer) -> Result<(), EventError> {
        let features = &answer.features;
        if features.shared.parts.len() > PARTS {
            return Err(EventError::TooLong);
        }
        let score = self.candidate.score(features);
        let cell = cell(features, score.lead.source);
        let worth = answer.worth();
        let granted = self
            .spent
            .take((&answer.task, cell), answer.refused, worth, self.version);
        if let Asked::After { .. } = answer.asked {
            let live = self.judge(&self.live);
            push(&mut self.audits, AUDITS, || Audit {
                upper: live.assess(features).upper,
                refused: answer.refused,
            });
        }
        if granted == 0 {
            return Ok(());
        }
        let share = f64::from(granted) / f64::from(worth.max(1));
        push(&mut self.labels, LABELS, || Label {
            logit: logit(score.probability),
            refused: answer.refused,
            weight: share * answer.counts_for(),
        });
        let amount = f64::from(granted) / 1000.0;
        if answer.refused {
            self.live.weights.tighten(&self.candidate, features, amount);
        }
        self.candidate
            .learn(&prior::weights(), features, answer.refused, amount);
        Ok(())
    }

    fn promote(&mut self, ask_at: f64) -> Result<(), EventError> {
        if !(0.0..=ASK).contains(&ask_at) {
            return Err(EventError::Threshold);
        }
        self.live = Judge {
            weights: self.candidate.clone(),
            calibration: self.fitted(),
            ask_at,
        };
        let (version, judge) = (self.version, self.live.clone());
        push(&mut self.promoted, PROMOTIONS, || Promoted {
            version,
            judge,
        });
        Ok(())
    }

    fn roll_back(&mut self, to: u64) -> Result<(), EventError> {
        let judge = match self.promoted.iter().find(|p| p.version == to) {
            Some(promoted) => promoted.judge.clone(),
            // What was there before any event can always be had back.
            None if to == 0 => Judge::first_day(),
            None => return Err(EventError::NoVersion(to)),
        };
        self.candidate = judge.weights.clone();
        self.live = judge;
        // What the weights that are gone said calibrates nothing now.
        self.labels.clear();
        Ok(())
    }

    /// Whether what was read can have been written.
    fn sound(&self) -> bool {
        self.live.sound()
            && self.promoted.iter().all(|promoted| promoted.judge.sound())
            && self.promoted.len() <= PROMOTIONS
            && self.labels.len() <= LABELS
            && self.audits.len() <= AUDITS
            && self.spent.sound()
    }
}

/// Adds at the end; the oldest go when there are too many.
fn push<T>(list: &mut VecDeque<T>, most: usize, item: impl FnOnce() -> T) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(item());
}

/// What an answer is about: the kind, zone and harm of the claim that decided. An action that is
/// varied in all else stays in its cell.
fn cell(features: &Features, lead: Source) -> u32 {
    match lead {
        Source::Nothing => 0,
        Source::Leak => 1,
        Source::Hard(hard) => 100 + hard as u32,
        Source::Part(index, _) => features.shared.parts.get(index).map_or(2, |part| {
            1000 + part.kind as u32 * 100 + part.zone as u32 * 10 + part.harm as u32
        }),
    }
}
