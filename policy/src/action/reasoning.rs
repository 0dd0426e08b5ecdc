// SPDX-License-Identifier: Apache-2.0
//! What a plan's goal and reasoning announce: code, commands, hosts, paths and packages in their
//! text; and how that compares with what the plan's steps do.
//!
//! The text is the agent's own and proves nothing. It can only add findings: what it announces and
//! no step does, what a step does and it never mentions, and what it claims without need.

mod compare;
mod markdown;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use compare::compare;

use super::{Plan, TEXT};
use crate::effects::Span;

/// Most commands, hosts, paths or packages that are kept of a text.
const KEPT: usize = 512;

/// A piece of code that the text shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// `sh`, `python`, `node`, … as [`crate::effects::program::Run`] names them.
    pub language: &'static str,
    /// The code, without prompts.
    pub text: String,
    /// Where it stands in [`text`].
    pub span: Span,
    /// The text says that it is not to be run: `never run …`.
    pub denied: bool,
}

/// What a text announces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Commands and code, in order.
    pub commands: Vec<Code>,
    /// Hosts, without scheme, port and path, in small letters.
    pub hosts: BTreeSet<String>,
    /// Paths and names of files.
    pub paths: BTreeSet<String>,
    /// Packages that are to be installed.
    pub packages: BTreeSet<String>,
    /// All words, in small letters, but for those in clauses that deny something.
    pub words: BTreeSet<String>,
    /// Words of clauses that deny something: `will not push`.
    pub denied: BTreeSet<String>,
    /// Wildcards and claims to everything, with their places.
    pub broad: Vec<(String, Span)>,
    /// There is no text at all.
    pub silent: bool,
    /// There is more text than is read.
    pub cut: bool,
}

/// The text that spans count in: the goal, a line end, the reasoning.
#[must_use]
pub fn text(plan: &Plan) -> String {
    format!("{}\n{}", plan.goal, plan.reasoning)
}

/// Reads what a plan announces.
#[must_use]
pub fn read(plan: &Plan) -> Announced {
    let whole = text(plan);
    let end = whole.floor_char_boundary(TEXT);
    let seen = whole.get(..end).unwrap_or_default();
    let mut announced = Announced {
        silent: seen.trim().is_empty(),
        cut: end < whole.len(),
        ..Announced::default()
    };
    for part in markdown::parts(seen) {
        match part {
            markdown::Part::Fence { tag, body, at } => announced.fence(tag, body, at),
            markdown::Part::Clause { text, at } => announced.clause(text, at),
        }
    }
    announced
}

impl Announced {
    /// A block of code. What it names is announced as much as what it does.
    fn fence(&mut self, tag: &str, body: &str, at: usize) {
        let Some(language) = markdown::language(tag, body) else {
            self.mentions(body, at, false);
            return;
        };
        let text = if language == "sh" {
            markdown::without_prompts(body)
        } else {
            body.to_owned()
        };
        self.command(Code {
            language,
            text,
            span: span(at, body.len()),
            denied: false,
        });
        self.mentions(body, at, false);
    }

    /// A clause of a sentence, with code in it perhaps.
    fn clause(&mut self, text: &str, at: usize) {
        let denied = words::denies(text);
        for (code, offset) in markdown::inline(text) {
            if words::is_command(code) {
                self.command(Code {
                    language: "sh",
                    text: code.trim_start_matches("$ ").to_owned(),
                    span: span(at + offset, code.len()),
                    denied,
                });
            }
        }
        self.mentions(text, at, denied);
        if !denied {
            self.packages.extend(words::packages(text).take(KEPT));
            if let Some(claim) = words::claim(text) {
                self.broaden(claim, span(at, text.len()));
            }
        }
    }

    fn command(&mut self, code: Code) {
        if self.commands.len() < KEPT && !code.text.trim().is_empty() {
            self.commands.push(code);
        }
    }

    fn broaden(&mut self, what: &str, span: Span) {
        if self.broad.len() < KEPT {
            self.broad.push((what.to_owned(), span));
        }
    }

    /// Hosts, paths and words of a text.
    fn mentions(&mut self, text: &str, at: usize, denied: bool) {
        for (word, offset) in words::split(text) {
            if words::is_broad(word) && !denied {
                self.broaden(word, span(at + offset, word.len()));
            }
            let lower = word.to_lowercase();
            let kept = if denied {
                &mut self.denied
            } else {
                &mut self.words
            };
            if kept.len() < KEPT * 32 {
                kept.extend(words::pieces(&lower).map(str::to_owned));
            }
            if denied {
                continue;
            }
            if let Some(host) = words::host(&lower) {
                insert(&mut self.hosts, host);
            } else if words::is_path(word) {
                insert(&mut self.paths, word);
            }
        }
    }
}

fn insert(set: &mut BTreeSet<String>, word: &str) {
    if set.len() < KEPT {
        set.insert(word.to_owned());
    }
}

/// A span of some bytes from a place in the text, which is far shorter than a span may be.
fn span(at: usize, length: usize) -> Span {
    let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span {
        start: narrow(at),
        end: narrow(at.saturating_add(length)),
    }
}
