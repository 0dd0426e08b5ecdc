// SPDX-License-Identifier: Apache-2.0
//! The machine's devices and their places on its buses.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};

use super::SetupError;
use crate::arch::x86_64::layout;
use crate::bus::Range;
use crate::devices::i8042::I8042;
use crate::devices::serial::Serial;
use crate::devices::virtio::VirtioDevice;
use crate::devices::virtio::block::Block;
use crate::devices::virtio::mmio::Transport;
use crate::devices::virtio::rng::Rng;
use crate::devices::virtio::vsock::Vsock;
use crate::end::{Cause, Ending};
use crate::kvm::{Buses, Vm};

/// `QueueNotify` in a device's window (virtio 1.2 §4.2.2).
const QUEUE_NOTIFY: u64 = 0x50;
/// Every guest's vsock address: each has a host of its own, and identity is the task's id.
const GUEST_CID: u64 = 3;

/// Every guest's devices, in the order of their windows: drives (the kernel names them vda,
/// vdb... as it finds them), then vsock, then rng.
pub(super) fn virtio_devices(
    drives: Vec<Option<File>>,
    connector: OwnedFd,
    listener: Option<UnixListener>,
) -> Result<Vec<Box<dyn VirtioDevice>>, SetupError> {
    let mut devices: Vec<Box<dyn VirtioDevice>> = Vec::new();
    for (index, drive) in drives.into_iter().enumerate() {
        let block = match drive {
            Some(file) => Block::new(file).map_err(|source| SetupError::Drive { index, source })?,
            None => Block::empty(),
        };
        devices.push(Box::new(block));
    }
    let vsock = Vsock::new(GUEST_CID, connector, listener).map_err(SetupError::Device)?;
    devices.push(Box::new(vsock));
    devices.push(Box::new(Rng::new()));
    Ok(devices)
}

pub(super) fn attach_console(vm: &Vm, buses: &mut Buses) -> Result<Arc<Mutex<Serial>>, SetupError> {
    let line = vm.interrupt_line(layout::SERIAL_IRQ)?;
    let serial = Arc::new(Mutex::new(Serial::new(line)));
    let (base, len) = (layout::SERIAL_PORT, 8);
    buses.ports.insert(Range { base, len }, serial.clone())?;
    Ok(serial)
}

pub(super) fn attach_i8042(buses: &mut Buses, ending: &Arc<Ending>) -> Result<(), SetupError> {
    let ending = ending.clone();
    // Held by the port bus alone.
    let i8042 = Arc::new(Mutex::new(I8042::new(move || ending.report(Cause::Reset))));
    let (base, len) = (layout::I8042_PORT, 5);
    Ok(buses.ports.insert(Range { base, len }, i8042)?)
}

pub(super) fn attach(
    vm: &Vm,
    buses: &mut Buses,
    base: u64,
    transport: &Arc<Mutex<Transport>>,
) -> Result<(), SetupError> {
    let notify = base.saturating_add(QUEUE_NOTIFY);
    let device = transport.lock().unwrap_or_else(PoisonError::into_inner);
    for (queue, event) in (0..).zip(device.queue_events()) {
        vm.notify(event, notify, queue)?;
    }
    let len = layout::DEVICE_WINDOW;
    Ok(buses.mmio.insert(Range { base, len }, transport.clone())?)
}
