// SPDX-License-Identifier: Apache-2.0
//! From a word of the syntax tree to the words a program gets: quotes, parameters, substitutions,
//! braces and field splitting, in the order of bash(1), EXPANSION.

use tree_sitter::Node;

use super::super::word::{Arg, Stream, Taint, UNKNOWN};
use super::super::{Hard, Span};
use super::variables::ends_tilde;
use super::{MADE, Shell, Value, WORD, brace, quote};

/// How a piece of a word is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Written without quotes.
    Bare,
    /// Quoted, or made literal by a backslash.
    Quoted,
    /// From an expansion without quotes: split at white space.
    Split,
    /// The end of a word inside quotes: `"$@"`.
    Break,
}

/// A piece of a word.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) how: How,
    pub(super) taint: Taint,
}

impl Piece {
    pub(super) fn of(text: impl Into<String>, how: How) -> Self {
        Self {
            text: text.into(),
            how,
            taint: Taint::default(),
        }
    }
}

/// The bytes of a node.
pub(super) fn span(node: Node<'_>) -> Span {
    let byte = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span {
        start: byte(node.start_byte()),
        end: byte(node.end_byte()),
    }
}

/// The text of a node.
pub(super) fn source<'s>(node: Node<'_>, src: &'s str) -> &'s str {
    src.get(node.byte_range()).unwrap_or_default()
}

