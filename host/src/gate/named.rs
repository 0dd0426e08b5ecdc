// SPDX-License-Identifier: Apache-2.0
//! What plans named, and what happens beside them: drift.
//!
//! A step names its program, the paths that it changes, the hosts that it speaks to, and whatever
//! else it acts on. What its process tree does inside of that is part of it. What is read is no
//! drift, nor is what changes nothing; nor a routine change where a task may write anyway, which
//! the gate does not even see when a program makes it without starting another.
//!
//! What a program starts by itself cannot be told from what an agent starts beside it: both are
//! processes of one root action. So where a step is one that starts others (a build, a script that
//! could not be read, a program nobody knows), programs and routine changes of what they keep are
//! no drift any more; hosts and paths beyond what was named still are. Nor are routine changes of
//! what a program keeps that was named: git's of its own repository, after a commit. And where a host is named,
//! addresses are no drift: which of them is its own is known in the guest alone.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::net::IpAddr;

use policy::action::{Act, Action};
use policy::approval::{Reach, Scope};
use policy::effects::place::{Setting, below};
use policy::effects::{Analysis, Harm, Kind, Target};
use policy::list::is_any;

use super::intent::base;

/// Effects and programs that are kept of one root action. What does not fit was not named.
const KEPT: usize = 10_000;

/// Programs whose work is to start others.
const STARTERS: &str = "make gmake ninja cmake ctest meson autoreconf cargo go npm npx yarn pnpm \
    node deno bun python python3 pip pip3 pytest tox nox uv poetry ruby bundle rake gem perl php \
    composer mvn gradle gradlew sbt bazel dotnet sh bash dash zsh ksh ash xargs parallel find";

/// Folders, beside home and workspace, in which a task may write without asking.
const FREE: [&str; 3] = ["/tmp", "/var/tmp", "/dev"];

/// What the plans of a root action named.
#[derive(Clone, Debug, Default)]
pub struct Named {
    programs: BTreeSet<String>,
    reach: BTreeSet<Reach>,
    /// A step starts programs that nobody can foretell.
    starts: bool,
    /// A host is named by its name.
    hosts: bool,
}

impl Named {
    /// Adds what a step names.
    pub fn add(&mut self, action: &Action, analysis: &Analysis, setting: &Setting) {
        let scope = Scope::of(analysis, setting, action.cwd.as_deref());
        let programs = programs(action, analysis);
        self.starts |= !scope.is_whole();
        self.starts |= programs.iter().any(|word| {
            let name = base(word);
            word.contains('/') || is_any(STARTERS, name)
        });
        for word in programs {
            if self.programs.len() < KEPT {
                self.programs.insert(word);
            }
        }
        for reach in scope.reach {
            self.starts |= matches!(reach.kind, Kind::Unknown | Kind::Execute);
            if let Target::Host(name) = &reach.target {
                self.hosts |= name.parse::<IpAddr>().is_err();
            }
            if self.reach.len() < KEPT {
                self.reach.insert(reach);
            }
        }
    }

    /// What of an action was never named, in words.
    #[must_use]
    pub fn drift(&self, action: &Action, analysis: &Analysis, setting: &Setting) -> Option<String> {
        let scope = Scope::of(analysis, setting, action.cwd.as_deref());
        let unread = !scope.is_whole();
        let changes = |reach: &&Reach| reach.kind != Kind::Read && reach.harm > Harm::None;
        let mut seen = scope.reach.iter().filter(changes).peekable();
        if unread || seen.peek().is_some() {
            let words = programs(action, analysis);
            let unknown = words.into_iter().find(|word| !self.program(word));
            if unread && let Some(word) = &unknown {
                return Some(format!("program {word}"));
            }
            return seen.find_map(|seen| self.beside(seen, unknown.as_deref(), setting));
        }
        None
    }

    fn program(&self, word: &str) -> bool {
        if self.starts || self.programs.contains(word) {
            return true;
        }
        // By its name alone it is the image's own: a path is another file than that.
        let same = |known: &String| known.contains('/') || !word.contains('/');
        let mut known = self.programs.iter().filter(|known| same(known));
        known.any(|known| base(known) == base(word))
    }

    /// What an effect is beside all that was named; `program` is one that was not.
    fn beside(&self, seen: &Reach, program: Option<&str>, setting: &Setting) -> Option<String> {
        let mut changed = self.reach.iter().filter(|named| named.kind != Kind::Read);
        let same = changed.clone().any(|named| named.target == seen.target);
        match &seen.target {
            Target::Path(path, _) => {
                let above = |named: &Reach| match &named.target {
                    Target::Path(folder, _) => {
                        let folder = folder.strip_suffix("/*").unwrap_or(folder);
                        !named.open && below(path, folder).is_some()
                    }
                    _ => false,
                };
                let routine = seen.harm <= Harm::Low && !seen.open && is_free(path, setting);
                let named = same || routine || (!seen.open && changed.any(above));
                (!named).then(|| format!("path {path}"))
            }
            Target::Host(name) => {
                let host = host(name);
                let is_address = host.parse::<IpAddr>().is_ok();
                let named = (is_address && self.hosts)
                    || self.reach.iter().any(|named| match &named.target {
                        Target::Host(known) => self::host(known) == host,
                        _ => false,
                    });
                (!named).then(|| format!("host {host}"))
            }
            Target::Program(name) => {
                let named = same || self.program(name);
                (!named).then(|| format!("program {name}"))
            }
            other => {
                // A program that was named may do what it routinely does with what is its own.
                let routine = seen.harm <= Harm::Low && (self.starts || program.is_none());
                let named = same || routine;
                (!named).then(|| match program {
                    Some(word) => format!("program {word}"),
                    None => what(other),
                })
            }
        }
    }
}

