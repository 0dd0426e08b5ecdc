// SPDX-License-Identifier: Apache-2.0
//! What happens to items, and what it comes to.

use serde::{Deserialize, Serialize};

use super::item::{Question, Speaker, State};
use super::names::Person;

/// Most bytes of a comment or note.
pub const TEXT: usize = 8 << 10;

/// Most comments of an item. The agent has half of them, so that it cannot take people's.
pub const COMMENTS: usize = 200;
/// Most portions of an item.
pub const PORTIONS: usize = 16;
/// Most actions of a portion: a person has to read them all.
pub const QUESTIONS: usize = 16;
/// How far an approval goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// This root action and what it starts.
    #[default]
    Once,
    /// The very same again, too, for so many hours.
    Hours(u32),
    /// Once, with a line for the operator's policy, to be reviewed.
    Proposal,
}

/// A person's yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yes {
    /// Who.
    pub by: Person,
    /// The revision that was seen.
    pub seen: u32,
    /// How far.
    pub extent: Extent,
    /// In words.
    pub note: Option<String>,
}

/// What happens to an item.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A person sees it.
    Shown {
        /// Who.
        by: Person,
    },
    /// Somebody asks or notes something.
    Comment {
        /// Who.
        by: Speaker,
        /// What.
        text: String,
    },
    /// A person says yes.
    Approve(Yes),
    /// A person says no.
    Deny {
        /// Who.
        by: Person,
        /// The revision that was seen, if the no is to hold for that one alone.
        seen: Option<u32>,
        /// In words.
        note: Option<String>,
    },
    /// Nobody needs it any more.
    Withdraw {
        /// Why.
        why: String,
    },
    /// Its root action asks again.
    Ask {
        /// What.
        question: Box<Question>,
        /// No answer by then is a no. What waits already keeps its deadline.
        deadline_ms: u64,
    },
    /// A person takes approvals back.
    Revoke {
        /// Who.
        by: Person,
        /// Of one portion, or of all.
        portion: Option<usize>,
    },
}

/// What an event came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Nothing.
    Nothing,
    /// It was asked for the first time.
    Opened,
    /// Seen by a person for the first time.
    Shown,
    /// Said.
    Commented,
    /// A yes that is not enough yet.
    Counted(Missing),
    /// Approved.
    Approved,
    /// Denied.
    Denied,
    /// Expired.
    Expired,
    /// Withdrawn.
    Withdrawn,
    /// Another ask waits for the same answer.
    Joined,
    /// More effects wait for an answer; votes were taken back.
    Added,
    /// More effects after an approval, which stands.
    Reopened,
    /// Approvals were taken back.
    Revoked,
}

/// Who is still missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// How many more people.
    pub more: u8,
    /// One of them not the person who started the task.
    pub another: bool,
}

/// Why an event changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is decided.
    #[error("it is {state} already{}; {}", by(people), advice(*state))]
    Ended {
        /// How.
        state: State,
        /// By whom.
        people: Vec<Person>,
        /// When.
        at_ms: u64,
    },
    /// A comment on what is decided.
    #[error(
        "it is {state} already{}, and nobody reads comments on it any more",
        by(people)
    )]
    Unread {
        /// How.
        state: State,
        /// By whom.
        people: Vec<Person>,
    },
    /// A second yes of one person.
    #[error(
        "it is pending, and {person} has approved it already; another person must, or anybody may deny it"
    )]
    Twice {
        /// Who.
        person: Person,
    },
    /// It is not what was seen.
    #[error(
        "it is pending and has changed since it was seen (revision {seen}, now {now}); look at it again, then decide"
    )]
    Changed {
        /// The revision that was seen.
        seen: u32,
        /// The revision it has.
        now: u32,
    },
    /// Longer than the operator allows.
    #[error(
        "it is pending; {hours} hours are out of the limits, from 1 to {most} can be given, or approve it once"
    )]
    Hours {
        /// What was wanted.
        hours: u32,
        /// What can be had.
        most: u32,
    },
    /// It could do anything the next time.
    #[error("it is pending; not all that it runs could be read, so it can only be approved once")]
    OnlyOnce,
    /// No approval to take back.
    #[error("it is {state} and there is no approval to take back{}", hint(*state))]
    NoApproval {
        /// What it is.
        state: State,
    },
    /// A comment nobody reads.
    #[error("it is {state}; a text has 1 to {TEXT} bytes, and an item at most {COMMENTS} comments")]
    Text {
        /// What it is.
        state: State,
    },
    /// More than people can read.
    #[error("it is {state} and full; what else there is needs another item")]
    Full {
        /// What it is.
        state: State,
    },
}

fn by(people: &[Person]) -> String {
    let names: Vec<&str> = people.iter().map(Person::as_str).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(" by {}", names.join(", ")),
    }
}

fn advice(state: State) -> &'static str {
    match state {
        State::Approved => "an approval can be revoked",
        State::Expired => "no answer in time is a no, and the task has to ask again",
        State::Denied => "a no stays, and the task has to ask again",
        _ => "nobody waits for an answer any more",
    }
}

fn hint(state: State) -> &'static str {
    if state.waits() {
        "; deny it instead"
    } else {
        ""
    }
}
