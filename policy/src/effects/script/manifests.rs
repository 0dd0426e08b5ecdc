// SPDX-License-Identifier: Apache-2.0
//! Scripts in manifests: `package.json`, `composer.json`, `deno.json`, `pyproject.toml`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::program::Run;
use super::{Build, RUNS};

/// What an installation runs of a package's own scripts.
const INSTALL: &str = "preinstall install postinstall preprepare prepare postprepare";

/// What composer runs around an installation.
const COMPOSER_INSTALL: &str = "pre-install-cmd post-install-cmd pre-update-cmd post-update-cmd \
    pre-autoload-dump post-autoload-dump";

/// How deep scripts name each other.
const DEPTH: u32 = 16;

fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text.trim_start_matches('\u{FEFF}')).ok()
}

/// `npm run NAME` and its kin, with what runs before and after.
pub(super) fn package(build: &Build, name: &str) -> Option<Vec<Run>> {
    let manifest = json(build.text)?;
    let scripts = manifest.get("scripts")?.as_object()?;
    let script = |name: &str| scripts.get(name).and_then(Value::as_str);
    let names: Vec<String> = match name {
        "" => return None,
        "install" | "ci" | "i" | "add" => INSTALL
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect(),
        "t" | "tst" => ["pretest", "test", "posttest"].map(str::to_owned).to_vec(),
        // Without a script of its own, a restart is a stop and a start.
        "restart" if script("restart").is_none() => [
            "prestop",
            "stop",
            "poststop",
            "prestart",
            "start",
            "poststart",
        ]
        .map(str::to_owned)
        .to_vec(),
        name => vec![format!("pre{name}"), name.to_owned(), format!("post{name}")],
    };
    let lines: Vec<&str> = names.iter().filter_map(|name| script(name)).collect();
    let own = names.iter().any(|known| known == name);
    if lines.is_empty() || (own && !INSTALL.contains(name) && script(name).is_none()) {
        return None;
    }
    Some(lines.into_iter().map(|line| build.shell(line)).collect())
}

/// `composer run NAME`; `@name` is another script, `Class::method` code that is loaded.
pub(super) fn composer(build: &Build, name: &str) -> Option<Vec<Run>> {
    let manifest = json(build.text)?;
    let scripts = manifest.get("scripts")?.as_object()?;
    let names: Vec<&str> = match name {
        "" | "install" | "update" => COMPOSER_INSTALL.split_ascii_whitespace().collect(),
        name => vec![name],
    };
    let mut found = None;
    let mut seen = BTreeSet::new();
    let mut rest: Vec<String> = names.iter().rev().map(|name| format!("@{name}")).collect();
    while let Some(line) = rest.pop() {
        let other = line
            .strip_prefix('@')
            .and_then(|name| Some((name, scripts.get(name)?)));
        let runs: &mut Vec<Run> = found.get_or_insert_with(Vec::new);
        match other {
            Some((name, script)) => {
                if seen.insert(name.to_owned()) {
                    rest.extend(texts(script).into_iter().rev());
                }
            }
            None if line.contains("::") && !line.contains(' ') => {}
            None => {
                let line = line
                    .strip_prefix("@putenv ")
                    .map_or(line.clone(), |pair| format!("export {pair}"));
                // A name of the first kind that has no script.
                let missing = line
                    .strip_prefix('@')
                    .is_some_and(|name| names.contains(&name));
                if !missing && runs.len() < RUNS {
                    runs.push(build.shell(line.trim_start_matches('@')));
                }
            }
        }
    }
    let runs = found?;
    let known = names.iter().any(|name| scripts.contains_key(*name));
    known.then_some(runs)
}

/// A text, or all texts of a list.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => parts
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// `deno task NAME`
pub(super) fn deno(build: &Build, name: &str) -> Option<Vec<Run>> {
    let manifest = json(&without_comments(build.text))?;
    let tasks = manifest.get("tasks")?.as_object()?;
    tasks.get(name)?;
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    let mut rest = vec![name.to_owned()];
    while let Some(name) = rest.pop() {
        let task = tasks.get(&name).filter(|_| seen.insert(name.clone()));
        match task {
            Some(Value::String(line)) => lines.push(line.clone()),
            Some(Value::Object(task)) => {
                lines.extend(
                    task.get("command")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                rest.extend(task.get("dependencies").map_or_else(Vec::new, texts));
            }
            _ => {}
        }
    }
    // What a task depends on runs first.
    lines.reverse();
    Some(lines.iter().map(|line| build.shell(line)).collect())
}

/// JSON without what JSONC allows: comments and commas before the end.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut letters = text.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        match (quoted, letter, letters.peek()) {
            (true, '\\', Some(_)) => {
                out.push(letter);
                out.extend(letters.next());
                continue;
            }
            (_, '"', _) => quoted = !quoted,
            (false, '/', Some('/')) => {
                while letters.next_if(|letter| *letter != '\n').is_some() {}
                continue;
            }
            (false, '/', Some('*')) => {
                let mut before = ' ';
                for letter in letters.by_ref() {
                    if before == '*' && letter == '/' {
                        break;
                    }
                    before = letter;
                }
                continue;
            }
            (false, '}' | ']', _) => {
                let kept = out.trim_end().trim_end_matches(',').len();
                out.truncate(kept);
            }
            _ => {}
        }
        out.push(letter);
    }
    out
}

