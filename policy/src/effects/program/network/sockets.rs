// SPDX-License-Identifier: Apache-2.0
//! Bare connections: `nc`, `socat`, `telnet`, `openssl s_client`, the shell's `/dev/tcp`.

use super::super::super::word::{Arg, Stream};
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::system::rows::scan;
use super::super::{Call, Outcome, Run};
use super::payload::{connects, sending};
use super::url::{Near, Url, near};
use crate::list::is_any;

/// What opening `/dev/tcp/host/port` comes to; nothing for another path.
#[must_use]
pub fn dev_tcp(path: &str) -> Option<Effect> {
    let rest = path
        .strip_prefix("/dev/tcp/")
        .or_else(|| path.strip_prefix("/dev/udp/"))?;
    let host = rest.split('/').next().unwrap_or_default();
    let harm = match near(host) {
        Near::Local | Near::Private => Harm::Low,
        Near::Public => Harm::High,
    };
    Some(Effect::new(
        Kind::Connect,
        harm,
        Target::Host(host.to_owned()),
        "network:shell-socket",
        "the shell itself would speak to a host, as remote shells do",
    ))
}

/// The commands of this file.
pub(super) fn run(call: &Call) -> Outcome {
    match call.name {
        "socat" => socat(call),
        "telnet" => telnet(call),
        _ => netcat(call),
    }
}

const COMMANDS: &str = "whoever is at the other end would command the machine";

fn remote_shell(host: &str, arg: &Arg) -> Effect {
    let target = Target::Host(host.to_owned());
    Effect::new(
        Kind::Escalate,
        Harm::Critical,
        target,
        "network:remote-shell",
        COMMANDS,
    )
    .at(arg.span)
}

/// Code that is run for the other end.
fn shell(arg: &Arg, text: &str) -> Run {
    Run::Shell {
        text: Arg {
            text: text.to_owned(),
            ..arg.clone()
        },
        arguments: Vec::new(),
        stdin: Stream::default(),
        host: None,
    }
}

/// The container engine's socket gives the whole machine.
fn engine(call: &Call, path: &str) -> Effect {
    let engines = ["docker", "containerd", "podman"];
    let known = engines.iter().any(|name| path.contains(name));
    let harm = if known { Harm::High } else { Harm::Low };
    let why = "who speaks to a container engine has the whole machine";
    Effect::new(Kind::Escalate, harm, call.path(path), "network:socket", why)
}

const NETCAT: &str = "-e -c --exec --sh-exec --lua-exec -p --source-port -w -i -q -s -X -x --proxy -I -O -T -o -m -g \
    -G -P --wait --allow --deny --proxy-type -V -W";

fn netcat(call: &Call) -> Outcome {
    let options = scan(call, NETCAT);
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-h", "--help", "--version"]) {
        return outcome;
    }
    let host = options.operand(0).unwrap_or_default().to_ascii_lowercase();
    for (name, arg, value) in &options.options {
        let runs = is_any("-e -c --exec --sh-exec --lua-exec", name);
        if let Some(arg) = arg.filter(|_| runs) {
            outcome.effects.push(remote_shell(&host, arg));
            outcome.runs.push(shell(arg, value));
        }
    }
    let arg = call.args.first().cloned().unwrap_or_default();
    if options.has(&["-U", "--unixsock"]) {
        outcome.add(engine(call, &host), &arg);
    } else if options.has(&["-l", "--listen"]) {
        outcome.add(listening(&call.stdin.taint, "nc"), &arg);
        outcome.stdout.taint.network = Some("whoever connects".to_owned());
    } else {
        connection(call, &host, options.has(&["-z"]), &mut outcome);
    }
    outcome
}

/// A port that anybody can connect to.
fn listening(taint: &super::super::super::word::Taint, name: &str) -> Effect {
    let harm = match (taint.secret.is_some(), taint.file.is_some()) {
        (true, _) => Harm::Critical,
        (_, true) => Harm::High,
        _ => Harm::Medium,
    };
    let target = Target::System(name.to_owned());
    let why = "whoever can reach the machine could connect";
    Effect::new(Kind::Publish, harm, target, "network:listen", why)
}

