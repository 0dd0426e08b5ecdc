// SPDX-License-Identifier: Apache-2.0
//! Approvals on disk: `approvals.db` in the state folder, which any number of processes share.
//!
//! The machine is `policy::approval`'s; this is the [`Store`] behind it. A row is an item as JSON
//! with the columns that lists are made by; each save is one transaction with a line of history,
//! over the version that was read, so that of two processes that decide at once one wins and the
//! other is told who did. History has triggers that refuse to change or remove a line.
//!
//! Unlike the records of tasks, a commit here waits for the disk (`synchronous=FULL`): what a
//! person decided must not be open again after a crash, and people decide seldom.
//!
//! A row that cannot be read back, or says in its columns something else than in its item, is
//! named and allows nothing; the others are read.

mod person;
mod rows;

use std::path::{Path, PathBuf};

use policy::approval::names::NotAnId;
use policy::approval::store::Filter;
use policy::approval::{DeskError, Entry, Item, ItemId, Store, StoreError, Version};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::folders::Folders;
use crate::store::{self, File};
use crate::task::TaskId;
pub use person::{PersonError, who};

const FILE: File = File {
    name: "approvals.db",
    schema: 1,
    synchronous: "FULL",
    tables: "
CREATE TABLE items (
    id          TEXT PRIMARY KEY,
    task        TEXT NOT NULL,
    state       TEXT NOT NULL,      -- as recorded: pending, commented, approved, ...
    asked_ms    INTEGER NOT NULL,   -- since 1970
    version     INTEGER NOT NULL,   -- one more with each save
    item        TEXT NOT NULL       -- JSON
) WITHOUT ROWID;
CREATE INDEX items_by_task ON items (task);
CREATE INDEX items_waiting ON items (state) WHERE state IN ('pending', 'commented');
CREATE TABLE history (
    id          TEXT NOT NULL,
    version     INTEGER NOT NULL,
    entry       TEXT NOT NULL,      -- JSON
    PRIMARY KEY (id, version)
) WITHOUT ROWID;
CREATE TRIGGER history_stays BEFORE UPDATE ON history
    BEGIN SELECT RAISE(ABORT, 'history is only added to'); END;
CREATE TRIGGER history_is_kept BEFORE DELETE ON history
    BEGIN SELECT RAISE(ABORT, 'history is only added to'); END;
",
};

