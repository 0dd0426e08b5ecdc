// SPDX-License-Identifier: Apache-2.0
//! Takes away what a task held, once its end is recorded and its output is out.
//!
//! ```text
//! ampoule run ── end recorded ── fork ──► exit with the command's code
//!                                  └────► reaper: VMM gone, cgroup, folder
//! ```
//!
//! KVM needs tens of milliseconds to take a machine down, and nobody who waits for a command's
//! code should wait for that. So `ampoule run` leaves it to a copy of itself: in a process group of
//! its own, holding none of the caller's streams (who reads them waits for their end), with the
//! signals blocked that are for the command. A reaper that is killed all the same leaves what
//! [`super::orphans`] finds: a task that has ended, a folder, and nobody with its lock.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::path::PathBuf;

use super::cgroup::{self, Cgroup};
use super::locks;
use super::machine::Machine;
use crate::sys::fork;

/// What the process is called.
const NAME: &CStr = c"ampoule-reaper";

/// What a task holds besides its record. Dropping it frees it.
#[derive(Debug)]
pub(super) struct Holdings {
    /// Its folder.
    pub(super) runtime: PathBuf,
    /// Its cgroup.
    pub(super) cgroup: Option<Cgroup>,
    /// Its VMM.
    pub(super) machine: Option<Machine>,
    /// One of the task's locks. Last, so that it is released last.
    pub(super) lock: File,
}

impl Holdings {
    /// Lets go of the supervisor's lock, as the task's end is recorded, and keeps the reaper's.
    fn take_over(&mut self) -> io::Result<()> {
        self.lock = locks::take(&self.runtime, locks::REAPER)?;
        Ok(())
    }

    /// Frees everything here and now.
    pub(super) fn free(mut self) {
        // Without the lock another command may be at the same, which harms neither.
        let _ = self.take_over();
    }

    /// Leaves it to a process of its own, or frees it here where there is none to be had.
    pub(super) fn leave(mut self) {
        if self.take_over().is_err() {
            return;
        }
        let keep: Vec<RawFd> = self.descriptors().map(|fd| fd.as_raw_fd()).collect();
        // This process has one thread: whatever had another has ended it by now. Where no
        // process is to be had, the work is dropped, and what it holds with it.
        let _ = fork::leave(NAME, &keep, move || drop(self));
    }

    fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let machine = self.machine.iter().flat_map(Machine::descriptors);
        let cgroup = self.cgroup.iter().map(Cgroup::dir);
        machine.chain(cgroup).chain([self.lock.as_fd()])
    }
}

impl Drop for Holdings {
    fn drop(&mut self) {
        self.machine = None;
        if let Some(cgroup) = self.cgroup.take()
            && let Err(error) = cgroup::destroy(cgroup.path())
        {
            let path = cgroup.path().display();
            eprintln!("ampoule: cannot remove the cgroup {path}: {error}");
        }
        let _ = fs::remove_dir_all(&self.runtime);
    }
}
