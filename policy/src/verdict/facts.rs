// SPDX-License-Identifier: Apache-2.0
//! What is known of an action or plan when it is judged.
//!
//! Plain fields: an [`Analysis`] fills what follows from reading the action, the host fills the
//! rest. What nobody fills fails closed: an unset risk is the highest, an unset posture is paused.
//! Numbers are clamped by their types, sets are bounded and say when something was left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::effects::{Analysis, Area, Effect, Finding, Hard, Harm, Kind, Target};
pub use crate::posture::Posture;

/// Most words kept in one set. More is [`Words::truncated`], and that is asked about.
pub const WORDS: usize = 1024;

/// Longest word kept, in bytes.
pub const WORD: usize = 256;

/// Highest count a policy sees: a policy may multiply it by a million without overflow.
pub const COUNT: u64 = 1_000_000_000_000;

/// Stands for a host or package that the action does not name: one of a file, one known later.
pub const UNNAMED: &str = "(unnamed)";

/// Basis points, 0 to 10000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u64")]
pub struct Bps(u16);

impl Bps {
    /// All of it.
    pub const ALL: Self = Self(10_000);
    /// None of it.
    pub const NONE: Self = Self(0);

    /// So many basis points, clamped.
    #[must_use]
    pub fn new(points: u64) -> Self {
        u16::try_from(points).map_or(Self::ALL, |points| Self(points.min(Self::ALL.0)))
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl From<u64> for Bps {
    fn from(points: u64) -> Self {
        Self::new(points)
    }
}

/// A count, 0 to [`COUNT`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u64")]
pub struct Count(u64);

impl Count {
    /// So many, clamped.
    #[must_use]
    pub fn new(count: u64) -> Self {
        Self(count.min(COUNT))
    }

    /// As a number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for Count {
    fn from(count: u64) -> Self {
        Self::new(count)
    }
}

/// A bounded set of words that came from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Words {
    set: BTreeSet<String>,
    truncated: bool,
}

impl Words {
    /// Adds a word, cut to [`WORD`] bytes, unless [`WORDS`] are there.
    pub fn insert(&mut self, word: &str) {
        let end = word.floor_char_boundary(WORD);
        self.truncated |= end < word.len();
        let word = word.get(..end).unwrap_or_default();
        if self.set.contains(word) {
            return;
        }
        if self.set.len() >= WORDS {
            self.truncated = true;
        } else {
            self.set.insert(word.to_owned());
        }
    }

    /// The words, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.set.iter().map(String::as_str)
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Something was left out.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// As if nothing had been left out, to ask what difference that makes.
    pub(super) fn assume_whole(&mut self) {
        self.truncated = false;
    }

    /// Keeps the words that `keep` wants.
    fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.set.retain(|word| keep(word));
    }
}

impl<'a> FromIterator<&'a str> for Words {
    fn from_iter<I: IntoIterator<Item = &'a str>>(words: I) -> Self {
        let mut set = Self::default();
        words.into_iter().for_each(|word| set.insert(word));
        set
    }
}

/// How far the risk model may be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// It was made for these features, rules and this agent.
    Valid,
    /// It drifts: it may only tighten.
    Degraded,
    /// Something it was made for has changed: everything is asked about.
    #[default]
    Void,
}

/// What the risk model says, and where asking begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// Probability that a person would refuse.
    pub estimate: Bps,
    /// Its upper bound.
    pub upper: Bps,
    /// The model's own uncertainty.
    pub uncertainty: Bps,
    /// An upper bound from here on is asked about: the operator's or a certification's.
    pub ask_threshold: Bps,
    /// The threshold is certified to hold the operator's bound on wrong allows.
    pub certified: bool,
    /// How far the model may be believed.
    pub model: Model,
}

impl Default for Risk {
    /// The highest, by a model that is void.
    fn default() -> Self {
        Self {
            estimate: Bps::ALL,
            upper: Bps::ALL,
            uncertainty: Bps::ALL,
            ask_threshold: Bps::NONE,
            certified: false,
            model: Model::Void,
        }
    }
}

/// What the action would do, from reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Does {
    /// The kinds of its effects, each with the worst harm.
    pub harms: BTreeMap<Kind, Harm>,
    /// Where its effects on paths lead, by kind.
    pub areas: BTreeSet<(Kind, Area)>,
    /// What made it hard to read.
    pub findings: BTreeSet<Hard>,
    /// It touches a place or value that holds secrets.
    pub secret: bool,
    /// It touches a file that runs later by itself.
    pub startup: bool,
    /// Rules that speak of it: `git:push-force`.
    pub rules: Words,
    /// Hosts it names.
    pub hosts: Words,
    /// Those of them that are not in the operator's catalogue, [`UNNAMED`] for one not named.
    pub hosts_outside: Words,
    /// Programs it runs.
    pub programs: Words,
    /// All words of its commands.
    pub words: Words,
    /// Packages it installs.
    pub packages: Words,
    /// Services it speaks to: `kubernetes`, `aws`, `postgres`.
    pub services: Words,
}

