// SPDX-License-Identifier: Apache-2.0
//! What a task was asked to be: everything `ampoule run` knows before a VM exists. It is what
//! the store records, and what a detached supervisor is handed.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use policy::action::{Act, Action, Plan};
use serde::{Deserialize, Serialize};

use super::TaskId;

/// Bytes that are usually text: JSON text where they are UTF-8, else an array of numbers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bytes {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Raw(Vec<u8>),
}

impl Bytes {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Raw(bytes) => bytes,
        }
    }

    /// For people.
    #[must_use]
    pub fn lossy(&self) -> String {
        String::from_utf8_lossy(self.as_slice()).into_owned()
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(OsStr::from_bytes(self.as_slice()), f)
    }
}

impl From<OsString> for Bytes {
    fn from(text: OsString) -> Self {
        String::from_utf8(text.into_vec())
            .map_or_else(|error| Self::Raw(error.into_bytes()), Self::Text)
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// How much a guest gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Guest memory.
    pub memory_mib: u32,
    /// vCPUs.
    pub cpus: u8,
    /// What the task may write; none for half of the memory.
    pub scratch_bytes: u64,
}

/// What becomes of an action that people would be asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnAsk {
    /// It waits for them.
    #[default]
    Wait,
    /// It is refused.
    Deny,
    /// The task ends.
    Exit,
}

/// How what a task does is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gating {
    /// Files of policies beside the operator's; they may only forbid.
    pub policies: Vec<PathBuf>,
    /// Not at all.
    pub ungated: bool,
    /// What becomes of an action that people would be asked about.
    pub on_ask: OnAsk,
    /// How long the task may wait for people, in all, milliseconds.
    pub wait_ms: u64,
    /// After how much waiting a guest that does nothing is parked, milliseconds.
    pub park_after_ms: u64,
}

impl Gating {
    /// After how much waiting a guest that does nothing is parked.
    #[must_use]
    pub fn park_after(&self) -> Duration {
        Duration::from_millis(self.park_after_ms)
    }
}

impl Default for Gating {
    /// By the operator's policies; people have an hour.
    fn default() -> Self {
        Self {
            policies: Vec::new(),
            ungated: false,
            on_ask: OnAsk::Wait,
            wait_ms: 60 * 60 * 1000,
            park_after_ms: 60_000,
        }
    }
}

/// A plan that is carried out in place of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// As it was given, and as it is judged.
    pub plan: Plan,
    /// A command for each of its actions, in order.
    pub steps: Vec<Step>,
}

/// Longest text of a file that a plan's step writes: it is an argument of a command
/// (`MAX_ARG_STRLEN` of Linux is 128 KiB).
const WRITES: usize = 100 << 10;

/// Writes its second argument to the file of its first.
const WRITE: &str = "printf %s \"$2\" > \"$1\"";

impl Planned {
    /// The commands of a plan.
    ///
    /// # Errors
    /// In a line, why one of its actions cannot be carried out.
    pub fn of(plan: Plan) -> Result<Self, String> {
        plan.check()?;
        let steps = plan.actions.iter().enumerate().map(|(at, action)| {
            let argv = words(action).map_err(|why| format!("action {}: {why}", at + 1))?;
            if argv.iter().any(|word| word.contains('\0')) {
                return Err(format!("action {}: it has a NUL in it", at + 1));
            }
            let workdir = action.cwd.as_ref().map(|cwd| match cwd.starts_with('/') {
                true => cwd.clone(),
                false => format!("/workspace/{cwd}"),
            });
            Ok(Step {
                argv: argv.into_iter().map(Bytes::Text).collect(),
                workdir: workdir.map(Bytes::Text),
            })
        });
        let steps = steps.collect::<Result<_, String>>()?;
        Ok(Self { plan, steps })
    }
}

