// SPDX-License-Identifier: Apache-2.0
//! What an expression comes to, as far as that is known before it runs.

use std::rc::Rc;

use super::super::word::{Arg, Stream, Taint, UNKNOWN};
use super::syntax::Function;

/// Longest text that is put together. More is not known.
pub(super) const TEXT: usize = 64 << 10;

/// Most parts of a list that are kept.
pub(super) const PARTS: usize = 4096;

/// Most values that are kept for a name given several.
const CHOICES: usize = 8;

/// How deep values are nested in others. What is deeper is not known.
const DEPTH: u32 = 16;

/// A value and where it came from.
#[derive(Clone, Debug, Default)]
pub(super) struct Value {
    /// What it is.
    pub(super) shape: Shape,
    /// Where it came from.
    pub(super) taint: Taint,
    /// It stands for all names that match it.
    pub(super) glob: bool,
    /// How deep its parts are nested, which is bounded since a program can nest without end.
    depth: u32,
}

/// What a value is.
#[derive(Clone, Debug, Default)]
pub(super) enum Shape {
    /// Not known.
    #[default]
    Unknown,
    /// Text or bytes, [`UNKNOWN`] for parts that are not known.
    Text(Rc<str>),
    /// A whole number.
    Number(i64),
    /// True or false.
    Truth(bool),
    /// Several, in order.
    List(Rc<[Value]>),
    /// Several by name.
    Map(Rc<[(String, Value)]>),
    /// A function, module or class that the program does not define: `os.system`.
    Name(Rc<str>),
    /// What a call of such a name gave: an open file, a connection, a path.
    Object(Rc<Object>),
    /// A function of the program.
    Function(Rc<Function>),
    /// One of these.
    Either(Rc<[Value]>),
}

/// What a call gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    /// The name that was called, and the methods called on it since.
    pub(super) class: String,
    /// With what.
    pub(super) args: Vec<Value>,
    /// With what by name.
    pub(super) named: Vec<(String, Value)>,
}

impl Value {
    fn of(shape: Shape) -> Self {
        Self {
            shape,
            ..Self::default()
        }
    }

    /// Known text, or nothing known when it is too long.
    pub(super) fn text(text: &str) -> Self {
        if text.len() > TEXT {
            return Self::default();
        }
        Self::of(Shape::Text(text.into()))
    }

    /// A number.
    pub(super) fn number(number: i64) -> Self {
        Self::of(Shape::Number(number))
    }

    /// True or false.
    pub(super) fn truth(truth: bool) -> Self {
        Self::of(Shape::Truth(truth))
    }

    /// A list; it is tainted by what its parts are.
    pub(super) fn list(mut parts: Vec<Self>) -> Self {
        parts.truncate(PARTS);
        let empty = Self::default().over(&parts);
        empty.holding(Shape::List(parts.into()))
    }

