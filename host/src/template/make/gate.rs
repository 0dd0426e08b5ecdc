// SPDX-License-Identifier: Apache-2.0
//! Whom the gate of a guest that is to be stored finds, should the first command do more than run:
//! nobody who lets anything pass.
//!
//! Nothing of the gate is in a template. It ends when the guest stands still with no command in
//! it, and takes its connection, and whatever it was told, along: a restored guest's begins anew
//! and asks a host of its own.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::os::fd::OwnedFd;

use prost::Message;
use protocol::actions::{Declared, Hold, Intent, Reply, Verdict};
use protocol::{Frame, FrameError, Kind};

use crate::gate::SAYS;
use crate::supervise::wire::Wire;

/// The gate's connection.
#[derive(Debug)]
pub(super) struct Gate(Wire);

impl Gate {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self(Wire::new(socket, SAYS))
    }

    /// The connection, while it is open.
    pub(super) fn open(&self) -> Option<&Wire> {
        Some(&self.0).filter(|wire| wire.is_open())
    }

    /// Answers what the gate says.
    pub(super) fn answer(&mut self) -> Result<(), FrameError> {
        self.0.flush();
        self.0.receive()?;
        while let Some(frame) = self.0.take()? {
            self.refuse(&frame)?;
        }
        Ok(())
    }

    fn refuse(&mut self, frame: &Frame) -> Result<(), FrameError> {
        match frame.kind {
            Kind::Hello => self.say(Kind::Hold, &Hold::default()),
            Kind::Intent => {
                let Intent { id, .. } = frame.decode(Kind::Intent)?;
                let (allow, rest) = (false, Verdict::default());
                self.say(Kind::Verdict, &Verdict { id, allow, ..rest })
            }
            Kind::Declared => {
                let Declared { id, .. } = frame.decode(Kind::Declared)?;
                let (last, rest) = (true, Reply::default());
                self.say(Kind::Reply, &Reply { id, last, ..rest })
            }
            _ => Ok(()),
        }
    }

    fn say(&mut self, kind: Kind, message: &impl Message) -> Result<(), FrameError> {
        self.0.post(kind, &message.encode_to_vec())
    }
}
