// SPDX-License-Identifier: Apache-2.0
//! Operands: names, strings, lists, objects, functions without a name.

use super::super::super::word::UNKNOWN;
use super::super::syntax::Expr;
use super::Kind;
use super::parser::{DEPTH, LOOPS, PLAIN, Parser, SKIPPED, parse};
use super::tokens::{Piece, Token};
use crate::list::is_any;

impl Parser {
    /// One operand and all that is done with it.
    pub(super) fn operand(&mut self) -> Expr {
        while self.word().is_some_and(|word| is_any(SKIPPED, word)) {
            let followed = matches!(
                self.after(1),
                Some(Token::Operator("=" | "." | "(" | "," | ")" | ";")) | None
            );
            if followed && !matches!(self.after(1), Some(Token::Operator("("))) {
                break;
            }
            self.at += 1;
        }
        if let Some(Token::Operator(
            "!" | "-" | "+" | "\\" | "&" | "~" | "++" | "--" | "*" | "**" | "<" | "@",
        )) = self.token()
        {
            let negative = self.is("-");
            self.at += 1;
            let inner = self.nest(Self::operand);
            return match inner {
                Expr::Number(number) if negative => Expr::Number(number.wrapping_neg()),
                inner => inner,
            };
        }
        if self.eat("...") {
            return Expr::Spread(Box::new(self.nest(Self::operand)));
        }
        let mut value = self.primary();
        let mut links = 0;
        while let Some(next) = self.postfix(&mut value) {
            links += 1;
            value = self.link(next, links);
        }
        value
    }

    /// A chain of calls or operators is as deep as it is long, so it is begun anew when too long.
    pub(super) fn link(&mut self, value: Expr, links: usize) -> Expr {
        let long = links.is_multiple_of(LINKS);
        self.cut |= long;
        if long { Expr::nothing() } else { value }
    }

    /// Something deeper, if that is not too deep.
    pub(super) fn nest(&mut self, inner: impl FnOnce(&mut Self) -> Expr) -> Expr {
        if self.depth >= DEPTH {
            self.cut = true;
            self.at += 1;
            return Expr::nothing();
        }
        self.depth += 1;
        let value = inner(self);
        self.depth -= 1;
        value
    }

    pub(super) fn primary(&mut self) -> Expr {
        let Some(token) = self.token().cloned() else {
            return Expr::nothing();
        };
        match token {
            Token::Name(name) => self.name(&name),
            Token::Text(pieces) => {
                self.at += 1;
                self.pieces(&pieces)
            }
            Token::Shell(pieces) => {
                self.at += 1;
                Expr::Shell(Box::new(self.pieces(&pieces)))
            }
            Token::Words(words) => {
                self.at += 1;
                Expr::List(words.into_iter().map(Expr::Text).collect())
            }
            Token::Code(code) => {
                self.at += 1;
                Expr::call(Expr::Name("eval".to_owned()), vec![Expr::Text(code)])
            }
            Token::Number(number) => {
                self.at += 1;
                Expr::Number(number)
            }
            Token::Operator("(") => self.parenthesis(),
            Token::Operator("[") => {
                self.at += 1;
                Expr::List(self.arguments("]").0)
            }
            Token::Operator("{") => self.braces(),
            Token::Operator("->") if self.dialect.kind == Kind::Ruby => {
                self.at += 1;
                let params = self.parameters();
                self.nest(|parser| parser.function(params))
            }
            Token::Operator(")" | "]" | "}" | ";" | ",") | Token::Line => Expr::nothing(),
            Token::Constant | Token::Operator(_) => {
                self.at += 1;
                Expr::nothing()
            }
        }
    }

    /// `( … )`, or the parameters of an arrow function.
    pub(super) fn parenthesis(&mut self) -> Expr {
        let start = self.at;
        if self.dialect.kind == Kind::Node {
            let params = self.parameters();
            if self.eat("=>") {
                return self.nest(|parser| parser.function(params));
            }
            self.at = start;
        }
        self.at += 1;
        let (mut parts, named) = self.arguments(")");
        if parts.len() == 1 && named.is_empty() {
            return parts.pop().unwrap_or_else(Expr::nothing);
        }
        if !named.is_empty() && parts.is_empty() {
            let pairs = named.into_iter();
            return Expr::Map(
                pairs
                    .map(|(name, value)| (Expr::Text(name), value))
                    .collect(),
            );
        }
        parts.extend(named.into_iter().map(|(_, value)| value));
        Expr::List(parts)
    }

    /// An object, or a block where a value is expected.
    pub(super) fn braces(&mut self) -> Expr {
        let start = self.at;
        self.at += 1;
        self.lines();
        let key = matches!(
            self.token(),
            Some(Token::Name(_) | Token::Text(_) | Token::Number(_))
        ) && matches!(
            self.after(1),
            Some(Token::Operator(":" | "=>" | "," | "}" | "="))
        );
        let empty = self.is("}");
        if key || empty || self.is("[") || self.is("...") {
            let (parts, named) = self.arguments("}");
            let mut pairs: Vec<(Expr, Expr)> = named
                .into_iter()
                .map(|(name, value)| (Expr::Text(name), value))
                .collect();
            for part in parts {
                pairs.push(match &part {
                    Expr::Name(name) => (Expr::Text(name.clone()), part),
                    _ => (Expr::nothing(), part),
                });
            }
            return Expr::Map(pairs);
        }
        self.at = start;
        self.block(false)
    }

