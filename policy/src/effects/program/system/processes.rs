// SPDX-License-Identifier: Apache-2.0
//! Processes: `kill`, `pkill`, `killall`, `fuser`, `renice`.

use super::super::super::word::Arg;
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::options::Options;
use super::super::{Call, Outcome};
use super::rows::{exactly, scan};
use super::services::is_critical;
use crate::list::is_any;

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "kill" | "tkill" => kill(call),
        "pkill" | "killall" | "skill" | "pgrep-kill" => by_name(call),
        "killall5" => everything(call),
        "fuser" => fuser(call),
        "renice" => renice(call),
        "xkill" => everything(call),
        _ => return None,
    })
}

fn stopping(harm: Harm, what: &str, why: &'static str) -> Effect {
    Effect::new(
        Kind::Disrupt,
        harm,
        Target::System(what.to_owned()),
        "process:kill",
        why,
    )
}

const ALL: &str = "everything that runs would be stopped";

fn kill(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    let mut args = call.args.iter().peekable();
    // A first word with a dash is a signal, later ones are groups of processes.
    while let Some(first) = args.peek() {
        match first.text.as_str() {
            "-l" | "-L" | "--list" | "-0" | "--table" => return outcome,
            "-s" | "-n" | "--signal" => {
                args.next();
                if args.next().is_some_and(|signal| signal.text == "0") {
                    return outcome;
                }
                break;
            }
            "--" => {
                args.next();
                break;
            }
            text if text.starts_with('-') => {
                args.next();
                if args.peek().is_none() {
                    return outcome;
                }
                if args.peek().is_some_and(|next| next.text != "--") {
                    break;
                }
            }
            _ => break,
        }
    }
    for arg in args {
        let text = arg.text.as_str();
        let effect = match text {
            "-1" => stopping(Harm::Critical, "every process", ALL),
            "1" => stopping(Harm::High, "pid 1", "the first process holds up all others"),
            "--" => continue,
            "0" => stopping(
                Harm::Medium,
                "own group",
                "what was started together would stop",
            ),
            _ => stopping(Harm::Low, text, "a process would stop"),
        };
        outcome.add(effect, arg);
    }
    outcome
}

/// Processes that hold others up, beside the critical services.
const VITAL: &str = "systemd init launchd systemd-udevd dbus-daemon xorg x xwayland gnome-shell gnome-session \
    plasmashell kwin_wayland kwin_x11 windowserver loginwindow login getty agetty sudo su bash zsh sh \
    fish kthreadd pulseaudio pipewire kube-proxy kube-controller kube-scheduler containerd-shim runc \
    qemu-system-x86_64 libvirtd tmux screen ssh-agent gpg-agent explorer.exe csrss.exe lsass.exe \
    falcon-sensor osqueryd mdatp sshd-session";

const KILLALL: &str =
    "-s --signal -u --user -y --younger-than -o --older-than -Z --context -n --ns -t";

const PKILL: &str = "-s --session --signal -u --euid -U --uid -g --pgroup -G --group -P --parent -t --terminal -F \
    --pidfile --ns --nslist";

fn by_name(call: &Call) -> Outcome {
    let valued = if call.name == "killall" {
        KILLALL
    } else {
        PKILL
    };
    let valued: Vec<&str> = valued.split_ascii_whitespace().collect();
    let args = call.args.iter().filter(|arg| !is_signal(&arg.text));
    let args: Vec<Arg> = args.cloned().collect();
    let options = Options::scan(&args, &valued);
    let mut outcome = Outcome::default();
    let lists = call.name == "killall" && exactly(&options, "-l --list");
    let tests = exactly(&options, "-0 --help -V --version")
        || options.value(&["-s", "--signal"]) == Some("0");
    if lists || tests {
        return outcome;
    }
    let whose = "-u --user --euid -U --uid -t --terminal -g -G --group";
    let mut given = options.options.iter();
    let person = given.find(|(name, ..)| is_any(whose, name));
    if let Some((_, Some(arg), who)) = person
        && options.operands.is_empty()
    {
        let effect = stopping(Harm::High, who, "everything a person runs would stop");
        outcome.add(effect, arg);
        return outcome;
    }
    let inverse = call.name == "pkill" && options.has(&["-v", "--inverse"]);
    for arg in &options.operands {
        let text = arg.text.as_str();
        let effect = if inverse || matches_all(text) {
            stopping(Harm::Critical, "every process", ALL)
        } else if is_vital(text) {
            stopping(
                Harm::High,
                text,
                "others and the machine itself depend on it",
            )
        } else if is_any(SHARED, text) {
            stopping(Harm::Medium, text, "it may stop more than was started here")
        } else {
            stopping(Harm::Low, text, "a program would stop")
        };
        outcome.add(effect, arg);
    }
    outcome
}

/// Names that many programs share, or servers with data.
const SHARED: &str = "node python python3 java ruby php postgres mysqld mongod redis-server nginx httpd apache2 mariadbd \
    chrome firefox code docker slack Code Electron ollama";

fn is_signal(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('-') else {
        return false;
    };
    let name = rest.strip_prefix("SIG").unwrap_or(rest);
    let known = "KILL TERM HUP INT QUIT STOP CONT USR1 USR2 ABRT ALRM PIPE TSTP WINCH";
    (!rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) && rest != "0")
        || is_any(known, name)
}

fn matches_all(pattern: &str) -> bool {
    let plain = pattern.trim_matches(['^', '$', '.', '*', '+', '?', '(', ')', '|', '"', '\'']);
    plain.is_empty()
}

fn is_vital(pattern: &str) -> bool {
    let lower = pattern.trim_matches(['^', '$']).to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or_default();
    is_any(VITAL, name)
        || (is_critical(name) && !matches!(name, "default" | "network" | "firewall" | "cron"))
}

fn everything(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    let span = call.args.first().map(|arg| arg.span).unwrap_or_default();
    let harm = if call.name == "xkill" {
        Harm::Medium
    } else {
        Harm::Critical
    };
    outcome
        .effects
        .push(stopping(harm, "every process", ALL).at(span));
    outcome
}

/// `fuser -k 3000/tcp` frees a port, `fuser -km /mnt` stops all that use a disk.
fn fuser(call: &Call) -> Outcome {
    let options = scan(call, "-n --namespace");
    let mut outcome = Outcome::default();
    if !options.has(&["-k", "--kill"]) {
        return outcome;
    }
    let wide = options.has(&["-m", "--mount", "-c", "-M"]);
    for arg in &options.operands {
        let harm = if wide { Harm::High } else { Harm::Low };
        let harm = match arg.text.as_str() {
            "22/tcp" | "22" | "2375/tcp" | "6443/tcp" => Harm::High,
            _ => harm,
        };
        outcome.add(
            stopping(harm, &arg.text, "all that uses it would stop"),
            arg,
        );
    }
    outcome
}

fn renice(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    if let Some(arg) = call.args.first() {
        let raises = call.args.iter().any(|arg| {
            let number = arg.text.strip_prefix('-').unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        let harm = if raises { Harm::Medium } else { Harm::Low };
        outcome.add(
            stopping(harm, &arg.text, "others would get more or less time to run"),
            arg,
        );
    }
    outcome
}
