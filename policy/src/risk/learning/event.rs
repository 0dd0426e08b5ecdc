// SPDX-License-Identifier: Apache-2.0
//! What a model is made of: people's answers, promotions and rollbacks, in order.

use serde::{Deserialize, Serialize};

use crate::risk::features::Features;

/// What a full answer counts for, in thousandths.
const FULL: u32 = 1000;

/// How long reading takes at least, and longer for each character shown, up to a limit: beyond it
/// nobody reads all.
const READ_MS: u64 = 2000;
const READ_MS_PER_CHARACTER: u64 = 15;
const READ_MS_MOST: u64 = 20_000;

/// The least that an audit's chance counts as: rarer ones would each weigh more than all others.
const RAREST_BPS: u16 = 500;

/// When a person was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// Before the action ran.
    Before,
    /// After it was allowed, as an audit.
    After {
        /// The chance that it would be audited, in basis points.
        rate_bps: u16,
    },
}

/// A person's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The task whose action it was.
    pub task: String,
    /// What it was judged by.
    pub features: Features,
    /// No, or for an audit: should have been no.
    pub refused: bool,
    /// From showing to answering.
    pub latency_ms: u64,
    /// How many characters were shown.
    pub shown: u32,
    /// Before or after.
    pub asked: Asked,
    /// The version of the model that judged it.
    pub version: u64,
}

impl Answer {
    /// How much it teaches, in thousandths. A refusal is a decision even when it is quick; a
    /// quick approval may be a habit.
    #[must_use]
    pub fn worth(&self) -> u32 {
        if self.refused {
            2 * FULL
        } else {
            reading(self.latency_ms, self.shown)
        }
    }

    /// How many answers it stands for when shares are estimated: an audit for all those allowed
    /// actions that were not audited, and a habit for little. Refusals are not doubled here.
    #[must_use]
    pub(super) fn counts_for(&self) -> f64 {
        let worth = self.worth().min(FULL);
        let read = f64::from(worth) / f64::from(FULL);
        match self.asked {
            Asked::Before => read,
            Asked::After { rate_bps } => {
                read * 10_000.0 / f64::from(rate_bps.clamp(RAREST_BPS, 10_000))
            }
        }
    }
}

/// What an approval counts for by how long it took: all of it from the reading time on, its
/// square below, never less than a tenth.
fn reading(latency_ms: u64, shown: u32) -> u32 {
    let wanted = READ_MS_PER_CHARACTER.saturating_mul(u64::from(shown));
    let wanted = READ_MS.saturating_add(wanted).min(READ_MS_MOST);
    let share = latency_ms.min(wanted).saturating_mul(1000) / wanted;
    u32::try_from(share * share / 1000)
        .unwrap_or(FULL)
        .clamp(FULL / 10, FULL)
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A person answered.
    Answer(Answer),
    /// A person made the candidate the live model.
    Promotion {
        /// Where asking begins from then on.
        #[serde(with = "crate::risk::weights::bits")]
        ask_at: f64,
    },
    /// A person went back.
    Rollback {
        /// To the promotion at this version; 0 for the first day.
        to: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn approvals_count_by_the_time_they_took_and_refusals_twice() {
        for (latency, shown, wanted) in [
            (0, 0, 100),
            (300, 0, 100),
            (1000, 0, 250),
            (2000, 0, 1000),
            (2000, 200, 160),
            (u64::MAX, u32::MAX, 1000),
        ] {
            assert_eq!(reading(latency, shown), wanted, "{latency} ms, {shown}");
        }
        let answer = Answer {
            task: "t".into(),
            features: Features::default(),
            refused: true,
            latency_ms: 0,
            shown: 0,
            asked: Asked::After { rate_bps: 1000 },
            version: 0,
        };
        assert_eq!(answer.worth(), 2000);
        assert!((answer.counts_for() - 10.0).abs() < 1e-9);
    }
}
