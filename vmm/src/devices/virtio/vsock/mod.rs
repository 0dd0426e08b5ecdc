// SPDX-License-Identifier: Apache-2.0
//! The socket device (virtio 1.2 §5.10) in user space: the guest's AF_VSOCK streams become Unix
//! stream sockets of the host.
//!
//! ```text
//!  guest ── tx queue ──► Muxer ── send ──► host sockets      guest-initiated: the supervisor
//!        ◄── rx queue ──   │   ◄── recv ──                   connects and passes the socket
//!                          └── epoll: sockets, connector,    host-initiated: a client says
//!                              listener, timer               "CONNECT <port>" to the listener
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | `spec.rs` | the packet header |
//! | `connection.rs` | one connection's state and credit, pure |
//! | `muxer.rs` | the table of connections |
//! | `guest.rs`, `host.rs` | what each side does to it |
//! | `state.rs` | the table in a snapshot |
//! | `unix.rs` | sockets, connector, epoll |
//! | `mod.rs` | the queues |
//!
//! Data is copied once each way, between the guest's buffer and the host's socket. The device
//! has a buffer only for what a host socket does not take, bounded by the credit it gave.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use self::muxer::Muxer;
use self::unix::Connector;
use super::queue::{Queue, Queues};
use super::{DeviceError, Identity, VirtioDevice};

mod connection;
mod guest;
mod host;
mod muxer;
mod spec;
mod state;
mod unix;

/// Queue indices (virtio 1.2 §5.10.2).
const RX: usize = 0;
const TX: usize = 1;

/// Entries of the queues. The kernel's driver fills the whole rx queue with buffers of 4 KiB
/// when it starts, which costs boot time and memory, so that queue is no longer than its
/// throughput needs (32 cost a fourteenth of it, 128 gain nothing); it puts 8 buffers in the
/// event queue, which says nothing here since a guest keeps its address for life.
const QUEUE_SIZES: &[u16] = &[64, 128, 8];

/// Most packets given to the guest in one go, while it keeps giving buffers.
const PACKETS_A_TURN: u32 = 128;

/// The socket device.
#[derive(Debug)]
pub struct Vsock {
    muxer: Muxer,
    config: [u8; 8],
}

impl Vsock {
    /// A socket device for the guest `cid`.
    ///
    /// `connector` is the supervisor's socket of [`crate::control`]; `listener`, if any, accepts
    /// connections into the guest.
    ///
    /// # Errors
    /// The host gives no descriptors.
    pub fn new(cid: u64, connector: OwnedFd, listener: Option<UnixListener>) -> io::Result<Self> {
        if let Some(listener) = &listener {
            listener.set_nonblocking(true)?;
        }
        Ok(Self {
            muxer: Muxer::new(cid, Connector::new(connector)?, listener)?,
            // virtio 1.2 §5.10.4
            config: cid.to_le_bytes(),
        })
    }

    /// Gives the guest what is due, as long as it has buffers.
    fn fill(&mut self, queues: &mut Queues) -> Result<(), DeviceError> {
        let Some(queue) = queues.get(RX) else {
            return Ok(());
        };
        let filled = self.fill_queue(queue);
        queue.notify()?;
        filled
    }

    fn fill_queue(&mut self, queue: &mut Queue) -> Result<(), DeviceError> {
        let mut left = PACKETS_A_TURN;
        while self.muxer.has_due() {
            if left == 0 {
                return Ok(queue.again()?);
            }
            left = left.saturating_sub(1);
            let Some(chain) = queue.pop()? else {
                // The driver notifies us when it adds a buffer. If it just did, go on.
                match queue.wait()? {
                    true => continue,
                    false => return Ok(()),
                }
            };
            let head = chain.head();
            match self.muxer.give_packet(chain.writable) {
                Ok(Some(len)) => queue.add_used(head, len)?,
                Ok(None) => queue.undo_pop(),
                Err(fault) => return Err(queue.fault(fault)),
            }
        }
        Ok(())
    }
}

impl VirtioDevice for Vsock {
    fn identity(&self) -> Identity {
        Identity {
            name: "vsock",
            id: 19,
            features: spec::F_STREAM,
            queue_sizes: QUEUE_SIZES,
        }
    }

    fn config(&self) -> &[u8] {
        &self.config
    }

    fn backend(&self) -> Option<BorrowedFd<'_>> {
        Some(self.muxer.poller.fd())
    }

    fn start(&mut self) -> io::Result<()> {
        self.muxer.start()
    }

    fn handle_queue(&mut self, index: usize, queues: &mut Queues) -> Result<(), DeviceError> {
        if index == TX
            && let Some(queue) = queues.get(TX)
        {
            let muxer = &mut self.muxer;
            queue.serve(|mut chain| {
                muxer.take_packet(&mut chain.readable);
                Ok(0)
            })?;
        }
        self.fill(queues)
    }

    fn handle_backend(&mut self, queues: &mut Queues) -> Result<(), DeviceError> {
        self.muxer.on_host()?;
        self.fill(queues)
    }

    fn stop(&mut self) {
        self.muxer.stop();
    }

    fn save(&self) -> Vec<u8> {
        self.muxer.save()
    }

    fn restore(&mut self, state: &[u8]) -> io::Result<()> {
        let restored = self.muxer.restore(state);
        restored.ok_or(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests;
