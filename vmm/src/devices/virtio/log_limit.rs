// SPDX-License-Identifier: Apache-2.0
//! A limit on log lines that a guest can cause.

use std::time::{Duration, Instant};

/// Lines a window: enough to see what happens, too few to fill a disk.
const LINES: u32 = 5;
/// The window. Five lines in ten seconds over a day's life are 4 MiB of log at most.
const WINDOW: Duration = Duration::from_secs(10);

/// Counts the lines of one device.
#[derive(Debug)]
pub(crate) struct LogLimit {
    window: Instant,
    lines: u32,
}

impl LogLimit {
    pub(crate) fn new() -> Self {
        Self {
            window: Instant::now(),
            lines: 0,
        }
    }

    /// Whether one more line may be written.
    pub(crate) fn allows(&mut self) -> bool {
        if self.window.elapsed() >= WINDOW {
            *self = Self::new();
        }
        self.lines = self.lines.saturating_add(1);
        self.lines <= LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_past_the_limit_wait_for_the_next_window() {
        let mut limit = LogLimit::new();
        let allowed = (0..100).filter(|_| limit.allows()).count();
        assert_eq!(allowed, 5);
        limit.window = Instant::now().checked_sub(WINDOW).unwrap();
        assert!(limit.allows());
    }
}
