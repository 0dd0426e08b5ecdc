// SPDX-License-Identifier: Apache-2.0
//! Walks the statements of a syntax tree. What a statement prints is what it returns.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};

use super::super::Hard;
use super::super::word::{Stream, UNKNOWN};
use super::expand::{source, span};
use super::{MADE, Scope, Shell, Value, Variable};

/// Words of a list that a loop is run for one by one.
const TURNS: usize = 16;

/// Bytes that the parser is given at a time.
const PIECE: usize = 4 << 10;

thread_local! {
    /// Making a parser costs more than parsing a line.
    static PARSER: RefCell<Option<Parser>> = RefCell::new(made());
}

fn made() -> Option<Parser> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_bash::LANGUAGE.into())
        .ok()?;
    Some(parser)
}

/// The syntax tree of a text, at most `patience` of work, which is taken off: the parser asks once
/// every hundred steps, and each piece that it reads counts as well, because what it reads again
/// and again (a text full of `<<`) is no step to it.
fn parse(text: &str, patience: &mut u32) -> Option<Tree> {
    let text = &*harmless(text);
    let left = Cell::new(patience.saturating_sub(1));
    let tree = PARSER.with(|parser| {
        let mut parser = parser.try_borrow_mut().ok()?;
        let parser = parser.as_mut()?;
        let spend = |work: u32| {
            left.set(left.get().saturating_sub(work));
            left.get() > 0
        };
        // Where the text has errors it tries several ways at once.
        let mut asked = |state: &ParseState| match spend(if state.has_error() { 4 } else { 1 }) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        };
        let mut read = |at: usize, _| {
            let end = text.len().min(at.saturating_add(PIECE));
            let piece = text.as_bytes().get(at..end).unwrap_or_default();
            if spend(1) { piece } else { &[] }
        };
        let options = ParseOptions::new().progress_callback(&mut asked);
        let tree = parser.parse_with_options(&mut read, None, Some(options));
        if left.get() == 0 {
            // Else the next text would go on where this one was left.
            parser.reset();
        }
        tree
    });
    *patience = left.get();
    tree.filter(|_| left.get() > 0)
}

