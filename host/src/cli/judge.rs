// SPDX-License-Identifier: Apache-2.0
//! The command line of the program `ampoule-policy`, and how `ampoule` hands it on.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command as Program;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::{CliError, chain, complaint, model, policy, watch};
use crate::folders::Folders;
use crate::gate::client::PROGRAM;
use crate::gate::serve::Server;
use crate::supervise::files::binaries;
use crate::text::printable;

/// Stack of the thread that judges: the policy engine refuses to evaluate with less than it thinks
/// it may need, and of a main thread musl tells only the part that was touched.
const STACK: usize = 16 << 20;

/// What is typed is `ampoule policy`, so that is what it says.
#[derive(Debug, Parser)]
#[command(
    name = "ampoule",
    bin_name = "ampoule",
    version,
    propagate_version = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    Model(model::Model),
    Watch(watch::Watch),
    #[command(hide = true)]
    Serve(Serve),
}

/// Judge what tasks do; the first of them starts it
#[derive(Debug, Args)]
struct Serve {
    /// Where the socket lies that is standard input
    path: PathBuf,
}

impl Serve {
    fn execute(&self) -> Result<u8, CliError> {
        let failed = || CliError::io("cannot serve");
        // No terminal is its. Fails only for a leader.
        let _ = rustix::process::setsid();
        let listener = io::stdin().as_fd().try_clone_to_owned().map_err(failed())?;
        let null = File::open("/dev/null").map_err(failed())?;
        rustix::stdio::dup2_stdin(&null).map_err(|errno| failed()(errno.into()))?;
        let server = Server::new(listener.into(), &self.path).map_err(failed())?;
        server.serve().map_err(failed())?;
        Ok(0)
    }
}

/// Whether a command line is this program's.
pub(super) fn is_ours(args: &[OsString]) -> bool {
    args.get(1)
        .is_some_and(|word| word == "policy" || word == "model" || word == "watch")
}

/// Becomes the program, which lies beside this one. Returns only when that cannot be.
pub(super) fn hand_on(args: &[OsString]) -> CliError {
    let failed = |source: io::Error| {
        let text = format!("cannot start {PROGRAM}, which belongs beside ampoule: {source}");
        CliError::Usage(text)
    };
    match binaries() {
        Ok(folder) => {
            let mut program = Program::new(folder.join(PROGRAM));
            failed(program.args(args.iter().skip(1)).exec())
        }
        Err(error) => failed(error),
    }
}

/// Runs a command line (the program's name first); the exit code.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            match complaint::line(&error, &Arguments::command(), args) {
                Some(line) => eprintln!("ampoule: {}", printable(&line)),
                None => drop(error.print()),
            }
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let done = match arguments.command {
        // It judges nothing, and signals are for it: one thread.
        command @ Command::Watch(_) => dispatch(command),
        command => on_stack(|| dispatch(command)),
    };
    match done {
        Ok(code) => code,
        Err(CliError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            eprintln!("ampoule: {}", chain(&error));
            1
        }
    }
}

fn dispatch(command: Command) -> Result<u8, CliError> {
    match command {
        Command::Policy(policy) => policy.execute(&Folders::find()?),
        Command::Model(model) => model.execute(&Folders::find()?),
        Command::Watch(watch) => watch.execute(&Folders::find()?),
        // It has no environment: tasks say where their users' things are.
        Command::Serve(serve) => serve.execute(),
    }
}

/// Runs what judges on a stack that is large enough.
fn on_stack(judges: impl FnOnce() -> Result<u8, CliError> + Send) -> Result<u8, CliError> {
    let failed = || CliError::io("cannot judge");
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK);
        let thread = builder.name("judge".to_owned()).spawn_scoped(scope, judges);
        let ended = thread.map_err(failed())?.join();
        ended.map_err(|_| failed()(io::Error::other("it ended with a panic")))?
    })
}
