// SPDX-License-Identifier: Apache-2.0
//! Code that nobody has read before it runs: downloaded, decoded, or made by another command.

use super::super::{Call, Outcome, Run};
use crate::effects::word::{Arg, Stream, Taint, UNKNOWN};
use crate::effects::{Effect, Finding, Hard, Harm, Kind, Target};

/// What code is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// Shell, followed by the caller.
    Shell,
    /// Another one.
    Code(&'static str),
}

/// A piece of code with its arguments, and what it reads.
fn follow(language: Language, text: Arg, arguments: &[Arg], stdin: Stream) -> Run {
    match language {
        Language::Shell => Run::Shell {
            text,
            arguments: arguments.to_vec(),
            stdin,
            host: None,
        },
        Language::Code(language) => Run::Code { language, text },
    }
}

/// Code in a word: `sh -c "$x"`, `eval "$x"`.
pub(super) fn word(
    call: &Call,
    language: Language,
    text: &Arg,
    arguments: &[Arg],
    out: &mut Outcome,
) {
    let known = |c: char| !c.is_whitespace() && c != UNKNOWN && !"\"';&|(){}".contains(c);
    if text.text.contains(known) {
        if text.taint.decoded {
            hidden(call, text, out);
        }
        // The parts that are not known are judged where they stand, but not when a download is
        // among them: it could end the known command and begin another.
        if text.taint.network.is_some() {
            downloaded(call, &text.taint, text, out);
        }
        out.runs.push(follow(
            language,
            text.clone(),
            arguments,
            call.stdin.clone(),
        ));
    } else if text.is_unknown() {
        dynamic(text, out);
        if text.taint.network.is_some() {
            downloaded(call, &text.taint, text, out);
        } else {
            let harm = if text.taint.decoded {
                Harm::High
            } else {
                Harm::Medium
            };
            made(call, harm, text, out);
        }
    }
}

/// Code on standard input: `curl … | sh`. `at` is the word that stands for it.
pub(super) fn stdin(
    call: &Call,
    language: Language,
    arguments: &[Arg],
    at: &Arg,
    out: &mut Outcome,
) {
    stream(call, call.stdin, (language, arguments), at, out);
}

/// Code in a stream.
pub(super) fn stream(
    call: &Call,
    from: &Stream,
    (language, arguments): (Language, &[Arg]),
    at: &Arg,
    out: &mut Outcome,
) {
    if from.taint.network.is_some() {
        downloaded(call, &from.taint, at, out);
    }
    match &from.text {
        Some(text) if text.trim().is_empty() => {}
        Some(text) => {
            let text = Arg {
                text: text.clone(),
                glob: false,
                taint: from.taint.clone(),
                span: at.span,
            };
            if from.taint.decoded {
                hidden(call, &text, out);
            }
            out.runs
                .push(follow(language, text, arguments, Stream::empty()));
        }
        None if from.taint.network.is_some() => dynamic(at, out),
        None => match (&from.taint.file, from.taint.decoded) {
            // `sh < x.sh` with a file that could not be read: as good as `sh x.sh`.
            (Some(file), false) if from.taint.secret.is_none() => out.runs.push(Run::File {
                language: name_of(language),
                path: Arg {
                    text: file.clone(),
                    ..at.clone()
                },
                arguments: arguments.to_vec(),
            }),
            _ => {
                dynamic(at, out);
                made(call, Harm::High, at, out);
            }
        },
    }
}

fn name_of(language: Language) -> &'static str {
    match language {
        Language::Shell => "sh",
        Language::Code(name) => name,
    }
}

fn program(call: &Call) -> Target {
    Target::Program(call.name.to_owned())
}

fn downloaded(call: &Call, taint: &Taint, at: &Arg, out: &mut Outcome) {
    let host = taint.network.as_deref().unwrap_or("the network");
    let host = if host.contains(UNKNOWN) {
        "a host that is not known"
    } else {
        host
    };
    let harm = if taint.decoded {
        Harm::Critical
    } else {
        Harm::High
    };
    let why = format!("runs code downloaded from {host} that nobody has seen");
    let effect = Effect::new(Kind::Execute, harm, program(call), "execute:download", why);
    out.add(effect.safer("download it, read it, then run it"), at);
}

/// Code from somewhere else on the network: `deno run https://…`.
pub(super) fn from_url(call: &Call, at: &Arg, out: &mut Outcome) {
    let host = at.text.split("://").nth(1).unwrap_or(&at.text);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let taint = Taint {
        network: Some(host.to_owned()),
        ..Taint::default()
    };
    downloaded(call, &taint, at, out);
}

/// Code that another command makes.
pub(super) fn made(call: &Call, harm: Harm, at: &Arg, out: &mut Outcome) {
    let why = "runs code that is made as the command runs, and cannot be read before";
    let effect = Effect::new(Kind::Execute, harm, program(call), "execute:made", why);
    out.add(effect, at);
}

fn hidden(call: &Call, at: &Arg, out: &mut Outcome) {
    let why = "runs code that was encoded, so that it could not be read on the command line";
    let effect = Effect::new(
        Kind::Obfuscate,
        Harm::Medium,
        program(call),
        "execute:hidden",
        why,
    );
    out.add(effect, at);
}

fn dynamic(at: &Arg, out: &mut Outcome) {
    out.findings.push(Finding {
        hard: Hard::DynamicCode,
        span: at.span,
        text: "the code it runs is known only when it runs".to_owned(),
    });
}

/// A script by its path: a file, `/dev/stdin`, or what a `<(…)` gave.
pub(super) fn script(
    call: &Call,
    language: Language,
    path: &Arg,
    arguments: &[Arg],
    out: &mut Outcome,
) {
    let text = path.text.as_str();
    if matches!(text, "-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0") {
        return stdin(call, language, arguments, path, out);
    }
    let piped = text.starts_with("/dev/fd/") || text.starts_with("/proc/self/fd/");
    if piped || (path.is_unknown() && path.taint.network.is_some() && path.whole().is_none()) {
        let found = call.setting.absolute(text, call.cwd);
        let mut from = found
            .and_then(|path| call.files.read(&path))
            .unwrap_or_default();
        from.taint.join(&path.taint);
        return stream(call, &from, (language, arguments), path, out);
    }
    if text.contains("://") {
        return from_url(call, path, out);
    }
    out.runs.push(Run::File {
        language: name_of(language),
        path: path.clone(),
        arguments: arguments.to_vec(),
    });
}
