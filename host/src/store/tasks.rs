// SPDX-License-Identifier: Apache-2.0
//! Rows of the table `tasks`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::damage::{self, Damaged, RowError};
use super::{PATIENCE, SHORT_PATIENCE, Store, StoreError, failed};
use crate::task::{Outcome, Spec, TaskId};

/// How much later than its TTL a task may end: every level's margin.
const MARGIN: Duration = Duration::from_secs(3);

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Recorded; its VMM is not known yet.
    Starting,
    /// Its VMM was started.
    Running,
    /// Over.
    Ended,
}

impl State {
    /// As the store writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

impl FromStr for State {
    type Err = RowError;
    fn from_str(text: &str) -> Result<Self, RowError> {
        match text {
            "starting" => Ok(Self::Starting),
            "running" => Ok(Self::Running),
            "ended" => Ok(Self::Ended),
            _ => Err(RowError::State(text.to_owned())),
        }
    }
}

/// The processes of a running task, and how to end them when nobody answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The supervisor.
    pub supervisor_pid: u32,
    /// The VMM.
    pub vmm_pid: u32,
    /// When the VMM started, in clock ticks after boot (proc(5), stat field 22): a process of
    /// the same number that started at another time is another one.
    pub vmm_start_ticks: u64,
    /// The VMM's cgroup, if it has one of its own.
    pub cgroup: Option<PathBuf>,
    /// Why it has none, or no limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup_note: Option<String>,
}

/// One task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Where it is in its life.
    pub state: State,
    /// When it was recorded, milliseconds since 1970.
    pub created_ms: i64,
    /// When the last of the TTL's levels has certainly ended it.
    pub deadline_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// The folder with its locks and sockets, as of the command that started it.
    pub runtime: PathBuf,
    /// What was asked for.
    pub spec: Spec,
    /// Its processes.
    pub process: Option<Process>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    millis(now)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A query for whole rows, which [`read`] takes.
pub(super) fn select(rest: &str) -> String {
    let columns = "id, state, created_ms, deadline_ms, ended_ms, runtime, spec, process, outcome";
    format!("SELECT {columns} FROM tasks {rest}")
}

impl Store {
    /// Records a task that is about to start.
    ///
    /// # Errors
    /// When the row cannot be written; then there must be no VM.
    pub fn insert(&self, id: &TaskId, spec: &Spec, runtime: &Path) -> Result<(), StoreError> {
        let created = now_ms();
        let deadline = created.saturating_add(millis(spec.ttl().saturating_add(MARGIN)));
        let spec = json(id, spec)?;
        let sql = "INSERT INTO tasks (id, state, created_ms, deadline_ms, runtime, spec) \
                   VALUES (?1, 'starting', ?2, ?3, ?4, ?5)";
        let runtime = runtime.as_os_str().as_bytes();
        self.execute(sql, params![id.as_str(), created, deadline, runtime, spec])
            .map(drop)
    }

