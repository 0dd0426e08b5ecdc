// SPDX-License-Identifier: Apache-2.0
//! The bodies of frames, as protobuf (proto3 rules: a missing field is its zero).
//!
//! Field numbers are the wire's and never reused. Times are nanoseconds of the guest's
//! `CLOCK_BOOTTIME` unless the name says otherwise.

use prost::Message;

/// Guest to host, the first frame of the control and agent connections.
#[derive(Clone, PartialEq, Message)]
pub struct Hello {
    /// The wire's version, [`crate::VERSION`].
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// The guest's clock as this frame was written.
    #[prost(uint64, tag = "2")]
    pub boot_ns: u64,
}

/// Guest to host, the first frame of a connection opened for a request of the host.
#[derive(Clone, PartialEq, Message)]
pub struct Attach {
    /// The id the request carried.
    #[prost(uint32, tag = "1")]
    pub id: u32,
}

/// Host to init: everything a guest is told about itself.
#[derive(Clone, PartialEq, Message)]
pub struct Assignment {
    /// The task's id, for logs.
    #[prost(string, tag = "1")]
    pub task: String,
    /// The guest's host name.
    #[prost(string, tag = "2")]
    pub hostname: String,
    /// Milliseconds until the guest ends, counted from the receipt of this frame.
    #[prost(uint64, tag = "3")]
    pub ttl_ms: u64,
    /// How long before the end commands get `SIGTERM`, in milliseconds.
    #[prost(uint64, tag = "4")]
    pub grace_ms: u64,
    /// The wall clock, nanoseconds since 1970.
    #[prost(uint64, tag = "5")]
    pub realtime_ns: u64,
    /// Bytes the task may write (tmpfs above the read-only images).
    #[prost(uint64, tag = "6")]
    pub scratch_bytes: u64,
    /// Whether a workspace drive is attached as the second disk.
    #[prost(bool, tag = "7")]
    pub workspace: bool,
    /// Entropy to mix into the guest's pool, at most 64 bytes.
    #[prost(bytes = "vec", tag = "8")]
    pub entropy: Vec<u8>,
    /// Milliseconds between heartbeats; 0 for none.
    #[prost(uint32, tag = "9")]
    pub heartbeat_ms: u32,
    /// What the guest's `/etc/machine-id` says: 32 hexadecimal digits. Empty leaves it alone.
    #[prost(string, tag = "10")]
    pub machine_id: String,
    /// Of which task this guest is a copy; empty if it is none.
    #[prost(string, tag = "11")]
    pub copy_of: String,
}

/// Init to host: a guest that was restored has taken up its assignment, and the next exec is
/// served with no further set-up.
#[derive(Clone, PartialEq, Message)]
pub struct Resumed {
    /// The guest's clock as this frame was written.
    #[prost(uint64, tag = "1")]
    pub boot_ns: u64,
}

/// Init to host: when each step was done.
#[derive(Clone, PartialEq, Message)]
pub struct BootReport {
    /// PID 1's first instruction of its own.
    #[prost(uint64, tag = "1")]
    pub init_ns: u64,
    /// The control connection stood.
    #[prost(uint64, tag = "2")]
    pub connected_ns: u64,
    /// Every file system was mounted.
    #[prost(uint64, tag = "3")]
    pub mounted_ns: u64,
    /// The assignment had been read.
    #[prost(uint64, tag = "4")]
    pub assigned_ns: u64,
    /// The agent had been started.
    #[prost(uint64, tag = "5")]
    pub agent_ns: u64,
}

/// Init to host, from time to time.
#[derive(Clone, PartialEq, Message)]
pub struct Heartbeat {
    /// Counts up from 1; a gap is seen.
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    /// Whether the agent's process lives.
    #[prost(bool, tag = "2")]
    pub agent_alive: bool,
    /// What is left of the TTL, in milliseconds.
    #[prost(uint64, tag = "3")]
    pub ttl_left_ms: u64,
    /// Bytes of scratch in use.
    #[prost(uint64, tag = "4")]
    pub scratch_used: u64,
    /// How long the task's processes have run in all, in microseconds.
    #[prost(uint64, tag = "5")]
    pub task_us: u64,
}