impl Shell<'_> {
    /// The words that a word becomes.
    pub(super) fn fields(&mut self, node: Node<'_>, src: &str) -> Vec<Arg> {
        let mut pieces = Vec::new();
        self.pieces(node, src, false, &mut pieces);
        let span = self.outer.unwrap_or_else(|| span(node));
        if pieces.iter().map(|piece| piece.text.len()).sum::<usize>() > MADE {
            self.hard(Hard::TooMuch, span, "a word longer than is read");
        }
        let mut args = if self.spend(size(&pieces)) {
            split(&pieces)
        } else {
            vec![Arg::known(&UNKNOWN.to_string())]
        };
        if !self.spend(args.len().saturating_mul(WORD)) {
            args.truncate(1);
        }
        for arg in &mut args {
            arg.span = span;
        }
        args
    }

    /// A word that stays one word: the right side of an assignment, a redirection's file.
    pub(super) fn value(&mut self, node: Node<'_>, src: &str) -> Value {
        let mut pieces = Vec::new();
        self.pieces(node, src, false, &mut pieces);
        let mut value = Value::default();
        if !self.spend(size(&pieces)) {
            return Value::known(&UNKNOWN.to_string());
        }
        if let Some(first) = pieces.first_mut().filter(|first| first.how == How::Bare)
            && let Some(rest) = first.text.strip_prefix('~').filter(|rest| ends_tilde(rest))
        {
            first.text = format!("{}{rest}", self.setting.home);
        }
        for piece in pieces {
            if value.text.len() + piece.text.len() > MADE {
                value.text.push(UNKNOWN);
                self.hard(Hard::TooMuch, span(node), "a word longer than is read");
                break;
            }
            value.text.push_str(&piece.text);
            value.taint.join(&piece.taint);
        }
        value
    }

    /// The words that a piece of shell text becomes where one word stands.
    pub(super) fn word_text(&mut self, raw: &str) -> Vec<Arg> {
        self.deeper(|shell| {
            let text = format!(": {raw}");
            let Some(tree) = shell.tree(&text) else {
                return vec![Arg::known(raw)];
            };
            let mut args = Vec::new();
            let command = tree.root_node().named_child(0);
            if let Some(command) = command {
                let mut cursor = command.walk();
                let words: Vec<_> = command.named_children(&mut cursor).skip(1).collect();
                for word in words {
                    args.extend(shell.fields(word, &text));
                }
            }
            if args.is_empty() && !raw.is_empty() {
                args.push(Arg::known(raw));
            }
            args
        })
    }

    pub(super) fn pieces(
        &mut self,
        node: Node<'_>,
        src: &str,
        quoted: bool,
        made: &mut Vec<Piece>,
    ) {
        self.deeper(|shell| shell.piece(node, src, quoted, made));
    }

    fn piece(&mut self, node: Node<'_>, src: &str, quoted: bool, made: &mut Vec<Piece>) {
        let raw = source(node, src);
        let how = if quoted { How::Quoted } else { How::Split };
        match node.kind() {
            "string" => self.between(node, src, 1, made),
            "raw_string" => made.push(Piece::of(raw.trim_matches('\''), How::Quoted)),
            "ansi_c_string" => {
                let inner = raw
                    .strip_prefix("$'")
                    .and_then(|raw| raw.strip_suffix('\''));
                made.push(Piece::of(quote::ansi_c(inner.unwrap_or(raw)), How::Quoted));
            }
            "translated_string" | "concatenation" | "command_name" => {
                let mut cursor = node.walk();
                for child in node.children(&mut cursor) {
                    if child.kind() != "$" {
                        self.pieces(child, src, quoted, made);
                    }
                }
            }
            "simple_expansion" => self.parameter(raw.trim().trim_start_matches('$'), how, made),
            "expansion" => {
                let raw = raw.trim();
                let inner = raw.strip_prefix("${").and_then(|raw| raw.strip_suffix('}'));
                self.braced(inner.unwrap_or_default(), how, made);
            }
            "command_substitution" => {
                let out = self.substituted(node, src);
                push_stream(&out, how, made);
            }
            "process_substitution" => {
                let path = self.process(node, src);
                made.push(Piece::of(path, How::Quoted));
            }
            "arithmetic_expansion" => {
                self.inside(node, src);
                made.push(Piece::of(arithmetic(raw), How::Quoted));
            }
            _ if quoted => made.push(Piece::of(quote::double(raw), How::Quoted)),
            _ => {
                for (text, literal) in quote::bare(raw) {
                    made.push(Piece::of(
                        text,
                        if literal { How::Quoted } else { How::Bare },
                    ));
                }
            }
        }
    }

    /// What is between double quotes, or a here-document's text: gaps between the children are
    /// literal, whatever the grammar calls them. `edge` bytes at both ends are the quotes.
    pub(super) fn between(
        &mut self,
        node: Node<'_>,
        src: &str,
        edge: usize,
        made: &mut Vec<Piece>,
    ) {
        let (mut at, end) = (
            node.start_byte() + edge,
            node.end_byte().saturating_sub(edge),
        );
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor) {
            if matches!(child.kind(), "string_content" | "heredoc_content") {
                continue;
            }
            let gap = src.get(at..child.start_byte()).unwrap_or_default();
            made.push(Piece::of(quote::double(gap), How::Quoted));
            // In `"$a $b"` the grammar takes the blank for a part of what follows.
            let raw = source(child, src);
            let blank = raw.len() - raw.trim_start().len();
            made.push(Piece::of(raw.get(..blank).unwrap_or_default(), How::Quoted));
            self.pieces(child, src, true, made);
            at = child.end_byte();
        }
        let gap = src.get(at..end).unwrap_or_default();
        made.push(Piece::of(quote::double(gap), How::Quoted));
    }

    /// What `$(…)` or backticks print.
    fn substituted(&mut self, node: Node<'_>, src: &str) -> Stream {
        let raw = source(node, src);
        if let Some(inner) = raw.strip_prefix('`') {
            // A backslash before a backtick, a dollar or itself goes before the text is read.
            let inner = inner
                .trim_end_matches('`')
                .replace("\\`", "`")
                .replace("\\\\", "\\");
            if inner.contains('\\') || inner.contains('`') {
                let outer = self.outer.unwrap_or_else(|| span(node));
                return self.apart(|shell| shell.nested(&inner, outer, &Stream::empty()));
            }
        }
        self.apart(|shell| shell.sequence(node, src, &Stream::empty()))
    }

    /// A file that stands for what a command prints or reads.
    fn process(&mut self, node: Node<'_>, src: &str) -> String {
        let out = self.apart(|shell| shell.sequence(node, src, &Stream::empty()));
        self.substitutions = self.substitutions.saturating_add(1);
        let path = format!("/dev/fd/{}", 62 + self.substitutions);
        self.written.insert(path.clone(), out);
        path
    }

    /// Runs the substitutions inside of what is not followed itself: tests, arithmetic.
    pub(super) fn inside(&mut self, node: Node<'_>, src: &str) {
        self.deeper(|shell| {
            if matches!(node.kind(), "command_substitution" | "process_substitution") {
                shell.pieces(node, src, true, &mut Vec::new());
                return;
            }
            let mut cursor = node.walk();
            let children: Vec<_> = node.named_children(&mut cursor).collect();
            for child in children {
                if matches!(
                    child.kind(),
                    "command_substitution" | "process_substitution"
                ) {
                    shell.pieces(child, src, true, &mut Vec::new());
                } else {
                    shell.inside(child, src);
                }
            }
        });
    }

    /// Runs a text that the action makes or holds, with `outer` as the words it came from.
    pub(super) fn nested(&mut self, text: &str, outer: Span, stdin: &Stream) -> Stream {
        let before = self.outer.replace(outer);
        let out = self.deeper(|shell| shell.text(text, stdin));
        self.outer = before;
        if text.contains(UNKNOWN) {
            self.hard(
                Hard::DynamicCode,
                outer,
                "code that is completed only when it runs",
            );
        }
        out
    }
}

