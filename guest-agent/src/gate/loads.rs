// SPDX-License-Identifier: Apache-2.0
//! Files that the kernel is about to run, confirmed one by one (fanotify(7),
//! `FAN_OPEN_EXEC_PERM`): of a gated process only those that were judged, whatever path was in its
//! memory when the kernel read it. What grants name is not told of again until it is changed, so a
//! granted start costs nothing here.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::Kind;
use protocol::actions::Done as Told;
use rustix::fs::fstat;

use super::place::{Identity, There};
use super::process::{field, status};
use super::serve::Serve;
use super::sys::{self, Load};

/// A folder of each file system that holds programs: the root, the workspace, the scratch space.
const FILE_SYSTEMS: [&CStr; 4] = [c"/", c"/workspace", c"/tmp", c"/dev"];

/// The descriptor that tells of them.
#[derive(Debug)]
pub(crate) struct Loads {
    told: OwnedFd,
}

impl Loads {
    /// From now on every file waits to be run until it is answered for.
    pub(crate) fn watch() -> io::Result<Self> {
        let told = sys::loads()?;
        for folder in FILE_SYSTEMS {
            sys::watch_loads(&told, folder)?;
        }
        Ok(Self { told })
    }

    /// A file that may be run by anybody, as it is.
    pub(crate) fn trust(&self, there: &There) {
        // One that cannot be is confirmed each time.
        let _ = sys::trust_loads(&self.told, &there.file);
    }
}

impl AsFd for Loads {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}

impl Serve {
    pub(super) fn on_loads(&mut self) {
        let Some(loads) = &self.loads else {
            return;
        };
        let Ok(waiting) = sys::next_loads(&loads.told) else {
            return;
        };
        for load in waiting {
            let allow = self.may_load(&load);
            if let Some(loads) = &self.loads {
                let _ = sys::answer_load(&loads.told, &load, allow);
            }
            if !allow {
                self.tell_of(&load);
            }
        }
    }

    fn may_load(&self, load: &Load) -> bool {
        let Ok(stat) = fstat(&load.file) else {
            return false;
        };
        if self.images.expects(load.process, Identity::of(&stat)) {
            return true;
        }
        let starts = |process: u32| {
            let mut listeners = self.listeners.values();
            listeners.any(|one| one.starting && one.watch.process == process)
        };
        starts(load.process) || !is_filtered(load.process)
    }

    fn tell_of(&mut self, load: &Load) {
        let told = Told {
            pid: load.process,
            root: self.root_of(load.process),
            errno: libc::EPERM.unsigned_abs(),
            rule: "gate:other-program".into(),
            detail: "another file was to be run than what was let pass".into(),
            ..Told::default()
        };
        self.say(Kind::Done, &told);
    }
}

/// Whether a process is under a filter; what cannot be told is.
fn is_filtered(process: u32) -> bool {
    field(&status(process), "Seccomp:").is_none_or(|mode| mode != "0")
}
