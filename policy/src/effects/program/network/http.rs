// SPDX-License-Identifier: Apache-2.0
//! `curl` and `wget`: an [`Exchange`] is read from the words, then weighed.

use super::super::super::word::{Arg, Stream};
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::system::rows::{exactly, scan};
use super::super::{Call, Outcome, Run};
use super::exchange::Exchange;
use super::payload::body_file;
use super::url::{Near, Url};

/// The commands of this file.
pub(super) fn run(call: &Call) -> Outcome {
    if call.name.starts_with("wget") {
        wget(call)
    } else {
        curl(call)
    }
}

const CURL: &str = "-A -b -c -C -d -D -e -E -F -H -K -m -o -P -Q -r -t -T -u -U -w -x -X -y -Y -z --user-agent --cookie \
    --cookie-jar --continue-at --data --data-ascii --data-binary --data-raw --data-urlencode --json \
    --dump-header --referer --cert --cert-type --key --key-type --cacert --capath --form --form-string \
    --header --config --max-time --connect-timeout --output --output-dir --quote --range \
    --telnet-option --upload-file --user --proxy-user --write-out --proxy --request --time-cond \
    --retry --retry-delay --retry-max-time --resolve --connect-to --interface --url --url-query \
    --unix-socket --abstract-unix-socket --socks5 --socks5-hostname --socks4 --socks4a --limit-rate \
    --max-redirs --max-filesize --ciphers --tls-max --noproxy --proto --proto-default --proto-redir \
    --netrc-file --oauth2-bearer --pass --pinnedpubkey --postquote --prequote --preproxy \
    --proxy-header --pubkey --request-target --stderr --trace --trace-ascii --dns-servers --doh-url \
    --etag-save --etag-compare --create-file-mode --local-port --mail-from --mail-rcpt --aws-sigv4 \
    --variable --speed-limit --speed-time --keepalive-time --tls13-ciphers --hostpubmd5 --krb \
    --login-options --ftp-port --happy-eyeballs-timeout-ms --parallel-max --rate --crlfile --engine";

fn curl(call: &Call) -> Outcome {
    let options = scan(call, CURL);
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-h", "--help", "-V", "--version", "-M", "--manual"]) {
        return outcome;
    }
    let mut exchange = Exchange {
        urls: options.operands.iter().map(|arg| (*arg).clone()).collect(),
        prints: true,
        ..Exchange::default()
    };
    let mut folder = String::new();
    for (name, arg, value) in &options.options {
        let arg = with(*arg, value);
        match name.as_str() {
            "--output-dir" => folder = format!("{value}/"),
            "-K" | "--config" => unread(&arg, &mut outcome),
            "-x" | "--proxy" | "--preproxy" | "--socks5" | "--socks5-hostname" | "--socks4" => {
                outcome.effects.push(through(&arg));
            }
            "-Q" | "--quote" | "--postquote" | "--prequote" => {
                exchange.method = quoted(value).or(exchange.method);
            }
            _ => curl_option(call, name, arg, &mut exchange),
        }
    }
    if options.has(&["-O", "--remote-name", "--remote-name-all"]) {
        exchange.keep_by_name();
    }
    for output in &mut exchange.outputs {
        if !output.text.starts_with('/') {
            output.text.insert_str(0, &folder);
        }
    }
    if options.has(&["-I", "--head"]) && exchange.method.is_none() && exchange.sent.is_empty() {
        exchange.method = Some("HEAD".to_owned());
    }
    exchange.weigh(call, &mut outcome);
    outcome
}

/// An option's value as a word of its own.
pub(super) fn with(arg: Option<&Arg>, value: &str) -> Arg {
    Arg {
        text: value.to_owned(),
        ..arg.cloned().unwrap_or_default()
    }
}

