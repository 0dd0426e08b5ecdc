// SPDX-License-Identifier: Apache-2.0
//! The agent's program. It has no arguments and no output; PID 1 tells the host that it ended.

use std::process::ExitCode;
use std::sync::Arc;

use guest_agent::{AgentError, Guest, Vsock, serve};

fn main() -> ExitCode {
    match serve(&Guest::of_init(), Arc::new(Vsock)) {
        Ok(()) => ExitCode::SUCCESS,
        // Statuses of its own, so that the goodbye's detail tells these apart.
        Err(AgentError::Connect(_)) => ExitCode::from(3),
        Err(AgentError::Host(_)) => ExitCode::from(4),
        Err(AgentError::Poll(_)) => ExitCode::from(5),
        Err(AgentError::TooManyCopies) => ExitCode::from(6),
    }
}
