// SPDX-License-Identifier: Apache-2.0
//! How tightly people hold the task.
//!
//! ```text
//! tighter: client ─► here: the guest stands still, or ends ─► loop: recorded ─► client: Held
//! looser:  client ─► loop: recorded ─► here: the guest goes on ─► client: Held
//! ```
//!
//! Nothing here waits for the guest: pausing and ending are its VMM's, and what else a posture
//! forbids the loop refuses.

use policy::effects::place::Setting;
use policy::posture::{Held, Posture};

use super::Supervisor;
use crate::api::{self, Event};
use crate::gate::wire::Hold;
use crate::supervise::verdict::Cause;

/// A client that waits until the task is held as it said.
#[derive(Debug)]
pub(super) struct Holding {
    client: u64,
    to: Held,
    /// The loop has recorded it.
    recorded: bool,
}

impl Supervisor<'_> {
    /// A client wants the task held otherwise, or to know how it is held.
    pub(super) fn hold(&mut self, client: u64, hold: Option<api::Hold>) {
        let Some(hold) = hold else {
            let held = self.gate.held().clone();
            return self.clients.tell(client, &Event::Held(held), None);
        };
        let to = match self.held_as(&hold) {
            Ok(to) => to,
            Err(why) => return self.clients.tell(client, &Event::Refused(why), None),
        };
        let (by, why) = (hold.by, hold.why);
        let tighter = to.is_as_tight_as(self.gate.held());
        self.gate.hold(Hold {
            to: to.clone(),
            by: by.clone(),
            why,
        });
        self.holding = Some(Holding {
            client,
            to: to.clone(),
            recorded: false,
        });
        if to.posture == Posture::Ended {
            self.clients.tell(client, &Event::Held(to), None);
            self.holding = None;
            return self.fail(Cause::Ended(by));
        }
        if tighter {
            self.stand();
        }
    }

    fn held_as(&self, hold: &api::Hold) -> Result<Held, String> {
        if self.facts.exited.is_some() || self.facts.cause.is_some() {
            return Err("the task is ending".to_owned());
        }
        if self.holding.is_some() {
            return Err("somebody else is changing how it is held; try again".to_owned());
        }
        let mut to = match hold.posture {
            // Nothing of what people said before.
            Some(Posture::Normal) => Held::default(),
            _ => self.gate.held().clone(),
        };
        to.posture = hold.posture.unwrap_or(to.posture);
        let by_gate = matches!(to.posture, Posture::NoEgress | Posture::ReadOnly);
        if self.gate.is_gated() == Some(false) && (by_gate || !hold.asks.is_empty()) {
            let why = "nothing that the task does is judged (--ungated); it can be paused or ended";
            return Err(why.to_owned());
        }
        for path in &hold.asks {
            to.ask(path, &Setting::default())
                .map_err(|error| error.to_string())?;
        }
        Ok(to)
    }

    /// The loop has recorded how the task is held.
    pub(super) fn held(&mut self, held: &Held) {
        if let Some(holding) = self.holding.as_mut().filter(|one| one.to == *held) {
            holding.recorded = true;
        }
        self.stand();
        self.tell_held();
    }

    /// The task is not held less tightly.
    pub(super) fn not_held(&mut self, why: String) {
        if let Some(holding) = self.holding.take() {
            self.clients
                .tell(holding.client, &Event::Refused(why), None);
        }
    }

    /// Tells who waits for it that the task is held so: recorded, and standing still if it is to.
    pub(super) fn tell_held(&mut self) {
        let settled = |holding: &Holding| {
            holding.recorded && (holding.to.posture < Posture::Paused || self.stand.stands())
        };
        if self.holding.as_ref().is_some_and(settled)
            && let Some(Holding { client, to, .. }) = self.holding.take()
        {
            self.clients.tell(client, &Event::Held(to), None);
        }
    }
}
