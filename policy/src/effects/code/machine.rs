// SPDX-License-Identifier: Apache-2.0
//! Goes through a program as it would run, as far as that is known: names get values, functions
//! are entered, both sides of a branch are taken. What it meets on the way are calls; `calls` says
//! what they come to.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::super::program::{Call, Outcome};
use super::super::word::{Taint, UNKNOWN};
use super::super::{Effect, Finding, Hard, Harm, Kind, Span, Target};
use super::files::Opened;
use super::fold;
use super::syntax::{Expr, Function};
use super::tables::Language;
use super::value::{Shape, Value};

/// Steps that are gone: an expression, or 64 bytes of text put together.
const FUEL: u32 = 30_000;

/// How deep expressions and functions are followed.
const DEPTH: u32 = 64;

/// How deep functions are entered, and code that code makes.
const NESTED: u32 = 6;

/// Most parts of a list that a loop is gone through one by one.
const ROUNDS: usize = 512;

/// A program on its way.
pub(super) struct Machine<'a> {
    /// Folders, files and the script's arguments.
    pub(super) call: &'a Call<'a>,
    /// What the program is written in.
    pub(super) language: &'static Language,
    /// What was found.
    pub(super) outcome: Outcome,
    /// Files that were opened to be written.
    pub(super) opened: Vec<Opened>,
    /// The folder it changed to.
    pub(super) folder: Option<String>,
    /// The host of a connection that bytes come and go over, if it has made one.
    pub(super) socket: Option<String>,
    /// What it prints: nothing once that is not known.
    pub(super) printed: Option<String>,
    /// Where what it prints came from.
    pub(super) printed_taint: Taint,
    /// How many loops this is in.
    pub(super) loops: u32,
    /// How many functions, or codes made by codes, this is in.
    pub(super) nested: u32,
    /// Commands that were met before.
    pub(super) seen: BTreeSet<String>,
    /// Names and what they are known to be.
    pub(super) variables: BTreeMap<String, Value>,
    /// Modules whose names stand for themselves.
    pub(super) wildcards: Vec<String>,
    functions: Vec<(Rc<Function>, bool)>,
    returned: Option<Value>,
    /// How many branches that may not be taken this is in.
    pub(super) branches: u32,
    depth: u32,
    fuel: u32,
    spent: bool,
}

impl<'a> Machine<'a> {
    /// One that has met nothing yet.
    pub(super) fn new(language: &'static Language, call: &'a Call<'a>) -> Self {
        Self {
            call,
            language,
            outcome: Outcome::default(),
            opened: Vec::new(),
            folder: None,
            socket: None,
            printed: Some(String::new()),
            printed_taint: Taint::default(),
            loops: 0,
            nested: 0,
            seen: BTreeSet::new(),
            variables: BTreeMap::new(),
            wildcards: Vec::new(),
            functions: Vec::new(),
            returned: None,
            branches: 0,
            depth: 0,
            fuel: FUEL,
            spent: false,
        }
    }

    /// Goes through statements; the value is the last one's.
    pub(super) fn run(&mut self, body: &[Expr]) -> Value {
        let mut last = Value::default();
        for statement in body {
            last = self.eval(statement);
        }
        last
    }

    /// Goes through functions that nothing called: something may that is not seen here.
    pub(super) fn finish(&mut self) {
        let mut at = 0;
        while let Some((function, called)) = self.functions.get(at).cloned() {
            if !called {
                self.branches += 1;
                self.enter(&function, &[], &[]);
                self.branches -= 1;
            }
            at += 1;
        }
    }

    /// Takes a step; false when there were too many.
    pub(super) fn step(&mut self, cost: usize) -> bool {
        let cost = u32::try_from(cost / 64).unwrap_or(FUEL).saturating_add(1);
        if self.depth < DEPTH && self.fuel > cost {
            self.fuel -= cost;
            return true;
        }
        if !self.spent {
            self.spent = true;
            self.find(
                Hard::TooMuch,
                "code that is too long or nested too deep to follow",
            );
        }
        false
    }