fn curl_option(call: &Call, name: &str, arg: Arg, exchange: &mut Exchange) {
    match name {
        "-X" | "--request" => exchange.method = Some(arg.text.to_ascii_uppercase()),
        "--url" => exchange.urls.push(arg),
        "-d" | "--data" | "--data-ascii" | "--data-binary" | "--json" => {
            exchange.sent.push(from_file(call, arg, "@"));
        }
        "--data-urlencode" | "--url-query" => {
            let inside = arg
                .text
                .find('@')
                .filter(|at| !arg.text.get(..*at).unwrap_or_default().contains('='));
            let at = inside.and_then(|at| arg.text.get(at..)).map(str::to_owned);
            let arg = Arg {
                text: at.unwrap_or(arg.text),
                ..arg
            };
            exchange.sent.push(from_file(call, arg, "@"));
        }
        "--data-raw" | "--form-string" => exchange.sent.push(arg),
        "-F" | "--form" => {
            let value = arg.text.split_once('=').map_or("", |(_, value)| value);
            let value = value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim_matches('"')
                .to_owned();
            exchange
                .sent
                .push(from_file(call, Arg { text: value, ..arg }, "@<"));
        }
        "-T" | "--upload-file" => {
            exchange.method.get_or_insert_with(|| "PUT".to_owned());
            let text = format!("@{}", arg.text);
            exchange
                .sent
                .push(from_file(call, Arg { text, ..arg }, "@"));
        }
        "-H" | "--header" if arg.text.starts_with('@') => {
            exchange.sent.push(from_file(call, arg, "@"));
        }
        "-H" | "--header" | "-u" | "--user" | "-b" | "--cookie" | "--oauth2-bearer" | "-A"
        | "--user-agent" | "-e" | "--referer" | "--proxy-header" => exchange.headers.push(arg),
        "-o" | "--output" | "-c" | "--cookie-jar" | "-D" | "--dump-header" | "--trace"
        | "--trace-ascii" | "--stderr" | "--etag-save" => {
            exchange.prints &= !matches!(name, "-o" | "--output") || arg.text == "-";
            exchange.outputs.push(arg);
        }
        "--unix-socket" | "--abstract-unix-socket" => exchange.socket = Some(arg),
        "-k" | "--insecure" => exchange.open = Some(arg.span),
        _ => {}
    }
}

/// `@file`, `@-`, or the value itself.
fn from_file(call: &Call, mut arg: Arg, marks: &str) -> Arg {
    let Some(path) = arg.text.strip_prefix(|mark| marks.contains(mark)) else {
        return arg;
    };
    let taint = match path {
        "-" | "." | "/dev/stdin" => {
            let text = call.stdin.text.clone().unwrap_or_default();
            let taint = call.stdin.taint.clone();
            arg.text = text;
            arg.taint.join(&taint);
            return arg;
        }
        path => body_file(call, path),
    };
    arg.taint.join(&taint);
    arg
}

fn unread(arg: &Arg, outcome: &mut Outcome) {
    let target = Target::Program(arg.text.clone());
    let why = "a file of options decides what is sent where";
    outcome.add(
        Effect::new(Kind::Unknown, Harm::Medium, target, "network:config", why),
        arg,
    );
}

fn through(arg: &Arg) -> Effect {
    let url = Url::read(&arg.text);
    let harm = if url.near() == Near::Public {
        Harm::Medium
    } else {
        Harm::Low
    };
    let why = "another machine would see and could change it";
    Effect::new(
        Kind::Connect,
        harm,
        Target::Host(url.host),
        "network:proxy",
        why,
    )
    .at(arg.span)
}

/// A command to an FTP server that takes something away.
fn quoted(value: &str) -> Option<String> {
    let first = value
        .trim_start_matches(['-', '+', '*'])
        .split_whitespace()
        .next()?;
    let removes = ["dele", "rmd", "rm", "rmdir"]
        .iter()
        .any(|verb| first.eq_ignore_ascii_case(verb));
    removes.then(|| "DELETE".to_owned())
}