fn what(target: &Target) -> String {
    match target {
        Target::Resource(kind, name) => format!("{kind} {name}").trim_end().to_owned(),
        Target::Package(name) => format!("package {name}"),
        Target::System(name) => format!("system {name}"),
        _ => "an effect on nothing in particular".to_owned(),
    }
}

/// A host without the port.
fn host(name: &str) -> &str {
    let name = name.trim_start_matches('[');
    match name.split_once(']') {
        Some((address, _)) => address,
        None => match name.split_once(':') {
            Some((host, port)) if !port.contains(':') => host,
            _ => name,
        },
    }
}

fn is_free(path: &str, setting: &Setting) -> bool {
    let own = [setting.workspace.as_str(), setting.home.as_str()];
    let mut all = FREE.into_iter().chain(own);
    all.any(|folder| below(path, folder).is_some())
}

/// The programs of an action: the first word of each of its commands.
fn programs(action: &Action, analysis: &Analysis) -> Vec<String> {
    let own = match &action.act {
        Act::Exec(words) => words.first().cloned(),
        _ => None,
    };
    let commands = analysis.commands.iter();
    let first = commands.filter_map(|line| {
        let word = line.split_whitespace().next()?;
        Some(word.trim_matches(['\'', '"', '\\']).to_owned())
    });
    own.into_iter().chain(first).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::effects::intent;
    use policy::effects::shell::Ground;

    fn analysed(action: &Action) -> Analysis {
        let setting = Setting::default();
        let ground = Ground {
            setting: &setting,
            cwd: Some(&setting.workspace),
            files: &policy::effects::program::NoFiles,
        };
        intent::of(action, ground)
    }

    fn named(lines: &[&str]) -> Named {
        let mut named = Named::default();
        for line in lines {
            let action = Action::shell(line);
            named.add(&action, &analysed(&action), &Setting::default());
        }
        named
    }

    fn drift(named: &Named, line: &str) -> Option<String> {
        let words = line.split_whitespace().map(str::to_owned).collect();
        let action = Action::of(Act::Exec(words));
        named.drift(&action, &analysed(&action), &Setting::default())
    }

    #[test]
    fn programs_paths_and_hosts_that_no_step_named_are_drift() {
        let plan = named(&["cp a b", "rm -rf build", "curl https://example.com/x"]);
        for line in [
            "cp a b",
            "cp c d",
            "ls src",
            "cat README.md",
            "rm -rf build/x",
            "curl https://example.com/other",
            "curl https://1.2.3.4/",
            "mkdir -p build",
        ] {
            assert_eq!(drift(&plan, line), None, "{line}");
        }
        for (line, wanted) in [
            ("frobnicate x", "program frobnicate"),
            ("python3 x.py", "program python3"),
            ("/workspace/cp x", "program /workspace/cp"),
            ("touch /etc/x", "path /etc/x"),
            ("rm -rf src", "path /workspace/src"),
            ("curl https://evil.example/", "host evil.example"),
            ("git commit -m x", "program git"),
        ] {
            assert_eq!(drift(&plan, line).as_deref(), Some(wanted), "{line}");
        }
    }

    #[test]
    fn what_a_named_program_routinely_keeps_in_order_is_its_own() {
        let plan = named(&["git commit -m x"]);
        for line in ["git maintenance run --auto --quiet", "git tag v1"] {
            assert_eq!(drift(&plan, line), None, "{line}");
        }
        let push = drift(&plan, "git push origin main");
        assert_eq!(push.as_deref(), Some("git main"));
    }

    #[test]
    fn what_a_build_starts_is_its_own_and_where_it_reaches_is_not() {
        let plan = named(&["make"]);
        for line in ["frobnicate x", "python3 gen.py", "cp a b", "cargo build"] {
            assert_eq!(drift(&plan, line), None, "{line}");
        }
        for (line, wanted) in [
            ("curl https://example.com/", "host example.com"),
            ("curl https://1.2.3.4/", "host 1.2.3.4"),
            ("touch /etc/x", "path /etc/x"),
            ("rm -rf src", "path /workspace/src"),
        ] {
            assert_eq!(drift(&plan, line).as_deref(), Some(wanted), "{line}");
        }
    }
}
