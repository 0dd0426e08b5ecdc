// SPDX-License-Identifier: Apache-2.0
//! Reads a line or script of shell by running it in the mind: words are expanded as far as they
//! are constant, what commands print flows through pipes and substitutions, files written are
//! remembered, and each simple command is judged by `program`.
//!
//! ```text
//! text ─► tree-sitter-bash ─► statements ─► words ─► program::run ─► effects
//!              │ errors                         ▲         │ Run (sudo, sh -c, python3 x.py)
//!              └─► brush-parser (second) ───────┴─────────┘
//! ```
//!
//! All branches are taken, loops over known words are run a few times. Whatever cannot be followed
//! leaves a [`Finding`]. Depth, steps and sizes are bounded, so any text ends soon.

mod assign;
mod brace;
mod builtin;
mod command;
mod expand;
mod follow;
mod join;
mod parameter;
mod quote;
mod redirect;
mod renamed;
mod second;
mod tree;
mod variables;

use std::collections::BTreeMap;

use super::place::Setting;
use super::program::Files;
use super::word::{Arg, Stream, Taint};
use super::{Analysis, Effect, Finding, Hard, Span};

/// Statements nested in each other that are followed; a person nests a handful. Bounds the stack.
const DEPTH: u32 = 48;

/// Statements run for one action. Bounds the time: one takes some microseconds.
const STEPS: u32 = 4000;

/// Work of the parser for one action, in hundreds of its steps: some thousands of lines. Without
/// optimisation one takes some thirty microseconds.
const PATIENCE: u32 = 1600;

/// Statements run for all steps of one plan.
const PLAN_STEPS: u32 = 40_000;

/// Effects, findings and commands kept for one action, each.
const KEPT: usize = 512;

/// Longest text that expansion may make, in bytes.
const MADE: usize = 64 << 10;

/// What a word or value costs beside its text, in bytes.
const WORD: usize = 48;

/// Bytes that are handled for one action: words made, scopes copied, inputs read.
const ROOM: usize = 2 << 20;

/// What text is read against.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The folders that paths are read against.
    pub setting: &'a Setting,
    /// The folder the action runs in, if known.
    pub cwd: Option<&'a str>,
    /// Files that scripts are read from.
    pub files: &'a dyn Files,
}

/// Reads the steps of one plan, one after the other: what one writes, the next ones read.
#[derive(Debug)]
pub struct Session<'a> {
    shell: Shell<'a>,
    cwd: Option<String>,
    /// Statements run in the steps before.
    spent: u32,
}

impl<'a> Session<'a> {
    /// A session that read nothing yet.
    #[must_use]
    pub fn new(ground: Ground<'a>) -> Self {
        Self {
            cwd: ground.cwd.map(str::to_owned),
            shell: Shell::new(ground),
            spent: 0,
        }
    }

    /// Begins a step in a shell of its own.
    pub fn begin(&mut self, cwd: Option<&str>) {
        let setting = self.shell.setting;
        let cwd = match cwd {
            Some(cwd) => setting.absolute(cwd, self.cwd.as_deref()),
            None => self.cwd.clone(),
        };
        self.shell.scope = Scope {
            cwd,
            ..Scope::default()
        };
        // A plan of steps that each do all they may is not followed to its end.
        self.spent = self.spent.saturating_add(self.shell.steps);
        let left = self.spent < PLAN_STEPS;
        self.shell.steps = if left { 0 } else { STEPS };
        self.shell.patience = PATIENCE;
        self.shell.room = ROOM;
    }

    /// Ends the step; what was found in it.
    pub fn end(&mut self) -> Analysis {
        std::mem::take(&mut self.shell.found)
    }

    /// Reads a text of shell.
    pub fn text(&mut self, text: &str) {
        self.shell.text(text, &Stream::empty());
    }

    /// Reads a program with its arguments: no expansion takes place.
    pub fn argv(&mut self, argv: &[String]) {
        let mut at = 0_u32;
        let words = argv.iter().map(|word| {
            let end = at.saturating_add(u32::try_from(word.len()).unwrap_or(u32::MAX));
            let span = Span { start: at, end };
            at = end.saturating_add(1);
            Arg {
                text: word.clone(),
                span,
                ..Arg::default()
            }
        });
        let words = words.collect();
        self.shell.words(words, &Stream::empty());
    }

    /// Reads the name of a variable that the action is given.
    pub fn loads(&mut self, name: &str) {
        let value = Value::known(&super::word::UNKNOWN.to_string());
        self.shell.telling(name, &value, Span::default());
    }

    /// Reads code of another language than shell.
    pub fn code(&mut self, language: &str, text: &str) {
        self.shell.code(language, text, Span::default());
    }

    /// Reads the writing of a file.
    pub fn write(&mut self, path: &str, content: Option<&str>) {
        let whole = Value::known(path);
        self.shell.written_to(&whole, false, Span::default());
        let stream = Stream {
            text: content.map(str::to_owned),
            ..Stream::default()
        };
        self.shell.put(path, &stream, false);
    }
}

/// What a variable holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Value {
    text: String,
    taint: Taint,
}

impl Value {
    fn known(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            taint: Taint::default(),
        }
    }
}

impl Value {
    /// About how many bytes it is to copy.
    fn size(&self) -> usize {
        self.text.len() + WORD
    }
}

/// A variable: one value, or those of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Variable {
    One(Value),
    Many(Vec<Value>),
}

/// What a subshell has a copy of.
#[derive(Clone, Debug, Default)]
struct Scope {
    variables: BTreeMap<String, Variable>,
    functions: BTreeMap<String, String>,
    aliases: BTreeMap<String, String>,
    /// `$1`, `$2`, …
    arguments: Vec<Value>,
    cwd: Option<String>,
}

