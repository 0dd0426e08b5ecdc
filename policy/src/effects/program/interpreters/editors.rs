// SPDX-License-Identifier: Apache-2.0
//! Editors, for the commands they can be given: `vim -c '!…'`, `ed`, `emacs --eval`.

use super::super::filters::input::{Use, file, written};
use super::super::filters::scan;
use super::super::{Call, Outcome, Run};
use super::unseen::{self, Language};
use crate::effects::Harm;
use crate::effects::word::{Arg, Stream};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "vim" | "vi" | "nvim" | "gvim" | "view" | "ex" | "vimdiff" | "rvim" | "vim.tiny"
        | "vim.basic" => vim(call),
        "ed" | "red" => ed(call),
        "emacs" | "emacsclient" => emacs(call),
        "nano" | "pico" | "micro" | "helix" | "hx" | "joe" | "kak" | "mcedit" | "gedit"
        | "kate" => {
            let mut out = Outcome::default();
            for arg in &scan(call.args, "-T -r -o -Y -c").operands {
                edits(call, arg, &mut out);
            }
            out
        }
        _ => return None,
    })
}

/// A person edits it: what changes is seen by who changes it.
fn edits(call: &Call, arg: &Arg, out: &mut Outcome) {
    if arg.text.starts_with('+') {
        return;
    }
    if call.place(&arg.text).secret {
        file(call, arg, Use::Shows, out);
        return;
    }
    let mut effect = written(call, arg, true);
    effect.harm = effect.harm.min(Harm::Medium);
    out.effects.push(effect);
}

fn shell(arg: &Arg, text: &str, out: &mut Outcome) {
    out.runs.push(Run::Shell {
        text: Arg {
            text: text.trim().to_owned(),
            ..arg.clone()
        },
        arguments: Vec::new(),
        stdin: Stream::empty(),
        host: None,
    });
}

/// The text in the first quotes after a name that runs it: `(shell-command "ls")`.
fn quoted_after<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.split_once(name)?.1.split('"').nth(1)
}

fn vim(call: &Call) -> Outcome {
    let options = scan(
        call.args,
        "-c --cmd -S -u -U -i -t -T -w -W -V --servername --remote-expr",
    );
    let mut out = Outcome::default();
    let mut writes = false;
    let mut commands: Vec<(&Arg, &str)> = Vec::new();
    for (name, arg, value) in &options.options {
        match (name.as_str(), arg) {
            ("-c" | "--cmd", Some(arg)) => commands.push((arg, value)),
            ("-S", Some(arg)) => out.runs.push(Run::File {
                language: "vim",
                path: Arg {
                    text: value.clone(),
                    ..(*arg).clone()
                },
                arguments: Vec::new(),
            }),
            _ => {}
        }
    }
    let given = options
        .operands
        .iter()
        .filter_map(|arg| Some((*arg, arg.text.strip_prefix('+')?)));
    commands.extend(given);
    if matches!(call.name, "ex") || options.has(&["-e", "-E", "-es"]) {
        // In this mode the commands are what is piped in.
        let lines = call.stdin.text.iter().flat_map(|text| text.lines());
        let marker = call.args.first();
        commands.extend(lines.filter_map(|line| Some((marker?, line))));
    }
    for (arg, text) in commands {
        for text in text.split('|') {
            writes |= command(arg, text, &mut out);
        }
    }
    for arg in &options.operands {
        if writes {
            out.effects.push(written(call, arg, false));
        } else {
            edits(call, arg, &mut out);
        }
    }
    out
}

/// One command of `ex`: whether it writes the file.
fn command(arg: &Arg, text: &str, out: &mut Outcome) -> bool {
    let text = text.trim().trim_start_matches([':', '%', '.', '$']).trim();
    let text = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == ',');
    let text = text
        .strip_prefix("silent")
        .map_or(text, |text| text.trim_start_matches(['!', ' ']));
    let read = text.strip_prefix("r!").or_else(|| text.strip_prefix("r !"));
    let written = text
        .strip_prefix("w !")
        .or_else(|| text.strip_prefix("write !"));
    if let Some(line) = text.strip_prefix('!').or(read).or(written) {
        shell(arg, line, out);
        return false;
    }
    for function in ["system(", "systemlist(", "jobstart("] {
        if let Some((_, line)) = text.split_once(function) {
            let line = line.trim_matches(['(', ')', '"', '\'', ' ', '[', ']']);
            shell(arg, line, out);
        }
    }
    let languages = [
        ("python3", "python"),
        ("python", "python"),
        ("py3", "python"),
        ("py", "python"),
        ("lua", "lua"),
        ("perl", "perl"),
        ("ruby", "ruby"),
    ];
    for (word, language) in languages {
        if let Some(code) = text
            .strip_prefix(word)
            .and_then(|code| code.strip_prefix(' '))
        {
            out.runs.push(Run::Code {
                language,
                text: Arg {
                    text: code.to_owned(),
                    ..arg.clone()
                },
            });
            break;
        }
    }
    [
        "w", "wq", "x", "xa", "wa", "wqa", "update", "up", "wq!", "x!", "w!", "xit", "ZZ",
    ]
    .contains(&text)
}

fn ed(call: &Call) -> Outcome {
    let options = scan(call.args, "-p --prompt");
    let mut out = Outcome::default();
    let marker = call.args.first().cloned().unwrap_or_default();
    let mut writes = call.stdin.text.is_none();
    for line in call.stdin.text.iter().flat_map(|text| text.lines()) {
        let line = line.trim();
        let inner = ["!", "r !", "w !", "r!", "w!"]
            .iter()
            .find_map(|word| line.strip_prefix(word));
        match inner {
            Some(text) => shell(&marker, text, &mut out),
            None => writes |= matches!(line, "w" | "wq" | "w q"),
        }
    }
    for arg in options.operands.iter().filter(|_| writes) {
        out.effects.push(written(call, arg, false));
    }
    out
}

fn emacs(call: &Call) -> Outcome {
    let options = scan(
        call.args,
        "-e --eval --execute -l --load -f --funcall -s --socket-name -a",
    );
    let mut out = Outcome::default();
    for (name, arg, value) in &options.options {
        if let ("-e" | "--eval" | "--execute", Some(arg)) = (name.as_str(), arg) {
            let text = Arg {
                text: value.clone(),
                ..(*arg).clone()
            };
            let names = [
                "shell-command",
                "call-process",
                "start-process",
                "async-shell-command",
            ];
            let command = names.iter().find_map(|name| quoted_after(value, name));
            if let Some(command) = command {
                shell(arg, command, &mut out);
            }
            unseen::word(call, Language::Code("elisp"), &text, &[], &mut out);
        }
    }
    for arg in &options.operands {
        edits(call, arg, &mut out);
    }
    out
}
