// SPDX-License-Identifier: Apache-2.0
//! What callers do with items in a store: ask, act on one, hear the answer.
//!
//! Each is read, changed and saved over the version that was read, again and again while somebody
//! else was faster. What expired is recorded before anything is refused for it, so that no clock
//! that goes back makes it wait again.
//!
//! Asks of one task come from its one supervisor; two of them at once could each open an item.

use std::collections::BTreeSet;

use super::event::{Change, Event, Refused};
use super::grant::GrantId;
use super::item::{Item, Question, Speaker, State, Subject};
use super::names::{ItemId, Person};
use super::root::{self, Ask, Budget, Way};
use super::scope::Scope;
use super::store::{Entry, Filter, Store, StoreError, Version};

/// How often somebody else may be faster.
const TRIES: usize = 32;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The item does not take it.
    #[error("approval {id} stays as it is: {why}")]
    Refused {
        /// Which.
        id: ItemId,
        /// Why.
        why: Refused,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an ask comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Approved already.
    Covered(GrantId),
    /// Answered with no already; by what.
    Refused(ItemId, State),
    /// Waits for a decision of this portion (counted from zero) of an item.
    Waiting(ItemId, usize),
    /// Too many asks. The task is to be paused; once this item is approved, ask again.
    Flooded(ItemId),
}

/// Takes an event to an item; what it is then, and what changed.
///
/// # Errors
/// [`DeskError::Refused`] says the item's state, who made it so, and what can be done.
pub fn act(
    store: &dyn Store,
    id: &ItemId,
    event: &Event,
    now: u64,
) -> Result<(Item, Change), DeskError> {
    for _ in 0..TRIES {
        let (mut item, version) = store.load(id)?;
        let Some(version) = expired(store, &mut item, version, now)? else {
            continue;
        };
        let change = item.apply(event, now).map_err(|why| {
            let id = id.clone();
            DeskError::Refused { id, why }
        })?;
        if change == Change::Nothing {
            return Ok((item, change));
        }
        match store.save(&item, Some(version), &entry(event, change, now)) {
            Ok(_) => return Ok((item, change)),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(StoreError::Conflict(id.clone()).into())
}

/// Records that an item expired, if it did; its version then, or nothing if somebody was faster.
fn expired(
    store: &dyn Store,
    item: &mut Item,
    version: Version,
    now: u64,
) -> Result<Option<Version>, StoreError> {
    if !item.expire(now) {
        return Ok(Some(version));
    }
    let entry = Entry {
        at_ms: now,
        by: Speaker::Host,
        change: Change::Expired,
        text: None,
    };
    match store.save(item, Some(version), &entry) {
        Ok(version) => Ok(Some(version)),
        Err(StoreError::Conflict(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An item as it is at this time, what expired recorded.
///
/// # Errors
/// [`StoreError`].
pub fn look(store: &dyn Store, id: &ItemId, now: u64) -> Result<Item, StoreError> {
    for _ in 0..TRIES {
        let (mut item, version) = store.load(id)?;
        if expired(store, &mut item, version, now)?.is_some() {
            return Ok(item);
        }
    }
    Err(StoreError::Conflict(id.clone()))
}

/// How the portion that an ask waits for stands: what [`Answer::Waiting`] named.
///
/// # Errors
/// [`StoreError`].
pub fn hear(store: &dyn Store, id: &ItemId, portion: usize, now: u64) -> Result<State, StoreError> {
    let item = look(store, id, now)?;
    let decided = item.portions().get(portion).map(|portion| {
        let decision = portion.decision.as_ref().map(|decision| decision.state);
        match decision {
            // Taken back before it was heard.
            Some(State::Approved) if !portion.stands() => State::Denied,
            Some(state) => state,
            None => item.state(),
        }
    });
    Ok(decided.unwrap_or(State::Withdrawn))
}

/// Puts an ask where it belongs. Damaged items of the task allow nothing.
///
/// # Errors
/// [`DeskError`]; then nothing was asked and nothing may run.
pub fn ask(store: &dyn Store, ask: &Ask, budget: &Budget, now: u64) -> Result<Answer, DeskError> {
    let filter = Filter {
        task: Some(ask.task.clone()),
        waiting: false,
    };
    for _ in 0..TRIES {
        let listed = store.list(&filter)?.into_iter().flatten();
        let mut items: Vec<Item> = listed.collect();
        for item in &mut items {
            if item.state_at(now) != item.state() {
                *item = look(store, item.id(), now)?;
            }
        }
        let done = match root::way(&items, ask, budget, now) {
            Way::Covered(id) => return Ok(Answer::Covered(id)),
            Way::Refused(id, state) => return Ok(Answer::Refused(id, state)),
            Way::Open => open(store, &Item::open(ask.clone(), Subject::Action, now), now),
            Way::Flood(None, asks) => open(store, &flood(ask, asks, now), now),
            Way::Flood(Some(id), _) => {
                let sample = flood(ask, 0, now);
                let question = sample
                    .first()
                    .cloned()
                    .unwrap_or_else(|| ask.question.clone());
                join(store, &id, question, ask.deadline_ms, now)
            }
            Way::Join(id) => join(store, &id, ask.question.clone(), ask.deadline_ms, now),
        };
        match done {
            Ok(answer) => return Ok(answer),
            // Somebody decided meanwhile: the ask may belong elsewhere by now.
            Err(DeskError::Store(StoreError::Conflict(_)) | DeskError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Conflict(ask.id.clone()).into())
}

/// The item of a flood: it shows the ask that was too much, and allows none.
fn flood(ask: &Ask, asks: u32, now: u64) -> Item {
    let mut ask = ask.clone();
    ask.question.scope = Scope::default();
    ask.question.policies = BTreeSet::new();
    Item::open(ask, Subject::Flood { asks }, now)
}

fn open(store: &dyn Store, item: &Item, now: u64) -> Result<Answer, DeskError> {
    let entry = Entry {
        at_ms: now,
        by: Speaker::Host,
        change: Change::Opened,
        text: None,
    };
    store.save(item, None, &entry)?;
    Ok(answer(item))
}

fn join(
    store: &dyn Store,
    id: &ItemId,
    question: Question,
    deadline_ms: u64,
    now: u64,
) -> Result<Answer, DeskError> {
    let event = Event::Ask {
        question: Box::new(question),
        deadline_ms,
    };
    let (item, _) = act(store, id, &event, now)?;
    Ok(answer(&item))
}

fn answer(item: &Item) -> Answer {
    let id = item.id().clone();
    match item.subject() {
        Subject::Flood { .. } => Answer::Flooded(id),
        Subject::Action => Answer::Waiting(id, item.portions().len().saturating_sub(1)),
    }
}

fn entry(event: &Event, change: Change, now: u64) -> Entry {
    let person = |by: &Person| Speaker::Person(by.clone());
    let (by, text) = match event {
        Event::Shown { by } | Event::Revoke { by, .. } => (person(by), None),
        Event::Comment { by, text } => (by.clone(), Some(text.clone())),
        Event::Approve(yes) => (person(&yes.by), yes.note.clone()),
        Event::Deny { by, note, .. } => (person(by), note.clone()),
        Event::Withdraw { why } => (Speaker::Host, Some(why.clone())),
        Event::Ask { .. } => (Speaker::Host, None),
    };
    Entry {
        at_ms: now,
        by,
        change,
        text,
    }
}
