// SPDX-License-Identifier: Apache-2.0
//! What each task has taught already: one unit of approval and two of refusal per cell, so that
//! 500 approvals that one task asks for teach as much as one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A unit, in thousandths.
const UNIT: u32 = 1000;

/// Most tasks remembered, the newest, and most cells of one. More cells of one task teach nothing.
const TASKS: usize = 1024;
const CELLS: usize = 256;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    since: u64,
    /// Approval and refusal, in thousandths.
    cells: BTreeMap<u32, [u32; 2]>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Spent {
    tasks: BTreeMap<u64, Task>,
}

impl Spent {
    /// How much of an answer's worth is left to teach, which is spent then.
    pub(super) fn take(
        &mut self,
        (task, cell): (&str, u32),
        refused: bool,
        worth: u32,
        now: u64,
    ) -> u32 {
        let key = key(task);
        if !self.tasks.contains_key(&key) && self.tasks.len() >= TASKS {
            let oldest = self.tasks.iter().min_by_key(|(_, task)| task.since);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.tasks.remove(&oldest);
            }
        }
        let task = self.tasks.entry(key).or_insert_with(|| Task {
            since: now,
            cells: BTreeMap::new(),
        });
        if !task.cells.contains_key(&cell) && task.cells.len() >= CELLS {
            return 0;
        }
        let [approved, denied] = task.cells.entry(cell).or_default();
        let (spent, most) = if refused {
            (denied, 2 * UNIT)
        } else {
            (approved, UNIT)
        };
        let granted = worth.min(most.saturating_sub(*spent));
        *spent = spent.saturating_add(granted);
        granted
    }

    pub(super) fn sound(&self) -> bool {
        self.tasks.len() <= TASKS && self.tasks.values().all(|task| task.cells.len() <= CELLS)
    }
}

fn key(task: &str) -> u64 {
    let digest = Sha256::digest(task.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |key, byte| key << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_teaches_one_unit_of_approval_per_cell() {
        let mut spent = Spent::default();
        let mut take = |task, cell, refused, worth| spent.take((task, cell), refused, worth, 0);
        let whole: u32 = (0..500).map(|_| take("a", 7, false, 300)).sum();
        assert_eq!(whole, 1000);
        assert_eq!(take("a", 7, true, 2000), 2000);
        assert_eq!(take("a", 7, true, 2000), 0);
        assert_eq!(take("a", 8, false, 1000), 1000);
        assert_eq!(take("b", 7, false, 1000), 1000);
    }

    #[test]
    fn many_tasks_and_cells_are_forgotten_or_ignored() {
        let mut spent = Spent::default();
        for n in 0..3000 {
            spent.take((&n.to_string(), 1), false, 1000, n);
            spent.take(("one", u32::try_from(n).unwrap()), false, 1000, 3000);
        }
        assert!(spent.sound());
    }
}
