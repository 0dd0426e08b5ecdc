// SPDX-License-Identifier: Apache-2.0
//! PID 1 of a guest: mounts, deadline, agent, last word, reset.
//!
//! Its life in order ([`boot::boot`]):
//!
//! 1. Connect out to the host and greet it ([`control`]).
//! 2. While the answer is on its way, mount what needs no word of the host ([`mounts::early`]).
//! 3. Read the assignment; the TTL counts from here ([`life`]).
//! 4. Give the scratch space its size, mount the workspace, enter the new root ([`mounts::late`]).
//! 5. Host name ([`hosts`]), wall clock, entropy, loopback ([`identity`]); the group of commands
//!    ([`commands`]).
//! 6. Start the agent ([`agent`]). The agent says *ready* by itself.
//! 7. Bound the group, report the times, serve ([`guest`]) until a reason to end comes.
//! 8. A guest that was stored then and restored gets another assignment ([`guest`]), and does 4
//!    and 5 again as far as they depend on it.
//! 9. Say goodbye and reset. There is nothing to sync: all that is written is memory.
//!
//! PID 1 may not fail: when it exits, the kernel panics (which resets as well, but tells the host
//! nothing). So every error ends in a goodbye with a reason, if there is a connection, and a reset.
//!
//! Depends on `protocol`, on `guest-agent` for what the agent's process does, and on `rustix` and `libc` for system calls.

mod agent;
mod boot;
mod clock;
mod commands;
mod control;
mod guest;
mod hosts;
mod identity;
mod kmsg;
mod life;
mod mounts;
mod sys;

use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;
use protocol::Kind;
use protocol::messages::{BootReport, EndReason};
use rustix::system::{RebootCommand, reboot};

use crate::boot::boot;
use crate::control::{Control, ControlError};
use crate::guest::Guest;

/// musl's own allocator asks the kernel for pages, and gives them back, at nearly every call of a
/// program as small as this.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let init_ns = clock::now();
    // The same file is the command `ampoule-agent` in the guest: an image holds one program.
    if !rustix::process::getpid().is_init() {
        return ExitCode::from(guest_agent::command::main(std::env::args_os()));
    }
    match connect() {
        Ok(control) => live(control, init_ns),
        // Nobody to tell but the kernel's log.
        Err(e) => kmsg::warn(&kmsg::chain(&e)),
    }
    // Refused only to callers that are not PID 1; then the end of this function ends it.
    let _ = reboot(RebootCommand::Restart);
    ExitCode::FAILURE
}

fn connect() -> Result<Control, ControlError> {
    let socket = sys::connect_vsock(protocol::HOST_CID, protocol::ports::CONTROL)
        .map_err(ControlError::Connect)?;
    Control::greet(socket)
}

/// From the greeting to the goodbye.
fn live(mut control: Control, init_ns: u64) {
    let mut report = BootReport {
        init_ns,
        connected_ns: clock::now(),
        ..BootReport::default()
    };
    let booted = match boot(&mut control, &mut report) {
        Ok(booted) => booted,
        Err(e) => {
            let detail = kmsg::chain(&e);
            kmsg::warn(&detail);
            return control.goodbye(EndReason::SetupFailed, &detail);
        }
    };
    // The agent says ready by itself; what is left here must not come before that.
    if let Err(e) = commands::bound() {
        kmsg::warn(&format!("could not bound the processes of the task: {e}"));
    }
    // Last: who stores this guest for others waits for the report, and then finds us idle.
    let _ = control.send(Kind::BootReport, &report);
    let mut guest = Guest::new(control, booted);
    let reason = guest.serve();
    guest.end(reason);
}