/// The text with no character behind a brace that tree-sitter-bash would ask `isdigit` of (`{1..3}`
/// in its scanner.c) and that is in no table of the C library: it would read beyond it and crash.
/// In its place stands one that is as long and as little special, so that all spans are the same.
fn harmless(text: &str) -> Cow<'_, str> {
    let mut made = String::new();
    let mut done = 0;
    for (brace, _) in text.match_indices('{') {
        let mut rest = text[brace + 1..].trim_start_matches(|c: char| c.is_ascii_digit());
        if let Some(second) = rest.strip_prefix("..") {
            rest = second.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        let Some(char) = rest.chars().next().filter(|char| *char > LATIN) else {
            continue;
        };
        let at = text.len() - rest.len();
        made.push_str(&text[done..at]);
        made.push_str(match char.len_utf8() {
            2 => "é",
            3 => "éx",
            _ => "éé",
        });
        done = at + char.len_utf8();
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    made.push_str(&text[done..]);
    Cow::Owned(made)
}

/// The last character that every C library has in its tables.
const LATIN: char = '\u{FF}';

impl Shell<'_> {
    /// The syntax tree of a text; nothing when that would be too much work.
    pub(super) fn tree(&mut self, text: &str) -> Option<Tree> {
        let tree = parse(text, &mut self.patience);
        if tree.is_none() {
            self.hard(Hard::TooMuch, Default::default(), "longer than is read");
        }
        tree
    }

    /// Parses a text and runs it.
    pub(super) fn parsed(&mut self, text: &str, stdin: &Stream) -> Stream {
        let Some(tree) = self.tree(text) else {
            return Stream::default();
        };
        if tree.root_node().has_error() {
            return self.second(text, &tree, stdin);
        }
        let before = self.found.findings.len();
        let out = self.sequence(tree.root_node(), text, stdin);
        let new = self.found.findings.get(before..).unwrap_or_default();
        let dynamic = |finding: &super::super::Finding| {
            matches!(finding.hard, Hard::DynamicProgram | Hard::DynamicCode)
        };
        if self.outer.is_none() && new.iter().any(dynamic) {
            self.compare(text, &tree);
        }
        out
    }

    /// Runs one node.
    pub(super) fn exec(&mut self, node: Node<'_>, src: &str, stdin: &Stream) -> Stream {
        self.deeper(|shell| shell.statement(node, src, stdin))
    }

    fn statement(&mut self, node: Node<'_>, src: &str, stdin: &Stream) -> Stream {
        match node.kind() {
            "command" => self.simple(node, src, stdin),
            "list" => self.chain(node, src, stdin),
            "pipeline" => self.pipeline(node, src, stdin),
            "redirected_statement" => self.redirected(node, src, stdin),
            "variable_assignment" => {
                self.assign(node, src);
                Stream::empty()
            }
            "declaration_command" | "unset_command" => self.declare(node, src),
            "function_definition" => {
                self.define(node, src);
                Stream::empty()
            }
            "if_statement" | "case_statement" => self.branches(node, src, stdin),
            "for_statement" => self.for_each(node, src, stdin),
            "while_statement" => self.while_true(node, src, stdin),
            "subshell" => self.apart(|shell| shell.sequence(node, src, stdin)),
            "test_command" => {
                self.inside(node, src);
                Stream::empty()
            }
            "comment" => Stream::empty(),
            _ => self.sequence(node, src, stdin),
        }
    }

    /// Runs the statements among a node's children; what all of them print.
    pub(super) fn sequence(&mut self, node: Node<'_>, src: &str, stdin: &Stream) -> Stream {
        let mut out = Stream::empty();
        let mut cursor = node.walk();
        let children: Vec<_> = node.named_children(&mut cursor).collect();
        for child in children {
            if is_statement(child.kind()) {
                let behind = child.next_sibling().is_some_and(|next| next.kind() == "&");
                let printed = if behind {
                    self.perhaps(|shell| shell.exec(child, src, stdin))
                } else {
                    self.exec(child, src, stdin)
                };
                append(&mut out, &printed);
            } else if child.kind() == "file_redirect" {
                // `$(< file)`
                return self.read_from(child, src);
            } else {
                self.inside(child, src);
            }
        }
        out
    }

    fn pipeline(&mut self, node: Node<'_>, src: &str, stdin: &Stream) -> Stream {
        let mut flow = stdin.clone();
        let mut cursor = node.walk();
        let children: Vec<_> = node.named_children(&mut cursor).collect();
        for child in children {
            // Each in a shell of its own, the last perhaps in this one.
            flow = self.perhaps(|shell| shell.exec(child, src, &flow));
        }
        flow
    }

    fn define(&mut self, node: Node<'_>, src: &str) {
        let name = node
            .child_by_field_name("name")
            .map(|name| source(name, src));
        let body = node
            .child_by_field_name("body")
            .map(|body| source(body, src));
        if let (Some(name), Some(body)) = (name, body) {
            self.scope
                .functions
                .insert(name.to_owned(), body.to_owned());
        }
    }

    /// Runs all branches, each from where the first began; then the worst that they left holds.
    fn branches(&mut self, node: Node<'_>, src: &str, stdin: &Stream) -> Stream {
        let mut out = Stream::empty();
        let mut ends: Vec<Scope> = Vec::new();
        let mut start: Option<Scope> = None;
        let mut complete = false;
        let mut cursor = node.walk();
        let children: Vec<_> = node.named_children(&mut cursor).collect();
        let condition = node.child_by_field_name("condition");
        for child in children {
            let apart = matches!(child.kind(), "elif_clause" | "else_clause" | "case_item");
            let first = start.is_none() && Some(child) != condition && is_statement(child.kind());
            if first {
                start = Some(self.copied());
            } else if apart && let Some(start) = &start {
                let start = start.clone();
                ends.push(std::mem::replace(&mut self.scope, start));
            }
            complete |= child.kind() == "else_clause" || source(child, src).starts_with("*)");
            if is_statement(child.kind()) {
                let printed = self.exec(child, src, stdin);
                append(&mut out, &printed);
            } else {
                self.inside(child, src);
            }
        }
        ends.extend(start.filter(|_| !complete));
        for end in ends {
            self.join(end);
        }
        out
    }

    fn for_each(&mut self, node: Node<'_>, src: &str, stdin: &Stream) -> Stream {
        let variable = node
            .child_by_field_name("variable")
            .map(|name| source(name, src).to_owned());
        let Some((variable, body)) = variable.zip(node.child_by_field_name("body")) else {
            return Stream::default();
        };
        let mut words = Vec::new();
        let mut cursor = node.walk();
        let values: Vec<_> = node.children_by_field_name("value", &mut cursor).collect();
        let listed = !values.is_empty();
        for value in values {
            words.extend(self.fields(value, src));
        }
        if !listed {
            let given = self.scope.arguments.clone();
            words.extend(given.into_iter().map(|value| super::super::word::Arg {
                text: value.text,
                taint: value.taint,
                ..Default::default()
            }));
        }
        let more = words.len() > TURNS || words.is_empty();
        words.truncate(TURNS);
        let mut turns: Vec<Value> = words.iter().map(|word| self.held(word)).collect();
        if more {
            turns.push(Value::known(&UNKNOWN.to_string()));
        }
        let mut out = Stream::empty();
        let before = self.copied();
        for turn in turns {
            self.scope
                .variables
                .insert(variable.clone(), Variable::One(turn));
            let printed = self.exec(body, src, stdin);
            append(&mut out, &printed);
        }
        if more {
            self.join(before);
        }
        out
    }

    /// Runs condition and body once, or for each line when the condition reads known lines.
    fn while_true(&mut self, node: Node<'_>, src: &str, stdin: &Stream) -> Stream {
        let condition = node.child_by_field_name("condition");
        let Some((condition, body)) = condition.zip(node.child_by_field_name("body")) else {
            return Stream::default();
        };
        let reads = source(condition, src)
            .split_whitespace()
            .any(|word| word == "read");
        let lines: Vec<Stream> = match &stdin.text {
            Some(text) if reads => {
                let line = |line: &str| Stream {
                    text: Some(line.to_owned()),
                    taint: stdin.taint.clone(),
                };
                let more = text.lines().nth(TURNS).map(|_| Stream {
                    text: None,
                    taint: stdin.taint.clone(),
                });
                text.lines().take(TURNS).map(line).chain(more).collect()
            }
            // Twice: what one turn leaves, the next one finds.
            _ => vec![stdin.clone(), stdin.clone()],
        };
        let mut out = Stream::empty();
        let before = self.copied();
        for line in lines {
            let printed = self.exec(condition, src, &line);
            append(&mut out, &printed);
            let printed = self.exec(body, src, &line);
            append(&mut out, &printed);
        }
        self.join(before);
        out
    }

    /// A statement with redirections around it.
    fn redirected(&mut self, node: Node<'_>, src: &str, stdin: &Stream) -> Stream {
        let flow = self.redirections(node, src, stdin);
        let mut out = match node.child_by_field_name("body") {
            Some(body) => self.exec(body, src, &flow.stdin),
            None => Stream::empty(),
        };
        out = self.poured(out, &flow, span(node));
        for pipe in flow.pipes {
            out = self.exec(pipe, src, &out);
        }
        for next in flow.then {
            let printed = self.exec(next, src, stdin);
            append(&mut out, &printed);
        }
        out
    }
}

