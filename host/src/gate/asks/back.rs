// SPDX-License-Identifier: Apache-2.0
//! What is taken back: nobody waits for it any more, or nobody need decide it.

use policy::approval::event::Event;
use policy::approval::{ItemId, desk};

use super::{Asker, Asks, Case, Waiting};
use crate::approvals::now_ms;

impl<S> Asks<S> {
    /// What people are asked about by itself, and in which item of the queue.
    pub fn cases(&self) -> impl Iterator<Item = (&ItemId, &Case<S>)> {
        let asked = self.waiting.iter().filter(|one| one.portion.is_some());
        asked.map(|waiting| (&waiting.item, &waiting.case))
    }

    /// Takes back an item that nobody need decide any more, unless somebody just has.
    pub fn release(&mut self, item: &ItemId, why: &str) -> Vec<Case<S>> {
        let Ok(store) = self.store() else {
            return Vec::new();
        };
        let why = why.to_owned();
        if desk::act(store, item, &Event::Withdraw { why }, now_ms()).is_err() {
            return Vec::new();
        }
        let gone = self.take(|one| one.item == *item);
        gone.into_iter().map(|one| one.case).collect()
    }

    /// What waited is gone; whether it waited.
    pub fn withdraw(&mut self, asker: Asker, why: &str) -> bool {
        let Some(at) = self.waiting.iter().position(|one| one.case.asker == asker) else {
            return false;
        };
        let gone = self.waiting.remove(at);
        self.let_go(&gone.item, why);
        self.rest();
        true
    }

    /// All of a kind is gone.
    pub fn withdraw_all(&mut self, which: impl Fn(Asker) -> bool, why: &str) {
        for gone in self.take(|one| which(one.case.asker)) {
            self.let_go(&gone.item, why);
        }
    }

    /// Takes out what waits of a kind.
    fn take(&mut self, which: impl Fn(&Waiting<S>) -> bool) -> Vec<Waiting<S>> {
        let waiting = std::mem::take(&mut self.waiting);
        let (gone, rest) = waiting.into_iter().partition(which);
        self.waiting = rest;
        self.rest();
        gone
    }

    /// Nobody need decide what nobody waits for.
    fn let_go(&mut self, item: &ItemId, why: &str) {
        if self.waiting.iter().any(|waiting| waiting.item == *item) {
            return;
        }
        if let Ok(store) = self.store() {
            let why = why.to_owned();
            // One that was decided meanwhile stays as it is.
            let _ = desk::act(store, item, &Event::Withdraw { why }, now_ms());
        }
    }
}
