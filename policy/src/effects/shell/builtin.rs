// SPDX-License-Identifier: Apache-2.0
//! Builtins that change the shell itself. Others (`echo`, `test`, `kill`) are programs to us.

use super::super::word::{Arg, Stream, UNKNOWN};
use super::super::{Effect, Hard, Harm, Kind, Target};
use super::{Shell, Value, Variable};

impl Shell<'_> {
    /// Runs a builtin; nothing when `name` is none.
    pub(super) fn builtin(
        &mut self,
        name: &str,
        args: &[Arg],
        program: &Arg,
        stdin: &Stream,
    ) -> Option<Stream> {
        match name {
            "cd" | "pushd" => self.cd(args),
            "popd" => self.scope.cwd = None,
            "eval" => return Some(self.eval(args, program, stdin)),
            "source" | "." => return Some(self.source(args, stdin)),
            "set" => self.set(args),
            "shift" => {
                let count = args
                    .first()
                    .and_then(|arg| arg.text.parse().ok())
                    .unwrap_or(1);
                let count = self.scope.arguments.len().min(count);
                self.scope.arguments.drain(..count);
            }
            "read" | "mapfile" | "readarray" => self.read_into(name, args, stdin),
            "printf" if args.first().is_some_and(|arg| arg.text == "-v") => self.printf_into(args),
            "alias" => self.define_aliases(args),
            "unalias" => {
                for arg in args {
                    self.scope.aliases.remove(&arg.text);
                }
            }
            "trap" => self.trap(args),
            "export" | "local" | "declare" | "typeset" | "readonly" => {}
            ":" | "wait" | "jobs" | "hash" | "umask" | "ulimit" | "shopt" | "return" | "exit"
            | "break" | "continue" | "fg" | "bg" | "disown" | "let" | "getopts" | "bind"
            | "complete" | "compgen" | "caller" | "dirs" | "logout" | "suspend" | "times"
            | "enable" => {}
            _ => return None,
        }
        Some(Stream::empty())
    }

    fn cd(&mut self, args: &[Arg]) {
        let to = args
            .iter()
            .rfind(|arg| arg.text == "-" || !arg.text.starts_with('-'));
        self.scope.cwd = match to.map(|arg| arg.text.as_str()) {
            None => Some(self.setting.home.clone()),
            Some("-") => None,
            Some(path) => self.setting.absolute(path, self.scope.cwd.as_deref()),
        };
        if self
            .scope
            .cwd
            .as_ref()
            .is_some_and(|cwd| cwd.contains(UNKNOWN))
        {
            self.scope.cwd = None;
        }
    }

    fn eval(&mut self, args: &[Arg], program: &Arg, stdin: &Stream) -> Stream {
        let mut joined = Arg {
            span: program.span,
            ..Arg::default()
        };
        for (at, arg) in args.iter().enumerate() {
            if at > 0 {
                joined.text.push(' ');
            }
            joined.text.push_str(&arg.text);
            joined.taint.join(&arg.taint);
            joined.span.end = joined.span.end.max(arg.span.end);
        }
        self.under("eval", |shell| shell.made_code(&joined, stdin))
    }

    /// Code that the action makes: judged by where it came from, then run.
    pub(super) fn made_code(&mut self, code: &Arg, stdin: &Stream) -> Stream {
        let at = self.outer.unwrap_or(code.span);
        if let Some(host) = &code.taint.network {
            let why = format!("runs what {host} answers, which nobody has seen");
            let target = Target::Host(host.clone());
            let rule = "shell:downloaded-code";
            self.effect(
                Effect::new(Kind::Execute, Harm::Critical, target, rule, why),
                at,
            );
        }
        if code.taint.decoded {
            let why = "runs code that is written so that it can't be read";
            let rule = "shell:decoded-code";
            let effect = Effect::new(Kind::Obfuscate, Harm::Medium, Target::Nothing, rule, why);
            self.effect(effect, at);
        }
        if code.text.trim_matches(UNKNOWN).trim().is_empty() && !code.text.is_empty() {
            self.hard(
                Hard::DynamicCode,
                at,
                "runs code that is made only when it runs",
            );
            if code.taint.network.is_none() {
                let why = "runs code that is made only when it runs";
                let harm = if code.taint.decoded {
                    Harm::High
                } else {
                    Harm::Medium
                };
                let rule = "shell:dynamic-code";
                let effect = Effect::new(Kind::Execute, harm, Target::Nothing, rule, why);
                self.effect(effect, at);
            }
            return Stream::default();
        }
        self.nested(&code.text, at, stdin)
    }

    fn source(&mut self, args: &[Arg], stdin: &Stream) -> Stream {
        let Some(path) = args.first() else {
            return Stream::empty();
        };
        let run = super::super::program::Run::File {
            language: "source",
            path: path.clone(),
            arguments: args.get(1..).unwrap_or_default().to_vec(),
        };
        self.under("source", |shell| shell.script(&run, stdin))
            .unwrap_or_default()
    }

    fn set(&mut self, args: &[Arg]) {
        if let [off, what] = args
            && off.text == "+o"
            && what.text == "history"
        {
            self.hides_history(off.span);
        }
        let given = args.iter().position(|arg| arg.text == "--");
        let values = given.and_then(|at| args.get(at + 1..));
        let bare = args
            .first()
            .is_some_and(|arg| !arg.text.starts_with(['-', '+']));
        if let Some(values) = values.or(bare.then_some(args)) {
            self.scope.arguments = values.iter().map(|arg| self.held(arg)).collect();
        }
    }

    /// `read a b`: the first line's words, as far as the input is known.
    fn read_into(&mut self, name: &str, args: &[Arg], stdin: &Stream) {
        let mut names: Vec<&str> = Vec::new();
        let mut skip = false;
        for arg in args {
            let valued = matches!(
                arg.text.as_str(),
                "-d" | "-n" | "-N" | "-p" | "-u" | "-i" | "-O" | "-s" | "-C" | "-c"
            ) || (arg.text == "-t" && name == "read");
            if !skip && !arg.text.starts_with('-') {
                names.push(&arg.text);
            }
            skip = valued;
        }
        let value = |text: String| Value {
            text,
            taint: stdin.taint.clone(),
        };
        if name != "read"
            || args
                .iter()
                .any(|arg| arg.text.contains('a') && arg.text.starts_with('-'))
        {
            let Some(array) = names.first() else { return };
            let words: Vec<Value> = match &stdin.text {
                Some(text) if name != "read" => text
                    .lines()
                    .take(64)
                    .map(|word| value(word.to_owned()))
                    .collect(),
                _ => vec![value(UNKNOWN.to_string())],
            };
            self.scope
                .variables
                .insert((*array).to_owned(), Variable::Many(words));
            return;
        }
        let line = stdin
            .text
            .as_ref()
            .map(|text| text.lines().next().unwrap_or_default().trim());
        let mut rest = line;
        for (at, name) in names.iter().enumerate() {
            let text = match rest {
                None => UNKNOWN.to_string(),
                Some(line) if at + 1 == names.len() => line.to_owned(),
                Some(line) => {
                    let (word, tail) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
                    rest = Some(tail.trim_start());
                    word.to_owned()
                }
            };
            self.scope
                .variables
                .insert((*name).to_owned(), Variable::One(value(text)));
        }
    }

    /// `printf -v x …`.
    fn printf_into(&mut self, args: &[Arg]) {
        let (Some(name), Some(rest)) = (args.get(1), args.get(2..)) else {
            return;
        };
        let out = self.judged("printf", &Arg::known("printf"), rest, &Stream::empty());
        let text = out.text.unwrap_or_else(|| UNKNOWN.to_string());
        let value = Value {
            text,
            taint: out.taint,
        };
        self.scope
            .variables
            .insert(name.text.clone(), Variable::One(value));
    }

    fn define_aliases(&mut self, args: &[Arg]) {
        for arg in args {
            if let Some((name, text)) = arg.text.split_once('=') {
                self.scope.aliases.insert(name.to_owned(), text.to_owned());
            }
        }
    }

    /// `trap CODE SIGNAL`: the code runs sooner or later.
    fn trap(&mut self, args: &[Arg]) {
        if let Some(code) = args.iter().find(|arg| !arg.text.starts_with('-')) {
            let code = code.clone();
            if args.len() > 1 && !code.text.is_empty() {
                self.under("trap", |shell| shell.made_code(&code, &Stream::empty()));
            }
        }
    }
}