fn is_statement(kind: &str) -> bool {
    kind.ends_with("_statement")
        || matches!(
            kind,
            "command"
                | "pipeline"
                | "list"
                | "subshell"
                | "negated_command"
                | "test_command"
                | "variable_assignment"
                | "variable_assignments"
                | "declaration_command"
                | "unset_command"
                | "function_definition"
                | "do_group"
                | "else_clause"
                | "elif_clause"
                | "case_item"
                | "program"
                | "ERROR"
        )
}

/// Both, one after the other.
pub(super) fn append(out: &mut Stream, more: &Stream) {
    out.taint.join(&more.taint);
    out.text = match (out.text.take(), &more.text) {
        (Some(mut text), Some(more)) if text.len() + more.len() <= MADE => {
            text.push_str(more);
            Some(text)
        }
        _ => None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_behind_a_brace_that_no_table_has_is_read_past() {
        for char in ['\u{10FFFF}', UNKNOWN, '\u{20000}', '日', 'ł', 'é'] {
            for brace in ["{", "{12", "{1..", "{..3"] {
                let text = format!("echo {brace}{char}}}; rm '{brace}{char}' x");
                assert_eq!(harmless(&text).len(), text.len());
                assert!(harmless(&text).chars().all(|char| char <= LATIN));
                let tree = parse(&text, &mut 1000).unwrap();
                let root = tree.root_node();
                let last = root.named_child(u32::try_from(root.named_child_count()).unwrap() - 1);
                let wanted = format!("rm '{brace}{char}' x");
                assert_eq!(source(last.unwrap(), &text), wanted, "{text}");
            }
        }
        let text = "echo {1..3} 日 {a日} ${x}";
        assert!(matches!(harmless(text), Cow::Borrowed(same) if same == text));
    }
}
