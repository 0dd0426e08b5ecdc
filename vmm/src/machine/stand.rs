// SPDX-License-Identifier: Apache-2.0
//! A guest that stands still: its vCPUs do not run and its clocks do not go, until its supervisor
//! lets it go on. Its memory may meanwhile be in a file (*parked*), from which it comes back page
//! by page as the guest uses it.
//!
//! Devices are still served, so what comes for the guest waits in its queues. A guest that stands
//! still cannot hear that its supervisor has gone, so it ends with it.

use std::fs::File;

use super::life::LifeError;
use super::write::SaveError;
use super::{Machine, SetupError, now_ns};
use crate::control::{self, Body, Parked, Pause, Paused, Resume};
use crate::end::{Cause, chain};
use crate::kvm::{Kicker, KvmError};
use crate::memory::MemoryError;
use crate::snapshot::{self, ParkError};

/// What a supervisor wants of a guest that stands still, or is to.
pub(super) enum Stand {
    Pause(Pause),
    Park(File),
    Resume(Resume),
}

/// What the guest's clocks showed.
#[derive(Debug)]
pub(super) struct Clocks {
    kvm_clock: u64,
    /// Of each vCPU.
    tsc: Vec<u64>,
}

/// Why a guest could not stand still, or not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StandError {
    #[error(transparent)]
    Life(#[from] LifeError),
    #[error("the guest's clocks cannot be stopped")]
    Clocks(#[from] KvmError),
    #[error(transparent)]
    Start(#[from] SetupError),
    #[error("the guest's memory was lost on its way to a file")]
    Memory(#[from] MemoryError),
}

impl Machine {
    /// Does what a supervisor wants. What it wants twice, or of a guest that runs, is nothing.
    pub(super) fn stand(&mut self, threads: &mut Kicker, stand: Stand) -> Result<(), Cause> {
        let done = match stand {
            Stand::Pause(pause) => self.pause(threads, &pause),
            Stand::Park(file) => self.park(&file),
            Stand::Resume(resume) => self.resume(threads, &resume),
        };
        done.map_err(Cause::Stand)
    }

    fn pause(&mut self, threads: &mut Kicker, pause: &Pause) -> Result<(), StandError> {
        self.life.again(pause.life_ms)?;
        if self.stands.is_none() {
            self.life.depend(true);
            let all = self.vcpus_to_stop(threads);
            let stopped_ns = now_ns();
            self.stands = Some(self.clocks()?);
            let error = match all {
                true => String::new(),
                false => SaveError::Ending.to_string(),
            };
            let paused = Paused { error, stopped_ns };
            // A supervisor that is gone takes the guest with it.
            let _ = control::send(&self.control, Body::Paused(paused), None);
        }
        Ok(())
    }

    fn resume(&mut self, threads: &mut Kicker, resume: &Resume) -> Result<(), StandError> {
        self.life.again(resume.life_ms)?;
        let Some(clocks) = self.stands.take() else {
            return Ok(());
        };
        self.life.depend(false);
        self.set_clocks(&clocks)?;
        Ok(self.go_on(threads)?)
    }

    /// Stops the vCPUs, in their order; whether none had ended.
    pub(super) fn vcpus_to_stop(&mut self, threads: &mut Kicker) -> bool {
        let count = threads.count();
        self.vcpus = threads.stop();
        // They were started from the last to the first.
        self.vcpus.reverse();
        self.vcpus.len() == count
    }

    /// Lets vCPUs that were stopped run again.
    pub(super) fn go_on(&mut self, threads: &mut Kicker) -> Result<(), SetupError> {
        self.ending.go_on();
        for vcpu in &self.vcpus {
            vcpu.excuse();
        }
        self.start(threads, false)
    }

    fn clocks(&self) -> Result<Clocks, KvmError> {
        Ok(Clocks {
            kvm_clock: self.vm.clock()?,
            tsc: self
                .vcpus
                .iter()
                .map(|vcpu| vcpu.tsc())
                .collect::<Result<_, _>>()?,
        })
    }

    /// The TSC first: kvm-clock is counted from it. KVM takes a TSC that is less than a second
    /// behind for an attempt to make vCPUs agree, and leaves it as it is; the guest then sees it
    /// go that much faster once, as after an interrupt that took long.
    fn set_clocks(&self, clocks: &Clocks) -> Result<(), KvmError> {
        for (vcpu, tsc) in self.vcpus.iter().zip(&clocks.tsc) {
            vcpu.set_tsc(*tsc)?;
        }
        self.vm.set_clock(clocks.kvm_clock)
    }

    fn park(&mut self, file: &File) -> Result<(), StandError> {
        let parked = match self.stands {
            // No device writes to guest memory meanwhile: this is their thread.
            Some(_) => snapshot::move_to(file, &self.memory),
            None => Err(ParkError::Runs),
        };
        let error = match parked {
            Ok(()) => String::new(),
            Err(ParkError::Lost(error)) => return Err(error.into()),
            Err(error) => chain(&error),
        };
        let _ = control::send(&self.control, Body::Parked(Parked { error }), None);
        Ok(())
    }
}
