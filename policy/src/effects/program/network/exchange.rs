// SPDX-License-Identifier: Apache-2.0
//! An [`Exchange`] with hosts, as a client of the web would have it, and what it comes to.

use super::super::super::word::{Arg, Stream, Taint};
use super::super::super::{Effect, Harm, Kind, Span, Target};
use super::super::files::{place, whole, write_to};
use super::super::{Call, Outcome};
use super::payload::{body, connects, credential};
use super::url::{Near, Url};
use crate::list::is_any;

/// Most URLs of one command that are looked at.
const URLS: usize = 64;

/// What a client would send and keep.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange {
    /// Where to.
    pub(super) urls: Vec<Arg>,
    /// `GET` when absent and nothing is sent.
    pub(super) method: Option<String>,
    /// What is sent as a body, each with its taint.
    pub(super) sent: Vec<Arg>,
    /// Headers, users, cookies.
    pub(super) headers: Vec<Arg>,
    /// Files written with what comes back.
    pub(super) outputs: Vec<Arg>,
    /// What comes back is printed.
    pub(super) prints: bool,
    /// A socket instead of the host.
    pub(super) socket: Option<Arg>,
    /// Anybody between could read or change it.
    pub(super) open: Option<Span>,
}

/// Words in a path that say that something ends.
const ENDING: &str = "delete destroy drop shutdown terminate wipe purge truncate _delete_by_query _shutdown deactivate \
    remove kill flushall flushdb stop reboot poweroff revoke";

impl Exchange {
    /// Files named after the URLs.
    pub(super) fn keep_by_name(&mut self) {
        self.prints = false;
        for url in self.urls.iter().take(URLS) {
            let text = Url::read(&url.text).file_name().to_owned();
            self.outputs.push(Arg {
                text,
                ..url.clone()
            });
        }
    }

    /// What it comes to.
    pub(super) fn weigh(&self, call: &Call, outcome: &mut Outcome) {
        let mut came = Taint::default();
        for arg in self.urls.iter().take(URLS) {
            let url = Url::read(&arg.text);
            self.host(call, &url, arg, outcome);
            if url.is_metadata() {
                came.secret = Some(url.host.clone());
            }
            match url.file() {
                Some(path) if url.is_secret_file(call.setting) => {
                    came.secret = Some(path.to_owned());
                }
                Some(path) => came.file = Some(path.to_owned()),
                None => came.network = Some(url.host.clone()),
            }
        }
        if let Some(socket) = &self.socket {
            self.through_socket(call, socket, outcome);
        }
        for output in self.outputs.iter().take(URLS) {
            self.keep(call, output, &came, outcome);
        }
        if self.prints {
            outcome.stdout.taint = came;
        }
    }

    fn changes(&self) -> bool {
        let method = self.method.as_deref().unwrap_or("GET");
        !self.sent.is_empty() || !matches!(method, "GET" | "HEAD" | "OPTIONS")
    }

    fn host(&self, call: &Call, url: &Url, arg: &Arg, outcome: &mut Outcome) {
        if url.is_secret_file(call.setting) {
            let target = call.path(url.file().unwrap_or_default());
            let why = "a secret would be read";
            let rule = "network:read-secret";
            let effect = Effect::new(Kind::TouchSecret, Harm::High, target, rule, why);
            outcome.add(effect, arg);
            return;
        }
        if url.scheme == "file" || self.socket.is_some() {
            return;
        }
        if url.is_metadata() {
            outcome.add(metadata(url), arg);
        }
        let host = Target::Host(url.host.clone());
        outcome.add(connects(&url.host), arg);
        self.carried(url, arg, outcome);
        if let Some(effect) = self.asked(url) {
            outcome.add(effect, arg);
        }
        if let Some(span) = self.open {
            let why = "the host's certificate is not checked";
            let effect = Effect::new(Kind::Connect, Harm::Low, host, "network:insecure", why);
            outcome.effects.push(effect.at(span));
        }
    }

