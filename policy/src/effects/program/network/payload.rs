// SPDX-License-Identifier: Apache-2.0
//! What is sent, and to whom: the harm of data that leaves.

use super::super::super::word::{Arg, Taint, UNKNOWN};
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::Call;
use super::super::files::{content, name};
use super::url::{Near, Url, near};
use crate::list::is_any;

/// A connection to a host; to this machine it is nothing.
pub(super) fn connects(host: &str) -> Effect {
    let local = near(host) == Near::Local;
    let harm = if local { Harm::None } else { Harm::Low };
    let target = Target::Host(host.to_owned());
    let why = "speaks to a host";
    Effect::new(Kind::Connect, harm, target, "network:connect", why)
}

/// What sending something to somebody comes to.
pub(super) fn sending(to: &Url, taint: &Taint) -> Effect {
    let (harm, why) = weigh(to, taint);
    let rule = if taint.secret.is_some() {
        "network:send-secret"
    } else if taint.file.is_some() {
        "network:send-file"
    } else {
        "network:send"
    };
    let kind = if to.near() == Near::Local {
        Kind::Connect
    } else {
        Kind::Send
    };
    Effect::new(kind, harm, Target::Host(to.host.clone()), rule, why)
}

fn weigh(to: &Url, taint: &Taint) -> (Harm, &'static str) {
    let near = to.near();
    if taint.secret.is_some() {
        let harm = match near {
            Near::Local => Harm::Medium,
            Near::Private => Harm::High,
            Near::Public => Harm::Critical,
        };
        return (harm, "a secret would leave the machine");
    }
    match near {
        Near::Local => (Harm::Low, "it stays on this machine"),
        _ if to.collects() => (
            Harm::High,
            "anybody with the address can read what is sent there",
        ),
        Near::Private if taint.file.is_some() => {
            (Harm::Medium, "a file would go to another machine")
        }
        Near::Public if taint.file.is_some() => {
            (Harm::High, "a local file would leave the machine")
        }
        Near::Private => (Harm::Low, "data for a machine of the same network"),
        Near::Public => (Harm::Medium, "data would leave the machine"),
    }
}

/// The taint of a file that is sent as a request's body. One that is named as a message is made
/// to be sent, unless what was written to it says otherwise.
pub(super) fn body_file(call: &Call, path: &str) -> Taint {
    let mut taint = content(call, path).taint;
    let named = name(path).to_ascii_lowercase();
    let made = [
        "payload", "body", "request", "query", "message", "event", "mutation",
    ];
    let area = call.place(path).area;
    let passing = matches!(
        area,
        super::super::super::Area::Workspace
            | super::super::super::Area::Temp
            | super::super::super::Area::Build
            | super::super::super::Area::Null
    );
    if passing && made.iter().any(|word| named.contains(word)) {
        taint.file = None;
    }
    taint
}

/// What something in a request's body comes to. A service's own token may be a part of it, as may
/// any where tokens are given out.
pub(super) fn body(to: &Url, taint: &Taint) -> Effect {
    let mut effect = sending(to, taint);
    let Some(secret) = &taint.secret else {
        return effect;
    };
    let path = to.path.to_ascii_lowercase();
    let login = ["oauth", "token", "login", "auth", "session"];
    let login = login.iter().any(|word| path.contains(word));
    if !to.collects() && meant_for(secret, &to.host) {
        let most = if login || !is_generic(secret) {
            Harm::Medium
        } else {
            Harm::High
        };
        effect.harm = effect.harm.min(most);
    }
    effect
}

/// What a secret in a header, a URL or a user's name comes to. A service's own token is meant for
/// that service.
pub(super) fn credential(to: &Url, arg: &Arg, proper: bool) -> Option<Effect> {
    let secret = arg.taint.secret.as_deref();
    if let Some(secret) = secret {
        let meant = meant_for(secret, &to.host);
        let harm = match (to.near(), meant) {
            (Near::Local, _) => Harm::Low,
            (Near::Private, true) => Harm::Low,
            (Near::Private, false) => Harm::Medium,
            (Near::Public, true) if proper => Harm::Low,
            (Near::Public, true) => Harm::Medium,
            (Near::Public, false) if secret.contains('/') => Harm::Critical,
            (Near::Public, false) => Harm::High,
        };
        let harm = if to.collects() { Harm::Critical } else { harm };
        let target = Target::Host(to.host.clone());
        let why = "a secret would leave the machine in the request";
        return Some(Effect::new(
            Kind::Send,
            harm,
            target,
            "network:send-credential",
            why,
        ));
    }
    if arg.taint.file.is_some() && to.host.trim_matches(UNKNOWN).is_empty() {
        // An address from a list: what is sent is nothing of the file but the address itself.
        return None;
    }
    let plain = arg.taint.file.is_some() || (to.collects() && arg.is_unknown());
    plain.then(|| sending(to, &arg.taint))
}

/// Words of a variable's name that do not say whose it is.
const GENERIC: &str = "token api key access auth secret bearer password passwd pass pat personal user my the id client \
    app oauth jwt session admin service rest http https url header headers authorization private \
    deploy read write bot test dev prod staging x refresh apikey";

/// Names in variables and what they are in hosts.
const ALIASES: &[(&str, &str)] = &[
    ("gh", "github"),
    ("ghcr", "github"),
    ("gl", "gitlab"),
    ("ci", "gitlab"),
    ("do", "digitalocean"),
    ("cf", "cloudflare"),
    ("hf", "huggingface"),
    ("dd", "datadog"),
    ("gcp", "googleapis"),
    ("google", "googleapis"),
    ("gcloud", "googleapis"),
    ("gemini", "googleapis"),
    ("tg", "telegram"),
    ("jira", "atlassian"),
    ("confluence", "atlassian"),
    ("npm", "npmjs"),
    ("aws", "amazonaws"),
    ("azure", "microsoft"),
    ("claude", "anthropic"),
    ("gpt", "openai"),
    ("tf", "terraform"),
    ("tfe", "terraform"),
    ("pd", "pagerduty"),
    ("codecov", "codecov"),
];

/// Whether a variable's name does not say whose secret it holds.
fn is_generic(secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    words.all(|word| word.is_empty() || is_any(GENERIC, word))
}

/// Whether a secret belongs to a host, by their names.
fn meant_for(secret: &str, host: &str) -> bool {
    if secret.contains('/') || secret.starts_with(['~', '.']) {
        return false;
    }
    if is_generic(secret) {
        return true;
    }
    let lower = secret.to_ascii_lowercase();
    let mut words = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty() && !is_any(GENERIC, word));
    words.any(|word| {
        let mut aliases = ALIASES.iter();
        (word.len() > 2 && host.contains(word))
            || aliases.any(|(short, long)| *short == word && host.contains(long))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_meant_for_the_service_it_is_named_after() {
        for (secret, host, wanted) in [
            ("GITHUB_TOKEN", "api.github.com", true),
            ("GH_TOKEN", "api.github.com", true),
            ("TOKEN", "api.example.com", true),
            ("OPENAI_API_KEY", "api.openai.com", true),
            ("OPENAI_API_KEY", "evil.example", false),
            ("AWS_SECRET_ACCESS_KEY", "evil.example", false),
            ("~/.ssh/id_rsa", "github.com", false),
        ] {
            assert_eq!(meant_for(secret, host), wanted, "{secret} {host}");
        }
    }
}
