// SPDX-License-Identifier: Apache-2.0
//! Wrappers that run a command as somebody else: `sudo`, `su`, `doas`, `nsenter`.

use super::super::filters::input::written;
use super::super::{Call, Outcome, Run};
use super::{after_assignments, command, front, like, piped, runs, shell};
use crate::effects::word::Arg;
use crate::effects::{Effect, Harm, Kind, Target};
use crate::list::is_any;

/// Programs that, run as root, are a way to do anything unseen.
const SHELLS: &str = "sh bash dash zsh ksh ash fish csh tcsh su login";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    let sudo = "-u --user -g --group -h --host -p --prompt -C --close-from -r --role -t --type -T \
        --command-timeout -U --other-user -D --chdir -R --chroot -a -c";
    Some(match call.name {
        "sudo" | "sudo-rs" | "dzdo" | "please" | "gsudo" => as_other(call, sudo),
        "doas" => as_other(call, "-u -C -a"),
        "pkexec" => as_other(call, "--user -u"),
        "run0" => as_other(
            call,
            "-u --user -g --group -D --chdir --unit --property --slice --nice --setenv",
        ),
        "sudoedit" => edited(call, front(call.args, sudo).rest),
        "su" | "runuser" => su(call),
        "sg" => group(call),
        "gosu" | "su-exec" | "setuidgid" | "s6-setuidgid" | "chpst" | "setpriv" | "capsh" => {
            dropped(call)
        }
        "chroot" => inside(call, "--userspec --groups -u -g -G", 1),
        "unshare" => inside(
            call,
            "-S --setuid -G --setgid -R --root -w --wd --map-user --map-group",
            0,
        ),
        "nsenter" => nsenter(call),
        "bwrap" | "systemd-nspawn" => contained(call),
        _ => return None,
    })
}

fn escalates(call: &Call, harm: Harm, program: &str) -> Effect {
    let why = if harm >= Harm::Medium {
        "opens a shell with the rights of another user, usually root"
    } else {
        "runs with the rights of another user, usually root"
    };
    let target = Target::Program(program.to_owned());
    Effect::new(
        Kind::Escalate,
        harm,
        target,
        format!("{}:run", call.name),
        why,
    )
}

fn as_other(call: &Call, valued: &str) -> Outcome {
    let front = front(call.args, valued);
    let asks = [
        "-l",
        "--list",
        "-v",
        "--validate",
        "-V",
        "--version",
        "--help",
    ];
    let words = after_assignments(front.rest);
    if front.options.has_exactly(&asks) {
        return Outcome::default();
    }
    if front.options.has(&["-e", "--edit"]) && call.name != "doas" {
        return edited(call, words);
    }
    let mut out = Outcome::default();
    let login = front.options.has(&["-i", "--login", "-s", "--shell"]);
    let Some(first) = words.first() else {
        if login {
            opens(call, call.args.first(), &mut out);
        }
        return out;
    };
    let program = first.text.rsplit('/').next().unwrap_or_default();
    // `sudo bash` and `sudo su` open a shell, `sudo bash -c …` and `sudo bash x.sh` do not.
    let bare = is_any(SHELLS, program)
        && words
            .iter()
            .skip(1)
            .all(|word| word.text.starts_with('-') && !word.text.contains('c'));
    // What is piped in is followed; a shell that nobody wrote the commands of is anything at all.
    let harm = if bare && piped(call.stdin) {
        Harm::Medium
    } else if bare {
        Harm::High
    } else {
        Harm::Low
    };
    out.add(escalates(call, harm, program), first);
    out.runs.extend(command(call, words));
    out
}

/// A shell as somebody else, which reads what is piped in.
fn opens(call: &Call, arg: Option<&Arg>, out: &mut Outcome) {
    let harm = if piped(call.stdin) {
        Harm::Medium
    } else {
        Harm::High
    };
    let effect = escalates(call, harm, "sh");
    match arg {
        Some(arg) => out.add(effect, arg),
        None => out.effects.push(effect),
    }
    if piped(call.stdin) {
        let words = [arg.map_or_else(|| Arg::known("sh"), |arg| like(arg, "sh"))];
        out.runs.extend(command(call, &words));
    }
}

fn edited(call: &Call, files: &[Arg]) -> Outcome {
    let mut out = Outcome::default();
    for file in files {
        out.add(escalates(call, Harm::Low, "editor"), file);
        out.effects.push(written(call, file, false));
    }
    out
}

