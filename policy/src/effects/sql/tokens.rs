// SPDX-License-Identifier: Apache-2.0
//! SQL as tokens: enough of each dialect's quoting and comments to tell words from text.

use crate::effects::word::UNKNOWN;
use crate::list::is_any;

/// Most tokens that are read.
pub(super) const TOKENS: usize = 50_000;

/// A piece of SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word, in small letters.
    Word(String),
    /// A quoted identifier.
    Name(String),
    /// A string.
    Text(String),
    /// A number.
    Number(String),
    /// Any other character.
    Sign(char),
    /// A command of the client, up to the end of the line: `\! ls`, `.shell ls`.
    Meta(String),
    /// Known only when it runs.
    Unknown,
}

impl Token {
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(text) if text == word)
    }

    pub(super) fn is_any(&self, words: &str) -> bool {
        matches!(self, Self::Word(text) if is_any(words, text))
    }

    pub(super) fn sign(&self, sign: char) -> bool {
        *self == Self::Sign(sign)
    }

    /// What it names, if it can.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Name(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads tokens; whether all of them were read.
pub(super) fn read(text: &str, engine: &str) -> (Vec<Token>, bool) {
    let mut reader = Reader {
        text,
        mysql: engine == "mysql",
        meta: match engine {
            "postgres" | "mysql" => '\\',
            "sqlite" => '.',
            _ => ':',
        },
        engine,
        fresh: true,
    };
    let mut tokens = Vec::new();
    while tokens.len() < TOKENS {
        let before = reader.text.len();
        if before == 0 {
            return (tokens, true);
        }
        tokens.extend(reader.next());
        if reader.text.len() >= before {
            break;
        }
    }
    (tokens, false)
}

struct Reader<'a> {
    text: &'a str,
    mysql: bool,
    meta: char,
    engine: &'a str,
    /// At a line's start.
    fresh: bool,
}

impl<'a> Reader<'a> {
    /// The next token; nothing for white space and comments.
    fn next(&mut self) -> Option<Token> {
        let c = self.text.chars().next()?;
        let fresh = self.fresh;
        self.fresh = c == '\n' || (fresh && c == ' ');
        match c {
            c if c.is_whitespace() => self.skip(c.len_utf8()),
            UNKNOWN => {
                self.take(|c| c == UNKNOWN);
                return Some(Token::Unknown);
            }
            '-' if self.comment() => self.line(),
            '#' if self.mysql => self.line(),
            '/' if self.text.starts_with("/*") => self.block(),
            // What is left of a MySQL comment that runs.
            '*' if self.mysql && self.text.starts_with("*/") => self.skip(2),
            '\'' => return Some(Token::Text(self.quoted('\'', self.mysql))),
            '"' if self.mysql => return Some(Token::Text(self.quoted('"', true))),
            '"' | '`' => return Some(Token::Name(self.quoted(c, false).to_lowercase())),
            '[' if matches!(self.engine, "mssql" | "sqlite") => {
                return Some(Token::Name(self.quoted(']', false).to_lowercase()));
            }
            '$' if !self.mysql => return Some(self.dollar()),
            '\\' if self.meta == '\\' => return Some(self.command()),
            c if fresh && c == self.meta => return Some(self.command()),
            '!' if fresh && self.text.starts_with("!!") => return Some(self.command()),
            c if c.is_ascii_digit() => {
                let number = self.take(|c| c.is_ascii_alphanumeric() || c == '.');
                return Some(Token::Number(number.to_owned()));
            }
            c if c.is_alphabetic() || c == '_' => return Some(self.word()),
            c => {
                self.skip(c.len_utf8());
                return Some(Token::Sign(c));
            }
        }
        None
    }

    fn skip(&mut self, bytes: usize) {
        self.text = self.text.get(bytes..).unwrap_or_default();
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.text.find(|c| !wanted(c)).unwrap_or(self.text.len());
        let (taken, rest) = self.text.split_at(end);
        self.text = rest;
        taken
    }

    /// MySQL wants white space after `--`; `1--1; drop …` runs there.
    fn comment(&self) -> bool {
        let Some(rest) = self.text.strip_prefix("--") else {
            return false;
        };
        !self.mysql
            || rest
                .chars()
                .next()
                .is_none_or(|c| c.is_whitespace() || c.is_control())
    }

    fn line(&mut self) {
        self.take(|c| c != '\n');
    }

    /// A block comment. MySQL runs what is in `/*! … */`; PostgreSQL's nest.
    fn block(&mut self) {
        if self.mysql && (self.text.starts_with("/*!") || self.text.starts_with("/*M!")) {
            self.skip(2);
            self.take(|c| c == 'M' || c == '!');
            self.take(|c| c.is_ascii_digit());
            return;
        }
        let nests = self.engine == "postgres";
        let mut depth = 0_u32;
        loop {
            if self.text.starts_with("*/") {
                self.skip(2);
                depth = depth.saturating_sub(1);
            } else if self.text.starts_with("/*") && (nests || depth == 0) {
                self.skip(2);
                depth = depth.saturating_add(1);
            } else {
                let Some(c) = self.text.chars().next() else {
                    return;
                };
                self.skip(c.len_utf8());
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// A quoted text; the quote doubled is the quote.
    fn quoted(&mut self, end: char, escapes: bool) -> String {
        self.skip(1);
        let mut text = String::new();
        let mut rest = self.text.chars();
        while let Some(c) = rest.next() {
            if c == '\\' && escapes {
                text.extend(rest.next());
            } else if c == end {
                let mut ahead = rest.clone();
                if ahead.next() != Some(end) {
                    break;
                }
                rest = ahead;
                text.push(c);
            } else {
                text.push(c);
            }
        }
        self.text = rest.as_str();
        text
    }

    /// `$$ … $$`, `$tag$ … $tag$`, or a parameter.
    fn dollar(&mut self) -> Token {
        let after = self.text.get(1..).unwrap_or_default();
        let end = after.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let tag = end.filter(|end| after[*end..].starts_with('$'));
        let Some(tag) = tag.and_then(|end| self.text.get(..end + 2)) else {
            self.skip(1);
            return Token::Sign('$');
        };
        self.skip(tag.len());
        let (body, rest) = self.text.split_once(tag).unwrap_or((self.text, ""));
        self.text = rest;
        Token::Text(body.to_owned())
    }

    fn command(&mut self) -> Token {
        Token::Meta(self.take(|c| c != '\n').to_owned())
    }

    /// A word. `E'…'` has escapes, `N'…'` and `X'…'` have none, `_utf8'…'` is not worth telling.
    fn word(&mut self) -> Token {
        let word = self.take(|c| c.is_alphanumeric() || c == '_' || c == '$');
        if self.text.starts_with('\'') && word.len() == 1 {
            let escapes = self.mysql || word.eq_ignore_ascii_case("e");
            return Token::Text(self.quoted('\'', escapes));
        }
        Token::Word(word.to_lowercase())
    }
}
