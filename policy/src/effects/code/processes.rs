// SPDX-License-Identifier: Apache-2.0
//! Calls that start programs, and code that makes code.

use super::super::program::Run;
use super::super::word::{Arg, Stream, Taint, UNKNOWN};
use super::super::{Hard, Harm, Kind, Target};
use super::calls::Given;
use super::machine::Machine;
use super::network;
use super::value::{READ, Shape, Value};
use super::verbs::{first, flat};

/// Most commands that one program is followed into.
const RUNS: usize = 128;

impl Machine<'_> {
    /// Runs a command.
    pub(super) fn command(&mut self, words: Vec<Arg>, stdin: Stream) -> Value {
        self.flush();
        let taint = self.output_of(&words);
        if let Some(first) = words.first() {
            let bare = words.len() == 1
                || words
                    .iter()
                    .skip(1)
                    .all(|word| word.text.starts_with('-') && word.text != "-c");
            self.shell_on_socket(&first.text, bare);
            self.push(Run::Command { words, stdin });
        }
        Value::unknown(taint)
    }

    /// Runs a line of shell.
    pub(super) fn shell(&mut self, text: &Value) -> Value {
        self.flush();
        let mut taint = Taint::default();
        for choice in text.choices() {
            let mut arg = choice.arg();
            self.judge_text(&choice, "a command");
            taint.join(&self.output_of(std::slice::from_ref(&arg)));
            let first = arg.text.split_whitespace().next().unwrap_or_default();
            let rest =
                arg.text.contains(" -i") || arg.text.contains("&") || arg.text.trim() == first;
            self.shell_on_socket(first, rest);
            if let Some(folder) = &self.folder {
                let folder = folder.replace('\'', r"'\''");
                arg.text = format!("cd '{folder}' && {}", arg.text);
            }
            self.push(Run::Shell {
                text: arg,
                arguments: Vec::new(),
                stdin: Stream::default(),
                host: None,
            });
        }
        Value::unknown(taint)
    }

    /// What comes out of commands with these words.
    pub(super) fn output_of(&self, words: &[Arg]) -> Taint {
        let mut taint = Taint::default();
        for word in words.iter().flat_map(|word| word.text.split_whitespace()) {
            let word = word.trim_matches(['"', '\'', ';', '<', '(', ')']);
            if taint.secret.is_none() && self.call.place(word).secret {
                taint.secret = Some(word.to_owned());
            }
            if taint.network.is_none() && word.contains("://") {
                taint.network = Some(network::host(word).to_owned());
            }
            if matches!(word, "env" | "printenv") {
                taint.secret = Some("the environment".to_owned());
            }
        }
        taint
    }

    /// A program started with a list of words, or with a line of shell.
    pub(super) fn spawn(&mut self, picked: &[Value], given: &Given) -> Value {
        let what = first(picked);
        let by_shell = given.named("shell").is_some_and(|shell| !shell.is_false());
        let more = picked.get(1).filter(|value| value.parts().is_some());
        let before = self.folder.clone();
        if let Some(folder) = given.named("cwd") {
            self.change_folder(&folder);
        }
        let stdin = given
            .named("input")
            .map_or_else(Stream::default, |input| input.stream());
        let line = what
            .as_text()
            .is_some_and(|text| text.trim().contains(char::is_whitespace));
        let value = match what.parts() {
            Some(parts) if by_shell => self.shell(&parts.first().cloned().unwrap_or_default()),
            None if more.is_none() && (by_shell || line || what.as_text().is_none()) => {
                self.shell(&what)
            }
            _ => {
                let mut words = flat(std::slice::from_ref(&what));
                words.extend(more.map_or_else(Vec::new, |more| flat(std::slice::from_ref(more))));
                if let Some(folder) = &self.folder {
                    let place = ["env", "-C", folder];
                    words.splice(0..0, place.map(Arg::known)).for_each(drop);
                }
                self.command(words, stdin)
            }
        };
        self.folder = before;
        value
    }

    /// `execv(path, [name, …])` and `execl(path, name, …)`: the name is not what runs.
    pub(super) fn exec(&mut self, verb: &str, picked: &[Value]) -> Value {
        let (Some((program, rest)), listed) = (picked.split_first(), verb == "execv") else {
            return Value::default();
        };
        let mut words = vec![program.arg()];
        let args = if listed {
            flat(rest.get(..1).unwrap_or_default())
        } else {
            flat(rest)
        };
        words.extend(args.into_iter().skip(1));
        self.command(words, Stream::default())
    }

    /// A line of shell on another machine.
    pub(super) fn remote(&mut self, text: &Value, given: &Given) -> Value {
        let on = given.this.as_ref().and_then(Value::as_object);
        let host = on.and_then(|on| on.args.first()).and_then(Value::known);
        self.push(Run::Shell {
            text: text.arg(),
            arguments: Vec::new(),
            stdin: Stream::default(),
            host: Some(host.unwrap_or_else(|| "a remote host".to_owned())),
        });
        Value::default()
    }

    /// Code or commands that were decoded or came over the network are told apart from others.
    pub(super) fn judge_text(&mut self, text: &Value, what: &'static str) {
        if text.taint.decoded {
            self.effect(
                (Kind::Obfuscate, Harm::Medium),
                Target::Program(what.to_owned()),
                "code:decoded",
                "what runs was made unreadable to a person first",
            );
        }
        if let Some(host) = text.taint.network.clone() {
            self.effect(
                (Kind::Execute, Harm::Critical),
                Target::Host(host),
                "code:run-download",
                "runs whatever a host sends",
            );
        }
    }

    /// Code that the program makes, or a file of code.
    pub(super) fn code(&mut self, verb: &str, text: &Value) -> Value {
        let mut last = Value::default();
        for choice in text.choices() {
            let file = choice.as_object().filter(|object| object.class == READ);
            let path = match verb {
                "file" => Some(choice.clone()),
                _ => file.and_then(|object| object.args.get(1).cloned()),
            };
            if let Some(path) = path {
                self.flush();
                self.push(Run::File {
                    language: self.language.name,
                    path: self.here(&path).arg(),
                    arguments: Vec::new(),
                });
                continue;
            }
            if !matches!(
                choice.shape,
                Shape::Unknown | Shape::Text(_) | Shape::Object(_)
            ) {
                last = self.apply(&choice, &Given::default());
                continue;
            }
            self.judge_text(&choice, "code");
            last = match choice.known() {
                Some(code) => self.inner(&code).unwrap_or_default(),
                None if choice.taint.network.is_some() => Value::default(),
                None => self.unseen(&choice),
            };
        }
        last.tainted(&text.taint)
    }

    /// A file of code that belongs to the program, unless it lies elsewhere.
    pub(super) fn library(&mut self, path: &Value, given: &Given) -> Value {
        let text = path.as_text().unwrap_or_default();
        if text.contains("://") {
            let code = network::http(self, &[Value::text("GET"), path.clone()], given);
            return self.code("code", &code);
        }
        if text.starts_with('/') {
            return self.code("file", path);
        }
        Value::default()
    }

    pub(super) fn unseen(&mut self, code: &Value) -> Value {
        // Packed code that cannot be unpacked here is packed in order not to be read.
        let harm = if code.taint.decoded {
            Harm::High
        } else {
            Harm::Medium
        };
        self.effect(
            (Kind::Execute, harm),
            Target::Program(UNKNOWN.to_string()),
            "code:dynamic",
            "runs code that is only known when it runs",
        );
        self.dynamic("code that is made as it runs")
    }

    pub(super) fn dynamic(&mut self, text: &str) -> Value {
        self.find(Hard::DynamicCode, text);
        Value::default()
    }

    pub(super) fn push(&mut self, run: Run) {
        self.printed = None;
        if self.seen.len() > RUNS || !self.seen.insert(format!("{run:?}")) {
            return;
        }
        if self.outcome.runs.len() < RUNS {
            self.outcome.runs.push(run);
        } else {
            self.find(Hard::TooMuch, "more commands than are followed");
        }
    }

    /// Whether what may be code or a function is worth a look.
    pub(super) fn is_code(&self, value: &Value) -> bool {
        value.known().is_some()
            || value.taint.network.is_some()
            || !matches!(value.shape, Shape::Unknown)
    }
}