fn su(call: &Call) -> Outcome {
    let valued = "-c --command --session-command -s --shell -g --group -G --supp-group -w \
        --whitelist-environment -u --user";
    let front = front(call.args, valued);
    let mut out = Outcome::default();
    if front.options.has_exactly(&["--help", "--version", "-V"]) {
        return out;
    }
    if call.name == "runuser" && front.options.has(&["-u", "--user"]) {
        out.runs.extend(command(call, front.rest));
        out.effects.push(escalates(call, Harm::Low, "runuser"));
        return out;
    }
    // Options may follow the user, and what follows `--` is the shell's.
    let mut args = call.args.iter();
    let mut text = None;
    while let Some(arg) = args.next() {
        let word = arg.text.as_str();
        let cluster = word.starts_with('-') && !word.starts_with("--") && word.ends_with('c');
        if cluster || word == "--command" || word == "--session-command" {
            text = args.next().cloned();
        } else if let Some((_, value)) = word.split_once("command=") {
            text = Some(like(arg, value));
        } else if let Some(value) = word.strip_prefix("-c").filter(|value| !value.is_empty()) {
            text = Some(like(arg, value));
        }
    }
    match text {
        Some(text) => {
            out.add(escalates(call, Harm::Low, "sh"), &text);
            out.runs.push(shell(text, call.stdin.clone()));
        }
        None => opens(call, call.args.first(), &mut out),
    }
    out
}

/// `sg GROUP -c 'command'`
fn group(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    if let Some(text) = call.args.get(1..).and_then(<[Arg]>::last) {
        out.runs.push(shell(text.clone(), call.stdin.clone()));
    }
    out
}

/// Programs that mostly give rights up.
fn dropped(call: &Call) -> Outcome {
    match call.name {
        "capsh" => {
            let end = call.args.iter().position(|arg| arg.text == "--");
            let rest = end
                .and_then(|at| call.args.get(at + 1..))
                .unwrap_or_default();
            let Some(first) = rest.first() else {
                return Outcome::default();
            };
            let mut words = vec![like(first, "bash")];
            words.extend_from_slice(rest);
            runs(call, &words)
        }
        "setpriv" => {
            let valued = "--reuid --regid --ruid --euid --rgid --egid --groups --inh-caps \
                --ambient-caps --bounding-set --securebits --selinux-label";
            runs(call, front(call.args, valued).rest)
        }
        "chpst" => {
            let valued = "-u -U -b -e -/ -C -n -l -L -m -d -o -p -f -c -t -r";
            runs(call, front(call.args, valued).rest)
        }
        _ => runs(call, front(call.args, "").rest.get(1..).unwrap_or_default()),
    }
}

/// A command in another root or name space. What it does there is judged as if it were here.
fn inside(call: &Call, valued: &str, own: usize) -> Outcome {
    let front = front(call.args, valued);
    let words = front.rest.get(own..).unwrap_or_default();
    let mut out = runs(call, words);
    if let Some(first) = call.args.first() {
        out.add(
            Effect::new(
                Kind::Escalate,
                Harm::Low,
                Target::Program(call.name.to_owned()),
                format!("{}:run", call.name),
                "runs in another root or name space",
            ),
            first,
        );
    }
    out
}

fn nsenter(call: &Call) -> Outcome {
    let front = front(call.args, "-t --target -S --setuid -G --setgid");
    let mut out = runs(call, front.rest);
    let first = front.options.value(&["-t", "--target"]) == Some("1");
    let (harm, why) = if first {
        (Harm::High, "leaves the container: process 1 is the host's")
    } else {
        (Harm::Medium, "enters the name spaces of another process")
    };
    if let Some(arg) = call.args.first() {
        let target = Target::System("namespaces".to_owned());
        out.add(
            Effect::new(Kind::Escalate, harm, target, "nsenter:run", why),
            arg,
        );
    }
    if front.rest.is_empty() && piped(call.stdin) {
        out.runs.push(Run::Command {
            words: vec![Arg::known("sh")],
            stdin: call.stdin.clone(),
        });
    }
    out
}

/// Sandboxes whose options take one or two values each: the command is what follows them.
fn contained(call: &Call) -> Outcome {
    if call.name == "systemd-nspawn" {
        let valued = "-D --directory -i --image -M --machine -u --user --bind --setenv -E";
        return runs(call, front(call.args, valued).rest);
    }
    let two = "--bind --ro-bind --dev-bind --bind-try --ro-bind-try --dev-bind-try --symlink --setenv \
        --file --bind-data --ro-bind-data --chmod";
    let one = "--dev --proc --tmpfs --dir --chdir --unsetenv --uid --gid --hostname --args --lock-file \
        --sync-fd --seccomp --cap-add --cap-drop --remount-ro --mqueue --perms --size --info-fd \
        --exec-label --file-label --block-fd --userns-block-fd --json-status-fd";
    let mut at = 0;
    while let Some(arg) = call.args.get(at).filter(|arg| arg.text.starts_with('-')) {
        at += 1;
        if arg.text == "--" {
            break;
        }
        at += if is_any(two, &arg.text) {
            2
        } else {
            usize::from(is_any(one, &arg.text))
        };
    }
    runs(call, call.args.get(at..).unwrap_or_default())
}
