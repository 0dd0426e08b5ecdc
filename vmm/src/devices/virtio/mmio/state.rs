// SPDX-License-Identifier: Apache-2.0
//! A transport in a snapshot: taken between two events, while no vCPU runs, without disturbing
//! it; and made anew from that.
//!
//! Nothing that is on its way is in the state. A notification that the device has not looked at
//! is found again, because a device that starts looks at all its queues; an interrupt that KVM
//! may not have taken yet is raised again, which a driver finds to be nothing new.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::fs::File;
use std::io;

use super::super::queue::QueueConfig;
use super::super::{DeviceError, VirtioDevice};
use super::{Transport, status};
use crate::interrupt::Interrupt;
use crate::memory::GuestMemory;
use crate::snapshot::{QueueState, SnapshotError, TransportState};

impl Transport {
    /// Its state.
    pub(crate) fn save(&self) -> TransportState {
        let queues = self.configs.iter().enumerate();
        TransportState {
            id: self.identity.id,
            status: self.status,
            device_features_sel: self.device_features_sel,
            driver_features_sel: self.driver_features_sel,
            driver_features: self.driver_features,
            queue_sel: self.queue_sel,
            causes: self.interrupt.causes(),
            generation: self.generation,
            queues: queues
                .map(|(index, config)| self.save_queue(index, config))
                .collect(),
            config: self.device.config().to_vec(),
            device: self.device.save(),
        }
    }

    fn save_queue(&self, index: usize, config: &QueueConfig) -> QueueState {
        let running = self.running.as_ref().and_then(|queues| queues.peek(index));
        let (next_available, next_used) = running.map_or((0, 0), |queue| queue.position());
        QueueState {
            size: config.size,
            ready: config.ready,
            descriptors: config.descriptors,
            driver: config.driver,
            device: config.device,
            next_available: next_available.into(),
            next_used: next_used.into(),
            broken: running.is_some_and(|queue| queue.is_broken()),
        }
    }

    /// A transport that goes on from `state`. If the device's configuration is not what the
    /// driver has read, the driver is told.
    ///
    /// # Errors
    /// The state is not of this device, or makes no sense; or the host is out of descriptors.
    pub(crate) fn restored(
        device: Box<dyn VirtioDevice>,
        memory: GuestMemory,
        interrupt: Interrupt,
        state: &TransportState,
    ) -> Result<Self, SnapshotError> {
        let mut transport = Self::new(device, memory, interrupt)?;
        if transport.identity.id != state.id || transport.configs.len() != state.queues.len() {
            return Err(SnapshotError::Corrupt("its devices are others"));
        }
        transport.status = state.status;
        transport.device_features_sel = state.device_features_sel;
        transport.driver_features_sel = state.driver_features_sel;
        transport.driver_features = state.driver_features;
        transport.queue_sel = state.queue_sel;
        transport.generation = state.generation;
        for (config, state) in transport.configs.iter_mut().zip(&state.queues) {
            config.restore(state);
        }
        if transport.has(status::DRIVER_OK) {
            transport.go_on(state)?;
        }
        Ok(transport)
    }

    fn go_on(&mut self, state: &TransportState) -> Result<(), SnapshotError> {
        self.start().map_err(|error| match error {
            DeviceError::Host(error) => SnapshotError::File(error),
            DeviceError::Guest(_) => SnapshotError::Corrupt("a queue is not in guest memory"),
        })?;
        for (index, state) in state.queues.iter().enumerate() {
            if let Some(queue) = self.running.as_mut().and_then(|queues| queues.get(index)) {
                let position = (state.next_available, state.next_used);
                queue
                    .resume(position, state.broken)
                    .ok_or(SnapshotError::Corrupt("a queue's position"))?;
            }
        }
        self.device
            .restore(&state.device)
            .map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => SnapshotError::Corrupt("a device's state"),
                _ => SnapshotError::File(error),
            })?;
        if state.causes != 0 {
            self.interrupt.raise(state.causes)?;
        }
        if self.device.config() != state.config {
            self.configuration_changed()?;
        }
        Ok(())
    }

    /// Puts a medium into the device, and tells its driver.
    ///
    /// # Errors
    /// The device has one or takes none; or a failure of the host.
    pub(crate) fn insert(&mut self, medium: File) -> io::Result<()> {
        self.device.insert(medium)?;
        self.configuration_changed()
    }

    fn configuration_changed(&mut self) -> io::Result<()> {
        self.generation = self.generation.wrapping_add(1);
        self.interrupt.signal_config()
    }
}
