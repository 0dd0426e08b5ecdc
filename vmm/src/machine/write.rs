// SPDX-License-Identifier: Apache-2.0
//! What is written of a machine: its vCPUs stop, everything is written, they go on.

use std::fs::File;
use std::sync::PoisonError;

use super::Machine;
use crate::control::{self, Body, Snapshotted};
use crate::end::{Cause, chain};
use crate::kvm::{Kicker, KvmError};
use crate::snapshot::{self, SnapshotError};

/// Why a running machine could not be written to a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum SaveError {
    #[error("the guest is ending")]
    Ending,
    #[error("the guest stands still")]
    Stands,
    #[error("a machine with a debug console cannot be written: its port is not part of a snapshot")]
    Console,
    #[error("KVM does not give the machine's state")]
    Kvm(#[from] KvmError),
    #[error("the snapshot cannot be written")]
    Write(#[from] SnapshotError),
}

/// What is written of a machine that stands still.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// The machine.
    Snapshot,
    /// What the guest uses, into its snapshot.
    WorkingSet,
}

impl Machine {
    /// Writes something of the machine into a file, and says whether it did.
    pub(super) fn write(
        &mut self,
        threads: &mut Kicker,
        what: What,
        file: &File,
    ) -> Result<(), Cause> {
        if self.stands.is_some() {
            self.written(Err(SaveError::Stands));
            return Ok(());
        }
        let all = self.vcpus_to_stop(threads);
        let written = match what {
            _ if !all => Err(SaveError::Ending),
            What::Snapshot => self.save(file),
            What::WorkingSet => self.note_working_set(file),
        };
        self.written(written);
        self.go_on(threads).map_err(Cause::Setup)
    }

    /// A supervisor that is gone takes its wish with it.
    fn written(&self, written: Result<(), SaveError>) {
        let error = written.err().map(|error| chain(&error)).unwrap_or_default();
        let snapshotted = Body::Snapshotted(Snapshotted { error });
        let _ = control::send(&self.control, snapshotted, None);
    }

    /// Writes the machine, which stands still.
    fn save(&self, file: &File) -> Result<(), SaveError> {
        if self.devices.console.is_some() {
            return Err(SaveError::Console);
        }
        let mut state = self.vm.save(&self.vcpus)?;
        state.devices = self
            .devices
            .virtio
            .iter()
            .map(|transport| {
                let transport = transport.lock().unwrap_or_else(PoisonError::into_inner);
                transport.save()
            })
            .collect();
        Ok(snapshot::write(file, state, &self.memory)?)
    }

    /// The first time keeps what the guest has used, the second adds all to the snapshot.
    fn note_working_set(&mut self, file: &File) -> Result<(), SaveError> {
        match self.used.take() {
            None => self.used = Some(snapshot::own_pages(&self.memory)),
            Some(ready) => snapshot::add_working_set(file, &self.memory, &ready)?,
        }
        Ok(())
    }
}
