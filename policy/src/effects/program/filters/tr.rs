// SPDX-License-Identifier: Apache-2.0
//! `tr`: sets of characters to others, deleted or squeezed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::options::Options;
use super::super::{Call, Outcome};
use super::echo::{control, digits};
use super::filter;

/// Most characters a set may have. Real ones are bytes.
const SET: usize = 1 << 12;

/// Translates standard input.
pub(super) fn run(call: &Call) -> Outcome {
    let options = Options::scan(call.args, &[]);
    let all = options.has(&["-c", "-C", "--complement"]);
    let delete = options.has(&["-d", "--delete"]);
    let squeeze = options.has(&["-s", "--squeeze-repeats"]);
    let set = |index| options.operand(index).and_then(set);
    let first = set(0);
    let second = set(1);
    let mut out = filter(call, &[], |text| {
        let first = first.as_deref()?;
        let mut changed = if delete {
            let among: BTreeSet<char> = first.iter().copied().collect();
            text.chars()
                .filter(|letter| among.contains(letter) == all)
                .collect()
        } else if options.operand(1).is_some() {
            translate(text, first, second.as_deref()?, all)?
        } else {
            text.to_owned()
        };
        if squeeze {
            let last: BTreeSet<char> = second.as_deref().unwrap_or(first).iter().copied().collect();
            let all = all && second.is_none();
            changed = squeezed(&changed, |letter| last.contains(&letter) != all);
        }
        Some(changed)
    });
    // Letters that become other letters (`tr a-z n-za-m`) hide what is written; a change of case
    // does not.
    let hides = match (&first, &second) {
        (Some(first), Some(second)) if !delete => first.iter().zip(second).any(|(from, to)| {
            from.is_alphabetic() && to.is_alphabetic() && !from.eq_ignore_ascii_case(to)
        }),
        _ => false,
    };
    out.stdout.taint.decoded |= hides;
    out
}

fn translate(text: &str, first: &[char], second: &[char], all: bool) -> Option<String> {
    let last = *second.last()?;
    // The last one that names a character wins.
    let pairs = first.iter().enumerate();
    let pairs = pairs.map(|(at, from)| (*from, second.get(at).copied().unwrap_or(last)));
    let pairs: BTreeMap<char, char> = pairs.collect();
    let change = |letter: char| match (pairs.get(&letter), all) {
        (None, true) => last,
        (Some(to), false) => *to,
        _ => letter,
    };
    Some(text.chars().map(change).collect())
}

fn squeezed(text: &str, among: impl Fn(char) -> bool) -> String {
    let mut before = None;
    let kept = text.chars().filter(|letter| {
        let again = before == Some(*letter) && among(*letter);
        before = Some(*letter);
        !again
    });
    kept.collect()
}

/// The characters of a set: `a-z`, `[:alpha:]`, `\n`, `\101`, `[x*3]`.
fn set(text: &str) -> Option<Vec<char>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if found.len() > SET {
            return None;
        }
        if let Some((letters, after)) = class(rest) {
            found.extend(letters);
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("[=") {
            found.extend(after.chars().next());
            rest = after.split_once("=]").map_or("", |(_, after)| after);
            continue;
        }
        let (from, after) = one(first, rest);
        let end = after.strip_prefix('-').and_then(|after| {
            let first = after.chars().next()?;
            Some(one(first, after))
        });
        match end {
            Some((to, after)) => {
                found.extend((from..=to).take(SET));
                rest = after;
            }
            None => {
                found.push(from);
                rest = after;
            }
        }
    }
    Some(found)
}

/// One character, escapes undone, and what is left.
fn one(first: char, text: &str) -> (char, &str) {
    let after = text.get(first.len_utf8()..).unwrap_or_default();
    let Some(kind) = after.chars().next().filter(|_| first == '\\') else {
        return (first, after);
    };
    let mut chars = after.chars();
    if let Some(code) = digits(&mut chars, 8, 3) {
        let letter = u8::try_from(code).map_or(first, char::from);
        return (letter, chars.as_str());
    }
    let rest = after.get(kind.len_utf8()..).unwrap_or_default();
    (control(kind).map_or(kind, char::from), rest)
}

fn class(text: &str) -> Option<(Vec<char>, &str)> {
    let (name, after) = text.strip_prefix("[:")?.split_once(":]")?;
    let among: fn(&char) -> bool = match name {
        "alpha" => char::is_ascii_alphabetic,
        "digit" => char::is_ascii_digit,
        "alnum" => char::is_ascii_alphanumeric,
        "upper" => char::is_ascii_uppercase,
        "lower" => char::is_ascii_lowercase,
        "space" => |letter| letter.is_ascii_whitespace() || *letter == '\u{b}',
        "blank" => |letter| matches!(letter, ' ' | '\t'),
        "punct" => char::is_ascii_punctuation,
        "cntrl" => char::is_ascii_control,
        "xdigit" => char::is_ascii_hexdigit,
        "graph" => char::is_ascii_graphic,
        "print" => |letter| letter.is_ascii_graphic() || *letter == ' ',
        _ => return None,
    };
    let letters = (0..=127u8).map(char::from);
    Some((letters.filter(among).collect(), after))
}
