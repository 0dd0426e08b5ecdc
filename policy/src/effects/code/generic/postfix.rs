// SPDX-License-Identifier: Apache-2.0
//! What follows an operand: members, calls, indexes, blocks.

use std::rc::Rc;

use super::super::syntax::{Expr, Function, Invocation};
use super::Kind;
use super::parser::Parser;
use super::tokens::Token;

impl Parser {
    /// A member, a call or an index of what stands before.
    pub(super) fn postfix(&mut self, value: &mut Expr) -> Option<Expr> {
        // A statement goes on in the next line when that begins with a method.
        if self.token() == Some(&Token::Line) && self.continues() {
            self.lines();
        }
        let word = self.tokens.get(self.at)?;
        let spaced = word.spaced;
        let kind = self.dialect.kind;
        let takes_block = matches!(value, Expr::Call(_) | Expr::Attribute(..) | Expr::Name(_));
        let take = |value: &mut Expr| std::mem::replace(value, Expr::nothing());
        match word.token.clone() {
            Token::Operator(operator) if self.dialect.members.contains(&operator) => {
                self.member(take(value))
            }
            Token::Operator("(")
                if kind != Kind::Ruby || !spaced || matches!(value, Expr::Name(_)) =>
            {
                self.at += 1;
                let (args, named) = self.arguments(")");
                let callee = take(value);
                Some(Expr::Call(Box::new(Invocation {
                    callee,
                    args,
                    named,
                })))
            }
            Token::Operator("[") if !spaced || !self.dialect.bare_calls => {
                let object = take(value);
                Some(self.indexed(object))
            }
            Token::Operator("{")
                if kind == Kind::Perl
                    && matches!(value, Expr::Name(name) if name.starts_with('$'))
                    && !spaced =>
            {
                let key = self.key();
                Some(Expr::Index(Box::new(take(value)), Box::new(key)))
            }
            Token::Operator("{") if kind == Kind::Ruby && takes_block => {
                self.at += 1;
                self.ruby_block(take(value), "}")
            }
            Token::Name(name)
                if kind == Kind::Ruby && name == "do" && !self.head && takes_block =>
            {
                self.at += 1;
                self.ruby_block(take(value), "end")
            }
            // A tagged template, or Lua's way to leave out parentheses.
            Token::Text(pieces)
                if (kind == Kind::Node && !spaced) || (kind == Kind::Lua && takes_block) =>
            {
                self.at += 1;
                let text = self.pieces(&pieces);
                Some(Expr::call(take(value), vec![text]))
            }
            Token::Operator("++" | "--") => {
                self.at += 1;
                Some(take(value))
            }
            _ => None,
        }
    }

    /// `object[key]`
    fn indexed(&mut self, object: Expr) -> Expr {
        self.at += 1;
        let (mut args, _) = self.arguments("]");
        let key = args.pop().unwrap_or_else(Expr::nothing);
        match &object {
            Expr::Name(name) if self.dialect.kind == Kind::Ruby && name == "Dir" => {
                Expr::call(Expr::Name("Dir.glob".to_owned()), vec![key])
            }
            _ => Expr::Index(Box::new(object), Box::new(key)),
        }
    }

    /// `.name`, `->name`, `->[0]`, `->{key}`, `->(…)`
    pub(super) fn member(&mut self, object: Expr) -> Option<Expr> {
        self.at += 1;
        self.lines();
        match self.token().cloned() {
            Some(Token::Name(name)) => {
                self.at += 1;
                let value = match object {
                    // A class and its method are one name.
                    Expr::Name(class)
                        if self.dialect.kind == Kind::Php && !class.starts_with('$') =>
                    {
                        Expr::Name(format!("{class}.{name}"))
                    }
                    object => Expr::Attribute(Box::new(object), name.clone()),
                };
                if matches!(self.dialect.kind, Kind::Ruby)
                    && self.bare_arguments(&name)
                    && !self.is("[")
                    && !self.is("-")
                {
                    return Some(self.nest(|parser| parser.bare_call(value)));
                }
                // A method without arguments is called all the same.
                let called = self.is("(");
                let calls = matches!(self.dialect.kind, Kind::Ruby | Kind::Perl)
                    && !called
                    && !self.is("=");
                let block = self.is("{") || self.word() == Some("do");
                let constant = name.starts_with(|letter: char| letter.is_uppercase());
                Some(if calls && !block && !constant {
                    Expr::call(value, Vec::new())
                } else {
                    value
                })
            }
            Some(Token::Operator("[")) => {
                self.at += 1;
                let (mut args, _) = self.arguments("]");
                let key = args.pop().unwrap_or_else(Expr::nothing);
                Some(Expr::Index(Box::new(object), Box::new(key)))
            }
            Some(Token::Operator("{")) => {
                let key = self.key();
                Some(Expr::Index(Box::new(object), Box::new(key)))
            }
            Some(Token::Operator("(")) => {
                self.at += 1;
                let (args, _) = self.arguments(")");
                Some(Expr::call(object, args))
            }
            _ => Some(object),
        }
    }

    /// `{KEY}` after a variable of Perl.
    pub(super) fn key(&mut self) -> Expr {
        self.eat("{");
        let key = match (self.token().cloned(), self.after(1)) {
            (Some(Token::Name(name)), Some(Token::Operator("}"))) if !name.starts_with('$') => {
                self.at += 1;
                Expr::Text(name)
            }
            _ => self.expression(),
        };
        self.eat("}");
        key
    }

    /// `{ |x| … }` or `do |x| … end` after a call.
    pub(super) fn ruby_block(&mut self, callee: Expr, end: &'static str) -> Option<Expr> {
        let mut params = Vec::new();
        if self.eat("|") {
            while let Some(token) = self.token().cloned() {
                self.at += 1;
                match token {
                    Token::Name(name) => params.push((name, None)),
                    Token::Operator("|") => break,
                    _ => {}
                }
            }
        }
        let body = self.statements(&[end]);
        if !self.eat(end) {
            self.eat_word(&[end]);
        }
        let function = Expr::Function(Rc::new(Function { params, body }));
        let mut call = match callee {
            Expr::Call(call) => *call,
            callee => Invocation {
                callee,
                args: Vec::new(),
                named: Vec::new(),
            },
        };
        call.args.push(function);
        Some(Expr::Call(Box::new(call)))
    }

    pub(super) fn bare_call(&mut self, callee: Expr) -> Expr {
        let mut call = Invocation {
            callee,
            args: Vec::new(),
            named: Vec::new(),
        };
        let outer = std::mem::replace(&mut self.bare, true);
        loop {
            match self.label() {
                Some(name) => {
                    let value = self.expression();
                    call.named.push((name, value));
                }
                None => call.args.push(self.expression()),
            }
            if !self.eat(",") {
                break;
            }
            self.lines();
        }
        self.bare = outer;
        Expr::Call(Box::new(call))
    }

    /// The next line begins with a method of what stands in this one.
    pub(super) fn continues(&self) -> bool {
        let mut steps = 0;
        while matches!(self.after(steps), Some(Token::Line)) && steps < 3 {
            steps += 1;
        }
        matches!(self.after(steps), Some(Token::Operator(operator)) if self.dialect.members.contains(operator) && *operator != ":")
    }
}
