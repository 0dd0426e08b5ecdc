// SPDX-License-Identifier: Apache-2.0
//! What an effect reaches besides files: hosts, things elsewhere, the machine itself.

use super::measure::{Meter, put};
use super::summary::plain;
use super::{Resource, Review};
use crate::effects::{Effect, Harm, Kind, Target};
use crate::list::is_any;

/// Programs that run their command on another machine.
const REMOTE: &str = "ssh slogin mosh rsh pdsh ansible";

/// Programs that run their command in a container when their first words have `exec` or `run`.
const CONTAINERS: &str = "docker podman kubectl oc nerdctl crictl lxc vagrant";

/// Things that have a life of their own on this machine.
const LOCAL: &str = "docker podman nerdctl crictl lxc vagrant container compose sqlite sqlite3";

/// Tools that change what is here, in the workspace or its history, unless they publish it.
const HERE: &str = "git cargo npm pnpm yarn bun pip pipx uv poetry conda go gem bundle rake maven mvn gradle \
    dotnet nuget composer mix hex cmake make jj hg svn deno rustup nix brew apt";

/// Stands for a host whose name nobody knows yet.
const SOME_HOST: &str = "a host known only when it runs";

/// Most things elsewhere that are named.
const RESOURCES: usize = 100;

/// Where an effect happens if that is another machine or a container: paths there are not ours.
pub(super) fn elsewhere(effect: &Effect) -> Option<&str> {
    effect.via.iter().map(String::as_str).find(|via| {
        let mut words = via.split_ascii_whitespace();
        let program = words.next().unwrap_or_default();
        let program = program.rsplit('/').next().unwrap_or_default();
        let runs = words
            .take(4)
            .any(|word| matches!(word, "exec" | "run" | "ssh"));
        is_any(REMOTE, program) || (is_any(CONTAINERS, program) && runs)
    })
}

/// Whether a tool's effect stays on this machine.
fn is_here(effect: &Effect, tool: &str) -> bool {
    let goes = matches!(
        effect.kind,
        Kind::Publish | Kind::Send | Kind::Connect | Kind::Escalate
    );
    is_any(HERE, tool)
        && !goes
        && !["push", "remote", "publish"]
            .iter()
            .any(|word| effect.rule.contains(word))
}

impl Meter<'_> {
    /// Notes what an effect reaches besides files.
    pub(super) fn reach(&mut self, effect: &Effect) {
        self.kind(effect);
        match &effect.target {
            Target::Host(host) => {
                let set = &mut self.blast.hosts;
                put(set, plain(host), &mut self.blast.partial);
                self.uncontained = true;
            }
            Target::Resource(kind, _) if is_here(effect, kind) => {}
            Target::Resource(kind, name) => self.resource(effect.kind, kind, name),
            Target::Package(name) => {
                let set = &mut self.blast.packages;
                put(set, plain(name), &mut self.blast.partial);
            }
            Target::System(name) if effect.kind != Kind::Read => {
                let set = &mut self.blast.systems;
                put(set, plain(name), &mut self.blast.partial);
                self.uncontained |= self.workspace.review() != Review::Machine;
            }
            Target::Path(path, _) => {
                if let Some(via) = elsewhere(effect) {
                    self.resource(effect.kind, via, path);
                }
            }
            Target::System(_) | Target::Program(_) | Target::Nothing => {}
        }
    }

    fn kind(&mut self, effect: &Effect) {
        match effect.kind {
            Kind::Send | Kind::Publish => self.send(&effect.target),
            Kind::Connect | Kind::Install => self.uncontained = true,
            Kind::Execute if effect.harm < Harm::Medium => self.blast.unseen_code = true,
            Kind::Execute | Kind::Unknown => self.unseen_code(),
            // Of a path, its place decides.
            Kind::Escalate | Kind::Persist | Kind::Disrupt => {
                let path = matches!(effect.target, Target::Path(..));
                self.uncontained |= !path && self.workspace.review() != Review::Machine;
            }
            Kind::TouchSecret => self.secret(&effect.target),
            Kind::Read | Kind::Write | Kind::Delete | Kind::Obfuscate => {}
        }
    }

    /// Code that nobody read may do anything, over the network too.
    pub(super) fn unseen_code(&mut self) {
        self.blast.unseen_code = true;
        self.uncontained = true;
    }

    fn send(&mut self, target: &Target) {
        let host = match target {
            Target::Host(host) => plain(host),
            Target::Resource(kind, name) => plain(&format!("{kind} {name}")),
            _ => SOME_HOST.to_owned(),
        };
        put(&mut self.blast.receivers, host, &mut self.blast.partial);
        self.blast.leaves_machine = true;
        self.uncontained = true;
    }

    /// A credential that is no file: an entry of a vault, a variable.
    fn secret(&mut self, target: &Target) {
        let name = match target {
            Target::Path(..) | Target::Nothing => return,
            Target::Resource(kind, name) => format!("{kind} {name}"),
            Target::Host(name)
            | Target::Package(name)
            | Target::Program(name)
            | Target::System(name) => name.clone(),
        };
        let set = &mut self.blast.credentials;
        put(set, plain(&name), &mut self.blast.partial);
    }

    fn resource(&mut self, does: Kind, kind: &str, name: &str) {
        self.uncontained = true;
        if matches!(does, Kind::Read | Kind::Connect) {
            return;
        }
        let program = kind.split_ascii_whitespace().next().unwrap_or_default();
        self.blast.leaves_machine |= !is_any(LOCAL, program);
        let resource = Resource {
            kind: plain(kind),
            name: plain(name),
            does,
        };
        let set = &mut self.blast.resources;
        if set.len() < RESOURCES || set.contains(&resource) {
            set.insert(resource);
        } else {
            self.blast.partial = true;
        }
    }
}
