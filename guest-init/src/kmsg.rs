// SPDX-License-Identifier: Apache-2.0
//! A line in the kernel's log, which the host sees with `--debug-console`.
//!
//! PID 1 has no other output. It writes at most [`MAX_LINES`] in its life, so that nothing a task
//! does can turn it into a flood.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

const MAX_LINES: u32 = 64;
static LINES: AtomicU32 = AtomicU32::new(0);

/// Writes a warning (level 4 of `include/linux/kern_levels.h`).
pub(crate) fn warn(line: &str) {
    if LINES.fetch_add(1, Ordering::Relaxed) >= MAX_LINES {
        return;
    }
    if let Ok(mut log) = OpenOptions::new().write(true).open("/dev/kmsg") {
        let _ = log.write_all(format!("<4>ampoule-init: {line}\n").as_bytes());
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        next = cause.source();
    }
    line
}
