// SPDX-License-Identifier: Apache-2.0
//! `ampoule approvals show`: all a person needs to decide.
//!
//! What the agent chose (the action, its reason, names in it) is escaped, so that it cannot move
//! the cursor or look like ours, and its words are marked as such.

mod words;

use std::fmt::Write;

use clap::Args;
use policy::action::Action;
use policy::approval::item::{Comment, Decision, Risk, Speaker, Subject, Vote, line};
use policy::approval::similar::Similar;
use policy::approval::{Event, Item, ItemId, Person, Planned, Portion, Question, Store, desk};
use policy::effects::Effect;
use serde::Serialize;
use serde_json::{Value, json};

use super::list::{between, failed, percent};
use super::meant::Meant;
use crate::approvals::{Approvals, ApprovalsError, now_ms, who};
use crate::cli::{CliError, say};
use crate::folders::Folders;
use crate::text::escaped;
use words::{blast, block, effect, kebab, name, quoted, reach, what};

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
/// moves the cursor. What is to be decided stands first, since a screen may have no room for more:
/// the actions with their risk and effects, then what else helps, then what was decided before.
pub(in crate::cli) fn text(item: &Item, now: u64) -> String {
    let mut page = Page::default();
    head(&mut page, item, now);
    let parts = item.portions();
    let mut parts = parts.iter().enumerate().map(|(at, part)| (at + 1, part));
    let last = parts.next_back();
    let many = parts.len() > 0;
    if let Some((number, part)) = last {
        part_head(&mut page, (number, part), many);
        let lines = Meant::of(item).lines();
        if lines.len() > 1 {
            let count = format!("{} actions at once:", lines.len());
            page.lines("TOGETHER", std::iter::once(count).chain(lines));
        }
        asks(&mut page, part);
        plans(&mut page, part);
        comments(&mut page, item.comments(), now);
        details(&mut page, part, now);
    }
    page.gap();
    origin(&mut page, item, now);
    for (number, part) in parts {
        part_head(&mut page, (number, part), many);
        asks(&mut page, part);
        plans(&mut page, part);
        details(&mut page, part, now);
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
                let begun = !portion.votes.is_empty();
                let missing = super::decide::waits(item.missing(portion), begun);
                let left = between(now, portion.deadline_ms);
                format!("{state}, {missing}; a no in {left} if nobody answers")
            }
            None => state.to_string(),
        },
    );
    if let Subject::Flood { asks } = item.subject() {
        let text = format!(
            "{asks} asks were too many and the task is paused. Approving lets it go on and allows \
             no action; below is the one that was too much."
        );
        page.line("FLOOD", &text);
    }
}

/// Whose it is.
fn origin(page: &mut Page, item: &Item, now: u64) {
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
}

fn part_head(page: &mut Page, (number, part): (usize, &Portion), many: bool) {
    if many {
        page.gap();
        page.line("PART", &format!("{number}, {}", standing(part)));
        page.lines("adds", part.added.iter().map(reach));
    }
}

/// The actions of a part, each with what a person decides by.
fn asks(page: &mut Page, part: &Portion) {
    for question in &part.questions {
        page.gap();
        ask(page, question);
    }
}

fn ask(page: &mut Page, question: &Question) {
    let action = &question.action;
    page.lines("ACTION", what(&action.act));
    if !question.why.is_empty() {
        page.line("because", &name(&question.why));
    }
    page.line("risk", &risk(&question.risk));
    let mut effects: Vec<&Effect> = question.analysis.effects.iter().collect();
    effects.sort_by_key(|effect| std::cmp::Reverse(effect.harm));
    page.lines("effects", effects.into_iter().map(effect));
    let findings = question.analysis.findings.iter();
    page.lines(
        "hard",
        findings.map(|found| format!("{}: {}", kebab(&found.hard), name(&found.text))),
    );
    page.lines("why", reason(action, question.plan.is_some()));
    let folder = action
        .cwd
        .as_deref()
        .map_or("the workspace".to_owned(), quoted);
    page.line("in", &folder);
}