impl Scope {
    /// About how many bytes it is to copy.
    fn size(&self) -> usize {
        let variables = self.variables.values().map(|variable| match variable {
            Variable::One(value) => value.size(),
            Variable::Many(values) => values.iter().map(Value::size).sum(),
        });
        let texts = self.functions.values().chain(self.aliases.values());
        let arguments = self.arguments.iter().map(Value::size);
        variables.sum::<usize>() + texts.map(String::len).sum::<usize>() + arguments.sum::<usize>()
    }
}

/// A shell that runs nothing.
#[derive(Debug)]
struct Shell<'a> {
    setting: &'a Setting,
    files: &'a dyn Files,
    found: Analysis,
    scope: Scope,
    /// Files the action wrote so far, absolute.
    written: BTreeMap<String, Stream>,
    /// Other names the action gave to things: what each means, and whether it is a link.
    renamed: BTreeMap<String, (String, bool)>,
    /// Descriptors that are connections: to which `/dev/tcp/…`.
    sockets: BTreeMap<String, String>,
    /// The next command is started by a program, which knows no functions and aliases.
    direct: bool,
    /// Wrappers and scripts that are being followed.
    via: Vec<String>,
    /// Functions, scripts and targets that are being followed: one twice is a cycle.
    running: Vec<String>,
    /// What the program that is being followed reads.
    input: Option<Stream>,
    /// The words of the action that a nested text came from.
    outer: Option<Span>,
    steps: u32,
    /// Work of the parser that is left.
    patience: u32,
    /// Bytes that may yet be handled.
    room: usize,
    depth: u32,
    /// Descriptors handed out for process substitutions.
    substitutions: u32,
}

impl<'a> Shell<'a> {
    fn new(ground: Ground<'a>) -> Self {
        let scope = Scope {
            cwd: ground.cwd.map(str::to_owned),
            ..Scope::default()
        };
        Self {
            setting: ground.setting,
            files: ground.files,
            found: Analysis::default(),
            scope,
            written: BTreeMap::new(),
            renamed: BTreeMap::new(),
            sockets: BTreeMap::new(),
            direct: false,
            via: Vec::new(),
            running: Vec::new(),
            input: None,
            outer: None,
            steps: 0,
            patience: PATIENCE,
            room: ROOM,
            depth: 0,
            substitutions: 0,
        }
    }

    /// Runs a text in the present scope; what it prints.
    fn text(&mut self, text: &str, stdin: &Stream) -> Stream {
        if text.len() > crate::action::TEXT {
            self.hard(Hard::TooMuch, Span::default(), "longer than what is read");
            return Stream::default();
        }
        let out = self.parsed(text, stdin);
        // A word goes on behind a line's end that a backslash takes away: `r\` and `m` are `rm`. The
        // grammar makes two of it.
        if let Some(joined) = quote::continued(text) {
            let outer = self.outer.unwrap_or(Span {
                start: 0,
                end: u32::try_from(text.len()).unwrap_or(u32::MAX),
            });
            self.apart(|shell| shell.nested(&joined, outer, stdin));
        }
        out
    }

    /// One level deeper, unless that is too deep.
    fn deeper<T: Default>(&mut self, inside: impl FnOnce(&mut Self) -> T) -> T {
        self.steps = self.steps.saturating_add(1);
        if self.depth >= DEPTH || self.steps > STEPS {
            let text = "nested or long beyond what is followed";
            self.hard(Hard::TooMuch, Span::default(), text);
            return T::default();
        }
        self.depth += 1;
        let inner = inside(self);
        self.depth -= 1;
        inner
    }

    /// Whether so many bytes may yet be handled; they are taken off.
    fn spend(&mut self, bytes: usize) -> bool {
        let enough = self.room > bytes;
        self.room = self.room.saturating_sub(bytes);
        if !enough {
            let text = "makes more text than is followed";
            self.hard(Hard::TooMuch, Span::default(), text);
        }
        enough
    }

    /// A copy of the present scope, empty when that is too much.
    fn copied(&mut self) -> Scope {
        let size = self.scope.size();
        if self.spend(size) {
            self.scope.clone()
        } else {
            Scope::default()
        }
    }

    /// In a scope of its own, as a subshell has it.
    fn apart<T>(&mut self, inside: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.copied();
        let inner = inside(self);
        self.scope = before;
        inner
    }

    /// With `name` as one more wrapper that effects are found under.
    fn under<T>(&mut self, name: &str, inside: impl FnOnce(&mut Self) -> T) -> T {
        self.via.push(name.to_owned());
        let inner = inside(self);
        self.via.pop();
        inner
    }

    fn effect(&mut self, mut effect: Effect, span: Span) {
        if let Some(outer) = self.outer {
            effect.span = outer;
        } else if effect.span == Span::default() {
            effect.span = span;
        }
        if matches!(effect.target, super::Target::Path(..)) && effect.cwd.is_none() {
            effect.cwd.clone_from(&self.scope.cwd);
        }
        effect.via.splice(0..0, self.via.iter().cloned());
        let known = self.found.effects.contains(&effect);
        if !known && self.found.effects.len() < KEPT {
            self.found.effects.push(effect);
        } else if !known {
            self.hard(Hard::TooMuch, span, "more effects than are kept");
        }
    }

    fn hard(&mut self, hard: Hard, span: Span, text: &str) {
        let span = self.outer.unwrap_or(span);
        let known = |finding: &Finding| finding.hard == hard && finding.text == text;
        if !self.found.findings.iter().any(known) && self.found.findings.len() < KEPT {
            self.found.findings.push(Finding {
                hard,
                span,
                text: text.to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
