// SPDX-License-Identifier: Apache-2.0
//! Wrappers that run a command in another session, or at another time: `tmux`, `screen`, `at`,
//! `systemd-run`, `script`, `flock`, debuggers, terminals.

use super::super::filters::input::{exact, written};
use super::super::{Call, Outcome, Run};
use super::{front, joined, like, runs, shell};
use crate::effects::word::{Arg, Stream};
use crate::effects::{Effect, Harm, Kind, Target};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "tmux" => tmux(call),
        "screen" => screen(call),
        "zellij" => zellij(call),
        "at" | "batch" => at(call),
        "atq" => Outcome::default(),
        "systemd-run" => systemd(call),
        "script" => script(call),
        "flock" => flock(call),
        "gdb" | "lldb" | "rust-gdb" | "rust-lldb" => debugger(call),
        "xterm"
        | "gnome-terminal"
        | "konsole"
        | "alacritty"
        | "kitty"
        | "foot"
        | "xfce4-terminal"
        | "wezterm"
        | "urxvt"
        | "st"
        | "lxterminal"
        | "x-terminal-emulator"
        | "terminator"
        | "openvt" => terminal(call),
        _ => return None,
    })
}

fn later(call: &Call, arg: &Arg, why: &'static str, out: &mut Outcome) {
    let target = Target::System(call.name.to_owned());
    let rule = format!("{}:later", call.name);
    out.add(
        Effect::new(Kind::Persist, Harm::Medium, target, rule, why),
        arg,
    );
}

fn line(text: Arg, out: &mut Outcome) {
    out.runs.push(shell(text, Stream::empty()));
}

fn tmux(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    let globals = front(call.args, "-f -L -S -T -c");
    if let Some((_, Some(arg), text)) = globals.options.options.iter().find(|(n, ..)| n == "-c") {
        line(like(arg, text), &mut out);
    }
    let Some((first, rest)) = globals.rest.split_first() else {
        return out;
    };
    match first.text.as_str() {
        "new" | "new-session" | "neww" | "new-window" | "splitw" | "split-window" | "popup"
        | "display-popup" | "respawn-pane" | "respawnp" | "respawn-window" => {
            let words = front(rest, "-c -e -F -f -n -s -t -x -y -l -p -w -T -S -B").rest;
            if !words.is_empty() {
                line(joined(words), &mut out);
            }
        }
        "send" | "send-keys" => {
            let words = front(rest, "-N -t -c").rest;
            let keys = ["Enter", "C-m", "KPEnter", "Escape", "C-c", "C-d"];
            let words: Vec<Arg> = words
                .iter()
                .filter(|word| !keys.contains(&word.text.as_str()))
                .cloned()
                .collect();
            if !words.is_empty() {
                line(joined(&words), &mut out);
            }
        }
        "run" | "run-shell" | "if" | "if-shell" | "pipe-pane" | "pipep" => {
            for word in front(rest, "-d -t -c").rest {
                line(word.clone(), &mut out);
            }
        }
        _ => {}
    }
    out
}

fn screen(call: &Call) -> Outcome {
    let front = front(call.args, "-S -c -e -h -p -s -t -T -r -x -R -Logfile");
    if !front.options.has(&["-X"]) {
        return runs(call, front.rest);
    }
    let mut out = Outcome::default();
    match front.rest {
        [stuff, text, ..] if stuff.text == "stuff" => {
            let keys = text.text.replace("^M", "\n").replace("\\n", "\n");
            line(like(text, &keys), &mut out);
        }
        [exec, words @ ..] if matches!(exec.text.as_str(), "exec" | "screen") => {
            out = runs(call, words);
        }
        _ => {}
    }
    out
}

fn zellij(call: &Call) -> Outcome {
    match front(call.args, "-s --session -c --config -l --layout").rest {
        [first, rest @ ..] if first.text == "run" => runs(
            call,
            front(rest, "-n --name -d --direction --cwd -x -y").rest,
        ),
        _ => Outcome::default(),
    }
}

fn at(call: &Call) -> Outcome {
    let front = front(call.args, "-f -q -t");
    let mut out = Outcome::default();
    if front.options.has_exactly(&["-l", "-r", "-d", "-c", "-V"]) {
        return out;
    }
    let marker = call.args.first().cloned().unwrap_or_default();
    later(call, &marker, "runs later, when nobody looks", &mut out);
    let file = front.options.options.iter().find(|(name, ..)| name == "-f");
    if let Some((_, Some(arg), path)) = file {
        out.runs.push(Run::File {
            language: "sh",
            path: like(arg, path),
            arguments: Vec::new(),
        });
    } else {
        // The jobs are what a shell would read.
        out.runs.push(Run::Command {
            words: vec![like(&marker, "sh")],
            stdin: call.stdin.clone(),
        });
    }
    out
}

