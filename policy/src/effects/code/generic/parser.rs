// SPDX-License-Identifier: Apache-2.0
//! Finds calls, assignments and blocks among the tokens of a program.

use super::super::python::combine;
use super::super::syntax::{Expr, Program};
use super::tokens::{Spaced, Token, scan};
use super::{Dialect, Kind};
use crate::list::is_any;

/// How deep syntax is followed.
pub(super) const DEPTH: u32 = 40;

/// Words before a name or value that change nothing here.
pub(super) const SKIPPED: &str = "my our local let const var new await async typeof not void delete public private protected static \
    final export default global defined ref yield clone throw die-not";

/// Words that begin statements and say nothing by themselves.
pub(super) const PLAIN: &str = "if unless elsif elseif elif else switch case when then try catch rescue ensure finally begin BEGIN \
    END INIT do in of and or given default end endif endforeach endwhile class module package interface extends \
    implements as continue break next last redo";

/// Words that begin a block that may run again and again.
pub(super) const LOOPS: &str = "while until for foreach loop repeat each";

/// Reads a program; `nested` is how deep in strings it lies.
pub(super) fn parse(text: &str, dialect: &'static Dialect, nested: u32) -> Program {
    let tokens = scan(text, dialect);
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        nested,
        cut: false,
        bare: false,
        head: false,
        dialect,
    };
    let mut body = Vec::new();
    while parser.at < parser.tokens.len() {
        let before = parser.at;
        body.extend(parser.statements(&[]));
        if parser.at == before {
            parser.at += 1;
        }
    }
    Program {
        body,
        broken: false,
        cut: parser.cut,
    }
}

/// A program on its way.
pub(super) struct Parser {
    pub(super) tokens: Vec<Spaced>,
    /// The next token.
    pub(super) at: usize,
    pub(super) depth: u32,
    /// How deep in strings this lies.
    pub(super) nested: u32,
    /// Something was too deep to be read.
    pub(super) cut: bool,
    /// In the arguments of a call without parentheses.
    pub(super) bare: bool,
    /// In the head of a loop, where `do` begins the loop and is no block of a call.
    pub(super) head: bool,
    pub(super) dialect: &'static Dialect,
}

