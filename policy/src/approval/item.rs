// SPDX-License-Identifier: Apache-2.0
//! What waits for people: an [`Item`], in portions that are decided one after the other.
//!
//! The first portion is what was asked at first. What the same root action turns out to do beyond
//! it becomes another portion, and what was approved before stands. Fields can be read here and
//! changed by `machine` alone; a stored item that the machine could not have made is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::binding::Binding;
use super::names::{ItemId, Person};
use super::planned::Planned;
use super::root::Ask;
use super::scope::{Reach, Scope};
use super::similar::Similar;
use crate::action::{Act, Action};
use crate::effects::Analysis;
use crate::text::cut;

/// Characters of an action in one line.
const LINE: usize = 200;

/// Who says something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// A person.
    Person(Person),
    /// The agent; what it says is to be marked as its words.
    Agent,
    /// The host by itself.
    Host,
}

/// Who may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// How many people must approve; at least one.
    pub quorum: u8,
    /// The person who started the task cannot be the only one.
    pub another: bool,
    /// Most hours that an approval may last.
    pub hours: u32,
}

impl Default for Rules {
    /// For a single user.
    fn default() -> Self {
        Self {
            quorum: 1,
            another: false,
            hours: 24,
        }
    }
}

/// What an item is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// An action.
    Action,
    /// Too many asks: the task is paused, and approving lets it go on. Allows no action.
    Flood {
        /// How many asks there were in the budget's time.
        asks: u32,
    },
}

/// Where an item is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for a person.
    Pending,
    /// Waits, and somebody asked or noted something.
    Commented,
    /// Allowed.
    Approved,
    /// Refused by a person.
    Denied,
    /// Refused: nobody answered in time.
    Expired,
    /// Not needed any more: its task ended or gave up.
    Withdrawn,
}

impl State {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Commented => "commented",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether it waits for people.
    #[must_use]
    pub fn waits(self) -> bool {
        matches!(self, Self::Pending | Self::Commented)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How likely a person says no, and what makes it so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// Of ten thousand, when a model was asked.
    pub basis_points: Option<u16>,
    /// At most so many: what is compared with where asking begins.
    #[serde(default)]
    pub upper: Option<u16>,
    /// From so many on people are asked.
    #[serde(default)]
    pub asked_from: Option<u16>,
    /// What drives it, the strongest first.
    pub drivers: Vec<String>,
}

impl Risk {
    /// The one number that stands for it where there is room for one.
    #[must_use]
    pub fn most(&self) -> Option<u16> {
        self.upper.or(self.basis_points)
    }
}

/// One action that is asked about, with all a person needs to decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What exactly; its reason is the agent's words.
    pub action: Action,
    /// What it would do, and what made it hard to read.
    pub analysis: Analysis,
    /// What is bound.
    pub binding: Binding,
    /// How far an approval reaches.
    pub scope: Scope,
    /// What that could reach, as the caller counted it.
    pub blast: Value,
    /// How risky that is.
    pub risk: Risk,
    /// What was decided before of the like.
    pub similar: Similar,
    /// The policies that say ask.
    pub policies: BTreeSet<String>,
    /// Why they do, in a line.
    #[serde(default)]
    pub why: String,
    /// The plan that it is a step of.
    #[serde(default)]
    pub plan: Option<Planned>,
}

impl Question {
    /// What would do the same with less risk.
    #[must_use]
    pub fn safer(&self) -> BTreeSet<&str> {
        let effects = self.analysis.effects.iter();
        effects
            .filter_map(|effect| effect.safer.as_deref())
            .collect()
    }
}

/// One person's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Whose.
    pub by: Person,
    /// When.
    pub at_ms: u64,
    /// How long that person took, from being shown it (from its being asked if never shown).
    pub latency_ms: u64,
    /// For how many hours; none means once.
    pub hours: u32,
    /// In words.
    pub note: Option<String>,
    /// A policy line for review, which nothing applies by itself.
    pub proposal: Option<String>,
}

/// How a portion ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Approved, denied, expired or withdrawn.
    pub state: State,
    /// When.
    pub at_ms: u64,
    /// By whom; nobody when it expired or was withdrawn.
    pub by: Vec<Person>,
    /// How long the person took whose word decided.
    pub latency_ms: Option<u64>,
    /// For how many hours it is approved; none means once.
    pub hours: u32,
    /// In words.
    pub note: Option<String>,
}

/// An approval taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// By whom.
    pub by: Person,
    /// When.
    pub at_ms: u64,
}

/// What is decided at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Portion {
    /// The actions it is about.
    pub questions: Vec<Question>,
    /// The effects that no earlier portion was approved with.
    pub added: Vec<Reach>,
    /// When each was asked.
    pub asked_ms: Vec<u64>,
    /// No answer by then is a no.
    pub deadline_ms: u64,
    /// When each person first saw it as it is.
    pub shown: BTreeMap<Person, u64>,
    /// Who said yes.
    pub votes: Vec<Vote>,
    /// How it ended.
    pub decision: Option<Decision>,
    /// Who took the approval back.
    pub revoked: Option<Revoked>,
}

impl Portion {
    /// When it was last added to.
    #[must_use]
    pub fn last_asked_ms(&self) -> u64 {
        self.asked_ms.last().copied().unwrap_or_default()
    }

    /// Whether it was approved and is not taken back.
    #[must_use]
    pub fn stands(&self) -> bool {
        let state = self.decision.as_ref().map(|decision| decision.state);
        state == Some(State::Approved) && self.revoked.is_none()
    }
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Whose.
    pub by: Speaker,
    /// When.
    pub at_ms: u64,
    /// In words.
    pub text: String,
}