    /// The value of an expression.
    pub(super) fn eval(&mut self, expr: &Expr) -> Value {
        if !self.step(0) {
            return Value::default();
        }
        self.depth += 1;
        let value = match expr {
            Expr::Text(text) => Value::text(text),
            Expr::Number(number) => Value::number(*number),
            Expr::Truth(truth) => Value::truth(*truth),
            Expr::Name(name) => self.lookup(name),
            Expr::List(parts) => Value::list(self.all(parts)),
            Expr::Map(pairs) => self.map(pairs),
            Expr::Function(function) => {
                self.functions.push((Rc::clone(function), false));
                Value::function(Rc::clone(function))
            }
            Expr::Call(call) => self.invoke(call),
            Expr::Shell(text) => {
                let text = self.eval(text);
                self.shell(&text)
            }
            Expr::Add(..)
            | Expr::Binary(..)
            | Expr::Index(..)
            | Expr::Slice(..)
            | Expr::Attribute(..)
            | Expr::Either(_) => self.compute(expr),
            _ => self.statement(expr),
        };
        self.depth -= 1;
        let size = match &value.shape {
            Shape::Text(text) => text.len(),
            Shape::List(parts) => parts.len() * 8,
            _ => 0,
        };
        if size > 64 && !self.step(size) {
            return Value::default();
        }
        value
    }

    pub(super) fn compute(&mut self, expr: &Expr) -> Value {
        match expr {
            Expr::Add(parts) => {
                let parts = self.all(parts);
                fold::add(&parts)
            }
            Expr::Binary(operator, left, right) => {
                let left = self.eval(left);
                let right = self.eval(right);
                fold::binary(operator, &left, &right)
            }
            Expr::Index(object, key) => {
                let object = self.eval(object);
                let key = self.eval(key);
                self.index(&object, &key)
            }
            Expr::Slice(object, bounds) => {
                let object = self.eval(object);
                let bounds = bounds.each_ref().map(|bound| {
                    let bound = bound.as_ref().map(|bound| self.eval(bound));
                    bound.and_then(|bound| bound.as_number())
                });
                fold::slice(&object, bounds)
            }
            Expr::Attribute(object, name) => {
                let own = dotted(expr).and_then(|path| self.variables.get(&path).cloned());
                own.unwrap_or_else(|| {
                    let object = self.eval(object);
                    self.attribute(&object, name)
                })
            }
            Expr::Either(parts) => {
                let parts = self.all(parts).into_iter();
                parts.reduce(Value::either).unwrap_or_default()
            }
            _ => Value::default(),
        }
    }

    pub(super) fn statement(&mut self, expr: &Expr) -> Value {
        match expr {
            Expr::Assign(names, value) => {
                let value = self.eval(value);
                self.assign(names, &value);
                value
            }
            Expr::Maybe { body, loops } => {
                self.branches += 1;
                self.loops += u32::from(*loops);
                let value = self.run(body);
                self.loops -= u32::from(*loops);
                self.branches -= 1;
                value
            }
            Expr::Each { .. } => self.each(expr),
            Expr::Block(body) => self.run(body),
            Expr::Return(value) => {
                let value = self.eval(value);
                self.returned = Some(match self.returned.take() {
                    Some(before) => before.either(value.clone()),
                    None => value.clone(),
                });
                value
            }
            Expr::Spread(value) => self.eval(value),
            Expr::Other(parts) => {
                let parts = self.all(parts);
                Value::unknown(fold::taint_of(&parts))
            }
            _ => Value::default(),
        }
    }

    /// The values of several, spread ones taken apart.
    pub(super) fn all(&mut self, parts: &[Expr]) -> Vec<Value> {
        let mut values = Vec::new();
        for part in parts {
            let value = self.eval(part);
            match (part, value.parts()) {
                (Expr::Spread(_), Some(parts)) => values.extend_from_slice(parts),
                _ => values.push(self.data(value)),
            }
        }
        values
    }

    pub(super) fn map(&mut self, pairs: &[(Expr, Expr)]) -> Value {
        let mut parts = Vec::new();
        for (key, value) in pairs {
            let key = self.eval(key);
            let value = self.eval(value);
            let value = self.data(value);
            match &value.shape {
                // `{**others}`
                Shape::Map(others) if key.as_text().is_none() => {
                    parts.extend(others.iter().cloned());
                }
                _ => parts.push((key.word(), value)),
            }
        }
        Value::map(parts)
    }

