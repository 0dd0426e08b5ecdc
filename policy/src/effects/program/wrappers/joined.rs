// SPDX-License-Identifier: Apache-2.0
//! Wrappers that take a command as one string, or join their words to one, for a shell.

use super::super::{Call, Outcome, Run};
use super::{after_assignments, front, joined, like, runs, shell};
use crate::effects::word::{Arg, Stream};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "watch" | "viddy" | "hwatch" => watch(call),
        "hyperfine" => strings(
            call,
            "-w --warmup -m --min-runs -M --max-runs -r --runs -p --prepare -c --cleanup -s --setup -S \
            --shell -P -L -D -n --command-name -u -o --output --style --sort --export-json \
            --export-markdown --export-csv",
            &[
                "-p",
                "--prepare",
                "-c",
                "--cleanup",
                "-s",
                "--setup",
                "--conclude",
            ],
        ),
        "concurrently" | "conc" => strings(
            call,
            "-n --names -c --prefix-colors -p --prefix -m --max-processes --restart-tries -s --success",
            &[],
        ),
        "entr" => entr(call),
        "watchexec" | "reflex" | "chokidar" | "onchange" => watchexec(call),
        "nodemon" => return nodemon(call),
        "nix-shell" | "nix" => return nix(call),
        "sops" => return sops(call),
        "start-stop-daemon" => daemon(call),
        _ => return None,
    })
}

fn line(call: &Call, words: &[Arg]) -> Outcome {
    let mut out = Outcome::default();
    if !words.is_empty() {
        out.runs.push(shell(joined(words), call.stdin.clone()));
    }
    out
}

fn watch(call: &Call) -> Outcome {
    let front = front(call.args, "-n --interval -q --equexit -s --shotsdir");
    if front.options.has(&["-x", "--exec"]) {
        return runs(call, front.rest);
    }
    line(call, front.rest)
}

/// Each operand is a command, and so are the values of some options.
fn strings(call: &Call, valued: &str, commands: &[&str]) -> Outcome {
    let options = super::super::filters::scan(call.args, valued);
    let mut out = Outcome::default();
    let mut push = |text: Arg| out.runs.push(shell(text, Stream::empty()));
    for operand in &options.operands {
        let script = operand.text.strip_prefix("npm:");
        push(match script {
            Some(script) => like(operand, &format!("npm run {script}")),
            None => (*operand).clone(),
        });
    }
    for (name, arg, value) in &options.options {
        if let (true, Some(arg)) = (commands.contains(&name.as_str()), arg) {
            push(like(arg, value));
        }
    }
    out
}

fn entr(call: &Call) -> Outcome {
    let front = front(call.args, "");
    if front.options.has(&["-s"]) {
        return line(call, front.rest);
    }
    let mut out = Outcome::default();
    if !front.rest.is_empty() {
        out.runs.push(Run::Command {
            words: front.rest.to_vec(),
            stdin: Stream::empty(),
        });
    }
    out
}

fn watchexec(call: &Call) -> Outcome {
    let valued = "-w --watch -e --exts -f --filter -i --ignore -d --debounce -s --signal --shell --project-origin \
        --workdir -g --glob -G -R --delay-run --stop-signal -o --on-busy-update --regex";
    let front = front(call.args, valued);
    // `chokidar PATTERNS -c 'command'`
    let at = call
        .args
        .iter()
        .position(|arg| arg.text == "-c" || arg.text == "--command");
    if let (true, Some(at)) = (call.name == "chokidar", at) {
        return line(
            call,
            call.args
                .get(at + 1..)
                .and_then(|rest| rest.get(..1))
                .unwrap_or_default(),
        );
    }
    let end = front.rest.iter().position(|arg| arg.text == "--");
    line(
        call,
        end.map_or(front.rest, |at| {
            front.rest.get(at + 1..).unwrap_or_default()
        }),
    )
}

/// `nodemon --exec 'command'`; with a script it is a kind of `node`.
fn nodemon(call: &Call) -> Option<Outcome> {
    let valued =
        "-x --exec -e --ext -w --watch -i --ignore -d --delay --signal --config -r --require --cwd";
    let front = front(call.args, valued);
    let mut options = front.options.options.iter();
    let given = options.find(|(name, ..)| name == "-x" || name == "--exec");
    if let Some((_, Some(arg), text)) = given {
        let mut words = vec![like(arg, text)];
        words.extend_from_slice(front.rest);
        return Some(line(call, &words));
    }
    let first = front.rest.first()?;
    Some(Outcome {
        runs: vec![Run::File {
            language: "node",
            path: first.clone(),
            arguments: front.rest.get(1..).unwrap_or_default().to_vec(),
        }],
        ..Outcome::default()
    })
}

/// `nix-shell --run '…'`, `nix develop -c …`, `nix run PACKAGE -- …`; all else is a table's.
fn nix(call: &Call) -> Option<Outcome> {
    let args = call.args;
    let value = |names: &[&str]| {
        let at = args
            .iter()
            .position(|arg| names.contains(&arg.text.as_str()))?;
        args.get(at + 1..)
    };
    if call.name == "nix-shell" {
        let Some(text) = value(&["--run", "--command"]).and_then(<[Arg]>::first) else {
            // Without one it opens a shell, or is what a script's first line names.
            return Some(Outcome::default());
        };
        return Some(line(call, std::slice::from_ref(text)));
    }
    match args
        .iter()
        .map(|arg| arg.text.as_str())
        .find(|text| !text.starts_with('-'))?
    {
        "develop" | "shell" | "env" => {
            let words = value(&["-c", "--command"]).unwrap_or_default();
            Some(runs(call, words))
        }
        "run" => {
            let package = args.iter().skip_while(|arg| arg.text != "run").skip(1);
            let package = package.into_iter().find(|arg| !arg.text.starts_with('-'))?;
            let (_, name) = package.text.rsplit_once('#')?;
            let mut words = vec![like(package, name)];
            words.extend_from_slice(value(&["--"]).unwrap_or_default());
            Some(runs(call, &words))
        }
        _ => None,
    }
}

/// `sops exec-env FILE 'command'`
fn sops(call: &Call) -> Option<Outcome> {
    match front(call.args, "").rest {
        [first, rest @ ..] if matches!(first.text.as_str(), "exec-env" | "exec-file") => {
            let words = front(rest, "--user --filename")
                .rest
                .get(1..)
                .unwrap_or_default();
            Some(line(call, words))
        }
        _ => None,
    }
}

/// `start-stop-daemon --start --exec PROGRAM -- ARGUMENTS`
fn daemon(call: &Call) -> Outcome {
    let mut words = Vec::new();
    let mut args = call.args.iter();
    while let Some(arg) = args.next() {
        match arg.text.as_str() {
            "--exec" | "-x" | "--startas" | "-a" => {
                words = args.next().cloned().into_iter().collect();
            }
            "--" => break,
            _ => {}
        }
    }
    words.extend(args.cloned());
    runs(call, after_assignments(&words))
}
