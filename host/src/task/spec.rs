// SPDX-License-Identifier: Apache-2.0
//! What a task was asked to be: everything `ampoule run` knows before a VM exists. It is what
//! the store records, and what a detached supervisor is handed.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

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
}

impl Default for Gating {
    /// By the operator's policies; people have an hour.
    fn default() -> Self {
        Self {
            policies: Vec::new(),
            ungated: false,
            on_ask: OnAsk::Wait,
            wait_ms: 60 * 60 * 1000,
        }
    }
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

    /// The command in one line, for people.
    #[must_use]
    pub fn command_line(&self) -> String {
        let words: Vec<String> = self.argv.iter().map(Bytes::lossy).collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
