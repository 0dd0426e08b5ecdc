// SPDX-License-Identifier: Apache-2.0
//! A guest that waited for nobody in particular becomes a task's: it gets the task's life, and a
//! drive without a medium may get one. Its vCPUs run on meanwhile.

use std::fs::File;
use std::io;
use std::sync::PoisonError;

use super::Machine;
use super::life::LifeError;
use crate::control::{self, Adopt, Adopted, Body, ControlError};

/// Why the guest cannot be a task's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdoptError {
    #[error(transparent)]
    Life(#[from] LifeError),
    #[error("there is no drive {0}")]
    NoDrive(u32),
    #[error("drive {drive} cannot take a medium")]
    Drive {
        drive: u32,
        #[source]
        source: io::Error,
    },
    #[error("its supervisor cannot be told")]
    Supervisor(#[from] ControlError),
}

impl Machine {
    pub(super) fn adopt(&self, adopt: &Adopt, medium: Option<File>) -> Result<(), AdoptError> {
        self.life.again(adopt.life_ms)?;
        self.life.depend(false);
        if let Some(medium) = medium {
            self.insert(adopt.drive, medium)?;
        }
        control::send(&self.control, Body::Adopted(Adopted {}), None)?;
        Ok(())
    }

    fn insert(&self, drive: u32, medium: File) -> Result<(), AdoptError> {
        let index = usize::try_from(drive).unwrap_or(usize::MAX);
        let transport = self.devices.virtio.get(index);
        let transport = transport.ok_or(AdoptError::NoDrive(drive))?;
        let mut transport = transport.lock().unwrap_or_else(PoisonError::into_inner);
        let inserted = transport.insert(medium);
        inserted.map_err(|source| AdoptError::Drive { drive, source })
    }
}
