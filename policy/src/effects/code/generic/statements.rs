// SPDX-License-Identifier: Apache-2.0
//! Statements: loops, functions, what a program takes from elsewhere.

use std::rc::Rc;

use super::super::syntax::{Expr, Function};
use super::Kind;
use super::parser::{LOOPS, PLAIN, Parser, SKIPPED};
use super::tokens::{Piece, Token};
use crate::list::is_any;

impl Parser {
    /// Statements that begin with a word of the language.
    pub(super) fn keyword(&mut self) -> Option<Expr> {
        let word = self.word()?.to_owned();
        let followed = matches!(
            self.after(1),
            Some(Token::Operator("=" | "." | "=>" | ":" | "->"))
        );
        if followed && word != "else" && word != "default" {
            return None;
        }
        match word.as_str() {
            "function" | "def" | "sub" | "fn" => Some(self.definition()),
            "return" => {
                self.at += 1;
                Some(Expr::Return(Box::new(self.sentence())))
            }
            "import" if self.dialect.kind == Kind::Node => self.import(),
            _ => self.section(&word),
        }
    }

    /// Statements that have others in them.
    fn section(&mut self, word: &str) -> Option<Expr> {
        if matches!(
            word,
            "use" | "package" | "class" | "module" | "namespace" | "interface"
        ) {
            self.at += 1;
            return Some(self.header());
        }
        if is_any(LOOPS, word) && matches!(word, "for" | "foreach") {
            self.at += 1;
            return Some(self.each());
        }
        let loops = is_any(LOOPS, word);
        let opens = self.dialect.ends && is_any(OPENERS, word);
        if !loops && !opens && !is_any(PLAIN, word) {
            return None;
        }
        self.at += 1;
        if opens {
            return Some(self.ended(loops));
        }
        if loops {
            return Some(self.repeated());
        }
        if self.is("{") {
            return Some(self.block(false));
        }
        Some(Expr::nothing())
    }

    /// Statements up to `end`.
    fn ended(&mut self, loops: bool) -> Expr {
        let mut body = Vec::new();
        if loops {
            body.push(self.head(Self::sentence));
            self.eat_word(&["do"]);
        }
        body.extend(self.statements(&["end", "until"]));
        self.eat_word(&["end"]);
        Expr::Maybe { body, loops }
    }

    /// `while (condition) { … }`
    fn repeated(&mut self) -> Expr {
        let endless = self.is("{");
        let condition = if endless {
            Expr::nothing()
        } else {
            self.sentence()
        };
        let body = if self.is("{") {
            self.block(true)
        } else {
            Expr::nothing()
        };
        // `fork while fork`: the condition runs again and again as well.
        let condition = Expr::Maybe {
            body: vec![condition],
            loops: true,
        };
        Expr::Block(vec![condition, body])
    }

    /// Reads the head of a loop.
    pub(super) fn head(&mut self, read: impl FnOnce(&mut Self) -> Expr) -> Expr {
        let outer = std::mem::replace(&mut self.head, true);
        let expr = read(self);
        self.head = outer;
        expr
    }

    /// The rest of a line that only names things.
    pub(super) fn header(&mut self) -> Expr {
        while let Some(token) = self.token() {
            if matches!(token, Token::Line | Token::Operator(";" | "{")) {
                break;
            }
            self.at += 1;
        }
        Expr::nothing()
    }

    /// `import fs, {rm as remove} from 'fs'`
    pub(super) fn import(&mut self) -> Option<Expr> {
        let mut names: Vec<(String, String)> = Vec::new();
        let mut at = self.at + 1;
        let name_at = |at: usize| match self.tokens.get(at).map(|word| &word.token) {
            Some(Token::Name(name)) => Some(name.clone()),
            _ => None,
        };
        let mut braced = false;
        while at < self.at + PARAMETERS {
            match self.tokens.get(at).map(|word| &word.token)? {
                Token::Name(name) if name == "from" => {}
                Token::Name(name) => {
                    let alias = name_at(at + 1)
                        .filter(|word| word == "as")
                        .and_then(|_| name_at(at + 2));
                    at += if alias.is_some() { 2 } else { 0 };
                    let own = if braced { name.clone() } else { String::new() };
                    names.push((alias.unwrap_or_else(|| name.clone()), own));
                }
                Token::Operator("*") => {
                    names.push((name_at(at + 2)?, String::new()));
                    at += 2;
                }
                Token::Operator("{") => braced = true,
                Token::Operator("}") => braced = false,
                Token::Operator(",") | Token::Line => {}
                Token::Text(pieces) => {
                    let [Piece::Const(module)] = pieces.as_slice() else {
                        return None;
                    };
                    let module = module.clone();
                    self.at = at + 1;
                    return Some(Expr::Block(bindings(&names, &module)));
                }
                _ => return None,
            }
            at += 1;
        }
        None
    }

