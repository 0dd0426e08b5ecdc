// SPDX-License-Identifier: Apache-2.0
//! Warnings go to standard error, a line each. Whatever a guest can cause is rate-limited where
//! it is logged.

use log::{LevelFilter, Log, Metadata, Record};

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("ampoule-vmm: {}", record.args());
        }
    }

    fn flush(&self) {}
}

/// Sends this process's warnings and errors to standard error.
pub fn log_to_stderr() {
    // Fails only if there is a logger already, which is fine too.
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
