// SPDX-License-Identifier: Apache-2.0
//! One rule: its conditions, and what it says when they hold.

use super::super::super::{Harm, Kind};
use super::super::Call;
use super::line::Line;
use super::pattern::{Globs, Paths};
use super::raw::RawRule;
use super::table::{Problem, TargetKind, does, list};

/// A rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) paths: Paths,
    flags: Vec<Vec<String>>,
    absent: Vec<String>,
    operands: Globs,
    unless: Globs,
    pub(super) options: Vec<(Vec<String>, Globs)>,
    bare: bool,
    secret: bool,
    pub(super) also: bool,
    pub(super) steady: bool,
    pub(super) kind: Kind,
    pub(super) harm: Harm,
    pub(super) target: TargetKind,
    pub(super) why: String,
    pub(super) safer: Option<String>,
}

impl Rule {
    pub(super) fn new(raw: RawRule, tool: &str) -> Result<Self, Problem> {
        let name = format!("{tool}:{}", raw.id);
        let fail = |problem: String| (name.clone(), problem);
        let (kind, harm) = does(&raw.does).map_err(fail)?;
        let target = TargetKind::parse(raw.target.as_deref()).map_err(fail)?;
        let paths = Paths::parse(&raw.path);
        if raw.id.is_empty() || raw.why.is_empty() {
            return Err(fail("a rule needs `id` and `why`".to_owned()));
        }
        if raw.why.ends_with('.') {
            return Err(fail("`why` is a sentence without a full stop".to_owned()));
        }
        if paths.steps() > Paths::STEPS {
            return Err(fail(format!("a path has at most {} steps", Paths::STEPS)));
        }
        if raw.examples.is_empty() {
            return Err(fail("a rule needs at least one example".to_owned()));
        }
        let options = raw.options.iter();
        let options = options.map(|(names, globs)| (list(names), Globs::parse(globs)));
        Ok(Self {
            paths,
            flags: raw.flags.iter().map(|group| list(group)).collect(),
            absent: list(&raw.absent),
            operands: Globs::parse(&raw.operands),
            unless: Globs::parse(&raw.unless),
            options: options.collect(),
            bare: raw.bare,
            secret: raw.secret,
            also: raw.also,
            steady: raw.steady,
            kind,
            harm,
            target,
            why: raw.why,
            safer: raw.safer,
            name,
        })
    }

    /// How many of the line's words are the sub-command's, if the rule matches.
    pub(super) fn matches(&self, line: &Line, call: &Call) -> Option<usize> {
        let length = if self.harm > Harm::Low {
            self.paths.length_of_change(&line.words)?
        } else {
            self.paths.length(&line.words)?
        };
        let words = line.words.get(length..).unwrap_or_default();
        let next = line.rest.first().map(|arg| &arg.text);
        let any = |globs: &Globs| words.iter().chain(next).any(|word| globs.matches(word));
        let holds = self.flags.iter().all(|group| self.flag(line, group))
            && (!self.bare || words.is_empty())
            && (self.operands.is_empty() || any(&self.operands))
            && !any(&self.unless)
            && !line.has_exactly(&self.absent)
            && self.options.iter().all(|option| valued(line, option))
            && (!self.secret || secret(line, length, call));
        holds.then_some(length)
    }

    /// An exception must be written in full, like whatever makes a command harmless.
    fn flag(&self, line: &Line, group: &[String]) -> bool {
        if self.harm == Harm::None {
            line.has_exactly(group)
        } else {
            line.has(group)
        }
    }
}

fn valued(line: &Line, (names, globs): &(Vec<String>, Globs)) -> bool {
    let values = line.values(names);
    values.iter().any(|value| globs.matches(&value.text))
}

/// Whether an operand after the path, or an option's value, is the path of a secret.
pub(super) fn secret(line: &Line, length: usize, call: &Call) -> bool {
    let operands = line.options.operands.iter().skip(length);
    let operands = operands.map(|arg| arg.text.as_str());
    let values = line
        .options
        .options
        .iter()
        .map(|(.., value)| value.as_str());
    operands
        .chain(values)
        .map(|text| text.trim_start_matches('@'))
        .any(|text| !text.is_empty() && !text.contains("://") && call.place(text).secret)
}