/// What waits for people, or did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub(super) id: ItemId,
    pub(super) task: String,
    pub(super) root: String,
    pub(super) subject: Subject,
    pub(super) requester: Option<Person>,
    pub(super) rules: Rules,
    pub(super) portions: Vec<Portion>,
    pub(super) comments: Vec<Comment>,
    /// How often what people would approve has changed.
    pub(super) revision: u32,
    /// How many asks were answered by waiting for this one.
    pub(super) joined: u64,
    /// When it last changed; it never gets younger.
    pub(super) last_ms: u64,
}

/// A stored item that the state machine could not have made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// Without anything to decide.
    #[error("it asks for nothing")]
    Empty,
    /// More was asked after something that is not approved.
    #[error("it goes on after a portion that was not approved")]
    GoesOn,
    /// Not enough people, or one of them twice.
    #[error("it is called approved without the people it needs")]
    Votes,
    /// A decision that is none.
    #[error("its decision is none")]
    Decision,
}

impl Item {
    /// A new item.
    #[must_use]
    pub fn open(ask: Ask, subject: Subject, now: u64) -> Self {
        let added = ask.question.scope.reach.iter().cloned().collect();
        let mut rules = ask.rules;
        rules.quorum = rules.quorum.max(1);
        Self {
            id: ask.id,
            task: ask.task,
            root: ask.root,
            subject,
            requester: ask.requester,
            rules,
            portions: vec![Portion::open(ask.question, added, (now, ask.deadline_ms))],
            comments: Vec::new(),
            revision: 1,
            joined: 0,
            last_ms: now,
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &ItemId {
        &self.id
    }

    /// The task that waits.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The root action, as the host names it.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// Who started the task, if known.
    #[must_use]
    pub fn requester(&self) -> Option<&Person> {
        self.requester.as_ref()
    }

    /// Who may decide.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// What was and is to be decided.
    #[must_use]
    pub fn portions(&self) -> &[Portion] {
        &self.portions
    }

    /// What was said.
    #[must_use]
    pub fn comments(&self) -> &[Comment] {
        &self.comments
    }

    /// How often what people would approve has changed: an approval says which one was seen.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// How many asks were answered by waiting for this one.
    #[must_use]
    pub fn joined(&self) -> u64 {
        self.joined
    }

    /// When it was first asked.
    #[must_use]
    pub fn asked_ms(&self) -> u64 {
        let first = self.portions.first();
        first
            .and_then(|portion| portion.asked_ms.first())
            .copied()
            .unwrap_or_default()
    }

    /// The action that was asked about first.
    #[must_use]
    pub fn first(&self) -> Option<&Question> {
        self.portions.first()?.questions.first()
    }

    /// The portion that is or was decided last.
    #[must_use]
    pub fn last(&self) -> Option<&Portion> {
        self.portions.last()
    }

    /// Where it is in its life, as recorded.
    #[must_use]
    pub fn state(&self) -> State {
        match self.last().and_then(|portion| portion.decision.as_ref()) {
            Some(decision) => decision.state,
            None if self.is_commented() => State::Commented,
            None => State::Pending,
        }
    }

    /// Whether something was said of what waits.
    fn is_commented(&self) -> bool {
        let since = self.last().and_then(|portion| portion.asked_ms.first());
        let said = self.comments.last().map(|comment| comment.at_ms);
        said.is_some_and(|said| since.is_none_or(|since| said >= *since))
    }

    /// Where it is at a time: what waits beyond its deadline has expired, recorded or not.
    #[must_use]
    pub fn state_at(&self, now: u64) -> State {
        let state = self.state();
        let late = self
            .last()
            .is_some_and(|portion| now >= portion.deadline_ms);
        if state.waits() && late {
            State::Expired
        } else {
            state
        }
    }

    /// Checks what was read back from a store.
    ///
    /// # Errors
    /// [`Inconsistent`].
    pub fn check(&self) -> Result<(), Inconsistent> {
        let (last, before) = self.portions.split_last().ok_or(Inconsistent::Empty)?;
        let state = |portion: &Portion| portion.decision.as_ref().map(|decision| decision.state);
        if before
            .iter()
            .any(|portion| state(portion) != Some(State::Approved))
        {
            return Err(Inconsistent::GoesOn);
        }
        if state(last).is_some_and(State::waits) {
            return Err(Inconsistent::Decision);
        }
        for portion in &self.portions {
            let people: BTreeSet<&Person> = portion.votes.iter().map(|vote| &vote.by).collect();
            let approved = state(portion) == Some(State::Approved);
            if portion.questions.is_empty() {
                return Err(Inconsistent::Empty);
            }
            if people.len() != portion.votes.len() || (approved && !self.is_enough(portion)) {
                return Err(Inconsistent::Votes);
            }
        }
        Ok(())
    }
}

/// An action in one line of bounded length. Still the agent's text: to be made printable.
#[must_use]
pub fn line(action: &Action) -> String {
    let text = match &action.act {
        Act::Exec(words) => words.join(" "),
        Act::Shell(text) => text.clone(),
        Act::Write(write) => format!("write {}", write.path),
        Act::Patch(diff) => format!("patch {}", diff.lines().next().unwrap_or_default()),
        Act::Delete(paths) => format!("delete {}", paths.join(" ")),
        Act::Request(request) => format!("{} {}", request.method, request.url),
        Act::Install(install) => {
            format!("{} install {}", install.manager, install.packages.join(" "))
        }
    };
    cut(&text, LINE)
}
