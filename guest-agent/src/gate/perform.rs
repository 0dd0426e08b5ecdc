// SPDX-License-Identifier: Apache-2.0
//! Carrying out in a process' place what it asked for.
//!
//! On descriptors that were opened before it was judged, with the process' own rights. A name that
//! leads to something else by now is not touched.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{
    AtFlags, FileType, OFlags, Stat, fstat, ftruncate, linkat, mkdirat, mknodat, openat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;

use super::files::{again, mode};
use super::names::Made;
use super::place::{Caller, Place, as_asked};
use super::plan::Deed;
use super::sys::{self, Answer};
use super::who::{Who, umask};

/// Connections that are being made, and how many may be at once.
static CONNECTING: AtomicUsize = AtomicUsize::new(0);
const MOST_CONNECTING: usize = 64;

/// How a deed ended, for whoever answers the call.
#[derive(Debug)]
pub(crate) enum Done {
    /// With this answer.
    Answer(Answer),
    /// With a descriptor that the process is to have.
    Descriptor { file: OwnedFd, close_on_exec: bool },
    /// Somebody else answers.
    Later,
    /// It is not what was judged any more.
    Changed,
}

/// Whoever waits.
#[derive(Debug)]
pub(crate) struct Waiter<'a> {
    pub(crate) listener: BorrowedFd<'a>,
    pub(crate) id: u64,
    pub(crate) caller: Caller,
    pub(crate) who: &'a Who,
}

/// Carries out all but the starts of programs, which are the kernel's.
pub(crate) fn perform(deed: Deed, waiter: &Waiter<'_>) -> Done {
    let who = waiter.who.now(waiter.caller);
    if let Deed::Connect { socket, address } = deed {
        return connect(socket, address, waiter);
    }
    let done = who.act(|| on_files(deed, waiter.caller));
    match done {
        Ok(Ok(done)) => done,
        Ok(Err(errno)) => fail(errno),
        Err(_) => fail(Errno::PERM),
    }
}

fn fail(errno: Errno) -> Done {
    Done::Answer(Answer::Fail(errno.raw_os_error()))
}

const NOTHING: Done = Done::Answer(Answer::Value(0));

fn on_files(deed: Deed, caller: Caller) -> Result<Done, Errno> {
    match deed {
        Deed::Open { there, flags } => {
            let file = there.reopen(again(flags))?;
            Ok(descriptor(file, flags))
        }
        Deed::Create {
            place,
            flags,
            mode: bits,
        } => create(&place, flags, mode(bits, umask(caller))),
        Deed::Truncate { there, length } => {
            let length = u64::try_from(length).map_err(|_| Errno::INVAL)?;
            ftruncate(there.reopen(OFlags::WRONLY)?, length)?;
            Ok(NOTHING)
        }
        Deed::Remove { place, folder, was } => {
            if !is_still(&place, &was) {
                return Ok(Done::Changed);
            }
            let flags = match folder {
                true => AtFlags::REMOVEDIR,
                false => AtFlags::empty(),
            };
            unlinkat(&place.parent, &*place.name, flags)?;
            Ok(NOTHING)
        }
        Deed::Rename {
            from,
            to,
            flags,
            link,
            was,
        } => {
            if !is_still(&from, &was) {
                return Ok(Done::Changed);
            }
            rename(&from, &to, flags, link)?;
            Ok(NOTHING)
        }
        Deed::Make { place, what } => {
            make(&place, what, caller)?;
            Ok(NOTHING)
        }
        Deed::Start(_) | Deed::Connect { .. } => Err(Errno::NOSYS),
    }
}

/// Whether a name still is of what was judged.
fn is_still(place: &Place, was: &Stat) -> bool {
    let same = |now: Stat| now.st_dev == was.st_dev && now.st_ino == was.st_ino;
    place.stat().is_ok_and(same)
}

fn descriptor(file: OwnedFd, flags: i32) -> Done {
    Done::Descriptor {
        file,
        close_on_exec: flags & libc::O_CLOEXEC != 0,
    }
}

fn create(place: &Place, flags: i32, mode: rustix::fs::Mode) -> Result<Done, Errno> {
    // A link that leads nowhere would be followed to a place that nobody judged.
    let wanted = OFlags::from_bits_retain(flags.cast_unsigned());
    // Nor may what somebody put there meanwhile hold up the gate: a FIFO, a lease.
    let here = wanted | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(&place.parent, &*place.name, here, mode)?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Ok(Done::Changed);
    }
    Ok(descriptor(as_asked(file, wanted)?, flags))
}

fn rename(from: &Place, to: &Place, flags: u32, link: bool) -> Result<(), Errno> {
    if link {
        let flags = match flags {
            0 => AtFlags::empty(),
            _ => AtFlags::SYMLINK_FOLLOW,
        };
        return linkat(&from.parent, &*from.name, &to.parent, &*to.name, flags);
    }
    let (from, to) = (
        (from.parent.as_fd(), &*from.name),
        (to.parent.as_fd(), &*to.name),
    );
    let renamed = sys::rename(from, to, flags);
    renamed.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn make(place: &Place, what: Made, caller: Caller) -> Result<(), Errno> {
    let (parent, name) = (&place.parent, &*place.name);
    match what {
        Made::Folder(bits) => mkdirat(parent, name, mode(bits, umask(caller))),
        Made::Link(target) => symlinkat(&*target, parent, name),
        Made::Node { mode: bits, device } => {
            let kind = match FileType::from_raw_mode(bits) {
                // As mknod(2): no type is a file.
                FileType::Unknown => FileType::RegularFile,
                kind => kind,
            };
            mknodat(parent, name, kind, mode(bits, umask(caller)), device)
        }
    }
}

/// On a thread of its own: the socket may be one that waits.
fn connect(socket: OwnedFd, address: Vec<u8>, waiter: &Waiter<'_>) -> Done {
    let Ok(listener) = waiter.listener.try_clone_to_owned() else {
        return fail(Errno::NFILE);
    };
    let id = waiter.id;
    if CONNECTING.fetch_add(1, Ordering::AcqRel) >= MOST_CONNECTING {
        CONNECTING.fetch_sub(1, Ordering::AcqRel);
        return fail(Errno::AGAIN);
    }
    let connect = move || {
        let answer = match sys::connect(&socket, &address) {
            Ok(()) => Answer::Value(0),
            Err(error) => Answer::Fail(error.raw_os_error().unwrap_or(libc::EIO)),
        };
        // Gone meanwhile: nobody waits.
        let _ = sys::send(&listener, id, answer);
        CONNECTING.fetch_sub(1, Ordering::AcqRel);
    };
    let builder = thread::Builder::new().stack_size(64 * 1024);
    match builder.spawn(connect) {
        Ok(_) => Done::Later,
        Err(_) => {
            CONNECTING.fetch_sub(1, Ordering::AcqRel);
            fail(Errno::AGAIN)
        }
    }
}
