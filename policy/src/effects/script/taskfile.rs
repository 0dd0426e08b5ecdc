// SPDX-License-Identifier: Apache-2.0
//! Taskfiles, read line by line: as much of YAML as they are commonly written in.

use std::collections::{BTreeMap, BTreeSet};

use super::super::program::Run;
use super::super::word::UNKNOWN;
use super::{Build, RUNS};

/// How deep tasks call each other.
const DEPTH: u32 = 32;

/// What a task does, in order.
#[derive(Debug)]
enum Step {
    Line(String),
    Task(String),
}

#[derive(Debug, Default)]
struct Taskfile {
    tasks: BTreeMap<String, Vec<Step>>,
    variables: BTreeMap<String, String>,
}

/// What a task runs.
pub(super) fn target(build: &Build, name: &str) -> Option<Vec<Run>> {
    let file = read(build.text);
    let name = if name.is_empty() { "default" } else { name };
    let mut lines = Vec::new();
    let mut done = BTreeSet::new();
    file.make(name, (&mut lines, &mut done), 0)
        .then(|| lines.iter().map(|line| build.shell(line)).collect())
}

impl Taskfile {
    fn make(
        &self,
        name: &str,
        (lines, done): (&mut Vec<String>, &mut BTreeSet<String>),
        depth: u32,
    ) -> bool {
        let Some(steps) = self.tasks.get(name) else {
            return false;
        };
        if depth > DEPTH || lines.len() >= RUNS || !done.insert(name.to_owned()) {
            return true;
        }
        for step in steps {
            match step {
                Step::Line(line) => lines.push(self.filled(line)),
                Step::Task(name) => drop(self.make(name, (&mut *lines, &mut *done), depth + 1)),
            }
        }
        true
    }

    /// `{{.NAME}}` put in where the file has a constant for it.
    fn filled(&self, line: &str) -> String {
        let mut out = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(before);
            let (inside, after) = after.split_once("}}").unwrap_or((after, ""));
            let name = inside.trim().trim_start_matches('.');
            match self.variables.get(name) {
                Some(value) => out.push_str(value),
                None => out.push(UNKNOWN),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// Where in the file a line stands: the keys above it, each with its indent.
#[derive(Debug, Default)]
struct Reader {
    file: Taskfile,
    path: Vec<(usize, String)>,
    /// A text of several lines: the indent it must exceed, and what there is of it.
    block: Option<(usize, String)>,
}

fn read(text: &str) -> Taskfile {
    let mut reader = Reader::default();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let content = line.trim();
        if let Some((above, mut block)) = reader.block.take() {
            if content.is_empty() || indent > above {
                block.push_str(content);
                block.push('\n');
                reader.block = Some((above, block));
                continue;
            }
            reader.step(block.trim_end());
        }
        if !content.is_empty() && !content.starts_with('#') {
            reader.line(indent, content);
        }
    }
    if let Some((_, block)) = reader.block.take() {
        reader.step(block.trim_end());
    }
    reader.file
}

impl Reader {
    fn line(&mut self, indent: usize, content: &str) {
        while self.path.last().is_some_and(|(above, _)| {
            *above >= indent && !(content.starts_with('-') && *above == indent)
        }) {
            self.path.pop();
        }
        let mut content = content;
        let mut at = indent;
        while let Some(item) = content.strip_prefix("- ") {
            content = item.trim_start();
            at += 2;
        }
        match key(content) {
            Some((name, value)) => {
                while self.path.last().is_some_and(|(above, _)| *above >= at) {
                    self.path.pop();
                }
                self.path.push((at, name.to_owned()));
                self.value(at, value);
            }
            None => self.value(at.saturating_sub(2), content),
        }
    }

    /// The value of the last key, or an item of its list.
    fn value(&mut self, indent: usize, value: &str) {
        if value.starts_with(['|', '>']) {
            self.block = Some((indent, String::new()));
            return;
        }
        let inner = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        let value = inner.unwrap_or(value);
        if let Some(list) = value
            .strip_prefix('[')
            .and_then(|list| list.strip_suffix(']'))
        {
            for item in list.split(',') {
                self.step(item.trim().trim_matches(['"', '\'']));
            }
        } else {
            self.step(value);
        }
    }

    /// What a value is by the keys above it.
    fn step(&mut self, value: &str) {
        let keys: Vec<&str> = self.path.iter().map(|(_, key)| key.as_str()).collect();
        match keys.as_slice() {
            ["vars", name] => {
                self.file
                    .variables
                    .insert((*name).to_owned(), value.to_owned());
            }
            ["tasks", task, rest @ ..] => {
                let task = (*task).to_owned();
                let step = step(rest, value);
                let steps = self.file.tasks.entry(task).or_default();
                steps.extend(step.filter(|_| !value.is_empty()));
            }
            _ => {}
        }
    }
}

fn step(keys: &[&str], value: &str) -> Option<Step> {
    match keys {
        ["deps", ..] | ["cmds", .., "task"] | ["task"] => Some(Step::Task(value.to_owned())),
        [] | ["cmds" | "cmd"] | ["cmds", "cmd" | "defer"] | ["vars" | "env", _, "sh"] => {
            Some(Step::Line(value.to_owned()))
        }
        _ => None,
    }
}

/// `name: value`, but not `echo a: b` or an address.
fn key(content: &str) -> Option<(&str, &str)> {
    let (name, value) = content.split_once(':')?;
    let name = name.trim_matches(['"', '\'']);
    let plain = !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_alphanumeric() || "_-.*".contains(letter));
    // Names of tasks may have colons of their own: `build:all:`.
    if let Some(whole) = content
        .strip_suffix(':')
        .filter(|whole| !whole.contains([' ', '"']))
    {
        return Some((whole, ""));
    }
    (plain && (value.is_empty() || value.starts_with(' '))).then_some((name, value.trim()))
}
