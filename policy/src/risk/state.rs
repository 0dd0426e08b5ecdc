// SPDX-License-Identifier: Apache-2.0
//! Whether a model may be believed, after what it was trained with and what runs now. After
//! `riskgate`'s states.

use serde::{Deserialize, Serialize};

use super::features::SCHEMA;

/// What a model depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// What its features mean.
    pub schema: u32,
    /// The version of the rules that give effects.
    pub rules: String,
    /// The build of the agent whose actions were judged.
    pub agent: String,
}

impl Fingerprint {
    /// As of now.
    #[must_use]
    pub fn now(rules: &str, agent: &str) -> Self {
        Self {
            schema: SCHEMA,
            rules: rules.to_owned(),
            agent: agent.to_owned(),
        }
    }
}

/// What has changed since a model was trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The features.
    #[error("features mean something else than when the model was trained")]
    Schema,
    /// The rules.
    #[error("the rules are not those the model was trained with")]
    Rules,
    /// The agent.
    #[error("the agent is not the build the model was trained on")]
    Agent,
}

/// Whether a model may be believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "reasons")]
pub enum State {
    /// It may.
    Valid,
    /// It may only tighten: the risk is the greater of the first day's and its own.
    Degraded(Vec<Reason>),
    /// It may not: a person is always asked.
    Void(Vec<Reason>),
}

impl State {
    /// Of a model trained with `then`. One of rules and agent changing leaves weights that still
    /// mean what they say; both, or the features, do not.
    #[must_use]
    pub fn of(then: &Fingerprint, now: &Fingerprint) -> Self {
        let changed = [
            (then.schema != now.schema, Reason::Schema),
            (then.rules != now.rules, Reason::Rules),
            (then.agent != now.agent, Reason::Agent),
        ];
        let reasons: Vec<Reason> = changed
            .into_iter()
            .filter_map(|(yes, reason)| yes.then_some(reason))
            .collect();
        match *reasons {
            [] => Self::Valid,
            [Reason::Rules | Reason::Agent] => Self::Degraded(reasons),
            _ => Self::Void(reasons),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_degrades_and_two_or_the_schema_void() {
        let then = Fingerprint::now("r1", "a1");
        let of = |rules, agent| State::of(&then, &Fingerprint::now(rules, agent));
        assert_eq!(of("r1", "a1"), State::Valid);
        assert_eq!(of("r2", "a1"), State::Degraded(vec![Reason::Rules]));
        assert_eq!(of("r1", "a2"), State::Degraded(vec![Reason::Agent]));
        assert!(matches!(of("r2", "a2"), State::Void(_)));
        let other = Fingerprint {
            schema: SCHEMA + 1,
            ..then.clone()
        };
        assert_eq!(State::of(&then, &other), State::Void(vec![Reason::Schema]));
    }
}
