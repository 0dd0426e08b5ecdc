// SPDX-License-Identifier: Apache-2.0
//! Names of a program and the values they have: given, looked up, taken apart.

use super::fold;
use super::functions;
use super::machine::{Machine, dotted};
use super::methods;
use super::syntax::Expr;
use super::value::{Shape, Value};

impl Machine<'_> {
    /// A value that is passed on: the environment's name stands for all that is in it.
    pub(super) fn data(&self, value: Value) -> Value {
        match &value.shape {
            Shape::Name(name) if functions::is_environment(name) => {
                functions::environment(None, self.call)
            }
            _ => value,
        }
    }

    pub(super) fn lookup(&self, name: &str) -> Value {
        if let Some(value) = self.variables.get(name) {
            return value.clone();
        }
        if let Some(value) = self.language.arguments(name, self.call) {
            return value;
        }
        let known = self.wildcards.iter().find_map(|module| {
            let whole = format!("{module}.{name}");
            self.language.row(&whole).map(|_| Value::name(&whole))
        });
        known.unwrap_or_else(|| Value::name(&self.language.canonical(name)))
    }

    /// The value of a name that the program gave, if it did.
    pub(super) fn variable(&self, name: &str) -> Option<&Value> {
        self.variables.get(name)
    }

    /// All names of a module stand for themselves from now on.
    pub(super) fn import_all(&mut self, module: &str) {
        if self.wildcards.len() < 16 {
            self.wildcards.push(self.language.canonical(module));
        }
    }

    /// Gives a name a value; in a branch it may have kept the one it had.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        let value = match self.variables.get(name) {
            Some(before) if self.branches > 0 => value.either(before.clone()),
            _ => value,
        };
        self.variables.insert(name.to_owned(), value);
    }

    pub(super) fn assign(&mut self, names: &[Expr], value: &Value) {
        if let [name] = names {
            self.bind(name, value.clone());
            return;
        }
        for (index, name) in names.iter().enumerate() {
            let part = value.parts().and_then(|parts| parts.get(index));
            let part = part.cloned();
            let unknown = || Value::unknown(value.taint.clone());
            self.bind(name, part.unwrap_or_else(unknown));
        }
    }

    pub(super) fn bind(&mut self, name: &Expr, value: Value) {
        match name {
            Expr::Name(name) => self.set(name, value),
            Expr::Attribute(..) => {
                if let Some(path) = dotted(name) {
                    self.set(&path, value);
                }
            }
            Expr::List(names) => self.assign(names, &value),
            // `const {exec, spawn: run} = require('child_process')`
            Expr::Map(pairs) => {
                for (key, name) in pairs {
                    if let Expr::Text(key) = key {
                        let part = self.attribute(&value, key);
                        self.bind(name, part);
                    }
                }
            }
            Expr::Spread(name) | Expr::Assign(_, name) => self.bind(name, value),
            Expr::Other(parts) => {
                for part in parts.iter().take(1) {
                    self.bind(part, value.clone());
                }
            }
            _ => {}
        }
    }

    /// `object.name`
    pub(super) fn attribute(&mut self, object: &Value, name: &str) -> Value {
        if let Some(value) = methods::attribute(object, name) {
            return value;
        }
        match &object.shape {
            Shape::Name(_) if matches!(name, "__dict__" | "__globals__") => object.clone(),
            Shape::Name(on) if functions::is_environment(on) => {
                functions::environment(Some(name), self.call)
            }
            Shape::Name(on) => {
                let whole = self.language.canonical(&format!("{on}.{name}"));
                match self.language.arguments(&whole, self.call) {
                    Some(value) => value,
                    None => Value::name(&whole),
                }
            }
            Shape::Object(on) => {
                let class = format!("{}.{name}", on.class);
                Value::object(&class, on.args.clone()).tainted(&object.taint)
            }
            Shape::Either(choices) => {
                let parts: Vec<Value> = choices
                    .iter()
                    .map(|choice| self.attribute(choice, name))
                    .collect();
                parts.into_iter().reduce(Value::either).unwrap_or_default()
            }
            _ => Value::unknown(object.taint.clone()),
        }
    }

    pub(super) fn index(&mut self, object: &Value, key: &Value) -> Value {
        if let Some(value) = fold::index(object, key) {
            return value;
        }
        match (&object.shape, key.as_text()) {
            (Shape::Name(on), Some(key)) if functions::is_environment(on) => {
                functions::environment(Some(&key), self.call)
            }
            // `globals()['os']`, `sys.modules['os']`, `fs['rmSync']`
            (Shape::Name(on), Some(key)) if self.language.is_scope(on) => self.lookup(&key),
            (Shape::Name(_), Some(key)) => self.attribute(object, &key),
            _ => Value::unknown(fold::taint_of([object, key])),
        }
    }
}
