// SPDX-License-Identifier: Apache-2.0
//! Words of a program: names, strings with what is put into them, numbers, operators.

use super::super::super::word::UNKNOWN;
use super::{Dialect, Kind};

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name; with `$` before it for a variable where the language has that.
    Name(String),
    /// A string.
    Text(Vec<Piece>),
    /// A command between back quotes.
    Shell(Vec<Piece>),
    /// Several words: `qw(a b)`.
    Words(Vec<String>),
    /// Code in a place where text is expected: `s/x/code/e`.
    Code(String),
    /// A whole number.
    Number(i64),
    /// A number with a point, a pattern.
    Constant,
    /// Anything else.
    Operator(&'static str),
    /// The end of a line.
    Line,
}

/// Part of a string.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// As it stands.
    Const(String),
    /// What is computed and put there.
    Code(String),
}

/// A word and whether there is white space before it.
#[derive(Clone, Debug)]
pub(super) struct Spaced {
    /// The word.
    pub(super) token: Token,
    /// White space is before it.
    pub(super) spaced: bool,
}

/// Operators, longer ones first.
const OPERATORS: &str = "<=> === !== **= ... ||= &&= ??= ?-> => -> :: && || ?? ?. &. .. == != <= >= += -= .= *= /= \
    =~ !~ << >> ++ -- := |& ** ( ) [ ] { } , ; . : ? + - * / % = < > ! & | ^ ~ @ \\ #";

/// Longest pattern, and longest code in a string, in characters.
pub(super) const LONG: usize = 2000;

/// Takes a program apart.
pub(super) fn scan(text: &str, dialect: &'static Dialect) -> Vec<Spaced> {
    let mut scanner = Scanner {
        rest: text,
        dialect,
        found: Vec::new(),
        documents: Vec::new(),
    };
    while !scanner.rest.is_empty() {
        scanner.next();
    }
    scanner.found
}

/// A text on its way.
pub(super) struct Scanner<'a> {
    pub(super) rest: &'a str,
    pub(super) dialect: &'static Dialect,
    pub(super) found: Vec<Spaced>,
    /// Here-documents that begin at the next line: their ends, and whether they are put into.
    pub(super) documents: Vec<(String, bool, bool)>,
}

impl<'a> Scanner<'a> {
    pub(super) fn first(&self) -> char {
        self.rest.chars().next().unwrap_or('\0')
    }