/// Scripts of Python's tools, by where each keeps them.
pub(super) fn toml(build: &Build, tool: &str, name: &str) -> Option<Vec<Run>> {
    let manifest: toml::Table = build.text.parse().ok()?;
    let path = match (tool, build.file) {
        ("poe", "pyproject.toml") => "tool.poe.tasks",
        ("poe", _) => "tasks",
        ("pdm", _) => "tool.pdm.scripts",
        ("rye", _) => "tool.rye.scripts",
        ("task", _) => "tool.taskipy.tasks",
        ("pipenv", _) => "scripts",
        ("hatch", "pyproject.toml") => "tool.hatch.envs.default.scripts",
        ("hatch", _) => "envs.default.scripts",
        _ => return None,
    };
    let (path, name) = match name.split_once(':') {
        // `hatch run ENV:NAME`
        Some((env, name)) if tool == "hatch" => (path.replace("default", env), name),
        _ => (path.to_owned(), name),
    };
    let mut table = &manifest;
    for part in path.split('.') {
        table = table.get(part)?.as_table()?;
    }
    table.get(name)?;
    let mut runs = Vec::new();
    let tasks = Tasks { build, table };
    for around in ["pre", "", "post"] {
        for between in ["_", ""] {
            let name = if around.is_empty() {
                name.to_owned()
            } else {
                format!("{around}{between}{name}")
            };
            if !around.is_empty() || between.is_empty() {
                tasks.named(&name, &mut runs, 0);
            }
        }
    }
    Some(runs)
}

/// Tasks that name each other.
struct Tasks<'a> {
    build: &'a Build<'a>,
    table: &'a toml::Table,
}

impl Tasks<'_> {
    fn named(&self, name: &str, runs: &mut Vec<Run>, depth: u32) {
        if let Some(task) = self.table.get(name) {
            self.task(task, runs, depth);
        }
    }

    fn task(&self, task: &toml::Value, runs: &mut Vec<Run>, depth: u32) {
        if depth > DEPTH || runs.len() >= RUNS {
            return;
        }
        match task {
            toml::Value::String(line) => runs.push(self.build.shell(line)),
            // A list is of names, or of lines when no task has such a name.
            toml::Value::Array(parts) => {
                for part in parts {
                    match part.as_str().filter(|name| self.table.contains_key(*name)) {
                        Some(name) => self.named(name, runs, depth + 1),
                        None => self.task(part, runs, depth + 1),
                    }
                }
            }
            toml::Value::Table(task) => self.parts(task, runs, depth),
            _ => {}
        }
    }

    fn parts(&self, task: &toml::Table, runs: &mut Vec<Run>, depth: u32) {
        for key in ["deps", "uses", "depends"] {
            if let Some(toml::Value::Array(names)) = task.get(key) {
                for name in names.iter().filter_map(toml::Value::as_str) {
                    self.named(name, runs, depth + 1);
                }
            }
        }
        for key in ["cmd", "shell", "sequence", "composite", "chain", "parallel"] {
            match task.get(key) {
                // A command as a list of words.
                Some(toml::Value::Array(words)) if key == "cmd" => {
                    let words: Vec<&str> = words.iter().filter_map(toml::Value::as_str).collect();
                    runs.push(self.build.shell(&words.join(" ")));
                }
                Some(part) => self.task(part, runs, depth + 1),
                None => {}
            }
        }
        if let Some(code) = task.get("expr").and_then(toml::Value::as_str) {
            runs.push(self.build.code("python", code));
        }
        if let Some(name) = task.get("ref").and_then(toml::Value::as_str) {
            let name = name.split(' ').next().unwrap_or_default();
            self.named(name, runs, depth + 1);
        }
    }
}
