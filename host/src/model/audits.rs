// SPDX-License-Identifier: Apache-2.0
//! Audits: a slice of what ran unattended, asked about afterwards. Without it nobody would learn
//! of a wrong allow: people answer only for what they are asked.

use policy::action::Action;
use policy::risk::features::Features;
use policy::risk::learning::event::{Answer, Asked, Event};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::{ModelError, Models};
use crate::store::now_ms;

/// An action that ran unattended and waits for a person's word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// When it ran, in milliseconds since 1970.
    pub at_ms: i64,
    /// The task it was in.
    pub task: String,
    /// What ran.
    pub action: Action,
    /// What it was judged by.
    pub features: Features,
    /// The chance that it would be audited, in basis points.
    pub rate_bps: u16,
    /// The model that allowed it.
    pub version: u64,
}

impl Models {
    /// Puts an allowed action among those that are asked about.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn audit(&self, audit: &Audit) -> Result<(), ModelError> {
        let text = serde_json::to_string(audit)?;
        let sql = "INSERT INTO audits (audit) VALUES (?1)";
        self.db.execute(sql, [text]).map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// Those nobody has answered yet, by number, the oldest first.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn audits(&self) -> Result<Vec<(u64, Audit)>, ModelError> {
        let failed = |e| self.failed(e);
        let sql = "SELECT number, audit FROM audits WHERE answered_ms IS NULL ORDER BY number";
        let mut statement = self.db.prepare(sql).map_err(failed)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
        let rows = statement.query_map([], row).map_err(failed)?;
        let mut audits = Vec::new();
        for row in rows {
            let (number, text) = row.map_err(failed)?;
            let number = u64::try_from(number).unwrap_or_default();
            let audit = serde_json::from_str(&text).map_err(|_| self.damaged("audit", number))?;
            audits.push((number, audit));
        }
        Ok(audits)
    }

    /// A person's word: whether it should have been refused.
    ///
    /// # Errors
    ///
    /// There is no such open audit; the model refuses the answer. Nothing has changed then.
    pub fn answer_audit(&self, number: u64, refused: bool, agent: &str) -> Result<(), ModelError> {
        let failed = |e| self.failed(e);
        let behavior = TransactionBehavior::Immediate;
        let transaction = Transaction::new_unchecked(&self.db, behavior).map_err(failed)?;
        let key = i64::try_from(number).unwrap_or(i64::MAX);
        let sql = "SELECT audit FROM audits WHERE answered_ms IS NULL AND number = ?1";
        let found = self.db.query_row(sql, [key], |row| row.get::<_, String>(0));
        let found = found.optional().map_err(failed)?;
        let text = found.ok_or(ModelError::NoAudit(number))?;
        let audit: Audit =
            serde_json::from_str(&text).map_err(|_| self.damaged("audit", number))?;
        let answer = Answer {
            task: audit.task,
            features: audit.features,
            refused,
            // Nobody waits for it, so nobody hurries.
            latency_ms: u64::MAX,
            shown: 0,
            asked: Asked::After {
                rate_bps: audit.rate_bps,
            },
            version: audit.version,
        };
        self.add(&[Event::Answer(answer)], agent)?;
        let sql = "UPDATE audits SET answered_ms = ?2 WHERE number = ?1";
        self.db
            .execute(sql, params![key, now_ms()])
            .map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}
