// SPDX-License-Identifier: Apache-2.0
//! What is refused because nobody is asked: `--on-ask deny`, a spent `--wait`. The command only
//! sees `EACCES`, and whoever started the task would look for a reason in vain.

use super::super::asks::{Asker, Became, Case, shown};
use super::super::wire::FromLoop;
use super::{Source, Task};

impl Task<'_> {
    /// Tells who watches the task that something was refused without anybody being asked. A root
    /// action's verdict says so itself, and so does the answer to what was declared.
    pub(super) fn tell_unasked(&mut self, case: &Case<Source>, became: &Became) {
        let Became::Refused {
            why,
            approval: None,
        } = became
        else {
            return;
        };
        if let Asker::Intent(_) = case.asker {
            self.tell(&FromLoop::Unasked {
                root: case.root,
                line: shown(case),
                why: why.clone(),
            });
        }
    }
}
