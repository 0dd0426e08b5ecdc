// SPDX-License-Identifier: Apache-2.0
//! What an approval is about, in short: the part of it that waits, or that was decided last.
//!
//! Never its first part for its own sake: what was approved long ago must not stand for what a yes
//! would let happen now.

use policy::approval::item::{Subject, line};
use policy::approval::{Item, Portion, Question};

use crate::text::escaped;

/// Characters of an action in a list.
const ACTION: usize = 48;

/// A part of an approval.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Meant<'a> {
    item: &'a Item,
    part: Option<&'a Portion>,
}

impl<'a> Meant<'a> {
    /// What is to be decided at once, or was decided last.
    pub(in crate::cli) fn of(item: &'a Item) -> Self {
        let part = item.last();
        Self { item, part }
    }

    /// One part, such as a grant is of.
    pub(super) fn part(item: &'a Item, part: &'a Portion) -> Self {
        let part = Some(part);
        Self { item, part }
    }

    /// The actions, the first asked first.
    pub(super) fn questions(self) -> &'a [Question] {
        self.part.map_or(&[], |part| &part.questions)
    }

    /// Since when.
    pub(super) fn asked_ms(self) -> u64 {
        let first = self.part.and_then(|part| part.asked_ms.first());
        first.copied().unwrap_or_else(|| self.item.asked_ms())
    }

    /// How likely a person says no to the riskiest of them, at most; in basis points.
    pub(in crate::cli) fn risk(self) -> Option<u16> {
        let risks = self.questions().iter();
        risks.filter_map(|question| question.risk.most()).max()
    }

    /// Who asks: the policies and rules of all of them.
    pub(super) fn asked_by(self) -> String {
        let policies = self.questions().iter().flat_map(|one| &one.policies);
        let mut asked: Vec<String> = policies.map(|id| escaped(id)).collect();
        asked.sort();
        asked.dedup();
        asked.join(",")
    }

    /// Each action in a line of its own.
    pub(in crate::cli) fn lines(self) -> Vec<String> {
        let questions = self.questions().iter();
        questions.map(one).collect()
    }

    /// All of it in one line of so many characters, which keeps how many there are.
    pub(in crate::cli) fn line_of(self, most: usize) -> String {
        if let Subject::Flood { asks } = self.item.subject() {
            return format!("too many asks ({asks}); the task is paused");
        }
        let (first, others) = match self.questions() {
            [] => return String::new(),
            [first, others @ ..] => (one(first), others.len()),
        };
        let more = match others {
            0 => String::new(),
            others => format!(" +{others} more"),
        };
        let room = most.saturating_sub(more.chars().count());
        let cut: String = match first.chars().count() > room {
            true => first
                .chars()
                .take(room.saturating_sub(1))
                .chain(['…'])
                .collect(),
            false => first,
        };
        format!("{cut}{more}")
    }

    /// In a line that fits into a list.
    pub(super) fn line(self) -> String {
        self.line_of(ACTION)
    }
}

/// An action, printable, and that it is a plan's.
fn one(question: &Question) -> String {
    let text = escaped(&line(&question.action));
    match &question.plan {
        Some(_) => format!("plan: {text}"),
        None => text,
    }
}
