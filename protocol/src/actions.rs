// SPDX-License-Identifier: Apache-2.0
//! What the gate in the guest and the policy loop on the host say to each other, on a connection
//! of its own ([`crate::ports::ACTIONS`]), so that no output delays a verdict.
//!
//! ```text
//! gate                          host
//! Hello ──────────────────────►
//!       ◄────────────────────── Grants, Hold
//! Intent{id} ─────────────────►              a call that waits in the guest's kernel
//!       ◄────────────────────── Asked{id}    people are asked; the call goes on waiting
//!       ◄────────────────────── Verdict{id}
//! Withdrawn{id} ──────────────►              the process is gone: nobody need answer
//! Uses, Done ─────────────────►              for the record
//! ```
//!
//! The gate connects when the first call of a command is to be judged, and decides none before it
//! has heard *Hold*.
//!
//! All the gate says is a guest's word: it may make the host tighten and never loosen.

use prost::{Message, Oneof};

/// How a command is gated, part of [`crate::messages::Exec`].
#[derive(Clone, PartialEq, Message)]
pub struct Gate {
    /// The root action that the command is, as the host names it; its process tree is judged as
    /// part of that.
    #[prost(uint64, tag = "1")]
    pub root: u64,
    /// Folders below which anything may be written without asking: enforced by the kernel
    /// (Landlock), whatever the gate believes of a path.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub free: Vec<Vec<u8>>,
}

/// Arguments, names of variables, and files that an intent tells, of each at most; a gate that tells
/// more broke the protocol. Linux allows more than anybody reads.
pub const MOST_STRINGS: usize = 4096;

/// Gate to host: something is about to happen.
#[derive(Clone, PartialEq, Message)]
pub struct Intent {
    /// The gate's number for it, never used again on this connection.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The root action that its process belongs to.
    #[prost(uint64, tag = "2")]
    pub root: u64,
    /// The process, in the guest.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
    /// Its folder.
    #[prost(bytes = "vec", tag = "4")]
    pub cwd: Vec<u8>,
    /// What would happen.
    #[prost(oneof = "Act", tags = "5, 6, 7, 8, 9")]
    pub act: Option<Act>,
    /// Something of it was too long to be told.
    #[prost(bool, tag = "10")]
    pub cut: bool,
    /// Files that it would run or read as a program, as the guest has them.
    #[prost(message, repeated, tag = "11")]
    pub files: Vec<GuestFile>,
}

impl Intent {
    /// Whether it tells more than there may be. Each of many empty strings takes more memory than
    /// it takes bytes of the frame.
    #[must_use]
    pub fn tells_too_much(&self) -> bool {
        let lists = match &self.act {
            Some(Act::Run(run)) => [run.argv.len(), run.env.len(), run.telling.len()],
            _ => [0; 3],
        };
        let most = lists.into_iter().chain([self.files.len()]).max();
        most > Some(MOST_STRINGS)
    }
}

/// What would happen.
#[derive(Clone, PartialEq, Oneof)]
pub enum Act {
    /// A program is started.
    #[prost(message, tag = "5")]
    Run(Run),
    /// A file is opened to be written, made or cut.
    #[prost(message, tag = "6")]
    Write(Write),
    /// A file or an empty folder is removed.
    #[prost(bytes, tag = "7")]
    Remove(Vec<u8>),
    /// A file or folder gets another name.
    #[prost(message, tag = "8")]
    Rename(Rename),
    /// A connection is made.
    #[prost(message, tag = "9")]
    Connect(Connect),
}

/// A program is started.
#[derive(Clone, PartialEq, Message)]
pub struct Run {
    /// Its file, links followed.
    #[prost(bytes = "vec", tag = "1")]
    pub program: Vec<u8>,
    /// Its arguments, its name first.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub argv: Vec<Vec<u8>>,
    /// Names of its environment.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub env: Vec<Vec<u8>>,
    /// Values of the few variables that make a program run something else (`LD_PRELOAD`, `PATH`
    /// and such), `NAME=value`.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub telling: Vec<Vec<u8>>,
    /// Whether the file is the image's own, unchanged.
    #[prost(bool, tag = "5")]
    pub of_image: bool,
    /// Whether it is no file of any folder (a memfd, a deleted file).
    #[prost(bool, tag = "6")]
    pub nameless: bool,
}

/// A file is opened to be written, made or cut.
#[derive(Clone, PartialEq, Message)]
pub struct Write {
    /// Which, absolute.
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    /// Whether it is there.
    #[prost(bool, tag = "2")]
    pub exists: bool,
}

/// A file or folder gets another name.
#[derive(Clone, PartialEq, Message)]
pub struct Rename {
    /// Its name, absolute.
    #[prost(bytes = "vec", tag = "1")]
    pub from: Vec<u8>,
    /// Its next.
    #[prost(bytes = "vec", tag = "2")]
    pub to: Vec<u8>,
    /// The old name stays as well (link(2)).
    #[prost(bool, tag = "3")]
    pub link: bool,
    /// Something of the new name is there and is lost.
    #[prost(bool, tag = "4")]
    pub replaces: bool,
}

/// A connection is made, or a message sent to a new address.
#[derive(Clone, PartialEq, Message)]
pub struct Connect {
    /// `ADDRESS:PORT`, or the path of a Unix socket.
    #[prost(string, tag = "1")]
    pub to: String,
    /// `tcp`, `udp`, `unix` or what else it is: the number of another family, another type.
    #[prost(string, tag = "2")]
    pub family: String,
}