    /// `for x in xs`, `for (const x of xs)`, `foreach my $x (@xs)`, `foreach ($xs as $x)`
    pub(super) fn each(&mut self) -> Expr {
        let parenthesis = self.eat("(");
        while self
            .word()
            .is_some_and(|word| is_any(SKIPPED, word) || word == "each")
        {
            self.at += 1;
        }
        let start = self.at;
        let mut names = Vec::new();
        while let Some(name) = self.word().filter(|word| !is_any("in of as do", word)) {
            names.push(Expr::Name(name.to_owned()));
            self.at += 1;
            self.eat(",");
        }
        let over = if !names.is_empty() && self.eat_word(&["in", "of"]) {
            self.head(Self::expression)
        } else if !parenthesis && self.is("(") {
            self.expression()
        } else {
            self.at = start;
            names.clear();
            let over = self.sentence();
            if self.eat_word(&["as"]) {
                names = match self.sentence() {
                    Expr::Other(parts) => parts,
                    name => vec![name],
                };
            }
            over
        };
        if parenthesis {
            while !self.is(")") && !self.is("{") && self.token().is_some() {
                let before = self.at;
                names.push(Expr::Other(vec![self.sentence()]));
                self.at += usize::from(self.at == before || self.is(";"));
            }
            self.eat(")");
        }
        self.eat_word(&["do"]);
        self.lines();
        let body = self.body().unwrap_or_else(|| vec![self.statement()]);
        if names.is_empty() {
            names.push(Expr::Name("$_".to_owned()));
        }
        Expr::Each {
            names,
            over: Box::new(over),
            body,
            collects: false,
        }
    }

    /// `{ … }`
    pub(super) fn block(&mut self, loops: bool) -> Expr {
        self.eat("{");
        let body = self.statements(&["}"]);
        self.eat("}");
        Expr::Maybe { body, loops }
    }

    /// `function name(a, b) { … }`, `def name … end`, `sub name { … }`
    pub(super) fn definition(&mut self) -> Expr {
        self.at += 1;
        let name = self.word().map(str::to_owned);
        if name.is_some() {
            self.at += 1;
            // `def self.name`, `function M.name`
            while self.eat(".") || self.eat(":") {
                self.at += 1;
            }
        }
        let params = self.parameters();
        let function = self.function(params);
        match name {
            Some(name) => Expr::Assign(vec![Expr::Name(name)], Box::new(function)),
            None => function,
        }
    }

    /// Names between parentheses.
    pub(super) fn parameters(&mut self) -> Vec<(String, Option<Expr>)> {
        let mut params = Vec::new();
        if !self.eat("(") {
            return params;
        }
        let mut depth = 1_u32;
        let start = self.at;
        while let Some(token) = self.token().filter(|_| self.at - start < PARAMETERS) {
            match token {
                Token::Operator("(") => depth = depth.saturating_add(1),
                Token::Operator(")") => depth = depth.saturating_sub(1),
                Token::Name(name) if depth == 1 => params.push((name.clone(), None)),
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
        params
    }

    /// Statements in braces, or up to `end` where the language has that; nothing when neither.
    fn body(&mut self) -> Option<Vec<Expr>> {
        if self.eat("{") {
            let body = self.statements(&["}"]);
            self.eat("}");
            Some(body)
        } else if self.dialect.ends {
            let body = self.statements(&["end"]);
            self.eat_word(&["end"]);
            Some(body)
        } else {
            None
        }
    }

    /// What a function does.
    pub(super) fn function(&mut self, params: Vec<(String, Option<Expr>)>) -> Expr {
        // What a function of PHP sees from outside, and its arrow.
        if self.eat_word(&["use"]) {
            self.parameters();
        }
        self.eat("=>");
        self.lines();
        let body = self.body();
        let body = body.unwrap_or_else(|| vec![Expr::Return(Box::new(self.expression()))]);
        Expr::Function(Rc::new(Function { params, body }))
    }
}

/// Most words in the parameters of a function.
const PARAMETERS: usize = 500;

/// Words that `end` belongs to, when a statement begins with them.
const OPENERS: &str = "if unless while until for case begin def class module do function repeat";

fn bindings(names: &[(String, String)], module: &str) -> Vec<Expr> {
    let bind = |(alias, own): &(String, String)| {
        let whole = if own.is_empty() {
            module.to_owned()
        } else {
            format!("{module}.{own}")
        };
        Expr::Assign(vec![Expr::Name(alias.clone())], Box::new(Expr::Name(whole)))
    };
    names.iter().map(bind).collect()
}
