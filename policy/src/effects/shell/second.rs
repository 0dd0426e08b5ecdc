// SPDX-License-Identifier: Apache-2.0
//! A second opinion: where tree-sitter-bash finds errors, or what runs is known only then, the
//! words that brush-parser reads are compared with its words. Differing means that a person is
//! asked: one of two parsers misreads the text, and an attacker may know which one bash is.
//!
//! Where only tree-sitter fails (`{rm,-rf,/}` in a program's place), brush-parser's tree is run.

use brush_parser::ast::{
    AndOrList, Command, CommandPrefixOrSuffixItem, CompoundCommand, CompoundList,
    IoFileRedirectKind, IoRedirect, Pipeline, Program, SimpleCommand,
};
use brush_parser::{Parser, ParserOptions};
use tree_sitter::{Node, Tree};

use super::super::word::{Stream, UNKNOWN};
use super::super::{Hard, Span};
use super::expand::source;
use super::tree::append;
use super::{Shell, Value, Variable};

/// Longest text that is given to the strict parser, which backtracks.
const LONGEST: usize = 8 << 10;

/// Brackets nested in each other that it is given: it recurses.
const NESTED: usize = 24;

impl Shell<'_> {
    /// Runs a text that tree-sitter found errors in.
    pub(super) fn second(&mut self, text: &str, tree: &Tree, stdin: &Stream) -> Stream {
        let Some(program) = strict(text) else {
            self.hard(
                Hard::Unparsed,
                whole(text),
                "not read as shell by either parser",
            );
            return self.sequence(tree.root_node(), text, stdin);
        };
        if !agree(text, tree, &program) {
            self.hard(
                Hard::ParsersDiffer,
                whole(text),
                "two parsers read different commands",
            );
            self.sequence(tree.root_node(), text, stdin);
        }
        let before = self
            .outer
            .replace(self.outer.unwrap_or_else(|| whole(text)));
        let mut out = Stream::empty();
        for list in &program.complete_commands {
            let printed = self.strict_list(list, stdin);
            append(&mut out, &printed);
        }
        self.outer = before;
        out
    }

    /// Compares both parsers' words of a text whose evaluation was dynamic.
    pub(super) fn compare(&mut self, text: &str, tree: &Tree) {
        let agreed = strict(text).is_some_and(|program| agree(text, tree, &program));
        if !agreed {
            self.hard(
                Hard::ParsersDiffer,
                whole(text),
                "two parsers read different commands",
            );
        }
    }

    fn strict_list(&mut self, list: &CompoundList, stdin: &Stream) -> Stream {
        self.deeper(|shell| {
            let mut out = Stream::empty();
            for item in &list.0 {
                for pipeline in pipelines(&item.0) {
                    let mut flow = stdin.clone();
                    for command in &pipeline.seq {
                        flow = shell.strict_command(command, &flow);
                    }
                    append(&mut out, &flow);
                }
            }
            out
        })
    }

    fn strict_command(&mut self, command: &Command, stdin: &Stream) -> Stream {
        match command {
            Command::Simple(simple) => self.strict_simple(simple, stdin),
            Command::Compound(compound, redirects) => {
                let mut stdin = stdin.clone();
                for redirect in redirects.iter().flat_map(|list| &list.0) {
                    self.strict_redirect(redirect, &mut stdin);
                }
                self.compound(compound, &stdin)
            }
            Command::Function(function) => {
                let name = function.fname.value.clone();
                let body = function.body.0.to_string();
                self.scope.functions.insert(name, body);
                Stream::empty()
            }
            Command::ExtendedTest(test, _) => {
                let text = test.to_string();
                if let Some(tree) = self.tree(&text) {
                    self.inside(tree.root_node(), &text);
                }
                Stream::empty()
            }
        }
    }

    fn compound(&mut self, compound: &CompoundCommand, stdin: &Stream) -> Stream {
        match compound {
            CompoundCommand::BraceGroup(group) => self.strict_list(&group.list, stdin),
            CompoundCommand::Subshell(group) => {
                self.apart(|shell| shell.strict_list(&group.list, stdin))
            }
            CompoundCommand::ForClause(clause) => {
                let values = clause.values.iter().flatten();
                let words: Vec<_> = values
                    .flat_map(|word| self.word_text(&word.value))
                    .collect();
                let mut out = Stream::empty();
                let some = words.into_iter().take(16).map(|word| Value {
                    text: word.text,
                    taint: word.taint,
                });
                for value in some.chain([Value::known(&UNKNOWN.to_string())]) {
                    let name = clause.variable_name.clone();
                    self.scope.variables.insert(name, Variable::One(value));
                    let printed = self.strict_list(&clause.body.list, stdin);
                    append(&mut out, &printed);
                }
                out
            }
            CompoundCommand::CaseClause(clause) => {
                self.word_text(&clause.value.value);
                let bodies: Vec<_> = clause
                    .cases
                    .iter()
                    .filter_map(|case| case.cmd.as_ref())
                    .collect();
                self.lists(&bodies, stdin)
            }
            CompoundCommand::IfClause(clause) => {
                let mut bodies = vec![&clause.condition, &clause.then];
                for other in clause.elses.iter().flatten() {
                    bodies.extend(&other.condition);
                    bodies.push(&other.body);
                }
                self.lists(&bodies, stdin)
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.lists(&[&clause.0, &clause.1.list], stdin)
            }
            CompoundCommand::ArithmeticForClause(clause) => {
                self.strict_list(&clause.body.list, stdin)
            }
            CompoundCommand::Coprocess(clause) => self.strict_command(&clause.body, stdin),
            CompoundCommand::Arithmetic(_) => Stream::empty(),
        }
    }

    fn lists(&mut self, lists: &[&CompoundList], stdin: &Stream) -> Stream {
        let mut out = Stream::empty();
        for list in lists {
            let printed = self.strict_list(list, stdin);
            append(&mut out, &printed);
        }
        out
    }

    /// A simple command: by tree-sitter when it can read this one alone, else word by word.
    fn strict_simple(&mut self, simple: &SimpleCommand, stdin: &Stream) -> Stream {
        let text = simple.to_string();
        if let Some(tree) = self
            .tree(&text)
            .filter(|tree| !tree.root_node().has_error())
        {
            return self.sequence(tree.root_node(), &text, stdin);
        }
        let mut stdin = stdin.clone();
        let mut words = Vec::new();
        let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
        for item in prefix {
            if let CommandPrefixOrSuffixItem::AssignmentWord(_, word) = item {
                self.text(&word.value, &Stream::empty());
            }
        }
        if let Some(name) = &simple.word_or_name {
            words.extend(self.word_text(&name.value));
        }
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            match item {
                CommandPrefixOrSuffixItem::Word(word)
                | CommandPrefixOrSuffixItem::AssignmentWord(_, word) => {
                    words.extend(self.word_text(&word.value));
                }
                CommandPrefixOrSuffixItem::IoRedirect(redirect) => {
                    self.strict_redirect(redirect, &mut stdin);
                }
                CommandPrefixOrSuffixItem::ProcessSubstitution(_, shell) => {
                    self.apart(|inner| inner.strict_list(&shell.list, &Stream::empty()));
                }
            }
        }
        let out = self.words(words, &stdin);
        // What it prints is in the files that it is sent to.
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            if let CommandPrefixOrSuffixItem::IoRedirect(redirect) = item {
                self.strict_output(redirect, &out);
            }
        }
        out
    }

    fn strict_output(&mut self, redirect: &IoRedirect, out: &Stream) {
        let file = redirect.to_string();
        let writes = matches!(
            redirect,
            IoRedirect::File(..) | IoRedirect::OutputAndError(..)
        );
        if writes && file.contains('>') {
            let text = format!("cat {file}");
            if let Some(tree) = self.tree(&text) {
                self.sequence(tree.root_node(), &text, out);
            }
        }
    }

    fn strict_redirect(&mut self, redirect: &IoRedirect, stdin: &mut Stream) {
        match redirect {
            IoRedirect::HereDocument(_, document) => {
                *stdin = Stream::known(&*document.doc.value);
            }
            IoRedirect::HereString(descriptor, word) => {
                let words = self.word_text(&word.value);
                let text = words.iter().map(|word| word.text.as_str());
                let read = Stream::known(text.collect::<Vec<_>>().join(" "));
                match descriptor {
                    None | Some(0) => *stdin = read,
                    Some(descriptor) => {
                        self.written.insert(format!("/dev/fd/{descriptor}"), read);
                    }
                }
            }
            // tree-sitter knows no `3<>file`: both ways, one after the other.
            IoRedirect::File(descriptor, IoFileRedirectKind::ReadAndWrite, target) => {
                let number = descriptor.map(|number| number.to_string());
                let number = number.unwrap_or_default();
                for way in [">", "<"] {
                    let text = format!(": {number}{way}{target}");
                    if let Some(tree) = self.tree(&text) {
                        self.sequence(tree.root_node(), &text, stdin);
                    }
                }
            }
            file => {
                let text = format!(": {file}");
                if let Some(tree) = self
                    .tree(&text)
                    .filter(|tree| !tree.root_node().has_error())
                {
                    self.sequence(tree.root_node(), &text, stdin);
                }
            }
        }
    }
}

