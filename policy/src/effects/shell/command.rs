// SPDX-License-Identifier: Apache-2.0
//! One simple command: its words, then who runs it: a function, a builtin, a program, a script.

use tree_sitter::Node;

use super::super::pattern;
use super::super::program::{self, Call, Files, Outcome, Run};
use super::super::word::{Arg, Stream, UNKNOWN};
use super::super::{Effect, Hard, Harm, Kind, Span, Target};
use super::expand::span;
use super::{KEPT, Shell, Variable, WORD};
use crate::list::is_any;

/// Folders that hold installed programs: a path into one is the program's name.
const PROGRAMS: &str =
    "/bin /sbin /usr/bin /usr/sbin /usr/local/bin /usr/local/sbin /opt/homebrew/bin /snap/bin";

/// Programs that a pattern in a program's place (`/b?n/r?`) is held against: those it would be
/// hidden for.
const HIDDEN: &str = "rm dd sh bash cat curl wget nc ncat chmod chown mkfs shred find python3 python perl \
    tee mv cp ssh scp kill reboot crontab base64 sudo git docker kubectl";

/// Files of the action beside those on disk.
#[derive(Debug)]
pub(super) struct View<'s> {
    pub(super) written: &'s std::collections::BTreeMap<String, Stream>,
    pub(super) stdin: &'s Stream,
    pub(super) files: &'s dyn Files,
}

impl Files for View<'_> {
    fn read(&self, path: &str) -> Option<Stream> {
        if is_stdin(path) {
            return Some(self.stdin.clone());
        }
        let written = self.written.get(path).cloned();
        written.or_else(|| self.files.read(path))
    }
}

/// Paths that name what a command reads.
pub(super) fn is_stdin(path: &str) -> bool {
    matches!(path, "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0")
}