/// About how many bytes a word's pieces are.
fn size(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.text.len() + WORD).sum()
}

/// A substitution's output, line ends at its end cut off.
fn push_stream(out: &Stream, how: How, made: &mut Vec<Piece>) {
    let text = match &out.text {
        Some(text) if text.len() <= MADE => text.trim_end_matches('\n').to_owned(),
        _ => UNKNOWN.to_string(),
    };
    made.push(Piece {
        text,
        how,
        taint: out.taint.clone(),
    });
}

/// A sum or product of two numbers, as far as that is all there is.
pub(super) fn arithmetic(raw: &str) -> String {
    let inner = raw.trim_start_matches("$((").trim_start_matches("$[");
    let inner = inner.trim_end_matches("))").trim_end_matches(']').trim();
    let pair = |operator: char| {
        let (left, right) = inner.split_once(operator)?;
        Some((
            left.trim().parse::<i64>().ok()?,
            right.trim().parse::<i64>().ok()?,
        ))
    };
    let number = inner.parse::<i64>().ok();
    let value = number
        .or_else(|| pair('+').and_then(|(left, right)| left.checked_add(right)))
        .or_else(|| pair('*').and_then(|(left, right)| left.checked_mul(right)))
        .or_else(|| pair('-').and_then(|(left, right)| left.checked_sub(right)));
    value.map_or_else(|| UNKNOWN.to_string(), |value| value.to_string())
}

/// Braces, then splitting at white space.
fn split(pieces: &[Piece]) -> Vec<Arg> {
    let mut taint = Taint::default();
    let mut marked: Vec<brace::Mark<How>> = Vec::new();
    let mut quoted = false;
    for piece in pieces {
        taint.join(&piece.taint);
        quoted |= piece.how == How::Quoted;
        let room = MADE.saturating_sub(marked.len());
        marked.extend(piece.text.chars().take(room).map(|c| (c, piece.how)));
        if piece.how == How::Break {
            marked.push((' ', How::Break));
        }
    }
    let mut args = Vec::new();
    for word in brace::expand(&marked, |how| how == How::Bare) {
        let mut words = cut(&word);
        if words.is_empty() && quoted {
            words.push(Arg::default());
        }
        args.extend(words);
    }
    for arg in &mut args {
        arg.taint = taint.clone();
    }
    args
}

/// Cuts a word at the white space that expansions brought.
fn cut(word: &[brace::Mark<How>]) -> Vec<Arg> {
    let mut args = Vec::new();
    let mut arg: Option<Arg> = None;
    for (at, (c, how)) in word.iter().enumerate() {
        let ends = *how == How::Break || (*how == How::Split && c.is_ascii_whitespace());
        if ends {
            args.extend(arg.take());
            continue;
        }
        let arg = arg.get_or_insert_with(Arg::default);
        if at == 0 && *c == '~' && *how == How::Quoted {
            arg.text.push_str("./");
        }
        arg.glob |= matches!(c, '*' | '?' | '[') && *how != How::Quoted;
        arg.text.push(*c);
    }
    args.extend(arg);
    args
}