    /// As deep as something that has these parts, and tainted by them.
    fn over<'a>(mut self, parts: impl IntoIterator<Item = &'a Self>) -> Self {
        for part in parts {
            self.depth = self.depth.max(part.depth.saturating_add(1));
            self.taint.join(&part.taint);
        }
        self
    }

    /// With this shape, unless it is too deep.
    fn holding(mut self, shape: Shape) -> Self {
        if self.depth <= DEPTH {
            self.shape = shape;
        }
        self
    }

    /// A map; it is tainted by what its parts are.
    pub(super) fn map(mut parts: Vec<(String, Self)>) -> Self {
        parts.truncate(PARTS);
        let empty = Self::default().over(parts.iter().map(|(_, part)| part));
        empty.holding(Shape::Map(parts.into()))
    }

    /// A name of the language or a library.
    pub(super) fn name(name: &str) -> Self {
        Self::of(Shape::Name(name.into()))
    }

    /// A function of the program.
    pub(super) fn function(function: Rc<Function>) -> Self {
        Self::of(Shape::Function(function))
    }

    /// What calling a name gave.
    pub(super) fn object(class: &str, args: Vec<Self>) -> Self {
        Self::made(Object {
            class: class.to_owned(),
            args,
            named: Vec::new(),
        })
    }

    /// An object.
    pub(super) fn made(object: Object) -> Self {
        let named = object.named.iter().map(|(_, part)| part);
        let mut empty = Self::default().over(object.args.iter().chain(named));
        // What taints an object is said by whoever makes it.
        empty.taint = Taint::default();
        empty.holding(Shape::Object(Rc::new(object)))
    }

    /// Not known but for where it came from.
    pub(super) fn unknown(taint: Taint) -> Self {
        Self {
            taint,
            ..Self::default()
        }
    }

    /// One of two, flat and without repetition.
    pub(super) fn either(self, other: Self) -> Self {
        let mut parts: Vec<Self> = Vec::new();
        let others = other.into_choices().into_iter();
        for value in self.into_choices().into_iter().chain(others) {
            let text = value.known();
            let seen = parts
                .iter()
                .any(|part| text.is_some() && part.known() == text);
            if !seen && parts.len() < CHOICES {
                parts.push(value);
            }
        }
        if parts.len() < 2 {
            return parts.pop().unwrap_or_default();
        }
        let empty = Self::default().over(&parts);
        empty.holding(Shape::Either(parts.into()))
    }

    fn into_choices(self) -> Vec<Self> {
        match &self.shape {
            Shape::Either(parts) => parts.to_vec(),
            _ => vec![self],
        }
    }

    /// All that it may be.
    pub(super) fn choices(&self) -> Vec<Self> {
        match &self.shape {
            Shape::Either(parts) => parts.to_vec(),
            _ => vec![self.clone()],
        }
    }

    /// With more taint.
    #[must_use]
    pub(super) fn tainted(mut self, taint: &Taint) -> Self {
        self.taint.join(taint);
        self
    }

    /// Made unreadable to a person on its way.
    #[must_use]
    pub(super) fn decoded(mut self) -> Self {
        self.taint.decoded = true;
        self
    }

    /// Standing for all names that match.
    #[must_use]
    pub(super) fn globbed(mut self) -> Self {
        self.glob = true;
        self
    }

    /// Its text when it is text or a number, parts of it not known perhaps.
    pub(super) fn as_text(&self) -> Option<String> {
        match &self.shape {
            Shape::Text(text) => Some(text.to_string()),
            Shape::Number(number) => Some(number.to_string()),
            Shape::Object(object) if is_path(&object.class) || object.class == READ => {
                object.args.first()?.as_text()
            }
            _ => None,
        }
    }

    /// Its text when all of it is known.
    pub(super) fn known(&self) -> Option<String> {
        self.as_text().filter(|text| !text.contains(UNKNOWN))
    }

    /// Its text, [`UNKNOWN`] when it has none.
    pub(super) fn word(&self) -> String {
        match &self.shape {
            // `signal.SIGKILL` reads as its own name.
            Shape::Name(name) if name.contains("SIG") => {
                name.rsplit('.').next().unwrap_or_default().to_owned()
            }
            Shape::Name(name) if &**name == "subprocess.DEVNULL" => "/dev/null".to_owned(),
            _ => self.as_text().unwrap_or_else(|| UNKNOWN.to_string()),
        }
    }

    /// A word of a command.
    pub(super) fn arg(&self) -> Arg {
        let text = self.word();
        Arg {
            glob: self.glob && text.contains(['*', '?', '[']),
            text,
            taint: self.taint.clone(),
            ..Arg::default()
        }
    }

    /// What a command reads.
    pub(super) fn stream(&self) -> Stream {
        Stream {
            text: self.known(),
            taint: self.taint.clone(),
        }
    }

    /// Its parts when it is a list.
    pub(super) fn parts(&self) -> Option<&[Self]> {
        match &self.shape {
            Shape::List(parts) => Some(parts),
            _ => None,
        }
    }

    /// Its number.
    pub(super) fn as_number(&self) -> Option<i64> {
        match &self.shape {
            Shape::Number(number) => Some(*number),
            Shape::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The object.
    pub(super) fn as_object(&self) -> Option<&Object> {
        match &self.shape {
            Shape::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Certainly false, absent or zero.
    pub(super) fn is_false(&self) -> bool {
        matches!(self.shape, Shape::Truth(false) | Shape::Number(0))
    }
}

/// The class of what was read from a file: its text if that is known, and its path.
pub(super) const READ: &str = "file.read";

/// Classes that are nothing but the path they were made of.
pub(super) fn is_path(class: &str) -> bool {
    matches!(class, "pathlib.Path" | "Pathname" | "URI" | "URL")
}
