// SPDX-License-Identifier: Apache-2.0
//! One after the other, all at once, or one every so often: a server sees all three, and a start
//! that is quick alone may wait for the others' locks.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Each run after the one before has gone.
    Sequential,
    /// Several start at the same moment.
    Burst,
    /// One starts every `--interval`, whatever the others do.
    Staggered,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Load {
    /// How many runs are counted, after one that is not; of bursts, how many bursts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// How they follow each other.
    #[arg(long, value_enum, default_value = "sequential")]
    pub(crate) mode: Mode,
    /// How many start at once, or one after the other, in a burst.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    at_once: u32,
    /// Milliseconds between two staggered starts.
    #[arg(long, default_value_t = 20)]
    interval: u64,
}

impl Load {
    /// For a table's title.
    pub(crate) fn describe(&self) -> String {
        let (runs, n) = (self.runs, self.at_once);
        match self.mode {
            Mode::Sequential => format!("{runs} runs one after the other"),
            Mode::Burst => format!("{runs} × {n} at once"),
            Mode::Staggered => {
                format!("{runs} × {n}, one every {} ms", self.interval)
            }
        }
    }

    /// How many start at once at most.
    pub(crate) fn most(&self) -> u32 {
        match self.mode {
            Mode::Sequential => 1,
            Mode::Burst | Mode::Staggered => self.at_once,
        }
    }

    /// Calls `act` as often and as closely as asked, after one call that is not counted.
    pub(crate) fn apply<T: Send>(&self, act: &(impl Fn() -> Result<T> + Sync)) -> Result<Vec<T>> {
        act()?;
        let mut samples = Vec::new();
        for _ in 0..self.runs {
            match self.mode {
                Mode::Sequential => samples.push(act()?),
                Mode::Burst | Mode::Staggered => samples.extend(self.together(act)?),
            }
        }
        Ok(samples)
    }

    fn together<T: Send>(&self, act: &(impl Fn() -> Result<T> + Sync)) -> Result<Vec<T>> {
        let start = Barrier::new(self.at_once as usize);
        let gap = match self.mode {
            Mode::Staggered => Duration::from_millis(self.interval),
            _ => Duration::ZERO,
        };
        thread::scope(|scope| {
            let runs: Vec<_> = (0..self.at_once)
                .map(|n| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        thread::sleep(gap * n);
                        act()
                    })
                })
                .collect();
            let joined = runs.into_iter().map(thread::ScopedJoinHandle::join);
            joined
                .map(|done| done.map_err(|_| anyhow!("a run panicked"))?)
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn calls(mode: Mode) -> (usize, u32, u32) {
        let load = Load {
            runs: 3,
            mode,
            at_once: 4,
            interval: 1,
        };
        let (all, now, most) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        let act = || {
            all.fetch_add(1, Ordering::SeqCst);
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(50));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        let samples = load.apply(&act).unwrap().len();
        (samples, all.into_inner(), most.into_inner())
    }

    #[test]
    fn one_run_is_not_counted_and_a_burst_runs_at_once() {
        assert_eq!(calls(Mode::Sequential), (3, 4, 1));
        assert_eq!(calls(Mode::Burst), (12, 13, 4));
        assert_eq!(calls(Mode::Staggered), (12, 13, 4));
    }

    #[test]
    fn a_run_that_fails_fails_all() {
        let load = Load {
            runs: 1,
            mode: Mode::Burst,
            at_once: 2,
            interval: 0,
        };
        let calls = AtomicU32::new(0);
        let act = || match calls.fetch_add(1, Ordering::SeqCst) {
            2 => Err(anyhow!("no")),
            _ => Ok(()),
        };
        assert!(load.apply(&act).is_err());
    }
}
