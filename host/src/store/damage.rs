// SPDX-License-Identifier: Apache-2.0
//! Rows that cannot be read back: what is wrong with them, and how they are left out and removed.
//!
//! One such row must not keep the others from being listed, pruned or ended. So lists leave it
//! out with a word on stderr, and `ampoule rm` finds it by its id alone.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Row, params};

use super::tasks::read;
use super::{Store, StoreError, failed};

/// A row that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("the record of task {id} is damaged; `ampoule rm {id}` removes it")]
pub struct Damaged {
    /// Whose, or as much of its name as can be read.
    pub id: String,
    /// Why.
    #[source]
    pub source: RowError,
}

/// What is wrong with a row.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// No task has such an id.
    #[error("its id is not one")]
    Id,
    /// Not a state that there is.
    #[error("its state '{0}' is unknown")]
    State(String),
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
}

/// A damaged row that was looked up by its id.
#[derive(Debug)]
pub struct Wreck {
    /// The id, as it is called on the command line.
    pub id: String,
    /// The folder with the task's locks, if the row still says which.
    pub runtime: Option<PathBuf>,
    key: Vec<u8>,
}

impl Store {
    /// The damaged row that is called exactly so.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn wreck(&self, id: &str) -> Result<Option<Wreck>, StoreError> {
        let failed = |e| failed(&self.path, e);
        let sql = super::tasks::select("ORDER BY id");
        let mut statement = self.db.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let wanted = called(id.as_bytes());
        while let Some(row) = rows.next().map_err(failed)? {
            let key = bytes(row, "id").unwrap_or_default();
            if called(&key) == wanted && read(row).is_err() {
                let runtime = bytes(row, "runtime").map(|path| OsString::from_vec(path).into());
                let id = wanted;
                return Ok(Some(Wreck { id, runtime, key }));
            }
        }
        Ok(None)
    }

    /// Removes a damaged row, whatever it says.
    ///
    /// # Errors
    /// When the row cannot be removed.
    pub fn remove_wreck(&self, wreck: &Wreck) -> Result<(), StoreError> {
        // By its bytes: they need not be UTF-8, nor of the type that ids have.
        let sql = "DELETE FROM tasks WHERE CAST(id AS BLOB) = ?1";
        let removed = self.db.execute(sql, params![wreck.key]);
        removed.map(drop).map_err(|e| failed(&self.path, e))
    }
}

/// What the row of a damaged record is called.
pub(super) fn name(row: &Row<'_>) -> String {
    called(&bytes(row, "id").unwrap_or_default())
}

/// An id fit for one line on a terminal.
fn called(id: &[u8]) -> String {
    let shown = |c: char| match c {
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    String::from_utf8_lossy(id).chars().map(shown).collect()
}

fn bytes(row: &Row<'_>, column: &str) -> Option<Vec<u8>> {
    let value = row.get_ref(column).ok()?;
    value.as_bytes().ok().map(<[u8]>::to_vec)
}

/// Says on stderr that a row is left out, unless this process has done so.
pub(super) fn warn(store: &Path, damaged: &Damaged) {
    if let Some(line) = warning(store, damaged) {
        eprintln!("{line}");
    }
}

fn warning(store: &Path, damaged: &Damaged) -> Option<String> {
    /// Of the process, not of an open store: a command may open it often, and reads it more often.
    static WARNED: Mutex<BTreeSet<(PathBuf, String)>> = Mutex::new(BTreeSet::new());
    let mut warned = WARNED.lock().unwrap_or_else(PoisonError::into_inner);
    let first = warned.insert((store.to_owned(), damaged.id.clone()));
    first.then(|| format!("ampoule: {damaged}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_row_is_told_once_and_in_one_line() {
        let damaged = |id: &[u8]| Damaged {
            id: called(id),
            source: RowError::Id,
        };
        let warn = |id: &[u8]| warning(Path::new("/a/store"), &damaged(id));
        let line = warn(b"0000aaaa").unwrap();
        assert!(line.contains("task 0000aaaa") && line.contains("`ampoule rm 0000aaaa`"));
        assert_eq!(warn(b"0000aaaa"), None);
        let other = warn(b"a\n\x1b[1m\xff").unwrap();
        assert!(!other.contains(char::is_control), "{other}");
    }
}
