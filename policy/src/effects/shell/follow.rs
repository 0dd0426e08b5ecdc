// SPDX-License-Identifier: Apache-2.0
//! Follows what a program runs: another command, a script, code of another language, a target.

use sha2::{Digest, Sha256};

use super::super::program::{self, Call, Run};
use super::super::word::{Arg, Stream};
use super::super::{Effect, Hard, Harm, Kind, Script, Span, Target, code, script};
use super::Shell;
use super::command::View;

impl Shell<'_> {
    /// Runs it; what it prints.
    pub(super) fn follow(&mut self, run: Run, at: Span) -> Stream {
        match run {
            Run::Command { words, stdin } => self.deeper(|shell| {
                shell.direct = true;
                let out = shell.words(words, &stdin);
                shell.direct = false;
                out
            }),
            Run::Shell {
                text,
                arguments,
                stdin,
                host,
            } => self.apart(|shell| {
                shell.scope.arguments = arguments
                    .iter()
                    .skip(1)
                    .map(|arg| shell.held(arg))
                    .collect();
                if let Some(host) = &host {
                    shell.scope.cwd = None;
                    let before = shell.found.effects.len();
                    let out = shell.under(host, |shell| shell.code_at(text, at, &stdin));
                    shell.elsewhere(host, before);
                    return out;
                }
                shell.code_at(text, at, &stdin)
            }),
            Run::Code { language, text } => {
                if let Some(host) = text.taint.network.clone() {
                    self.downloaded(&host, at);
                }
                self.code(language, &text.text, at)
            }
            Run::File { ref path, .. } => {
                let unread = path.text.clone();
                let out = self.script(&run, &Stream::empty());
                out.unwrap_or_else(|| {
                    let text = format!("{unread} could not be read");
                    self.hard(Hard::UnreadScript, at, &text);
                    Stream::default()
                })
            }
            Run::Target { tool, name } => self.target(tool, &name, at),
        }
    }

    /// A service that stops on another machine is one that others use, unless its name says that
    /// it is for trying things.
    fn elsewhere(&mut self, host: &str, before: usize) {
        const TRIED: &str = "dev test stag local vagrant sandbox qa lab";
        if TRIED
            .split_ascii_whitespace()
            .any(|word| host.contains(word))
        {
            return;
        }
        for effect in self.found.effects.iter_mut().skip(before) {
            if effect.kind == Kind::Disrupt && effect.harm == Harm::Medium {
                effect.harm = Harm::High;
            }
        }
    }

    fn code_at(&mut self, mut text: Arg, at: Span, stdin: &Stream) -> Stream {
        if text.span == Span::default() {
            text.span = at;
        }
        self.made_code(&text, stdin)
    }

    fn downloaded(&mut self, host: &str, at: Span) {
        let why = format!("runs what {host} answers, which nobody has seen");
        let target = Target::Host(host.to_owned());
        let rule = "shell:downloaded-code";
        let effect = Effect::new(Kind::Execute, Harm::Critical, target, rule, why);
        self.effect(effect, at);
    }

    /// Code of another language than shell.
    pub(super) fn code(&mut self, language: &str, text: &str, at: Span) -> Stream {
        let cwd = self.scope.cwd.clone();
        let stdin = self.input.clone().unwrap_or_else(Stream::empty);
        let view = View {
            written: &self.written,
            stdin: &stdin,
            files: self.files,
        };
        let call = Call {
            name: language,
            args: &[],
            stdin: &stdin,
            cwd: cwd.as_deref(),
            setting: self.setting,
            files: &view,
        };
        let outcome = code::analyse(language, text, &call);
        let before = self.outer.replace(self.outer.unwrap_or(at));
        let out = self.deeper(|shell| shell.absorb(language, outcome, at));
        self.outer = before;
        out
    }

    /// A script in a file; nothing when it can't be read.
    pub(super) fn script(&mut self, run: &Run, stdin: &Stream) -> Option<Stream> {
        let Run::File {
            language,
            path,
            arguments,
        } = run
        else {
            return None;
        };
        let at = self.outer.unwrap_or(path.span);
        let whole = self.setting.absolute(&path.text, self.scope.cwd.as_deref());
        let whole = whole.unwrap_or_else(|| path.text.clone());
        let content = match super::command::is_stdin(&path.text) {
            true => stdin.clone(),
            false => self.content(&path.text)?,
        };
        if self.running.contains(&whole) {
            self.hard(Hard::Cycle, at, &format!("{whole} runs itself"));
            return Some(Stream::default());
        }
        if let Some(host) = content.taint.network.clone() {
            self.downloaded(&host, at);
        }
        let Some(text) = content.text else {
            if content.taint.network.is_none() {
                let text = format!("what is in {} is known only when it runs", path.text);
                self.hard(Hard::UnreadScript, at, &text);
                let why = "runs a file that it wrote, and what is in it is not known";
                let target = Target::Program(path.text.clone());
                let rule = "shell:unseen-script";
                let effect = Effect::new(Kind::Execute, Harm::High, target, rule, why);
                self.effect(effect, at);
            }
            return Some(Stream::default());
        };
        self.bind(&whole, &text);
        let found = script::language(&path.text, &text);
        let sourced = *language == "source";
        let language = if language.is_empty() || sourced {
            // A shell reads a text that says nothing of who should.
            let plain = found.is_empty() && !text.contains('\0') && !text.starts_with("#!");
            if plain { "sh" } else { found }
        } else {
            language
        };
        self.running.push(whole);
        let out = self.under(&path.text, |shell| match language {
            _ if sourced => shell.nested(&text, at, stdin),
            "sh" => shell.apart(|shell| {
                shell.scope.arguments = arguments.iter().map(|arg| shell.held(arg)).collect();
                shell.nested(&text, at, stdin)
            }),
            "" => Stream::default(),
            language => shell.code(language, &text, at),
        });
        self.running.pop();
        (!language.is_empty() || sourced).then_some(out)
    }

    /// Binds the action to a script's bytes.
    fn bind(&mut self, path: &str, text: &str) {
        let digest = Sha256::digest(text.as_bytes());
        let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let script = Script {
            path: path.to_owned(),
            digest,
        };
        if !self.found.scripts.contains(&script) && self.found.scripts.len() < super::KEPT {
            self.found.scripts.push(script);
        }
    }

    /// A target of a build file.
    fn target(&mut self, tool: &'static str, name: &str, at: Span) -> Stream {
        let label = format!("{tool}:{name}");
        if self.running.contains(&label) {
            self.hard(Hard::Cycle, at, &format!("{label} runs itself"));
            return Stream::default();
        }
        let cwd = self.scope.cwd.clone();
        let stdin = Stream::empty();
        let view = View {
            written: &self.written,
            stdin: &stdin,
            files: self.files,
        };
        let call = Call {
            name: tool,
            args: &[],
            stdin: &stdin,
            cwd: cwd.as_deref(),
            setting: self.setting,
            files: &view,
        };
        let Some(runs) = script::target(tool, name, &call) else {
            for effect in program::unread_target(&call, name) {
                self.effect(effect, at);
            }
            return Stream::default();
        };
        self.running.push(label.clone());
        let before = self.outer.replace(self.outer.unwrap_or(at));
        let out = self.under(&label, |shell| {
            let mut out = Stream::default();
            for run in runs {
                out = shell.deeper(|shell| shell.follow(run, at));
            }
            out
        });
        self.outer = before;
        self.running.pop();
        out
    }
}
