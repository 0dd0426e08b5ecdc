// SPDX-License-Identifier: Apache-2.0
//! How a task ended: the command's own exit, or our reason, and the code `ampoule run` returns.

use serde::{Deserialize, Serialize};

/// Exit codes of `ampoule` that are not the command's own, as `timeout` and `docker run` use them.
pub mod code {
    /// All went well.
    pub const DONE: u8 = 0;
    /// The TTL was reached.
    pub const TTL: u8 = 124;
    /// The task could not be run.
    pub const FAILED: u8 = 125;
    /// The command is there, but not executable.
    pub const NOT_EXECUTABLE: u8 = 126;
    /// The command was not found.
    pub const NOT_FOUND: u8 = 127;
    /// Added to the number of the signal that ended the command.
    pub const SIGNAL: u8 = 128;
    /// Ended by `ampoule kill`: 128 + SIGKILL.
    pub const KILLED: u8 = 137;
}

/// How the command itself ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

impl Exit {
    /// What a shell would say.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => code::SIGNAL.saturating_add(signal),
        }
    }
}

/// Why a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The command came to its end.
    Exited,
    /// The time was up.
    Ttl,
    /// `ampoule stop`.
    Stopped,
    /// `ampoule kill`, or the third interrupt.
    Killed,
    /// A signal to `ampoule run` before the command ran.
    Interrupted,
    /// The command was not found, not executable, or could not be started otherwise.
    NotStarted,
    /// The policies, or people, said no; or people would have had to be asked and nobody was.
    Refused,
    /// Nobody was there any more to judge what it does.
    GateLost,
    /// Somebody moved its posture to *ended*.
    Posture,
    /// It stood still for longer than it may wait for people.
    Waited,
    /// The guest did not become ready in time.
    NeverReady,
    /// The guest's kernel panicked, or reset without a goodbye.
    GuestReset,
    /// The guest's kernel crashed so that the CPU gave up.
    TripleFault,
    /// guest-init could not set the guest up.
    GuestSetup,
    /// The agent in the guest is gone.
    AgentDied,
    /// The guest said something it must not.
    Protocol,
    /// KVM could not run the guest.
    Kvm,
    /// The VMM was killed from outside.
    VmmKilled,
    /// The VMM failed.
    VmmFailed,
    /// The supervisor failed, or the host under it.
    HostFailed,
    /// The supervisor was killed; found by a later command.
    SupervisorKilled,
}

/// Who ended a task whose time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The guest itself, at its TTL.
    GuestInit,
    /// The VMM's timer, a second later.
    Vmm,
    /// The supervisor, two seconds later.
    Supervisor,
}

/// Why a task ended, with one line for people where it is not the command's own end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: Kind,
    /// Which level held the TTL.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<By>,
    /// One line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

impl End {
    /// For a reason with its line.
    #[must_use]
    pub fn new(reason: Kind, detail: impl Into<String>) -> Self {
        Self {
            reason,
            by: None,
            detail: Some(detail.into()),
        }
    }

    /// The command's own end.
    #[must_use]
    pub fn exited() -> Self {
        Self {
            reason: Kind::Exited,
            by: None,
            detail: None,
        }
    }

    /// How a task ended, in a line for the record.
    #[must_use]
    pub fn how(&self) -> String {
        let reason = serde_json::to_value(self.reason).unwrap_or_default();
        let reason = reason.as_str().unwrap_or_default().to_owned();
        match &self.detail {
            Some(detail) => format!("{reason}: {detail}"),
            None => reason,
        }
    }
}

/// When each phase was done: nanoseconds after the clone of the VMM, on the host's monotonic
/// clock. Guest times are placed by the moment its greeting arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the names are the phases of DESIGN.md section 2, in order"
)]
pub struct Timings {
    /// Time before the clone, from the start of the command.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before_clone: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vmm_entered: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vmm_mapped: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vmm_running: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub init: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connected: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub assigned: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mounted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ready: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started: Option<u64>,
    /// The first bytes of the command's output were passed on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exited: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended: Option<u64>,
}

/// How a guest came to be ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// By which way.
    pub how: How,
    /// Why not by a faster one, where there might have been one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The ways for a guest to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It waited in a pool.
    Pool,
    /// From a template.
    Restored,
    /// By booting.
    Cold,
    /// From a snapshot of another task.
    Copied,
}

/// All that is known of a task that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What `ampoule run` and `ampoule wait` return.
    pub code: u8,
    /// The command's own end, if it ran to one.
    pub exit: Option<Exit>,
    /// Why the task ended.
    pub end: End,
    /// The step of its plan that was the last, from 1, if the plan was not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u32>,
    /// A process of the command was chosen by the guest's out-of-memory killer.
    #[serde(default)]
    pub out_of_memory: bool,
    /// Scratch space was full as the command ended.
    #[serde(default)]
    pub scratch_full: bool,
    /// How the guest came to be ready, if a VMM was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// When each phase was done.
    #[serde(default)]
    pub timings_ns: Timings,
    /// Most memory the VMM's cgroup (or else its process) had.
    pub peak_memory_bytes: Option<u64>,
    /// Devices whose rings the guest broke.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken_devices: Vec<String>,
}

impl Outcome {
    /// For a task that ended with `code` because of `end`, with nothing else known.
    #[must_use]
    pub fn new(code: u8, end: End) -> Self {
        Self {
            code,
            exit: None,
            end,
            step: None,
            out_of_memory: false,
            scratch_full: false,
            start: None,
            timings_ns: Timings::default(),
            peak_memory_bytes: None,
            broken_devices: Vec::new(),
        }
    }
}
