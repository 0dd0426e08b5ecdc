// SPDX-License-Identifier: Apache-2.0
//! Calls that speak to hosts: requests as the `curl` that does the same, sockets, and a shell
//! that is given to a socket.

use super::super::word::{Arg, Stream, Taint};
use super::super::{Harm, Kind, Target};
use super::calls::Given;
use super::fold;
use super::machine::Machine;
use super::value::{Shape, Value};
use crate::list::is_any;

/// Programs that do what comes in on their input.
const SHELLS: &str =
    "sh bash dash zsh ksh ash fish csh tcsh busybox cmd cmd.exe powershell powershell.exe pwsh";

/// A request: the method, the address, then what is sent.
pub(super) fn http(machine: &mut Machine, picked: &[Value], given: &Given) -> Value {
    let mut picked = picked.iter();
    let method = picked
        .next()
        .and_then(Value::known)
        .filter(|method| method != "_");
    let method = method.or_else(|| given.named("method")?.known());
    let method = method.unwrap_or_default().to_uppercase();
    let url = picked.next().cloned().unwrap_or_default();
    let mut data: Vec<Value> = picked.cloned().collect();
    let (url, method) = match url.as_object() {
        // `urlopen(Request(url, data))`
        Some(request) if url.as_text().is_none() => {
            let named = request.named.iter();
            let sent = named
                .filter(|(name, _)| name == "data")
                .map(|(_, value)| value);
            data.extend(request.args.iter().skip(1).chain(sent).cloned());
            let inner = request.args.first().cloned().unwrap_or_default();
            (inner.tainted(&url.taint), method)
        }
        _ => (url, method),
    };
    data.retain(|value| !value.is_false());
    let address = address(&url, given);
    let mut words = vec![Arg::known("curl")];
    let method = match method.as_str() {
        "" | "GET" if data.is_empty() => "",
        "" => "POST",
        other => other,
    };
    if !method.is_empty() && method != "GET" {
        words.extend(["-X", method].map(Arg::known));
    }
    for value in &data {
        payload(value, &mut words, 0);
    }
    words.push(address.arg());
    machine.flush();
    let host = host(&address.word()).to_owned();
    let taint = fold::taint_of(&data);
    sent(machine, &host, &taint);
    sent(machine, &host, &url.taint);
    machine.command(words, Stream::default());
    let taint = Taint {
        network: Some(host),
        ..Taint::default()
    };
    Value::object("response", vec![address]).tainted(&taint)
}

/// The address, from a text or from an object of its parts.
fn address(url: &Value, given: &Given) -> Value {
    if !matches!(url.shape, Shape::Map(_)) {
        return url.clone();
    }
    let part = |names: &[&str]| names.iter().find_map(|name| given.named(name));
    let host = part(&["url", "uri", "hostname", "host"]).unwrap_or_default();
    let path = part(&["path", "pathname"]).unwrap_or_else(|| Value::text(""));
    fold::add(&[host, path])
}

/// What is sent, as options of `curl`.
fn payload(value: &Value, words: &mut Vec<Arg>, depth: u32) {
    if words.len() > 32 || depth > 4 {
        return;
    }
    match &value.shape {
        Shape::Object(file) if file.class == "file" => {
            words.push(Arg::known("-T"));
            words.extend(file.args.first().map(Value::arg));
        }
        Shape::Map(parts)
            if depth == 0 && parts.iter().any(|(_, part)| part.as_object().is_some()) =>
        {
            for (_, part) in parts.iter() {
                payload(part, words, depth + 1);
            }
        }
        _ => {
            words.push(Arg::known("--data-raw"));
            words.push(value.arg());
        }
    }
}

/// Data that leaves for a host, by where it came from.
fn sent(machine: &mut Machine, host: &str, taint: &Taint) {
    if is_loopback(host) {
        return;
    }
    let target = || Target::Host(host.to_owned());
    if taint.secret.is_some() {
        machine.effect(
            (Kind::Send, Harm::Critical),
            target(),
            "code:send-secret",
            "sends a secret to a host",
        );
    } else if taint.file.is_some() {
        machine.effect(
            (Kind::Send, Harm::High),
            target(),
            "code:send-file",
            "sends the contents of a file to a host",
        );
    }
}

/// Sockets, and other ways to send that no command stands for.
pub(super) fn socket(machine: &mut Machine, verb: &str, picked: &[Value], given: &Given) -> Value {
    match verb {
        "connect" => connect(machine, picked, given),
        "listen" => {
            machine.socket = Some("whoever connects".to_owned());
            let taint = network(machine);
            Value::object("socket", Vec::new()).tainted(&taint)
        }
        "received" => Value::unknown(network(machine)),
        "dup2" => {
            if let Some(host) = machine.socket.clone() {
                reverse_shell(machine, host);
            }
            Value::default()
        }
        _ => {
            let mut taint = fold::taint_of(picked);
            if let ("upload-file", Some(path)) = (verb, picked.first()) {
                taint.file = Some(path.word());
            }
            let host = machine.socket.clone().or_else(|| {
                let this = given.this.as_ref()?;
                let own = this.taint.network.clone();
                own.or_else(|| this.as_object()?.args.first()?.known())
            });
            let host = host.unwrap_or_else(|| "a host".to_owned());
            if verb != "leak" {
                machine.effect(
                    (Kind::Send, Harm::Low),
                    Target::Host(host.clone()),
                    "code:send",
                    "sends data to a host",
                );
            }
            sent(machine, &host, &taint);
            Value::default()
        }
    }
}

fn connect(machine: &mut Machine, picked: &[Value], given: &Given) -> Value {
    let first = picked.first().cloned().unwrap_or_default();
    let name = match first.parts() {
        Some(parts) => parts.first().cloned().unwrap_or_default(),
        None => first,
    };
    // JavaScript names the port first.
    let name = match (name.as_number(), given.args.get(1)) {
        (Some(_), Some(second)) => second.clone(),
        _ => name,
    };
    let name = name.word();
    let name = host(&name).to_owned();
    machine.effect(
        (Kind::Connect, Harm::Low),
        Target::Host(name.clone()),
        "code:connect",
        "speaks to a host",
    );
    machine.socket = Some(name.clone());
    let taint = network(machine);
    Value::object("socket", vec![Value::text(&name)]).tainted(&taint)
}

fn network(machine: &Machine) -> Taint {
    Taint {
        network: machine.socket.clone(),
        ..Taint::default()
    }
}

impl Machine<'_> {
    /// A shell that starts when a connection is open most likely serves it. `bare` when it is
    /// given no command of its own.
    pub(super) fn shell_on_socket(&mut self, program: &str, bare: bool) {
        let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
        let shell = is_any(SHELLS, name);
        if let (true, true, Some(host)) = (shell, bare, self.socket.clone()) {
            reverse_shell(self, host);
        }
    }
}

fn reverse_shell(machine: &mut Machine, host: String) {
    machine.effect(
        (Kind::Execute, Harm::Critical),
        Target::Host(host),
        "code:socket-shell",
        "lets whoever is at the other end of a connection run commands here",
    );
}

/// The host of an address, all of it when it has no scheme.
pub(super) fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    if rest.starts_with('[') {
        return rest
            .split(']')
            .next()
            .unwrap_or_default()
            .trim_start_matches('[');
    }
    rest.split(':').next().unwrap_or_default()
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "::1" | "0.0.0.0") || host.starts_with("127.")
}
