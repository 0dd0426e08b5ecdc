// SPDX-License-Identifier: Apache-2.0
//! Other clients of the web and of file servers: `http`, `aria2c`, `lftp`, `lynx`, `websocat`.

use super::super::super::word::{Arg, Stream};
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::options::Options;
use super::super::system::rows::scan;
use super::super::{Call, Outcome, Run};
use super::exchange::Exchange;
use super::http::with;
use super::payload::{body_file, sending};
use super::url::Url;
use crate::list::is_any;

/// The commands of this file.
pub(super) fn run(call: &Call) -> Outcome {
    match call.name {
        "http" | "https" | "xh" | "xhs" | "httpie" => httpie(call),
        "aria2c" | "axel" | "fetch" | "ncftpget" => download(call),
        "ftp" | "lftp" | "tftp" | "ncftpput" => file_server(call),
        "websocat" | "wscat" => socket(call),
        _ => reader(call),
    }
}

const METHODS: &str = "GET POST PUT PATCH DELETE HEAD OPTIONS";

const HTTPIE: &str = "-o --output -a --auth -A --auth-type --session -p --print -s --style --verify --proxy \
    --timeout --raw --cert --cert-key --boundary --max-redirects --pretty --ssl --bearer --unix-socket";

/// `http POST host/path name=value file@path Header:value`.
fn httpie(call: &Call) -> Outcome {
    let options = scan(call, HTTPIE);
    let mut outcome = Outcome::default();
    if options.has_exactly(&["--help", "--version", "--offline"]) {
        return outcome;
    }
    let mut operands = options.operands.iter().copied();
    let mut exchange = Exchange {
        prints: !options.has(&["-d", "--download"]),
        ..Exchange::default()
    };
    let mut url = operands.next();
    if let Some(first) = url {
        let upper = first.text.to_ascii_uppercase();
        if is_any(METHODS, &upper) {
            exchange.method = Some(upper);
            url = operands.next();
        }
    }
    let Some(mut url) = url.cloned() else {
        return outcome;
    };
    if url.text.starts_with(':') {
        url.text.insert_str(0, "localhost");
    }
    exchange.urls.push(url);
    for item in operands {
        item_of(call, item, &mut exchange);
    }
    settings(&options, &mut exchange);
    let taint = &call.stdin.taint;
    if taint.secret.is_some() || taint.file.is_some() {
        exchange.sent.push(Arg {
            taint: taint.clone(),
            ..Arg::default()
        });
    }
    exchange.weigh(call, &mut outcome);
    outcome
}

fn settings(options: &Options, exchange: &mut Exchange) {
    for (name, arg, value) in &options.options {
        let arg = with(*arg, value);
        match name.as_str() {
            "-o" | "--output" => {
                exchange.prints = false;
                exchange.outputs.push(arg);
            }
            "-a" | "--auth" | "--bearer" => exchange.headers.push(arg),
            "--raw" => exchange.sent.push(arg),
            _ => {}
        }
    }
}

fn item_of(call: &Call, item: &Arg, exchange: &mut Exchange) {
    let text = item.text.as_str();
    let Some(at) = text.find(['=', '@', ':']) else {
        return;
    };
    let rest = text.get(at..).unwrap_or_default();
    let file = ["=@", ":=@", "@"]
        .iter()
        .find_map(|mark| rest.strip_prefix(mark));
    if let Some(path) = file {
        let mut arg = item.clone();
        arg.taint.join(&body_file(call, path));
        exchange.sent.push(arg);
    } else if rest.starts_with("==") {
        exchange.headers.push(item.clone());
    } else if rest.starts_with('=') || rest.starts_with(":=") {
        exchange.sent.push(item.clone());
    } else {
        exchange.headers.push(item.clone());
    }
}

fn download(call: &Call) -> Outcome {
    let valued = "-o -d --out --dir -i -x -s -j --on-download-complete --on-download-start \
        --on-download-error --on-bt-download-complete --on-download-stop --on-download-pause \
        -n --output --header";
    let options = scan(call, valued);
    let mut outcome = Outcome::default();
    let mut exchange = Exchange {
        urls: options.operands.iter().map(|arg| (*arg).clone()).collect(),
        ..Exchange::default()
    };
    exchange.keep_by_name();
    let folder = options
        .value(&["-d", "--dir"])
        .filter(|_| call.name == "aria2c");
    for (name, arg, value) in &options.options {
        let arg = with(*arg, value);
        match name.as_str() {
            "-o" | "--out" | "--output" => exchange.outputs = vec![arg],
            "--header" => exchange.headers.push(arg),
            name if name.starts_with("--on-") => runs(&arg, &mut outcome),
            _ => {}
        }
    }
    if let Some(folder) = folder {
        for output in &mut exchange.outputs {
            output.text.insert_str(0, &format!("{folder}/"));
        }
    }
    exchange.weigh(call, &mut outcome);
    outcome
}

