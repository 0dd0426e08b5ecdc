// SPDX-License-Identifier: Apache-2.0
//! Shells, `source` and `eval`.

use super::super::{Call, Outcome, Run};
use super::unseen::{self, Language};
use crate::effects::Span;
use crate::effects::word::{Arg, Taint};
use crate::list::is_any;

const SHELLS: &str = "sh bash dash zsh ksh ksh93 mksh pdksh oksh lksh ash hush fish rbash rzsh yash posh csh tcsh \
    elvish xonsh nu osh ion";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    match call.name {
        "source" | "." => Some(source(call)),
        "eval" => Some(eval(call)),
        "pwsh" | "powershell" | "powershell.exe" => Some(powershell(call)),
        name if is_any(SHELLS, name) => Some(shell(call)),
        _ => None,
    }
}

/// What the words of a shell's command line ask for.
#[derive(Default)]
struct Line<'a> {
    /// `-c`.
    command: bool,
    /// `-s`.
    stdin: bool,
    /// `-n`, `--version`, `--help`.
    idle: bool,
    /// `-i` or `-l`, which a person at a terminal uses.
    login: bool,
    startup: Option<&'a Arg>,
    operands: &'a [Arg],
}

fn read<'a>(args: &'a [Arg]) -> Line<'a> {
    let mut line = Line::default();
    let mut rest = args;
    while let [first, after @ ..] = rest {
        let text = first.text.as_str();
        match text {
            "--" | "-" => {
                rest = after;
                break;
            }
            "--rcfile" | "--init-file" => {
                line.startup = after.first();
                rest = after.get(1..).unwrap_or_default();
                continue;
            }
            "--version" | "--help" | "--dump-strings" => line.idle = true,
            "--command" => line.command = true,
            "--login" | "--interactive" => line.login = true,
            _ if text.starts_with("--") => {}
            _ if text.len() > 1 && text.starts_with(['-', '+']) => {
                let letters = text.get(1..).unwrap_or_default();
                let on = text.starts_with('-');
                line.command |= on && letters.contains('c');
                line.stdin |= on && letters.contains('s');
                line.idle |= on && letters.contains('n');
                line.login |= on && letters.contains(['i', 'l']);
                // `-o pipefail`, `-O globstar`
                if letters.ends_with(['o', 'O']) {
                    rest = after.get(1..).unwrap_or_default();
                    continue;
                }
            }
            _ => break,
        }
        rest = after;
    }
    line.operands = rest;
    line
}

fn shell(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    let line = read(call.args);
    if line.idle {
        return out;
    }
    if let Some(startup) = line.startup {
        unseen::script(call, Language::Shell, startup, &[], &mut out);
    }
    match (line.command, line.operands) {
        (true, [text, arguments @ ..]) => {
            unseen::word(call, Language::Shell, text, arguments, &mut out);
        }
        (true, []) => {}
        (false, [path, arguments @ ..]) if !line.stdin => {
            unseen::script(call, Language::Shell, path, arguments, &mut out);
        }
        (false, arguments) => {
            // A login shell that nothing is known to be piped to waits for a person.
            let waits = line.login && !line.stdin && call.stdin.taint == Taint::default();
            if !(waits && call.stdin.text.is_none()) {
                let at = call.args.first().cloned().unwrap_or_default();
                unseen::stdin(call, Language::Shell, arguments, &at, &mut out);
            }
        }
    }
    out
}

/// Files that set up a shell and that every machine has.
fn sets_up(path: &str) -> bool {
    let ends = "/bin/activate /bin/activate.fish /bin/activate.csh /Scripts/activate .bashrc .zshrc .profile \
        .bash_profile .zprofile nvm.sh .cargo/env /etc/profile /etc/bash_completion conda.sh /etc/bashrc \
        sdkman-init.sh .bash_aliases asdf.sh .nix-profile/etc/profile.d/nix.sh .fzf.bash .fzf.zsh";
    ends.split_ascii_whitespace().any(|end| path.ends_with(end))
}

fn source(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    let args = match call.args {
        [end, rest @ ..] if end.text == "--" => rest,
        args => args,
    };
    let Some((path, arguments)) = args.split_first() else {
        return out;
    };
    let written = call
        .setting
        .absolute(&path.text, call.cwd)
        .and_then(|path| call.files.read(&path));
    if written.is_none() && path.whole().is_some_and(sets_up) {
        return out;
    }
    unseen::script(call, Language::Shell, path, arguments, &mut out);
    out
}

fn eval(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    let args = match call.args {
        [end, rest @ ..] if end.text == "--" => rest,
        args => args,
    };
    let (Some(first), Some(last)) = (args.first(), args.last()) else {
        return out;
    };
    let texts: Vec<&str> = args.iter().map(|arg| arg.text.as_str()).collect();
    let mut taint = Taint::default();
    for arg in args {
        taint.join(&arg.taint);
    }
    let text = Arg {
        text: texts.join(" "),
        glob: false,
        taint,
        span: Span {
            start: first.span.start,
            end: last.span.end,
        },
    };
    unseen::word(call, Language::Shell, &text, &[], &mut out);
    out
}

/// PowerShell: its words for what it runs, and a form that hides them.
fn powershell(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    let language = Language::Code("powershell");
    let mut rest = call.args;
    while let [first, after @ ..] = rest {
        let option = first.text.to_ascii_lowercase();
        let is = |name: &str| option.len() > 1 && name.starts_with(&option);
        if is("-encodedcommand") || option == "-ec" {
            unseen::made(call, crate::effects::Harm::High, first, &mut out);
            return out;
        }
        if is("-command") || is("-commandwithargs") {
            if let Some(text) = after.first() {
                unseen::word(call, language, text, &[], &mut out);
            }
            return out;
        }
        if is("-file") || !option.starts_with('-') {
            let path = if option.starts_with('-') {
                after.first()
            } else {
                Some(first)
            };
            if let Some(path) = path {
                out.runs.push(Run::File {
                    language: "powershell",
                    path: path.clone(),
                    arguments: Vec::new(),
                });
            }
            return out;
        }
        let valued = [
            "-executionpolicy",
            "-ep",
            "-ex",
            "-version",
            "-workingdirectory",
            "-outputformat",
        ];
        let skip = usize::from(valued.iter().any(|name| *name == option || is(name)));
        rest = after.get(skip..).unwrap_or_default();
    }
    let at = call.args.first().cloned().unwrap_or_default();
    unseen::stdin(call, language, &[], &at, &mut out);
    out
}
