// SPDX-License-Identifier: Apache-2.0
//! The time for looking.

use std::time::{Duration, Instant};

/// Runs from when it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    end: Instant,
}

impl Clock {
    pub(super) fn new(time: Duration) -> Self {
        Self {
            end: Instant::now() + time,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}