    /// What leaves in the body, the URL and the headers.
    fn carried(&self, url: &Url, arg: &Arg, outcome: &mut Outcome) {
        for sent in &self.sent {
            outcome.add(body(url, &sent.taint), sent);
        }
        if let Some(effect) = credential(url, arg, false) {
            outcome.add(effect, arg);
        }
        for header in &self.headers {
            if let Some(effect) = credential(url, header, is_proper(&header.text)) {
                outcome.add(effect, header);
            }
        }
    }

    /// What the method and the path ask the host to do.
    fn asked(&self, url: &Url) -> Option<Effect> {
        if !self.changes() {
            return None;
        }
        let host = Target::Host(url.host.clone());
        let method = self.method.as_deref().unwrap_or("POST");
        let local = url.near() == Near::Local && !url.manages();
        let mut segments = url.path.split(['/', '?', '-', '=', '&', '.', ':']);
        let path = url.path.to_ascii_lowercase();
        let ends = segments.any(|part| is_any(ENDING, &part.to_ascii_lowercase()))
            || ["_delete_by_query", "/_shutdown", "delete_all"]
                .iter()
                .any(|word| path.contains(word))
            || self.sent.iter().any(|sent| is_ending_query(&sent.text));
        if method == "DELETE" || ends {
            let harm = if local { Harm::Medium } else { Harm::High };
            let why = "the host would delete or stop something";
            return Some(Effect::new(Kind::Delete, harm, host, "network:delete", why));
        }
        let harm = if url.near() == Near::Public {
            Harm::Medium
        } else {
            Harm::Low
        };
        let why = "the host would change something";
        Some(Effect::new(Kind::Send, harm, host, "network:change", why))
    }

    /// The container engine's socket gives the whole machine.
    fn through_socket(&self, call: &Call, socket: &Arg, outcome: &mut Outcome) {
        let engine = [
            "docker",
            "containerd",
            "podman",
            "crio",
            "kubelet",
            "lxd",
            "snapd",
        ];
        let known = engine.iter().any(|name| socket.text.contains(name));
        let harm = match (known, self.changes()) {
            (true, true) => Harm::High,
            (true, false) => Harm::Medium,
            _ => Harm::Low,
        };
        let why = "who speaks to a container engine has the whole machine";
        outcome.add(
            Effect::new(
                Kind::Escalate,
                harm,
                call.path(&socket.text),
                "network:socket",
                why,
            ),
            socket,
        );
    }

    fn keep(&self, call: &Call, output: &Arg, came: &Taint, outcome: &mut Outcome) {
        if matches!(output.text.as_str(), "-" | "/dev/stdout" | "%") {
            return;
        }
        if let Some(effect) = write_to(place(call, &output.text), &output.text, false) {
            outcome.add(effect, output);
        }
        let stream = Stream {
            text: None,
            taint: came.clone(),
        };
        outcome.writes.push((whole(call, &output.text), stream));
    }
}

/// A mutation of GraphQL, a statement of SQL or a query language that takes something away.
fn is_ending_query(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let has = |word: &str| lower.contains(word);
    (has("mutation") && (has("delete") || has("remove") || has("destroy")))
        || has("drop table")
        || has("drop database")
        || has("delete from")
        || has("truncate table")
}

/// Whether a header is where a service expects its own token.
fn is_proper(header: &str) -> bool {
    let Some((name, _)) = header.split_once(':') else {
        return true;
    };
    let name = name.to_ascii_lowercase();
    ["auth", "token", "key", "bearer", "secret"]
        .iter()
        .any(|word| name.contains(word))
        || !name.contains('-') && !name.starts_with('x')
}

/// The cloud's own service on a machine of the cloud.
fn metadata(url: &Url) -> Effect {
    let keys = ["credential", "token", "identity", "user-data", "iam"];
    let known = keys.iter().any(|word| url.path.contains(word));
    let harm = if known { Harm::Critical } else { Harm::High };
    let why = "the cloud's metadata service hands out the machine's credentials";
    let host = Target::Host(url.host.clone());
    Effect::new(Kind::TouchSecret, harm, host, "network:metadata", why)
}
