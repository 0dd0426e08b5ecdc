// SPDX-License-Identifier: Apache-2.0
//! The gate's connection to the policy loop. It is made when there is something to be judged or to
//! be told, and made again when it breaks: what waits goes on waiting meanwhile, and is asked
//! again. Of a command that does nothing but run its program, which was judged before, the host
//! hears nothing. The first call of another waits until the host has said how tightly the task is
//! held.
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
        self.called = true;
        if self.link.is_some() {
            return;
        }
        let now = clock::now();
        if now < self.next_call {
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
        self.offered = None;
    }

    pub(super) fn say(&mut self, kind: Kind, message: &impl protocol::Message) {
        self.call_host();
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
                // It may not have been read, and then its program is let go.
                self.tell_gone();
            }
            Kind::Grants => {
                self.granted = Granted::default();
                self.offered = Some(frame.clone());
            }
            Kind::Hold => {
                self.hold = Some(frame.decode(Kind::Hold)?);
                if let Some((listener, notification)) = self.early.take() {
                    self.on_call(listener, &notification);
                }
            }
            kind => return Err(FrameError::Unexpected { kind }),
        }
        Ok(())
    }

    /// Looks up what was granted. Not before a program is started: most of what may be granted is
    /// on no image, and looking for all of it takes longer than many a command.
    pub(super) fn look_up(&mut self) {
        let Some(frame) = self.offered.take() else {
            return;
        };
        let Ok(grants) = frame.decode::<Grants>(Kind::Grants) else {
            return self.lose();
        };
        let me = Caller {
            thread: std::process::id(),
        };
        let loads = self.loads.as_ref();
        self.granted = Granted::new(&grants, me, &self.originals, loads);
        self.images.pass_all(self.granted.identities());
        self.images.know_loaders(self.granted.loaders());
    }
}
