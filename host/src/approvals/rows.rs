// SPDX-License-Identifier: Apache-2.0
//! Rows of the tables `items` and `history`.

use policy::approval::item::Inconsistent;
use policy::approval::{Entry, Item, ItemId, StoreError, Version};
use rusqlite::Row;
use serde::Serialize;

/// What is wrong with a row.
#[derive(Debug, thiserror::Error)]
enum RowError {
    /// JSON that is none, or says something else.
    #[error("its {column} cannot be understood")]
    Json {
        /// Where.
        column: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A value of another type.
    #[error("a value of it cannot be read")]
    Value(#[from] rusqlite::Error),
    /// A column and the item say different things.
    #[error("its {0} and its item differ")]
    Differs(&'static str),
    /// No events lead there.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
}

/// A query for whole rows, which [`read`] takes.
pub(super) fn select(rest: &str) -> String {
    format!("SELECT id, task, state, version, item FROM items {rest}")
}

/// The item in a row of [`select`].
pub(super) fn read(row: &Row<'_>) -> Result<(Item, Version), StoreError> {
    item(row).map_err(|source| StoreError::Damaged {
        id: name(row),
        source: source.into(),
    })
}

fn item(row: &Row<'_>) -> Result<(Item, Version), RowError> {
    let text: String = row.get("item")?;
    let failed = |source| RowError::Json {
        column: "item",
        source,
    };
    let item: Item = serde_json::from_str(&text).map_err(failed)?;
    item.check()?;
    // The columns decide what is found and listed: they must not hide or move an item.
    for (column, said) in [
        ("id", item.id().as_str()),
        ("task", item.task()),
        ("state", item.state().as_str()),
    ] {
        if row.get::<_, String>(column)? != said {
            return Err(RowError::Differs(column));
        }
    }
    let version: i64 = row.get("version")?;
    let version = u64::try_from(version).map_err(|_| RowError::Differs("version"))?;
    Ok((item, Version(version)))
}

/// The line of history in a row.
pub(super) fn entry(id: &ItemId, row: &Row<'_>) -> Result<Entry, StoreError> {
    let read = || -> Result<Entry, RowError> {
        let text: String = row.get("entry")?;
        let column = "history";
        serde_json::from_str(&text).map_err(|source| RowError::Json { column, source })
    };
    read().map_err(|source| damaged(id, source))
}

/// What the row of a damaged item is called, as far as that can be read.
fn name(row: &Row<'_>) -> String {
    let id = row.get_ref("id").ok().and_then(|id| id.as_bytes().ok());
    crate::text::printable(&String::from_utf8_lossy(id.unwrap_or_default()))
}

fn damaged(id: &ItemId, source: RowError) -> StoreError {
    StoreError::Damaged {
        id: id.to_string(),
        source: source.into(),
    }
}

pub(super) fn json(id: &ItemId, value: &impl Serialize) -> Result<String, StoreError> {
    let column = "new record";
    serde_json::to_string(value).map_err(|source| damaged(id, RowError::Json { column, source }))
}

/// A number as SQLite keeps it; none here comes near its end.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
