// SPDX-License-Identifier: Apache-2.0
//! What a promotion would change, for the person who decides on it: pinned canaries that must not
//! fall, recent actions whose verdict would flip, and where asking begins.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Learner;
use super::event::Event;
use crate::effects::place::{Area, Place};
use crate::effects::{Analysis, Effect, Finding, Hard, Harm, Kind, Span, Target};
use crate::risk::conformal::Status;
use crate::risk::features::Features;
use crate::risk::model::Model;
use crate::risk::state::State;
use crate::risk::{ASK, Inputs};

/// From this probability on, risk alone would refuse.
pub const DENY: f64 = 0.95;

/// Fewer recent actions than this say nothing about a threshold.
const FEWEST: usize = 50;

/// What risk alone comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It runs.
    Allow,
    /// A person is asked.
    Ask,
    /// A person would refuse.
    Deny,
}

impl Level {
    /// What a model says.
    #[must_use]
    pub fn of(model: &Model, features: &Features) -> Self {
        let (probability, upper, _) = model.bounds(features);
        if probability >= DENY {
            Self::Deny
        } else if upper >= model.ask_at() {
            Self::Ask
        } else {
            Self::Allow
        }
    }
}

/// An action that must never be judged more loosely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// For people.
    pub name: Cow<'static, str>,
    /// What it is judged by.
    pub features: Features,
    /// At least this.
    pub at_least: Level,
}

/// A canary that would fall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallen {
    /// Which.
    pub name: String,
    /// What it must be.
    pub at_least: Level,
    /// What it would be.
    pub level: Level,
}

/// A recent action whose verdict would change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Which of the recent ones.
    pub recent: usize,
    /// What it is today.
    pub from: Level,
    /// What it would be.
    pub to: Level,
}

/// What a promotion would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The version it is made from.
    pub version: u64,
    /// Canaries that would fall. With any, the promotion is refused.
    pub fallen: Vec<Fallen>,
    /// Recent actions whose verdict would change.
    pub flips: Vec<Flip>,
    /// Where asking would begin: no more wrong allows are expected than on the first day.
    pub ask_at: f64,
    /// Wrong allows expected among the recent actions, on the first day's model and then.
    pub wrong_allows: (f64, f64),
    /// Recent actions asked about, today and then.
    pub asks: (usize, usize),
}

/// A promotion that must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A canary would fall.
    #[error("the canary {name:?} would be judged {level:?}, and must be at least {at_least:?}")]
    Canary {
        /// Which.
        name: String,
        /// What it would be.
        level: Level,
        /// What it must be.
        at_least: Level,
    },
    /// Something was learnt since the report was made.
    #[error("the report is of version {report}, the model is at {now}: replay again")]
    Stale {
        /// The report's.
        report: u64,
        /// The model's.
        now: u64,
    },
}

impl Report {
    /// Replays canaries and recent actions with the candidate of a learner.
    #[must_use]
    pub fn of(learner: &Learner, canaries: &[Canary], recent: &[Features], bound: f64) -> Self {
        let live = learner.model(State::Valid);
        let candidate = learner.candidate();
        let first = Model::first_day(learner.salt);
        let (mut ask_at, before) = matched(&candidate, &first, recent);
        if let Status::Certified { threshold, .. } = learner.certificate(bound) {
            ask_at = ask_at.min(threshold);
        }
        let then = candidate.asking_at(ask_at);
        let flips = recent.iter().enumerate().filter_map(|(recent, features)| {
            let (from, to) = (Level::of(&live, features), Level::of(&then, features));
            (from != to).then_some(Flip { recent, from, to })
        });
        let fallen = canaries.iter().filter_map(|canary| {
            let level = Level::of(&then, &canary.features);
            (level < canary.at_least).then(|| Fallen {
                name: canary.name.to_string(),
                at_least: canary.at_least,
                level,
            })
        });
        let asks = |model: &Model| recent.iter().filter(|f| model.asks(f)).count();
        let allowed = recent.iter().filter(|features| !then.asks(features));
        Self {
            version: learner.version,
            fallen: fallen.collect(),
            flips: flips.collect(),
            ask_at,
            wrong_allows: (before, allowed.map(|f| then.bounds(f).0).sum()),
            asks: (asks(&live), asks(&then)),
        }
    }

