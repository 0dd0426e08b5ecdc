// SPDX-License-Identifier: Apache-2.0
//! The supervisor of a detached task: what `ampoule run -d` leaves behind. Not for people.
//!
//! It gets the task on stdin and answers on stdout with one line: the task's id once the command
//! runs or people are asked whether it may, or why it does not. Then it lets go of what it shares
//! with the command that started it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{CliError, chain};
use crate::folders::Folders;
use crate::stdio::Output;
use crate::store::Store;
use crate::supervise::files::Files;
use crate::supervise::run::Streams;
use crate::supervise::task::{Front, Task};
use crate::sys::fork::let_go_of_standard_streams;
use crate::sys::signals::Signals;
use crate::task::{Spec, TaskId, code};

/// Signals by which a service manager or the machine's shutdown asks it to end.
const ENDING: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// Supervise a detached task
#[derive(Debug, Args)]
pub(super) struct Supervise {}

/// What it gets.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    /// The task.
    pub(super) spec: Spec,
    /// For a copy of a running guest: where its files can be opened until we have answered.
    #[serde(default)]
    pub(super) copy: Option<CopyFiles>,
}

/// The files of a copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CopyFiles {
    pub(super) snapshot: PathBuf,
    /// `None` for a drive without a medium.
    pub(super) drives: Vec<Option<PathBuf>>,
}

impl CopyFiles {
    fn open(&self) -> io::Result<(File, Vec<Option<File>>)> {
        let drives = self.drives.iter();
        let drives = drives.map(|path| path.as_ref().map(File::open).transpose());
        Ok((
            File::open(&self.snapshot)?,
            drives.collect::<Result<_, _>>()?,
        ))
    }
}

/// What the supervisor says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// The command runs, or waits for people; that was said on stderr.
    Started(TaskId),
    /// It does not.
    Failed {
        /// What `ampoule run` returns.
        code: u8,
        /// One line.
        detail: String,
    },
}

/// A supervisor that was started and has not answered.
#[derive(Debug)]
pub(super) struct Supervised(Child);

impl Supervised {
    /// Starts one.
    pub(super) fn start(order: &Order) -> Result<Self, CliError> {
        let failed = || CliError::io("cannot start a supervisor");
        let own = std::env::current_exe().map_err(failed())?;
        let mut command = Command::new(own);
        command.arg("supervise");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed())?;
        let json = serde_json::to_vec(order).map_err(|e| failed()(e.into()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&json).map_err(failed())?;
        }
        Ok(Self(child))
    }

    /// Waits for its answer.
    pub(super) fn status(mut self) -> Result<Status, CliError> {
        let mut said = String::new();
        if let Some(mut stdout) = self.0.stdout.take() {
            let failed = CliError::io("cannot start a supervisor");
            stdout.read_to_string(&mut said).map_err(failed)?;
        }
        serde_json::from_str(&said)
            .map_err(|_| CliError::Usage("the supervisor ended without a word".to_owned()))
    }
}

impl Supervise {
    #[expect(clippy::unused_self, reason = "every sub-command is executed alike")]
    pub(super) fn execute(self, folders: &Folders) -> u8 {
        let mut told = false;
        let result = supervise(folders, &mut told);
        if let Err(error) = result
            && !told
        {
            tell(&Status::Failed {
                code: code::FAILED,
                detail: chain(&error),
            });
        }
        0
    }
}

fn supervise(folders: &Folders, told: &mut bool) -> Result<(), CliError> {
    let mut json = Vec::new();
    let failed = || CliError::io("cannot take the task over");
    io::stdin().read_to_end(&mut json).map_err(failed())?;
    let order: Order = serde_json::from_slice(&json).map_err(|e| failed()(e.into()))?;
    let Order { spec, copy } = order;
    // A session of its own: no terminal of the caller's reaches it. Fails only for a leader.
    let _ = rustix::process::setsid();
    let mut files = match copy {
        None => Files::open(folders, &spec)?,
        Some(copy) => {
            let (snapshot, drives) = copy.open().map_err(failed())?;
            Files::of_copy(snapshot, drives)?
        }
    };
    let streams = Streams {
        input: None,
        stdout: Output::nowhere(),
        stderr: Output::nowhere(),
    };
    let signals = Signals::block(&ENDING).map_err(CliError::io("cannot take signals"))?;
    let front = Front {
        streams,
        terminal: None,
        signals,
        forward_signals: false,
    };
    let store = Store::open(folders)?;
    let mut task = Task::record(folders, &store, &spec, &mut files)?;
    let finished = task.run(&spec, files, front, &mut |id| {
        if std::mem::replace(told, true) {
            return;
        }
        tell(&Status::Started(id.clone()));
        let_go();
    })?;
    if !*told {
        *told = true;
        let outcome = finished.outcome;
        let detail = outcome
            .end
            .detail
            .unwrap_or_else(|| "the command ended".to_owned());
        tell(&Status::Failed {
            code: outcome.code,
            detail,
        });
        let_go();
    }
    task.free();
    Ok(())
}

fn tell(status: &Status) {
    let mut line = serde_json::to_vec(status).unwrap_or_default();
    line.push(b'\n');
    // Nobody there to be told: the record says it too.
    let _ = io::stdout().write_all(&line);
    let _ = io::stdout().flush();
}

/// Closes what was the caller's: it may wait for the end of a pipe.
fn let_go() {
    let _ = std::env::set_current_dir("/");
    let_go_of_standard_streams();
}