fn runs(arg: &Arg, outcome: &mut Outcome) {
    let target = Target::Program(arg.text.clone());
    let why = "the client would run a program";
    outcome.add(
        Effect::new(Kind::Execute, Harm::High, target, "network:runs", why),
        arg,
    );
    outcome.runs.push(Run::Shell {
        text: arg.clone(),
        arguments: Vec::new(),
        stdin: Stream::default(),
        host: None,
    });
}

/// Browsers in a terminal, and `whois`.
fn reader(call: &Call) -> Outcome {
    let options = scan(call, "-cfg -h -p -post_data");
    let mut outcome = Outcome::default();
    let exchange = Exchange {
        urls: options.operands.iter().map(|arg| (*arg).clone()).collect(),
        prints: true,
        ..Exchange::default()
    };
    exchange.weigh(call, &mut outcome);
    outcome
}

/// What a script for a client of a file server does.
pub(super) fn script_sends(script: &str) -> bool {
    let mut commands = script.split(['\n', ';']);
    commands.any(|command| {
        let mut words = command.split_whitespace();
        match words.next() {
            Some("put" | "mput" | "reput" | "send" | "append") => true,
            Some("mirror") => command.contains("-R") || command.contains("--reverse"),
            _ => false,
        }
    })
}

/// Whether a script takes something away on the server.
pub(super) fn script_deletes(script: &str) -> bool {
    let mut commands = script.split(['\n', ';']);
    commands.any(|command| {
        let word = command.trim_start().trim_start_matches('-');
        let word = word.split_whitespace().next();
        matches!(
            word,
            Some("rm" | "rmdir" | "delete" | "mdelete" | "mrm" | "glob")
        )
    })
}

fn file_server(call: &Call) -> Outcome {
    let options = scan(call, "-u -p -P -c -e -f --user --password -V");
    let mut outcome = Outcome::default();
    let host = options.operands.first().map(|arg| (*arg).clone());
    let host = host.unwrap_or_default();
    let url = Url::read(&host.text);
    let script = match options.value(&["-c", "-e"]) {
        Some(script) if call.name != "ftp" => script.to_owned(),
        _ => call.stdin.text.clone().unwrap_or_default(),
    };
    let mut add = |kind, harm, rule: &'static str, why: &'static str| {
        let target = Target::Host(url.host.clone());
        outcome.add(Effect::new(kind, harm, target, rule, why), &host);
    };
    add(
        Kind::Connect,
        Harm::Low,
        "network:connect",
        "speaks to a host",
    );
    if script_sends(&script) || call.name == "ncftpput" || options.operand(1) == Some("put") {
        let why = "a local file would leave the machine";
        add(Kind::Send, Harm::High, "network:send-file", why);
    }
    if script_deletes(&script) {
        let why = "files on the server would be lost";
        add(Kind::Delete, Harm::High, "network:delete", why);
    }
    let commands = script.split(['\n', ';']);
    let shells = commands.filter_map(|line| line.trim().strip_prefix('!'));
    for line in shells.take(16) {
        outcome.runs.push(Run::Shell {
            text: Arg::known(line),
            arguments: Vec::new(),
            stdin: Stream::default(),
            host: None,
        });
    }
    outcome.stdout.taint.network = Some(url.host);
    outcome
}

fn socket(call: &Call) -> Outcome {
    let options = scan(call, "-c --connect -H --header -x --execute -l --listen");
    let mut outcome = Outcome::default();
    let url = options.value(&["-c", "--connect"]).or(options.operand(0));
    let Some(url) = url.map(Url::read) else {
        return outcome;
    };
    if call.args.iter().any(|arg| {
        arg.text.contains("exec:") || arg.text.contains("sh-c:") || arg.text.contains("cmd:")
    }) {
        let target = Target::Host(url.host.clone());
        let why = "whoever is at the other end would command the machine";
        outcome.effects.push(Effect::new(
            Kind::Escalate,
            Harm::Critical,
            target,
            "network:remote-shell",
            why,
        ));
    }
    let effect = sending(&url, &call.stdin.taint);
    let span = call.args.first().map(|arg| arg.span).unwrap_or_default();
    outcome.effects.push(effect.at(span));
    outcome.stdout.taint.network = Some(url.host);
    outcome
}
