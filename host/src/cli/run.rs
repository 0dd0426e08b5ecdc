// SPDX-License-Identifier: Apache-2.0
//! `ampoule run`: a task from here to its end, or left behind with `-d`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use policy::action::Plan;
use serde_json::json;
use vmm::config::{MemoryMib, VcpuCount};

use super::progress::Progress;
use super::supervise::{Order, Status, Supervised};
use super::{CliError, say, values};
use crate::folders::Folders;
use crate::settings::{MAX_TTL, Settings};
use crate::stdio::{Input, Output, Terminal};
use crate::store::Store;
use crate::supervise::files::Files;
use crate::supervise::run::{Finished, Streams};
use crate::supervise::task::{Front, Task};
use crate::sys::signals::Signals;
use crate::task::{
    Bytes, End, Gating, Kind, OnAsk, Outcome, Planned, Resources, Spec, TaskId, code,
};

/// Signals that are the command's. What a terminal or a service manager sends.
pub(super) const FORWARDED: [i32; 7] = [
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
];

/// Time to live unless something else is asked for or allowed.
const TTL: Duration = Duration::from_secs(10 * 60);

/// Lines of the guest's console that are shown with a failure.
const CONSOLE_LINES: usize = 20;

/// How long a task may wait for people at most: with its time to live it stays below what a VMM
/// lives.
const MOST_WAIT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Run a command in a new microVM
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Forward stdin (always so unless detached)
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// Print the task's id and return once the command runs, or once people are asked whether it may
    #[arg(short, long, conflicts_with_all = ["interactive", "tty", "json"])]
    detach: bool,
    /// Image to boot: see `ampoule image ls`
    #[arg(long, default_value = "base")]
    image: String,
    /// Folder to work on; the task sees a copy at /workspace, the folder never changes
    #[arg(long, value_name = "DIR")]
    workspace: Option<PathBuf>,
    /// Time to live, from the start of the VM [default: 10m, or max-ttl of config.toml if that is less]
    #[arg(long, value_parser = values::duration, allow_hyphen_values = true)]
    ttl: Option<Duration>,
    /// How long before its end the command is warned by SIGTERM [default: 2s, at most a quarter of the TTL]
    #[arg(long, value_parser = values::grace, allow_hyphen_values = true)]
    grace: Option<Duration>,
    /// End stdout with one line of JSON: the task, its exit, timings, memory
    #[arg(long)]
    json: bool,
    /// Guest memory
    #[arg(long, default_value = "256M", value_parser = values::memory, allow_hyphen_values = true)]
    memory: MemoryMib,
    /// vCPUs
    #[arg(long, default_value = "1", value_parser = values::cpus, allow_hyphen_values = true)]
    cpus: VcpuCount,
    /// Set a variable, or pass one on by its name
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = values::variable)]
    env: Vec<String>,
    /// Folder in the guest to start in [default: /workspace]
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<OsString>,
    /// User to run as: a name, UID or UID:GID [default: the image's unprivileged user]
    #[arg(short, long)]
    user: Option<String>,
    /// What the task may write, in guest memory [default: half of it]
    #[arg(long, value_name = "SIZE", value_parser = values::scratch, allow_hyphen_values = true)]
    scratch: Option<u64>,
    /// Keep the guest kernel's last lines and show them if it fails (slows the boot)
    #[arg(long)]
    debug_console: bool,
    /// Boot the guest even if a template of it is there to start from
    #[arg(long)]
    cold: bool,
    /// A file of further policies; they may only forbid
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Judge nothing that it does; only where the operator's limits.toml allows that
    #[arg(long, conflicts_with_all = ["policy", "on_ask", "wait"])]
    ungated: bool,
    /// What becomes of what a person would have to be asked about: wait, deny, exit
    #[arg(long, value_name = "WHAT", default_value = "wait", value_parser = on_ask)]
    on_ask: OnAsk,
    /// How long the task may wait for people, in all
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = values::duration, allow_hyphen_values = true)]
    wait: Duration,
    /// Park the guest once it has waited for so long and does nothing: no processor, no memory
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = values::duration, allow_hyphen_values = true)]
    park_after: Duration,
    /// Carry out a plan, judged as a whole before anything runs, in place of a command
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["command", "interactive", "tty", "workdir"],
    )]
    plan: Option<PathBuf>,
    /// How long the guest may take until it is ready [default: 30s, more on a busy host]
    #[arg(long, value_name = "TIME", value_parser = values::duration, hide = true)]
    start_timeout: Option<Duration>,
    /// The command and its arguments
    // Its first word cannot be an option of ours that is misspelt; after it, or after `--`, all is
    // the command's.
    #[arg(required_unless_present = "plan", trailing_var_arg = true)]
    command: Vec<OsString>,
}

