// SPDX-License-Identifier: Apache-2.0
//! The gate's connection to the policy loop. It is made when something is gated, and made again
//! when it breaks: what waits goes on waiting meanwhile, and is asked again.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use protocol::actions::{Grants, Reply, Verdict};
use protocol::messages::Hello;
use protocol::{Frame, FrameError, Kind, ports};
use rustix::event::PollFlags;

use super::place::Caller;
use super::programs::Granted;
use super::serve::Serve;
use crate::clock;
use crate::link::Link;

/// How long a host that is lost is left alone.
const AGAIN_NS: u64 = 200_000_000;

impl Serve {
    /// Connects, if it is not connected, and says all that waits.
    pub(super) fn call_host(&mut self) {
        let now = clock::now();
        if self.link.is_some() || now < self.next_call {
            return;
        }
        self.next_call = now.saturating_add(AGAIN_NS);
        let Ok(mut link) = self.connect.connect(ports::ACTIONS).and_then(Link::new) else {
            return;
        };
        let hello = Hello {
            version: protocol::VERSION,
            boot_ns: clock::now(),
        };
        let mut said = link.queue(Kind::Hello, &hello);
        for pending in self.pending.values() {
            said = said.and_then(|()| link.queue(Kind::Intent, &pending.intent));
        }
        for declared in self.door.declared() {
            said = said.and_then(|()| link.queue(Kind::Declared, declared));
        }
        if said.and_then(|()| link.flush()).is_ok() {
            self.link = Some(link);
        }
    }

    /// The host is gone. What waits goes on waiting, what was granted is granted no more.
    pub(super) fn lose(&mut self) {
        self.link = None;
        self.granted = Granted::default();
    }

    pub(super) fn say(&mut self, kind: Kind, message: &impl protocol::Message) {
        let sent = self.link.as_mut().map(|link| link.send(kind, message));
        if matches!(sent, Some(Err(_))) {
            self.lose();
        }
    }

    pub(super) fn on_host(&mut self, flags: PollFlags) {
        if self.hear(flags).is_err() {
            self.lose();
        }
    }

    fn hear(&mut self, flags: PollFlags) -> Result<(), FrameError> {
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        if flags.intersects(PollFlags::OUT) {
            link.flush()?;
        }
        if flags.intersects(!PollFlags::OUT) {
            link.receive(&mut self.buffer)?;
        }
        while let Some(frame) = self.link.as_mut().and_then(|link| link.frame().transpose()) {
            self.on_frame(&frame?)?;
        }
        Ok(())
    }

    fn on_frame(&mut self, frame: &Frame) -> Result<(), FrameError> {
        match frame.kind {
            Kind::Verdict => {
                let verdict: Verdict = frame.decode(Kind::Verdict)?;
                self.decided(&verdict);
            }
            Kind::Asked => drop(frame.decode::<protocol::actions::Asked>(Kind::Asked)?),
            Kind::Reply => {
                let reply: Reply = frame.decode(Kind::Reply)?;
                self.door.reply(&reply);
            }
            Kind::Grants => {
                let grants: Grants = frame.decode(Kind::Grants)?;
                let me = Caller {
                    thread: std::process::id(),
                };
                let loads = self.loads.as_ref();
                self.granted = Granted::new(&grants, me, &self.originals, loads);
                self.images.pass_all(self.granted.identities());
            }
            Kind::Hold => self.hold = frame.decode(Kind::Hold)?,
            kind => return Err(FrameError::Unexpected { kind }),
        }
        Ok(())
    }
}
