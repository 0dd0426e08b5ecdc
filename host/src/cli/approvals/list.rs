// SPDX-License-Identifier: Apache-2.0
//! `ampoule approvals ls` and `grants`.

use std::time::Duration;

use clap::Args;
use policy::approval::item::line;
use policy::approval::store::Filter;
use policy::approval::{Grant, Grants as All, Item, Question, Store, StoreError};
use policy::text::cut;
use serde_json::{Value, json};

use super::meant::Meant;
use crate::approvals::{ApprovalsError, now_ms};
use crate::cli::{CliError, chain, say, store, values};
use crate::folders::Folders;
use crate::store::Store as Tasks;
use crate::text::escaped;

/// Columns of who asks.
const WHY: usize = 12;

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
        let mut items = sound(super::open(folders)?.list(&filter).map_err(failed)?);
        items.sort_by_key(|item| Meant::of(item).asked_ms());
        if !self.json {
            let titles = [
                "ID", "TASK", "STATE", "AGE", "LEFT", "RISK", "WHY", "ACTION",
            ];
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
        let tasks = store(folders)?;
        if !self.json {
            let titles = ["GRANT", "TASK", "FOR", "LEFT", "BY", "ACTION"];
            say(&grant_row(&titles.map(str::to_owned)))?;
        }
        let now = now_ms();
        for grant in All::of(&items).all() {
            let live = grant.is_live(now) && !is_over(&tasks, grant.item)?;
            if !live && !self.all {
                continue;
            }
            say(&match self.json {
                true => grant_json(&grant, live).to_string(),
                false => grant_row(&grant_cells(&grant, live, now)),
            })?;
        }
        Ok(0)
    }
}

/// Whether an item's task can ask for nothing any more. One that is not recorded was removed when
/// it had ended, unless it was none: whoever asks with `ampoule policy check` names any task.
pub(super) fn is_over(tasks: &Tasks, item: &Item) -> Result<bool, CliError> {
    let (task, root) = (item.task(), item.root());
    // As the gate names root actions.
    let gated = root
        .strip_prefix(task)
        .is_some_and(|rest| rest.starts_with('/'));
    Ok(tasks.has_ended(task)?.unwrap_or(gated))
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

fn row(cells: &[String; 8]) -> String {
    let [id, task, state, age, left, risk, why, action] = cells;
    format!("{id:<8}  {task:<8}  {state:<9}  {age:<5}  {left:<5}  {risk:<6}  {why:<WHY$}  {action}")
}

pub(super) fn cells(item: &Item, now: u64) -> [String; 8] {
    let meant = Meant::of(item);
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
        between(meant.asked_ms(), now),
        left.unwrap_or_else(|| "-".to_owned()),
        meant.risk().map_or_else(|| "-".to_owned(), percent),
        cut(&meant.asked_by(), WHY.saturating_sub(1)),
        meant.line(),
    ]
}

pub(super) fn short(item: &Item, now: u64) -> Value {
    let (meant, state) = (Meant::of(item), item.state_at(now));
    let waiting = meant.questions().iter().filter(|_| state.waits());
    let waiting: Vec<Value> = waiting.map(question).collect();
    json!({
        "approval": item.id(),
        "task": item.task(),
        "root": item.root(),
        "subject": item.subject(),
        "state": state,
        "revision": item.revision(),
        "asked_ms": meant.asked_ms(),
        "deadline_ms": item.last().map(|portion| portion.deadline_ms),
        "risk_bps": meant.risk(),
        "action": meant.questions().first().map(|question| line(&question.action)),
        "waiting": waiting,
    })
}

/// A question that waits.
fn question(question: &Question) -> Value {
    json!({
        "action": line(&question.action),
        "plan": question.plan.is_some(),
        "risk_bps": question.risk.most(),
        "asked_from_bps": question.risk.asked_from,
        "why": question.why,
        "policies": question.policies,
    })
}

fn grant_row(cells: &[String; 6]) -> String {
    let [id, task, lasts, left, by, action] = cells;
    format!("{id:<10}  {task:<8}  {lasts:<5}  {left:<7}  {by:<12}  {action}")
}

pub(super) fn grant_cells(grant: &Grant, live: bool, now: u64) -> [String; 6] {
    let revoked = grant.portion.revoked.is_some();
    let left = match live {
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
        Meant::part(grant.item, grant.portion).line(),
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

pub(super) fn grant_json(grant: &Grant, live: bool) -> Value {
    let actions = grant.portion.questions.iter();
    let actions: Vec<String> = actions.map(|one| line(&one.action)).collect();
    json!({
        "grant": grant.id().to_string(),
        "task": grant.item.task(),
        "root": grant.item.root(),
        "live": live,
        "hours": grant.hours,
        "from_ms": grant.from_ms,
        "until_ms": grant.until_ms,
        "by": grant.portion.decision.as_ref().map(|decision| &decision.by),
        "revoked": grant.portion.revoked,
        "bindings": grant.portion.questions.iter().map(|one| one.binding).collect::<Vec<_>>(),
        "action": actions.first(),
        "actions": actions,
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
