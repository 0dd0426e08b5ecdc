// SPDX-License-Identifier: Apache-2.0
//! The simulated KVM server: QEMU's TCG runs a stock Debian kernel with AMD nested virtualisation,
//! and a command runs inside, on a real `/dev/kvm` with real nested paging.
//!
//! The root folder of the server is this machine's own (9p, read-only) under an overlay in memory:
//! every tool and build output is there, under its own path, and nothing the command does lasts.
//! `/run` and `/dev/shm` are empty tmpfs. `/tmp` is part of the overlay and not a tmpfs, so that
//! what was built below `/tmp` here is there too.
//!
//! ```text
//! cargo ci kvmhost ─┬─ memfd: initramfs (initramfs.rs) ──────────► QEMU (qemu.rs)
//!                   ├─ socket pair ◄─► virtio port "stdin"  ──► the command
//!                   ├─ socket pair ◄─► virtio port "stdout" ◄── the command
//!                   ├─ socket pair ◄─► virtio port "stderr" ◄── the command
//!                   └─ socket pair ◄─► virtio port "exit"   ◄── its exit code, then power-off
//! ```
//!
//! Nothing is written to disk for a run, so there is nothing to clean up, however it ends; QEMU is
//! told by the kernel when we die (`setpriv --pdeathsig`).

mod initramfs;
mod kernel;
mod qemu;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
pub(crate) use initramfs::quote;

/// Exit code when the server could not be run.
pub(crate) const NOT_RUN: u8 = 125;
/// Exit code when the time was up, as `timeout` has it.
const TIME_UP: u8 = 124;

/// One run of the simulated server.
#[derive(Debug)]
pub(crate) struct Server {
    /// One CPU and a virtual clock of one nanosecond an instruction.
    pub(crate) deterministic: bool,
    /// Memory in MiB; the overlay may use three quarters of it.
    pub(crate) memory_mib: u32,
    /// CPUs; ignored when deterministic.
    pub(crate) cpus: u32,
    /// Until the server is switched off.
    pub(crate) limit: Duration,
    /// Mounted writable at `/out`.
    pub(crate) out: Option<PathBuf>,
    /// Whether the command reads our stdin, or nothing.
    pub(crate) forward_stdin: bool,
    /// What runs inside.
    pub(crate) argv: Vec<String>,
}

/// The server did not come up, or went away before the command ended.
#[derive(Debug)]
pub(crate) struct NotRun(String);

impl std::fmt::Display for NotRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotRun {}

/// Runs the command in the server and returns its exit code.
pub(crate) fn run(server: &Server) -> Result<u8> {
    run_inner(server).map_err(|error| {
        if error.is::<crate::tools::Missing>() {
            return error;
        }
        NotRun(format!("the simulated server did not run: {error:#}")).into()
    })
}

fn run_inner(server: &Server) -> Result<u8> {
    let kernel = kernel::get()?;
    let image = initramfs::build(server, &kernel)?;
    qemu::run(server, &kernel, &image)
}

/// Fetches what a run needs, so that the first one is not slower than the rest.
pub(crate) fn prepare() -> Result<()> {
    kernel::get().map(|_| ())
}
