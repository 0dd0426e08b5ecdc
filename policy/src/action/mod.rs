// SPDX-License-Identifier: Apache-2.0
//! What an agent intends: an [`Action`], or a [`Plan`] of several with its reasoning.
//!
//! Everything here comes from the agent and is only ever read as a reason to tighten. The JSON
//! form has exactly one of `exec`, `shell`, `write`, `patch`, `delete`, `request`, `install`:
//!
//! ```json
//! {"exec": ["rm", "-rf", "build"], "cwd": "/workspace", "env": ["PATH"], "reason": "a clean build"}
//! {"shell": "cargo test 2>&1 | tail"}
//! {"write": {"path": "src/main.rs", "content": "fn main() {}"}}
//! {"request": {"method": "POST", "url": "https://example.com/", "body": "…"}}
//! {"install": {"manager": "pip", "packages": ["requests"]}}
//! ```

pub mod reasoning;

use serde::{Deserialize, Serialize};

/// Most steps a plan may have. A person cannot read more, and more is a way to hide one.
pub const STEPS: usize = 1000;

/// Longest command, file or reasoning that is analysed, in bytes. Beyond it a person is asked.
pub const TEXT: usize = 256 << 10;

/// One thing an agent wants to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Action {
    /// What is done.
    pub act: Act,
    /// The folder it is done in; the workspace when absent.
    pub cwd: Option<String>,
    /// Names of the environment's variables, never their values.
    pub env: Vec<String>,
    /// Why, in the agent's words.
    pub reason: Option<String>,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A program with its arguments.
    Exec(Vec<String>),
    /// A line or script of shell.
    Shell(String),
    /// A file written in whole.
    Write(FileWrite),
    /// A unified diff.
    Patch(String),
    /// Files and folders deleted, folders with all that is in them.
    Delete(Vec<String>),
    /// A request over the network.
    Request(Request),
    /// Packages installed.
    Install(Install),
}

/// A file written in whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileWrite {
    /// Where.
    pub path: String,
    /// What, if the agent says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// A request over the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `GET` when absent.
    #[serde(default = "get")]
    pub method: String,
    /// Where to.
    pub url: String,
    /// What is sent, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// The method of a request for nothing but a connection, to `tcp://HOST:PORT` or `udp://…`.
pub const CONNECT: &str = "CONNECT";

fn get() -> String {
    "GET".to_owned()
}

/// Packages installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    /// `pip`, `npm`, `apt`, …
    pub manager: String,
    /// What.
    pub packages: Vec<String>,
}

impl Action {
    /// An action of nothing but its act.
    #[must_use]
    pub fn of(act: Act) -> Self {
        Self {
            act,
            cwd: None,
            env: Vec::new(),
            reason: None,
        }
    }

    /// A line of shell.
    #[must_use]
    pub fn shell(text: &str) -> Self {
        Self::of(Act::Shell(text.to_owned()))
    }
}

/// What an agent intends, step by step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What it is for.
    #[serde(default)]
    pub goal: String,
    /// How the agent came to it.
    #[serde(default)]
    pub reasoning: String,
    /// Its steps, in order.
    pub actions: Vec<Action>,
}

impl Plan {
    /// Reads the JSON form, however many actions it has.
    ///
    /// # Errors
    /// In a line, what is wrong, and with which action if it is one of them.
    pub fn read(text: &str) -> Result<Self, String> {
        let read = serde_json::from_str(text).map_err(|error| (wrong_action(text), error));
        read.map_err(|(wrong, error)| match wrong {
            Some(wrong) => wrong,
            None => error.to_string(),
        })
    }

    /// Whether it has steps, and no more than people can read.
    ///
    /// # Errors
    /// In a line, what is wrong.
    pub fn check(&self) -> Result<(), String> {
        match self.actions.len() {
            1..=STEPS => Ok(()),
            count => Err(format!(
                "a plan has 1 to {STEPS} actions; this one has {count}"
            )),
        }
    }
}

/// The first action of a plan that is none, and why.
fn wrong_action(text: &str) -> Option<String> {
    let plan: serde_json::Value = serde_json::from_str(text).ok()?;
    let actions = plan.get("actions")?.as_array()?;
    let mut wrong = actions.iter().enumerate().filter_map(|(at, action)| {
        let error = Action::deserialize(action).err()?;
        Some(format!("action {}: {error}", at + 1))
    });
    wrong.next()
}

