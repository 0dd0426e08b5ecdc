// SPDX-License-Identifier: Apache-2.0
//! Lines of JSON on the gate's socket in the guest (`docs/wire.md`): what programs say, and what
//! they are answered.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use policy::action::{Action, Plan};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Longest line, in bytes.
const LONGEST: usize = 1 << 20;

/// What a program says.
#[derive(Debug)]
pub enum Heard {
    /// It would know what the task waits for.
    Status,
    /// It will do all of this, in this order.
    Plan(Plan, Value),
    /// It will do this, or would know whether it may.
    Action(Action, Value),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Written {
    Declare(Value),
    Ask(Box<Action>),
    Status(bool),
}

/// Reads a line.
///
/// # Errors
/// In a line, why it makes no sense.
pub fn read(json: &[u8]) -> Result<Heard, String> {
    if json.len() > LONGEST {
        return Err(format!("a line has {LONGEST} bytes at most"));
    }
    let written = serde_json::from_slice(json).map_err(|error| {
        format!(
            "write {{\"declare\": PLAN or ACTION}}, {{\"ask\": ACTION}} or {{\"status\": true}}: \
             {error}"
        )
    })?;
    match written {
        Written::Status(true) => Ok(Heard::Status),
        Written::Status(false) => Err("write {\"status\": true}".to_owned()),
        Written::Ask(action) => {
            let value = json!({ "ask": *action });
            Ok(Heard::Action(*action, value))
        }
        Written::Declare(value) if value.get("actions").is_none() => {
            let action = Action::deserialize(&value);
            let action = action.map_err(|error| format!("an action: {error}"))?;
            Ok(Heard::Action(action, value))
        }
        Written::Declare(value) => {
            let plan = Plan::deserialize(&value).map_err(|error| format!("a plan: {error}"))?;
            plan.check()?;
            Ok(Heard::Plan(plan, value))
        }
    }
}

/// A line for a program, in this order of keys: the client in the guest takes the first of a name.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// The gate's number for what it said.
    pub id: u64,
    /// `allow`, `ask`, `deny`, `none`, or `error` for what makes no sense.
    pub verdict: &'static str,
    /// For people.
    pub text: &'a str,
    /// Nothing more will come of it.
    #[serde(rename = "final")]
    pub last: bool,
    /// The approval that is waited for, or that allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<&'a str>,
    /// Until no answer is a no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Of a status.
    #[serde(flatten)]
    pub status: Option<Status<'a>>,
}

/// How a task is.
#[derive(Debug, Serialize)]
pub struct Status<'a> {
    /// How tightly people hold it.
    pub posture: &'a str,
    /// What of it waits for people.
    pub waits: &'a [Waits],
}

/// Something that waits for people.
#[derive(Debug, Serialize)]
pub struct Waits {
    /// Where they decide.
    pub approval: String,
    /// The action.
    pub line: String,
    /// Until no answer is a no.
    pub seconds: u64,
}

impl<'a> Line<'a> {
    /// The last one.
    #[must_use]
    pub fn last(id: u64, verdict: &'static str, text: &'a str) -> Self {
        Self {
            id,
            verdict,
            text,
            last: true,
            approval: None,
            seconds: None,
            status: None,
        }
    }

    /// One about an approval that others follow.
    #[must_use]
    pub fn waits(id: u64, text: &'a str, approval: &'a str) -> Self {
        Self {
            id,
            verdict: "ask",
            text,
            last: false,
            approval: Some(approval),
            seconds: None,
            status: None,
        }
    }
}
