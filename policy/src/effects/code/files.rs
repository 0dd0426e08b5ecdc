// SPDX-License-Identifier: Apache-2.0
//! Calls that open, read and write files. A write is the `tee` that does the same, said when the
//! file is closed or something else runs that may read it.

use super::super::place::Area;
use super::super::program::Run;
use super::super::word::{Arg, Stream};
use super::calls::Given;
use super::fold;
use super::machine::Machine;
use super::network;
use super::value::{READ, TEXT, Value};
use super::verbs::{first, flat, own};

impl Machine<'_> {
    /// Files read, written or opened.
    pub(super) fn file(&mut self, verb: &str, picked: &[Value], given: &Given) -> Value {
        let path = first(picked);
        let text = path.as_text().unwrap_or_default();
        if let Some(line) = text.strip_prefix('|') {
            return self.shell(&Value::text(line).tainted(&path.taint));
        }
        if text.contains("://") && !text.starts_with("file:") {
            return network::http(self, &[Value::text("GET"), path], given);
        }
        let mode = picked.get(1).and_then(Value::known).unwrap_or_default();
        let writes = match verb {
            "open" => mode.starts_with(['w', 'a', 'x', '>']) || mode.contains('+'),
            other => other != "read",
        };
        let path = self.here(&path);
        if !writes {
            return self.read(&path, verb);
        }
        let append = verb == "append" || mode.starts_with('a') || mode.starts_with(">>");
        let append = append || given.named("flag").is_some_and(|flag| flag.word() == "a");
        self.opened.push(Opened {
            content: Vec::new(),
            append,
            path: path.clone(),
        });
        if verb != "open" {
            let content = picked.get(1).cloned().unwrap_or_default();
            self.written(&path, content);
        }
        Value::object("file", vec![path])
    }

    /// Files that are open.
    pub(super) fn handle(&mut self, verb: &str, picked: &[Value], given: &Given) -> Value {
        match verb {
            "put" => {
                let path = given.this.as_ref().map(own).unwrap_or_default();
                for content in &given.args {
                    self.written(&path, content.clone());
                }
            }
            "dump" => {
                if let [content, file] = picked {
                    self.written(&own(file), content.clone().tainted(&file.taint));
                }
            }
            _ => return self.perl_open(picked, given),
        }
        Value::default()
    }

    /// `open(F, "> x")`, `open(F, '>', 'x')`, `open(F, "cmd |")`, `open(F, '-|', 'cmd', …)`
    pub(super) fn perl_open(&mut self, picked: &[Value], given: &Given) -> Value {
        let how = first(picked);
        let text = how.as_text().unwrap_or_default();
        let text = text.trim();
        match picked.get(1) {
            Some(path) if matches!(text, "-|" | "|-") => {
                let path = path.clone();
                let rest = picked.get(2..).unwrap_or_default();
                if rest.is_empty() {
                    self.shell(&path)
                } else {
                    self.command(flat(picked.get(1..).unwrap_or_default()), Stream::default())
                }
            }
            Some(path) => self.file("open", &[path.clone(), how.clone()], given),
            None => {
                let tainted = |text: &str| Value::text(text.trim()).tainted(&how.taint);
                if let Some(line) = text.strip_prefix('|').or(text.strip_suffix('|')) {
                    return self.shell(&tainted(line));
                }
                let path = text.trim_start_matches(['>', '<', '+']);
                let mode = text.strip_suffix(path).unwrap_or_default();
                self.file("open", &[tainted(path), Value::text(mode)], given)
            }
        }
    }

    /// Text that is written into an open file.
    pub(super) fn written(&mut self, path: &Value, content: Value) {
        let word = path.word();
        let mut files = self.opened.iter_mut().rev();
        match files.find(|file| file.path.word() == word) {
            Some(file) => file.content.push(content),
            None => self.opened.push(Opened {
                path: path.clone(),
                content: vec![content],
                append: true,
            }),
        }
    }

    /// Closes files that were written, so that what runs next sees them.
    pub(super) fn flush(&mut self) {
        for file in std::mem::take(&mut self.opened) {
            let stdin = match file.content.as_slice() {
                [] => Stream::default(),
                parts => fold::add(&[&[Value::text("")], parts].concat()).stream(),
            };
            let mut words = vec![Arg::known("tee")];
            if file.append {
                words.push(Arg::known("-a"));
            }
            words.extend(file.path.choices().iter().map(Value::arg));
            let printed = self.printed.clone();
            self.push(Run::Command { words, stdin });
            // `tee` stands for a write here; the program itself prints nothing.
            self.printed = printed;
        }
    }

    pub(super) fn read(&mut self, path: &Value, verb: &str) -> Value {
        self.flush();
        let mut taint = path.taint.clone();
        let text = path.word();
        let secret = self.call.place(&text).secret;
        if secret {
            taint.secret = Some(text.clone());
        } else {
            taint.file = Some(text.clone());
        }
        let unknown = matches!(self.call.place(&text).area, Area::Unresolved | Area::Null);
        if secret || !unknown {
            let printed = self.printed.clone();
            let words = vec![Arg::known("cat"), path.arg()];
            self.push(Run::Command {
                words,
                stdin: Stream::default(),
            });
            self.printed = printed;
        }
        let whole = self.call.setting.absolute(&text, self.call.cwd);
        let content = whole.and_then(|whole| self.call.files.read(&whole));
        let content = content.map(|stream| {
            taint.join(&stream.taint);
            let text = stream.text.filter(|text| text.len() <= TEXT);
            text.map_or_else(Value::default, |text| Value::text(&text))
        });
        let class = if verb == "open" { "file" } else { READ };
        let args = match class {
            READ => vec![content.unwrap_or_default(), path.clone()],
            _ => vec![path.clone(), content.unwrap_or_default()],
        };
        Value::object(class, args).tainted(&taint)
    }
}

/// A file that was opened to be written.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    path: Value,
    /// What was written so far.
    content: Vec<Value>,
    append: bool,
}