impl Run {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let since = Instant::now();
        let settings = Settings::read(folders)?;
        let (json, detach, tty) = (self.json, self.detach, self.tty);
        let spec = self.spec(&settings)?;
        if detach {
            return detached(spec);
        }
        let mut files = {
            let _progress = spec
                .workspace
                .as_ref()
                .map(|folder| Progress::of(format!("reading the workspace {}", folder.display())));
            Files::open(folders, &spec)?
        };
        let front = front(tty)?;
        let store = Store::open(folders)?;
        let mut task = Task::record(folders, &store, &spec, &mut files)?;
        let before = since.elapsed();
        let mut finished = task.run(&spec, files, front, &mut |_| ())?;
        let before = u64::try_from(before.as_nanos()).ok();
        finished.outcome.timings_ns.before_clone = before;
        let code = report(&task.id, &finished, json);
        task.leave();
        // Closing it writes nothing, and would touch pages that the process's end gives back.
        std::mem::forget(store);
        code
    }

    /// Whether a line of JSON is to be the end of stdout.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    #[cfg(test)]
    pub(super) fn words(&self) -> Vec<&str> {
        self.command
            .iter()
            .filter_map(|word| word.to_str())
            .collect()
    }

    fn spec(self, settings: &Settings) -> Result<Spec, CliError> {
        let ttl = self.time_to_live(settings.max_ttl)?;
        let scratch_bytes = self.scratch_bytes()?;
        let grace = self.grace.unwrap_or(Duration::from_secs(2).min(ttl / 4));
        if grace >= ttl {
            let text = "--grace must be shorter than --ttl: it is the warning before it";
            return Err(CliError::Usage(text.to_owned()));
        }
        let gating = self.gating()?;
        let plan = self.plan.as_deref().map(planned).transpose()?;
        let first = plan.as_ref().and_then(|plan| plan.steps.first());
        let first = first.map(|step| step.argv.clone());
        let command = || self.command.into_iter().map(Bytes::from).collect();
        Ok(Spec {
            image: self.image,
            workspace: self.workspace.map(absolute).transpose()?,
            argv: first.unwrap_or_else(command),
            env: environment(self.env, self.tty),
            workdir: self.workdir.map(Bytes::from),
            user: self.user,
            terminal: self.tty,
            detached: self.detach,
            resources: Resources {
                memory_mib: self.memory.get(),
                cpus: self.cpus.get(),
                scratch_bytes,
            },
            ttl_ms: millis(ttl),
            grace_ms: millis(grace),
            start_timeout_ms: self.start_timeout.map(millis),
            debug_console: self.debug_console,
            cold: self.cold,
            gating,
            plan,
            copy_of: None,
        })
    }

    /// What was asked for must be allowed; what was not asked for follows what is.
    fn time_to_live(&self, most: Duration) -> Result<Duration, CliError> {
        let ttl = self.ttl.unwrap_or(TTL.min(most));
        if ttl <= most {
            return Ok(ttl);
        }
        let whose = if most < MAX_TTL {
            " (max-ttl in config.toml)"
        } else {
            ""
        };
        let most = values::show(most);
        Err(CliError::Usage(format!(
            "--ttl may be {most} at most{whose}; write --ttl {most} or less"
        )))
    }

    /// How it is judged. A file that is not there is better known before there is a guest.
    fn gating(&self) -> Result<Gating, CliError> {
        let mut policies = Vec::new();
        for path in &self.policy {
            // Where a link lies counts as well, so it is not followed here.
            let whole = std::path::absolute(path).and_then(|path| {
                path.metadata()?;
                Ok(path)
            });
            policies.push(whole.map_err(|error| {
                let path = path.display();
                CliError::Usage(format!("cannot read the policy {path}: {error}"))
            })?);
        }
        if self.wait > MOST_WAIT {
            let most = values::show(MOST_WAIT);
            return Err(CliError::Usage(format!("--wait may be {most} at most")));
        }
        Ok(Gating {
            policies,
            ungated: self.ungated,
            on_ask: self.on_ask,
            wait_ms: millis(self.wait),
            park_after_ms: millis(self.park_after),
        })
    }

    /// Scratch space is guest memory: with all of it nothing could run.
    fn scratch_bytes(&self) -> Result<u64, CliError> {
        let memory = self.memory.bytes();
        let scratch = self.scratch.unwrap_or(memory / 2);
        if scratch < memory {
            return Ok(scratch);
        }
        let memory = self.memory.get();
        Err(CliError::Usage(format!(
            "--scratch is part of --memory and must be less than its {memory}M; \
             lower the one or raise the other"
        )))
    }
}