    /// Records that the VMM of a task runs. Does not wait long for another's write: the guest is
    /// served by who calls this, and its locks tell the same.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub fn running(&self, id: &TaskId, process: &Process) -> Result<(), StoreError> {
        let process = json(id, process)?;
        let sql = "UPDATE tasks SET state = 'running', process = ?2 \
                   WHERE id = ?1 AND state <> 'ended'";
        let patience = |time| {
            self.db
                .busy_timeout(time)
                .map_err(|e| failed(&self.path, e))
        };
        patience(SHORT_PATIENCE)?;
        let written = self.execute(sql, params![id.as_str(), process]);
        patience(PATIENCE)?;
        written.map(drop)
    }

    /// Records how a task ended, unless that is known already.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub fn finish(&self, id: &TaskId, outcome: &Outcome) -> Result<(), StoreError> {
        let outcome = json(id, outcome)?;
        let sql = "UPDATE tasks SET state = 'ended', ended_ms = ?2, outcome = ?3 \
                   WHERE id = ?1 AND state <> 'ended'";
        self.execute(sql, params![id.as_str(), now_ms(), outcome])
            .map(drop)
    }

    /// The task whose id begins so.
    ///
    /// # Errors
    /// None, or more than one, does; or it is damaged.
    pub fn find(&self, prefix: &str) -> Result<Task, StoreError> {
        let prefix = TaskId::prefix(prefix)?;
        // A prefix is letters and digits: the range up to the prefix followed by a byte above
        // them all is exactly what begins so.
        let end = format!("{prefix}~");
        let sql = select("WHERE id >= ?1 AND id < ?2 LIMIT 6");
        let mut found = self.query(&sql, params![prefix, end])?;
        if found.len() > 1 {
            let id = |row: Result<Task, Damaged>| row.map_or_else(|d| d.id, |task| task.id.into());
            let ids = found.into_iter().map(id).collect();
            return Err(StoreError::Ambiguous { prefix, ids });
        }
        Ok(found.pop().ok_or(StoreError::Unknown(prefix))??)
    }

    /// Whether the task with this id has ended; `None` when no such task is recorded.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn has_ended(&self, id: &str) -> Result<Option<bool>, StoreError> {
        let sql = "SELECT state = 'ended' FROM tasks WHERE id = ?1";
        let row = self.db.query_row(sql, [id], |row| row.get(0)).optional();
        row.map_err(|e| failed(&self.path, e))
    }

    /// Every task that has not ended, newest first, without damaged rows.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn alive(&self) -> Result<Vec<Task>, StoreError> {
        self.sound(&select(
            "WHERE state <> 'ended' ORDER BY created_ms DESC, id",
        ))
    }

    /// Every task, newest first, without damaged rows.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn all(&self) -> Result<Vec<Task>, StoreError> {
        self.sound(&select("ORDER BY created_ms DESC, id"))
    }

    /// Ids of ended tasks that ended longer ago than `age`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn older_than(&self, age: Duration) -> Result<Vec<String>, StoreError> {
        let before = now_ms().saturating_sub(millis(age));
        let sql = "SELECT id FROM tasks WHERE state = 'ended' AND created_ms < ?1 \
                   AND ended_ms < ?1 ORDER BY created_ms";
        let failed = |e| failed(&self.path, e);
        let mut statement = self.db.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([before]).map_err(failed)?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            // The id alone: it names a folder to remove, and `..` must not. The rest is not asked.
            ids.extend(self.or_warn(named(row, id)).map(String::from));
        }
        Ok(ids)
    }

    /// Removes the record of an ended task; says whether there was one.
    ///
    /// # Errors
    /// When the row cannot be removed.
    pub fn remove(&self, id: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM tasks WHERE id = ?1 AND state = 'ended'";
        self.execute(sql, [id]).map(|rows| rows > 0)
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, StoreError> {
        self.db
            .execute(sql, values)
            .map_err(|e| failed(&self.path, e))
    }

    fn query(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Vec<Result<Task, Damaged>>, StoreError> {
        let failed = |e| failed(&self.path, e);
        let mut statement = self.db.prepare(sql).map_err(failed)?;
        let mut rows = statement.query(values).map_err(failed)?;
        let mut tasks = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            tasks.push(read(row));
        }
        Ok(tasks)
    }

    fn sound(&self, sql: &str) -> Result<Vec<Task>, StoreError> {
        let rows = self.query(sql, [])?.into_iter();
        Ok(rows.filter_map(|row| self.or_warn(row)).collect())
    }

    fn or_warn<T>(&self, row: Result<T, Damaged>) -> Option<T> {
        row.map_err(|damaged| damage::warn(&self.path, &damaged))
            .ok()
    }
}

fn json(id: &TaskId, value: &impl Serialize) -> Result<String, StoreError> {
    let failed = |source| Damaged {
        id: id.to_string(),
        source: RowError::Json {
            column: "new record",
            source,
        },
    };
    Ok(serde_json::to_string(value).map_err(failed)?)
}

/// The task in a row of [`select`].
pub(super) fn read(row: &Row<'_>) -> Result<Task, Damaged> {
    named(row, task)
}

fn named<T>(
    row: &Row<'_>,
    read: impl FnOnce(&Row<'_>) -> Result<T, RowError>,
) -> Result<T, Damaged> {
    read(row).map_err(|source| Damaged {
        id: damage::name(row),
        source,
    })
}

fn task(row: &Row<'_>) -> Result<Task, RowError> {
    Ok(Task {
        id: id(row)?,
        state: row.get::<_, String>("state")?.parse()?,
        created_ms: row.get("created_ms")?,
        deadline_ms: row.get("deadline_ms")?,
        ended_ms: row.get("ended_ms")?,
        runtime: OsString::from_vec(row.get("runtime")?).into(),
        spec: understood("spec", &row.get::<_, String>("spec")?)?,
        process: optional(row, "process")?,
        outcome: optional(row, "outcome")?,
    })
}

fn id(row: &Row<'_>) -> Result<TaskId, RowError> {
    let text: String = row.get("id")?;
    // The same in other letters would not be found by it.
    let id: Option<TaskId> = text.parse().ok();
    id.filter(|id| id.as_str() == text).ok_or(RowError::Id)
}

fn optional<T: DeserializeOwned>(
    row: &Row<'_>,
    column: &'static str,
) -> Result<Option<T>, RowError> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| understood(column, &text)).transpose()
}

fn understood<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T, RowError> {
    serde_json::from_str(text).map_err(|source| RowError::Json { column, source })
}
