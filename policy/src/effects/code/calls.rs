// SPDX-License-Identifier: Apache-2.0
//! What a call comes to: a function of the program is entered, one without effects is computed,
//! one that the tables know acts, and any other passes on what it was given.

use super::super::word::Taint;
use super::fold;
use super::functions;
use super::machine::{Machine, dotted};
use super::methods;
use super::remote;
use super::syntax::{Expr, Invocation};
use super::value::{Object, Shape, Value};

/// What a call is made with.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    /// What a method is called on.
    pub(super) this: Option<Value>,
    /// By place.
    pub(super) args: Vec<Value>,
    /// By name.
    pub(super) named: Vec<(String, Value)>,
}

impl Given {
    /// By place alone.
    pub(super) fn of(args: Vec<Value>) -> Self {
        Self {
            args,
            ..Self::default()
        }
    }

    /// A value by its name, or by a name in a map that is an argument: JavaScript's options.
    pub(super) fn named(&self, name: &str) -> Option<Value> {
        let found = self.named.iter().find(|(key, _)| key == name);
        if let Some((_, value)) = found {
            return Some(value.clone());
        }
        let mut maps = self.args.iter().filter_map(|arg| match &arg.shape {
            Shape::Map(parts) => parts.iter().find(|(key, _)| key == name),
            _ => None,
        });
        maps.next().map(|(_, value)| value.clone())
    }

    /// Where all of it came from.
    pub(super) fn taint(&self) -> Taint {
        let mut taint = fold::taint_of(self.args.iter().chain(self.this.iter()));
        taint.join(&fold::taint_of(self.named.iter().map(|(_, value)| value)));
        taint
    }
}

