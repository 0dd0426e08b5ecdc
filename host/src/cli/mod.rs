// SPDX-License-Identifier: Apache-2.0
//! The command line: one file a sub-command, each a struct of arguments and what it does.
//!
//! Data goes to stdout, all else to stderr. Errors are one line, the whole chain of them.

mod approvals;
mod complaint;
mod cp;
mod doctor;
mod events;
mod exec;
mod fork;
mod image;
mod inspect;
pub mod judge;
mod kill;
mod logs;
mod model;
mod now;
mod policy;
mod pool;
mod posture;
mod progress;
mod prune;
mod ps;
mod rm;
mod run;
mod stop;
mod supervise;
mod template;
pub mod values;
mod view;
mod wait;
mod watch;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};

use clap::{CommandFactory, Parser, Subcommand};

use crate::api::ClientError;
use crate::approvals::ApprovalsError;
use crate::copy::CopyError;
use crate::folders::{FolderError, Folders};
use crate::image::{ImageError, MakeError};
use crate::model::ModelError;
use crate::policies::PolicyError;
use crate::pool::serve::PoolError;
use crate::settings::SettingsError;
use crate::store::{Store, StoreError};
use crate::supervise::orphans;
use crate::supervise::task::TaskError;
use crate::task::code;
use crate::template::make as template_make;
use crate::text::{self, printable};

/// What `--help` says of exit codes.
const CODES: &str = "\
Exit codes of run, exec and wait: the command's own, and
  124    the task reached its TTL
  125    Ampoule could not run it, the policies or a person refused it, or the guest failed; the
         last line on stderr says why
  126    the program is there but cannot be executed
  127    there is no such program
  128+n  signal n ended the command (137: also `ampoule kill`, or out of memory)
Other sub-commands: 0, 1 for a failure, 2 for a command line that is not understood.";

#[derive(Debug, Parser)]
#[command(name = "ampoule", version, after_help = CODES, propagate_version = true)]
#[command(about = "Runs each task in a microVM of its own")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Exec(exec::Exec),
    Fork(fork::Fork),
    Pool(pool::Pool),
    Posture(posture::Hold),
    Ps(ps::Ps),
    Logs(logs::Logs),
    Inspect(inspect::Inspect),
    Wait(wait::Wait),
    Stop(stop::Stop),
    Kill(kill::Kill),
    Cp(cp::Cp),
    Rm(rm::Rm),
    Prune(prune::Prune),
    Approvals(approvals::Approvals),
    /// Judge actions without running them
    Policy(Elsewhere),
    /// Show, evaluate and promote what the risk model has learnt
    Model(Elsewhere),
    #[command(subcommand)]
    Image(image::Image),
    Events(events::Events),
    /// Watch tasks and what waits for you, and decide it with a key
    Watch(Elsewhere),
    Doctor(doctor::Doctor),
    #[command(hide = true)]
    Supervise(supervise::Supervise),
    #[command(hide = true)]
    Template(template::Template),
}

/// The sub-commands that a task waits for. Making the parser of all others takes as long again as
/// all else that happens before the guest's monitor is started.
#[derive(Debug, Parser)]
#[command(name = "ampoule", version, propagate_version = true)]
struct Waited {
    #[command(subcommand)]
    command: Quick,
}

#[derive(Debug, Subcommand)]
enum Quick {
    Run(run::Run),
    Exec(exec::Exec),
    #[command(hide = true)]
    Supervise(supervise::Supervise),
}

