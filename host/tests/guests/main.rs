// SPDX-License-Identifier: Apache-2.0
//! Tier 3: the whole thing, on real Linux guests.
//!
//! Each test runs the shipped binaries as a user would, in a home of its own (state, cache and
//! runtime folders), on the images that `cargo ci setup` built. They need KVM with hardware
//! behind it: a dedicated server, or the simulated one (`cargo ci test` sees to that).
//! Elsewhere each test says that it was skipped, and why.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test harness: a failure here is the test's failure, and wants its line"
)]

mod agents;
mod building;
mod copy;
mod detached;
mod faults;
mod fork;
mod gate;
mod gated;
mod harness;
mod hostile;
mod images;
mod interrupted;
mod killed;
mod leaving;
mod limits;
mod names;
mod plans;
mod policy;
mod pool;
mod posture;
mod refusals;
mod run;
mod streams;
mod templates;
mod terminal;
mod ttl;
mod watching;
mod workspace;