/// As `ampoule policy check` says it: what is compared with where asking begins is its upper end.
fn risk(risk: &Risk) -> String {
    let Some(mean) = risk.basis_points else {
        return "not estimated".to_owned();
    };
    let upper = risk.upper.map(|bps| format!(", at most {}", percent(bps)));
    let from = risk
        .asked_from
        .map(|bps| format!("; asked about from {}", percent(bps)));
    let (upper, from) = (upper.unwrap_or_default(), from.unwrap_or_default());
    format!("{}{upper}{from}", percent(mean))
}

/// The plans that actions of a part are steps of, each once.
fn plans(page: &mut Page, part: &Portion) {
    let mut told: Vec<&Planned> = Vec::new();
    for plan in part.questions.iter().filter_map(|one| one.plan.as_ref()) {
        if !told.contains(&plan) {
            page.gap();
            self::plan(page, plan);
            told.push(plan);
        }
    }
}

fn plan(page: &mut Page, plan: &Planned) {
    let count = plan.steps.len().saturating_add(plan.more);
    let asked = plan.steps.iter().filter(|step| step.asks).count();
    page.line(
        "PLAN",
        &format!("{count} steps, {asked} of them asked about"),
    );
    if !plan.goal.trim().is_empty() {
        page.lines("goal", words(&plan.goal));
    }
    match plan.reasoning.trim() {
        "" => page.line("reasoning", "the agent gives none"),
        _ => page.lines("reasoning", words(&plan.reasoning)),
    }
    let steps = plan.steps.iter().enumerate();
    let steps = steps.map(|(at, step)| {
        let verdict = if step.asks { "ask" } else { "allowed" };
        format!("{:<3} {verdict:<8} {}", at + 1, name(&step.action))
    });
    let more = (plan.more > 0).then(|| format!("… and {} more", plan.more));
    page.lines("steps", steps.chain(more));
}

fn comments(page: &mut Page, comments: &[Comment], now: u64) {
    if !comments.is_empty() {
        page.gap();
    }
    for comment in comments {
        page.lines("comment", said(comment, now));
    }
}

/// What else is known of a part's actions, and who said what of them.
fn details(page: &mut Page, part: &Portion, now: u64) {
    for question in &part.questions {
        page.gap();
        if part.questions.len() > 1 {
            page.line("OF", &name(&line(&question.action)));
        }
        detail(page, question, now);
    }
    page.lines("yes", part.votes.iter().map(|vote| yes(vote, now)));
    page.lines("decided", part.decision.iter().map(|it| decided(it, now)));
    let revoked = part.revoked.iter();
    page.lines(
        "revoked",
        revoked.map(|it| {
            let (by, ago) = (name(it.by.as_str()), between(it.at_ms, now));
            format!("by {by}, {ago} ago")
        }),
    );
}

fn detail(page: &mut Page, question: &Question, now: u64) {
    let action = &question.action;
    page.lines("reaches", blast(&question.blast));
    page.lines("safer", question.safer().into_iter().map(name));
    let drivers = question.risk.drivers.iter();
    page.lines("drivers", drivers.map(|driver| name(driver)));
    page.lines("before", before(&question.similar, now));
    page.lines("policies", question.policies.iter().map(|id| name(id)));
    let scripts = question.analysis.scripts.iter();
    page.lines(
        "scripts",
        scripts.map(|one| format!("{}  {}", name(&one.path), name(&one.digest))),
    );
    if !action.env.is_empty() {
        let names: Vec<String> = action.env.iter().map(|name| escaped(name)).collect();
        page.line("environment", &names.join(" "));
    }
    page.line("binding", &question.binding.to_string());
}

/// Why the agent wants it. What a plan is for stands with the plan.
fn reason(action: &Action, planned: bool) -> Vec<String> {
    match &action.reason {
        Some(reason) => words(reason),
        None if planned => Vec::new(),
        None => vec!["the agent gives no reason".to_owned()],
    }
}

fn words(text: &str) -> Vec<String> {
    let mut lines = vec!["(the agent's words)".to_owned()];
    lines.extend(block(text));
    lines
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
