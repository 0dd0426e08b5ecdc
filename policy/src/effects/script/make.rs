// SPDX-License-Identifier: Apache-2.0
//! Makefiles: rules with what they need, variables, recipes. Both sides of a condition count.

use std::collections::BTreeSet;

use super::super::program::Run;
use super::super::word::UNKNOWN;
use super::variables::Variables;
use super::{Build, RUNS};

/// Most files that include each other.
const INCLUDES: usize = 16;

/// How deep rules need each other.
const DEPTH: u32 = 32;

/// A rule.
#[derive(Clone, Debug, Default)]
struct Rule {
    targets: Vec<String>,
    needs: Vec<String>,
    recipe: Vec<String>,
}

/// A makefile with all that it includes.
#[derive(Debug)]
struct Makefile {
    rules: Vec<Rule>,
    variables: Variables,
    includes: usize,
    one_shell: bool,
}

/// What making a target runs.
pub(super) fn target(build: &Build, name: &str) -> Option<Vec<Run>> {
    let mut file = Makefile {
        rules: Vec::new(),
        variables: Variables::new(&build.call.setting.home),
        includes: 0,
        one_shell: false,
    };
    file.read(build.text, build);
    let mut lines = Vec::new();
    let mut names: Vec<String> = name.split_whitespace().map(str::to_owned).collect();
    if names.is_empty() {
        names.push(file.default()?);
    }
    let mut done = BTreeSet::new();
    let mut found = false;
    for name in &names {
        found |= file.make(name, &mut lines, &mut done, 0);
    }
    if !found {
        return None;
    }
    // What `$(shell …)` runs, it runs while the file is read.
    let mut all = std::mem::take(&mut file.variables.shells);
    all.append(&mut lines);
    Some(all.iter().map(|line| build.shell(line)).collect())
}

impl Makefile {
    fn read(&mut self, text: &str, build: &Build) {
        let mut current: Option<usize> = None;
        let mut defining: Option<(String, String)> = None;
        for line in logical(text) {
            if let Some((name, value)) = defining.take() {
                if line.trim() == "endef" {
                    self.variables.set(&name, "=", &value);
                } else {
                    defining = Some((name, format!("{value}\n{line}")));
                }
                continue;
            }
            if let Some(recipe) = line.strip_prefix('\t') {
                if let Some(rule) = current.and_then(|at| self.rules.get_mut(at)) {
                    rule.recipe.push(recipe.to_owned());
                }
                continue;
            }
            let line = uncommented(&line);
            let line = line.trim();
            if line.is_empty() || condition(line) {
                continue;
            }
            if let Some(name) = line.strip_prefix("define ") {
                let name = name.trim_end_matches('=').trim().to_owned();
                defining = Some((name, String::new()));
                continue;
            }
            if self.include(line, build) || self.variable(line) {
                current = None;
                continue;
            }
            current = self.rule(line);
        }
    }

    fn include(&mut self, line: &str, build: &Build) -> bool {
        let words = ["include ", "-include ", "sinclude "];
        let Some(files) = words.iter().find_map(|word| line.strip_prefix(word)) else {
            return false;
        };
        let files = self.variables.expand(files, &[]);
        for file in files.split_whitespace() {
            if self.includes < INCLUDES {
                self.includes += 1;
                if let Some(text) = build.beside(file) {
                    self.read(&text, build);
                }
            }
        }
        true
    }

    fn variable(&mut self, line: &str) -> bool {
        let line = line
            .trim_start_matches("export ")
            .trim_start_matches("override ")
            .trim();
        let Some(at) = line.find('=') else {
            return line.starts_with("export")
                || line.starts_with("unexport")
                || line.starts_with("vpath");
        };
        let (left, value) = (
            line.get(..at).unwrap_or_default(),
            line.get(at + 1..).unwrap_or_default(),
        );
        let name = left.trim_end_matches([':', '?', '+', '!']);
        let operator = format!("{}=", left.get(name.len()..).unwrap_or_default());
        let name = name.trim();
        // `target: NAME = value` and a recipe after `;` are rules.
        if name.is_empty() || name.contains([':', ' ', '\t', ';']) {
            return false;
        }
        if name == ".DEFAULT_GOAL" {
            let goal = self.variables.expand(value.trim(), &[]);
            self.variables.set(name, "=", &goal);
        } else {
            self.variables.set(name, &operator, value.trim());
        }
        true
    }