impl Machine<'_> {
    /// A call in the program.
    pub(super) fn invoke(&mut self, call: &Invocation) -> Value {
        if let Expr::Attribute(object, method) = &call.callee {
            let own = dotted(&call.callee).and_then(|path| self.variable(&path).cloned());
            if own.is_none() {
                let this = self.eval(object);
                let given = self.given(call, Some(this.clone()));
                self.changes(object, &this, method, &given);
                return self.method(&this, method, &given);
            }
        }
        let callee = self.eval(&call.callee);
        let given = self.given(call, None);
        self.apply(&callee, &given)
    }

    fn given(&mut self, call: &Invocation, this: Option<Value>) -> Given {
        let mut args = Vec::new();
        let mut named = Vec::new();
        for part in &call.args {
            let value = self.eval(part);
            match (part, &value.shape) {
                (Expr::Spread(_), Shape::List(parts)) => args.extend(parts.iter().cloned()),
                (Expr::Spread(_), Shape::Map(parts)) => named.extend(parts.iter().cloned()),
                _ => args.push(self.data(value)),
            }
        }
        for (name, value) in &call.named {
            let value = self.eval(value);
            named.push((name.clone(), self.data(value)));
        }
        Given { this, args, named }
    }

    /// Lists that a method makes longer.
    fn changes(&mut self, object: &Expr, this: &Value, method: &str, given: &Given) {
        let (Some(name), Some(parts)) = (dotted(object), this.parts()) else {
            return;
        };
        let mut parts = parts.to_vec();
        match (method, given.args.first()) {
            ("append" | "push" | "add", _) => parts.extend_from_slice(&given.args),
            ("extend" | "concat", Some(more)) => {
                parts.extend_from_slice(more.parts().unwrap_or_default());
            }
            ("insert" | "unshift", _) => {
                let at = given.args.first().and_then(Value::as_number).unwrap_or(0);
                let at = usize::try_from(at).unwrap_or(0).min(parts.len());
                parts.insert(at, given.args.last().cloned().unwrap_or_default());
            }
            _ => return,
        }
        self.set(&name, Value::list(parts));
    }

    /// Calls a value.
    pub(super) fn apply(&mut self, callee: &Value, given: &Given) -> Value {
        match &callee.shape {
            Shape::Function(function) => {
                let function = std::rc::Rc::clone(function);
                self.enter(&function, &given.args, &given.named)
            }
            Shape::Name(name) => {
                let name = name.to_string();
                self.name(&name, given)
            }
            // `$f = 'system'; $f('ls')`
            Shape::Text(name) => {
                let name = self.language.canonical(name);
                self.name(&name, given)
            }
            Shape::Object(object) => {
                let class = object.class.clone();
                let mut given = given.clone();
                given.this = Some(callee.clone());
                self.name(&class, &given)
            }
            Shape::Either(choices) => {
                let choices = choices.iter().cloned();
                let values: Vec<Value> = choices.map(|choice| self.apply(&choice, given)).collect();
                values.into_iter().reduce(Value::either).unwrap_or_default()
            }
            _ => {
                self.printed = None;
                self.callbacks("", given);
                Value::unknown(given.taint()).tainted(&callee.taint)
            }
        }
    }

    /// Calls a method.
    pub(super) fn method(&mut self, this: &Value, name: &str, given: &Given) -> Value {
        if let Shape::Either(choices) = &this.shape {
            let choices = choices.iter().cloned();
            let values: Vec<Value> = choices
                .map(|choice| self.method(&choice, name, given))
                .collect();
            return values.into_iter().reduce(Value::either).unwrap_or_default();
        }
        if let (Some(text), "format") = (this.as_text(), name) {
            let text = fold::brace_format(&text, &given.args, &given.named);
            return Value::text(&text).tainted(&given.taint());
        }
        if let Some(value) = self.through(this, name, given) {
            return value;
        }
        if let Some(value) = methods::method(this, name, &given.args, self.call) {
            return value;
        }
        match &this.shape {
            Shape::Name(on) if functions::is_environment(on) => {
                let key = given.args.first().and_then(Value::known);
                functions::environment(key.as_deref(), self.call)
            }
            // `exec.call(null, 'id')`, `method(:system).call('id')`
            Shape::Name(_) if matches!(name, "call" | "apply") && self.callable(this) => {
                let object = usize::from(self.language.name == "node");
                let args = given.args.iter().skip(object);
                let args = args.flat_map(|arg| match (name, arg.parts()) {
                    ("apply", Some(parts)) => parts.to_vec(),
                    _ => vec![arg.clone()],
                });
                self.apply(this, &Given::of(args.collect()))
            }
            Shape::Name(on) => {
                let whole = self.language.canonical(&format!("{on}.{name}"));
                let mut given = given.clone();
                given.this = None;
                self.name(&whole, &given)
            }
            Shape::Object(on) => {
                let class = self.language.canonical(&format!("{}.{name}", on.class));
                self.name(&class, given)
            }
            Shape::Function(function) if matches!(name, "call" | "apply" | "bind") => {
                let function = std::rc::Rc::clone(function);
                self.enter(&function, &given.args, &given.named)
            }
            Shape::Map(_) if fold::index(this, &Value::text(name)).is_some() => {
                let callee = fold::index(this, &Value::text(name)).unwrap_or_default();
                self.apply(&callee, given)
            }
            _ => self.name(&format!("?.{name}"), given),
        }
    }

    /// Methods that call what they are given with each part of what they are called on.
    fn through(&mut self, this: &Value, name: &str, given: &Given) -> Option<Value> {
        let callback = given.args.last().filter(|arg| self.callable(arg))?.clone();
        let parts = match &this.shape {
            Shape::List(_) | Shape::Text(_) | Shape::Unknown => fold::elements(this),
            Shape::Object(_) if !this.taint.eq(&Taint::default()) => None,
            _ => return None,
        };
        let known = parts.is_some();
        let parts = parts.unwrap_or_else(|| vec![Value::unknown(this.taint.clone())]);
        self.loops += 1;
        let values: Vec<Value> = parts
            .into_iter()
            .take(256)
            .map(|part| {
                let part = part.tainted(&this.taint);
                self.apply(&callback, &Given::of(vec![part]))
            })
            .collect();
        self.loops -= 1;
        Some(match name {
            "map" | "collect" | "flat_map" | "flatMap" if known => Value::list(values),
            "then" => values.into_iter().next().unwrap_or_default(),
            _ => this.clone(),
        })
    }

    /// Whether a value is a function: the program's, or one the tables say something of.
    fn callable(&self, value: &Value) -> bool {
        match &value.shape {
            Shape::Function(_) => true,
            Shape::Name(name) => self.language.row(name).is_some(),
            // PHP hands functions over by their names.
            Shape::Text(name) => self.language.name == "php" && self.language.row(name).is_some(),
            _ => false,
        }
    }

    /// Calls a name that the program does not define.
    pub(super) fn name(&mut self, name: &str, given: &Given) -> Value {
        if let Some(row) = self.language.row(name) {
            return self.act(name, row, given);
        }
        if let Some(value) = remote::call(self, name, given) {
            return value;
        }
        self.printed = None;
        if let Some(value) = self.callbacks(name, given) {
            return value;
        }
        let args = match given.this.as_ref().and_then(Value::as_object) {
            // `client('s3').bucket('x')`: all that it was made with.
            Some(object) => [object.args.as_slice(), given.args.as_slice()].concat(),
            None => given.args.clone(),
        };
        if name.starts_with("?.") {
            return Value::unknown(given.taint());
        }
        let object = Object {
            class: name.strip_suffix(".new").unwrap_or(name).to_owned(),
            args: args.into_iter().take(16).collect(),
            named: given.named.clone(),
        };
        Value::made(object).tainted(&given.taint())
    }

    /// Functions that were handed over are called with what was handed over with them:
    /// `Thread(target=f, args=(x,))`, `map(f, xs)`, `submit(f, x)`.
    fn callbacks(&mut self, name: &str, given: &Given) -> Option<Value> {
        let named = given.named.iter().map(|(_, value)| value);
        let all: Vec<Value> = given.args.iter().chain(named).cloned().collect();
        let (functions, rest): (Vec<Value>, Vec<Value>) =
            all.into_iter().partition(|value| self.callable(value));
        let maps = name.rsplit('.').next().is_some_and(|last| {
            matches!(
                last,
                "map" | "imap" | "filter" | "starmap" | "array_map" | "for_each"
            )
        });
        let mut result = None;
        for function in functions.into_iter().take(4) {
            let parts = rest.first().and_then(fold::elements);
            if let (true, Some(parts)) = (maps, parts) {
                let values = parts.into_iter().take(512);
                let values: Vec<Value> = values
                    .map(|part| self.apply(&function, &Given::of(vec![part])))
                    .collect();
                result = Some(Value::list(values));
                continue;
            }
            let flat: Vec<Value> = rest
                .iter()
                .flat_map(|value| match value.parts() {
                    Some(parts) => parts.to_vec(),
                    None => vec![value.clone()],
                })
                .take(16)
                .collect();
            // A library's function with nothing to act on is only spoken of.
            if !flat.is_empty() || matches!(function.shape, Shape::Function(_)) {
                let taint = given.this.as_ref().map(|this| this.taint.clone());
                let flat = match taint {
                    Some(taint) if flat.is_empty() => vec![Value::unknown(taint)],
                    _ => flat,
                };
                self.apply(&function, &Given::of(flat));
            }
        }
        result
    }
}