/// A file as the guest has it.
#[derive(Clone, PartialEq, Message)]
pub struct GuestFile {
    /// Absolute.
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    /// Its bytes, when they are not what the host's own copy says.
    #[prost(bytes = "vec", tag = "2")]
    pub bytes: Vec<u8>,
    /// It has more bytes than these.
    #[prost(bool, tag = "3")]
    pub cut: bool,
}

/// Gate to host: what grants let pass since the last such frame.
#[derive(Clone, PartialEq, Message)]
pub struct Uses {
    /// Each.
    #[prost(message, repeated, tag = "1")]
    pub uses: Vec<Use>,
    /// How many more there were than are told.
    #[prost(uint64, tag = "2")]
    pub lost: u64,
}

/// One pass under a grant.
#[derive(Clone, PartialEq, Message)]
pub struct Use {
    /// The grant.
    #[prost(uint32, tag = "1")]
    pub grant: u32,
    /// The root action.
    #[prost(uint64, tag = "2")]
    pub root: u64,
    /// The process.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
    /// Arguments, cut to what fits.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub argv: Vec<Vec<u8>>,
}

/// Gate to host: what waited is gone.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Withdrawn {
    /// The intent's number.
    #[prost(uint64, tag = "1")]
    pub id: u64,
}

/// Gate to host: what became of an action that was let pass after people were asked, or what the
/// gate refused by itself.
#[derive(Clone, PartialEq, Message)]
pub struct Done {
    /// The intent's number; 0 for what was never one.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The root action.
    #[prost(uint64, tag = "2")]
    pub root: u64,
    /// The process.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
    /// 0, or the error it ended with.
    #[prost(uint32, tag = "4")]
    pub errno: u32,
    /// The rule of the gate by which it was refused or ended; empty when none was.
    #[prost(string, tag = "5")]
    pub rule: String,
    /// One line for people.
    #[prost(string, tag = "6")]
    pub detail: String,
}

/// Gate to host: what a program in the guest says on the gate's socket.
#[derive(Clone, PartialEq, Message)]
pub struct Declared {
    /// The gate's number for it, of the same count as those of intents.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The root action of the process that says so; 0 where that cannot be told.
    #[prost(uint64, tag = "2")]
    pub root: u64,
    /// One line of JSON.
    #[prost(bytes = "vec", tag = "3")]
    pub json: Vec<u8>,
}

/// Host to gate: a line for the program that said something.
#[derive(Clone, PartialEq, Message)]
pub struct Reply {
    /// The number of what it said.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// One line of JSON.
    #[prost(bytes = "vec", tag = "2")]
    pub json: Vec<u8>,
    /// Nothing more will come of it.
    #[prost(bool, tag = "3")]
    pub last: bool,
}

/// Host to gate: whether it may happen.
#[derive(Clone, PartialEq, Message)]
pub struct Verdict {
    /// The intent's number.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// It may.
    #[prost(bool, tag = "2")]
    pub allow: bool,
    /// People were asked: nothing of what was judged may have changed since.
    #[prost(bool, tag = "3")]
    pub asked: bool,
    /// Why, for the task.
    #[prost(string, tag = "4")]
    pub reason: String,
    /// Digests (SHA-256) of the files that were judged with it.
    #[prost(message, repeated, tag = "5")]
    pub files: Vec<Judged>,
}

/// A file that was judged with an action.
#[derive(Clone, PartialEq, Message)]
pub struct Judged {
    /// Absolute.
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    /// SHA-256 of its bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub sha256: Vec<u8>,
}

/// Host to gate: people are asked.
#[derive(Clone, PartialEq, Message)]
pub struct Asked {
    /// The intent's number.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// The approval's name.
    #[prost(string, tag = "2")]
    pub approval: String,
    /// Why, for the task.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// Milliseconds until no answer is a no.
    #[prost(uint64, tag = "4")]
    pub wait_ms: u64,
}

/// Host to gate: what may pass without asking, in place of all before.
#[derive(Clone, PartialEq, Message)]
pub struct Grants {
    /// Programs.
    #[prost(message, repeated, tag = "1")]
    pub programs: Vec<ProgramGrant>,
}

/// A program that may be started with any arguments: what it does beyond computing is gated by
/// itself.
#[derive(Clone, PartialEq, Message)]
pub struct ProgramGrant {
    /// The grant's number.
    #[prost(uint32, tag = "1")]
    pub grant: u32,
    /// Its path on the image. The gate looks it up when a program is first started after the grant,
    /// takes nothing but a file of the image's own as it was, and from then on knows it by device
    /// and inode.
    #[prost(bytes = "vec", tag = "2")]
    pub path: Vec<u8>,
    /// Names that the file itself may have once links are followed, without a folder. Under
    /// another name it is another program and not granted: `/bin/true` that leads to `busybox`
    /// can be anything. So is a file of several names (hard links), for the same reason.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub files: Vec<Vec<u8>>,
}

/// Host to gate: how tightly the task is held.
#[derive(Clone, PartialEq, Message)]
pub struct Hold {
    /// Nothing is granted: every gated call asks the host.
    #[prost(bool, tag = "1")]
    pub no_grants: bool,
    /// Nothing may be written, removed or renamed.
    #[prost(bool, tag = "2")]
    pub read_only: bool,
    /// Why, for the task.
    #[prost(string, tag = "3")]
    pub reason: String,
}
