// SPDX-License-Identifier: Apache-2.0
//! What one task did, as the record tells it: a line an action, which its verdict, the question
//! about it and what became of it change.

use std::collections::VecDeque;

use policy::text::cut;

use crate::cli::approvals::list::percent;
use crate::cli::events::phrase::{action_line, phrase};
use crate::events::{Head, Recorded, What};
use crate::gate::asks::PEOPLES;

/// Lines that are kept of a task.
const LINES: usize = 500;

/// Characters of a text that are kept.
const TEXT: usize = 300;

/// How an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// No action: something else that happened.
    Event,
    /// No verdict yet.
    Open,
    /// Let pass.
    Allow,
    /// People are asked.
    Ask,
    /// Refused.
    Deny,
    /// Nobody waits for an answer any more.
    Gone,
}

impl Mark {
    /// In five columns.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Event => "-",
            Self::Open => "...",
            Self::Allow => "allow",
            Self::Ask => "ASK",
            Self::Deny => "DENY",
            Self::Gone => "gone",
        }
    }
}

/// What a later event names an action by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Root(Option<u64>),
    Intent(u64),
    None,
}

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    n: u64,
    key: Key,
    /// When.
    pub(super) at_ms: u64,
    /// How it stands.
    pub(super) mark: Mark,
    /// What; not printable yet.
    pub(super) text: String,
    /// Who says so, and why; not printable yet.
    pub(super) why: String,
    approval: Option<String>,
}

/// What is known of a task by its events.
#[derive(Debug, Default)]
pub(super) struct Story {
    deeds: VecDeque<Deed>,
    /// How tightly it is held; not printable yet.
    pub(super) posture: Option<String>,
    /// Its image; not printable yet.
    pub(super) image: Option<String>,
    /// When it was first heard of.
    pub(super) first_ms: u64,
    /// When it was last.
    pub(super) last_ms: u64,
    /// Whether it ended.
    pub(super) ended: bool,
}

impl Story {
    /// The lines, the oldest first.
    pub(super) fn deeds(&self) -> &VecDeque<Deed> {
        &self.deeds
    }

    /// Whether that event is here already: a record that was replaced may begin as the old one.
    pub(super) fn has(&self, head: &Head) -> bool {
        let same = |deed: &Deed| deed.n == head.n && deed.at_ms == head.at_ms;
        self.deeds.iter().any(same)
    }

    /// Takes what happened next.
    pub(super) fn take(&mut self, event: &Recorded) {
        let head = &event.head;
        if self.first_ms == 0 {
            self.first_ms = head.at_ms;
        }
        self.last_ms = head.at_ms;
        self.ended |= matches!(event.what, What::TaskEnded { .. });
        match &event.what {
            What::TaskStarted { image, gated, .. } => {
                let posture = if *gated { "normal" } else { "ungated" };
                self.posture = Some(posture.to_owned());
                self.image = Some(short(image));
                self.tell(event);
            }
            What::Posture { to, .. } => {
                self.posture = Some(short(to));
                self.tell(event);
            }
            What::Root { .. } => {
                self.add(
                    head,
                    Key::Root(head.root),
                    (Mark::Open, &phrase(&event.what)),
                );
            }
            What::Intent { id, action, .. } => {
                self.add(head, Key::Intent(*id), (Mark::Open, &action_line(action)));
            }
            // The verdict on the plan that people gave is one on no root action.
            What::Declared { id: PEOPLES, .. } => {
                let key = Key::Root(Some(PEOPLES));
                self.add(head, key, (Mark::Open, &phrase(&event.what)));
            }
            What::Declared { id, .. } => {
                let key = Key::Intent(*id);
                self.add(head, key, (Mark::Open, &phrase(&event.what)));
            }
            What::Uses { .. } => {
                self.add(head, Key::None, (Mark::Allow, &phrase(&event.what)));
            }
            _ => {
                if !self.judge(head, &event.what) {
                    self.tell(event);
                }
            }
        }
    }

    /// A line that no version of ours wrote.
    pub(super) fn foreign(&mut self, head: &Head) {
        let text = format!("an event '{}' that this version does not know", head.kind);
        self.add(head, Key::None, (Mark::Event, &text));
    }

    /// What changes a line that is here; says whether there was one.
    fn judge(&mut self, head: &Head, what: &What) -> bool {
        let key = |id: &Option<u64>| id.map_or(Key::Root(head.root), Key::Intent);
        match what {
            What::Verdict {
                id,
                verdict,
                approval,
                ..
            } => self.change(key(id), |deed| {
                deed.mark = mark(verdict);
                deed.why = because(what);
                deed.approval = approval.clone().or(deed.approval.take());
            }),
            What::Asked { id, approval, .. } => self.change(key(id), |deed| {
                deed.mark = Mark::Ask;
                deed.approval = Some(approval.clone());
            }),
            What::Decided {
                approval,
                state,
                by,
                ..
            } => self.decided(approval, state, by),
            What::Withdrawn { id } => self.change(Key::Intent(*id), |deed| deed.mark = Mark::Gone),
            // What the gate refused by itself has no verdict of the host's.
            What::Done { id, errno, .. } => self.change(Key::Intent(*id), |deed| {
                if *errno != 0 {
                    deed.why = short(&format!("{}; error {errno}", deed.why));
                }
            }),
            _ => false,
        }
    }

    fn decided(&mut self, asked: &str, state: &str, by: &[String]) -> bool {
        let mut found = false;
        for deed in &mut self.deeds {
            if deed.mark == Mark::Ask && deed.approval.as_deref() == Some(asked) {
                deed.mark = match state {
                    "approved" => Mark::Allow,
                    "withdrawn" => Mark::Gone,
                    _ => Mark::Deny,
                };
                let people = if by.is_empty() { "" } else { " by " };
                deed.why = short(&format!("{asked} {state}{people}{}", by.join(", ")));
                found = true;
            }
        }
        found
    }

    fn change(&mut self, key: Key, change: impl FnOnce(&mut Deed)) -> bool {
        let deed = self.deeds.iter_mut().rev().find(|deed| deed.key == key);
        deed.map(change).is_some()
    }

    /// Something that is no action, or belongs to none that is here.
    fn tell(&mut self, event: &Recorded) {
        let mark = match &event.what {
            What::Verdict { verdict, .. } => mark(verdict),
            _ => Mark::Event,
        };
        self.add(&event.head, Key::None, (mark, &phrase(&event.what)));
    }

    fn add(&mut self, head: &Head, key: Key, (mark, text): (Mark, &str)) {
        if self.deeds.len() >= LINES {
            self.deeds.pop_front();
        }
        self.deeds.push_back(Deed {
            n: head.n,
            key,
            at_ms: head.at_ms,
            mark,
            text: short(text),
            why: String::new(),
            approval: None,
        });
    }
}

fn mark(verdict: &str) -> Mark {
    match verdict {
        "allow" => Mark::Allow,
        "ask" => Mark::Ask,
        _ => Mark::Deny,
    }
}

/// Why a verdict is what it is.
fn because(what: &What) -> String {
    let What::Verdict {
        by,
        risk_bps,
        policies,
        reason,
        ..
    } = what
    else {
        return String::new();
    };
    let risk = risk_bps.map(|bps| format!(" {}", percent(bps)));
    let policies = policies.join(" ");
    let parts = [reason.as_str(), policies.as_str()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let risk = risk.unwrap_or_default();
    short(&format!("{by}{risk}: {}", parts.join("; ")))
}

fn short(text: &str) -> String {
    cut(text, TEXT)
}
