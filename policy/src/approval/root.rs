// SPDX-License-Identifier: Apache-2.0
//! Which item an ask belongs to.
//!
//! People decide root actions: a tool call, a declared step, a top-level program. What its process
//! tree does inside the effects it was judged with is approved with it, and what goes beyond asks
//! again in the same item. Asks that wait are one item by task, root action and the policies that
//! say ask, and a task has a budget of asks: beyond it there is one item that says so, the task is
//! paused, and no single action of it waits in the queue until a person lets it go on.
//!
//! An answer that was no stays no for the same root action: the same binding, or at least all that
//! was denied, is refused unasked. Less than that may be asked.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::grant::{GrantId, Grants};
use super::item::{Item, Question, Rules, State, Subject};
use super::names::{ItemId, Person};
use super::scope::{Reach, Scope};

/// How many asks of one task may bother people in which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Asks.
    pub asks: u32,
    /// In this time.
    pub window_ms: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            asks: 10,
            window_ms: 300_000,
        }
    }
}

/// What asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The name of the item, should there be a new one.
    pub id: ItemId,
    /// The task.
    pub task: String,
    /// The root action, as the host names it: one name for each run of it.
    pub root: String,
    /// Who started the task, if known.
    pub requester: Option<Person>,
    /// Who may decide.
    pub rules: Rules,
    /// What is asked.
    pub question: Question,
    /// No answer by then is a no.
    pub deadline_ms: u64,
}

/// Where an ask goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Approved already.
    Covered(GrantId),
    /// Answered with no already.
    Refused(ItemId, State),
    /// Into this item.
    Join(ItemId),
    /// Into a new item.
    Open,
    /// To the item that says there are too many, a new one if there is none.
    Flood(Option<ItemId>, u32),
}

/// Where an ask goes, given all items of its task.
#[must_use]
pub fn way(items: &[Item], ask: &Ask, budget: &Budget, now: u64) -> Way {
    let (task, question) = (ask.task.as_str(), &ask.question);
    let scope = &question.scope;
    let grants = Grants::of(items);
    let covered = grants.covers(task, question.binding, scope, now);
    if let Some(id) = covered.or_else(|| grants.tree(task, &ask.root, scope, now)) {
        return Way::Covered(id);
    }
    let mine = || items.iter().filter(|item| item.task() == task);
    if let Some(flood) = flood(mine(), now) {
        return flood;
    }
    let of_root =
        || mine().filter(|item| item.subject() == Subject::Action && item.root() == ask.root);
    if let Some((id, state)) = of_root().find_map(|item| refusal(item, question)) {
        return Way::Refused(id, state);
    }
    let spent = spent(mine(), budget, now);
    let waiting = of_root().find(|item| {
        let reasons = item.last().and_then(|portion| portion.questions.first());
        let reasons = reasons.map(|question| &question.policies);
        let fits = item.has_room() || item.says(question);
        item.state_at(now).waits() && reasons == Some(&question.policies) && fits
    });
    let approved = || {
        let approved = |item: &&Item| item.state_at(now) == State::Approved && item.has_room();
        of_root()
            .filter(approved)
            .max_by_key(|item| item.asked_ms())
    };
    match waiting.or_else(approved) {
        // What only waits with others for the same answer bothers nobody.
        Some(item) if item.says(question) => Way::Join(item.id().clone()),
        _ if spent >= budget.asks => Way::Flood(None, spent),
        Some(item) => Way::Join(item.id().clone()),
        None => Way::Open,
    }
}

/// What the latest flood of the task says: wait for it, or its no.
fn flood<'a>(items: impl Iterator<Item = &'a Item>, now: u64) -> Option<Way> {
    let floods = items.filter_map(|item| match item.subject() {
        Subject::Flood { asks } => Some((item, asks)),
        Subject::Action => None,
    });
    let (item, asks) = floods.max_by_key(|(item, _)| item.asked_ms())?;
    let id = item.id().clone();
    match item.state_at(now) {
        State::Pending | State::Commented => Some(Way::Flood(Some(id), asks)),
        state @ (State::Denied | State::Expired) => Some(Way::Refused(id, state)),
        State::Approved | State::Withdrawn => None,
    }
}

/// The no that a root action had to this already.
fn refusal(item: &Item, question: &Question) -> Option<(ItemId, State)> {
    let last = item.last()?;
    let state = last.decision.as_ref()?.state;
    if !matches!(state, State::Denied | State::Expired) {
        return None;
    }
    let denied = |one: &Question| {
        one.binding == question.binding || at_least(&question.scope, one, &last.added)
    };
    last.questions
        .iter()
        .any(denied)
        .then(|| (item.id().clone(), state))
}

/// Whether a scope has all of what was denied. Of a question whose effects were approved before,
/// nothing is left to compare.
fn at_least(scope: &Scope, denied: &Question, added: &[Reach]) -> bool {
    let denied: BTreeSet<&Reach> = (denied.scope.reach.iter())
        .filter(|reach| added.contains(reach))
        .collect();
    let mut each = denied.iter();
    !denied.is_empty() && each.all(|denied| scope.reach.iter().any(|reach| reach.covers(denied)))
}

/// The asks that people were bothered with in the budget's time, since a flood was last let go on.
fn spent<'a>(items: impl Iterator<Item = &'a Item> + Clone, budget: &Budget, now: u64) -> u32 {
    let floods = items
        .clone()
        .filter(|item| item.subject() != Subject::Action);
    let decided = |item: &Item| {
        item.last()?
            .decision
            .as_ref()
            .map(|decision| decision.at_ms)
    };
    let resumed = floods.filter_map(decided).max().unwrap_or(0);
    let window = now.saturating_sub(budget.window_ms);
    let asked = items
        .filter(|item| item.subject() == Subject::Action)
        .flat_map(|item| item.portions().iter().flat_map(|portion| &portion.asked_ms));
    let count = asked
        .filter(|asked| **asked >= window && **asked > resumed)
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}
