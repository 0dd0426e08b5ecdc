// SPDX-License-Identifier: Apache-2.0
//! What is asked and what is told of it: who waits for what, what becomes of it, and what people
//! decided and wrote.

use std::collections::BTreeSet;

use policy::approval::item::{Decision, State, line};
use policy::approval::{ItemId, Planned};

use crate::approvals::ApprovalsError;
use crate::cli::chain;
use crate::gate::court::{Ruling, short};

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A root action.
    Root(u64),
    /// An intent of the gate in the guest.
    Intent(u64),
    /// A step of what a program in the guest said, by the gate's number for that; of
    /// [`PEOPLES`] for the plan that people gave.
    Said(u64, usize),
}

/// In place of the gate's number: the plan that people gave.
pub const PEOPLES: u64 = 0;

/// What one approval may cover: a root action and all that it starts, or all steps of the plan
/// that people gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tree {
    /// That plan.
    Plan,
    /// A root action.
    Root(u64),
}

/// Something to ask about.
#[derive(Debug)]
pub struct Case<S> {
    /// Who waits for the answer.
    pub asker: Asker,
    /// Its root action.
    pub root: u64,
    /// What it is approved with.
    pub tree: Tree,
    /// The policies that ask about any step of its plan, so that people get one item for it.
    pub with: BTreeSet<String>,
    /// The plan that it is a step of, before it is done.
    pub plan: Option<Planned>,
    /// How it was judged.
    pub ruling: Ruling,
    /// What was judged, to be judged again.
    pub source: S,
    /// How many bytes that is.
    pub bytes: usize,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    /// People allow it, or did before.
    Allowed {
        /// By this approval.
        approval: String,
    },
    /// It is refused.
    Refused {
        /// Why, in a line.
        why: String,
        /// By this approval, if by one.
        approval: Option<String>,
    },
    /// The task is to end: nobody is to be asked.
    Ends {
        /// Why, in a line.
        why: String,
    },
}

/// That people are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Who waits.
    pub asker: Asker,
    /// Its root action.
    pub root: u64,
    /// For this approval.
    pub approval: String,
    /// Of this revision: a question that joins others makes it another one.
    pub revision: u32,
    /// What they are asked, in a line.
    pub line: String,
    /// Why.
    pub why: String,
    /// Milliseconds until no answer is a no.
    pub wait_ms: u64,
}

/// What asking comes to.
#[derive(Debug)]
pub enum Asked<S> {
    /// It is decided.
    Settled(Box<Case<S>>, Became),
    /// It waits.
    Waits(Waits),
}

/// What was decided of an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Which.
    pub approval: String,
    /// The root action.
    pub root: u64,
    /// How.
    pub state: State,
    /// By whom.
    pub by: Vec<String>,
    /// In words.
    pub note: Option<String>,
}

/// What somebody wrote to an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commented {
    /// Which.
    pub approval: String,
    /// The root action.
    pub root: u64,
    /// Who.
    pub by: String,
    /// What.
    pub text: String,
    /// Who waits for it.
    pub askers: Vec<Asker>,
}

/// What a look found.
#[derive(Debug)]
pub struct News<S> {
    /// What people wrote.
    pub commented: Vec<Commented>,
    /// Approvals that were decided.
    pub decided: Vec<Decided>,
    /// What no longer waits, or waits for something else.
    pub asked: Vec<Asked<S>>,
}

/// The action in a line fit for a terminal.
#[must_use]
pub fn shown<S>(case: &Case<S>) -> String {
    short(&line(&case.ruling.action))
}

pub(super) fn refused(why: &str) -> Became {
    Became::Refused {
        why: short(why),
        approval: None,
    }
}

/// A no; whoever asked is told what was written to it.
pub(super) fn refusal(item: &ItemId, state: State, decision: Option<&Decision>) -> Became {
    let why = match state {
        State::Expired => format!("nobody answered in time: approval {item}"),
        State::Withdrawn => format!("approval {item} was withdrawn"),
        _ => format!("a person said no: approval {item}"),
    };
    let written = decision.filter(|decision| decision.state == state);
    let why = match written.and_then(|decision| decision.note.as_deref()) {
        Some(note) => short(&format!("{why}: {note}")),
        None => why,
    };
    Became::Refused {
        why,
        approval: Some(item.to_string()),
    }
}

pub(super) fn cannot(error: &ApprovalsError) -> String {
    format!("nobody can be asked: {}", chain(error))
}
