// SPDX-License-Identifier: Apache-2.0
//! What can happen to a task, as it is recorded.
//!
//! A field is added with a default and none is ever renamed: old lines are read for ever. What a
//! line has beyond what is known here (a later version's chain of hashes, signatures) is ignored.

use policy::approval::ItemId;
use policy::approval::item::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened, not yet recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The task it happened to, if to one.
    pub task: Option<String>,
    /// The root action in that task that it is a part of.
    pub root: Option<u64>,
    /// What.
    pub what: What,
}

impl From<What> for Event {
    fn from(what: What) -> Self {
        Self {
            task: None,
            root: None,
            what,
        }
    }
}

/// What happened. Every text in it may be an attacker's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A task began.
    TaskStarted {
        /// Its image.
        image: String,
        /// Its command.
        argv: Vec<String>,
        /// The folder it works on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        workspace: Option<String>,
        /// Who started it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Whether what it does is judged.
        #[serde(default)]
        gated: bool,
    },
    /// It ended.
    TaskEnded {
        /// What `ampoule run` and `ampoule wait` return, unless nobody was there to say so.
        #[serde(default)]
        code: Option<i32>,
        /// How.
        reason: String,
    },
    /// A root action began: what follows with its number is part of it.
    Root {
        /// `run`, `exec`, `plan` or `declared`.
        by: String,
        /// As `policy` takes it.
        action: Value,
    },
    /// Something was seen in the guest that waits for a verdict.
    Intent {
        /// The gate's number for it.
        id: u64,
        /// The process, in the guest.
        pid: u32,
        /// As `policy` takes it.
        action: Value,
    },
    /// It was judged.
    Verdict {
        /// The intent; none for a root action.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// `allow`, `ask` or `deny`.
        verdict: String,
        /// `grant`, `policy`, `approval`, `posture`, `ungated` or `gate`.
        by: String,
        /// The risk, in hundredths of a percent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        risk_bps: Option<u16>,
        /// The policies that decided.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        policies: Vec<String>,
        /// Why.
        reason: String,
        /// The approval it rests on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<String>,
    },
    /// What grants let pass without asking.
    Uses {
        /// Each pass.
        uses: Vec<UseOf>,
        /// How many more there were.
        #[serde(default)]
        lost: u64,
    },
    /// People were asked.
    Asked {
        /// The intent; none for a root action.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// The approval.
        approval: String,
        /// What they were asked, in a line.
        line: String,
    },
    /// An approval was decided, or its time ran out.
    Decided {
        /// Which.
        approval: String,
        /// `approved`, `denied`, `expired` or `withdrawn`.
        state: String,
        /// Who.
        #[serde(default)]
        by: Vec<String>,
        /// What they wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Somebody wrote to an approval.
    Commented {
        /// Which.
        approval: String,
        /// Who.
        by: String,
        /// What.
        text: String,
    },
    /// What waited is gone.
    Withdrawn {
        /// The intent.
        id: u64,
    },
    /// What became of something that was let pass, or was refused by the gate itself.
    Done {
        /// The intent; 0 for what was never one.
        id: u64,
        /// 0, or the error it ended with.
        errno: u32,
        /// The gate's rule.
        #[serde(default)]
        rule: String,
        /// One line for people.
        #[serde(default)]
        detail: String,
    },
    /// The guest's gate got other grants.
    Granted {
        /// How many programs may be started.
        programs: u32,
        /// Why.
        why: String,
    },
    /// It lost them all.
    Revoked {
        /// Why.
        why: String,
    },
    /// The task is held more or less tightly.
    Posture {
        /// Before.
        from: String,
        /// Now.
        to: String,
        /// Who or what did so.
        by: String,
        /// Why.
        why: String,
        /// Paths whose changes people are asked about, now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        asks: Vec<String>,
    },
    /// The agent said what it will do.
    Declared {
        /// The gate's number for it.
        id: u64,
        /// A plan or an action.
        declared: Value,
    },
    /// It did something else than it said.
    Drift {
        /// The intent.
        id: u64,
        /// What.
        what: String,
    },
    /// The task waits for people.
    Waiting {
        /// The approval.
        approval: String,
    },
    /// It goes on.
    Resumed {
        /// How long it waited.
        waited_ms: u64,
    },
    /// Something is missing here.
    Gap {
        /// How many events, at least.
        lost: u64,
        /// Why.
        why: String,
    },
    /// Anything else worth a line.
    Note {
        /// What.
        text: String,
    },
}

impl What {
    /// Nobody need decide an approval any more.
    pub fn withdrawn(approval: &ItemId, why: &str) -> Self {
        Self::Decided {
            approval: approval.to_string(),
            state: State::Withdrawn.to_string(),
            by: Vec::new(),
            note: Some(why.to_owned()),
        }
    }
}

/// One pass under a grant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UseOf {
    /// The grant's number.
    pub grant: u32,
    /// The program.
    pub program: String,
    /// Its arguments, its name first.
    pub argv: Vec<String>,
    /// The process, in the guest.
    pub pid: u32,
}

/// Every kind, as lines have it.
pub const KINDS: [&str; 20] = [
    "task-started",
    "task-ended",
    "root",
    "intent",
    "verdict",
    "uses",
    "asked",
    "decided",
    "commented",
    "withdrawn",
    "done",
    "granted",
    "revoked",
    "posture",
    "declared",
    "drift",
    "waiting",
    "resumed",
    "gap",
    "note",
];