/// The command that an action is.
fn words(action: &Action) -> Result<Vec<String>, String> {
    let all = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    match &action.act {
        Act::Exec(words) => Ok(words.clone()),
        Act::Shell(line) => Ok(all(&["sh", "-c", line])),
        Act::Write(write) => match &write.content {
            None => Err("a write without content says nothing to write".to_owned()),
            Some(content) if content.len() > WRITES => Err(format!(
                "a write has {WRITES} bytes of content at most; put the file into the workspace"
            )),
            Some(content) => Ok(all(&["sh", "-c", WRITE, "write", &write.path, content])),
        },
        Act::Delete(paths) if paths.is_empty() => Err("it deletes nothing".to_owned()),
        Act::Delete(paths) => {
            let paths = paths.iter().cloned();
            Ok(all(&["rm", "-r", "--"]).into_iter().chain(paths).collect())
        }
        Act::Install(install) => {
            let command = match install.manager.as_str() {
                "pip" | "pip3" | "npm" | "cargo" | "gem" | "go" => {
                    all(&[&install.manager, "install"])
                }
                "apt" | "apt-get" => all(&["apt-get", "install", "-y"]),
                "apk" => all(&["apk", "add"]),
                other => {
                    return Err(format!(
                        "how '{other}' installs is not known here; write the command as exec"
                    ));
                }
            };
            let packages = install.packages.iter();
            if install.packages.is_empty() || packages.clone().any(|name| name.starts_with('-')) {
                return Err("it installs nothing, or an option".to_owned());
            }
            Ok(command.into_iter().chain(packages.cloned()).collect())
        }
        Act::Patch(_) => Err("a patch is no command; write it as exec or shell".to_owned()),
        Act::Request(_) => {
            Err("a request is no command; write it as exec of curl or the like".to_owned())
        }
    }
}

/// A command of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Program and arguments.
    pub argv: Vec<Bytes>,
    /// Where it starts, if its action says so.
    pub workdir: Option<Bytes>,
}

/// A task as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Name of the image.
    pub image: String,
    /// The folder it works on, absolute.
    pub workspace: Option<PathBuf>,
    /// Program and arguments.
    pub argv: Vec<Bytes>,
    /// `NAME=value` each.
    pub env: Vec<Bytes>,
    /// Where the command starts.
    pub workdir: Option<Bytes>,
    /// Whom it runs as.
    pub user: Option<String>,
    /// Give it a terminal.
    pub terminal: bool,
    /// Outlive the command that started it.
    pub detached: bool,
    /// Memory, CPUs, scratch.
    pub resources: Resources,
    /// Time to live, milliseconds.
    pub ttl_ms: u64,
    /// Warning before the end, milliseconds.
    pub grace_ms: u64,
    /// How long the guest may take to be ready, milliseconds; none for what fits this host.
    #[serde(default)]
    pub start_timeout_ms: Option<u64>,
    /// Keep the guest kernel's last words.
    pub debug_console: bool,
    /// Boot, though a template may be there.
    #[serde(default)]
    pub cold: bool,
    /// How what it does is judged.
    #[serde(default)]
    pub gating: Gating,
    /// The plan that it carries out; then its command is the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Planned>,
    /// The task whose guest this one's was copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<TaskId>,
}

impl Spec {
    /// Time to live.
    #[must_use]
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }

    /// Warning before the end.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// The command in one line, for people; of a plan what it is for.
    #[must_use]
    pub fn command_line(&self) -> String {
        if let Some(planned) = &self.plan {
            let (steps, goal) = (planned.steps.len(), planned.plan.goal.trim());
            let goal = match goal {
                "" => String::new(),
                goal => format!(": {goal}"),
            };
            return format!(
                "plan of {steps} step{}{goal}",
                if steps == 1 { "" } else { "s" }
            );
        }
        let words: Vec<String> = self.argv.iter().map(Bytes::lossy).collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_shown_as_what_it_is_for_and_not_as_its_first_step() {
        let mut spec = crate::store::sample::task(None).spec;
        spec.argv = vec!["ls".into(), "-l".into()];
        assert_eq!(spec.command_line(), "ls -l");
        let step = Action::shell("ls");
        let plan = Plan {
            goal: "begin again\n".to_owned(),
            actions: vec![step.clone(), step],
            ..Plan::default()
        };
        spec.plan = Some(Planned::of(plan).unwrap());
        assert_eq!(spec.command_line(), "plan of 2 steps: begin again");
        let nameless = Plan {
            actions: vec![Action::shell("ls")],
            ..Plan::default()
        };
        spec.plan = Some(Planned::of(nameless).unwrap());
        assert_eq!(spec.command_line(), "plan of 1 step");
    }

    #[test]
    fn bytes_that_are_no_text_survive_json() {
        let raw = Bytes::from(OsString::from_vec(vec![0xff, b'a']));
        let json = serde_json::to_string(&raw).unwrap();
        assert_eq!(json, "[255,97]");
        assert_eq!(serde_json::from_str::<Bytes>(&json).unwrap(), raw);
        assert_eq!(
            serde_json::to_string(&Bytes::from("a b")).unwrap(),
            "\"a b\""
        );
    }
}
