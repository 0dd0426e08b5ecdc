// SPDX-License-Identifier: Apache-2.0
//! A VMM whose guest is to stand still, or has another life.
//!
//! None of these is an error here: a VMM that no longer listens has ended or is about to be killed,
//! which is noticed elsewhere.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::Duration;

use vmm::config::MAX_LIFE;
use vmm::control::{self, Body, ControlError, Park, Pause, Resume, Retime};

use super::Machine;

impl Machine {
    /// Stops the guest, which may stand still and run for so long from now on.
    pub fn pause(&self, life: Duration) {
        let life_ms = millis(life);
        let _ = control::send(&self.life, Body::Pause(Pause { life_ms }), None);
    }

    /// Moves the memory of a guest that stands still to an empty file.
    ///
    /// # Errors
    /// It cannot be asked.
    pub fn park(&self, file: &File) -> Result<(), ControlError> {
        control::send(&self.life, Body::Park(Park {}), Some(file.as_fd()))
    }

    /// Lets the guest go on, for so long.
    pub fn resume(&self, life: Duration) {
        let life_ms = millis(life);
        let _ = control::send(&self.life, Body::Resume(Resume { life_ms }), None);
    }

    /// Gives the guest, which runs, another life.
    pub fn retime(&self, life: Duration) {
        let life_ms = millis(life);
        let _ = control::send(&self.life, Body::Retime(Retime { life_ms }), None);
    }
}

/// As a VMM takes it: a life of nothing is none, and none lasts longer than a day.
fn millis(life: Duration) -> u64 {
    let life = life.clamp(Duration::from_millis(1), MAX_LIFE);
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}