    /// The event that a person who has read this makes of it.
    ///
    /// # Errors
    ///
    /// A canary would fall, or the report is of another day.
    pub fn promotion(&self, learner: &Learner) -> Result<Event, Refused> {
        if self.version != learner.version {
            return Err(Refused::Stale {
                report: self.version,
                now: learner.version,
            });
        }
        match self.fallen.first() {
            Some(fallen) => Err(Refused::Canary {
                name: fallen.name.clone(),
                level: fallen.level,
                at_least: fallen.at_least,
            }),
            None => Ok(Event::Promotion {
                ask_at: self.ask_at,
            }),
        }
    }
}

/// The largest threshold up to [`ASK`] at which the candidate expects no more wrong allows among
/// recent actions than of the first day's model, and how many those are.
fn matched(candidate: &Model, first: &Model, recent: &[Features]) -> (f64, f64) {
    let mut bounds = Vec::with_capacity(recent.len());
    let mut budget = 0.0;
    for features in recent {
        let (probability, upper, _) = candidate.bounds(features);
        if !first.asks(features) {
            budget += probability;
        }
        bounds.push((upper, probability));
    }
    if recent.len() < FEWEST {
        return (ASK, budget);
    }
    bounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut expected = 0.0;
    for (upper, probability) in bounds {
        expected += probability;
        if expected > budget {
            return (upper.min(ASK), budget);
        }
    }
    (ASK, budget)
}

/// Canaries that hold everywhere; operators add their own.
#[must_use]
pub fn pinned(salt: u64) -> Vec<Canary> {
    let critical = critical().into_iter().map(|(kind, target, program)| {
        let name = format!("{program}: {kind:?} {target:?}, critical");
        let effect = Effect::new(kind, Harm::Critical, target, program, "");
        canary(name, vec![effect], &[], salt)
    });
    let hard = [
        Hard::Unparsed,
        Hard::ParsersDiffer,
        Hard::DynamicProgram,
        Hard::TooMuch,
        Hard::NotText,
    ];
    let hard = hard.map(|hard| canary(format!("{hard:?}"), Vec::new(), &[hard], salt));
    let secret = path(".env", Area::Workspace, true);
    let host = Target::Host("203.0.113.7".to_owned());
    let leak = vec![
        Effect::new(Kind::Read, Harm::Medium, secret, "cat", ""),
        Effect::new(Kind::Send, Harm::Medium, host, "curl", ""),
    ];
    let leak = canary("a secret sent".to_owned(), leak, &[], salt);
    critical.chain(hard).chain([leak]).collect()
}

fn path(path: &str, area: Area, secret: bool) -> Target {
    let place = Place {
        secret,
        ..Place::of(area)
    };
    Target::Path(path.to_owned(), place)
}

fn critical() -> [(Kind, Target, &'static str); 10] {
    let resource = |kind: &'static str, name: &str| Target::Resource(kind.into(), name.to_owned());
    let host = || Target::Host("203.0.113.7".to_owned());
    let key = path("~/.ssh/id_rsa", Area::Home, true);
    [
        (Kind::Delete, path("/", Area::Root, false), "rm"),
        (Kind::Delete, path("~", Area::HomeRoot, false), "rm"),
        (Kind::Write, path("/dev/sda", Area::Device, false), "dd"),
        (Kind::Delete, path(".git", Area::Vcs, false), "rm"),
        (Kind::Delete, resource("postgres", "production"), "psql"),
        (Kind::Delete, resource("kubernetes", "prod"), "kubectl"),
        (Kind::Send, host(), "curl"),
        (
            Kind::Escalate,
            path("/etc/sudoers", Area::System, false),
            "tee",
        ),
        (Kind::Execute, host(), "sh"),
        (Kind::TouchSecret, key, "cat"),
    ]
}

fn canary(name: String, effects: Vec<Effect>, findings: &[Hard], salt: u64) -> Canary {
    let findings = findings.iter().map(|hard| Finding {
        hard: *hard,
        span: Span::default(),
        text: String::new(),
    });
    let analysis = Analysis {
        effects,
        findings: findings.collect(),
        ..Analysis::default()
    };
    Canary {
        name: name.into(),
        features: Features::of(&Inputs::of(&analysis), salt),
        at_least: Level::Ask,
    }
}
