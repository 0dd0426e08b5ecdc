// SPDX-License-Identifier: Apache-2.0
//! Redirections: what a command reads and where its output goes.

use tree_sitter::Node;

use super::super::program;
use super::super::word::{Stream, UNKNOWN};
use super::super::{Effect, Hard, Harm, Kind, Span, Target};
use super::expand::{source, span};
use super::tree::append;
use super::{Shell, Value, expand::Piece};
use crate::list::is_any;

/// Redirections of one command that are followed.
const MOST: usize = 64;

/// What a node's redirections come to.
#[derive(Debug)]
pub(super) struct Flow<'t> {
    /// What is read.
    pub(super) stdin: Stream,
    /// Files that stdout goes to, and whether it is added at their end.
    files: Vec<(Value, bool)>,
    /// Files that only other descriptors go to.
    others: Vec<(Value, bool)>,
    /// Commands behind a here-document's `|`.
    pub(super) pipes: Vec<Node<'t>>,
    /// Commands behind its `&&` and `||`.
    pub(super) then: Vec<Node<'t>>,
}

impl Shell<'_> {
    /// Reads a node's redirections.
    pub(super) fn redirections<'t>(
        &mut self,
        node: Node<'t>,
        src: &str,
        stdin: &Stream,
    ) -> Flow<'t> {
        let mut flow = Flow {
            stdin: stdin.clone(),
            files: Vec::new(),
            others: Vec::new(),
            pipes: Vec::new(),
            then: Vec::new(),
        };
        let mut cursor = node.walk();
        let children: Vec<_> = node.named_children(&mut cursor).collect();
        for child in children {
            if flow.files.len() + flow.others.len() > MOST {
                self.hard(
                    Hard::TooMuch,
                    span(node),
                    "more redirections than are followed",
                );
                break;
            }
            match child.kind() {
                "file_redirect" => self.file(child, src, &mut flow),
                "heredoc_redirect" => self.here_document(child, src, &mut flow),
                "herestring_redirect" => {
                    let word = child.child(child.child_count().saturating_sub(1));
                    let word = word.map(|word| self.value(word, src));
                    let read = stream(word.unwrap_or_default());
                    self.opened(child, src, read, &mut flow);
                }
                _ => {}
            }
        }
        flow
    }

    fn file(&mut self, node: Node<'_>, src: &str, flow: &mut Flow<'_>) {
        let raw = source(node, src);
        let operator = raw.trim_start_matches(|c: char| c.is_ascii_digit() || c == '{' || c == '}');
        let Some(target) = node.child_by_field_name("destination") else {
            return;
        };
        let duplicates = operator.starts_with(">&") || operator.starts_with("<&");
        if duplicates && (target.kind() == "number" || source(target, src) == "-") {
            let copied = format!("/dev/fd/{}", source(target, src));
            if let Some(read) = self
                .written
                .get(&copied)
                .filter(|_| operator.starts_with('<'))
            {
                flow.stdin = read.clone();
            }
            let socket = self.sockets.get(source(target, src)).cloned();
            let out = matches!(descriptor(node, src), None | Some("1"));
            if let Some(path) = socket.filter(|_| operator.starts_with('>') && out) {
                flow.files.push((Value::known(&path), true));
            }
            return;
        }
        let path = self.value(target, src);
        if program::dev_tcp(&path.text).is_some()
            && let Some(descriptor) = descriptor(node, src)
        {
            self.sockets
                .insert(descriptor.to_owned(), path.text.clone());
        }
        let both = operator.starts_with("<>");
        if operator.starts_with('<') {
            let read = self.read(&path, span(node));
            self.opened(node, src, read, flow);
        }
        if both || !operator.starts_with('<') {
            let added = operator.contains(">>");
            match descriptor(node, src) {
                None | Some("1") => flow.files.push((path, added)),
                Some(_) => flow.others.push((path, added)),
            }
        }
    }

    fn here_document<'t>(&mut self, node: Node<'t>, src: &str, flow: &mut Flow<'t>) {
        let mut quoted = false;
        let mut text = Value::default();
        let mut cursor = node.walk();
        let children: Vec<_> = node.named_children(&mut cursor).collect();
        for child in children {
            match child.kind() {
                "heredoc_start" => quoted = source(child, src).contains(['\'', '"', '\\']),
                "heredoc_body" => text = self.document(child, src, quoted),
                "heredoc_end" => {}
                "file_redirect" => self.file(child, src, flow),
                "pipeline" => flow.pipes.push(child),
                _ => flow.then.push(child),
            }
        }
        if source(node, src).contains("<<-") {
            let lines = text
                .text
                .split('\n')
                .map(|line| line.trim_start_matches('\t'));
            text.text = lines.collect::<Vec<_>>().join("\n");
        }
        self.opened(node, src, stream(text), flow);
    }

    /// What is read through a redirection: stdin, or the descriptor that stands before it.
    fn opened(&mut self, node: Node<'_>, src: &str, read: Stream, flow: &mut Flow<'_>) {
        let raw = source(node, src);
        let digits = raw.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        match raw.get(..digits) {
            None | Some("" | "0") => flow.stdin = read,
            Some(descriptor) => {
                self.written.insert(format!("/dev/fd/{descriptor}"), read);
            }
        }
    }

    fn document(&mut self, node: Node<'_>, src: &str, quoted: bool) -> Value {
        if quoted {
            return Value::known(source(node, src));
        }
        let mut pieces: Vec<Piece> = Vec::new();
        self.between(node, src, 0, &mut pieces);
        // The grammar sees no backticks in here-documents.
        for code in source(node, src).split('`').skip(1).step_by(2) {
            self.apart(|shell| shell.nested(code, span(node), &Stream::empty()));
        }
        let mut value = Value::default();
        for piece in pieces {
            value.text.push_str(&piece.text);
            value.taint.join(&piece.taint);
        }
        value
    }

    /// `$(< file)`.
    pub(super) fn read_from(&mut self, node: Node<'_>, src: &str) -> Stream {
        let Some(target) = node.child_by_field_name("destination") else {
            return Stream::default();
        };
        let path = self.value(target, src);
        self.read(&path, span(node))
    }

    /// What is in a file, as far as it is known.
    fn read(&mut self, path: &Value, at: Span) -> Stream {
        if let Some(effect) = program::dev_tcp(&path.text) {
            self.effect(effect, at);
            let mut stream = Stream::default();
            stream.taint.network = Some(path.text.clone());
            return stream;
        }
        if path.text == "/dev/null" {
            return Stream::empty();
        }
        let place = self.setting.place(&path.text, self.scope.cwd.as_deref());
        let mut stream = self.content(&path.text).unwrap_or_default();
        if place.secret {
            stream.taint.secret = Some(path.text.clone());
            let target = Target::Path(path.text.clone(), place);
            let why = "reads a file that keeps secrets";
            let rule = "shell:read-secret";
            let effect = Effect::new(Kind::TouchSecret, Harm::Low, target, rule, why);
            self.effect(effect, at);
        } else if stream.taint.file.is_none() && stream.taint.network.is_none() {
            stream.taint.file = Some(path.text.clone());
        }
        stream
    }

    /// A file's content: what the action wrote into it, else what is on disk.
    pub(super) fn content(&self, path: &str) -> Option<Stream> {
        let whole = self.setting.absolute(path, self.scope.cwd.as_deref())?;
        let written = self.written.get(&whole).cloned();
        written.or_else(|| self.files.read(&whole))
    }

    /// Sends what a command printed to the files it is redirected to; what is left for the pipe.
    pub(super) fn poured(&mut self, out: Stream, flow: &Flow<'_>, at: Span) -> Stream {
        for (path, added) in flow.files.iter().chain(&flow.others) {
            self.written_to(path, *added, at);
        }
        if flow.files.is_empty() {
            return out;
        }
        for (path, added) in &flow.files {
            if let Some(effect) = program::dev_tcp(&path.text) {
                self.effect(effect, at);
                self.sent(&out, &path.text, at);
            }
            self.put(&path.text, &out, *added);
        }
        Stream::empty()
    }

    pub(super) fn written_to(&mut self, path: &Value, added: bool, at: Span) {
        let place = self.setting.place(&path.text, self.scope.cwd.as_deref());
        if let Some(effect) = program::write_to(place, &path.text, added) {
            self.effect(effect, at);
        }
    }

    /// Remembers what is in a file now.
    pub(super) fn put(&mut self, path: &str, out: &Stream, added: bool) {
        let Some(whole) = self.setting.absolute(path, self.scope.cwd.as_deref()) else {
            return;
        };
        self.begins(path, out);
        if self.written.len() >= super::KEPT {
            self.hard(
                Hard::TooMuch,
                Span::default(),
                "more files than are followed",
            );
            return;
        }
        let mut content = Stream::empty();
        if added {
            // A file that cannot be read is mostly one that is not there yet.
            content = self.content(path).unwrap_or_else(Stream::empty);
        } else if let Some(before) = self.written.get(&whole) {
            // The write may not happen: what was there counts on.
            content = before.clone();
            if content
                .text
                .as_ref()
                .is_some_and(|text| !text.ends_with('\n'))
            {
                append(&mut content, &Stream::known("\n"));
            }
        }
        append(&mut content, out);
        self.written.insert(whole, content);
    }

    /// What is written into a file that every new shell reads runs as soon as one begins.
    fn begins(&mut self, path: &str, out: &Stream) {
        const READ: &str = ".bashrc .bash_profile .bash_login .bash_logout .profile .zshrc .zshenv .zprofile \
            .zlogin .kshrc";
        let name = path.rsplit('/').next().unwrap_or_default();
        let read = is_any(READ, name);
        let label = format!("startup:{name}");
        let Some(text) = out
            .text
            .as_ref()
            .filter(|_| read && !self.running.contains(&label))
        else {
            return;
        };
        let before = self.content(path).and_then(|stream| stream.text);
        let new = text
            .strip_prefix(&before.unwrap_or_default())
            .unwrap_or(text);
        let new = new.to_owned();
        let at = self.outer.unwrap_or_default();
        self.running.push(label);
        self.under(path, |shell| {
            shell.apart(|shell| shell.nested(&new, at, &Stream::empty()))
        });
        self.running.pop();
    }

    /// Data that leaves through a socket of the shell's own.
    fn sent(&mut self, out: &Stream, host: &str, at: Span) {
        let Some(secret) = &out.taint.secret else {
            return;
        };
        let why = format!("sends what is in {secret}");
        let target = Target::Host(host.to_owned());
        let rule = "shell:secret-to-network";
        let effect = Effect::new(Kind::Send, Harm::Critical, target, rule, why);
        self.effect(effect, at);
    }
}

/// The descriptor that stands before a redirection: `3`, `{name}`.
fn descriptor<'s>(node: Node<'_>, src: &'s str) -> Option<&'s str> {
    let field = node.child_by_field_name("descriptor");
    field.map(|descriptor| source(descriptor, src))
}

/// A value as what is read.
fn stream(value: Value) -> Stream {
    let known = !value.text.contains(UNKNOWN);
    let mut text = value.text;
    if known && !text.ends_with('\n') {
        text.push('\n');
    }
    Stream {
        // Code with holes in it is still read for what is known of it.
        text: Some(text),
        taint: value.taint,
    }
}
