// SPDX-License-Identifier: Apache-2.0
//! `ampoule ps`: the tasks that run, or all that are recorded.

use std::time::Duration;

use clap::Args;

use super::now::{All, Now};
use super::{CliError, say, store, values, view};
use crate::folders::Folders;
use crate::store::{Task, now_ms};
use crate::text::printable;

/// Characters of a command that are shown.
const COMMAND: usize = 48;

/// List tasks, newest first
#[derive(Debug, Args)]
pub(super) struct Ps {
    /// Those that have ended, too
    #[arg(short, long)]
    all: bool,
    /// One line of JSON a task
    #[arg(long)]
    json: bool,
}

impl Ps {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = store(folders)?;
        let tasks = if self.all {
            store.all()?
        } else {
            store.alive()?
        };
        let now = All::look(folders, tasks.iter());
        if self.json {
            for task in &tasks {
                say(&view::short(task, &now.of(task)).to_string())?;
            }
            return Ok(0);
        }
        say(&format!(
            "{:<8}  {:<16}  {:<8}  {:<12}  COMMAND",
            "TASK", "STATE", "AGE", "IMAGE"
        ))?;
        for task in &tasks {
            say(&line(task, &now.of(task), now_ms()))?;
        }
        Ok(0)
    }
}

fn line(task: &Task, now: &Now, now_ms: i64) -> String {
    let age = u64::try_from(now_ms.saturating_sub(task.created_ms)).unwrap_or(0);
    let age = values::one_unit(Duration::from_millis(age));
    let command = printable(&task.spec.command_line());
    let command: String = command.chars().take(COMMAND).collect();
    let (id, state, image) = (
        task.id.as_str(),
        view::state_now(task, now),
        &task.spec.image,
    );
    format!("{id:<8}  {state:<16}  {age:<8}  {image:<12}  {command}")
}
