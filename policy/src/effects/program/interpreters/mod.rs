// SPDX-License-Identifier: Apache-2.0
//! Programs that run code: `sh`, `python3`, `node`, `make`.
//!
//! Code on the command line or on standard input is handed on; what nobody has seen, because it
//! comes over the network or is made as the command runs, is an effect of its own.

mod build;
mod editors;
mod languages;
mod python;
mod shells;
mod unseen;

#[cfg(test)]
mod tests;

use super::{Call, Outcome};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    shells::run(call)
        .or_else(|| python::run(call))
        .or_else(|| languages::run(call))
        .or_else(|| build::run(call))
        .or_else(|| editors::run(call))
}