fn whole(text: &str) -> Span {
    Span {
        start: 0,
        end: u32::try_from(text.len()).unwrap_or(u32::MAX),
    }
}

fn pipelines(list: &AndOrList) -> impl Iterator<Item = &Pipeline> {
    let more = list.additional.iter().map(|more| match more {
        brush_parser::ast::AndOr::And(pipeline) | brush_parser::ast::AndOr::Or(pipeline) => {
            pipeline
        }
    });
    std::iter::once(&list.first).chain(more)
}

/// The strict parser's tree, if it reads the text and the text is not made to exhaust it.
fn strict(text: &str) -> Option<Program> {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for c in text.chars() {
        match c {
            '(' | '{' | '`' | '[' => depth += 1,
            ')' | '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if text.len() > LONGEST || deepest > NESTED {
        return None;
    }
    Parser::new(text.as_bytes(), &ParserOptions::default())
        .parse_program()
        .ok()
}

/// Whether both parsers read the same words in the same order.
fn agree(text: &str, tree: &Tree, program: &Program) -> bool {
    let mut theirs = String::new();
    for list in &program.complete_commands {
        strict_words(list, &mut theirs);
    }
    let mut ours = String::new();
    tree_words(tree.root_node(), text, &mut ours, 0);
    ours == theirs
}

/// The text of all words of simple commands, white space left out, in order. What is inside of
/// substitutions belongs to the word around it.
fn tree_words(node: Node<'_>, text: &str, words: &mut String, depth: u32) {
    if depth > 100 {
        return;
    }
    let command = matches!(node.kind(), "command" | "ERROR" | "redirected_statement");
    let mut cursor = node.walk();
    for child in node.children(&mut cursor) {
        let kind = child.kind();
        if kind == "variable_assignment" || kind.ends_with("_redirect") || kind == "test_command" {
            continue;
        }
        let word = kind == "command_name"
            || (command
                && matches!(
                    kind,
                    "word"
                        | "string"
                        | "raw_string"
                        | "ansi_c_string"
                        | "concatenation"
                        | "number"
                        | "simple_expansion"
                        | "expansion"
                        | "command_substitution"
                        | "process_substitution"
                        | "arithmetic_expansion"
                        | "brace_expression"
                        | "translated_string"
                ));
        if word {
            words.extend(source(child, text).chars().filter(counts));
        } else {
            tree_words(child, text, words, depth + 1);
        }
    }
}

/// Characters that are compared. Only one of the parsers takes the braces of `{rm,-rf,x}` for a
/// part of the word.
fn counts(c: &char) -> bool {
    !c.is_whitespace() && !matches!(c, '{' | '}')
}

fn strict_words(list: &CompoundList, words: &mut String) {
    for pipeline in list.0.iter().flat_map(|item| pipelines(&item.0)) {
        for command in &pipeline.seq {
            match command {
                Command::Simple(simple) => simple_words(simple, words),
                Command::Compound(compound, _) => compound_words(compound, words),
                Command::Function(function) => compound_words(&function.body.0, words),
                Command::ExtendedTest(..) => {}
            }
        }
    }
}

fn simple_words(simple: &SimpleCommand, words: &mut String) {
    let mut push = |text: &str| words.extend(text.chars().filter(counts));
    if let Some(name) = &simple.word_or_name {
        // `[ … ]` is a test to tree-sitter.
        if name.value == "[" {
            return;
        }
        push(&name.value);
    }
    for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
        match item {
            CommandPrefixOrSuffixItem::Word(word)
            | CommandPrefixOrSuffixItem::AssignmentWord(_, word) => push(&word.value),
            CommandPrefixOrSuffixItem::ProcessSubstitution(..) => push(&item.to_string()),
            CommandPrefixOrSuffixItem::IoRedirect(_) => {}
        }
    }
}

fn compound_words(compound: &CompoundCommand, words: &mut String) {
    match compound {
        CompoundCommand::BraceGroup(group) => strict_words(&group.list, words),
        CompoundCommand::Subshell(group) => strict_words(&group.list, words),
        CompoundCommand::ForClause(clause) => strict_words(&clause.body.list, words),
        CompoundCommand::ArithmeticForClause(clause) => strict_words(&clause.body.list, words),
        CompoundCommand::CaseClause(clause) => {
            for body in clause.cases.iter().filter_map(|case| case.cmd.as_ref()) {
                strict_words(body, words);
            }
        }
        CompoundCommand::IfClause(clause) => {
            strict_words(&clause.condition, words);
            strict_words(&clause.then, words);
            for other in clause.elses.iter().flatten() {
                if let Some(condition) = &other.condition {
                    strict_words(condition, words);
                }
                strict_words(&other.body, words);
            }
        }
        CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
            strict_words(&clause.0, words);
            strict_words(&clause.1.list, words);
        }
        CompoundCommand::Coprocess(clause) => {
            if let Command::Simple(simple) = &*clause.body {
                simple_words(simple, words);
            }
        }
        CompoundCommand::Arithmetic(_) => {}
    }
}