impl Does {
    /// The worst harm of any effect.
    #[must_use]
    pub fn worst(&self) -> Harm {
        self.harms.values().copied().max().unwrap_or_default()
    }

    /// Some set could not hold all there is.
    #[must_use]
    pub fn truncated(&self) -> bool {
        [
            &self.rules,
            &self.hosts,
            &self.hosts_outside,
            &self.programs,
            &self.words,
            &self.packages,
            &self.services,
        ]
        .iter()
        .any(|words| words.truncated)
    }

    /// Takes an effect in.
    pub fn effect(&mut self, effect: &Effect) {
        let harm = self.harms.entry(effect.kind).or_default();
        *harm = effect.harm.max(*harm);
        // A rule may say that what is sent is a secret.
        self.secret |= effect.kind == Kind::TouchSecret || effect.rule.contains("secret");
        self.rules.insert(&effect.rule);
        match &effect.target {
            Target::Path(_, place) => {
                self.areas.insert((effect.kind, place.area));
                self.secret |= place.secret;
                self.startup |= place.startup;
            }
            Target::Host(host) => {
                self.hosts.insert(host);
                self.hosts_outside.insert(host);
            }
            Target::Resource(service, _) => self.services.insert(service),
            Target::Package(name) => self.packages.insert(bare(name)),
            Target::Program(name) => self.programs.insert(base(name)),
            Target::System(_) | Target::Nothing => {}
        }
        let installs = effect.kind == Kind::Install;
        if installs && !matches!(effect.target, Target::Package(_)) {
            self.packages.insert(UNNAMED);
        }
        let speaks = matches!(effect.kind, Kind::Connect | Kind::Send);
        if speaks && !matches!(effect.target, Target::Host(_)) {
            self.hosts_outside.insert(UNNAMED);
        }
    }

    /// Takes a finding in.
    pub fn finding(&mut self, finding: &Finding) {
        self.findings.insert(finding.hard);
    }
}

/// What the effects could reach, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Files changed or taken away.
    pub files: Count,
    /// Those of them of which there is no other copy.
    pub only_copies: Count,
    /// Bytes changed or taken away.
    pub bytes: Count,
    /// Paths outside the workspace.
    pub outside_workspace: Count,
    /// Credentials within reach.
    pub credentials: Count,
    /// Counting ended before all was counted.
    pub partial: bool,
    /// Something leaves the machine.
    pub leaves_machine: bool,
    /// The review before changes are applied already contains it.
    pub contained_by_review: bool,
    /// It can be undone.
    pub reversible: bool,
}

/// How it stands to the agent's plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// It is part of a plan.
    pub in_plan: bool,
    /// The plan declares what it does.
    pub declared: bool,
    /// Steps of the plan.
    pub steps: Count,
}

/// Whose action it is; set by the host, never by the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// The agent.
    pub agent: String,
    /// The team it works for.
    pub team: String,
    /// The image the task runs.
    pub image: String,
    /// The workspace it has.
    pub workspace: String,
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// What the risk model says.
    pub risk: Risk,
    /// How tightly the task is held.
    pub posture: Posture,
    /// What it would do.
    pub does: Does,
    /// What that could reach.
    pub reach: Reach,
    /// How it stands to the plan.
    pub planned: Planned,
    /// Whose it is.
    pub who: Who,
}

impl Facts {
    /// What follows from reading an action; the rest is as tight as can be until it is set.
    #[must_use]
    pub fn of(analysis: &Analysis) -> Self {
        let mut facts = Self::default();
        facts.add(analysis);
        facts
    }

    /// Takes one more action in, as for the steps of a plan together.
    pub fn add(&mut self, analysis: &Analysis) {
        for effect in &analysis.effects {
            self.does.effect(effect);
        }
        for finding in &analysis.findings {
            self.does.finding(finding);
        }
        for command in &analysis.commands {
            for word in command.split_ascii_whitespace() {
                self.does.words.insert(word);
            }
            // `A=1 make` runs `make`.
            let mut words = command.split_ascii_whitespace();
            if let Some(name) = words.find(|word| !word.contains('=')) {
                self.does.programs.insert(base(name));
            }
        }
    }

    /// Takes out of the hosts outside the catalogue those that are in it. `known` compares names
    /// that the agent wrote, so it must bring them to their canonical form first.
    pub fn catalogued(&mut self, known: impl Fn(&str) -> bool) {
        let outside = &mut self.does.hosts_outside;
        outside.retain(|host| host == UNNAMED || !known(host));
    }
}

/// A package without version and extras: `requests` for `requests[socks]==2.31`.
fn bare(name: &str) -> &str {
    let end = name
        .char_indices()
        .find(|(at, c)| *at > 0 && matches!(c, '=' | '<' | '>' | '~' | '!' | '[' | '@' | ';'));
    let bare = end.and_then(|(at, _)| name.get(..at));
    bare.unwrap_or(name).trim()
}

/// A program without its folder.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
