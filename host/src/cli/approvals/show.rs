// SPDX-License-Identifier: Apache-2.0
//! `ampoule approvals show`: all a person needs to decide.
//!
//! What the agent chose (the action, its reason, names in it) is escaped, so that it cannot move
//! the cursor or look like ours, and its words are marked as such.

use std::fmt::Write;

use clap::Args;
use policy::action::{Act, Action};
use policy::approval::item::{Comment, Decision, Speaker, Subject, Vote};
use policy::approval::similar::Similar;
use policy::approval::{Event, Item, ItemId, Person, Portion, Question, Reach, Store, desk};
use policy::blast::Blast;
use policy::effects::word::UNKNOWN;
use policy::effects::{Effect, Target};
use serde::Serialize;
use serde_json::{Value, json};

use super::list::{between, failed, percent};
use crate::approvals::{Approvals, ApprovalsError, now_ms, who};
use crate::cli::{CliError, say};
use crate::folders::Folders;
use crate::text::escaped;

/// Lines of one text, and effects of one action, that are shown; `--json` has all.
const LINES: usize = 200;

/// Columns of titles.
pub(in crate::cli) const TITLE: usize = 11;

/// Show everything a person needs to decide
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The approval: its id or the beginning of it
    id: String,
    /// As JSON, with its history
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = super::open(folders)?;
        let (id, by) = (store.find(&self.id)?, who().map_err(ApprovalsError::from)?);
        let now = now_ms();
        let item = shown(&store, &id, by, now)?;
        if self.json {
            let history = store.history(&id).map_err(failed)?;
            say(&format!("{:#}", whole(&item, history, now)))?;
        } else {
            say(text(&item, now).trim_end())?;
        }
        Ok(0)
    }
}

/// Records that a person sees it as it is: from here on it counts how long that person takes, and
/// what they saw.
pub(in crate::cli) fn shown(
    store: &Approvals,
    id: &ItemId,
    by: Person,
    now: u64,
) -> Result<Item, CliError> {
    let shown = desk::act(store, id, &Event::Shown { by }, now);
    let (item, _) = shown.map_err(ApprovalsError::from)?;
    Ok(item)
}

fn whole(item: &Item, history: impl Serialize, now: u64) -> Value {
    let mut value = json!({"approval": item.id(), "state": item.state_at(now), "history": history});
    if let (Some(value), Value::Object(item)) = (value.as_object_mut(), json!(item)) {
        value.extend(item);
    }
    value
}

/// Lines under titles.
#[derive(Debug, Default)]
struct Page(String);

impl Page {
    fn line(&mut self, title: &str, text: &str) {
        // Writing to a String never fails.
        let _ = writeln!(self.0, "{title:<TITLE$} {text}");
    }

    /// Several lines under one title, not more than can be read.
    fn lines(&mut self, title: &str, lines: impl IntoIterator<Item = String>) {
        let mut lines = lines.into_iter();
        for (at, line) in lines.by_ref().take(LINES).enumerate() {
            self.line(if at == 0 { title } else { "" }, &line);
        }
        match lines.count() {
            0 => {}
            more => self.line("", &format!("… and {more} more; --json shows all")),
        }
    }

    fn gap(&mut self) {
        self.0.push('\n');
    }
}

/// All of it, in lines of a title of [`TITLE`] columns and what stands under it; nothing in them
/// moves the cursor.
pub(in crate::cli) fn text(item: &Item, now: u64) -> String {
    let mut page = Page::default();
    head(&mut page, item, now);
    let many = item.portions().len() > 1;
    for (at, portion) in item.portions().iter().enumerate() {
        if many {
            page.gap();
            let number = at.saturating_add(1);
            page.line("PART", &format!("{number}, {}", standing(portion)));
            page.lines("adds", portion.added.iter().map(reach));
        }
        for question in &portion.questions {
            page.gap();
            ask(&mut page, question, now);
        }
        page.lines("yes", portion.votes.iter().map(|vote| yes(vote, now)));
        page.lines(
            "decided",
            portion.decision.iter().map(|it| decided(it, now)),
        );
        let revoked = portion.revoked.iter();
        page.lines(
            "revoked",
            revoked.map(|it| {
                format!(
                    "by {}, {} ago",
                    name(it.by.as_str()),
                    between(it.at_ms, now)
                )
            }),
        );
    }
    if !item.comments().is_empty() {
        page.gap();
    }
    for comment in item.comments() {
        page.lines("comment", said(comment, now));
    }
    page.0
}

