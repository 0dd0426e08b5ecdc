// SPDX-License-Identifier: Apache-2.0
//! From a call that waits to what is to be done about it.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use protocol::actions::{self, GuestFile};
use rustix::fs::Stat;
use rustix::io::Errno;

use super::free::{Free, Lies};
use super::place::{Caller, Originals, Place, There};
use super::programs::Program;
use super::sys::{Answer, Notification};
use super::who::Who;
use super::{files, names, network, programs};

/// Around a call: whose it is, and what is free to it.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    pub(crate) caller: Caller,
    pub(crate) who: &'a Who,
    pub(crate) free: &'a Free,
    pub(crate) grants: &'a programs::Granted,
    pub(crate) originals: &'a Originals,
    /// Every path is opened, and nothing is left to the kernel to open again: the task is held
    /// more tightly than its Landlock rules, which cannot change any more.
    pub(crate) strict: bool,
}

impl Around<'_> {
    /// Where an absolute path lies that the kernel wrote.
    pub(crate) fn lies(&self, path: &[u8]) -> Lies {
        self.free.of(Path::new(OsStr::from_bytes(path)))
    }

    fn lies_in_words(&self, base: i32, path: &[u8]) -> Lies {
        match self.caller.lexical(base, path) {
            Some(path) if !self.strict => self.free.of(&path),
            _ => Lies::Outside,
        }
    }

    /// By its words it may be written.
    pub(crate) fn is_free(&self, base: i32, path: &[u8]) -> bool {
        self.lies_in_words(base, path) != Lies::Outside
    }

    /// By its words names may be removed there.
    pub(crate) fn is_kernels_to_do(&self, base: i32, path: &[u8]) -> bool {
        self.lies_in_words(base, path) == Lies::Free
    }

    /// Looks at files with the caller's rights.
    pub(crate) fn as_caller<T>(&self, look: impl FnOnce() -> T) -> Result<T, Errno> {
        let done = self.who.now(self.caller).act(look);
        done.map_err(|_| Errno::PERM)
    }
}

/// What to do about a call.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Answer it.
    Answer(Answer),
    /// Start a program that a grant names.
    Granted(programs::Pass),
    /// Carry it out in the process' place; nobody need be asked.
    Do(Deed),
    /// Ask the host, and if it may be, carry it out.
    Ask(Asking),
}

/// A question to the host.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) act: actions::Act,
    pub(crate) cwd: Vec<u8>,
    pub(crate) cut: bool,
    pub(crate) files: Vec<GuestFile>,
    pub(crate) deed: Deed,
}

/// What is carried out.
#[derive(Debug)]
pub(crate) enum Deed {
    /// The kernel starts a program; it is looked at afterwards.
    Start(Program),
    /// Opens what is there.
    Open { there: There, flags: i32 },
    /// Makes a file and opens it.
    Create { place: Place, flags: i32, mode: u32 },
    /// Cuts a file.
    Truncate { there: There, length: i64 },
    /// Removes a name.
    Remove {
        place: Place,
        folder: bool,
        was: Stat,
    },
    /// Renames, or links.
    Rename {
        from: Place,
        to: Place,
        flags: u32,
        link: bool,
        was: Stat,
    },
    /// Makes a folder, a link or a node.
    Make { place: Place, what: names::Made },
    /// Connects a socket.
    Connect { socket: OwnedFd, address: Vec<u8> },
}

impl Plan {
    /// The question whether a deed may be done that runs no file.
    pub(crate) fn ask(around: &Around<'_>, act: actions::Act, deed: Deed) -> Self {
        Self::Ask(Asking {
            act,
            cwd: around.caller.cwd(),
            cut: false,
            files: Vec::new(),
            deed,
        })
    }
}

impl From<Errno> for Plan {
    fn from(errno: Errno) -> Self {
        Self::Answer(Answer::Fail(errno.raw_os_error()))
    }
}

/// The kernel may go on, from the process' own memory.
pub(crate) const GO_ON: Plan = Plan::Answer(Answer::Continue);

/// What to do about a call. An error is the call's.
pub(crate) fn plan(around: &Around<'_>, call: &Notification) -> Plan {
    let [first, second, third, fourth, fifth, _] = call.arguments;
    // Ints of C: the low half, whatever the high one says.
    #[expect(clippy::cast_possible_truncation, reason = "as the kernel does")]
    let int = |argument: u64| (argument as u32).cast_signed();
    #[expect(clippy::cast_possible_truncation, reason = "as the kernel does")]
    let bits = |argument: u64| argument as u32;
    const HERE: i32 = libc::AT_FDCWD;
    let number = libc::c_long::from(call.call);
    let planned = match number {
        libc::SYS_execve => programs::start(around, (HERE, first), (second, third), 0),
        libc::SYS_execveat => {
            programs::start(around, (int(first), second), (third, fourth), int(fifth))
        }
        libc::SYS_open => files::open(around, (HERE, first), int(second), bits(third)),
        libc::SYS_openat => files::open(around, (int(first), second), int(third), bits(fourth)),
        libc::SYS_creat => {
            let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
            files::open(around, (HERE, first), flags, bits(second))
        }
        libc::SYS_truncate => files::truncate(around, first, second.cast_signed()),
        libc::SYS_unlink => names::remove(around, (HERE, first), false),
        libc::SYS_rmdir => names::remove(around, (HERE, first), true),
        libc::SYS_unlinkat => {
            let folder = int(third) & libc::AT_REMOVEDIR != 0;
            names::remove(around, (int(first), second), folder)
        }
        libc::SYS_rename => names::rename(around, (HERE, first), (HERE, second), 0),
        libc::SYS_renameat => names::rename(around, (int(first), second), (int(third), fourth), 0),
        libc::SYS_renameat2 => {
            let (from, to) = ((int(first), second), (int(third), fourth));
            names::rename(around, from, to, bits(fifth))
        }
        libc::SYS_link => names::link(around, (HERE, first), (HERE, second), 0),
        libc::SYS_linkat => {
            let (from, to) = ((int(first), second), (int(third), fourth));
            names::link(around, from, to, int(fifth))
        }
        libc::SYS_symlink => names::symlink(around, first, (HERE, second)),
        libc::SYS_symlinkat => names::symlink(around, first, (int(second), third)),
        libc::SYS_mkdir => names::mkdir(around, (HERE, first), bits(second)),
        libc::SYS_mkdirat => names::mkdir(around, (int(first), second), bits(third)),
        libc::SYS_mknod => names::mknod(around, (HERE, first), bits(second), third),
        libc::SYS_mknodat => names::mknod(around, (int(first), second), bits(third), fourth),
        libc::SYS_connect => network::connect(around, int(first), second, bits(third)),
        libc::SYS_sendto => network::send_to(around, fifth, bits(call.arguments[5])),
        libc::SYS_sendmsg => network::message(around, second),
        libc::SYS_sendmmsg => network::messages(around, second, bits(third)),
        // The filter hands over no other, and `set_tid_address` is for a look alone.
        _ => Err(Errno::NOSYS),
    };
    planned.unwrap_or_else(Plan::from)
}
