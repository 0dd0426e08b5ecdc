// SPDX-License-Identifier: Apache-2.0
//! Rows: programs whose harm follows from a sub-command or an option, as a table.
//!
//! A row holds when all words of `when` hold, apart by white space:
//!
//! | word | holds when |
//! |---|---|
//! | `destroy\|rm` | the next operand is one of these |
//! | `set~` | the next operand begins so |
//! | `-a\|--all` | one of these options is given |
//! | `+` | there is one more operand |
//! | `!-n\|--dry-run` | none of these options is given |
//!
//! The first row of a program that holds counts, so that looks stand before what they soften, and
//! a row without words is the rest.

use super::super::super::{Effect, Harm, Kind, Target};
use super::super::options::Options;
use super::super::{Call, Outcome};
use crate::list::is_any;

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Row {
    /// Programs, apart by white space.
    pub(in super::super) programs: &'static str,
    /// When it holds.
    pub(in super::super) when: &'static str,
    /// What kind of thing is done.
    pub(in super::super) kind: Kind,
    /// How bad.
    pub(in super::super) harm: Harm,
    /// Why it matters.
    pub(in super::super) why: &'static str,
}

/// A row that is worth a question.
pub(in super::super) const fn row(
    programs: &'static str,
    when: &'static str,
    kind: Kind,
    harm: Harm,
    why: &'static str,
) -> Row {
    Row {
        programs,
        when,
        kind,
        harm,
        why,
    }
}

/// A row that only looks.
pub(in super::super) const fn look(programs: &'static str, when: &'static str) -> Row {
    row(programs, when, Kind::Read, Harm::None, "looks")
}

/// Whether a table knows a program.
pub(in super::super) fn knows(table: &[Row], name: &str) -> bool {
    table.iter().any(|row| is_any(row.programs, name))
}

/// What the first row that holds says; nothing when the table does not know the program or what it
/// is told to do.
pub(in super::super) fn run(table: &[Row], call: &Call, valued: &[&str]) -> Option<Outcome> {
    if !knows(table, call.name) {
        return None;
    }
    let options = Options::scan(call.args, valued);
    let mut outcome = Outcome::default();
    if options.has_exactly(&["--help", "--version"]) || options.operand(0) == Some("help") {
        return Some(outcome);
    }
    let mut rows = table.iter().filter(|row| is_any(row.programs, call.name));
    let found = rows.find(|row| holds(row.when, &options));
    // A sub-command that no row speaks of is unknown, not safe: `lexicon` reads it.
    if found.is_none() && !options.operands.is_empty() {
        return None;
    }
    if let Some(row) = found.filter(|row| row.harm > Harm::None) {
        outcome.effects.push(effect(row, call, &options));
    }
    Some(outcome)
}

fn effect(row: &Row, call: &Call, options: &Options) -> Effect {
    let first = row.when.split_ascii_whitespace().find(|word| *word != "+");
    let first = first.and_then(|word| word.split('|').next());
    let what = first.map_or("run", |word| word.trim_matches(['-', '~', '!', '*']));
    let target = options.operands.iter().rev().find(|arg| {
        let path = arg.text.as_str();
        path.starts_with('/') || path.starts_with('~') || path.starts_with("./")
    });
    let target = match target {
        Some(arg) => call.path(&arg.text),
        None => {
            let words = options.operands.iter().take(3);
            let words: Vec<&str> = words.map(|arg| arg.text.as_str()).collect();
            Target::System(
                format!("{} {}", call.name, words.join(" "))
                    .trim()
                    .to_owned(),
            )
        }
    };
    let span = options
        .operands
        .first()
        .or(options.options.iter().find_map(|(_, arg, _)| arg.as_ref()));
    let span = span
        .map(|arg| arg.span)
        .or_else(|| call.args.first().map(|arg| arg.span));
    let rule = format!("{}:{what}", call.name);
    Effect::new(row.kind, row.harm, target, rule, row.why).at(span.unwrap_or_default())
}

fn holds(when: &str, options: &Options) -> bool {
    let mut operands = options.operands.iter().map(|arg| arg.text.as_str());
    when.split_ascii_whitespace().all(|word| {
        if word == "+" {
            return operands.next().is_some();
        }
        if let Some(names) = word.strip_prefix('!') {
            return !has(names, options);
        }
        if word.starts_with('-') {
            return has(word, options);
        }
        let operand = operands.next();
        operand.is_some_and(|operand| word.split('|').any(|known| matches(known, operand)))
    })
}

fn matches(known: &str, operand: &str) -> bool {
    match known.strip_suffix('~') {
        Some(beginning) => operand.starts_with(beginning),
        None => operand.eq_ignore_ascii_case(known),
    }
}

fn has(names: &str, options: &Options) -> bool {
    names.split('|').any(|name| match name.strip_suffix('~') {
        Some(beginning) => options
            .options
            .iter()
            .any(|(given, ..)| given.starts_with(beginning)),
        None => options.has_exactly(&[name]),
    })
}

/// Takes a command line apart; the options that take a value are a list apart by white space.
pub(in super::super) fn scan<'a>(call: &Call<'a>, valued: &str) -> Options<'a> {
    let valued: Vec<&str> = valued.split_ascii_whitespace().collect();
    Options::scan(call.args, &valued)
}

/// Whether any option of a list apart by white space is given in full.
pub(in super::super) fn exactly(options: &Options, names: &str) -> bool {
    let mut names = names.split_ascii_whitespace();
    names.any(|name| options.has_exactly(&[name]))
}
