// SPDX-License-Identifier: Apache-2.0
//! Justfiles: recipes with what they depend on, variables, scripts in any language.

use std::collections::{BTreeMap, BTreeSet};

use super::super::program::Run;
use super::super::word::UNKNOWN;
use super::{Build, RUNS, language};

/// How deep recipes depend on each other.
const DEPTH: u32 = 32;

#[derive(Debug, Default)]
struct Recipe<'a> {
    needs: Vec<&'a str>,
    /// Parameters that have a value when none is given.
    defaults: Vec<(&'a str, String)>,
    body: Vec<&'a str>,
}

#[derive(Debug, Default)]
struct Justfile<'a> {
    recipes: BTreeMap<&'a str, Recipe<'a>>,
    aliases: BTreeMap<&'a str, &'a str>,
    variables: BTreeMap<&'a str, String>,
    first: Option<&'a str>,
    /// Lines between back quotes that give variables their values.
    shells: Vec<&'a str>,
}

/// What a recipe runs.
pub(super) fn target(build: &Build, name: &str) -> Option<Vec<Run>> {
    let file = read(build.text);
    let name = if name.is_empty() { file.first? } else { name };
    let mut runs: Vec<Run> = Vec::new();
    let mut done = BTreeSet::new();
    if !file.make(name, build, (&mut runs, &mut done), 0) {
        return None;
    }
    let shells = file.shells.iter().map(|line| build.shell(line));
    Some(shells.chain(runs).collect())
}

fn read(text: &str) -> Justfile<'_> {
    let mut file = Justfile::default();
    let mut current: Option<&str> = None;
    for line in text.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some(recipe) = current.and_then(|name| file.recipes.get_mut(name)) {
                recipe.body.push(line);
            }
            continue;
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '[']) {
            continue;
        }
        if let Some((name, value)) = line.split_once(":=") {
            file.variable(name.trim(), value.trim());
            continue;
        }
        let Some((head, needs)) = heading(line) else {
            continue;
        };
        let mut words = head.trim_start_matches('@').split_whitespace();
        let Some(name) = words.next() else { continue };
        let needs =
            needs.split(|letter: char| letter.is_whitespace() || "()&,\"'".contains(letter));
        let recipe = Recipe {
            needs: needs.filter(|need| !need.is_empty()).collect(),
            defaults: words
                .filter_map(|word| word.split_once('='))
                .map(|(name, value)| (name.trim_start_matches(['+', '*', '$']), unquoted(value)))
                .collect(),
            body: Vec::new(),
        };
        file.first = file.first.or(Some(name));
        file.recipes.insert(name, recipe);
        current = Some(name);
    }
    file
}

/// A recipe's head, apart at the colon that is in no quotes.
fn heading(line: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if letter == open => quote = None,
            (None, ':') => return Some((line.get(..at)?, line.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

/// The text of a constant.
fn unquoted(value: &str) -> String {
    let inner = ["'''", "\"\"\"", "'", "\""]
        .iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    inner.map_or_else(|| UNKNOWN.to_string(), str::to_owned)
}

impl<'a> Justfile<'a> {
    fn variable(&mut self, name: &'a str, value: &'a str) {
        if let Some(alias) = name.strip_prefix("alias ") {
            self.aliases.insert(alias.trim(), value);
            return;
        }
        if name.starts_with("set ") {
            return;
        }
        let name = name.trim_start_matches("export ").trim();
        if let Some(line) = value
            .strip_prefix('`')
            .and_then(|value| value.strip_suffix('`'))
        {
            self.shells.push(line);
        }
        self.variables.insert(name, unquoted(value));
    }

    fn make(
        &self,
        name: &str,
        build: &Build,
        (runs, done): (&mut Vec<Run>, &mut BTreeSet<String>),
        depth: u32,
    ) -> bool {
        let name = self.aliases.get(name).copied().unwrap_or(name);
        let Some(recipe) = self.recipes.get(name) else {
            return false;
        };
        if depth > DEPTH || runs.len() >= RUNS || !done.insert(name.to_owned()) {
            return true;
        }
        for need in &recipe.needs {
            self.make(need, build, (&mut *runs, &mut *done), depth + 1);
        }
        let lines: Vec<String> = recipe
            .body
            .iter()
            .map(|line| self.filled(line, recipe))
            .collect();
        let first = lines
            .iter()
            .map(|line| line.trim())
            .find(|line| !line.is_empty());
        if let Some(first) = first.filter(|first| first.starts_with("#!")) {
            let script: Vec<&str> = lines.iter().map(|line| line.trim_start()).collect();
            let whole = lines.join("\n");
            runs.push(match language("", first) {
                "sh" | "" => build.shell(&script.join("\n")),
                language => build.code(language, &dedented(&whole)),
            });
            return true;
        }
        for line in joined(&lines) {
            let line = line.trim().trim_start_matches(['@', '-']);
            if !line.is_empty() && !line.starts_with('#') {
                runs.push(build.shell(line));
            }
        }
        true
    }

    /// A line with what stands between `{{` and `}}` put in.
    fn filled(&self, line: &str, recipe: &Recipe) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(before);
            let (inside, after) = after.split_once("}}").unwrap_or((after, ""));
            let name = inside.trim();
            let own = recipe.defaults.iter().find(|(known, _)| *known == name);
            let value = own
                .map(|(_, value)| value)
                .or_else(|| self.variables.get(name));
            match value {
                Some(value) => out.push_str(value),
                None => out.push(UNKNOWN),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// Lines that end in a backslash go on.
fn joined(lines: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut open = false;
    for line in lines {
        let goes_on = line.ends_with('\\');
        let line = line.trim_end_matches('\\');
        match out.last_mut().filter(|_| open) {
            Some(last) => last.push_str(line.trim_start()),
            None => out.push(line.to_owned()),
        }
        open = goes_on;
    }
    out
}

/// Without the white space that all lines begin with.
fn dedented(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let indent = lines
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.get(indent..).unwrap_or_default())
        .collect();
    lines.join("\n")
}
