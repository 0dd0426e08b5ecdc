// SPDX-License-Identifier: Apache-2.0
//! Wrappers that change the environment of a command: `env`, `cross-env`, `dotenv`.

use super::super::{Call, Outcome};
use super::{after_assignments, assigns, front, joined, like, runs, shell};
use crate::effects::word::Arg;
use crate::effects::{Effect, Harm, Kind, Target};
use crate::list::is_any;

/// Variables that make a program load or run other code.
const LOADERS: &str =
    "LD_PRELOAD LD_AUDIT DYLD_INSERT_LIBRARIES BASH_ENV PERL5OPT RUBYOPT PYTHONSTARTUP";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "env" | "genv" => env(call),
        "cross-env" => assigned(call, call.args),
        "cross-env-shell" => {
            let words = after_assignments(call.args);
            let mut out = Outcome::default();
            out.runs.push(shell(joined(words), call.stdin.clone()));
            out
        }
        "env-cmd" => assigned(
            call,
            front(call.args, "-f --file -e --environments -r --rc-file").rest,
        ),
        "dotenv" if call.args.iter().all(|arg| arg.text != "run") => {
            assigned(call, front(call.args, "-e -c -p -v -f").rest)
        }
        _ => return None,
    })
}

fn env(call: &Call) -> Outcome {
    let front = front(
        call.args,
        "-u --unset -C --chdir -S --split-string -a --argv0 -P",
    );
    let mut words = front.rest;
    // A single dash is `-i`.
    while let [first, rest @ ..] = words {
        if first.text != "-" && !assigns(first) {
            break;
        }
        words = rest;
    }
    let mut out = Outcome::default();
    loaders(call.args, &mut out);
    let split = front.options.options.iter().find_map(|(name, arg, value)| {
        let given = name == "-S" || name == "--split-string";
        (*arg).filter(|_| given).map(|arg| like(arg, value))
    });
    let folder = front.options.value(&["-C", "--chdir"]);
    match (split, folder) {
        (Some(first), _) => {
            let mut all = vec![first];
            all.extend(words.iter().map(quoted));
            out.runs.push(shell(joined(&all), call.stdin.clone()));
        }
        (None, Some(folder)) if !words.is_empty() => {
            let mut all: Vec<Arg> = words.iter().map(quoted).collect();
            if let Some(first) = all.first_mut() {
                // A tilde is the shell's own.
                let folder = match folder.strip_prefix('~') {
                    Some(_) => folder.to_owned(),
                    None => quoted(&Arg::known(folder)).text,
                };
                first.text = format!("cd {folder} && {}", first.text);
            }
            out.runs.push(shell(joined(&all), call.stdin.clone()));
        }
        _ => out.runs.extend(super::command(call, words)),
    }
    out
}

/// A word that a shell reads as itself.
fn quoted(arg: &Arg) -> Arg {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if arg.glob || (!arg.text.is_empty() && arg.text.chars().all(plain)) {
        return arg.clone();
    }
    like(arg, &format!("'{}'", arg.text.replace('\'', r"'\''")))
}

fn assigned(call: &Call, words: &[Arg]) -> Outcome {
    let mut out = runs(call, after_assignments(words));
    loaders(words, &mut out);
    out
}

fn loaders(words: &[Arg], out: &mut Outcome) {
    for word in words.iter().filter(|word| assigns(word)) {
        let (name, value) = word.text.split_once('=').unwrap_or_default();
        if is_any(LOADERS, name) && !value.is_empty() {
            let target = Target::Program(value.to_owned());
            let effect = Effect::new(
                Kind::Execute,
                Harm::Medium,
                target,
                "env:preload",
                format!("{name} loads other code into the program"),
            );
            out.add(effect, word);
        }
    }
}
