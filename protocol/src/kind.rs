// SPDX-License-Identifier: Apache-2.0
//! The kinds of frame, each with the cap of its body and the connection it belongs to.

use crate::frame::FrameError;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, cap $cap:expr;)*) => {
        /// What a frame carries. The number is the wire's and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Kind { $($(#[$doc])* $name = $code,)* }

        impl Kind {
            /// Every kind, for tests and fuzzing.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)*];

            /// Longest body of this kind, in bytes. Checked before the body is read.
            #[must_use]
            pub fn cap(self) -> u32 {
                match self { $(Kind::$name => $cap,)* }
            }

            /// The number on the wire.
            #[must_use]
            pub fn code(self) -> u16 {
                match self { $(Kind::$name => $code,)* }
            }
        }

        impl TryFrom<u16> for Kind {
            type Error = FrameError;
            fn try_from(code: u16) -> Result<Self, FrameError> {
                match code { $($code => Ok(Kind::$name),)* _ => Err(FrameError::UnknownKind { code }) }
            }
        }
    };
}

/// A message of a few fixed-size fields.
const SMALL: u32 = 1024;
/// A message that carries a line or two of text (a reason, a path: `PATH_MAX` is 4096).
const TEXT: u32 = 16 * 1024;
/// A command with its arguments and environment. Linux allows 128 KiB an argument
/// (`MAX_ARG_STRLEN`) and a quarter of the stack in all; a mebibyte is above what programs use.
const COMMAND: u32 = 1024 * 1024;
/// An action with the scripts it would run: a command, and as much again for them.
const INTENT: u32 = 2 * COMMAND;
/// Bulk data: one virtio-vsock buffer's worth, so that a frame never waits for a second credit.
pub const DATA_CAP: u32 = 64 * 1024;

kinds! {
    /// First frame of a connection, guest to host: [`crate::messages::Hello`].
    Hello = 1, cap SMALL;
    /// First frame of a connection that belongs to a request: [`crate::messages::Attach`].
    Attach = 2, cap SMALL;

    /// Host to init: deadline, identity, limits. [`crate::messages::Assignment`].
    Assignment = 16, cap TEXT;
    /// Init to host: when each step of its boot was done. [`crate::messages::BootReport`].
    BootReport = 17, cap SMALL;
    /// Init to host: that it lives, and how the agent does. [`crate::messages::Heartbeat`].
    Heartbeat = 18, cap SMALL;
    /// Init to host, its last word before the reset. [`crate::messages::Goodbye`].
    Goodbye = 19, cap TEXT;
    /// Host to init: end in good order. [`crate::messages::Shutdown`].
    Shutdown = 20, cap SMALL;

    /// Init to host: a restored guest has taken up its assignment. [`crate::messages::Resumed`].
    Resumed = 21, cap SMALL;
    /// Host to init: another deadline, and the wall clock. [`crate::messages::Retime`].
    Retime = 22, cap SMALL;
    /// Agent to host: an exec would be served with no further set-up. [`crate::messages::Ready`].
    Ready = 32, cap SMALL;
    /// Host to agent: run a command. [`crate::messages::Exec`].
    Exec = 33, cap COMMAND;
    /// Agent to host: it runs. [`crate::messages::Started`].
    Started = 34, cap SMALL;
    /// Agent to host: it could not be started. [`crate::messages::ExecFailed`].
    ExecFailed = 35, cap TEXT;
    /// Agent to host: it ended. [`crate::messages::Exited`].
    Exited = 36, cap SMALL;
    /// Host to agent: send a signal to a command. [`crate::messages::Signal`].
    Signal = 37, cap SMALL;
    /// Host to agent: the terminal has a new size. [`crate::messages::Resize`].
    Resize = 38, cap SMALL;
    /// Host to agent: send a file tree over a new connection. [`crate::messages::ReadFiles`].
    ReadFiles = 39, cap TEXT;
    /// Host to agent: receive a file tree over a new connection. [`crate::messages::WriteFiles`].
    WriteFiles = 40, cap TEXT;

    /// Host to agent: stop every command where it is. [`crate::messages::Pause`].
    Pause = 41, cap SMALL;
    /// Agent to host: they have stopped. [`crate::messages::Paused`].
    Paused = 42, cap TEXT;
    /// Host to agent: let them go on. [`crate::messages::Continue`].
    Continue = 43, cap SMALL;
    /// Bytes for the command's stdin (raw body).
    Stdin = 48, cap DATA_CAP;
    /// stdin has ended (empty body).
    StdinEnd = 49, cap 0;
    /// Bytes the command wrote to stdout, or to its terminal (raw body).
    Stdout = 50, cap DATA_CAP;
    /// Bytes the command wrote to stderr (raw body).
    Stderr = 51, cap DATA_CAP;
    /// Nothing more will come of stdout and stderr (empty body).
    OutputEnd = 52, cap 0;

    /// A file, folder or link of a copy. [`crate::messages::Entry`].
    Entry = 64, cap TEXT;
    /// Bytes of the file last announced (raw body).
    FileData = 65, cap DATA_CAP;
    /// The file last announced is complete (empty body).
    FileEnd = 66, cap 0;
    /// The copy is over. [`crate::messages::CopyEnd`].
    CopyEnd = 67, cap TEXT;

    /// Gate to host: something is about to happen, and waits. [`crate::actions::Intent`].
    Intent = 80, cap INTENT;
    /// Gate to host: what grants let pass. [`crate::actions::Uses`].
    Uses = 81, cap COMMAND;
    /// Gate to host: what waited is gone. [`crate::actions::Withdrawn`].
    Withdrawn = 82, cap SMALL;
    /// Gate to host: what became of an action that was let pass. [`crate::actions::Done`].
    Done = 83, cap TEXT;
    /// Gate to host: what a program in the guest says of itself. [`crate::actions::Declared`].
    Declared = 84, cap INTENT;
    /// Host to gate: whether it may happen. [`crate::actions::Verdict`].
    Verdict = 96, cap TEXT;
    /// Host to gate: people are asked. [`crate::actions::Asked`].
    Asked = 97, cap TEXT;
    /// Host to gate: what may pass without asking. [`crate::actions::Grants`].
    Grants = 98, cap COMMAND;
    /// Host to gate: how tightly the task is held. [`crate::actions::Hold`].
    Hold = 99, cap TEXT;
    /// Host to gate: an answer to what a program said. [`crate::actions::Reply`].
    Reply = 100, cap DATA_CAP;
}
