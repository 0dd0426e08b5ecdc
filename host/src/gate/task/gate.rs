// SPDX-License-Identifier: Apache-2.0
//! The gate's connection: what it says, one frame after the other, and what it is told.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::os::fd::OwnedFd;

use prost::Message;
use protocol::actions::{Done, Intent, Uses, Withdrawn};
use protocol::messages::Hello;
use protocol::{Frame, FrameError, Kind, VERSION};

use super::super::SAYS;
use super::super::asks::{Asker, PEOPLES};
use super::super::court::short;
use super::super::intent::text;
use super::super::wire::FromLoop;
use super::Task;
use crate::events::{UseOf, What};
use crate::supervise::wire::Wire;

/// Passes under grants that are recorded of one frame, and words of each.
const USES: usize = 1024;

/// Words of each that are recorded.
const WORDS: usize = 64;

/// Bytes that the gate may tell of one task: what is recorded of them is about as much. A build of
/// a hundred thousand commands tells some two hundred MiB.
pub(in crate::gate) const SHARE: u64 = if cfg!(test) { 8 << 20 } else { 1 << 30 };

/// What is recorded beside what is told of an action: its number, its verdict and why.
const BESIDE: u64 = 512;

/// The gate's connection.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) wire: Wire,
    pub(super) greeted: bool,
}

impl Task<'_> {
    /// Takes the gate's connection. All that waited on one before is forgotten: the gate asks
    /// again.
    pub(super) fn connected(&mut self, socket: OwnedFd) {
        self.disconnected();
        self.gate = Some(Gate {
            wire: Wire::new(socket, SAYS),
            greeted: false,
        });
    }

    pub(super) fn disconnected(&mut self) {
        self.gate = None;
        // What was decided before counts, also for the gate that asks again.
        self.hear();
        let of_gate = |asker| match asker {
            Asker::Intent(_) => true,
            Asker::Said(id, _) => id != PEOPLES,
            Asker::Root(_) => false,
        };
        self.said.disconnected();
        self.withdraw_all(of_gate, "the gate that asked is gone");
    }

    /// Reads what the gate says.
    pub(super) fn gate(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.wire.flush();
            if gate.wire.receive().is_err() {
                return self.disconnected();
            }
        }
        while !self.is_paused() {
            let frame = match self.gate.as_mut().map(|gate| gate.wire.take()) {
                Some(Ok(Some(frame))) => frame,
                Some(Ok(None)) => break,
                Some(Err(error)) => return self.broke(&error),
                None => return,
            };
            if self.is_filled(frame.body.len()) {
                return;
            }
            if let Err(error) = self.frame(&frame) {
                return self.broke(&error);
            }
        }
        if self.gate.as_ref().is_some_and(|gate| !gate.wire.is_open()) {
            self.disconnected();
        }
    }

    /// Ends a task that has filled its share of the record: one of all tasks, which stops every
    /// other when the disk is full.
    fn is_filled(&mut self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.told = self.told.saturating_add(bytes).saturating_add(BESIDE);
        let filled = self.told > SHARE;
        if filled {
            let why = "gate:record: it has filled its share of the record of events";
            self.tell(&FromLoop::Refused(why.to_owned()));
            self.over = true;
        }
        filled
    }

    fn broke(&mut self, error: &FrameError) {
        let text = format!("the gate broke the protocol: {}", crate::cli::chain(error));
        self.book.note(None, What::Note { text: short(&text) });
        self.disconnected();
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), FrameError> {
        let kind = frame.kind;
        let greeted = self.gate.as_ref().is_some_and(|gate| gate.greeted);
        if (kind == Kind::Hello) == greeted {
            return Err(FrameError::Unexpected { kind });
        }
        match kind {
            Kind::Hello => {
                let hello: Hello = frame.decode(kind)?;
                if hello.version != VERSION {
                    return Err(FrameError::Unexpected { kind });
                }
                self.greeted();
            }
            Kind::Intent => {
                let intent: Intent = frame.decode(kind)?;
                if intent.tells_too_much() {
                    return Err(FrameError::Unexpected { kind });
                }
                self.intent(intent, frame.body.len());
            }
            Kind::Uses => self.uses(&frame.decode(kind)?),
            Kind::Withdrawn => {
                let Withdrawn { id } = frame.decode(kind)?;
                let why = "the process that asked is gone";
                if self.withdraw(Asker::Intent(id), why) {
                    self.book.note(None, What::Withdrawn { id });
                }
                self.unsaid(id, why);
            }
            Kind::Done => self.done(&frame.decode(kind)?),
            Kind::Declared => self.heard(&frame.decode(kind)?),
            kind => return Err(FrameError::Unexpected { kind }),
        }
        Ok(())
    }

    fn greeted(&mut self) {
        if let Some(gate) = &mut self.gate {
            gate.greeted = true;
        }
        self.grant("the gate connected");
        self.tell_gate();
    }

    /// Tells the gate what it need not ask, in place of all before.
    pub(super) fn grant(&mut self, why: &str) {
        let grants = self.court.grants();
        let programs = u32::try_from(grants.programs.len()).unwrap_or(u32::MAX);
        let why = why.to_owned();
        self.book.note(None, What::Granted { programs, why });
        self.say(Kind::Grants, &grants);
    }

    /// Looks whether policies and model are what they were, and tells the gate if not.
    pub(super) fn look_at_policies(&mut self) {
        let generation = self.court.look(&self.shared.shelf);
        if std::mem::replace(&mut self.generation, generation) != generation {
            self.grant("the policies or the model changed");
        }
    }

    /// Sends the gate a message. One that does not read loses its connection.
    pub(super) fn say(&mut self, kind: Kind, message: &impl Message) {
        if let Some(gate) = &mut self.gate
            && gate.wire.post(kind, &message.encode_to_vec()).is_err()
        {
            self.disconnected();
        }
    }

    fn uses(&mut self, uses: &Uses) {
        let over = uses.uses.len().saturating_sub(USES);
        let lost = uses
            .lost
            .saturating_add(u64::try_from(over).unwrap_or(u64::MAX));
        let told = uses.uses.iter().take(USES).map(|one| {
            let argv: Vec<String> = one.argv.iter().take(WORDS).map(|word| text(word)).collect();
            UseOf {
                grant: one.grant,
                program: argv.first().cloned().unwrap_or_default(),
                argv,
                pid: one.pid,
            }
        });
        let uses = told.collect();
        self.book.note(None, What::Uses { uses, lost });
    }

    fn done(&mut self, done: &Done) {
        let what = What::Done {
            id: done.id,
            errno: done.errno,
            rule: short(&done.rule),
            detail: short(&done.detail),
        };
        self.book.note(Some(done.root), what);
    }
}