/// Why nothing could be done with approvals.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalsError {
    /// The file.
    #[error(transparent)]
    File(#[from] store::StoreError),
    /// An item refuses, or cannot be read or written.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// An item cannot be read.
    #[error(transparent)]
    Item(#[from] StoreError),
    /// Who runs this cannot be told.
    #[error(transparent)]
    Person(#[from] PersonError),
    /// Not an id, nor the beginning of one.
    #[error("'{0}' is not an approval; `ampoule approvals ls --all` lists them")]
    NotAnId(String),
    /// No item begins so.
    #[error("there is no approval {0}; `ampoule approvals ls --all` lists them")]
    Unknown(String),
    /// More than one does.
    #[error("'{prefix}' is the beginning of {} approvals: {}; write more of it", ids.len(), ids.join(", "))]
    Ambiguous {
        /// What was given.
        prefix: String,
        /// The candidates.
        ids: Vec<String>,
    },
    /// No name for a new item.
    #[error("the kernel gives no random bytes")]
    Entropy(#[source] std::io::Error),
}

/// The open store.
#[derive(Debug)]
pub struct Approvals {
    db: Connection,
    path: PathBuf,
}

/// Now, in milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    u64::try_from(store::now_ms()).unwrap_or(0)
}

/// A name for a new item. The store's primary key catches the rare one that is taken.
///
/// # Errors
/// When the kernel gives no random bytes.
pub fn new_id() -> Result<ItemId, ApprovalsError> {
    let id = String::from(TaskId::random().map_err(ApprovalsError::Entropy)?);
    let not = |_: NotAnId| ApprovalsError::NotAnId(id.clone());
    id.parse().map_err(not)
}

impl Approvals {
    /// Opens the approvals of this user, making the file when missing.
    ///
    /// # Errors
    /// As the records of tasks.
    pub fn open(folders: &Folders) -> Result<Self, ApprovalsError> {
        let (db, path) = store::open(folders, &FILE)?;
        Ok(Self { db, path })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number that is another one once anybody else has changed anything.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn changes(&self) -> Result<i64, StoreError> {
        let version = self
            .db
            .query_row("PRAGMA data_version", [], |row| row.get(0));
        version.map_err(|e| self.failed(e))
    }

    /// The item whose id begins so.
    ///
    /// # Errors
    /// None, or more than one, does.
    pub fn find(&self, prefix: &str) -> Result<ItemId, ApprovalsError> {
        let not = |_: NotAnId| ApprovalsError::NotAnId(prefix.to_owned());
        let begun: ItemId = prefix.to_ascii_lowercase().parse().map_err(not)?;
        // Ids are small letters, digits and '-': what begins so lies between these two.
        let (from, end) = (begun.as_str(), format!("{begun}~"));
        let sql = "SELECT id FROM items WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 6";
        let mut statement = self.db.prepare(sql).map_err(|e| self.failed(e))?;
        let rows = statement.query_map(params![from, end], |row| row.get(0));
        let ids = rows.and_then(Iterator::collect::<rusqlite::Result<Vec<String>>>);
        let mut ids = ids.map_err(|e| self.failed(e))?;
        // A whole id is meant, even when another one begins with it.
        if ids.len() > 1 && ids.first().is_none_or(|first| first != from) {
            let prefix = prefix.to_owned();
            return Err(ApprovalsError::Ambiguous { prefix, ids });
        }
        let unknown = || ApprovalsError::Unknown(begun.to_string());
        let id = ids.drain(..).next().ok_or_else(unknown)?;
        id.parse().map_err(not)
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Failed(store::failed(&self.path, source).into())
    }

    /// Writes an item over a version; says whether there was that version.
    fn write(&self, item: &Item, over: Option<i64>, version: i64) -> Result<bool, StoreError> {
        let id = item.id().as_str();
        let body = rows::json(item.id(), item)?;
        let (task, state) = (item.task(), item.state().as_str());
        let written = match over {
            None => self.db.execute(
                "INSERT INTO items (id, task, state, asked_ms, version, item) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING",
                params![
                    id,
                    task,
                    state,
                    rows::integer(item.asked_ms()),
                    version,
                    body
                ],
            ),
            Some(over) => self.db.execute(
                "UPDATE items SET state = ?2, version = ?3, item = ?4 \
                 WHERE id = ?1 AND version = ?5",
                params![id, state, version, body, over],
            ),
        };
        Ok(written.map_err(|e| self.failed(e))? == 1)
    }
}

impl Store for Approvals {
    fn load(&self, id: &ItemId) -> Result<(Item, Version), StoreError> {
        let sql = rows::select("WHERE id = ?1");
        let read = |row: &rusqlite::Row<'_>| Ok(rows::read(row));
        let row = self.db.query_row(&sql, [id.as_str()], read).optional();
        let row = row.map_err(|e| self.failed(e))?;
        row.ok_or_else(|| StoreError::Unknown(id.clone()))?
    }

    fn save(
        &self,
        item: &Item,
        over: Option<Version>,
        entry: &Entry,
    ) -> Result<Version, StoreError> {
        let failed = |e| self.failed(e);
        let id = item.id();
        // Dropped without a commit, it leaves everything as it was. Begun so that nobody else
        // writes between here and the commit.
        let exclusive = TransactionBehavior::Immediate;
        let transaction = Transaction::new_unchecked(&self.db, exclusive).map_err(failed)?;
        let version = Version(over.map_or(1, |Version(over)| over.saturating_add(1)));
        let number = rows::integer(version.0);
        if !self.write(item, over.map(|Version(over)| rows::integer(over)), number)? {
            let sql = "SELECT 1 FROM items WHERE id = ?1";
            let there = self.db.query_row(sql, [id.as_str()], |_| Ok(()));
            return Err(match there.optional().map_err(failed)? {
                Some(()) => StoreError::Conflict(id.clone()),
                None => StoreError::Unknown(id.clone()),
            });
        }
        let sql = "INSERT INTO history (id, version, entry) VALUES (?1, ?2, ?3)";
        let line = rows::json(id, entry)?;
        let added = self.db.execute(sql, params![id.as_str(), number, line]);
        added.map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(version)
    }

    fn list(&self, filter: &Filter) -> Result<Vec<Result<Item, StoreError>>, StoreError> {
        let failed = |e| self.failed(e);
        let waiting = match filter.waiting {
            // What is recorded as no state at all is damaged, and not to be hidden.
            true => "state NOT IN ('approved', 'denied', 'expired', 'withdrawn')",
            false => "1",
        };
        let rest = format!("WHERE (?1 IS NULL OR task = ?1) AND {waiting} ORDER BY asked_ms, id");
        let mut statement = self.db.prepare(&rows::select(&rest)).map_err(failed)?;
        let mut found = statement.query([filter.task.as_deref()]).map_err(failed)?;
        let mut items = Vec::new();
        while let Some(row) = found.next().map_err(failed)? {
            items.push(rows::read(row).map(|(item, _)| item));
        }
        Ok(items)
    }

    fn history(&self, id: &ItemId) -> Result<Vec<Entry>, StoreError> {
        let failed = |e| self.failed(e);
        let sql = "SELECT entry FROM history WHERE id = ?1 ORDER BY version";
        let mut statement = self.db.prepare(sql).map_err(failed)?;
        let mut found = statement.query([id.as_str()]).map_err(failed)?;
        let mut entries = Vec::new();
        while let Some(row) = found.next().map_err(failed)? {
            entries.push(rows::entry(id, row)?);
        }
        if entries.is_empty() {
            return Err(StoreError::Unknown(id.clone()));
        }
        Ok(entries)
    }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