    /// Steps over bytes, which end at a character.
    pub(super) fn skip(&mut self, bytes: usize) -> &'a str {
        let at = bytes.min(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(at).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    pub(super) fn skip_char(&mut self) {
        let length = self.first().len_utf8();
        self.skip(length);
    }

    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|letter| !wanted(letter));
        self.skip(end.unwrap_or(self.rest.len()))
    }

    pub(super) fn push(&mut self, token: Token, spaced: bool) {
        self.found.push(Spaced { token, spaced });
    }

    /// An operand stands before, so that `/` divides and `%` is what is left.
    pub(super) fn after_operand(&self) -> bool {
        match self.found.last().map(|last| &last.token) {
            Some(Token::Name(name)) => !matches!(
                name.as_str(),
                "return"
                    | "and"
                    | "or"
                    | "not"
                    | "if"
                    | "unless"
                    | "while"
                    | "until"
                    | "print"
                    | "split"
                    | "grep"
                    | "map"
                    | "when"
                    | "in"
                    | "typeof"
                    | "join"
                    | "push"
                    | "foreach"
                    | "for"
                    | "puts"
                    | "case"
            ),
            Some(Token::Operator(operator)) => matches!(*operator, ")" | "]" | "}"),
            Some(Token::Line | Token::Code(_)) | None => false,
            Some(_) => true,
        }
    }

    pub(super) fn next(&mut self) {
        let before = self.rest.len();
        let blank = self.take_while(|letter| letter.is_whitespace() && letter != '\n');
        let spaced = !blank.is_empty()
            || self
                .found
                .last()
                .is_none_or(|last| last.token == Token::Line);
        if self.rest.is_empty() || self.comment() {
            return;
        }
        let letter = self.first();
        if letter == '\n' {
            self.skip(1);
            self.push(Token::Line, true);
            self.document();
            return;
        }
        let token = self
            .quoted(letter)
            .or_else(|| self.special(letter, spaced))
            .or_else(|| self.plain(letter))
            .or_else(|| self.operator());
        match token {
            Some(token) => self.push(token, spaced),
            None if self.rest.len() == before - blank.len() => self.skip_char(),
            None => {}
        }
    }

    pub(super) fn comment(&mut self) -> bool {
        for (start, end) in self.dialect.long_comments {
            if self.rest.starts_with(start) {
                let length = self
                    .rest
                    .find(end)
                    .map_or(self.rest.len(), |at| at + end.len());
                self.skip(length);
                return true;
            }
        }
        let starts = self
            .dialect
            .comments
            .iter()
            .any(|start| self.rest.starts_with(start));
        if starts {
            self.take_while(|letter| letter != '\n');
        }
        starts
    }

    /// What only some languages have.
    pub(super) fn special(&mut self, letter: char, spaced: bool) -> Option<Token> {
        match (self.dialect.kind, letter) {
            (Kind::Ruby, '%') if !self.after_operand() || self.apart(spaced) => self.percent(),
            (Kind::Ruby, ':') => self.symbol(spaced),
            (Kind::Perl | Kind::Php, '$' | '@' | '%') => self.variable(letter),
            (Kind::Ruby, '$' | '@') => {
                let name =
                    self.take_while(|letter| letter.is_alphanumeric() || "$@_<!0".contains(letter));
                Some(Token::Name(name.to_owned()))
            }
            (Kind::Perl, letter) if letter.is_ascii_lowercase() => self.quote_like(),
            (Kind::Perl | Kind::Ruby | Kind::Php, '<') if self.rest.starts_with("<<") => {
                self.here()
            }
            (_, '/') if self.dialect.patterns && !self.after_operand() => {
                let mut line = self.rest.chars().skip(1).take(LONG);
                line.find(|letter| matches!(letter, '/' | '\n'))
                    .filter(|letter| *letter == '/')?;
                self.until('/');
                self.take_while(char::is_alphanumeric);
                Some(Token::Constant)
            }
            _ => None,
        }
    }

    /// `:name`
    pub(super) fn symbol(&mut self, spaced: bool) -> Option<Token> {
        let name = self.rest.strip_prefix(':')?;
        let after_name = self.after_operand() && !spaced;
        if after_name || !name.starts_with(|letter: char| letter.is_alphabetic() || letter == '_') {
            return None;
        }
        self.skip(1);
        let name = self.take_while(|letter| letter.is_alphanumeric() || "_?!".contains(letter));
        Some(Token::Text(vec![Piece::Const(name.to_owned())]))
    }

    /// `$name`, `@name`, `${name}` of Perl and PHP.
    pub(super) fn variable(&mut self, sigil: char) -> Option<Token> {
        if sigil == '%' && self.after_operand() {
            return None;
        }
        let rest = self.rest.trim_start_matches(['$', '@', '%', '#']);
        let braced = rest.starts_with('{');
        let rest = rest.trim_start_matches('{');
        let special = rest.starts_with(['!', '0', '&', '<', '>', ';', ',', '/', '\\'])
            && sigil == '$'
            && !braced;
        let name: String = if special {
            rest.chars().take(1).collect()
        } else {
            let letters = rest.chars();
            letters
                .take_while(|letter| letter.is_alphanumeric() || "_:".contains(*letter))
                .collect()
        };
        let name = name.trim_end_matches(':');
        if name.is_empty() {
            return None;
        }
        let before = self.rest.len() - rest.len();
        self.skip(before + name.len());
        if braced && self.rest.starts_with('}') {
            self.skip(1);
        }
        Some(Token::Name(format!("${name}")))
    }

    /// Names and numbers.
    pub(super) fn plain(&mut self, letter: char) -> Option<Token> {
        if letter.is_ascii_digit() {
            return Some(self.number());
        }
        let starts = letter.is_alphabetic()
            || letter == '_'
            || letter == UNKNOWN
            || (letter == '$' && self.dialect.kind == Kind::Node)
            || (letter == '\\' && self.dialect.kind == Kind::Php);
        if !starts {
            return None;
        }
        let kind = self.dialect.kind;
        let part = |letter: char| {
            letter.is_alphanumeric()
                || letter == '_'
                || letter == UNKNOWN
                || (kind == Kind::Node && letter == '$')
                || (kind == Kind::Php && letter == '\\')
        };
        let mut name = self.take_while(part).to_owned();
        let parts = matches!(kind, Kind::Perl | Kind::Ruby);
        while let Some(next) = self.rest.strip_prefix("::").filter(|_| parts) {
            if !next.starts_with(part) {
                break;
            }
            self.skip(2);
            name.push('.');
            name.push_str(self.take_while(part));
        }
        if kind == Kind::Ruby && self.rest.starts_with(['?', '!']) && !self.rest.starts_with("!=") {
            let asks = self
                .rest
                .chars()
                .nth(1)
                .is_none_or(|next| !next.is_alphanumeric());
            if asks {
                name.push_str(self.skip(1));
            }
        }
        (!name.is_empty()).then_some(Token::Name(name))
    }

    pub(super) fn number(&mut self) -> Token {
        let text = self
            .take_while(|letter| letter.is_alphanumeric() || letter == '_')
            .replace('_', "")
            .to_lowercase();
        let based = [("0x", 16), ("0o", 8), ("0b", 2), ("0", 8)]
            .iter()
            .find_map(|(start, radix)| {
                let digits = text.strip_prefix(start)?;
                i64::from_str_radix(digits, *radix).ok()
            });
        let point = self
            .rest
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
        if point {
            self.skip(1);
            self.take_while(|letter| letter.is_alphanumeric());
            return Token::Constant;
        }
        match based.or_else(|| text.trim_end_matches('n').parse().ok()) {
            Some(number) => Token::Number(number),
            None => Token::Constant,
        }
    }

    pub(super) fn operator(&mut self) -> Option<Token> {
        let mut operators = OPERATORS.split_ascii_whitespace();
        let operator = operators.find(|operator| self.rest.starts_with(operator))?;
        self.skip(operator.len());
        Some(Token::Operator(operator))
    }
}
