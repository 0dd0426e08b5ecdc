// SPDX-License-Identifier: Apache-2.0
//! What a text announces against what the steps do.

use std::collections::BTreeSet;

use super::{Announced, span};
use crate::effects::word::UNKNOWN;
use crate::effects::{Analysis, Effect, Finding, Hard, Harm, Kind, Span, Target};
use crate::list::is_any;

/// Most findings that a comparison comes to.
const FINDINGS: usize = 64;

/// Most hosts that a plan names without being asked why.
const HOSTS: usize = 10;

/// Kinds that have to be mentioned, how bad they must be, beginnings of words that mention them,
/// and what they are called.
const MENTIONED: &[(Kind, Harm, &str, &str)] = &[
    (
        Kind::Delete,
        Harm::Medium,
        "delet remov rm clean wip purg drop destroy prun eras reset teardown tear uninstall terminat clear discard rid undo \
         revert trash evict flush truncat force rewrite",
        "deletes",
    ),
    (
        Kind::Publish,
        Harm::Medium,
        "push publish releas deploy upload merg ship tag rollout roll apply submit open share announce pr pull",
        "publishes",
    ),
    (
        Kind::TouchSecret,
        Harm::Medium,
        "secret token credential key password passphrase login auth ssh cert vault env kubeconfig sign config netrc",
        "reads or changes secrets of",
    ),
    (
        Kind::Escalate,
        Harm::High,
        "sudo root admin privileg permission chmod chown setuid right access own group user",
        "gains or gives rights over",
    ),
    (
        Kind::Persist,
        Harm::High,
        "cron servic startup start-up boot daemon profile bashrc zshrc hook schedul autostart systemd launch login alias shell",
        "stays or comes back by",
    ),
    (
        Kind::Disrupt,
        Harm::High,
        "stop restart kill shut reboot disabl drain scal downtime halt terminat suspend paus",
        "stops or breaks",
    ),
];

/// What does not fit between a text and what the steps do. `announced_effects` are what
/// [`Announced::commands`] would do, one for each.
#[must_use]
pub fn compare(
    announced: &Announced,
    announced_effects: &[Analysis],
    steps: &[Analysis],
) -> Vec<Finding> {
    let mut found = Vec::new();
    not_done(announced, announced_effects, steps, &mut found);
    if !announced.silent {
        not_announced(announced, steps, &mut found);
    }
    too_broad(announced, steps, &mut found);
    if announced.cut {
        found.push(finding(
            Hard::TooMuch,
            Span::default(),
            "more reasoning than is read".to_owned(),
        ));
    }
    found.truncate(FINDINGS);
    found
}

fn finding(hard: Hard, span: Span, text: String) -> Finding {
    Finding { hard, span, text }
}

fn effects(analyses: &[Analysis]) -> impl Iterator<Item = &Effect> {
    analyses.iter().flat_map(|analysis| &analysis.effects)
}

/// Harmful commands that the text shows and no step does.
fn not_done(
    announced: &Announced,
    announced_effects: &[Analysis],
    steps: &[Analysis],
    found: &mut Vec<Finding>,
) {
    for (code, analysis) in announced.commands.iter().zip(announced_effects) {
        if code.denied {
            continue;
        }
        let mut harmful = analysis
            .effects
            .iter()
            .filter(|effect| effect.harm >= Harm::High);
        let missing = harmful.find(|effect| {
            let mut done = effects(steps);
            !done.any(|step| {
                step.kind == effect.kind
                    && (step.target == effect.target || step.rule == effect.rule)
            })
        });
        if let Some(effect) = missing {
            let shown: String = code.text.chars().take(80).collect();
            let text = format!("the plan shows what no step runs: {shown} ({})", effect.why);
            found.push(finding(Hard::AnnouncedNotDone, code.span, text));
        }
    }
}

/// What steps do and the text never mentions.
fn not_announced(announced: &Announced, steps: &[Analysis], found: &mut Vec<Finding>) {
    let mut said = BTreeSet::new();
    for effect in effects(steps) {
        let text = match &effect.target {
            Target::Host(host) if matches!(effect.kind, Kind::Connect | Kind::Send) => (!announced
                .names_host(host))
            .then(|| format!("a step speaks to {host}, which the plan never mentions")),
            _ => unmentioned(announced, effect),
        };
        if let Some(text) = text.filter(|text| said.insert(text.clone())) {
            found.push(finding(
                Hard::DoneNotAnnounced,
                Span::default(),
                text.replace(UNKNOWN, "…"),
            ));
        }
    }
}

/// An effect that has to be mentioned and is not, in words.
fn unmentioned(announced: &Announced, effect: &Effect) -> Option<String> {
    let row = MENTIONED.iter().find(|(kind, ..)| *kind == effect.kind)?;
    let (_, harm, words, does) = row;
    if effect.harm < *harm {
        return None;
    }
    let what = name(&effect.target);
    if begins(&announced.denied, words) && !begins(&announced.words, words) {
        return Some(format!(
            "a step {does} {what}, which the plan says will not happen"
        ));
    }
    let named = announced.names(&effect.target);
    let verb = begins(&announced.words, words);
    // What is worst has to be named itself, not only what is done to it.
    let enough = if effect.harm >= Harm::High && effect.kind == Kind::Delete {
        named && verb
    } else {
        named || verb
    };
    (!enough).then(|| format!("a step {does} {what}, which the plan never mentions"))
}

