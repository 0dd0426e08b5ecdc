// SPDX-License-Identifier: Apache-2.0
//! Where items are kept: what a store must hold, and one in memory.
//!
//! An item is saved as a whole, only over the version it was read at, and together with a line of
//! its history: of two who decide at once one wins, and nothing is decided without a trace.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::event::Change;
use super::item::{Inconsistent, Item, Speaker};
use super::names::ItemId;

/// Which state of an item was read. It goes up by one with each save.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub u64);

/// A line of an item's history, which is only ever added to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at_ms: u64,
    /// Whose doing.
    pub by: Speaker,
    /// What it came to.
    pub change: Change,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Which items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this task alone.
    pub task: Option<String>,
    /// Those alone that are recorded as waiting.
    pub waiting: bool,
}

/// What a store fails with.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such item.
    #[error("there is no approval {0}")]
    Unknown(ItemId),
    /// It was saved by somebody else meanwhile; nothing was written.
    #[error("the approval {0} was changed by somebody else at this moment")]
    Conflict(ItemId),
    /// It cannot be read back. The others can.
    #[error("the record of approval {id} is damaged and allows nothing")]
    Damaged {
        /// Its name, as far as that can be read.
        id: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store itself fails.
    #[error("the approvals cannot be read or written")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl StoreError {
    /// An item that the state machine could not have made.
    #[must_use]
    pub fn inconsistent(id: &ItemId, why: Inconsistent) -> Self {
        Self::Damaged {
            id: id.to_string(),
            source: why.into(),
        }
    }
}

/// Where items are kept.
pub trait Store: fmt::Debug {
    /// An item and the version it has.
    ///
    /// # Errors
    /// [`StoreError`].
    fn load(&self, id: &ItemId) -> Result<(Item, Version), StoreError>;

    /// Saves an item with a line of its history, both or neither. `over` is the version it was
    /// read at; without one the item is new.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has another version by now.
    fn save(
        &self,
        item: &Item,
        over: Option<Version>,
        entry: &Entry,
    ) -> Result<Version, StoreError>;

    /// Items, in the order they were asked. One that is damaged is an error in its place.
    ///
    /// # Errors
    /// When the store itself fails.
    fn list(&self, filter: &Filter) -> Result<Vec<Result<Item, StoreError>>, StoreError>;

    /// What happened to an item, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn history(&self, id: &ItemId) -> Result<Vec<Entry>, StoreError>;
}

type Rows = BTreeMap<ItemId, (Item, Version, Vec<Entry>)>;

/// A store in memory.
#[derive(Debug, Default)]
pub struct Memory {
    // Held for one call at a time, by whoever shares it with another thread.
    rows: Mutex<Rows>,
}

impl Memory {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn load(&self, id: &ItemId) -> Result<(Item, Version), StoreError> {
        let rows = self.rows();
        let row = rows
            .get(id)
            .map(|(item, version, _)| (item.clone(), *version));
        row.ok_or_else(|| StoreError::Unknown(id.clone()))
    }

    fn save(
        &self,
        item: &Item,
        over: Option<Version>,
        entry: &Entry,
    ) -> Result<Version, StoreError> {
        let mut rows = self.rows();
        let found = rows.get(item.id()).map(|(_, version, _)| *version);
        if found != over {
            let id = item.id().clone();
            return Err(match found {
                Some(_) => StoreError::Conflict(id),
                None => StoreError::Unknown(id),
            });
        }
        let version = Version(over.map_or(1, |Version(over)| over.saturating_add(1)));
        let old = rows.remove(item.id());
        let mut history = old.map(|(.., history)| history).unwrap_or_default();
        history.push(entry.clone());
        rows.insert(item.id().clone(), (item.clone(), version, history));
        Ok(version)
    }

    fn list(&self, filter: &Filter) -> Result<Vec<Result<Item, StoreError>>, StoreError> {
        let rows = self.rows();
        let items = rows.values().map(|(item, ..)| item);
        let wanted = |item: &&Item| {
            let task = filter.task.as_deref();
            task.is_none_or(|task| task == item.task()) && (!filter.waiting || item.state().waits())
        };
        let mut items: Vec<Item> = items.filter(wanted).cloned().collect();
        items.sort_by(|a, b| (a.asked_ms(), a.id()).cmp(&(b.asked_ms(), b.id())));
        Ok(items.into_iter().map(Ok).collect())
    }

    fn history(&self, id: &ItemId) -> Result<Vec<Entry>, StoreError> {
        let rows = self.rows();
        let row = rows.get(id).map(|(.., history)| history.clone());
        row.ok_or_else(|| StoreError::Unknown(id.clone()))
    }
}