fn head(page: &mut Page, item: &Item, now: u64) {
    let (id, state) = (item.id(), item.state_at(now));
    page.line("APPROVAL", &format!("{id}, revision {}", item.revision()));
    let waits = item.last().filter(|_| state.waits());
    page.line(
        "state",
        &match waits {
            Some(portion) => {
                let missing = super::decide::waits(item.missing(portion));
                let left = between(now, portion.deadline_ms);
                format!("{state}, {missing}; a no in {left} if nobody answers")
            }
            None => state.to_string(),
        },
    );
    let started = item
        .requester()
        .map(|by| format!(", started by {}", name(by.as_str())));
    let started = started.unwrap_or_default();
    page.line("task", &format!("{}{started}", escaped(item.task())));
    page.line("root action", &escaped(item.root()));
    let asked = between(item.asked_ms(), now);
    let joined = match item.joined() {
        0 => String::new(),
        more => format!(", and {more} more times since"),
    };
    page.line("asked", &format!("{asked} ago{joined}"));
    if let Subject::Flood { asks } = item.subject() {
        let text = format!(
            "{asks} asks were too many and the task is paused. Approving lets it go on and allows \
             no action; below is the one that was too much."
        );
        page.line("FLOOD", &text);
    }
}

fn ask(page: &mut Page, question: &Question, now: u64) {
    let action = &question.action;
    page.lines("ACTION", what(&action.act));
    let folder = action
        .cwd
        .as_deref()
        .map_or("the workspace".to_owned(), quoted);
    page.line("in", &folder);
    if !action.env.is_empty() {
        let names: Vec<String> = action.env.iter().map(|name| escaped(name)).collect();
        page.line("environment", &names.join(" "));
    }
    page.lines("why", reason(action));
    let mut effects: Vec<&Effect> = question.analysis.effects.iter().collect();
    effects.sort_by_key(|effect| std::cmp::Reverse(effect.harm));
    page.lines("effects", effects.into_iter().map(effect));
    let findings = question.analysis.findings.iter();
    page.lines(
        "hard",
        findings.map(|found| format!("{}: {}", kebab(&found.hard), name(&found.text))),
    );
    let scripts = question.analysis.scripts.iter();
    page.lines(
        "scripts",
        scripts.map(|one| format!("{}  {}", name(&one.path), name(&one.digest))),
    );
    page.lines("reaches", blast(&question.blast));
    let bps = question.risk.basis_points;
    page.line(
        "risk",
        &bps.map_or_else(|| "not estimated".to_owned(), percent),
    );
    page.lines("", question.risk.drivers.iter().map(|driver| name(driver)));
    page.lines("safer", question.safer().into_iter().map(name));
    page.lines("before", before(&question.similar, now));
    page.lines("policies", question.policies.iter().map(|id| name(id)));
    page.line("binding", &question.binding.to_string());
}

