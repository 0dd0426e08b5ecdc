// SPDX-License-Identifier: Apache-2.0
//! The team's risk model on disk: `model.db` in the state folder.
//!
//! What is kept are the events it is made of: people's answers, promotions, rollbacks. The model
//! is a function of them (`policy::risk::learning`), kept beside them so that it need not be made
//! anew each time, and made anew when it is missing or damaged. Triggers refuse to change or remove
//! an event, so any verdict can be had again with the weights of its day.
//!
//! Each write is one transaction that waits for the disk: after a crash at any byte of it the
//! model is as before or as after.

mod audits;
pub mod teach;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use policy::risk::Model;
use policy::risk::learning::event::Event;
use policy::risk::learning::{EventError, Learner};
use policy::risk::state::{Fingerprint, State};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::folders::Folders;
use crate::store::{self, File, now_ms};
pub use audits::Audit;

/// Events after which the model is kept anew: replaying so many is quick.
const STRIDE: u64 = 64;

const FILE: File = File {
    name: "model.db",
    schema: 1,
    synchronous: "FULL",
    tables: "
CREATE TABLE events (
    number      INTEGER PRIMARY KEY,  -- from 1, without gaps
    at_ms       INTEGER NOT NULL,     -- since 1970
    event       TEXT NOT NULL         -- JSON
);
CREATE TRIGGER events_stay BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
CREATE TRIGGER events_are_kept BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
CREATE TABLE kept (
    what        TEXT PRIMARY KEY,     -- salt, trained, learner
    value       BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE audits (
    number      INTEGER PRIMARY KEY,
    audit       TEXT NOT NULL,        -- JSON
    answered_ms INTEGER               -- since 1970
);
",
};

/// Why the model cannot be had, or learns nothing.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file.
    #[error(transparent)]
    File(#[from] store::StoreError),
    /// A statement.
    #[error("the risk model {} cannot be read or written", path.display())]
    Db {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// An event that is no event.
    #[error("{what} {number} of the risk model {} is damaged; restore the file from a backup, or remove it to begin anew", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// `event` or `audit`.
        what: &'static str,
        /// Which.
        number: u64,
    },
    /// An event that the model refuses.
    #[error(transparent)]
    Refused(#[from] EventError),
    /// Something that cannot be written down.
    #[error("this cannot be written into the risk model")]
    Shape(#[from] serde_json::Error),
    /// No salt for a new one.
    #[error("the kernel gives no random bytes")]
    Entropy(#[source] std::io::Error),
    /// An audit that is none.
    #[error("there is no open audit {0}; `ampoule model audit` lists them")]
    NoAudit(u64),
}

/// The model that is in force: the one on disk, or the first day's when there is none.
///
/// # Errors
///
/// It is there but cannot be read. Then nothing is judged.
pub fn current(folders: &Folders, agent: &str) -> Result<Model, ModelError> {
    if !folders.state.join(FILE.name).exists() {
        return Ok(Model::default());
    }
    let store = Models::open(folders)?;
    let learner = store.learner()?;
    let state = store.state(&learner, agent)?;
    Ok(learner.model(state))
}

/// What a model trained now depends on.
#[must_use]
pub fn fingerprint(agent: &str) -> Fingerprint {
    Fingerprint::now(policy::effects::RULES, agent)
}

/// The open store.
#[derive(Debug)]
pub struct Models {
    db: Connection,
    path: PathBuf,
}

impl Models {
    /// Opens the model of this user, making the file when missing.
    ///
    /// # Errors
    ///
    /// As the records of tasks.
    pub fn open(folders: &Folders) -> Result<Self, ModelError> {
        let (db, path) = store::open(folders, &FILE)?;
        let store = Self { db, path };
        store.salt()?;
        Ok(store)
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, source: rusqlite::Error) -> ModelError {
        let path = self.path.clone();
        ModelError::Db { path, source }
    }

    fn damaged(&self, what: &'static str, number: u64) -> ModelError {
        let path = self.path.clone();
        ModelError::Damaged { path, what, number }
    }

    /// The site's salt, made when there is none.
    fn salt(&self) -> Result<u64, ModelError> {
        if let Some(salt) = self.salt_kept()? {
            return Ok(salt);
        }
        let mut bytes = [0; 8];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| ModelError::Entropy(error.into()))?;
        let sql = "INSERT OR IGNORE INTO kept (what, value) VALUES ('salt', ?1)";
        let inserted = self.db.execute(sql, [bytes.as_slice()]);
        inserted.map_err(|e| self.failed(e))?;
        // Another process may have been faster.
        Ok(self.salt_kept()?.unwrap_or(u64::from_le_bytes(bytes)))
    }

    fn salt_kept(&self) -> Result<Option<u64>, ModelError> {
        let bytes = self.kept("salt")?;
        let bytes = bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes.as_slice()).ok());
        Ok(bytes.map(u64::from_le_bytes))
    }

    fn kept(&self, what: &str) -> Result<Option<Vec<u8>>, ModelError> {
        let sql = "SELECT value FROM kept WHERE what = ?1";
        let row = self.db.query_row(sql, [what], |row| row.get(0)).optional();
        row.map_err(|e| self.failed(e))
    }

    /// The model as all its events made it.
    ///
    /// # Errors
    ///
    /// An event cannot be read.
    pub fn learner(&self) -> Result<Learner, ModelError> {
        self.learner_at(u64::MAX)
    }

    /// The model as it was after so many events.
    ///
    /// # Errors
    ///
    /// An event cannot be read.
    pub fn learner_at(&self, version: u64) -> Result<Learner, ModelError> {
        let kept = self.kept("learner")?;
        let kept = kept.and_then(|bytes| Learner::from_bytes(&bytes).ok());
        let mut learner = match kept.filter(|kept| kept.version() <= version) {
            Some(learner) => learner,
            None => Learner::new(self.salt()?),
        };
        for event in self.events(learner.version(), version)? {
            learner.apply(&event)?;
        }
        Ok(learner)
    }

    /// The events after one and up to another, in order.
    ///
    /// # Errors
    ///
    /// One is damaged or missing.
    pub fn events(&self, after: u64, until: u64) -> Result<Vec<Event>, ModelError> {
        let failed = |e| self.failed(e);
        let sql =
            "SELECT number, event FROM events WHERE number > ?1 AND number <= ?2 ORDER BY number";
        let mut statement = self.db.prepare(sql).map_err(failed)?;
        let bound = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let rows = statement.query_map([bound(after), bound(until)], row);
        let mut events = Vec::new();
        for (expected, row) in (after.saturating_add(1)..).zip(rows.map_err(failed)?) {
            let (number, text) = row.map_err(failed)?;
            let event = serde_json::from_str(&text).ok();
            let event = event.filter(|_| u64::try_from(number).ok() == Some(expected));
            events.push(event.ok_or_else(|| self.damaged("event", expected))?);
        }
        Ok(events)
    }

    /// Takes events in, all or none, and gives the model they make.
    ///
    /// # Errors
    ///
    /// One cannot be; nothing has changed then.
    pub fn learn(&self, events: &[Event], agent: &str) -> Result<Learner, ModelError> {
        let failed = |e| self.failed(e);
        let behavior = TransactionBehavior::Immediate;
        let transaction = Transaction::new_unchecked(&self.db, behavior).map_err(failed)?;
        let learner = self.add(events, agent)?;
        transaction.commit().map_err(failed)?;
        Ok(learner)
    }

    /// As [`Self::learn`], in a transaction of the caller's.
    fn add(&self, events: &[Event], agent: &str) -> Result<Learner, ModelError> {
        let failed = |e| self.failed(e);
        let mut learner = self.learner()?;
        let first = learner.version() == 0;
        for event in events {
            learner.apply(event)?;
            let number = i64::try_from(learner.version()).unwrap_or(i64::MAX);
            let text = serde_json::to_string(event)?;
            let sql = "INSERT INTO events (number, at_ms, event) VALUES (?1, ?2, ?3)";
            let row = params![number, now_ms(), text];
            self.db.execute(sql, row).map_err(failed)?;
        }
        // A promotion is made by a person who looked at what it does under today's rules.
        let by_hand = events
            .iter()
            .any(|event| !matches!(event, Event::Answer(_)));
        if first || by_hand {
            self.keep("trained", &serde_json::to_vec(&fingerprint(agent))?)?;
        }
        if (by_hand || learner.version().is_multiple_of(STRIDE))
            && let Ok(bytes) = learner.to_bytes()
        {
            self.keep("learner", &bytes)?;
        }
        Ok(learner)
    }

    fn keep(&self, what: &str, value: &[u8]) -> Result<(), ModelError> {
        let sql = "INSERT OR REPLACE INTO kept (what, value) VALUES (?1, ?2)";
        let kept = self.db.execute(sql, params![what, value]);
        kept.map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// Whether the model may be believed under today's rules, for this agent.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn state(&self, learner: &Learner, agent: &str) -> Result<State, ModelError> {
        if learner.version() == 0 {
            return Ok(State::Valid);
        }
        let trained = self.kept("trained")?.unwrap_or_default();
        // What it was trained for is not known: nothing it learnt is believed.
        let unknown = || Fingerprint {
            schema: 0,
            ..Fingerprint::now("", "")
        };
        let trained = serde_json::from_slice(&trained).unwrap_or_else(|_| unknown());
        Ok(State::of(&trained, &fingerprint(agent)))
    }
}