/// Why init ends the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum EndReason {
    /// Not said (an older or broken guest).
    Unspecified = 0,
    /// The host asked for it.
    Shutdown = 1,
    /// The TTL was reached.
    Ttl = 2,
    /// The agent died.
    AgentDied = 3,
    /// Init could not set the guest up.
    SetupFailed = 4,
    /// The control connection was lost.
    HostLost = 5,
}

/// Init to host, its last frame.
#[derive(Clone, PartialEq, Message)]
pub struct Goodbye {
    /// Why.
    #[prost(enumeration = "EndReason", tag = "1")]
    pub reason: i32,
    /// One line for people.
    #[prost(string, tag = "2")]
    pub detail: String,
}

/// Host to init: end in good order.
#[derive(Clone, PartialEq, Message)]
pub struct Shutdown {
    /// How long commands have between `SIGTERM` and `SIGKILL`, in milliseconds; 0 kills at once.
    #[prost(uint64, tag = "1")]
    pub grace_ms: u64,
}

/// Host to init: the guest has another deadline, because people are waited for or no longer, or
/// because it stood still.
#[derive(Clone, PartialEq, Message)]
pub struct Retime {
    /// Milliseconds until the guest ends, counted from the receipt of this frame.
    #[prost(uint64, tag = "1")]
    pub ttl_ms: u64,
    /// The wall clock, nanoseconds since 1970.
    #[prost(uint64, tag = "2")]
    pub realtime_ns: u64,
}

/// Agent to host: the next exec is served with no further set-up.
#[derive(Clone, PartialEq, Message)]
pub struct Ready {
    /// The guest's clock as this frame was written.
    #[prost(uint64, tag = "1")]
    pub boot_ns: u64,
}

/// Host to agent: run a command.
#[derive(Clone, PartialEq, Message)]
pub struct Exec {
    /// The host's number for it; the agent's stdio connection attaches with it.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Program and arguments, at least the program.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub argv: Vec<Vec<u8>>,
    /// `NAME=value` each, added to the guest's defaults.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub env: Vec<Vec<u8>>,
    /// Where it starts; empty for `/workspace`.
    #[prost(bytes = "vec", tag = "4")]
    pub cwd: Vec<u8>,
    /// `name`, `uid` or `uid:gid`; empty for the unprivileged user of the image.
    #[prost(string, tag = "5")]
    pub user: String,
    /// Give it a terminal rather than pipes.
    #[prost(message, optional, tag = "6")]
    pub terminal: Option<WindowSize>,
    /// Whether stdin will be sent; otherwise it is `/dev/null`.
    #[prost(bool, tag = "7")]
    pub stdin: bool,
    /// How it is gated; absent for a command that is not.
    #[prost(message, optional, tag = "8")]
    pub gate: Option<crate::actions::Gate>,
}

/// The size of a terminal, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct WindowSize {
    /// Lines.
    #[prost(uint32, tag = "1")]
    pub rows: u32,
    /// Columns.
    #[prost(uint32, tag = "2")]
    pub cols: u32,
}

/// Agent to host: the command runs.
#[derive(Clone, PartialEq, Message)]
pub struct Started {
    /// Which.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Its process id in the guest.
    #[prost(uint32, tag = "2")]
    pub pid: u32,
    /// The guest's clock after the exec.
    #[prost(uint64, tag = "3")]
    pub boot_ns: u64,
}

/// Why a command could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum ExecError {
    /// Anything else; the message says what.
    Other = 0,
    /// No such program (127).
    NotFound = 1,
    /// There, but not executable (126).
    NotExecutable = 2,
    /// No such folder to start in.
    BadCwd = 3,
    /// No such user.
    BadUser = 4,
}

/// Agent to host: the command did not start.
#[derive(Clone, PartialEq, Message)]
pub struct ExecFailed {
    /// Which.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// What kind of failure.
    #[prost(enumeration = "ExecError", tag = "2")]
    pub error: i32,
    /// One line for people.
    #[prost(string, tag = "3")]
    pub detail: String,
}

