// SPDX-License-Identifier: Apache-2.0
//! Variables of a makefile, and the functions that rename and pick words.

use std::collections::BTreeMap;

use super::super::word::UNKNOWN;

/// How deep variables name each other.
const DEPTH: u32 = 16;

/// Longest text that an expansion comes to.
const TEXT: usize = 16 << 10;

/// Variables that make gives a value.
const BUILT_IN: &[(&str, &str)] = &[
    ("MAKE", "make"),
    ("RM", "rm -f"),
    ("CC", "cc"),
    ("CXX", "g++"),
    ("AR", "ar"),
    ("SHELL", "/bin/sh"),
    ("CURDIR", "."),
    ("PWD", "."),
    (".CURDIR", "."),
];

/// Variables by name, as written.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    home: String,
    /// Lines of shell that making a value runs.
    pub(super) shells: Vec<String>,
    /// Bytes that may still be put in, so that doubling ends.
    left: usize,
}

impl Variables {
    /// None but those that are built in.
    pub(super) fn new(home: &str) -> Self {
        Self {
            home: home.to_owned(),
            left: 4 << 20,
            ..Self::default()
        }
    }

    /// Gives a name a value: `=`, `:=`, `?=`, `+=`, `!=`.
    pub(super) fn set(&mut self, name: &str, operator: &str, value: &str) {
        let before = self.values.get(name);
        let value = match (operator, before) {
            ("?=", Some(_)) => return,
            ("+=", Some(before)) if before.len() + value.len() < TEXT => {
                format!("{before} {value}")
            }
            ("!=", _) => {
                self.runs(value);
                UNKNOWN.to_string()
            }
            // At once, with the values of now.
            (":=" | "::=" | ":::=", _) => self.expand(value, &[]).replace('$', "$$"),
            _ => value.to_owned(),
        };
        self.values.insert(name.to_owned(), value);
    }

    /// A name's own text.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn runs(&mut self, line: &str) {
        if self.shells.len() < 16 {
            self.shells.push(line.to_owned());
        }
    }

    /// A text with its variables replaced; `own` are those of a rule, by their names.
    pub(super) fn expand(&mut self, text: &str, own: &[(&str, &str)]) -> String {
        self.at(text, own, 0)
    }

    fn at(&mut self, text: &str, own: &[(&str, &str)], depth: u32) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            if out.len() > TEXT || self.left == 0 || depth > DEPTH {
                out.push(UNKNOWN);
                return out;
            }
            self.left -= 1;
            let Some(first) = after.chars().next() else {
                return out;
            };
            let close = match first {
                '(' => Some(')'),
                '{' => Some('}'),
                _ => None,
            };
            if let Some(close) = close {
                let (inside, length) = enclosed(after, first, close);
                let value = self.reference(inside, own, depth + 1);
                self.left = self.left.saturating_sub(value.len());
                out.push_str(&value);
                rest = after.get(length..).unwrap_or_default();
                continue;
            }
            let name = after.get(..first.len_utf8()).unwrap_or_default();
            rest = after.get(name.len()..).unwrap_or_default();
            if first == '$' {
                out.push('$');
            } else {
                let value = self.named(name, own, depth + 1);
                self.left = self.left.saturating_sub(value.len());
                out.push_str(&value);
            }
        }
        out.push_str(rest);
        out
    }

    /// What stands between the parentheses.
    fn reference(&mut self, inside: &str, own: &[(&str, &str)], depth: u32) -> String {
        if let Some((function, arguments)) = inside.split_once([' ', '\t']) {
            return self.function(function, arguments, own, depth);
        }
        // `$(SOURCES:.c=.o)`
        if let Some((name, change)) = inside.split_once(':')
            && let Some((from, to)) = change.split_once('=')
        {
            let words = self.named(name, own, depth);
            let (from, to) = (percent(from), percent(to));
            return each(&words, |word| patsubst(&from, &to, word));
        }
        let name = if inside.contains('$') {
            self.at(inside, own, depth)
        } else {
            inside.to_owned()
        };
        self.named(&name, own, depth)
    }

    fn named(&mut self, name: &str, own: &[(&str, &str)], depth: u32) -> String {
        if let Some((_, value)) = own.iter().find(|(known, _)| *known == name) {
            return (*value).to_owned();
        }
        if let Some(value) = self.values.get(name).cloned() {
            return self.at(&value, own, depth);
        }
        if let Some((_, value)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return (*value).to_owned();
        }
        if let Some(value) = part_of_own(name, own) {
            return value;
        }
        match name {
            "HOME" => self.home.clone(),
            // Rules' own in forms that are not followed, and what the environment surely has.
            "@D" | "@F" | "<D" | "<F" | "^D" | "^F" | "?" | "*" | "+" | "|" | "USER"
            | "LOGNAME" | "PATH" => UNKNOWN.to_string(),
            // A name nobody gave a value is empty.
            _ => String::new(),
        }
    }

    fn function(
        &mut self,
        function: &str,
        arguments: &str,
        own: &[(&str, &str)],
        depth: u32,
    ) -> String {
        let arguments = self.at(arguments, own, depth);
        if function == "shell" {
            self.runs(&arguments);
            return UNKNOWN.to_string();
        }
        let parts: Vec<&str> = arguments.split(',').map(str::trim).collect();
        match (function, parts.as_slice()) {
            (
                "wildcard" | "strip" | "sort" | "abspath" | "realpath" | "firstword" | "lastword",
                _,
            ) => arguments.trim().to_owned(),
            ("info" | "warning" | "error" | "eval", _) => String::new(),
            ("addprefix", [prefix, words]) => each(words, |word| format!("{prefix}{word}")),
            ("addsuffix", [suffix, words]) => each(words, |word| format!("{word}{suffix}")),
            ("patsubst", [from, to, words]) => each(words, |word| patsubst(from, to, word)),
            ("subst", [from, to, words]) if !from.is_empty() && to.len() < 64 => {
                words.replace(from, to)
            }
            ("filter", [patterns, words]) => chosen(words, |word| {
                is_open(patterns) || is_open(word) || matches(patterns, word)
            }),
            // What may be others than it is written as stays: too much is judged, never too little.
            ("filter-out", [patterns, words]) => chosen(words, |word| {
                is_open(patterns) || word.contains(UNKNOWN) || !matches(patterns, word)
            }),
            ("dir", [words]) => each(words, |word| format!("{}/", folder(word))),
            ("notdir", [words]) => each(words, |word| file(word).to_owned()),
            ("basename", [words]) => each(words, |word| {
                word.rsplit_once('.')
                    .map_or(word, |(stem, _)| stem)
                    .to_owned()
            }),
            ("if" | "or" | "and", parts) => parts
                .iter()
                .skip(usize::from(function == "if"))
                .copied()
                .collect::<Vec<_>>()
                .join(" "),
            _ => UNKNOWN.to_string(),
        }
    }
}

