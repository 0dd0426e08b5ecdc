// SPDX-License-Identifier: Apache-2.0
//! `ampoule exec`: a command beside a task's own, in the same guest.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use clap::Args;

use super::run::{FORWARDED, environment, terminal};
use super::{CliError, store, values};
use crate::api::{Client, ClientError, Event, ExecRequest, Request, Size};
use crate::folders::Folders;
use crate::poll::Interests;
use crate::stdio::{Input, Output, Pump, Side, Terminal, tell};
use crate::sys::signals::Signals;
use crate::task::Bytes;

/// How long the rest of the output may take once the command has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// Run a command in the guest of a running task
#[derive(Debug, Args)]
pub(super) struct Exec {
    /// Forward stdin (always so)
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// Set a variable, or pass one on by its name
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = values::variable)]
    env: Vec<String>,
    /// Folder in the guest to start in [default: /workspace]
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<OsString>,
    /// User to run as: a name, UID or UID:GID [default: the image's unprivileged user]
    #[arg(short, long)]
    user: Option<String>,
    /// The task: its id or the beginning of it
    task: String,
    /// The command and its arguments
    // Its first word cannot be an option of ours that is misspelt; after it, or after `--`, all is
    // the command's.
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    Signal,
    Client,
    Pump(Side),
}

/// A command that runs for us.
struct Session {
    client: Client,
    signals: Signals,
    terminal: Option<Terminal>,
    pump: Option<Pump>,
    /// The code and one line, once it ended.
    end: Option<(u8, Option<String>)>,
    ended_at: Option<Instant>,
    /// It ran to an end of its own, so it has streams. On a busy host the news of its end may
    /// overtake them: they come on a connection of their own.
    ran: bool,
    broken_pipe_told: bool,
}

impl Exec {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let task = store(folders)?.find(&self.task)?;
        let client = Client::connect(&task)?;
        let terminal = if self.tty { Some(terminal()?) } else { None };
        let signals = Signals::block(&FORWARDED).map_err(CliError::io("cannot take signals"))?;
        client.send(&Request::Exec(ExecRequest {
            argv: self.command.into_iter().map(Bytes::from).collect(),
            env: environment(self.env, self.tty),
            workdir: self.workdir.map(Bytes::from),
            user: self.user,
            terminal: terminal.as_ref().map(window),
        }))?;
        let mut session = Session {
            client,
            signals,
            terminal,
            pump: None,
            end: None,
            ended_at: None,
            ran: false,
            broken_pipe_told: false,
        };
        while !session.is_over() {
            session.turn()?;
        }
        drop(session.terminal.take());
        let (code, detail) = session.end.unwrap_or((crate::task::code::FAILED, None));
        if let Some(detail) = detail {
            eprintln!("ampoule: {detail}");
        }
        Ok(code)
    }
}

fn window(terminal: &Terminal) -> Size {
    let size = terminal.size();
    Size {
        rows: size.rows,
        cols: size.cols,
    }
}

impl Session {
    fn is_over(&self) -> bool {
        let Some(ended) = self.ended_at else {
            return false;
        };
        let drained = match &self.pump {
            Some(pump) => pump.is_done(),
            None => !self.ran,
        };
        drained || (ended.elapsed() >= DRAIN && !self.pump.as_ref().is_some_and(Pump::is_blocked))
    }

    fn turn(&mut self) -> Result<(), CliError> {
        let mut interests = Interests::new();
        interests.read(self.signals.as_fd(), Name::Signal);
        if self.end.is_none() || (self.ran && self.pump.is_none()) {
            interests.read(self.client.as_fd(), Name::Client);
        }
        if let Some(pump) = &self.pump {
            pump.interests(&mut interests, Name::Pump);
        }
        let until = self.ended_at.map(|at| at + DRAIN);
        for name in interests.wait(until).map_err(CliError::io("cannot wait"))? {
            match name {
                Name::Signal => self.signal()?,
                Name::Client => self.events()?,
                Name::Pump(side) => self.pump(side)?,
            }
        }
        Ok(())
    }

    fn signal(&mut self) -> Result<(), CliError> {
        while let Some(signal) = self.signals.next().map_err(CliError::io("cannot wait"))? {
            if self.end.is_some() {
                continue;
            }
            match (signal, &self.terminal) {
                (libc::SIGWINCH, Some(terminal)) => {
                    self.client.send(&Request::Resize(window(terminal)))?;
                }
                (libc::SIGWINCH, None) => {}
                _ => self.client.send(&Request::Signal(signal.unsigned_abs()))?,
            }
        }
        Ok(())
    }

    fn events(&mut self) -> Result<(), CliError> {
        let events = match self.client.events() {
            // The task's own command may have ended, and the guest with it.
            Err(ClientError::Ended) => {
                self.ran = false;
                let text = "the task ended before this command did".to_owned();
                self.ended(crate::task::code::FAILED, Some(text));
                return Ok(());
            }
            other => other?,
        };
        for event in events {
            match event {
                Event::Attached => self.attached()?,
                Event::Failed { code, detail } => self.ended(code, Some(detail)),
                Event::Exited { code, detail } => {
                    self.ran = true;
                    self.ended(code, detail);
                }
                Event::Note(line) => tell(self.terminal.as_ref(), &line),
                Event::Refused(why) => return Err(ClientError::Refused(why).into()),
                Event::Started => self.started()?,
                Event::Accepted | Event::Held(_) | Event::Drive { .. } | Event::Snapshot { .. } => {
                }
            }
        }
        Ok(())
    }

    fn started(&mut self) -> Result<(), CliError> {
        let Some(terminal) = &mut self.terminal else {
            return Ok(());
        };
        terminal.raw();
        // It may have had another size when the command was asked for.
        self.client.send(&Request::Resize(window(terminal)))?;
        Ok(())
    }

    fn ended(&mut self, code: u8, detail: Option<String>) {
        self.end.get_or_insert((code, detail));
        self.ended_at.get_or_insert_with(Instant::now);
    }

    fn attached(&mut self) -> Result<(), CliError> {
        let failed = || CliError::io("cannot use stdin, stdout or stderr");
        let Some(guest) = self.client.descriptor() else {
            return Ok(());
        };
        let input = Input::from(io::stdin().as_fd()).map_err(failed())?;
        let stdout = Output::to(io::stdout().as_fd()).map_err(failed())?;
        let stderr = Output::to(io::stderr().as_fd()).map_err(failed())?;
        self.pump = Some(Pump::new(guest, Some(input), (stdout, stderr)));
        Ok(())
    }

    fn pump(&mut self, side: Side) -> Result<(), CliError> {
        let Some(pump) = &mut self.pump else {
            return Ok(());
        };
        if let Err(error) = pump.turn(side) {
            let text = format!("the command's output broke off: {}", super::chain(&error));
            return Err(CliError::Usage(text));
        }
        if pump.stdout_is_broken()
            && self.end.is_none()
            && !std::mem::replace(&mut self.broken_pipe_told, true)
        {
            self.client
                .send(&Request::Signal(libc::SIGPIPE.unsigned_abs()))?;
        }
        Ok(())
    }
}
