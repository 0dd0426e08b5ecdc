// SPDX-License-Identifier: Apache-2.0
//! `ampoule approvals approve`, `deny`, `comment` and `revoke`.

use clap::Args;
use policy::approval::event::{Missing, Yes};
use policy::approval::item::{Speaker, Subject};
use policy::approval::{Change, Event, Extent, GrantId, Item, ItemId, Person, desk};

use super::meant::Meant;
use crate::approvals::{Approvals, ApprovalsError, now_ms, who};
use crate::cli::{CliError, chain, say};
use crate::folders::Folders;
use crate::model::{ModelError, teach};

/// Allow what waits: once, unless it says otherwise
#[derive(Debug, Args)]
pub(super) struct Approve {
    /// The approval: its id or the beginning of it
    id: String,
    /// This root action and what it starts (the default)
    #[arg(long, conflicts_with_all = ["hours", "propose"])]
    once: bool,
    /// The very same again, too, for so many hours
    #[arg(long = "for", value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..))]
    hours: Option<u32>,
    /// Once, and write a line for the operator's policy, to be reviewed; nothing applies it
    #[arg(long, conflicts_with = "hours")]
    propose: bool,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The revision that was looked at, as `show` says it
    #[arg(long, value_name = "N")]
    revision: Option<u32>,
}

impl Approve {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = super::open(folders)?;
        let (id, by) = (store.find(&self.id)?, who().map_err(ApprovalsError::from)?);
        let item = desk::look(&store, &id, now_ms()).map_err(super::list::failed)?;
        let yes = Yes {
            seen: self.revision.map_or_else(|| seen(&item, &by), Ok)?,
            by,
            extent: match self.hours {
                Some(hours) => Extent::Hours(hours),
                None if self.propose => Extent::Proposal,
                None => Extent::Once,
            },
            note: self.note,
        };
        let item = tell(approve(folders, &store, &id, yes)?, &id)?;
        if self.propose {
            let votes = item.last().into_iter().flat_map(|portion| &portion.votes);
            let proposal = votes
                .filter_map(|vote| vote.proposal.as_deref())
                .next_back();
            say(proposal.unwrap_or_default())?;
        }
        Ok(0)
    }
}

/// The revision a person has seen: the only one there was, or the one they were shown.
///
/// What came after a decision is another action under the same name: whoever repeats a command
/// line means what they decided with it before.
fn seen(item: &Item, by: &Person) -> Result<u32, CliError> {
    let revision = item.revision();
    let last = item.last().filter(|_| item.state().waits());
    if last.is_none_or(|portion| revision == 1 || portion.shown.contains_key(by)) {
        return Ok(revision);
    }
    let id = item.id();
    let again = format!("look again with `ampoule approvals show {id}`");
    let text = match item.portions().len() {
        1 => format!("approval {id} asks about more since it was first asked; {again}"),
        _ => {
            let asked = Meant::of(item).line();
            format!(
                "approval {id} asks about something else since it was answered: {asked}; {again}"
            )
        }
    };
    Err(CliError::Usage(text))
}

/// Refuse what waits
#[derive(Debug, Args)]
pub(super) struct Deny {
    /// The approval: its id or the beginning of it
    id: String,
    /// Why; the agent is told
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The revision that was looked at, as `show` says it
    #[arg(long, value_name = "N")]
    revision: Option<u32>,
}

impl Deny {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = super::open(folders)?;
        let (id, by) = (store.find(&self.id)?, who().map_err(ApprovalsError::from)?);
        let item = desk::look(&store, &id, now_ms()).map_err(super::list::failed)?;
        let seen = match self.revision {
            // Before anything was decided a no is one to all of it.
            None if item.portions().len() == 1 => None,
            None => Some(seen(&item, &by)?),
            revision => revision,
        };
        let note = self.note;
        tell(deny(folders, &store, &id, No { by, seen, note })?, &id)?;
        Ok(0)
    }
}

/// Ask or note something about what waits
#[derive(Debug, Args)]
pub(super) struct Comment {
    /// The approval: its id or the beginning of it
    id: String,
    /// What
    text: String,
}

impl Comment {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = super::open(folders)?;
        let (id, by) = (store.find(&self.id)?, who().map_err(ApprovalsError::from)?);
        tell(comment(&store, &id, by, self.text)?, &id)?;
        Ok(0)
    }
}

/// Take back what was approved
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The grant, or the approval whose grants are all taken back
    id: String,
}

