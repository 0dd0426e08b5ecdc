// SPDX-License-Identifier: Apache-2.0
//! What `ampoule exec`, `cp`, `stop` and `kill` say to the supervisor of a task, over
//! `api.sock` in its runtime folder: a line of JSON each way, bounded.
//!
//! ```text
//! client                                 supervisor                  guest
//!  exec ─────────────────────────────────►  Exec ───────────────────►
//!                                            ◄─── connects STDIO, Attach
//!  ◄──── attached + the connection itself ──
//!  ◄═══════════════ frames, with nobody between ════════════════════►
//!  ◄──── started, exited ────────────────────
//! ```
//!
//! Bulk data never passes through the supervisor: the client gets the descriptor. Whoever can
//! reach the socket is the user: its folder is private.

mod client;
mod lines;

use policy::posture::{Held, Posture};
use serde::{Deserialize, Serialize};

pub use client::{Client, ClientError};
pub use lines::{Lines, Received, send_line, send_lines};

use crate::task::Bytes;

/// A terminal's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u32,
    /// Columns.
    pub cols: u32,
}

/// A command to run beside the task's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Program and arguments.
    pub argv: Vec<Bytes>,
    /// `NAME=value` each.
    #[serde(default)]
    pub env: Vec<Bytes>,
    /// Where it starts.
    #[serde(default)]
    pub workdir: Option<Bytes>,
    /// Whom it runs as.
    #[serde(default)]
    pub user: Option<String>,
    /// Its terminal, if it gets one.
    #[serde(default)]
    pub terminal: Option<Size>,
}

/// Client to supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Run a command; answered by `Attached` (with the connection), `Started`, `Exited`, or by
    /// `Failed`.
    Exec(ExecRequest),
    /// Send the files at a path; answered by `Attached` with the connection.
    ReadFiles(Bytes),
    /// Receive files below a path; answered by `Attached` with the connection.
    WriteFiles(Bytes),
    /// Send a signal to this client's command.
    Signal(u32),
    /// This client's terminal has a new size.
    Resize(Size),
    /// Write a snapshot of the guest for copies to start from; answered by `Drive` for each of its
    /// drives, then `Snapshot`, or by `Refused`.
    Fork,
    /// End in good order: SIGTERM, and SIGKILL after so many milliseconds.
    Stop(u64),
    /// End now.
    Kill,
    /// Hold the task otherwise, or say how it is held; answered by `Held` once that holds, or by
    /// `Refused`.
    Hold(Option<Hold>),
}

/// How a task is to be held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// As a whole; unchanged when absent.
    pub posture: Option<Posture>,
    /// Paths whose changes people want to be asked about, too. Absolute, or of the workspace.
    pub asks: Vec<String>,
    /// Who says so.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Supervisor to client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The connection of this client's request is the descriptor of this packet.
    Attached,
    /// A line for people: it waits for one, or what was decided.
    Note(String),
    /// The command runs.
    Started,
    /// The command did not start: what `ampoule` returns, and why.
    Failed {
        /// Exit code.
        code: u8,
        /// One line.
        detail: String,
    },
    /// The command ended.
    Exited {
        /// Exit code, or 128 and the signal's number.
        code: u8,
        /// One line, if there is more to say.
        detail: Option<String>,
    },
    /// A drive of the guest is the descriptor of this packet; without one it has no medium.
    Drive {
        /// Whether there is a descriptor.
        medium: bool,
    },
    /// The snapshot is the descriptor of this packet.
    Snapshot {
        /// What is left of the task's time to live, milliseconds.
        ttl_left_ms: u64,
    },
    /// The task is held so.
    Held(Held),
    /// It was heard: `Stop` or `Kill` begins.
    Accepted,
    /// It was not possible, and why.
    Refused(String),
}
