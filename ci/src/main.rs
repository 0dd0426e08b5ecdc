// SPDX-License-Identifier: Apache-2.0
//! `cargo ci`: everything that is done *to* Ampoule rather than by it. Setting a machine up,
//! showing a task, testing, checking, and a KVM server made of software for machines without one.
//!
//! Exit codes: 0 when all is well, 1 when something failed, 3 when the machine lacks something
//! only its owner can install; `kvmhost` returns its command's own code, 124 when its time was up
//! and 125 when the server could not be run.

mod check;
mod demo;
mod gate;
mod kvmhost;
mod machine;
mod project;
mod setup;
mod soak;
mod test;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Sets up, shows, tests and checks Ampoule.
#[derive(Debug, Parser)]
#[command(name = "cargo ci", bin_name = "cargo ci")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what is missing, build the binaries, the kernel and the images
    Setup,
    /// Set up, then run a Python project's test suite in a microVM and show its timings
    Demo,
    /// Set up, check, then run all tests, those with real guests included
    Test,
    /// Check format, lints, documentation, sizes, dependencies and commit titles
    Check,
    /// Measure boot, restore and fork on the deterministic clock, and compare with what is kept
    Gate {
        /// Keep what is measured
        #[arg(long)]
        write: bool,
    },
    /// Set up, then run CPython's own tests in a guest and outside it, and compare case by case
    Soak {
        /// Modules of CPython's tests
        #[arg(default_values_t = soak::MODULES.map(str::to_owned))]
        modules: Vec<String>,
        /// Only the selection that `cargo ci test` runs
        #[arg(long, conflicts_with = "modules")]
        short: bool,
    },
    /// Run a command in a KVM server simulated by QEMU
    Kvmhost(KvmhostArgs),
}

#[derive(Debug, Args)]
struct KvmhostArgs {
    /// One CPU, one virtual nanosecond an instruction: times read inside repeat
    #[arg(long)]
    deterministic: bool,
    /// Memory of the server in MiB
    #[arg(short, long, default_value_t = 6144)]
    memory: u32,
    /// CPUs of the server
    #[arg(short, long, default_value_t = 2)]
    cpus: u32,
    /// Seconds until the server is switched off
    #[arg(short, long, default_value_t = 1200)]
    time: u64,
    /// A folder of this machine that is /out, writable, in the server
    #[arg(long)]
    out: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    argv: Vec<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Setup => setup::run().map(|_| 0),
        Command::Demo => demo::run().map(failed_unless),
        Command::Test => test::run().map(failed_unless),
        Command::Check => Ok(failed_unless(check::run().failed == 0)),
        Command::Gate { write } => setup::run()
            .and_then(|_| gate::run(write))
            .map(failed_unless),
        Command::Soak { modules, short } => setup::run()
            .and_then(|kvm| soak::run(kvm, &soak::Extent::of(modules, short)))
            .map(failed_unless),
        Command::Kvmhost(args) => kvmhost::run(&server(args)),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cargo ci: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

fn failed_unless(well: bool) -> u8 {
    u8::from(!well)
}

fn server(args: KvmhostArgs) -> kvmhost::Server {
    kvmhost::Server {
        deterministic: args.deterministic,
        memory_mib: args.memory,
        cpus: args.cpus,
        limit: Duration::from_secs(args.time),
        out: args.out,
        forward_stdin: true,
        argv: args.argv,
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<kvmhost::NotRun>() {
        return kvmhost::NOT_RUN;
    }
    if error.is::<tools::Missing>() { 3 } else { 1 }
}
