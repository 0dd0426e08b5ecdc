// SPDX-License-Identifier: Apache-2.0
//! `ampoule approvals ls` and `grants`.

use std::time::Duration;

use clap::Args;
use policy::approval::item::{Subject, line};
use policy::approval::store::Filter;
use policy::approval::{Grant, Grants as All, Item, Store, StoreError};
use serde_json::{Value, json};

use crate::approvals::{ApprovalsError, now_ms};
use crate::cli::{CliError, chain, say, values};
use crate::folders::Folders;
use crate::text::escaped;

/// Characters of an action that are shown.
const ACTION: usize = 48;

/// List what waits for people, the oldest first
#[derive(Debug, Args)]
pub(super) struct Ls {
    /// What is decided, too
    #[arg(short, long)]
    all: bool,
    /// One line of JSON an approval
    #[arg(long)]
    json: bool,
}

impl Ls {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let filter = Filter {
            task: None,
            waiting: !self.all,
        };
        let items = sound(super::open(folders)?.list(&filter).map_err(failed)?);
        if !self.json {
            let titles = ["ID", "TASK", "STATE", "AGE", "LEFT", "RISK", "ACTION"];
            say(&row(&titles.map(str::to_owned)))?;
        }
        let now = now_ms();
        // What is late has expired, whether or not anybody has recorded it.
        for item in items
            .iter()
            .filter(|item| self.all || item.state_at(now).waits())
        {
            say(&match self.json {
                true => short(item, now).to_string(),
                false => row(&cells(item, now)),
            })?;
        }
        Ok(0)
    }
}

/// List what approvals allow now
#[derive(Debug, Args)]
pub(super) struct Grants {
    /// What has ended or was taken back, too
    #[arg(short, long)]
    all: bool,
    /// One line of JSON a grant
    #[arg(long)]
    json: bool,
}

impl Grants {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let items = sound(
            super::open(folders)?
                .list(&Filter::default())
                .map_err(failed)?,
        );
        if !self.json {
            let titles = ["GRANT", "TASK", "FOR", "LEFT", "BY", "ACTION"];
            say(&grant_row(&titles.map(str::to_owned)))?;
        }
        let now = now_ms();
        for grant in All::of(&items)
            .all()
            .filter(|grant| self.all || grant.is_live(now))
        {
            say(&match self.json {
                true => grant_json(&grant, now).to_string(),
                false => grant_row(&grant_cells(&grant, now)),
            })?;
        }
        Ok(0)
    }
}

/// The items that can be read; what is wrong with the others goes to stderr.
pub(super) fn sound(listed: Vec<Result<Item, StoreError>>) -> Vec<Item> {
    let or_warn = |item: Result<Item, StoreError>| {
        item.map_err(|error| eprintln!("ampoule: {}", chain(&error)))
            .ok()
    };
    listed.into_iter().filter_map(or_warn).collect()
}

pub(super) fn failed(error: StoreError) -> CliError {
    ApprovalsError::from(error).into()
}

fn row(cells: &[String; 7]) -> String {
    let [id, task, state, age, left, risk, action] = cells;
    format!("{id:<8}  {task:<8}  {state:<9}  {age:<5}  {left:<5}  {risk:<5}  {action}")
}

fn cells(item: &Item, now: u64) -> [String; 7] {
    let risk = item.first().and_then(|question| question.risk.basis_points);
    let (state, late) = (
        item.state_at(now),
        item.last().map(|portion| portion.deadline_ms),
    );
    let left = late
        .filter(|_| state.waits())
        .map(|late| between(now, late));
    [
        item.id().to_string(),
        escaped(item.task()),
        state.to_string(),
        between(item.asked_ms(), now),
        left.unwrap_or_else(|| "-".to_owned()),
        risk.map_or_else(|| "-".to_owned(), percent),
        action(item),
    ]
}

fn short(item: &Item, now: u64) -> Value {
    let first = item.first();
    json!({
        "approval": item.id(),
        "task": item.task(),
        "root": item.root(),
        "subject": item.subject(),
        "state": item.state_at(now),
        "revision": item.revision(),
        "asked_ms": item.asked_ms(),
        "deadline_ms": item.last().map(|portion| portion.deadline_ms),
        "risk_bps": first.and_then(|question| question.risk.basis_points),
        "action": first.map(|question| line(&question.action)),
    })
}

/// The action in a line that fits, or that there are too many.
pub(in crate::cli) fn action(item: &Item) -> String {
    if let Subject::Flood { asks } = item.subject() {
        return format!("too many asks ({asks}); the task is paused");
    }
    let text = item.first().map(|question| line(&question.action));
    let text = escaped(&text.unwrap_or_default());
    text.chars().take(ACTION).collect()
}

fn grant_row(cells: &[String; 6]) -> String {
    let [id, task, lasts, left, by, action] = cells;
    format!("{id:<10}  {task:<8}  {lasts:<5}  {left:<7}  {by:<12}  {action}")
}

fn grant_cells(grant: &Grant, now: u64) -> [String; 6] {
    let revoked = grant.portion.revoked.is_some();
    let left = match grant.is_live(now) {
        true => between(now, grant.until_ms),
        false if revoked => "revoked".to_owned(),
        false => "ended".to_owned(),
    };
    [
        grant.id().to_string(),
        escaped(grant.item.task()),
        match grant.hours {
            0 => "once".to_owned(),
            hours => format!("{hours}h"),
        },
        left,
        people(grant),
        action(grant.item),
    ]
}

fn people(grant: &Grant) -> String {
    let decision = grant.portion.decision.iter();
    let names = decision.flat_map(|decision| &decision.by);
    names
        .map(|by| escaped(by.as_str()))
        .collect::<Vec<_>>()
        .join(",")
}

fn grant_json(grant: &Grant, now: u64) -> Value {
    json!({
        "grant": grant.id().to_string(),
        "task": grant.item.task(),
        "root": grant.item.root(),
        "live": grant.is_live(now),
        "hours": grant.hours,
        "from_ms": grant.from_ms,
        "until_ms": grant.until_ms,
        "by": grant.portion.decision.as_ref().map(|decision| &decision.by),
        "revoked": grant.portion.revoked,
        "bindings": grant.portion.questions.iter().map(|one| one.binding).collect::<Vec<_>>(),
        "action": grant.item.first().map(|question| line(&question.action)),
    })
}

/// How long it is from one time to another, in one unit.
pub(in crate::cli) fn between(from: u64, to: u64) -> String {
    values::one_unit(Duration::from_millis(to.saturating_sub(from)))
}

/// Basis points as per cent.
pub(in crate::cli) fn percent(basis_points: u16) -> String {
    format!("{}.{} %", basis_points / 100, basis_points % 100 / 10)
}