/// A sub-command of the program `ampoule-policy`, here for the list of them all.
#[derive(Debug, clap::Args)]
struct Elsewhere {
    /// See `ampoule policy --help`, `ampoule model --help`, `ampoule watch --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// What a sub-command may fail with.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Folders of the user.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The operator's settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task that could not be started.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A task that nobody watches and that could not be ended.
    #[error(transparent)]
    Kill(#[from] orphans::KillError),
    /// A task's supervisor.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Images.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Making images.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// A template.
    #[error(transparent)]
    Template(#[from] template_make::MakeError),
    /// A pool.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// A copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// Approvals.
    #[error(transparent)]
    Approvals(#[from] ApprovalsError),
    /// Policies.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The risk model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A stream or file of ours.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Something that the command line asks and that cannot be.
    #[error("{0}")]
    Usage(String),
}

impl CliError {
    fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// An error and what caused it, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    let line = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    // Names in it may be a guest's or an archive's.
    printable(&line)
}

/// Runs a command line (the program's name first); the exit code.
#[must_use]
pub fn main(args: &[OsString]) -> u8 {
    if judge::is_ours(args) {
        eprintln!("ampoule: {}", chain(&judge::hand_on(args)));
        return 1;
    }
    let command = match parse(args) {
        Ok(command) => command,
        Err(error) => {
            match complaint::line(&error, &Arguments::command(), args) {
                Some(line) => complain(&line, wants_json(args)),
                None => drop(error.print()),
            }
            return usage_code(&error, args);
        }
    };
    let runs_commands = matches!(
        command,
        Command::Run(_) | Command::Exec(_) | Command::Wait(_)
    );
    let json = matches!(&command, Command::Run(run) if run.json());
    match dispatch(command) {
        Ok(code) => code,
        Err(CliError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            complain(&chain(&error), json);
            if runs_commands { code::FAILED } else { 1 }
        }
    }
}

/// Takes a command line apart.
fn parse(args: &[OsString]) -> Result<Command, clap::Error> {
    let waited = args.get(1).is_some_and(|word| {
        let quick = ["run", "exec", "supervise"];
        quick.iter().any(|name| word.as_os_str() == *name)
    });
    // What is wrong with it is told by the whole parser, which knows all there is.
    if waited && let Ok(waited) = Waited::try_parse_from(args) {
        return Ok(match waited.command {
            Quick::Run(run) => Command::Run(run),
            Quick::Exec(exec) => Command::Exec(exec),
            Quick::Supervise(supervise) => Command::Supervise(supervise),
        });
    }
    Arguments::try_parse_from(args).map(|arguments| arguments.command)
}

/// Says why nothing ran; to a program that reads JSON too.
fn complain(line: &str, json: bool) {
    eprintln!("ampoule: {line}");
    if json {
        // Nobody reads it: the line above and the code say the same.
        let _ = say(&run::not_started(line).to_string());
    }
}

/// Whether a `run` that is not understood asks for JSON: what comes after `--` does not.
fn wants_json(args: &[OsString]) -> bool {
    let mut words = args.iter().skip(1);
    words.next().is_some_and(|word| word == "run")
        && words
            .take_while(|word| *word != "--")
            .any(|word| word == "--json")
}

/// `--help` is a success; for what returns a command's code, 2 would look like the command's.
fn usage_code(error: &clap::Error, args: &[OsString]) -> u8 {
    let runs_commands = args.get(1).is_some_and(|word| {
        ["run", "exec", "wait"]
            .iter()
            .any(|name| word.as_os_str() == *name)
    });
    match error.exit_code() {
        0 => 0,
        _ if runs_commands => code::FAILED,
        other => u8::try_from(other).unwrap_or(2),
    }
}

fn dispatch(command: Command) -> Result<u8, CliError> {
    let folders = Folders::find()?;
    match command {
        Command::Run(run) => run.execute(&folders),
        Command::Exec(exec) => exec.execute(&folders),
        Command::Pool(pool) => pool.execute(&folders),
        Command::Posture(hold) => hold.execute(&folders),
        Command::Ps(ps) => ps.execute(&folders),
        Command::Logs(logs) => logs.execute(&folders),
        Command::Inspect(inspect) => inspect.execute(&folders),
        Command::Wait(wait) => wait.execute(&folders),
        Command::Stop(stop) => stop.execute(&folders),
        Command::Kill(kill) => kill.execute(&folders),
        Command::Cp(cp) => cp.execute(&folders),
        Command::Rm(rm) => rm.execute(&folders),
        Command::Prune(prune) => prune.execute(&folders),
        Command::Approvals(approvals) => approvals.execute(&folders),
        Command::Policy(_) | Command::Model(_) | Command::Watch(_) => Err(CliError::Usage(
            "write `policy`, `model` or `watch` as the first word".to_owned(),
        )),
        Command::Image(image) => image.execute(&folders),
        Command::Events(events) => events.execute(&folders),
        Command::Doctor(doctor) => doctor.execute(&folders),
        Command::Supervise(supervise) => Ok(supervise.execute(&folders)),
        Command::Fork(fork) => fork.execute(&folders),
        Command::Template(template) => template.execute(&folders),
    }
}

/// The store, with what killed supervisors left put in order.
fn store(folders: &Folders) -> Result<Store, CliError> {
    let store = Store::open(folders)?;
    sweep(&store, folders);
    Ok(store)
}

/// Puts in order what killed supervisors left, as far as that can be: a full disk must not keep
/// anybody from a task that runs.
pub(crate) fn sweep(store: &Store, folders: &Folders) {
    if let Err(error) = orphans::sweep(store, folders) {
        eprintln!("ampoule: {}", chain(&error));
    }
}

/// Writes a line of data. Where it is JSON, what is in it may be a guest's.
fn say(line: &str) -> Result<(), CliError> {
    writeln!(io::stdout(), "{}", text::json(line)).map_err(CliError::io("cannot write to stdout"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    fn code_of(line: &str) -> u8 {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        usage_code(&Arguments::try_parse_from(&args).unwrap_err(), &args)
    }

    #[test]
    fn a_wrong_command_line_has_the_code_of_its_kind() {
        assert_eq!(code_of("ampoule run --ttl 10 -- true"), 125);
        assert_eq!(code_of("ampoule run --ttl -1m -- true"), 125);
        assert_eq!(code_of("ampoule run"), 125);
        assert_eq!(code_of("ampoule ps --no-such"), 2);
        assert_eq!(code_of("ampoule run --help"), 0);
    }

    #[test]
    fn a_wrong_value_names_the_option_and_what_to_write() {
        for (line, option, hint) in [
            ("ampoule run --ttl 10 -- true", "--ttl", "10s"),
            ("ampoule run --ttl -1m -- true", "--ttl", "5m"),
            ("ampoule run --cpus 0 -- true", "--cpus", "1"),
            ("ampoule run --memory 1M -- true", "--memory", "48M"),
            ("ampoule run --memory lots -- true", "--memory", "64M"),
        ] {
            let error = Arguments::try_parse_from(line.split(' '))
                .unwrap_err()
                .to_string();
            assert!(error.contains(option) && error.contains(hint), "{error}");
        }
    }

    #[test]
    fn a_command_keeps_its_own_options() {
        let line = "ampoule run --ttl 1m -- sh -c ls --ttl x";
        let parsed = Arguments::try_parse_from(line.split(' ')).unwrap();
        let Command::Run(run) = parsed.command else {
            panic!("not a run")
        };
        assert_eq!(run.words(), ["sh", "-c", "ls", "--ttl", "x"]);
    }

    #[test]
    fn json_is_asked_for_before_the_command() {
        let wants = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            wants_json(&args)
        };
        assert!(wants("ampoule run --rm --json -- true"));
        assert!(!wants("ampoule run --rm -- true --json"));
        assert!(!wants("ampoule ps --json --rm"));
    }

    #[test]
    fn an_unknown_option_is_not_the_command() {
        for (line, option) in [
            ("ampoule run --name x -- true", "'--name'"),
            ("ampoule run --rm -- true", "'--rm'"),
            ("ampoule run --ttl=5s --memroy 1G -- true", "'--memroy'"),
            ("ampoule run -v /tmp:/tmp -- true", "'-v'"),
            ("ampoule exec 7k --name x -- true", "'--name'"),
            ("ampoule exec 7k -v /tmp:/tmp true", "'-v'"),
        ] {
            let error = Arguments::try_parse_from(line.split(' ')).unwrap_err();
            assert!(error.to_string().contains(option), "{error}");
            assert_eq!(code_of(line), 125, "{line}");
        }
    }

    #[test]
    fn after_two_dashes_anything_is_the_command() {
        for (line, words) in [
            ("ampoule run -- --rm -x", vec!["--rm", "-x"]),
            ("ampoule run sh -c ls --x", vec!["sh", "-c", "ls", "--x"]),
            ("ampoule run sh -- --ttl", vec!["sh", "--", "--ttl"]),
        ] {
            let parsed = Arguments::try_parse_from(line.split(' ')).unwrap();
            let Command::Run(run) = parsed.command else {
                panic!("not a run")
            };
            assert_eq!(run.words(), words, "{line}");
        }
        for line in ["ampoule exec 7k -- --rm", "ampoule exec 7k ls --rm"] {
            Arguments::try_parse_from(line.split(' ')).unwrap();
        }
    }

    #[test]
    fn what_is_waited_for_is_parsed_as_by_the_whole_parser() {
        for line in [
            "ampoule run -- true",
            "ampoule run --image x --ttl 5m --cpus 2 -e A=1 sh -c ls",
            "ampoule run --json --workspace . -- make",
            "ampoule exec 7k -- ls -la",
            "ampoule supervise",
        ] {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let whole = Arguments::try_parse_from(&args).unwrap().command;
            let quick = parse(&args).unwrap();
            assert_eq!(format!("{quick:?}"), format!("{whole:?}"), "{line}");
        }
    }

    #[test]
    fn a_chain_is_one_line_without_repetition() {
        let inner = io::Error::other("no\nspace");
        let error = CliError::Io {
            what: "cannot write",
            source: inner,
        };
        assert_eq!(chain(&error), "cannot write: no space");
    }
}
