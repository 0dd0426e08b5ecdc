// SPDX-License-Identifier: Apache-2.0
//! Names that are removed, changed and made.
//!
//! In the workspace the gate removes and renames by itself (Landlock forbids it to the command). A
//! file that the task made is its own to remove; one that was there before is asked about.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::ffi::CString;

use protocol::actions::{Act, Rename};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::files::write;
use super::free::Lies;
use super::memory;
use super::place::{Base, Place, is_original};
use super::plan::{Around, Deed, GO_ON, Plan};

/// `RENAME_WHITEOUT` of `include/uapi/linux/fs.h`.
const WHITEOUT: u32 = 4;

/// What is made.
#[derive(Debug)]
pub(crate) enum Made {
    Folder(u32),
    Link(CString),
    Node { mode: u32, device: u64 },
}

/// A path: a folder's descriptor, and the address of the words.
type At = (i32, u64);

/// unlink(2), unlinkat(2), rmdir(2).
pub(crate) fn remove(around: &Around<'_>, (base, path): At, folder: bool) -> Result<Plan, Errno> {
    let path = memory::path(around.caller.thread, path)?;
    if around.is_kernels_to_do(base, &path) {
        return Ok(GO_ON);
    }
    let base = around.caller.base(base, &path)?;
    let Found { place, was, may } = around.as_caller(|| found(&base))??;
    match (folder, is_folder(&was)) {
        (true, false) => return Err(Errno::NOTDIR),
        (false, true) => return Err(Errno::ISDIR),
        _ => {}
    }
    match around.lies(&place.path) {
        Lies::Free if !around.strict => return Ok(GO_ON),
        _ if !may => return Err(Errno::ACCESS),
        Lies::Workspace if !around.strict && (folder || !is_original(&was)) => {
            return Ok(Plan::Do(Deed::Remove { place, folder, was }));
        }
        _ => {}
    }
    let act = Act::Remove(place.path.clone());
    Ok(Plan::ask(around, act, Deed::Remove { place, folder, was }))
}

struct Found {
    place: Place,
    was: Stat,
    may: bool,
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn found(base: &Base<'_>) -> Result<Found, Errno> {
    let place = base.place()?;
    if place.is_kernels() {
        // Control groups are the guest's.
        return Err(Errno::PERM);
    }
    let was = place.stat()?;
    let may = place.may_change();
    Ok(Found { place, was, may })
}

/// rename(2), renameat(2), renameat2(2).
pub(crate) fn rename(around: &Around<'_>, from: At, to: At, flags: u32) -> Result<Plan, Errno> {
    if flags & WHITEOUT != 0 {
        return Err(Errno::INVAL);
    }
    moved(around, from, to, flags, false)
}

/// link(2), linkat(2).
pub(crate) fn link(around: &Around<'_>, from: At, to: At, flags: i32) -> Result<Plan, Errno> {
    if flags & !libc::AT_SYMLINK_FOLLOW != 0 {
        // A descriptor without a name gets one: only a way round for what is not done by name.
        return Err(Errno::INVAL);
    }
    let follow = flags & libc::AT_SYMLINK_FOLLOW;
    moved(around, from, to, follow.unsigned_abs(), true)
}

fn moved(
    around: &Around<'_>,
    (from_base, from): At,
    (to_base, to): At,
    flags: u32,
    link: bool,
) -> Result<Plan, Errno> {
    let thread = around.caller.thread;
    let (from, to) = (memory::path(thread, from)?, memory::path(thread, to)?);
    let free = |base, path: &[u8]| match link {
        true => around.is_free(base, path),
        false => around.is_kernels_to_do(base, path),
    };
    if free(from_base, &from) && free(to_base, &to) {
        return Ok(GO_ON);
    }
    let from_base = around.caller.base(from_base, &from)?;
    let to_base = around.caller.base(to_base, &to)?;
    let look = || {
        let from = found(&from_base)?;
        let to = to_base.place()?;
        let may = to.may_change() && (link || from.may);
        Ok::<_, Errno>((from.place, from.was, to, may))
    };
    let (from, was, to, may) = around.as_caller(look)??;
    if !may {
        return Err(Errno::ACCESS);
    }
    let there = to.stat().ok();
    let both_in = [&from, &to].map(|place| around.lies(&place.path));
    let originals = !link && loses_an_original(&was, there.as_ref());
    let outside = both_in.contains(&Lies::Outside);
    let asks = outside || originals || around.strict;
    let act = asks.then(|| {
        Act::Rename(Rename {
            from: from.path.clone(),
            to: to.path.clone(),
            link,
            replaces: there.is_some() && !link,
        })
    });
    let deed = Deed::Rename {
        from,
        to,
        flags,
        link,
        was,
    };
    Ok(match act {
        Some(act) => Plan::ask(around, act, deed),
        None => Plan::Do(deed),
    })
}

/// Whether something that was there before the task loses its name: by another one whoever asks
/// about it later does not know it.
fn loses_an_original(was: &Stat, there: Option<&Stat>) -> bool {
    is_original(was) || there.is_some_and(is_original)
}

/// mkdir(2), mkdirat(2).
pub(crate) fn mkdir(around: &Around<'_>, at: At, mode: u32) -> Result<Plan, Errno> {
    make(around, at, Made::Folder(mode))
}

/// symlink(2), symlinkat(2).
pub(crate) fn symlink(around: &Around<'_>, target: u64, at: At) -> Result<Plan, Errno> {
    let target = memory::path(around.caller.thread, target)?;
    let target = CString::new(target).map_err(|_nul| Errno::INVAL)?;
    make(around, at, Made::Link(target))
}

/// mknod(2), mknodat(2).
pub(crate) fn mknod(around: &Around<'_>, at: At, mode: u32, device: u64) -> Result<Plan, Errno> {
    make(around, at, Made::Node { mode, device })
}

fn make(around: &Around<'_>, (base, path): At, what: Made) -> Result<Plan, Errno> {
    let path = memory::path(around.caller.thread, path)?;
    if around.is_free(base, &path) {
        return Ok(GO_ON);
    }
    let dots = path
        .rsplit(|byte| *byte == b'/')
        .find(|name| !name.is_empty());
    if !path.is_empty() && dots.is_none_or(|name| name == b"." || name == b"..") {
        return Err(Errno::EXIST);
    }
    let base = around.caller.base(base, &path)?;
    let look = || {
        let place = base.place()?;
        let may = place.may_change();
        match place.stat() {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => Ok((place, may)),
            Err(errno) => Err(errno),
        }
    };
    let (place, may) = around.as_caller(look)??;
    match around.lies(&place.path) {
        _ if around.strict => {}
        Lies::Outside if !place.is_kernels() => {}
        _ => return Ok(GO_ON),
    }
    if place.is_kernels() {
        return Err(Errno::PERM);
    }
    if !may {
        return Err(Errno::ACCESS);
    }
    let path = place.path.clone();
    Ok(write(around, path, false, Deed::Make { place, what }))
}
