// SPDX-License-Identifier: Apache-2.0
//! What is taken back: nobody waits for it any more, or nobody need decide it.

use policy::approval::event::Event;
use policy::approval::{ItemId, desk};

use super::{Asker, Asks, Case, Waiting};
use crate::approvals::now_ms;

/// An item that was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    /// Which.
    pub item: ItemId,
    /// The root action of one that waited for it.
    pub root: u64,
}

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

    /// What waited is gone: what people need not decide any more for that; none if it did not
    /// wait.
    pub fn withdraw(&mut self, asker: Asker, why: &str) -> Option<Vec<Back>> {
        let at = self
            .waiting
            .iter()
            .position(|one| one.case.asker == asker)?;
        let gone = self.waiting.remove(at);
        let back = self.let_go(&gone, why);
        self.rest();
        Some(back.into_iter().collect())
    }

    /// All of a kind is gone: what people need not decide any more for that.
    pub fn withdraw_all(&mut self, which: impl Fn(Asker) -> bool, why: &str) -> Vec<Back> {
        let gone = self.take(|one| which(one.case.asker));
        let back = gone.iter().filter_map(|gone| self.let_go(gone, why));
        back.collect()
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
    fn let_go(&mut self, gone: &Waiting<S>, why: &str) -> Option<Back> {
        let item = &gone.item;
        if self.waiting.iter().any(|waiting| waiting.item == *item) {
            return None;
        }
        let (store, why) = (self.store().ok()?, why.to_owned());
        // One that was decided meanwhile, or taken back for another that waited, stays as it is.
        desk::act(store, item, &Event::Withdraw { why }, now_ms()).ok()?;
        Some(Back {
            item: item.clone(),
            root: gone.case.root,
        })
    }
}
