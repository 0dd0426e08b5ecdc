// SPDX-License-Identifier: Apache-2.0
//! Files that are opened to be written, made or cut.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use protocol::actions::{Act, Write};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::free::Lies;
use super::memory;
use super::place::{Base, Place, There};
use super::plan::{Around, Deed, GO_ON, Plan};

/// open(2), openat(2), creat(2). `path` is a folder's descriptor and an address.
pub(crate) fn open(
    around: &Around<'_>,
    (folder, path): (i32, u64),
    flags: i32,
    mode: u32,
) -> Result<Plan, Errno> {
    let caller = around.caller;
    let path = memory::path(caller.thread, path)?;
    // Landlock before Linux 6.2 does not hold a cut by an open that only reads.
    let cuts = flags & libc::O_TRUNC != 0 && flags & libc::O_ACCMODE == libc::O_RDONLY;
    if !cuts && around.is_free(folder, &path) {
        return Ok(GO_ON);
    }
    let base = caller.base(folder, &path)?;
    let opened = around.as_caller(|| target(&base, flags))??;
    // What the kernel may open from the process' memory: nothing that only Landlock of a later
    // version would hold, nothing while the task is held more tightly than its rules.
    let kernels = |errno: Errno| match cuts || around.strict {
        true => Err(errno),
        false => Ok(GO_ON),
    };
    match opened {
        Target::Kernels => kernels(Errno::ACCESS),
        Target::There { there, may } => {
            if flags & libc::O_CREAT != 0 && flags & libc::O_EXCL != 0 {
                return Err(Errno::EXIST);
            }
            if there.is_device() && around.strict {
                return Ok(Plan::Do(Deed::Open { there, flags }));
            }
            // Devices, FIFOs and folders are the kernel's to open, in the free folders.
            if !there.is_file() || !may {
                return kernels(Errno::ACCESS);
            }
            let path = there.path.clone();
            let deed = Deed::Open { there, flags };
            Ok(decide(around, &path, true, cuts, deed))
        }
        Target::New { place, may } => {
            if !may {
                return kernels(Errno::ACCESS);
            }
            let path = place.path.clone();
            let deed = Deed::Create { place, flags, mode };
            Ok(decide(around, &path, false, cuts, deed))
        }
    }
}

/// A file in the free folders is opened by the kernel, where Landlock holds it there; any other is
/// asked about.
fn decide(around: &Around<'_>, path: &[u8], exists: bool, cuts: bool, deed: Deed) -> Plan {
    match around.lies(path) {
        Lies::Outside => {}
        _ if around.strict => {}
        _ if cuts => return Plan::Do(deed),
        _ => return GO_ON,
    }
    write(around, path.to_vec(), exists, deed)
}

/// The question whether a path may be written.
pub(crate) fn write(around: &Around<'_>, path: Vec<u8>, exists: bool, deed: Deed) -> Plan {
    Plan::ask(around, Act::Write(Write { path, exists }), deed)
}

enum Target {
    Kernels,
    There { there: There, may: bool },
    New { place: Place, may: bool },
}

fn target(base: &Base<'_>, flags: i32) -> Result<Target, Errno> {
    let follow = flags & libc::O_NOFOLLOW == 0;
    match base.there(follow) {
        Ok(there) if there.is_kernels() => Ok(Target::Kernels),
        Ok(there) => {
            let may = there.may_write();
            Ok(Target::There { there, may })
        }
        Err(Errno::NOENT) if flags & libc::O_CREAT != 0 => {
            let place = base.place()?;
            if place.folder {
                return Err(Errno::ISDIR);
            }
            if place.is_kernels() {
                return Ok(Target::Kernels);
            }
            let may = place.may_change();
            Ok(Target::New { place, may })
        }
        Err(errno) => Err(errno),
    }
}

/// truncate(2), which Landlock before Linux 6.2 does not hold: never the kernel's to do.
pub(crate) fn truncate(around: &Around<'_>, path: u64, length: i64) -> Result<Plan, Errno> {
    let caller = around.caller;
    let path = memory::path(caller.thread, path)?;
    let base = caller.base(libc::AT_FDCWD, &path)?;
    let look = || {
        let there = base.there(true)?;
        match there.is_file() && !there.is_kernels() {
            true => Ok((there.may_write(), there)),
            false => Err(Errno::INVAL),
        }
    };
    let (may, there) = around.as_caller(look)??;
    if !may {
        return Err(Errno::ACCESS);
    }
    let (path, lies) = (there.path.clone(), around.lies(&there.path));
    let deed = Deed::Truncate { there, length };
    Ok(match lies {
        Lies::Outside => write(around, path, true, deed),
        _ if around.strict => write(around, path, true, deed),
        _ => Plan::Do(deed),
    })
}

/// The flags of an open of what was opened to be looked at.
pub(crate) fn again(flags: i32) -> OFlags {
    let kept = flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC);
    OFlags::from_bits_retain(kept.cast_unsigned())
}

/// The bits of a new file.
pub(crate) fn mode(mode: u32, umask: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777 & !umask)
}
