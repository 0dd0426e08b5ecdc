// SPDX-License-Identifier: Apache-2.0
//! Programs that change the machine: `systemctl`, `useradd`, `iptables`, `crontab`, `kill`.
//!
//! Most are rows of a table (`rows.rs`); where the harm follows from a name (a service, a process,
//! a group) there is code.

mod accounts;
mod apple;
mod links;
mod machine;
mod processes;
pub(super) mod rows;
mod schedule;
mod services;

use super::{Call, Outcome};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    let found = services::run(call)
        .or_else(|| processes::run(call))
        .or_else(|| accounts::run(call))
        .or_else(|| schedule::run(call))
        .or_else(|| links::run(call))
        .or_else(|| apple::run(call))
        .or_else(|| machine::run(call))?;
    let first = call.args.first().map_or("", |arg| arg.text.as_str());
    if matches!(first, "--help" | "--version") {
        return Some(Outcome::default());
    }
    Some(found)
}

#[cfg(test)]
mod tests;