/// Whether any word begins with any of these.
fn begins(words: &BTreeSet<String>, beginnings: &str) -> bool {
    beginnings.split_ascii_whitespace().any(|start| {
        // Short ones are words of their own.
        if start.len() < 4 {
            return words.contains(start) || words.contains(&format!("{start}s"));
        }
        let mut from = words.range(start.to_owned()..);
        from.next().is_some_and(|word| word.starts_with(start))
    })
}

fn name(target: &Target) -> String {
    match target {
        Target::Path(path, _) => path.clone(),
        Target::Host(host) => host.clone(),
        Target::Resource(kind, name) => format!("{kind} {name}"),
        Target::Package(name) | Target::Program(name) | Target::System(name) => name.clone(),
        Target::Nothing => "something".to_owned(),
    }
}

impl Announced {
    /// Whether the text names a host in any usual form: itself, its domain, whose it is.
    fn names_host(&self, host: &str) -> bool {
        let host = host.to_lowercase();
        let host = host.trim_end_matches('.');
        let unknown = host.is_empty() || host.contains(UNKNOWN);
        if unknown
            || host == "localhost"
            || host.starts_with("127.")
            || host == "::1"
            || host == "0.0.0.0"
        {
            return true;
        }
        let within = |inner: &str, outer: &str| {
            inner
                .strip_suffix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if self
            .hosts
            .iter()
            .any(|known| within(host, known) || within(known, host))
        {
            return true;
        }
        let labels: Vec<&str> = host.rsplit('.').collect();
        // `github` for api.github.com, `npm` for registry.npmjs.org; an address has no such name.
        let numbers = labels.iter().all(|label| label.parse::<u8>().is_ok());
        let owner = labels.get(1).copied().unwrap_or(host);
        let said = |letters: usize| {
            owner
                .get(..letters)
                .is_some_and(|word| letters > 2 && self.words.contains(word))
        };
        let length = owner.len();
        !numbers
            && (self.words.contains(owner)
                || said(length.saturating_sub(1))
                || said(length.saturating_sub(2)))
    }

    /// Whether the text names a target in any usual form: a file by its name alone.
    fn names(&self, target: &Target) -> bool {
        match target {
            Target::Host(host) => self.names_host(host),
            Target::Path(path, _) => {
                let path = path.to_lowercase();
                let mut parts = path
                    .split('/')
                    .map(|part| part.trim_matches(['*', '.', '~']))
                    .filter(|part| part.len() > 1)
                    .rev();
                let last = parts.next();
                last.is_none_or(|part| part.contains(UNKNOWN) || self.knows(part))
                    && (last.is_some() || self.paths.contains(&path))
            }
            Target::Resource(kind, name) => {
                let kind = kind.to_lowercase();
                self.knows(&name.to_lowercase()) || self.knows(&kind)
            }
            Target::Package(name) | Target::Program(name) | Target::System(name) => {
                self.knows(&name.to_lowercase())
            }
            Target::Nothing => false,
        }
    }

    /// Whether a name is among the words, whole or in its parts.
    fn knows(&self, name: &str) -> bool {
        if name.is_empty() {
            return false;
        }
        let mut parts = super::words::pieces(name)
            .skip(1)
            .filter(|part| part.len() > 2)
            .peekable();
        self.words.contains(name)
            || (parts.peek().is_some() && parts.all(|part| self.words.contains(part)))
    }
}

/// Claims that are wider than what the steps need.
fn too_broad(announced: &Announced, steps: &[Analysis], found: &mut Vec<Finding>) {
    for (claim, span) in &announced.broad {
        let text = format!("the plan claims more than one can check: {claim}");
        found.push(finding(Hard::TooBroad, *span, text));
        if found.len() >= FINDINGS {
            return;
        }
    }
    let hosts = announced.hosts.len();
    if hosts > HOSTS {
        let text = format!("the plan names {hosts} hosts");
        found.push(finding(Hard::TooBroad, span(0, 0), text));
    }
    let used: BTreeSet<String> = effects(steps)
        .filter_map(|effect| match &effect.target {
            Target::Host(host) => Some(host.to_lowercase()),
            _ => None,
        })
        .collect();
    let reaches = |host: &&String| {
        used.iter()
            .any(|used| used == *host || used.ends_with(&format!(".{host}")))
    };
    let idle = announced
        .hosts
        .iter()
        .filter(|host| !reaches(host) && !is_any("localhost 127.0.0.1", host))
        .count();
    // One or two are most likely where something was read.
    if hosts > 3 && idle * 2 > hosts {
        let text = format!("the plan names {idle} hosts that no step speaks to");
        found.push(finding(Hard::TooBroad, span(0, 0), text));
    }
}
