// SPDX-License-Identifier: Apache-2.0
//! How tightly the task is held: what people say of it, what follows for what it does, and what
//! the gate is told.
//!
//! The host's part needs no word of the guest's: what a posture forbids is refused here whatever
//! the gate lets through to us. A task that is paused is not read from, so that nothing of it is
//! decided meanwhile; and what people decide is heard once it goes on. One that asks too much
//! stands still by its supervisor, and what is on its way by then belongs to the one question.

use std::collections::BTreeMap;
use std::time::Instant;

use policy::action::Action;
use policy::approval::ItemId;
use policy::approval::item::State;
use policy::posture::{Held, Posture};
use policy::verdict::Verdict as Decides;
use protocol::Kind;
use protocol::actions::{Act, Hold};

use super::super::asks::{Case, Decided};
use super::super::court::{Ruling, short};
use super::super::wire::{self, FromLoop, Waits};
use super::Task;
use crate::events::What;

/// The rule that refuses connections.
const NO_EGRESS: &str = "posture:no-egress";

/// The rule that refuses changes.
const READ_ONLY: &str = "posture:read-only";

/// Why people need not answer any more.
const LOOSER: &str = "the task is held less tightly";

impl Task<'_> {
    /// People hold the task otherwise; less tightly only once that is recorded.
    pub(super) fn hold(&mut self, hold: wire::Hold) {
        let looser = !hold.to.is_as_tight_as(&self.held);
        let what = What::Posture {
            from: self.held.posture.to_string(),
            to: hold.to.posture.to_string(),
            by: short(&hold.by),
            why: short(&hold.why),
            asks: hold.to.asks.iter().cloned().collect(),
        };
        if let Err(why) = self.book.seal(None, what)
            && looser
        {
            let why = short(&format!("it cannot be recorded: {why}"));
            return self.tell(&FromLoop::NotHeld(why));
        }
        self.take_hold(hold.to);
        self.tell(&FromLoop::Held(self.held.clone()));
        if looser {
            self.reconsider();
        }
    }

    /// Nobody is asked any longer about what was asked about only because the task was held.
    fn reconsider(&mut self) {
        let mut items: BTreeMap<ItemId, bool> = BTreeMap::new();
        for (item, case) in self.asks.cases() {
            let passes = case.ruling.drift.is_none()
                && self.rules_now(&case.source).verdict == Decides::Allow;
            // An item goes when all of it passes.
            *items.entry(item.clone()).or_insert(true) &= passes;
        }
        let pass = items.into_iter().filter(|(_, passes)| *passes);
        for (item, _) in pass {
            let cases = self.asks.release(&item, LOOSER);
            if let Some(first) = cases.first() {
                self.decided(Decided {
                    approval: item.to_string(),
                    root: first.root,
                    state: State::Withdrawn,
                    by: Vec::new(),
                    note: Some(LOOSER.to_owned()),
                });
            }
            for case in cases {
                let ruling = self.rules_now(&case.source);
                self.decide(Case { ruling, ..case });
            }
        }
    }

    /// From now on the task is held so.
    pub(super) fn take_hold(&mut self, held: Held) {
        if self.held != held {
            self.held = held;
            self.court.hold(&self.held);
            self.tell_gate();
        }
    }

    /// Tells the gate how the task is held.
    pub(super) fn tell_gate(&mut self) {
        let strict = self.held.is_strict();
        let hold = Hold {
            no_grants: strict,
            read_only: self.held.posture >= Posture::ReadOnly,
            reason: match strict {
                true => format!("the task is held: {}", self.held.posture),
                false => String::new(),
            },
        };
        self.say(Kind::Hold, &hold);
    }

    /// What the posture refuses, whatever policies say.
    pub(super) fn refused(&self, act: Option<&Act>, action: &Action) -> Option<Ruling> {
        let posture = self.held.posture;
        let refused = |rule, why: &str| Ruling::failed(action.clone(), rule, why);
        match act? {
            Act::Connect(_) if posture >= Posture::NoEgress => {
                Some(refused(NO_EGRESS, "nothing leaves this task"))
            }
            Act::Write(_) | Act::Remove(_) | Act::Rename(_) if posture >= Posture::ReadOnly => {
                Some(refused(READ_ONLY, "this task changes nothing"))
            }
            _ => None,
        }
    }

    /// Whether what the gate says is left where it is.
    pub(super) fn is_paused(&self) -> bool {
        self.held.posture >= Posture::Paused
    }

    /// When to look for decisions.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.asks.next().filter(|_| !self.is_paused())
    }

    /// Tells the supervisor when people begin or end to be waited for.
    pub(super) fn tell_waits(&mut self) {
        let waits = match self.asks.next() {
            None => Waits::Nothing,
            Some(_) if self.asks.is_flooded() => Waits::TooMuch,
            Some(_) => Waits::Something,
        };
        if std::mem::replace(&mut self.waits, waits) != waits {
            if waits == Waits::TooMuch {
                let text = "it asks too much, and stands still until people have said whether it \
                            may go on";
                let text = text.to_owned();
                self.book.note(None, What::Note { text });
            }
            self.tell(&FromLoop::Waits(waits));
        }
    }

    /// The guest is parked.
    pub(super) fn parked(&mut self) {
        let first = self.asks.waits().next();
        let approval = first.map(|(approval, ..)| approval).unwrap_or_default();
        self.book.note(None, What::Waiting { approval });
    }
}
