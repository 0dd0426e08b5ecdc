// SPDX-License-Identifier: Apache-2.0
//! `ampoule-vmm`: one process, one guest. Exit statuses are documented in [`vmm::cli`].

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use dlmalloc::GlobalDlmalloc;
use vmm::cli::Arguments;
use vmm::config::Config;
use vmm::control::{self, Body, End, Ended};
use vmm::end::chain;
use vmm::inherited::Inherited;
use vmm::machine::{Machine, now_ns};

/// musl's own allocator asks the kernel for pages, and gives them back, at nearly every call of a
/// program as small as this.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

/// The guest ended, by itself, by its life or when told.
const ENDED: u8 = 0;
/// It could not be set up.
const SETUP: u8 = 1;
/// Bad arguments, as clap has it.
const USAGE: u8 = 2;
/// KVM or the host failed while it ran.
const FAILED: u8 = 3;

fn main() -> ExitCode {
    let entered_ns = now_ns();
    vmm::log_to_stderr();
    // A thread that panics must not leave a guest behind that nobody serves.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("ampoule-vmm: a bug, please report it: {panic}");
        std::process::abort();
    }));
    let arguments = Arguments::written(std::env::args_os().skip(1));
    let config = match Config::try_from(arguments.unwrap_or_else(Arguments::parse)) {
        Ok(config) => config,
        Err(error) => return fail(&error, USAGE),
    };
    let inherited = match Inherited::adopt(&config.descriptors) {
        Ok(inherited) => inherited,
        Err(error) => return fail(&error, SETUP),
    };
    let control = inherited.control();
    let machine = Machine::boot(&config, inherited, entered_ns);
    let ended = machine.and_then(|mut machine| {
        let ended = machine.run();
        // Not taken down: the process's end does that at once (see memory.rs).
        std::mem::forget(machine);
        ended
    });
    match ended {
        Ok(ended) => tell(&control, ended),
        Err(error) => {
            let ended = Ended {
                end: End::Setup.into(),
                detail: chain(&error),
                ..Ended::default()
            };
            tell(&control, ended)
        }
    }
}

/// Says the last word to the supervisor; failures also on standard error.
fn tell(control: &Arc<OwnedFd>, ended: Ended) -> ExitCode {
    let status = match ended.end() {
        End::Setup => SETUP,
        End::Kvm | End::Host | End::Unspecified => FAILED,
        End::Reset | End::TripleFault | End::Life | End::Stopped => ENDED,
    };
    if status != ENDED {
        eprintln!("ampoule-vmm: {}", ended.detail);
    }
    // A supervisor that is gone has nothing to be told; the status still says it.
    let _ = control::send(control, Body::Ended(ended), None);
    ExitCode::from(status)
}

fn fail(error: &dyn std::error::Error, status: u8) -> ExitCode {
    eprintln!("ampoule-vmm: {}", chain(error));
    ExitCode::from(status)
}
