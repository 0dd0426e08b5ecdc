// SPDX-License-Identifier: Apache-2.0
//! The secure shell without what it runs elsewhere: tunnels, commands of the client, keys.
//!
//! `wrappers` takes `ssh host command` apart and follows the command.

use super::super::super::word::{Arg, Stream};
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::files::{place, whole};
use super::super::options::Options;
use super::super::system::rows::scan;
use super::super::{Call, Outcome, Run};

/// The commands of this file.
pub(super) fn run(call: &Call) -> Outcome {
    match call.name {
        "ssh-copy-id" => copy_id(call),
        "ssh-keygen" => keygen(call),
        "ssh-add" => add(call),
        "ssh-keyscan" => keyscan(call),
        _ => mount(call),
    }
}

/// What the options of `ssh` itself do on this machine.
pub(in super::super) fn client(options: &Options, host: &str, outcome: &mut Outcome) {
    tunnels(options, host, outcome);
    commands(options, outcome);
}

/// Ports that would be opened in one direction or the other.
fn tunnels(options: &Options, host: &str, outcome: &mut Outcome) {
    for (name, arg, value) in &options.options {
        let (harm, kind, why) = match name.as_str() {
            "-R" => (
                Harm::High,
                Kind::Publish,
                "the other machine could reach into this one",
            ),
            "-w" => (
                Harm::High,
                Kind::Publish,
                "the two networks would be joined",
            ),
            "-D" => (
                Harm::Medium,
                Kind::Connect,
                "traffic would go through the other machine",
            ),
            "-L" if value.starts_with("0.0.0.0") || value.starts_with('*') => (
                Harm::High,
                Kind::Publish,
                "others could reach through this machine",
            ),
            "-L" | "-W" => (
                Harm::Low,
                Kind::Connect,
                "a port of another machine would appear here",
            ),
            "-A" => (
                Harm::Medium,
                Kind::TouchSecret,
                "the other machine could use this one's keys",
            ),
            _ => continue,
        };
        let arg = arg.cloned().unwrap_or_default();
        let target = Target::Host(host.to_owned());
        outcome.add(Effect::new(kind, harm, target, "ssh:tunnel", why), &arg);
    }
}

/// Commands that the client itself would run here: `ProxyCommand`, `-S program`.
pub(super) fn commands(options: &Options, outcome: &mut Outcome) {
    for (name, arg, value) in &options.options {
        let Some(arg) = arg else { continue };
        if name != "-o" {
            continue;
        }
        let (key, text) = value.split_once(['=', ' ']).unwrap_or((value, ""));
        let key = key.trim().to_ascii_lowercase();
        let runs = [
            "proxycommand",
            "localcommand",
            "knownhostscommand",
            "pkcs11provider",
            "securitykeyprovider",
        ];
        if !runs.contains(&key.as_str()) || text.trim() == "none" {
            continue;
        }
        let program = text.split_whitespace().next().unwrap_or_default();
        let usual = [
            "ssh",
            "nc",
            "ncat",
            "cloudflared",
            "aws",
            "gcloud",
            "connect",
            "corkscrew",
            "tailscale",
            "sh",
        ];
        let usual =
            usual.contains(&program.rsplit('/').next().unwrap_or_default()) && program != "sh";
        let harm = if usual { Harm::Low } else { Harm::High };
        let target = Target::Program(text.to_owned());
        let why = "the client would run a command on this machine";
        outcome.add(
            Effect::new(Kind::Execute, harm, target, "ssh:runs", why),
            arg,
        );
        outcome.runs.push(Run::Shell {
            text: Arg {
                text: text.trim().to_owned(),
                ..(*arg).clone()
            },
            arguments: Vec::new(),
            stdin: Stream::default(),
            host: None,
        });
    }
}