impl Revoke {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = super::open(folders)?;
        let by = who().map_err(ApprovalsError::from)?;
        let (id, portion) = match self.id.split_once('.') {
            None => (store.find(&self.id)?, None),
            Some((prefix, _)) => {
                let not = |_| ApprovalsError::NotAnId(self.id.clone());
                let grant: GrantId = self.id.to_ascii_lowercase().parse().map_err(not)?;
                (store.find(prefix)?, Some(grant.portion))
            }
        };
        tell(act(&store, &id, &Event::Revoke { by, portion })?, &id)?;
        Ok(0)
    }
}

/// What came of a decision.
#[derive(Debug)]
pub(in crate::cli) struct Made {
    /// The approval as it is now.
    pub(in crate::cli) item: Item,
    /// What changed.
    pub(in crate::cli) change: Change,
    /// Why the model did not hear of it, if so: it stands all the same.
    pub(in crate::cli) unlearnt: Option<String>,
}

/// Says yes, and lets the model learn from it once it is approved.
pub(in crate::cli) fn approve(
    folders: &Folders,
    store: &Approvals,
    id: &ItemId,
    yes: Yes,
) -> Result<Made, CliError> {
    let mut made = act(store, id, &Event::Approve(yes))?;
    if made.change == Change::Approved {
        made.unlearnt = unlearnt(teach::approved(folders, &made.item));
    }
    Ok(made)
}

/// A person's no.
#[derive(Debug)]
pub(in crate::cli) struct No {
    /// Who.
    pub(in crate::cli) by: Person,
    /// The revision that was seen, if it is to hold for that one alone.
    pub(in crate::cli) seen: Option<u32>,
    /// Why.
    pub(in crate::cli) note: Option<String>,
}

/// Says no.
pub(in crate::cli) fn deny(
    folders: &Folders,
    store: &Approvals,
    id: &ItemId,
    No { by, seen, note }: No,
) -> Result<Made, CliError> {
    let item = desk::look(store, id, now_ms()).map_err(super::list::failed)?;
    // What is refused below has taught nothing.
    let meant = seen.is_none_or(|seen| seen == item.revision());
    let learnt = meant.then(|| teach::denying(folders, &item));
    let unlearnt = learnt.and_then(unlearnt);
    let made = act(store, id, &Event::Deny { by, seen, note })?;
    Ok(Made { unlearnt, ..made })
}

/// Writes something to it.
pub(in crate::cli) fn comment(
    store: &Approvals,
    id: &ItemId,
    by: Person,
    text: String,
) -> Result<Made, CliError> {
    let by = Speaker::Person(by);
    act(store, id, &Event::Comment { by, text })
}

/// Takes an event to an item.
fn act(store: &Approvals, id: &ItemId, event: &Event) -> Result<Made, CliError> {
    let (item, change) = desk::act(store, id, event, now_ms()).map_err(ApprovalsError::from)?;
    Ok(Made {
        item,
        change,
        unlearnt: None,
    })
}

fn unlearnt(result: Result<(), ModelError>) -> Option<String> {
    let why = chain(&result.err()?);
    Some(format!(
        "the decision stands, but the risk model learnt nothing: {why}"
    ))
}

/// Says what an event came to, and of a decision for each action that it holds for.
fn tell(made: Made, id: &ItemId) -> Result<Item, CliError> {
    if let Some(unlearnt) = &made.unlearnt {
        eprintln!("ampoule: {unlearnt}");
    }
    for line in told(&made, id) {
        say(&line)?;
    }
    Ok(made.item)
}

pub(super) fn told(made: &Made, id: &ItemId) -> Vec<String> {
    let said = format!("{id} {}", said(made.change));
    let decides = matches!(
        made.change,
        Change::Approved | Change::Denied | Change::Counted(_)
    );
    let lines = Meant::of(&made.item).lines();
    match decides && made.item.subject() == Subject::Action {
        true => lines.iter().map(|line| format!("{said}: {line}")).collect(),
        false => vec![said],
    }
}

/// What an event came to, in words.
pub(in crate::cli) fn said(change: Change) -> String {
    match change {
        Change::Approved => "approved".to_owned(),
        Change::Denied => "denied".to_owned(),
        Change::Commented => "commented".to_owned(),
        Change::Revoked => "revoked".to_owned(),
        Change::Counted(missing) => waits(missing, true),
        _ => "unchanged".to_owned(),
    }
}

/// Who is still needed, where some have said yes (`begun`) or nobody has.
pub(super) fn waits(missing: Missing, begun: bool) -> String {
    let people = match (missing.more, begun) {
        (0 | 1, true) => "waits for one more person".to_owned(),
        (0 | 1, false) => "waits for a person".to_owned(),
        (more, true) => format!("waits for {more} more people"),
        (more, false) => format!("waits for {more} people"),
    };
    match missing.another {
        true => format!("{people}, not only who started the task"),
        false => people,
    }
}
