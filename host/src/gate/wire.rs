// SPDX-License-Identifier: Apache-2.0
//! What a supervisor and the policy loop say: a line of JSON each, one of them with a descriptor.
//!
//! Both are this user's. The loop believes a supervisor about its task, and a supervisor the loop
//! about verdicts.

use std::path::PathBuf;

use policy::action::Plan;
use policy::posture::Held;
use serde::{Deserialize, Serialize};

use crate::folders::Folders;
use crate::task::{Bytes, OnAsk, TaskId};

/// Supervisor to loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ToLoop {
    /// The first line, once. Answered by `Begun` or `Refused`.
    Begin(Box<Begin>),
    /// A root action is about to start. Answered by `Verdict`, once or, if people are asked,
    /// twice.
    Root(Root),
    /// Nobody waits for the verdict on a root action any more.
    Gone(u64),
    /// The gate's connection is the descriptor of this line. It takes the place of one before.
    Guest,
    /// People hold the task otherwise. Answered by `Held` or `NotHeld`.
    Hold(Hold),
    /// The guest is parked: nothing runs until people have decided.
    Parked,
    /// The guest goes on.
    Unparked {
        /// How long it was parked.
        parked_ms: u64,
    },
    /// The task has ended. The last line.
    Ended {
        /// What `ampoule run` returns.
        code: Option<i32>,
        /// How.
        reason: String,
    },
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// Its id.
    pub task: TaskId,
    /// Where its user's policies, model, approvals and events are.
    pub folders: Folders,
    /// Its image.
    pub image: String,
    /// Its command.
    pub argv: Vec<Bytes>,
    /// The folder that its workspace is a copy of.
    pub workspace: Option<PathBuf>,
    /// Files of policies that its caller adds; they may only forbid.
    pub policies: Vec<PathBuf>,
    /// What becomes of an action that people would be asked about.
    pub on_ask: OnAsk,
    /// How long the task may wait for people, in all.
    pub wait_ms: u64,
    /// Nothing of it is to be judged.
    pub ungated: bool,
    /// The plan that people gave, whose steps are the root actions from 1 on. Judged at once and
    /// answered by `Plan`.
    pub plan: Option<Plan>,
    /// How tightly it is held.
    pub held: Held,
    /// The loop was lost, and this is the same task again.
    pub again: bool,
}

/// How people hold a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// From now on.
    pub to: Held,
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Something that people started: the task's command, one of `ampoule exec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Its number, which the gate in the guest tells with all that it does.
    pub root: u64,
    /// Program and arguments.
    pub argv: Vec<Bytes>,
    /// The folder it starts in, the workspace when absent.
    pub cwd: Option<Bytes>,
    /// Names of its environment.
    pub env: Vec<String>,
    /// `run`, `exec` or `plan`: the step of the plan that has its number.
    pub by: String,
}

/// Loop to supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FromLoop {
    /// The task is known.
    Begun {
        /// What it does is judged.
        gated: bool,
        /// What people should know.
        warning: Option<String>,
    },
    /// The task must not run, and why.
    Refused(String),
    /// What may be done with a root action.
    Verdict {
        /// Its number.
        root: u64,
        /// `Waits` is followed by another one.
        verdict: Answer,
        /// One line.
        reason: String,
    },
    /// Whether the plan may be carried out.
    Plan {
        /// All of it may.
        allow: bool,
        /// One line.
        reason: String,
    },
    /// People are asked.
    Asked(Asked),
    /// Somebody wrote something to an approval.
    Commented {
        /// Which.
        approval: String,
        /// Who.
        by: String,
        /// What, in a line fit for a terminal.
        text: String,
    },
    /// What they said.
    Decided {
        /// Of which approval.
        approval: String,
        /// `approved`, `denied`, `expired` or `withdrawn`.
        state: String,
        /// What they wrote.
        note: Option<String>,
    },
    /// Something was refused because nobody is asked.
    Unasked {
        /// The root action it belongs to.
        root: u64,
        /// The action, in a line fit for a terminal.
        line: String,
        /// Why.
        why: String,
    },
    /// The task is held so from now on, which is recorded.
    Held(Held),
    /// The task is not held less tightly, and why.
    NotHeld(String),
    /// What waits for people has changed from nothing to something, or so.
    Waits(Waits),
    /// The task is to end, because people would have to be asked.
    ExitNow(String),
}

/// What of a task waits for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// Nothing.
    #[default]
    Nothing,
    /// Something; the rest of the task goes on.
    Something,
    /// Too much: people are asked whether the task may go on at all, and until then it does not.
    TooMuch,
}

/// What people are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The root action it belongs to.
    pub root: u64,
    /// The approval.
    pub approval: String,
    /// Its revision: another one asks about more.
    pub revision: u32,
    /// The action, in a line fit for a terminal.
    pub line: String,
    /// Why.
    pub why: String,
    /// Milliseconds until no answer is a no.
    pub wait_ms: u64,
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It runs.
    Allow,
    /// People are asked.
    Waits,
    /// It does not run.
    Deny,
}