    pub(super) fn each(&mut self, expr: &Expr) -> Value {
        let Expr::Each {
            names,
            over,
            body,
            collects,
        } = expr
        else {
            return Value::default();
        };
        let over = self.eval(over);
        let elements = fold::elements(&over).filter(|parts| parts.len() <= ROUNDS);
        let known = elements.is_some();
        let elements = elements.unwrap_or_else(|| vec![Value::default()]);
        let mut values = Vec::new();
        self.branches += u32::from(!known);
        self.loops += 1;
        for element in elements {
            let element = element.tainted(&over.taint);
            self.assign(names, &element);
            values.push(self.run(body));
        }
        self.loops -= 1;
        self.branches -= u32::from(!known);
        match (*collects, known) {
            (true, true) => Value::list(values),
            _ => Value::unknown(fold::taint_of(&values)),
        }
    }

    /// Runs a function of the program.
    pub(super) fn enter(
        &mut self,
        function: &Rc<Function>,
        args: &[Value],
        named: &[(String, Value)],
    ) -> Value {
        for (known, called) in &mut self.functions {
            if Rc::ptr_eq(known, function) {
                *called = true;
            }
        }
        if self.nested >= NESTED {
            return Value::unknown(fold::taint_of(args));
        }
        self.nested += 1;
        let mut before = Vec::new();
        for (index, (name, default)) in function.params.iter().enumerate() {
            let given = named
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value);
            if let Some(name) = name.strip_prefix('*') {
                let rest = args.get(index..).unwrap_or_default().to_vec();
                before.push((
                    name.to_owned(),
                    self.variables.insert(name.to_owned(), Value::list(rest)),
                ));
                continue;
            }
            let value = match (args.get(index).or(given), default) {
                (Some(value), _) => value.clone(),
                (None, Some(default)) => self.eval(default),
                (None, None) => Value::default(),
            };
            before.push((name.clone(), self.variables.insert(name.clone(), value)));
        }
        if self.language.name == "perl" {
            // `@_`
            let all = Value::list(args.to_vec());
            before.push(("$_".to_owned(), self.variables.insert("$_".to_owned(), all)));
        }
        let outer = self.returned.take();
        let last = self.run(&function.body);
        let value = std::mem::replace(&mut self.returned, outer).unwrap_or(last);
        for (name, value) in before {
            match value {
                Some(value) => self.variables.insert(name, value),
                None => self.variables.remove(&name),
            };
        }
        self.nested -= 1;
        value
    }

    /// Goes through code that the program makes, in its own names. Nothing when it is too deep.
    pub(super) fn inner(&mut self, text: &str) -> Option<Value> {
        if self.nested >= NESTED || !self.step(text.len().saturating_mul(16)) {
            self.find(Hard::TooMuch, "code in code, deeper than is followed");
            return None;
        }
        self.nested += 1;
        let program = (self.language.parse)(text);
        let value = self.run(&program.body);
        self.nested -= 1;
        Some(value)
    }

    /// Notes an effect of its own.
    pub(super) fn effect(
        &mut self,
        (kind, harm): (Kind, Harm),
        target: Target,
        rule: &'static str,
        why: &'static str,
    ) {
        let effect = Effect::new(kind, harm, target, rule, why);
        if !self.outcome.effects.contains(&effect) && self.outcome.effects.len() < 256 {
            self.outcome.effects.push(effect);
        }
    }

    /// Notes what makes it hard to read.
    pub(super) fn find(&mut self, hard: Hard, text: &str) {
        let finding = Finding {
            hard,
            span: Span::default(),
            text: text.replace(UNKNOWN, "…"),
        };
        if !self.outcome.findings.contains(&finding) && self.outcome.findings.len() < 64 {
            self.outcome.findings.push(finding);
        }
    }
}

/// `a.b.c` of names alone.
pub(super) fn dotted(expr: &Expr) -> Option<String> {
    let mut parts = Vec::new();
    let mut at = expr;
    loop {
        match at {
            Expr::Attribute(object, name) => {
                parts.push(name.as_str());
                at = object;
            }
            Expr::Name(name) => {
                parts.push(name);
                break;
            }
            _ => return None,
        }
    }
    parts.reverse();
    Some(parts.join("."))
}