    /// Values up to what closes them; those with a name apart.
    pub(super) fn arguments(&mut self, close: &str) -> (Vec<Expr>, Vec<(String, Expr)>) {
        let mut args = Vec::new();
        let mut named = Vec::new();
        if self.depth >= DEPTH {
            self.cut = true;
            return (args, named);
        }
        self.depth += 1;
        let outer = (
            std::mem::take(&mut self.bare),
            std::mem::take(&mut self.head),
        );
        while self.token().is_some() && !self.is(close) {
            let before = self.at;
            self.lines();
            if self.is(close) {
                break;
            }
            match self.label() {
                Some(name) => {
                    let value = self.expression();
                    named.push((name, value));
                }
                None => args.push(self.expression()),
            }
            if !self.eat(",")
                && !self.is(close)
                && (self.at == before
                    || self.is(";")
                    || self.is("}")
                    || self.is(")")
                    || self.is("]"))
            {
                self.at += 1;
            }
        }
        self.eat(close);
        (self.bare, self.head) = outer;
        self.depth -= 1;
        (args, named)
    }

    /// `name:` or `name =>`
    pub(super) fn label(&mut self) -> Option<String> {
        let name = match self.token()? {
            Token::Name(name) if !name.starts_with('$') => name.clone(),
            Token::Text(pieces) => match pieces.as_slice() {
                [Piece::Const(text)] => text.clone(),
                _ => return None,
            },
            _ => return None,
        };
        let arrow = matches!(self.after(1), Some(Token::Operator("=>")));
        let colon = matches!(self.after(1), Some(Token::Operator(":")))
            && matches!(self.dialect.kind, Kind::Node | Kind::Ruby);
        let is =
            matches!(self.after(1), Some(Token::Operator("="))) && self.dialect.kind == Kind::Lua;
        let arrow = arrow && self.dialect.kind != Kind::Node;
        if !(arrow || colon || is) {
            return None;
        }
        self.at += 2;
        Some(name)
    }

    pub(super) fn name(&mut self, name: &str) -> Expr {
        if name == "function"
            || (name == "fn" && self.dialect.kind == Kind::Php)
            || (name == "sub" && self.dialect.kind == Kind::Perl)
        {
            return self.nest(Self::definition);
        }
        // A block of statements where a value is expected: `x = if a then … end`.
        if matches!(name, "do" | "eval" | "try" | "begin")
            && matches!(self.after(1), Some(Token::Operator("{")))
        {
            self.at += 1;
            return self.block(false);
        }
        self.at += 1;
        if name.contains(UNKNOWN) {
            return Expr::nothing();
        }
        match name {
            "true" | "True" => return Expr::Truth(true),
            "false" | "null" | "undefined" | "nil" => return Expr::Truth(false),
            _ => {}
        }
        if self.dialect.kind == Kind::Node && self.eat("=>") {
            let params = vec![(name.to_owned(), None)];
            return self.nest(|parser| parser.function(params));
        }
        let value = Expr::Name(name.to_owned());
        if self.dialect.bare_calls && is_any(ALONE, name) && !self.is("(") {
            return Expr::call(value, Vec::new());
        }
        if self.dialect.kind == Kind::Perl && name == "shift" && !self.is("(") {
            let all = Box::new(Expr::Name("$_".to_owned()));
            return Expr::Index(all, Box::new(Expr::Number(0)));
        }
        if self.bare_arguments(name) {
            return self.nest(|parser| parser.bare_call(value));
        }
        value
    }

    /// Whether arguments follow a name without parentheses.
    pub(super) fn bare_arguments(&self, name: &str) -> bool {
        let Some(next) = self.tokens.get(self.at) else {
            return false;
        };
        let word = is_any(PLAIN, name) || is_any(LOOPS, name) || name.starts_with(['$', '@']);
        if !self.dialect.bare_calls || word {
            return false;
        }
        match (&next.token, self.dialect.kind) {
            (Token::Text(_), Kind::Lua) => true,
            (_, Kind::Lua) => false,
            (_, Kind::Php)
                if !is_any("echo print include include_once require require_once", name) =>
            {
                false
            }
            (Token::Name(word), _) => {
                let between = self.dialect.kind == Kind::Perl && is_any(BETWEEN, word);
                next.spaced && !between && !is_any(PLAIN, word) && !self.modifier(word)
            }
            (
                Token::Text(_)
                | Token::Shell(_)
                | Token::Words(_)
                | Token::Number(_)
                | Token::Constant,
                _,
            ) => true,
            (Token::Operator("["), Kind::Ruby) => next.spaced,
            (Token::Operator("\\"), Kind::Perl) => true,
            (Token::Operator("*" | "-" | "<" | "&" | "->"), Kind::Ruby) => {
                next.spaced
                    && self
                        .tokens
                        .get(self.at + 1)
                        .is_some_and(|after| !after.spaced)
            }
            _ => false,
        }
    }

    /// A string and what is put into it.
    pub(super) fn pieces(&mut self, pieces: &[Piece]) -> Expr {
        if let [Piece::Const(text)] = pieces {
            return Expr::Text(text.clone());
        }
        let mut parts = vec![Expr::Text(String::new())];
        for piece in pieces {
            match piece {
                Piece::Const(text) => parts.push(Expr::Text(text.clone())),
                Piece::Code(code) if self.nested < NESTED => {
                    let program = parse(code, self.dialect, self.nested + 1);
                    self.cut |= program.cut;
                    parts.push(Expr::Block(program.body));
                }
                Piece::Code(_) => {
                    self.cut = true;
                    parts.push(Expr::nothing());
                }
            }
        }
        Expr::Add(parts)
    }
}

/// How deep code in strings is followed.
const NESTED: u32 = 3;

/// Most calls or operators in a chain.
const LINKS: usize = 64;

/// Operators of Perl that look like names.
const BETWEEN: &str = "x eq ne lt gt le ge cmp isa";

/// Functions that are called by their name alone.
const ALONE: &str = "fork gets readlines cwd getcwd";
