// SPDX-License-Identifier: Apache-2.0
//! A task for tests.

use super::{State, Task};
use crate::task::{Outcome, Resources, Spec};

/// One that runs, or has ended so.
pub(crate) fn task(outcome: Option<Outcome>) -> Task {
    let spec = Spec {
        image: "base".into(),
        workspace: None,
        argv: vec![],
        env: vec![],
        workdir: None,
        user: None,
        terminal: false,
        detached: true,
        resources: Resources {
            memory_mib: 64,
            cpus: 1,
            scratch_bytes: 1 << 20,
        },
        ttl_ms: 600_000,
        grace_ms: 0,
        start_timeout_ms: None,
        debug_console: false,
        cold: false,
        gating: Default::default(),
        plan: None,
        copy_of: None,
    };
    Task {
        id: "7k3m9qwe".parse().unwrap(),
        state: State::Running,
        created_ms: 0,
        deadline_ms: 0,
        ended_ms: None,
        runtime: "/no/such".into(),
        spec,
        process: None,
        outcome,
    }
}