/// What exactly, in the form that is bound.
fn what(act: &Act) -> Vec<String> {
    let words = |words: &[String]| {
        words
            .iter()
            .map(|word| quoted(word))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let body = |text: Option<&str>| text.map(block).unwrap_or_default();
    let (first, more) = match act {
        Act::Exec(argv) => (format!("exec {}", words(argv)), Vec::new()),
        Act::Shell(text) => ("shell".to_owned(), block(text)),
        Act::Write(write) => {
            let first = format!("write {}", quoted(&write.path));
            (first, body(write.content.as_deref()))
        }
        Act::Patch(diff) => ("patch".to_owned(), block(diff)),
        Act::Delete(paths) => (format!("delete {}", words(paths)), Vec::new()),
        Act::Request(request) => {
            let first = format!("request {} {}", name(&request.method), name(&request.url));
            (first, body(request.body.as_deref()))
        }
        Act::Install(install) => {
            let first = format!(
                "install {} {}",
                name(&install.manager),
                words(&install.packages)
            );
            (first, Vec::new())
        }
    };
    std::iter::once(first).chain(more).collect()
}

fn reason(action: &Action) -> Vec<String> {
    let Some(reason) = &action.reason else {
        return vec!["the agent gives no reason".to_owned()];
    };
    let mut lines = vec!["(the agent's words)".to_owned()];
    lines.extend(block(reason));
    lines
}

/// Lines of a text that is not ours, each marked.
fn block(text: &str) -> Vec<String> {
    text.split('\n')
        .map(|line| format!("| {}", name(line)))
        .collect()
}

fn effect(effect: &Effect) -> String {
    let via = match effect.via.as_slice() {
        [] => String::new(),
        via => format!(", in {}", name(&via.join(", "))),
    };
    format!(
        "{:<8} {:<12} {}: {} ({}{via})",
        kebab(&effect.harm),
        kebab(&effect.kind),
        target(&effect.target),
        name(&effect.why),
        name(&effect.rule)
    )
}

fn reach(reach: &Reach) -> String {
    let (harm, kind) = (kebab(&reach.harm), kebab(&reach.kind));
    format!("{harm:<8} {kind:<12} {}", target(&reach.target))
}

fn target(target: &Target) -> String {
    match target {
        Target::Path(path, place) => {
            let secret = if place.secret { ", holds secrets" } else { "" };
            let startup = if place.startup { ", runs later" } else { "" };
            format!("{} ({}{secret}{startup})", quoted(path), kebab(&place.area))
        }
        Target::Host(host) => name(host),
        Target::Resource(kind, resource) => format!("{} {}", name(kind), quoted(resource)),
        Target::Package(text) | Target::Program(text) | Target::System(text) => quoted(text),
        Target::Nothing => "nothing in particular".to_owned(),
    }
}

fn blast(value: &Value) -> Vec<String> {
    let plain = |value: &Value| match value {
        Value::String(text) => name(text),
        other => name(&other.to_string()),
    };
    if let Ok(Some(counted)) = serde_json::from_value::<Option<Blast>>(value.clone()) {
        // A stored item may hold what we did not write.
        return counted.summary().iter().map(|line| escaped(line)).collect();
    }
    match value {
        Value::Null => vec!["not counted".to_owned()],
        Value::Object(fields) => (fields.iter())
            .map(|(key, value)| format!("{}: {}", name(key), plain(value)))
            .collect(),
        other => vec![plain(other)],
    }
}

fn before(similar: &Similar, now: u64) -> Vec<String> {
    let counts = format!(
        "of the like {} approved, {} denied, {} not answered",
        similar.approved, similar.denied, similar.unanswered
    );
    let newest = similar.newest.iter().map(|past| {
        let ago = between(past.at_ms, now);
        format!(
            "{} {ago} ago ({}): {}",
            past.state,
            past.item,
            name(&past.action)
        )
    });
    std::iter::once(counts).chain(newest).collect()
}

fn standing(portion: &Portion) -> String {
    match &portion.decision {
        Some(decision) => decision.state.to_string(),
        None => "to be decided".to_owned(),
    }
}

fn yes(vote: &Vote, now: u64) -> String {
    let (by, ago) = (name(vote.by.as_str()), between(vote.at_ms, now));
    format!(
        "{by}, {ago} ago, {}{}",
        lasts(vote.hours),
        note(vote.note.as_deref())
    )
}

fn decided(decision: &Decision, now: u64) -> String {
    let by: Vec<String> = decision.by.iter().map(|by| name(by.as_str())).collect();
    let by = if by.is_empty() {
        String::new()
    } else {
        format!(" by {}", by.join(", "))
    };
    let lasts = match decision.state {
        policy::approval::State::Approved => format!(", {}", lasts(decision.hours)),
        _ => String::new(),
    };
    let (ago, note) = (between(decision.at_ms, now), note(decision.note.as_deref()));
    format!("{}{by}, {ago} ago{lasts}{note}", decision.state)
}

fn lasts(hours: u32) -> String {
    match hours {
        0 => "once".to_owned(),
        hours => format!("for {hours}h"),
    }
}

fn note(note: Option<&str>) -> String {
    note.map(|note| format!(": {}", name(note)))
        .unwrap_or_default()
}

fn said(comment: &Comment, now: u64) -> Vec<String> {
    let by = match &comment.by {
        Speaker::Person(person) => name(person.as_str()),
        Speaker::Agent => "(the agent's words)".to_owned(),
        Speaker::Host => "ampoule".to_owned(),
    };
    let mut lines = vec![format!("{by}, {} ago", between(comment.at_ms, now))];
    lines.extend(block(&comment.text));
    lines
}

/// Text that is not ours, in one line.
fn name(text: &str) -> String {
    escaped(&text.replace(UNKNOWN, "…"))
}

/// A word as a shell would have to be given it, so that `a b` is told from `a` and `b`, and a line
/// break from a backslash and an n.
fn quoted(word: &str) -> String {
    let word = word.replace(UNKNOWN, "…");
    let plain = |c: char| c.is_alphanumeric() || "_./:=@%+,-…".contains(c);
    if escaped(&word) != word {
        let inside = word.replace('\\', r"\\").replace('\'', r"\'");
        return format!("$'{}'", escaped(&inside));
    }
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// As JSON calls it.
fn kebab(value: &impl Serialize) -> String {
    let value = json!(value);
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_when_quoted() {
        for (word, shown) in [
            ("build/a.o", "build/a.o"),
            ("größe", "größe"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            (r"a\nb", r"'a\nb'"),
            ("a\nb", r"$'a\nb'"),
            ("a\\'\u{202e}", r"$'a\\\'\u{202e}'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
