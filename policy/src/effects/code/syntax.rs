// SPDX-License-Identifier: Apache-2.0
//! The little that is kept of a program's syntax, the same for every language: what matters is
//! which calls are made with which words.

use std::rc::Rc;

/// An expression or statement.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    /// A string, its escapes resolved.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `True` or `False`.
    Truth(bool),
    /// A variable, function or module, dots in between: `os`, `File.Path`.
    Name(String),
    /// A list, tuple or set.
    List(Vec<Expr>),
    /// A dictionary or object.
    Map(Vec<(Expr, Expr)>),
    /// Text, lists or numbers put together from left to right: `a + b + c`, `f"{a}{b}"`.
    Add(Vec<Expr>),
    /// Another operator between two.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `object.name`
    Attribute(Box<Expr>, String),
    /// `object[key]`
    Index(Box<Expr>, Box<Expr>),
    /// `object[start:end:step]`
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    /// A call.
    Call(Box<Invocation>),
    /// A command between back quotes.
    Shell(Box<Expr>),
    /// A function without a name, or the value a name is given.
    Function(Rc<Function>),
    /// A value given to a name, or its parts to several.
    Assign(Vec<Expr>, Box<Expr>),
    /// One of these: `a if c else b`, `a or b`.
    Either(Vec<Expr>),
    /// Statements that may run or not.
    Maybe {
        /// What may run.
        body: Vec<Expr>,
        /// It may run again and again.
        loops: bool,
    },
    /// Statements for each part of something.
    Each {
        /// The names that a part is given to.
        names: Vec<Expr>,
        /// What has the parts.
        over: Box<Expr>,
        /// What runs.
        body: Vec<Expr>,
        /// The values of the body are kept as a list.
        collects: bool,
    },
    /// Statements.
    Block(Vec<Expr>),
    /// What a function gives back.
    Return(Box<Expr>),
    /// `*args`: its parts stand for themselves.
    Spread(Box<Expr>),
    /// Anything else: its parts are looked at, its value is not known.
    Other(Vec<Expr>),
}

impl Expr {
    /// Nothing that is known.
    pub(super) fn nothing() -> Self {
        Self::Other(Vec::new())
    }

    /// A call without named arguments.
    pub(super) fn call(callee: Self, args: Vec<Self>) -> Self {
        Self::Call(Box::new(Invocation {
            callee,
            args,
            named: Vec::new(),
        }))
    }
}

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    /// What is called.
    pub(super) callee: Expr,
    /// By place.
    pub(super) args: Vec<Expr>,
    /// By name.
    pub(super) named: Vec<(String, Expr)>,
}

/// A function.
#[derive(Debug, Default)]
pub(super) struct Function {
    /// Its parameters and their values when none is given.
    pub(super) params: Vec<(String, Option<Expr>)>,
    /// What it does.
    pub(super) body: Vec<Expr>,
}

/// A program as far as it was understood.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// Its statements.
    pub(super) body: Vec<Expr>,
    /// Parts of it are no such language.
    pub(super) broken: bool,
    /// It was too long or too deep to be read in whole.
    pub(super) cut: bool,
}
