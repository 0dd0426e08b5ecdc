// SPDX-License-Identifier: Apache-2.0
//! What people decided before of the like.
//!
//! Two actions are alike by what they do, not by their words: the rules that found their effects,
//! the kinds of those, and where they act. So a rename does not hide an earlier no.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::item::{Item, State, line};
use super::names::{ItemId, Person};
use crate::effects::{Analysis, Target};

/// How many earlier decisions are shown.
const SHOWN: usize = 3;

/// What an action does, without its names, paths and words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature(BTreeSet<String>);

impl Signature {
    /// Of what was learnt of an action.
    #[must_use]
    pub fn of(analysis: &Analysis) -> Self {
        let mut parts = BTreeSet::new();
        for effect in &analysis.effects {
            parts.insert(format!("rule {}", effect.rule));
            parts.insert(format!("kind {:?}", effect.kind));
            parts.insert(match &effect.target {
                Target::Path(_, place) => {
                    format!("path {:?} {} {}", place.area, place.secret, place.startup)
                }
                Target::Resource(kind, _) => format!("resource {kind}"),
                Target::Host(_) => "host".to_owned(),
                Target::Package(_) => "package".to_owned(),
                Target::Program(_) => "program".to_owned(),
                Target::System(_) => "system".to_owned(),
                Target::Nothing => "nothing".to_owned(),
            });
        }
        let found = analysis.findings.iter();
        parts.extend(found.map(|finding| format!("hard {:?}", finding.hard)));
        Self(parts)
    }

    /// Whether they share at least half of what either has (Jaccard). Without any part they are
    /// not alike: nothing is known of them.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let shared = self.0.intersection(&other.0).count();
        let all = self.0.union(&other.0).count();
        shared > 0 && shared.saturating_mul(2) >= all
    }
}

/// One earlier decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The item.
    pub item: ItemId,
    /// How it ended.
    pub state: State,
    /// When.
    pub at_ms: u64,
    /// By whom.
    pub by: Vec<Person>,
    /// The action in one line, the agent's text.
    pub action: String,
}

/// Earlier decisions: how many, and the newest few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Similar {
    /// Approved.
    pub approved: u32,
    /// Denied.
    pub denied: u32,
    /// Expired: a no that nobody thought about.
    pub unanswered: u32,
    /// The newest.
    pub newest: Vec<Past>,
}

/// Earlier decisions about what is like this.
#[must_use]
pub fn among<'a>(items: impl IntoIterator<Item = &'a Item>, analysis: &Analysis) -> Similar {
    let signature = Signature::of(analysis);
    let mut similar = Similar::default();
    let mut past: Vec<Past> = Vec::new();
    let decided = items.into_iter().flat_map(|item| {
        let questions = item.portions().iter().flat_map(|portion| {
            let questions = portion.questions.iter();
            questions.map(move |question| (portion, question))
        });
        questions.filter_map(|(portion, question)| {
            Some((item.id(), portion.decision.as_ref()?, question))
        })
    });
    for (id, decision, question) in decided {
        let count = match decision.state {
            State::Approved => &mut similar.approved,
            State::Denied => &mut similar.denied,
            State::Expired => &mut similar.unanswered,
            State::Pending | State::Commented | State::Withdrawn => continue,
        };
        if !signature.is_like(&Signature::of(&question.analysis)) {
            continue;
        }
        *count = count.saturating_add(1);
        past.push(Past {
            item: id.clone(),
            state: decision.state,
            at_ms: decision.at_ms,
            by: decision.by.clone(),
            action: line(&question.action),
        });
    }
    past.sort_by(|a, b| b.at_ms.cmp(&a.at_ms).then_with(|| a.item.cmp(&b.item)));
    past.truncate(SHOWN);
    similar.newest = past;
    similar
}