/// Up to the parenthesis that closes, and how long that is with both.
fn enclosed(text: &str, open: char, close: char) -> (&str, usize) {
    let mut depth = 0_u32;
    for (at, letter) in text.char_indices() {
        if letter == open {
            depth = depth.saturating_add(1);
        } else if letter == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return (text.get(1..at).unwrap_or_default(), at + 1);
            }
        }
    }
    (text.get(1..).unwrap_or_default(), text.len())
}

fn percent(pattern: &str) -> String {
    if pattern.contains('%') {
        pattern.to_owned()
    } else {
        format!("%{pattern}")
    }
}

fn each(words: &str, change: impl Fn(&str) -> String) -> String {
    let words: Vec<String> = words.split_whitespace().map(change).collect();
    words.join(" ")
}

/// `$(@D)` and the like: the folder or the file of what a rule is about.
fn part_of_own(name: &str, own: &[(&str, &str)]) -> Option<String> {
    let value = |of: &str| own.iter().find(|(known, _)| *known == of);
    match (name.strip_suffix('D'), name.strip_suffix('F')) {
        (Some(of), _) => value(of).map(|(_, words)| each(words, |word| folder(word).to_owned())),
        (_, Some(of)) => value(of).map(|(_, words)| each(words, |word| file(word).to_owned())),
        _ => None,
    }
}

fn folder(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((folder, _)) => folder,
        None => ".",
    }
}

fn file(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn chosen(words: &str, keep: impl Fn(&str) -> bool) -> String {
    let words: Vec<&str> = words.split_whitespace().filter(|word| keep(word)).collect();
    words.join(" ")
}

/// Whether it stands for words that are known only when it runs.
fn is_open(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\', UNKNOWN])
}

/// Whether a word is one of those that patterns with `%` name.
fn matches(patterns: &str, word: &str) -> bool {
    let mut patterns = patterns.split_whitespace();
    patterns.any(|pattern| match pattern.split_once('%') {
        Some((before, after)) => word
            .strip_prefix(before)
            .is_some_and(|rest| rest.ends_with(after)),
        None => word == pattern,
    })
}

fn patsubst(from: &str, to: &str, word: &str) -> String {
    let (Some((before, after)), Some((first, last))) = (from.split_once('%'), to.split_once('%'))
    else {
        return if word == from {
            to.to_owned()
        } else {
            word.to_owned()
        };
    };
    let stem = word
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after));
    stem.map_or_else(|| word.to_owned(), |stem| format!("{first}{stem}{last}"))
}