    fn rule(&mut self, line: &str) -> Option<usize> {
        let (head, recipe) = match line.split_once(';') {
            Some((head, recipe)) => (head, Some(recipe)),
            None => (line, None),
        };
        let (targets, needs) = head.split_once(':')?;
        let needs = needs.trim_start_matches([':', '&']);
        if needs.contains('=') {
            // A variable of this target alone: better for all than for none.
            self.variable(needs.trim());
            return None;
        }
        let targets = self.variables.expand(targets.trim_end_matches('&'), &[]);
        let needs = self.variables.expand(&needs.replace('|', " "), &[]);
        if targets.trim() == ".ONESHELL" {
            self.one_shell = true;
        }
        self.rules.push(Rule {
            targets: targets.split_whitespace().map(str::to_owned).collect(),
            needs: needs.split_whitespace().map(str::to_owned).collect(),
            recipe: recipe
                .map(|line| line.trim().to_owned())
                .into_iter()
                .collect(),
        });
        Some(self.rules.len() - 1)
    }

    /// The goal when none is named: the first that is no special one.
    fn default(&self) -> Option<String> {
        if let Some(goal) = self.variables.get(".DEFAULT_GOAL") {
            return Some(goal.to_owned());
        }
        let mut targets = self.rules.iter().flat_map(|rule| &rule.targets);
        let first = targets.find(|target| {
            (!target.starts_with('.') || target.contains('/')) && !target.contains('%')
        });
        first.cloned()
    }

    /// Adds the lines that make a target, those of what it needs first.
    fn make(
        &mut self,
        name: &str,
        lines: &mut Vec<String>,
        done: &mut BTreeSet<String>,
        depth: u32,
    ) -> bool {
        let rules = self.rules_for(name);
        if rules.is_empty() {
            return false;
        }
        if depth > DEPTH || lines.len() > RUNS || !done.insert(name.to_owned()) {
            return true;
        }
        for (rule, stem) in &rules {
            for need in &rule.needs {
                self.make(&need.replace('%', stem), lines, done, depth + 1);
            }
        }
        for (rule, stem) in &rules {
            let needs: Vec<String> = rule
                .needs
                .iter()
                .map(|need| need.replace('%', stem))
                .collect();
            let first = needs.first().cloned().unwrap_or_default();
            let all = needs.join(" ");
            let own = [
                ("@", name),
                ("<", first.as_str()),
                ("^", all.as_str()),
                ("*", stem.as_str()),
            ];
            let mut recipe = Vec::new();
            for line in rule.recipe.iter().take(RUNS) {
                let line = self.variables.expand(line, &own);
                let line = line.trim_start().trim_start_matches(['@', '-', '+', ' ']);
                if !line.is_empty() {
                    recipe.push(line.to_owned());
                }
            }
            if self.one_shell {
                lines.push(recipe.join("\n"));
            } else {
                lines.append(&mut recipe);
            }
        }
        true
    }

    /// The rules of a target, or the first pattern that matches, with what `%` stands for.
    fn rules_for(&self, name: &str) -> Vec<(Rule, String)> {
        let named = self
            .rules
            .iter()
            .filter(|rule| rule.targets.iter().any(|target| target == name));
        let named: Vec<(Rule, String)> = named
            .map(|rule| (rule.clone(), UNKNOWN.to_string()))
            .take(64)
            .collect();
        if named.iter().any(|(rule, _)| !rule.recipe.is_empty()) {
            return named;
        }
        let pattern = self.rules.iter().find_map(|rule| {
            let stem = rule.targets.iter().find_map(|target| {
                let (before, after) = target.split_once('%')?;
                name.strip_prefix(before)?.strip_suffix(after)
            })?;
            Some((rule.clone(), stem.to_owned()))
        });
        // `%:` matches anything, files that are there included.
        let pattern = pattern.filter(|(rule, _)| !rule.targets.iter().any(|target| target == "%"));
        named.into_iter().chain(pattern).collect()
    }
}

/// Lines with those that go on put together.
fn logical(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let (line, goes_on) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| open) {
            Some(last) => {
                last.truncate(last.trim_end().len());
                last.push(' ');
                last.push_str(line.trim_start());
            }
            None => lines.push(line.to_owned()),
        }
        open = goes_on;
    }
    lines
}

fn uncommented(line: &str) -> String {
    let mut out = String::new();
    let mut before = ' ';
    for letter in line.chars() {
        if letter == '#' && before != '\\' {
            break;
        }
        out.push(letter);
        before = letter;
    }
    out
}

/// Lines that only say when others count.
fn condition(line: &str) -> bool {
    let first = line.split([' ', '\t', '(']).next().unwrap_or_default();
    matches!(
        first,
        "ifeq" | "ifneq" | "ifdef" | "ifndef" | "else" | "endif"
    )
}