/// Agent to host: the command ended.
#[derive(Clone, PartialEq, Message)]
pub struct Exited {
    /// Which.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Its exit status when it exited.
    #[prost(uint32, tag = "2")]
    pub code: u32,
    /// The signal that ended it; 0 when it exited.
    #[prost(uint32, tag = "3")]
    pub signal: u32,
    /// The guest's kernel ran out of memory and chose a process of this command.
    #[prost(bool, tag = "4")]
    pub oom: bool,
    /// Scratch space was full as the command ended.
    #[prost(bool, tag = "5")]
    pub scratch_full: bool,
    /// User CPU time, microseconds, children included.
    #[prost(uint64, tag = "6")]
    pub user_us: u64,
    /// System CPU time, microseconds, children included.
    #[prost(uint64, tag = "7")]
    pub system_us: u64,
    /// Largest resident set of one process, KiB.
    #[prost(uint64, tag = "8")]
    pub max_rss_kib: u64,
    /// The guest's clock as it was reaped.
    #[prost(uint64, tag = "9")]
    pub boot_ns: u64,
}

/// Host to agent: signal a command's process group.
#[derive(Clone, PartialEq, Message)]
pub struct Signal {
    /// Which.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Linux signal number, 1 to 64.
    #[prost(uint32, tag = "2")]
    pub signal: u32,
}

/// Host to agent: the terminal of a command changed its size.
#[derive(Clone, PartialEq, Message)]
pub struct Resize {
    /// Which.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// The new size.
    #[prost(message, optional, tag = "2")]
    pub size: Option<WindowSize>,
}

/// Host to agent: send the tree at `path`.
#[derive(Clone, PartialEq, Message)]
pub struct ReadFiles {
    /// The host's number for it; the agent's connection attaches with it.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Absolute, or relative to `/workspace`.
    #[prost(bytes = "vec", tag = "2")]
    pub path: Vec<u8>,
}

/// Host to agent: write the tree that the host sends below `path`.
#[derive(Clone, PartialEq, Message)]
pub struct WriteFiles {
    /// The host's number for it; the agent's connection attaches with it.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// Absolute, or relative to `/workspace`.
    #[prost(bytes = "vec", tag = "2")]
    pub path: Vec<u8>,
}

/// Host to agent: stop every command where it is, for a copy of the guest to be taken.
#[derive(Clone, PartialEq, Message)]
pub struct Pause {}

/// Agent to host: every command has stopped, or could not be.
#[derive(Clone, PartialEq, Message)]
pub struct Paused {
    /// Empty when all went well, else one line for people; the commands go on then.
    #[prost(string, tag = "1")]
    pub error: String,
    /// Whether there is any process of theirs.
    #[prost(bool, tag = "2")]
    pub populated: bool,
}

/// Host to agent: let the commands go on.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Continue {
    /// In a copy of the guest: their streams are gone, and are to be connected anew.
    #[prost(bool, tag = "1")]
    pub copy: bool,
}

/// What an entry of a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum EntryKind {
    /// Nothing this version knows.
    Unknown = 0,
    /// A regular file; its bytes follow.
    File = 1,
    /// A folder; its entries follow in their own frames.
    Folder = 2,
    /// A symbolic link.
    Link = 3,
    /// A device, socket or pipe: named, never made.
    Special = 4,
}

/// One file, folder or link of a copy. Folders come before what they hold.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// Components below the root of the copy; empty for the root itself.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub path: Vec<Vec<u8>>,
    /// What it is.
    #[prost(enumeration = "EntryKind", tag = "2")]
    pub kind: i32,
    /// Permission bits.
    #[prost(uint32, tag = "3")]
    pub mode: u32,
    /// Modification time, nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub mtime_ns: i64,
    /// Bytes of a regular file, as announced; the data that follows decides.
    #[prost(uint64, tag = "5")]
    pub size: u64,
    /// Target of a link.
    #[prost(bytes = "vec", tag = "6")]
    pub target: Vec<u8>,
}

/// The last frame of a copy.
#[derive(Clone, PartialEq, Message)]
pub struct CopyEnd {
    /// Empty when all went well, else one line for people.
    #[prost(string, tag = "1")]
    pub error: String,
}
