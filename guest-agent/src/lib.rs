// SPDX-License-Identifier: Apache-2.0
//! Runs the commands of a task inside its guest.
//!
//! The agent is PID 1's only child. It connects out to the supervisor, says *ready*, and then
//! serves requests: commands ([`exec`]) and copies of files ([`files`]). Each command has a
//! connection of its own for its streams, so bulk output of one delays neither another nor a
//! signal. When the supervisor's connection ends the agent ends, and PID 1 ends the guest.
//!
//! - [`agent`]: the loop.
//! - [`gate`]: what commands do is judged by the host before it takes effect.
//! - [`link`]: a connection to the host that never blocks. Tests bring socket pairs.
//! - [`guest`]: what the agent finds: the workspace, the commands' cgroup, what has run out.
//!
//! A library: in a guest the agent is a copy of PID 1 that calls [`run`], so that the image holds
//! one program and a boot reads one; tests call [`serve`] without a guest. Depends on `protocol`, and on `rustix` and `libc` for system calls.

mod agent;
mod clock;
pub mod command;
mod exec;
mod files;
mod gate;
mod guest;
mod link;
mod pause;
mod sys;

pub use agent::{AgentError, run, serve};
pub use guest::Guest;
pub use link::{Connect, Vsock};
