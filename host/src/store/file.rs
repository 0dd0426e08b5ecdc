// SPDX-License-Identifier: Apache-2.0
//! Opening a database of the state folder: its tables made once, its version checked, waits
//! bounded.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::{StoreError, failed};
use crate::folders::{self, Folders};

/// How long a command waits for another's write.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A database of the state folder.
#[derive(Debug)]
pub(crate) struct File {
    /// Its name.
    pub(crate) name: &'static str,
    /// Version of the tables, in `user_version`.
    pub(crate) schema: i32,
    /// What a commit waits for: SQLite's `synchronous`.
    pub(crate) synchronous: &'static str,
    /// The statements that make the tables.
    pub(crate) tables: &'static str,
}

/// Opens a database of this user, making it when missing, and says where it lies.
///
/// # Errors
/// As [`StoreError`] says; a newer one is never touched.
pub(crate) fn open(folders: &Folders, file: &File) -> Result<(Connection, PathBuf), StoreError> {
    folders::make_private(&folders.state)?;
    let path = folders.state.join(file.name);
    let db = Connection::open(&path).map_err(|e| failed(&path, e))?;
    prepare(&db, &path, file)?;
    Ok((db, path))
}

fn prepare(db: &Connection, path: &Path, file: &File) -> Result<(), StoreError> {
    let failed = |e| failed(path, e);
    db.busy_timeout(PATIENCE).map_err(failed)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(failed)?;
    db.pragma_update(None, "synchronous", file.synchronous)
        .map_err(failed)?;
    let version = db.query_row("PRAGMA user_version", [], |row| row.get(0));
    match version.map_err(failed)? {
        0 => create(db, path, file),
        found if found == file.schema => Ok(()),
        found => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: file.schema,
        }),
    }
}

/// Makes the tables, unless another process does so at this moment.
fn create(db: &Connection, path: &Path, file: &File) -> Result<(), StoreError> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match try_create(db, file) {
            Ok(()) => return Ok(()),
            // Changing the journal does not wait for others as other statements do.
            Err(e)
                if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < give_up =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(e) => return Err(failed(path, e)),
        }
    }
}

fn try_create(db: &Connection, file: &File) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    let version: i32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != 0 {
        return Ok(());
    }
    transaction.execute_batch(file.tables)?;
    transaction.pragma_update(None, "user_version", file.schema)?;
    transaction.commit()?;
    // So that the file itself says what it is, and not only its log.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
