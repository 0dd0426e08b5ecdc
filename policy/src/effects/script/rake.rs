// SPDX-License-Identifier: Apache-2.0
//! Rakefiles: tasks with what they need; what a task does is Ruby.

use std::collections::{BTreeMap, BTreeSet};

use super::super::program::Run;
use super::Build;

/// What a task runs, as code.
pub(super) fn target(build: &Build, name: &str) -> Option<Vec<Run>> {
    let mut tasks: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    let mut lines = build.text.lines();
    while let Some(line) = lines.next() {
        let Some((name, needs)) = heading(line) else {
            continue;
        };
        let mut body = String::new();
        if line.trim_end().ends_with("do") || line.contains(" do |") {
            let indent = line.len() - line.trim_start().len();
            for line in lines.by_ref() {
                if line.trim_start() == "end" && line.len() - line.trim_start().len() <= indent {
                    break;
                }
                body.push_str(line);
                body.push('\n');
            }
        } else if let Some((_, block)) = line.split_once('{') {
            body.push_str(block.trim_end().trim_end_matches('}'));
        }
        let task = tasks.entry(name).or_default();
        task.0.extend(needs);
        task.1.push_str(&body);
    }
    let name = if name.is_empty() { "default" } else { name };
    let name = name.split('[').next().unwrap_or(name);
    tasks.get(name)?;
    let mut order = Vec::new();
    let mut rest = vec![name];
    let mut seen = BTreeSet::new();
    while let Some(name) = rest.pop() {
        if let Some((needs, body)) = tasks.get(name).filter(|_| seen.insert(name)) {
            rest.extend(needs.iter().map(String::as_str));
            order.push(body);
        }
    }
    let bodies = order
        .into_iter()
        .rev()
        .filter(|body| !body.trim().is_empty());
    Some(bodies.map(|body| build.code("ruby", body)).collect())
}

/// `task :name => [:a, :b] do`, `task name: :a do`, `file 'x' => 'y' do`
fn heading(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    let kinds = ["task ", "task(", "file ", "multitask ", "directory "];
    let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
    let names = rest.split(|letter: char| !(letter.is_alphanumeric() || "_-./".contains(letter)));
    let mut names = names.filter(|name| !name.is_empty());
    let name = names.next()?.to_owned();
    let needs = names.take_while(|name| *name != "do").map(str::to_owned);
    Some((name, needs.collect()))
}