fn copy_id(call: &Call) -> Outcome {
    let options = scan(call, "-i -p -o -F -t");
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-n", "-h", "-?"]) {
        return outcome;
    }
    if let Some(to) = options.operands.first() {
        let host = to.text.rsplit('@').next().unwrap_or_default();
        let target = Target::Host(host.to_owned());
        let why = "whoever has the key could enter the other machine from then on";
        outcome.add(
            Effect::new(Kind::Persist, Harm::High, target, "ssh:copy-id", why),
            to,
        );
    }
    outcome
}

fn keygen(call: &Call) -> Outcome {
    let valued = "-t -b -f -N -C -P -R -F -O -D -I -n -s -V -m -a -Z -w -S -Y -z -E -r";
    let options = scan(call, valued);
    let mut outcome = Outcome::default();
    let find = |wanted: &str| options.options.iter().find(|(name, ..)| name == wanted);
    if let Some((_, Some(arg), library)) = find("-D") {
        let target = Target::Program(library.clone());
        let why = "code of a library would run";
        outcome.add(
            Effect::new(Kind::Execute, Harm::High, target, "ssh:library", why),
            arg,
        );
        return outcome;
    }
    let file = find("-f");
    let path = file.map_or("~/.ssh/id_ed25519", |(.., path)| path.as_str());
    let arg = file
        .and_then(|(_, arg, _)| *arg)
        .or(call.args.first())
        .cloned()
        .unwrap_or_default();
    if options.has_exactly(&["-y"]) {
        return outcome;
    }
    if options.has_exactly(&["-l", "-B", "-F", "-H", "-Q", "-r", "-A", "-L"]) {
        return outcome;
    }
    let (harm, why) = if options.has_exactly(&["-R"]) {
        (Harm::Low, "a known host would be forgotten")
    } else if options.has_exactly(&["-p", "-c", "-e", "-i"]) {
        (Harm::Medium, "a key would change")
    } else {
        let answered = call
            .stdin
            .text
            .as_deref()
            .is_some_and(|text| text.trim_start().starts_with(['y', 'Y']));
        match (answered, call.place(path).secret) {
            (true, true) => (Harm::High, "the key that is there would be lost"),
            _ => (Harm::Low, "makes a key"),
        }
    };
    let target = Target::Path(whole(call, path), place(call, path));
    outcome.add(
        Effect::new(Kind::TouchSecret, harm, target, "ssh:keygen", why),
        &arg,
    );
    outcome
}

fn add(call: &Call) -> Outcome {
    let options = scan(call, "-t -E -e -s -S -H -h");
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-l", "-L", "-q", "-T", "-v"]) && options.operands.is_empty() {
        return outcome;
    }
    let (harm, why) = if options.has(&["-D", "-x"]) {
        (Harm::Medium, "the agent would forget keys, or be locked")
    } else if options.has(&["-s"]) {
        (Harm::High, "code of a library would run")
    } else {
        (Harm::Low, "the agent would hold a key")
    };
    let target = Target::System("ssh-agent".to_owned());
    let arg = call.args.first().cloned().unwrap_or_default();
    outcome.add(
        Effect::new(Kind::TouchSecret, harm, target, "ssh:add", why),
        &arg,
    );
    outcome
}

fn keyscan(call: &Call) -> Outcome {
    let options = scan(call, "-f -p -T -t -O");
    let mut outcome = Outcome::default();
    for host in &options.operands {
        let target = Target::Host(host.text.clone());
        let why = "asks a host for its keys";
        outcome.add(
            Effect::new(Kind::Connect, Harm::Low, target, "ssh:keyscan", why),
            host,
        );
    }
    outcome
}

fn mount(call: &Call) -> Outcome {
    let options = scan(call, "-o -p -F");
    let mut outcome = Outcome::default();
    commands(&options, &mut outcome);
    if let Some(from) = options.operands.first() {
        let host = from.text.split(':').next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let target = Target::Host(host.to_owned());
        let why = "files of another machine would appear here";
        outcome.add(
            Effect::new(Kind::Connect, Harm::Medium, target, "ssh:mount", why),
            from,
        );
    }
    outcome
}