fn systemd(call: &Call) -> Outcome {
    let valued = "-p --property -u --unit --uid --gid --nice --slice --description -E --setenv -H --host \
        -M --machine --service-type --on-active --on-boot --on-startup --on-unit-active \
        --on-unit-inactive --on-calendar --timer-property --path-property --socket-property \
        --working-directory";
    let front = front(call.args, valued);
    let mut out = runs(call, front.rest);
    let timed = front
        .options
        .options
        .iter()
        .any(|(name, ..)| name.starts_with("--on-") || name.starts_with("--timer"));
    if let Some(arg) = call.args.first().filter(|_| timed) {
        later(call, arg, "runs later, outside this session", &mut out);
    }
    out
}

fn script(call: &Call) -> Outcome {
    let valued = "-c --command -T --log-timing -B -I -O -E --echo -m --log-in --log-out --log-io -o \
        --output-limit";
    let front = front(call.args, valued);
    let mut out = Outcome::default();
    // Options may follow the file, and BSD takes a command there.
    let at = call.args.iter().position(|arg| {
        arg.text == "--command" || (arg.text.starts_with('-') && arg.text.ends_with('c'))
    });
    let text = at.and_then(|at| call.args.get(at + 1));
    if let Some((file, rest)) = front.rest.split_first() {
        out.effects.push(written(call, file, false));
        if text.is_none() {
            out.runs
                .extend(super::command(call, super::front(rest, "").rest));
        }
    }
    if let Some(text) = text {
        out.runs.push(shell(text.clone(), call.stdin.clone()));
    }
    out
}

fn flock(call: &Call) -> Outcome {
    let front = front(call.args, "-w --wait --timeout -E --conflict-exit-code");
    let rest = front.rest.get(1..).unwrap_or_default();
    match rest {
        [flag, text, ..] if matches!(flag.text.as_str(), "-c" | "--command") => {
            let mut out = Outcome::default();
            out.runs.push(shell(text.clone(), call.stdin.clone()));
            out
        }
        words => runs(call, super::front(words, "").rest),
    }
}

/// `gdb --args command`, and lines of a debugger that leave it.
fn debugger(call: &Call) -> Outcome {
    let valued = "-ex -eval-command -iex -x -ix -p -pid -c -core -cd -d -s -e -o -O -k -K -S -f";
    let end = call
        .args
        .iter()
        .position(|arg| matches!(arg.text.as_str(), "--args" | "--"));
    let (own, words) = call.args.split_at(end.unwrap_or(call.args.len()));
    let mut out = runs(call, words.get(1..).unwrap_or_default());
    let options = super::super::filters::scan(own, valued);
    for (_, arg, text) in &options.options {
        let text = text.trim();
        let (Some(arg), Some(text)) = (arg, exact(text)) else {
            continue;
        };
        let leaves = ["shell ", "!", "platform shell ", "make "];
        if let Some(text) = leaves.iter().find_map(|word| text.strip_prefix(word)) {
            line(like(arg, text), &mut out);
        } else if let Some((_, code)) = text.split_once("python ") {
            out.runs.push(Run::Code {
                language: "python",
                text: like(arg, code),
            });
        } else if let Some(code) = text.strip_prefix("script ") {
            out.runs.push(Run::Code {
                language: "python",
                text: like(arg, code),
            });
        }
    }
    out
}

fn terminal(call: &Call) -> Outcome {
    let marks = ["-e", "-x", "--", "--command", "--execute", "-c"];
    let at = call
        .args
        .iter()
        .position(|arg| marks.contains(&arg.text.as_str()));
    let words = match at {
        Some(at) => call.args.get(at + 1..).unwrap_or_default(),
        None if matches!(call.name, "kitty" | "foot" | "openvt") => {
            front(call.args, "-o -T --title -a -c --config -w").rest
        }
        None => &[],
    };
    match words {
        // One word may be a whole line.
        [only] => {
            let mut out = Outcome::default();
            line(only.clone(), &mut out);
            out
        }
        words => runs(call, words),
    }
}
