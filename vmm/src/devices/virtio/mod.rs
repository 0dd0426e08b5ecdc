// SPDX-License-Identifier: Apache-2.0
//! Virtio devices (virtio 1.2) and what they share.
//!
//! ```text
//!   vCPU thread ── MMIO exit ──► Transport ◄── queue eventfds, backend ── event thread
//!                                │ status, negotiation, queue set-up (mmio.rs)
//!                                ▼ on DRIVER_OK
//!                          Queues ──► dyn VirtioDevice   (a device sees only active queues)
//! ```
//!
//! The trait is thin on purpose: negotiation, status, interrupts and descriptors to wait for are
//! the transport's, written once. A device says who it is, and works on chains. It never
//! computes a guest address: a [`queue::Queue`] yields [`chain::Chain`]s whose buffers are
//! checked guest memory.
//!
//! The guest is hostile and can only hurt itself. A request a device does not understand is
//! answered with the device's own error status. A ring that contradicts itself is a
//! [`RingFault`]: its queue stops for good (until the driver resets the device), the driver is
//! told by `DEVICE_NEEDS_RESET`, and the transport counts it for the supervisor. Only
//! [`DeviceError::Host`] ends the machine.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use self::queue::Queues;

pub mod block;
pub mod chain;
mod log_limit;
pub mod mmio;
pub mod queue;
pub mod rng;
#[cfg(test)]
pub(crate) mod testing;
mod transfer;
pub mod vsock;

/// How the guest broke a ring (virtio 1.2 §2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingFault {
    /// The driver's size or addresses do not make a ring inside guest memory.
    #[error("the ring is not in guest memory")]
    Placement,
    /// The available index is further ahead than the ring is long.
    #[error("the available index is further ahead than the ring is long")]
    Index,
    /// A chain loops, leaves its table, nests indirect tables or has an unreadable descriptor.
    #[error("a descriptor chain loops or leaves its table")]
    Descriptor,
    /// A chain has more descriptors than the ring, or more bytes than any request needs.
    #[error("a descriptor chain is longer than any request")]
    Length,
    /// A buffer is outside guest memory.
    #[error("a buffer is outside guest memory")]
    Buffer,
    /// A buffer for the device to read follows one for it to write (virtio 1.2 §2.7.4.2).
    #[error("a readable buffer follows a writable one")]
    Order,
    /// The chain has no room for the answer that every request of its kind gets.
    #[error("a chain has no room for the device's answer")]
    NoRoom,
}

/// Why a device could not serve a queue.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The guest broke a ring; only its device suffers.
    #[error("the guest broke a ring")]
    Guest(#[from] RingFault),
    /// The host failed the device; the machine cannot go on.
    #[error("the host failed a device")]
    Host(#[from] io::Error),
}

/// What never changes about a device.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// For logs and the supervisor.
    pub name: &'static str,
    /// Device ID (virtio 1.2 §5).
    pub id: u32,
    /// The feature bits of this kind of device, without the transport's.
    pub features: u64,
    /// Most entries of each queue, powers of two.
    pub queue_sizes: &'static [u16],
}

/// A device behind a [`mmio::Transport`].
///
/// `start`, `handle_queue` and `handle_backend` run on the event thread or, for `start`, on the
/// vCPU thread that wrote the status; never two at once. Between `stop` and `start` nothing else
/// is called but the accessors.
pub trait VirtioDevice: Send {
    /// Who this is.
    fn identity(&self) -> Identity;

    /// The device's configuration space. Reads past its end give zeros.
    fn config(&self) -> &[u8] {
        &[]
    }

    /// One descriptor that is readable when the device has work that no queue announced. The
    /// same for the device's whole life; quiet while the device is stopped.
    fn backend(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The driver is ready: queues will be served from now on.
    ///
    /// # Errors
    /// A failure of the host.
    fn start(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The driver notified queue `index`.
    ///
    /// # Errors
    /// The guest broke a ring, or the host failed.
    fn handle_queue(&mut self, index: usize, queues: &mut Queues) -> Result<(), DeviceError>;

    /// The backend is readable.
    ///
    /// # Errors
    /// The guest broke a ring, or the host failed.
    fn handle_backend(&mut self, _queues: &mut Queues) -> Result<(), DeviceError> {
        Ok(())
    }

    /// Takes a medium, while the driver looks on; the transport tells it.
    ///
    /// # Errors
    /// A device that takes none, or has one already.
    fn insert(&mut self, _medium: File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The driver reset the device: back to the state before `start`.
    fn stop(&mut self) {}

    /// The device's part of a snapshot, taken between two events. The queues are the
    /// transport's.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Goes on from such a part; called after `start`.
    ///
    /// # Errors
    /// `InvalidData` if the device cannot go on from it, else a failure of the host.
    fn restore(&mut self, _state: &[u8]) -> io::Result<()> {
        Ok(())
    }
}