const WGET: &str = "-O --output-document -P --directory-prefix -o --output-file -a --append-output -i --input-file -e \
    --execute -t --tries -T --timeout -w --wait -Q --quota -U --user-agent --header --post-data \
    --post-file --body-data --body-file --method --user --password --http-user --http-password \
    --ftp-user --ftp-password --limit-rate -A --accept -R --reject -D --domains -I -X -l --level -B \
    --base --referer --load-cookies --save-cookies --certificate --private-key --ca-certificate \
    --use-askpass --proxy-user --proxy-password --max-redirect --cut-dirs --default-page --prefer-family \
    --warc-file --random-file --egd-file --rejected-log";

fn wget(call: &Call) -> Outcome {
    let options = scan(call, WGET);
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-h", "--help", "-V", "--version"]) {
        return outcome;
    }
    let mut exchange = Exchange {
        urls: options.operands.iter().map(|arg| (*arg).clone()).collect(),
        ..Exchange::default()
    };
    for (name, arg, value) in &options.options {
        let arg = with(*arg, value);
        match name.as_str() {
            "-i" | "--input-file" => {
                let target = Target::Host(value.clone());
                let why = "speaks to the hosts that a file names";
                let rule = "network:connect";
                let effect = Effect::new(Kind::Connect, Harm::Low, target, rule, why);
                outcome.add(effect, &arg);
            }
            "--use-askpass" => asks(&arg, value, &mut outcome),
            "-e" | "--execute" => setting(&arg, value, &mut outcome),
            _ => wget_option(call, name, arg, &mut exchange),
        }
    }
    let named = options.value(&["-O", "--output-document"]);
    if named.is_none() && !exactly(&options, "--spider --delete-after") {
        let folder = options.value(&["-P", "--directory-prefix"]);
        for url in &mut exchange.urls {
            let name = Url::read(&url.text).file_name().to_owned();
            let text = folder.map_or_else(|| name.clone(), |folder| format!("{folder}/{name}"));
            exchange.outputs.push(Arg {
                text,
                ..url.clone()
            });
        }
    }
    exchange.weigh(call, &mut outcome);
    outcome
}

fn wget_option(call: &Call, name: &str, arg: Arg, exchange: &mut Exchange) {
    match name {
        "-O" | "--output-document" => {
            exchange.prints = matches!(arg.text.as_str(), "-" | "/dev/stdout");
            exchange.outputs.push(arg);
        }
        "-o" | "--output-file" | "--save-cookies" => exchange.outputs.push(arg),
        "--post-data" | "--body-data" => exchange.sent.push(arg),
        "--post-file" | "--body-file" => {
            let text = format!("@{}", arg.text);
            let sent = from_file(call, Arg { text, ..arg }, "@");
            exchange.sent.push(sent);
        }
        "--method" => exchange.method = Some(arg.text.to_ascii_uppercase()),
        "--header" | "--user" | "--password" | "--http-password" | "-U" | "--user-agent"
        | "--referer" => exchange.headers.push(arg),
        "--no-check-certificate" => exchange.open = Some(arg.span),
        _ => {}
    }
}

/// `-e name=value`, as in `.wgetrc`.
fn setting(arg: &Arg, value: &str, outcome: &mut Outcome) {
    let (key, value) = value.split_once('=').unwrap_or((value, ""));
    let (key, value) = (key.trim(), value.trim());
    if key == "use_askpass" {
        asks(arg, value, outcome);
    } else if key.ends_with("_proxy") {
        outcome.effects.push(through(&with(Some(arg), value)));
    }
}

/// `wget --use-askpass=program` runs the program.
fn asks(arg: &Arg, program: &str, outcome: &mut Outcome) {
    let target = Target::Program(program.to_owned());
    let why = "the client would run a program";
    outcome.add(
        Effect::new(Kind::Execute, Harm::High, target, "network:runs", why),
        arg,
    );
    outcome.runs.push(Run::Command {
        words: vec![with(Some(arg), program)],
        stdin: Stream::default(),
    });
}