/// What a command's environment is given: what was asked for, and of a terminal which it is.
pub(super) fn environment(asked: Vec<String>, tty: bool) -> Vec<Bytes> {
    let term = if tty {
        std::env::var("TERM").ok()
    } else {
        None
    };
    let term = term.map(|term| format!("TERM={term}"));
    term.into_iter().chain(asked).map(Bytes::Text).collect()
}

/// Longest plan, in bytes.
const PLAN: u64 = 1 << 20;

fn planned(path: &Path) -> Result<Planned, CliError> {
    let said = |why: String| CliError::Usage(format!("the plan {}: {why}", path.display()));
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(PLAN + 1).read_to_string(&mut text));
    read.map_err(|error| said(error.to_string()))?;
    if text.len() as u64 > PLAN {
        return Err(said(format!("it has more than {PLAN} bytes")));
    }
    Plan::read(&text).and_then(Planned::of).map_err(said)
}

fn on_ask(text: &str) -> Result<OnAsk, String> {
    match text {
        "wait" => Ok(OnAsk::Wait),
        "deny" => Ok(OnAsk::Deny),
        "exit" => Ok(OnAsk::Exit),
        _ => Err("write wait, deny or exit".to_owned()),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn absolute(path: PathBuf) -> Result<PathBuf, CliError> {
    std::path::absolute(path).map_err(CliError::io("cannot tell where the workspace is"))
}

/// This process's own streams and signals.
fn front(tty: bool) -> Result<Front, CliError> {
    let failed = || CliError::io("cannot use stdin, stdout or stderr");
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let streams = Streams {
        input: Some(Input::from(stdin.as_fd()).map_err(failed())?),
        stdout: Output::to(stdout.as_fd()).map_err(failed())?,
        stderr: Output::to(stderr.as_fd()).map_err(failed())?,
    };
    let signals = Signals::block(&FORWARDED).map_err(CliError::io("cannot take signals"))?;
    let terminal = if tty { Some(terminal()?) } else { None };
    Ok(Front {
        streams,
        terminal,
        signals,
        forward_signals: true,
    })
}

/// Our terminal, for a command that does not run yet.
pub(super) fn terminal() -> Result<Terminal, CliError> {
    Terminal::waiting(io::stdin().as_fd())
        .map_err(|_| CliError::Usage("-t needs a terminal, and stdin is none".to_owned()))
}

/// What is left to say when a task has ended; the exit code.
fn report(id: &TaskId, finished: &Finished, json: bool) -> Result<u8, CliError> {
    let Finished {
        outcome,
        console,
        line_ended,
    } = finished;
    if outcome.end.reason != Kind::Exited {
        show_console(console);
    }
    if let Some(detail) = &outcome.end.detail {
        eprintln!("ampoule: {detail}");
    }
    if json {
        let newline = if *line_ended { "" } else { "\n" };
        let line = format!("{newline}{}", summary(Some(id), outcome));
        say(&line)?;
    }
    Ok(outcome.code)
}

/// The last lines of the guest's console, harmless for a terminal.
fn show_console(console: &[u8]) {
    let text = String::from_utf8_lossy(console);
    let lines: Vec<&str> = text.lines().collect();
    let mut stderr = io::stderr().lock();
    for line in lines
        .get(lines.len().saturating_sub(CONSOLE_LINES)..)
        .unwrap_or_default()
    {
        let line: String = line.chars().filter(|c| !c.is_control()).take(500).collect();
        let _ = writeln!(stderr, "console: {line}");
    }
}

/// What `--json` says of a task that there was no VM for.
pub(super) fn not_started(why: &str) -> serde_json::Value {
    let end = End::new(Kind::NotStarted, why);
    summary(None, &Outcome::new(code::FAILED, end))
}

fn summary(id: Option<&TaskId>, outcome: &Outcome) -> serde_json::Value {
    let exit = match outcome.exit {
        Some(exit) => json!(exit),
        None => json!({ "reason": outcome.end.reason }),
    };
    let mut summary = json!(outcome);
    summary["task"] = json!(id);
    summary["exit"] = exit;
    summary
}

/// Leaves a supervisor of its own behind and says what it says.
fn detached(spec: Spec) -> Result<u8, CliError> {
    match Supervised::start(&Order { spec, copy: None })?.status()? {
        Status::Started(id) => say(id.as_str()).map(|()| 0),
        Status::Failed { code, detail } => {
            eprintln!("ampoule: {detail}");
            Ok(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: Run,
    }

    fn spec(options: &str, max_ttl: Duration) -> Result<Spec, CliError> {
        let line = format!("run {options} -- true");
        Line::try_parse_from(line.split_whitespace())
            .unwrap()
            .run
            .spec(&Settings { max_ttl })
    }

    #[test]
    fn the_default_ttl_is_lowered_to_the_maximum_and_an_asked_one_is_refused() {
        let minute = Duration::from_secs(60);
        assert_eq!(spec("", minute).unwrap().ttl_ms, 60_000);
        assert_eq!(spec("", MAX_TTL).unwrap().ttl_ms, 600_000);
        let error = spec("--ttl 2m", minute).unwrap_err().to_string();
        assert!(error.contains("1m") && error.contains("max-ttl"), "{error}");
        let error = spec("--ttl 2d", MAX_TTL).unwrap_err().to_string();
        assert!(
            error.contains("23h") && !error.contains("config"),
            "{error}"
        );
    }

    #[test]
    fn scratch_space_is_smaller_than_memory() {
        for options in ["--scratch 256M", "--memory 1G --scratch 2G"] {
            let error = spec(options, MAX_TTL).unwrap_err().to_string();
            assert!(error.contains("--scratch") && error.contains("--memory"));
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let spec = spec("--scratch 255M", MAX_TTL).unwrap();
        assert_eq!(spec.resources.scratch_bytes, 255 << 20);
    }

    #[test]
    fn a_task_that_never_was_is_reported_like_any_other() {
        let line = not_started("there is no image 'x'");
        assert_eq!(line["code"], 125);
        assert_eq!(line["task"], serde_json::Value::Null);
        assert_eq!(line["exit"], json!({ "reason": "not-started" }));
        assert_eq!(line["end"]["reason"], "not-started");
        assert_eq!(line["end"]["detail"], "there is no image 'x'");
        assert_eq!(line.to_string().lines().count(), 1);
    }
}
