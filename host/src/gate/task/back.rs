// SPDX-License-Identifier: Apache-2.0
//! Questions that are taken back, and the record of that: who reads there that people were asked
//! also reads that nobody need answer.

use super::super::asks::{Asker, Back};
use super::Task;
use crate::events::What;

impl Task<'_> {
    /// Who waited is gone; says whether it waited.
    pub(super) fn withdraw(&mut self, asker: Asker, why: &str) -> bool {
        let back = self.asks.withdraw(asker, why);
        let waited = back.is_some();
        self.took_back(back.unwrap_or_default(), why);
        waited
    }

    /// All who waited of a kind are gone.
    pub(super) fn withdraw_all(&mut self, which: impl Fn(Asker) -> bool, why: &str) {
        let back = self.asks.withdraw_all(which, why);
        self.took_back(back, why);
    }

    /// Records it. No answer follows that would make it durable, so the last of them does. A record
    /// that is broken keeps nobody from anything here: nothing is let pass.
    fn took_back(&mut self, mut back: Vec<Back>, why: &str) {
        let Some(last) = back.pop() else {
            return;
        };
        for Back { item, root } in back {
            self.book.note(Some(root), What::withdrawn(&item, why));
        }
        let what = What::withdrawn(&last.item, why);
        drop(self.book.seal(Some(last.root), what));
    }
}