impl Parser {
    pub(super) fn token(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|word| &word.token)
    }

    pub(super) fn after(&self, steps: usize) -> Option<&Token> {
        self.tokens.get(self.at + steps).map(|word| &word.token)
    }

    pub(super) fn is(&self, operator: &str) -> bool {
        matches!(self.token(), Some(Token::Operator(found)) if *found == operator)
    }

    pub(super) fn eat(&mut self, operator: &str) -> bool {
        let found = self.is(operator);
        self.at += usize::from(found);
        found
    }

    pub(super) fn word(&self) -> Option<&str> {
        match self.token() {
            Some(Token::Name(name)) => Some(name),
            _ => None,
        }
    }

    pub(super) fn eat_word(&mut self, names: &[&str]) -> bool {
        let found = self.word().is_some_and(|word| names.contains(&word));
        self.at += usize::from(found);
        found
    }

    pub(super) fn lines(&mut self) {
        while matches!(self.token(), Some(Token::Line)) {
            self.at += 1;
        }
    }

    /// Statements up to one of these words or operators, which is left.
    pub(super) fn statements(&mut self, ends: &[&str]) -> Vec<Expr> {
        let mut body = Vec::new();
        if self.depth >= DEPTH {
            self.cut = true;
            return body;
        }
        self.depth += 1;
        let outer = (
            std::mem::take(&mut self.bare),
            std::mem::take(&mut self.head),
        );
        while let Some(token) = self.token() {
            let end = match token {
                Token::Operator(operator) => ends.contains(operator),
                Token::Name(name) => ends.contains(&name.as_str()),
                _ => false,
            };
            if end {
                break;
            }
            let before = self.at;
            body.push(self.statement());
            if self.at == before {
                self.at += 1;
            }
        }
        (self.bare, self.head) = outer;
        self.depth -= 1;
        body
    }

    pub(super) fn statement(&mut self) -> Expr {
        match self.token() {
            Some(Token::Line | Token::Operator(";" | ")" | "]" | "}" | "," | ":")) => {
                self.at += 1;
                Expr::nothing()
            }
            Some(Token::Operator("{")) => self.block(false),
            Some(Token::Name(_)) => self.keyword().unwrap_or_else(|| self.sentence()),
            _ => self.sentence(),
        }
    }

    /// An expression with all that follows it by commas.
    pub(super) fn sentence(&mut self) -> Expr {
        let first = self.expression();
        let mut parts = vec![first];
        while self.eat(",") {
            self.lines();
            parts.push(self.expression());
        }
        if parts.len() == 1 {
            return parts.pop().unwrap_or_else(Expr::nothing);
        }
        Expr::Other(parts)
    }

    /// Operands and what is between them.
    pub(super) fn expression(&mut self) -> Expr {
        if self.depth >= DEPTH {
            self.cut = true;
            self.at += 1;
            return Expr::nothing();
        }
        self.depth += 1;
        let mut left = self.operand();
        let mut links = 0;
        while let Some(joined) = self.infix(&mut left) {
            // A sum is flat.
            links += usize::from(!matches!(joined, Expr::Add(_)));
            left = if links > 0 {
                self.link(joined, links)
            } else {
                joined
            };
        }
        self.depth -= 1;
        left
    }

    /// One more operator and operand, from left to right whatever their rank: what matters is
    /// which texts are put together.
    pub(super) fn infix(&mut self, left: &mut Expr) -> Option<Expr> {
        let operator = match self.token()? {
            Token::Operator(operator) => *operator,
            Token::Name(name) if name == "x" && self.dialect.kind == Kind::Perl => "*",
            // What binds less than a call without parentheses is left to the statement.
            Token::Name(_) if self.bare => return None,
            Token::Name(name) if matches!(name.as_str(), "or" | "and") => "||",
            Token::Name(name) if self.modifier(name) => return self.condition(left),
            _ => return None,
        };
        let kind = self.dialect.kind;
        let joins = operator == "+" || self.dialect.concat.contains(&operator);
        let known = [
            "*", "/", "%", "-", "^", "&", "|", "<<", ">>", "||", "&&", "??", "==", "!=", "===",
            "!==", "<", ">", "<=", ">=", "=~", "!~", "<=>", "**", "..",
        ];
        let assigns = ["=", "+=", ".=", "||=", "&&=", "??=", ":=", "*=", "-=", "/="];
        let block_bar = operator == "|" && kind == Kind::Ruby;
        if !(joins || known.contains(&operator) || assigns.contains(&operator) || operator == "?")
            || block_bar
        {
            return None;
        }
        self.at += 1;
        self.lines();
        let taken = std::mem::replace(left, Expr::nothing());
        if assigns.contains(&operator) {
            let right = self.expression();
            let value = if matches!(operator, "+=" | ".=") {
                Expr::Add(vec![taken.clone(), right])
            } else {
                right
            };
            return Some(Expr::Assign(targets(taken), Box::new(value)));
        }
        if operator == "?" {
            let yes = self.expression();
            self.eat(":");
            return Some(Expr::Block(vec![
                taken,
                Expr::Either(vec![yes, self.expression()]),
            ]));
        }
        if matches!(operator, "||" | "&&" | "??") {
            let right = self.expression();
            return Some(Expr::Either(vec![taken, right]));
        }
        let right = self.operand();
        if joins {
            return Some(match taken {
                Expr::Add(mut parts) => {
                    parts.push(right);
                    Expr::Add(parts)
                }
                other => Expr::Add(vec![other, right]),
            });
        }
        Some(combine(operator, taken, right))
    }

    /// `statement if condition`
    pub(super) fn modifier(&self, name: &str) -> bool {
        self.dialect.bare_calls && is_any("if unless while until for foreach", name)
    }

    pub(super) fn condition(&mut self, left: &mut Expr) -> Option<Expr> {
        let loops = self.word().is_some_and(|word| is_any(LOOPS, word));
        let each = self.eat_word(&["for", "foreach"]);
        self.at += usize::from(!each);
        let body = vec![std::mem::replace(left, Expr::nothing())];
        let condition = self.expression();
        if each {
            let names = vec![Expr::Name("$_".to_owned())];
            return Some(Expr::Each {
                names,
                over: Box::new(condition),
                body,
                collects: false,
            });
        }
        let body = [vec![condition], body].concat();
        Some(Expr::Maybe { body, loops })
    }
}

/// What is on the left of `=`.
fn targets(left: Expr) -> Vec<Expr> {
    match left {
        Expr::List(names) => names,
        // Called without parentheses, a name on the left is no call.
        Expr::Call(call) if call.args.is_empty() => vec![call.callee],
        other => vec![other],
    }
}