impl Shell<'_> {
    /// A `command` of the tree.
    pub(super) fn simple(&mut self, node: Node<'_>, src: &str, stdin: &Stream) -> Stream {
        let flow = self.redirections(node, src, stdin);
        let mut words: Vec<Arg> = Vec::new();
        let mut set: Vec<(String, Option<Variable>)> = Vec::new();
        let mut cursor = node.walk();
        let children: Vec<_> = node.children(&mut cursor).collect();
        for child in children {
            match child.kind() {
                "variable_assignment" => {
                    let name = child.child_by_field_name("name");
                    let name = name.map(|name| super::expand::source(name, src).to_owned());
                    let name = name.unwrap_or_default();
                    set.push((name.clone(), self.scope.variables.get(&name).cloned()));
                    self.assign(child, src);
                }
                "file_redirect" | "heredoc_redirect" | "herestring_redirect" | "comment" => {}
                // `sh 0<<< x`: digits right before are no word.
                "number" | "word" if is_descriptor(child, src) => {}
                _ => words.extend(self.fields(child, src)),
            }
        }
        if dropped_dash(node, src) {
            words.push(Arg::known("-"));
        }
        let mut out = Stream::empty();
        if !words.is_empty() {
            out = self.words(words, &flow.stdin);
            for (name, before) in set {
                match before {
                    Some(value) => self.scope.variables.insert(name, value),
                    None => self.scope.variables.remove(&name),
                };
            }
        }
        self.poured(out, &flow, span(node))
    }

    /// Runs the words of a command.
    pub(super) fn words(&mut self, mut words: Vec<Arg>, stdin: &Stream) -> Stream {
        while words.first().is_some_and(|word| is_noise(&word.text)) {
            words.remove(0);
        }
        let Some(program) = words.first().cloned() else {
            return Stream::empty();
        };
        self.note(&words);
        let args = words.get(1..).unwrap_or_default();
        let name = program.text.as_str();
        // A wrapper starts programs and knows no functions; elsewhere the name may be either: a
        // definition may not have run, and a script expands no aliases.
        let direct = std::mem::take(&mut self.direct);
        let function = self.scope.functions.get(name).filter(|_| !direct).cloned();
        let alias = self.scope.aliases.get(name).filter(|_| !direct).cloned();
        if function.is_some() || alias.is_some() {
            let out = match (function, alias) {
                (Some(body), _) => self.function(&program, &body, args, stdin),
                (None, alias) => self.alias(name, &alias.unwrap_or_default(), args, stdin),
            };
            self.direct = true;
            if program::is_known(name) {
                self.words(words.clone(), stdin);
            }
            self.direct = false;
            return out;
        }
        if let Some(out) = self.builtin(name, args, &program, stdin) {
            return out;
        }
        if program.glob && name.contains(['?', '*', '[']) && !matches!(name, "[" | "[[") {
            return self.hidden(&program, args, stdin);
        }
        let linked = self.linked(args);
        self.rename(name, args);
        let args = linked.as_deref().unwrap_or(args);
        self.deeper(|shell| shell.program(&program, args, stdin))
    }

    fn note(&mut self, words: &[Arg]) {
        if self.found.commands.len() < KEPT {
            let shown = words.iter().map(|word| word.text.replace(UNKNOWN, "…"));
            let line: String = shown
                .collect::<Vec<_>>()
                .join(" ")
                .chars()
                .take(500)
                .collect();
            self.found.commands.push(line);
        }
    }

    fn function(&mut self, program: &Arg, body: &str, args: &[Arg], stdin: &Stream) -> Stream {
        let name = program.text.as_str();
        if self.running.iter().any(|running| running == name) {
            if body.contains('|') || body.contains('&') {
                let why = "starts itself again and again until the machine has no processes left";
                let target = Target::System("processes".to_owned());
                let rule = "shell:fork-bomb";
                let effect = Effect::new(Kind::Disrupt, Harm::High, target, rule, why);
                self.effect(effect, program.span);
            }
            return Stream::default();
        }
        let given = args.iter().map(|arg| self.held(arg)).collect();
        let before = std::mem::replace(&mut self.scope.arguments, given);
        self.running.push(name.to_owned());
        let out = self.nested(body, program.span, stdin);
        self.running.pop();
        self.scope.arguments = before;
        out
    }

    fn alias(&mut self, name: &str, alias: &str, args: &[Arg], stdin: &Stream) -> Stream {
        if self.running.iter().any(|running| running == name) {
            return Stream::default();
        }
        self.running.push(name.to_owned());
        let mut words = self.word_text(alias);
        words.extend_from_slice(args);
        let out = if alias.contains([';', '|', '&', '`', '(', '<', '>']) {
            let at = words.first().map(|word| word.span).unwrap_or_default();
            self.nested(alias, at, stdin)
        } else {
            self.words(words, stdin)
        };
        self.running.pop();
        out
    }

    /// A pattern where a program's name belongs.
    fn hidden(&mut self, program: &Arg, args: &[Arg], stdin: &Stream) -> Stream {
        let text = "a pattern stands where a program's name belongs";
        self.hard(Hard::DynamicProgram, program.span, text);
        let pattern = program
            .text
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let mut out = Stream::default();
        for name in HIDDEN.split_ascii_whitespace() {
            if pattern::matches(&pattern, name) {
                let mut meant = program.clone();
                name.clone_into(&mut meant.text);
                meant.glob = false;
                out = self.deeper(|shell| shell.program(&meant, args, stdin));
            }
        }
        out
    }

    fn program(&mut self, program: &Arg, args: &[Arg], stdin: &Stream) -> Stream {
        let meant = self.program_meant(&program.text);
        let path = meant.as_deref().unwrap_or(&program.text);
        let (folder, name) = match path.rsplit_once('/') {
            Some((folder, name)) => (Some(folder), name),
            None => (None, path),
        };
        if name.is_empty() || name.contains(UNKNOWN) {
            return self.unknown_program(program, args, stdin);
        }
        if let Some(folder) = folder {
            let whole = self.setting.absolute(folder, self.scope.cwd.as_deref());
            let installed = whole.as_deref().unwrap_or(folder);
            let known = is_any(PROGRAMS, installed);
            if !known && !installed.ends_with("/bin") && !installed.ends_with("/Scripts") {
                let run = Run::File {
                    language: "",
                    path: program.clone(),
                    arguments: args.to_vec(),
                };
                if let Some(out) = self.script(&run, stdin) {
                    return out;
                }
                let text = format!("{} could not be read", program.text.replace(UNKNOWN, "…"));
                self.hard(Hard::UnreadScript, program.span, &text);
            }
        }
        let other = program::only_called_so(folder, name);
        self.judged(if other { path } else { name }, program, args, stdin)
    }

    /// What `program` says of the command, and what follows from it.
    pub(super) fn judged(
        &mut self,
        name: &str,
        program: &Arg,
        args: &[Arg],
        stdin: &Stream,
    ) -> Stream {
        let read = stdin.text.as_ref().map_or(0, String::len);
        let words = args.iter().map(|arg| arg.text.len() + WORD);
        if !self.spend(words.sum::<usize>() + read) {
            return Stream::default();
        }
        let view = View {
            written: &self.written,
            stdin,
            files: self.files,
        };
        let cwd = self.scope.cwd.clone();
        let call = Call {
            name,
            args,
            stdin,
            cwd: cwd.as_deref(),
            setting: self.setting,
            files: &view,
        };
        let outcome = program::run(&call);
        let at = args.iter().fold(program.span, |all, arg| Span {
            start: all.start.min(arg.span.start),
            end: all.end.max(arg.span.end),
        });
        let before = self.input.replace(stdin.clone());
        let out = self.absorb(name, outcome, at);
        self.input = before;
        out
    }

    /// Takes over what a program or a piece of code comes to.
    pub(super) fn absorb(&mut self, name: &str, outcome: Outcome, at: Span) -> Stream {
        for effect in outcome.effects {
            self.effect(effect, at);
        }
        for finding in outcome.findings {
            self.hard(finding.hard, at, &finding.text);
        }
        for (path, content) in outcome.writes {
            self.put(&path, &content, false);
        }
        if outcome.runs.is_empty() {
            return outcome.stdout;
        }
        let mut out = Stream::empty();
        for run in outcome.runs {
            let printed = self.under(name, |shell| shell.follow(run, at));
            super::tree::append(&mut out, &printed);
        }
        out.taint.join(&outcome.stdout.taint);
        out
    }

    /// A program whose name is known only when it runs.
    fn unknown_program(&mut self, program: &Arg, args: &[Arg], stdin: &Stream) -> Stream {
        self.hard(
            Hard::DynamicProgram,
            program.span,
            "which program runs is known only then",
        );
        let taint = &program.taint;
        let target = Target::Program(program.text.replace(UNKNOWN, "…"));
        let effect = if let Some(host) = &taint.network {
            let why = format!("runs what {host} answers, which nobody has seen");
            Effect::new(
                Kind::Execute,
                Harm::Critical,
                target,
                "shell:downloaded-program",
                why,
            )
        } else {
            let worst = self.worst(args, stdin);
            let why = "runs a program that is known only when it runs";
            Effect::new(Kind::Execute, worst, target, "shell:dynamic-program", why)
        };
        self.effect(effect, program.span);
        Stream::default()
    }

    /// How bad an unknown program could be, by what it is pointed at.
    fn worst(&self, args: &[Arg], stdin: &Stream) -> Harm {
        use super::super::Area;
        let bad = args
            .iter()
            .filter(|arg| !arg.text.starts_with('-'))
            .any(|arg| {
                let place = self.setting.place(&arg.text, self.scope.cwd.as_deref());
                place.secret
                    || place.startup
                    || matches!(
                        place.area,
                        Area::Root
                            | Area::System
                            | Area::Device
                            | Area::HomeRoot
                            | Area::WorkspaceRoot
                            | Area::Vcs
                    ) && arg.text.contains(['/', '.', '~', '*'])
            });
        let secret =
            stdin.taint.secret.is_some() || args.iter().any(|arg| arg.taint.secret.is_some());
        if bad || secret {
            Harm::High
        } else {
            Harm::Medium
        }
    }
}

/// The grammar leaves the last word out of `sh - <<END`.
fn dropped_dash(node: Node<'_>, src: &str) -> bool {
    let rest = src.get(node.end_byte()..).unwrap_or_default();
    let blank = [' ', '\t'];
    let rest = rest.trim_start_matches(blank).strip_prefix('-');
    rest.is_some_and(|rest| rest.trim_start_matches(blank).starts_with("<<"))
}

/// Digits that stand right before a redirection.
fn is_descriptor(node: Node<'_>, src: &str) -> bool {
    let digits = super::expand::source(node, src);
    digits.chars().all(|c| c.is_ascii_digit())
        && src
            .get(node.end_byte()..)
            .is_some_and(|rest| rest.starts_with(['<', '>']))
}

/// Words of the grammar that may stand before a command and mean nothing to us.
fn is_noise(word: &str) -> bool {
    matches!(
        word,
        "coproc" | "{" | "}" | "!" | "then" | "do" | "else" | "noglob" | "nocorrect"
    )
}