/// The JSON form of an [`Action`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    #[serde(skip_serializing_if = "Option::is_none")]
    exec: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shell: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    write: Option<FileWrite>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Request>,
    #[serde(skip_serializing_if = "Option::is_none")]
    install: Option<Install>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// An action that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// None or several of the acts.
    #[error(
        "an action has exactly one of exec, shell, write, patch, delete, request, install; this one has {0}"
    )]
    Acts(usize),
    /// No program.
    #[error("exec needs the program's name as its first word")]
    NoProgram,
}

impl TryFrom<Raw> for Action {
    type Error = ActionError;

    fn try_from(raw: Raw) -> Result<Self, ActionError> {
        let acts: Vec<Act> = [
            raw.exec.map(Act::Exec),
            raw.shell.map(Act::Shell),
            raw.write.map(Act::Write),
            raw.patch.map(Act::Patch),
            raw.delete.map(Act::Delete),
            raw.request.map(Act::Request),
            raw.install.map(Act::Install),
        ]
        .into_iter()
        .flatten()
        .collect();
        let count = acts.len();
        let [act] = <[Act; 1]>::try_from(acts).map_err(|_| ActionError::Acts(count))?;
        if matches!(&act, Act::Exec(argv) if argv.is_empty()) {
            return Err(ActionError::NoProgram);
        }
        Ok(Self {
            act,
            cwd: raw.cwd,
            env: raw.env,
            reason: raw.reason,
        })
    }
}

impl From<Action> for Raw {
    fn from(action: Action) -> Self {
        let mut raw = Self {
            cwd: action.cwd,
            env: action.env,
            reason: action.reason,
            ..Self::default()
        };
        match action.act {
            Act::Exec(argv) => raw.exec = Some(argv),
            Act::Shell(text) => raw.shell = Some(text),
            Act::Write(write) => raw.write = Some(write),
            Act::Patch(diff) => raw.patch = Some(diff),
            Act::Delete(paths) => raw.delete = Some(paths),
            Act::Request(request) => raw.request = Some(request),
            Act::Install(install) => raw.install = Some(install),
        }
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_reads_back_as_it_was_written() {
        for text in [
            r#"{"exec":["rm","-rf","build"],"cwd":"/w","env":["PATH"],"reason":"clean"}"#,
            r#"{"shell":"ls"}"#,
            r#"{"write":{"path":"a","content":"b"}}"#,
            r#"{"request":{"method":"GET","url":"https://example.com/"}}"#,
            r#"{"install":{"manager":"pip","packages":["x"]}}"#,
        ] {
            let action: Action = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&action).unwrap(), text);
        }
    }

    #[test]
    fn a_plan_that_is_none_says_with_which_action() {
        for (text, said) in [
            (
                r#"{"actions":[{"shell":"ls"},{"shel":"ls"}]}"#,
                "action 2: unknown field `shel`",
            ),
            (r#"{"actions":[{"exec":[]}]}"#, "action 1: exec needs"),
            (r#"{"actions":[{"exec":"ls"}]}"#, "action 1: invalid type"),
            (r#"{"actions":["ls"]}"#, "action 1: invalid type"),
            (
                r#"{"goals":"x","actions":[{"shell":"ls"}]}"#,
                "unknown field `goals`",
            ),
            (r#"{"actions":[{"shell":"ls"}"#, "EOF while parsing"),
        ] {
            let error = Plan::read(text).unwrap_err();
            assert!(error.starts_with(said) || error.contains(said), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let one = Plan::read(r#"{"actions":[{"shell":"ls"}]}"#).unwrap();
        assert_eq!(one.actions, [Action::shell("ls")]);
    }

    #[test]
    fn two_acts_none_or_no_program_are_refused_by_name() {
        for (text, said) in [
            (r#"{"shell":"ls","delete":["a"]}"#, "this one has 2"),
            (r#"{"reason":"x"}"#, "this one has 0"),
            (r#"{"exec":[]}"#, "the program's name"),
            (r#"{"shel":"ls"}"#, "unknown field"),
        ] {
            let error = serde_json::from_str::<Action>(text).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