fn connection(call: &Call, host: &str, scans: bool, outcome: &mut Outcome) {
    if host.is_empty() {
        return;
    }
    let arg = call
        .args
        .iter()
        .find(|arg| arg.text.eq_ignore_ascii_case(host));
    let arg = arg.cloned().unwrap_or_default();
    let url = Url {
        host: host.to_owned(),
        ..Url::default()
    };
    let effect = if scans || call.stdin.text.as_deref() == Some("") {
        connects(host)
    } else {
        sending(&url, &call.stdin.taint)
    };
    outcome.add(effect, &arg);
    if arg.taint.secret.is_some() {
        outcome.add(sending(&url, &arg.taint), &arg);
    }
    outcome.stdout.taint.network = Some(host.to_owned());
}

fn telnet(call: &Call) -> Outcome {
    let options = scan(call, "-l -e -n -b -S -X");
    let mut outcome = Outcome::default();
    let host = options.operand(0).unwrap_or_default().to_ascii_lowercase();
    connection(call, &host, false, &mut outcome);
    outcome
}

/// The kind of one of `socat`'s addresses: `tcp` of `TCP:host:1`.
fn kind(arg: &Arg) -> String {
    let kind = arg.text.split(':').next().unwrap_or_default();
    kind.to_ascii_lowercase()
}

fn is_host(arg: &Arg) -> bool {
    let kind = kind(arg);
    let hosts = [
        "tcp", "udp", "openssl", "ssl", "sctp", "socks", "proxy", "dtls", "vsock",
    ];
    hosts.iter().any(|known| kind.starts_with(known))
}

fn socat(call: &Call) -> Outcome {
    let options = scan(call, "-T -t -b -L -W -lf -lp -r -R");
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-V", "-h", "-hh", "-hhh", "-?"]) {
        return outcome;
    }
    let operands = &options.operands;
    let peer = operands.iter().find(|arg| is_host(arg));
    let host = peer.and_then(|peer| peer.text.split(':').nth(1));
    let host = host.unwrap_or_default().to_ascii_lowercase();
    for arg in operands {
        let rest = arg.text.split_once(':').map_or("", |(_, rest)| rest);
        if matches!(kind(arg).as_str(), "exec" | "system" | "shell") {
            let mut effect = remote_shell(&host, arg);
            if peer.is_none() {
                effect.harm = Harm::High;
            }
            outcome.effects.push(effect);
            let command = rest.split(',').next().unwrap_or_default();
            outcome.runs.push(shell(arg, command));
        }
        if rest.contains("docker.sock") || rest.contains("containerd.sock") {
            outcome.add(engine(call, rest), arg);
        }
    }
    let Some(peer) = peer else {
        return outcome;
    };
    let mut taint = call.stdin.taint.clone();
    for arg in operands {
        taint.join(&file_taint(call, arg));
    }
    if kind(peer).contains("listen") || kind(peer).ends_with("-l") {
        outcome.add(listening(&taint, "socat"), peer);
        return outcome;
    }
    let url = Url {
        host: host.clone(),
        ..Url::default()
    };
    outcome.add(sending(&url, &taint), peer);
    outcome.stdout.taint.network = Some(host);
    outcome
}

fn file_taint(call: &Call, arg: &Arg) -> super::super::super::word::Taint {
    let (kind, path) = arg.text.split_once(':').unwrap_or(("", ""));
    let path = path.split(',').next().unwrap_or_default();
    if ["file", "open", "gopen"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
    {
        return super::super::files::content(call, path).taint;
    }
    arg.taint.clone()
}

/// `openssl s_client` and `s_server`; its other commands stay on the machine.
pub(super) fn openssl(call: &Call) -> Option<Outcome> {
    let first = call.args.first()?;
    let options = scan(
        call,
        "-connect -servername -accept -port -cert -key -CAfile -host -proxy -starttls -CApath \
        -alpn",
    );
    let mut outcome = Outcome::default();
    match first.text.as_str() {
        "s_client" => {
            let host = options.value(&["-connect", "-host"]).unwrap_or("localhost");
            let url = Url::read(host);
            let quiet = call.stdin.taint.secret.is_none() && call.stdin.taint.file.is_none();
            let effect = if quiet {
                let target = Target::Host(url.host.clone());
                Effect::new(
                    Kind::Connect,
                    Harm::Low,
                    target,
                    "network:connect",
                    "speaks to a host",
                )
            } else {
                sending(&url, &call.stdin.taint)
            };
            outcome.add(effect, first);
            outcome.stdout.taint.network = Some(url.host);
        }
        "s_server" => outcome.add(listening(&call.stdin.taint, "openssl"), first),
        _ => return None,
    }
    Some(outcome)
}
