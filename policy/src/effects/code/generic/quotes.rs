// SPDX-License-Identifier: Apache-2.0
//! Strings in all the ways that the languages quote them.

use super::super::decode;
use super::Kind;
use super::tokens::{LONG, Piece, Scanner, Token};

impl<'a> Scanner<'a> {
    /// Strings between quotes.
    pub(super) fn quoted(&mut self, quote: char) -> Option<Token> {
        let kind = self.dialect.kind;
        match quote {
            '\'' => {
                let text = self.line_text(quote);
                Some(Token::Text(vec![Piece::Const(match kind {
                    Kind::Node | Kind::Lua => decode::unescape(text, kind == Kind::Lua),
                    _ => text.replace("\\'", "'").replace("\\\\", "\\"),
                })]))
            }
            '"' => {
                let text = self.line_text(quote);
                Some(Token::Text(pieces(text, kind, false)))
            }
            '`' => {
                let text = self.until(quote);
                let pieces = pieces(text, kind, true);
                Some(if self.dialect.back_quotes {
                    Token::Shell(pieces)
                } else {
                    Token::Text(pieces)
                })
            }
            '[' if kind == Kind::Lua => {
                let level = self.rest.strip_prefix('[')?;
                let equals: String = level.chars().take_while(|letter| *letter == '=').collect();
                let start = format!("[{equals}[");
                let body = self.rest.strip_prefix(start.as_str())?;
                let end = format!("]{equals}]");
                let length = body.find(&end).unwrap_or(body.len());
                let text = body.get(..length).unwrap_or_default();
                self.skip(start.len() + length + end.len());
                Some(Token::Text(vec![Piece::Const(text.to_owned())]))
            }
            _ => None,
        }
    }

    /// From one quote to the next that is not escaped.
    pub(super) fn until(&mut self, quote: char) -> &'a str {
        self.skip(quote.len_utf8());
        self.body(quote, quote)
    }

    /// Strings of JavaScript and Lua end with their line, closed or not.
    pub(super) fn line_text(&mut self, quote: char) -> &'a str {
        if !matches!(self.dialect.kind, Kind::Node | Kind::Lua) {
            return self.until(quote);
        }
        self.skip(quote.len_utf8());
        let mut escaped = false;
        let end = self.rest.find(|letter| {
            let ends = !escaped && (letter == quote || letter == '\n');
            escaped = !escaped && letter == '\\';
            ends
        });
        let text = self.skip(end.unwrap_or(self.rest.len()));
        if self.rest.starts_with(quote) {
            self.skip(quote.len_utf8());
        }
        text
    }

    /// Up to what closes, with what opens in between counted.
    pub(super) fn body(&mut self, open: char, close: char) -> &'a str {
        let mut depth = 1_u32;
        let mut escaped = false;
        let mut end = self.rest.len();
        for (at, letter) in self.rest.char_indices() {
            if escaped {
                escaped = false;
            } else if letter == '\\' {
                escaped = true;
            } else if letter == close {
                depth -= 1;
                if depth == 0 {
                    end = at;
                    break;
                }
            } else if letter == open {
                depth = depth.saturating_add(1);
            }
        }
        let text = self.skip(end);
        self.skip(if self.rest.is_empty() {
            0
        } else {
            close.len_utf8()
        });
        text
    }

    /// `%w(a b)`, `%q(…)`, `%x(…)` of Ruby.
    pub(super) fn percent(&mut self) -> Option<Token> {
        let mut letters = self.rest.chars().skip(1);
        let kind = letters.next()?;
        let (kind, open) = if kind.is_alphabetic() {
            (kind, letters.next()?)
        } else {
            ('Q', kind)
        };
        if open.is_alphanumeric() || open.is_whitespace() || open == '=' {
            return None;
        }
        let length = if self.rest.chars().nth(1) == Some(open) {
            1
        } else {
            2
        };
        self.skip(length + open.len_utf8());
        let text = self.body(open, closing(open));
        Some(match kind {
            'w' | 'W' | 'i' | 'I' => {
                Token::Words(text.split_whitespace().map(str::to_owned).collect())
            }
            'q' => Token::Text(vec![Piece::Const(text.to_owned())]),
            'x' => Token::Shell(pieces(text, Kind::Ruby, true)),
            'r' => Token::Constant,
            _ => Token::Text(pieces(text, Kind::Ruby, false)),
        })
    }

    /// White space is before, but not after: `rm_rf %w[a b]` takes no remainder.
    pub(super) fn apart(&self, spaced: bool) -> bool {
        let next = self.rest.chars().nth(1);
        spaced && next.is_some_and(|next| !next.is_whitespace())
    }

    /// `q(…)`, `qq{…}`, `qw/…/`, `qx(…)`, `m{…}`, `s/…/…/e`, `tr/…/…/` of Perl.
    pub(super) fn quote_like(&mut self) -> Option<Token> {
        let names = ["qq", "qw", "qx", "qr", "tr", "q", "m", "s", "y"];
        let name = names.into_iter().find(|name| {
            let rest = self.rest.strip_prefix(name);
            rest.is_some_and(|rest| {
                !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
            })
        })?;
        let rest = self.rest.strip_prefix(name)?;
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        let open = rest.trim_start_matches(' ').chars().next()?;
        let after_arrow = matches!(
            self.found.last().map(|last| &last.token),
            Some(Token::Operator("->" | "{"))
        );
        if matches!(open, '=' | ',' | ';' | ')' | '\n' | '-' | '.')
            || (blanks > 0 && open == '#')
            || (after_arrow && open == '}')
        {
            return None;
        }
        self.skip(name.len() + blanks + open.len_utf8());
        let text = self.body(open, closing(open));
        Some(match name {
            "q" => Token::Text(vec![Piece::Const(text.replace("\\'", "'"))]),
            "qq" => Token::Text(pieces(text, Kind::Perl, false)),
            "qx" => Token::Shell(pieces(text, Kind::Perl, true)),
            "qw" => Token::Words(text.split_whitespace().map(str::to_owned).collect()),
            "s" | "tr" | "y" => {
                if open != closing(open) {
                    self.take_while(char::is_whitespace);
                    self.skip_char();
                }
                let second = self.body(open, closing(open));
                let flags = self.take_while(char::is_alphanumeric);
                if name == "s" && flags.contains('e') {
                    Token::Code(second.to_owned())
                } else {
                    Token::Constant
                }
            }
            _ => {
                self.take_while(char::is_alphanumeric);
                Token::Constant
            }
        })
    }

    /// `<<END`, `<<~'END'`, `<<<END`: the text begins at the next line.
    pub(super) fn here(&mut self) -> Option<Token> {
        let rest = self
            .rest
            .trim_start_matches('<')
            .trim_start_matches(['~', '-']);
        let quote = rest
            .chars()
            .next()
            .filter(|letter| "'\"`".contains(*letter));
        let name = rest.trim_start_matches(['\'', '"', '`']);
        let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let word = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
        let upper = word.starts_with(|letter: char| letter.is_uppercase() || letter == '_');
        if !upper || (self.after_operand() && self.rest.starts_with("<< ")) {
            return None;
        }
        let quotes = usize::from(quote.is_some());
        let before = self.rest.len() - rest.len() + quotes + word.len() + quotes;
        self.documents
            .push((word.to_owned(), quote != Some('\''), quote == Some('`')));
        self.skip(before);
        // Filled in when the document is met.
        Some(Token::Text(Vec::new()))
    }

    /// The texts that the line before announced.
    pub(super) fn document(&mut self) {
        let documents = std::mem::take(&mut self.documents);
        for (index, (end, filled, runs)) in documents.iter().enumerate() {
            let mut text = String::new();
            while !self.rest.is_empty() {
                let line = self.take_while(|letter| letter != '\n');
                self.skip(1);
                if line.trim().trim_end_matches(';') == end {
                    break;
                }
                text.push_str(line);
                text.push('\n');
            }
            let pieces = if *filled {
                pieces(&text, self.dialect.kind, false)
            } else {
                vec![Piece::Const(text)]
            };
            let mut empty = self
                .found
                .iter_mut()
                .rev()
                .filter(|word| word.token == Token::Text(Vec::new()));
            if let Some(word) = empty.nth(documents.len() - 1 - index) {
                word.token = if *runs {
                    Token::Shell(pieces)
                } else {
                    Token::Text(pieces)
                };
            }
        }
    }
}

fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '<' => '>',
        other => other,
    }
}

/// A string and what is put into it.
fn pieces(text: &str, kind: Kind, back_quotes: bool) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let inside = if letter == '\\' {
            None
        } else {
            hole(rest, kind, back_quotes)
        };
        let taken = match inside {
            Some((code, length)) => {
                found.push(Piece::Const(decode::unescape(&plain, kind == Kind::Lua)));
                plain.clear();
                found.push(Piece::Code(code));
                length
            }
            None => {
                let length = if letter == '\\' {
                    1 + rest.chars().nth(1).map_or(0, char::len_utf8)
                } else {
                    letter.len_utf8()
                };
                plain.push_str(rest.get(..length).unwrap_or_default());
                length
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    found.push(Piece::Const(decode::unescape(&plain, kind == Kind::Lua)));
    found
}

/// What is put in at the beginning of this text, and how long that is.
fn hole(rest: &str, kind: Kind, back_quotes: bool) -> Option<(String, usize)> {
    let between = |start: &str, rest: &str| {
        let body = rest.strip_prefix(start)?;
        let mut depth = 1_u32;
        let (end, _) = body.char_indices().take(LONG).find(|(_, letter)| {
            depth = match letter {
                '{' => depth.saturating_add(1),
                '}' => depth.saturating_sub(1),
                _ => depth,
            };
            depth == 0
        })?;
        let code = body.get(..end)?.to_owned();
        Some((code, start.len() + end + 1))
    };
    match kind {
        Kind::Node if back_quotes => between("${", rest),
        Kind::Ruby => between("#{", rest),
        Kind::Php if rest.starts_with("{$") => between("{", rest),
        Kind::Perl if rest.starts_with("@{[") => {
            let (code, length) = between("@{", rest)?;
            Some((code, length))
        }
        Kind::Perl | Kind::Php => {
            let name = rest.strip_prefix(['$', '@'])?;
            if name.starts_with('{') {
                let (name, length) = between("{", name)?;
                return Some((format!("${name}"), length + 1));
            }
            let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let mut length = end.unwrap_or(name.len());
            if length == 0 || (rest.starts_with('@') && kind == Kind::Php) {
                return None;
            }
            let after = name.get(length..).unwrap_or_default();
            let close = if after.starts_with('{') { '}' } else { ']' };
            if after.starts_with(['{', '[']) {
                length += after.find(close).map_or(0, |end| end + 1);
            }
            Some((format!("${}", name.get(..length)?), length + 1))
        }
        _ => None,
    }
}
