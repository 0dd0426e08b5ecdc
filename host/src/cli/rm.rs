// SPDX-License-Identifier: Apache-2.0
//! `ampoule rm`: a task's record and log.

use std::path::Path;

use clap::Args;

use super::CliError;
use crate::folders::Folders;
use crate::store::{Store, StoreError};
use crate::supervise::locks;
use crate::task::TaskId;

/// Remove the records and logs of tasks that have ended
#[derive(Debug, Args)]
pub(super) struct Rm {
    /// The tasks: their ids or the beginnings of them
    #[arg(required = true)]
    tasks: Vec<String>,
}

impl Rm {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = Store::open(folders)?;
        let mut sound = Vec::new();
        for name in &self.tasks {
            if !remove_damaged(folders, &store, name)? {
                sound.push(name);
            }
        }
        // Only now, or it would warn of the records that were to be removed.
        super::sweep(&store, folders);
        for name in sound {
            let id = store.find(name)?.id;
            if !store.remove(id.as_str())? {
                let text = format!("task {id} is still running; `ampoule kill {id}` ends it");
                return Err(CliError::Usage(text));
            }
            remove_log(folders, &id);
        }
        Ok(0)
    }
}

/// Removes the record called `name` if it is damaged; says whether it was.
fn remove_damaged(folders: &Folders, store: &Store, name: &str) -> Result<bool, CliError> {
    let found = match store.find(name) {
        Err(StoreError::Damaged(damaged)) => store.wreck(&damaged.id)?,
        Ok(_) => None,
        // Its id may be none that can be looked for, or only the beginning of others.
        Err(_) => store.wreck(name)?,
    };
    let Some(wreck) = found else {
        return Ok(false);
    };
    let id = &wreck.id;
    if wreck.runtime.as_deref().is_some_and(runs) {
        let text = format!(
            "task {id} is still running and its record is damaged; \
             run `ampoule rm {id}` again when its TTL has ended it"
        );
        return Err(CliError::Usage(text));
    }
    store.remove_wreck(&wreck)?;
    // What is no id could name any folder, and in capitals another task's.
    let valid: Option<TaskId> = id.parse().ok();
    if let Some(valid) = valid.filter(|valid| valid.as_str() == id) {
        remove_log(folders, &valid);
    }
    Ok(true)
}

/// Whether somebody holds the locks of a task. A folder that makes no sense has none.
fn runs(runtime: &Path) -> bool {
    [locks::SUPERVISOR, locks::VMM]
        .iter()
        .any(|name| locks::is_held(runtime, name).unwrap_or(false))
}

fn remove_log(folders: &Folders, id: &TaskId) {
    let _ = std::fs::remove_dir_all(folders.task(id.as_str()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with one row whose `spec` and state mean nothing.
    fn with_damage(dir: &Path, id: &str) -> (Folders, rusqlite::Connection) {
        let folders = Folders::below(dir);
        let path = Store::open(&folders).unwrap().path().to_owned();
        let db = rusqlite::Connection::open(path).unwrap();
        let sql = "INSERT INTO tasks (id, state, created_ms, deadline_ms, runtime, spec) \
                   VALUES (?1, 'paused', 1, 2, ?2, '{')";
        let runtime = folders.sockets("0000aaaa");
        let bytes = runtime.as_os_str().as_encoded_bytes();
        db.execute(sql, rusqlite::params![id, bytes]).unwrap();
        (folders, db)
    }

    fn rm(folders: &Folders, id: &str) -> Result<u8, CliError> {
        let tasks = vec![id.to_owned()];
        Rm { tasks }.execute(folders)
    }

    fn rows(db: &rusqlite::Connection) -> u32 {
        let sql = "SELECT count(*) FROM tasks";
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_damaged_row_leaves_the_store_with_its_log() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["0000aaaa", "0000"] {
            let (folders, db) = with_damage(dir.path(), "0000aaaa");
            std::fs::create_dir_all(folders.task("0000aaaa")).unwrap();
            assert_eq!(rm(&folders, name).unwrap(), 0);
            assert_eq!(rows(&db), 0);
            assert!(!folders.task("0000aaaa").exists());
        }
    }

    #[test]
    fn a_row_whose_id_is_none_leaves_the_store_and_no_folder_goes_with_it() {
        for id in ["..", "", "0000AAAA", "0000aaaaa", "a b"] {
            let dir = tempfile::tempdir().unwrap();
            let (folders, db) = with_damage(dir.path(), id);
            std::fs::create_dir_all(folders.task("0000aaaa")).unwrap();
            assert_eq!(rm(&folders, id).unwrap(), 0, "{id}");
            assert_eq!(rows(&db), 0, "{id}");
            assert!(folders.task("0000aaaa").exists(), "{id}");
        }
    }

    #[test]
    fn a_damaged_row_stays_in_the_store_while_its_task_runs() {
        let dir = tempfile::tempdir().unwrap();
        let (folders, db) = with_damage(dir.path(), "0000aaaa");
        let runtime = folders.sockets("0000aaaa");
        std::fs::create_dir_all(&runtime).unwrap();
        let lock = locks::take(&runtime, locks::VMM).unwrap();
        let error = rm(&folders, "0000aaaa").unwrap_err().to_string();
        assert!(error.contains("still running"), "{error}");
        assert_eq!(rows(&db), 1);
        drop(lock);
        assert_eq!(rm(&folders, "0000aaaa").unwrap(), 0);
    }
}
