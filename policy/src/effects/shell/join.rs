// SPDX-License-Identifier: Apache-2.0
//! What may have run or not: where two ways of a script meet again, the worse of what they left is
//! taken, so that nothing is made harmless by code that may never run.

use tree_sitter::Node;

use super::super::word::{Stream, UNKNOWN};
use super::tree::append;
use super::{Scope, Shell, Value, Variable};

impl Shell<'_> {
    /// Runs what may not run at all.
    pub(super) fn perhaps<T>(&mut self, inside: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.copied();
        let out = inside(self);
        self.join(before);
        out
    }

    /// `a && b || c`: each runs where all before it succeeded, and the list may end after each.
    pub(super) fn chain(&mut self, node: Node<'_>, src: &str, stdin: &Stream) -> Stream {
        let mut out = Stream::empty();
        let mut ends: Vec<Scope> = Vec::new();
        for (otherwise, item) in flat(node) {
            let printed = if otherwise {
                self.perhaps(|shell| shell.exec(item, src, stdin))
            } else {
                ends.push(self.copied());
                self.exec(item, src, stdin)
            };
            append(&mut out, &printed);
        }
        // Nothing stands before the first.
        for end in ends.into_iter().skip(1) {
            self.join(end);
        }
        out
    }

    /// Takes over another way's end.
    pub(super) fn join(&mut self, other: Scope) {
        for (name, theirs) in other.variables {
            let joined = match self.scope.variables.get(&name) {
                Some(mine) if *mine == theirs => continue,
                Some(mine) => self.worse(mine, &theirs),
                None => theirs,
            };
            self.scope.variables.insert(name, joined);
        }
        for (name, theirs) in other.functions {
            let mine = self.scope.functions.entry(name).or_default();
            if !mine.contains(&theirs) && mine.len() + theirs.len() < super::MADE {
                // Either may be the one that is called: both are run.
                mine.push('\n');
                mine.push_str(&theirs);
            }
        }
        for (name, theirs) in other.aliases {
            self.scope.aliases.entry(name).or_insert(theirs);
        }
        if self.scope.arguments != other.arguments {
            let count = self.scope.arguments.len().max(other.arguments.len());
            let unknown = Value::known(&UNKNOWN.to_string());
            self.scope.arguments = vec![unknown; count];
        }
        self.scope.cwd = match (self.scope.cwd.take(), other.cwd) {
            (Some(mine), Some(theirs)) => {
                let area = |path: &str| self.setting.place(path, None).area;
                let worse = area(&theirs) > area(&mine);
                Some(if worse { theirs } else { mine })
            }
            _ => None,
        };
    }

    /// The value that does more harm as a path; unknown when neither does.
    fn worse(&self, mine: &Variable, theirs: &Variable) -> Variable {
        let one = |variable: &Variable| match variable {
            Variable::One(value) => value.clone(),
            Variable::Many(values) => values.first().cloned().unwrap_or_default(),
        };
        let (mine, theirs) = (one(mine), one(theirs));
        let place = |value: &Value| self.setting.place(&value.text, self.scope.cwd.as_deref());
        let (here, there) = (place(&mine), place(&theirs));
        let path = |value: &Value| value.text.contains(['/', '~', '.', '*']);
        let text = if here.area > there.area && path(&mine) {
            mine.text
        } else if there.area > here.area && path(&theirs) {
            theirs.text
        } else {
            UNKNOWN.to_string()
        };
        let mut taint = mine.taint;
        taint.join(&theirs.taint);
        Variable::One(Value { text, taint })
    }
}

/// The commands of nested lists in order, each with whether it runs when the one before failed.
fn flat(node: Node<'_>) -> Vec<(bool, Node<'_>)> {
    let mut items = Vec::new();
    let mut left = node;
    loop {
        let mut cursor = left.walk();
        let children: Vec<_> = left.children(&mut cursor).collect();
        let mut otherwise = false;
        let mut first = None;
        let mut rest = Vec::new();
        for child in children {
            match child.kind() {
                "||" => otherwise = true,
                "&&" => otherwise = false,
                _ if !child.is_named() => {}
                _ if first.is_none() => first = Some(child),
                _ => rest.push((otherwise, child)),
            }
        }
        items.extend(rest.into_iter().rev());
        match first {
            Some(list) if list.kind() == "list" => left = list,
            Some(first) => {
                items.push((false, first));
                break;
            }
            None => break,
        }
    }
    items.reverse();
    items
}
