// SPDX-License-Identifier: Apache-2.0
//! What an approval allows, to whom and for how long.
//!
//! A grant is no record of its own: it is an approved portion of an item, seen from this side. So
//! deciding, granting and taking back are one write each, and none can be without its decision.
//!
//! Each belongs to one task: a copy of a task has another name and inherits none. Each ends: once
//! means the process tree of the root action that asked, and that no longer than a day; for hours
//! means the same binding again, too. Each can be taken back.

use std::fmt;
use std::str::FromStr;

use super::binding::Binding;
use super::item::{Item, Portion, Subject};
use super::names::{ItemId, NotAnId};
use super::scope::{self, Scope};

/// An hour.
const HOUR_MS: u64 = 3_600_000;

/// How long a root action that was approved once may go on under that approval.
const ONCE_MS: u64 = 24 * HOUR_MS;

/// How far a clock may go back behind a decision. Beyond it the decision has not been made yet.
const SLACK_MS: u64 = 5_000;

/// A grant's name: the item's, and which portion of it, counted from one: `k3m9x2aa.1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId {
    /// The item.
    pub item: ItemId,
    /// Its portion, counted from zero.
    pub portion: usize,
}

/// One approved portion.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'a> {
    /// The item.
    pub item: &'a Item,
    /// Which portion of it.
    pub index: usize,
    /// That portion.
    pub portion: &'a Portion,
    /// When it was approved.
    pub from_ms: u64,
    /// When it ends by itself.
    pub until_ms: u64,
    /// For how many hours the same binding is allowed again; none means once.
    pub hours: u32,
}

impl Grant<'_> {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> GrantId {
        GrantId {
            item: self.item.id().clone(),
            portion: self.index,
        }
    }

    /// Whether it is in force.
    #[must_use]
    pub fn is_live(&self, now: u64) -> bool {
        let begun = now.saturating_add(SLACK_MS) >= self.from_ms;
        self.portion.revoked.is_none() && begun && now < self.until_ms
    }

    fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.portion
            .questions
            .iter()
            .map(|question| &question.scope)
    }
}

/// The grants in items.
#[derive(Clone, Copy, Debug)]
pub struct Grants<'a> {
    items: &'a [Item],
}

impl<'a> Grants<'a> {
    /// Those of these items.
    #[must_use]
    pub fn of(items: &'a [Item]) -> Self {
        Self { items }
    }

    /// All, those that ended or were taken back too.
    pub fn all(self) -> impl Iterator<Item = Grant<'a>> {
        self.items.iter().flat_map(approved)
    }

    /// A task's that are in force.
    fn live(self, task: &str, now: u64) -> impl Iterator<Item = Grant<'a>> {
        let all = self.all().filter(move |grant| grant.is_live(now));
        all.filter(move |grant| grant.item.task() == task)
    }

    /// The grant that allows the very same again, with no effect beyond those judged.
    #[must_use]
    pub fn covers(self, task: &str, binding: Binding, seen: &Scope, now: u64) -> Option<GrantId> {
        let mut live = self.live(task, now).filter(|grant| grant.hours > 0);
        let same = |grant: &Grant| {
            let mut questions = grant.portion.questions.iter();
            questions.any(|one| one.binding == binding && one.scope.holds(seen))
        };
        live.find(same).map(|grant| grant.id())
    }

    /// The grant, the latest one if it needs several, that allows this in the process tree of a
    /// root action. The host says what belongs to the tree, never the guest.
    #[must_use]
    pub fn tree(self, task: &str, root: &str, seen: &Scope, now: u64) -> Option<GrantId> {
        let live = self.live(task, now);
        let grants: Vec<Grant> = live.filter(|grant| grant.item.root() == root).collect();
        let scopes: Vec<&Scope> = grants.iter().flat_map(Grant::scopes).collect();
        let last = grants.last()?;
        scope::inside(&scopes, seen).then(|| last.id())
    }

    /// Whether this stays inside a grant: for the tree of what [`Grants::covers`] allowed again.
    #[must_use]
    pub fn within(self, task: &str, id: &GrantId, seen: &Scope, now: u64) -> bool {
        let mut live = self.live(task, now).filter(|grant| grant.hours > 0);
        live.find(|grant| grant.id() == *id).is_some_and(|grant| {
            let scopes: Vec<&Scope> = grant.scopes().collect();
            scope::inside(&scopes, seen)
        })
    }
}

/// The approved portions of an item. A flood's approval lets the task go on and allows nothing.
fn approved(item: &Item) -> impl Iterator<Item = Grant<'_>> {
    let portions = match item.subject() {
        Subject::Action => item.portions(),
        Subject::Flood { .. } => &[],
    };
    let portions = portions.iter().enumerate();
    portions.filter_map(move |(index, portion)| {
        let decision = portion.decision.as_ref()?;
        if decision.state != super::State::Approved {
            return None;
        }
        let lasts = match decision.hours {
            0 => ONCE_MS,
            hours => u64::from(hours).saturating_mul(HOUR_MS),
        };
        Some(Grant {
            item,
            index,
            portion,
            from_ms: decision.at_ms,
            until_ms: decision.at_ms.saturating_add(lasts),
            hours: decision.hours,
        })
    })
}

/// The portions of an item whose approval is in force.
pub(super) fn standing(item: &Item, now: u64) -> impl Iterator<Item = &Portion> {
    let live = approved(item).filter(move |grant| grant.is_live(now));
    live.map(|grant| grant.portion)
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.item, self.portion.saturating_add(1))
    }
}

impl FromStr for GrantId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let (item, portion) = text.split_once('.').ok_or(NotAnId)?;
        let count: usize = portion.parse().map_err(|_| NotAnId)?;
        Ok(Self {
            item: item.parse()?,
            portion: count.checked_sub(1).ok_or(NotAnId)?,
        })
    }
}
