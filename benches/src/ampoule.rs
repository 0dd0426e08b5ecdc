// SPDX-License-Identifier: Apache-2.0
//! The shipped binaries, started as a user starts them, with their state in a folder of our own.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a guest is measured with.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Guest {
    /// Memory of the guest.
    #[arg(long, default_value = "128M")]
    pub(crate) memory: String,
    /// The image.
    #[arg(long, default_value = "base")]
    pub(crate) image: String,
    /// How many seconds a guest may take until it is ready, or until it answers.
    #[arg(long, default_value_t = 30)]
    pub(crate) patience: u32,
    /// How many starts that failed may be repeated. For the simulated server only: its QEMU hangs
    /// a guest in one boot of some hundreds.
    #[arg(long, default_value_t = 0)]
    pub(crate) retries: u32,
}

/// How a guest comes to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Cold,
    Restored,
    Pool,
}

impl How {
    pub(crate) fn name(self) -> &'static str {
        match self {
            How::Cold => "cold",
            How::Restored => "restored",
            How::Pool => "pool",
        }
    }
}

/// The folder of the binaries that are measured, once it was said which.
static BINARIES: OnceLock<PathBuf> = OnceLock::new();

/// Measures the binaries in `folder`, not those that were shipped.
pub(crate) fn use_binaries(folder: PathBuf) -> Result<()> {
    let folder = std::path::absolute(folder)?;
    let again = BINARIES.set(folder).is_err();
    ensure!(!again, "the binaries were chosen already");
    Ok(())
}

/// The folder of the binaries.
pub(crate) fn shipped() -> PathBuf {
    if let Some(folder) = BINARIES.get() {
        return folder.clone();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.unwrap_or(Path::new("."))
        .join("target/x86_64-unknown-linux-musl/release")
}

/// A shipped binary.
pub(crate) fn binary(name: &str) -> Result<PathBuf> {
    let path = shipped().join(name);
    ensure!(
        path.exists(),
        "{} is missing: run `cargo ci setup`",
        path.display()
    );
    Ok(path)
}

/// Folders for one measurement. Images and templates are the user's.
pub(crate) struct Home(TempDir);

/// One `ampoule run` seen from outside, and its own report.
pub(crate) struct Run {
    /// From before the process was made to its end.
    pub(crate) whole: Duration,
    /// Until the first byte of stdout, if there was one before the report.
    pub(crate) first_byte: Option<Duration>,
    /// Until nothing of the task was left.
    pub(crate) gone: Duration,
    pub(crate) report: Value,
}

impl Home {
    pub(crate) fn new() -> Result<Self> {
        let home = tempfile::tempdir()?;
        for folder in ["s", "r"] {
            std::fs::create_dir(home.path().join(folder))?;
        }
        Ok(Self(home))
    }

    /// Where the tasks that run have their sockets.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.0.path().join("r/ampoule")
    }

    /// Where its folders are.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// `ampoule`, its stdin empty.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = Command::new(binary("ampoule")?);
        command
            .env("XDG_STATE_HOME", self.0.path().join("s"))
            .env("XDG_RUNTIME_DIR", self.0.path().join("r"))
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs `ampoule ARGS` and gives what it prints. A guest that hangs may keep it waiting, but
    /// not us: then the command is killed.
    pub(crate) fn said(&self, args: &[&str], guest: &Guest) -> Result<String> {
        let mut command = self.command()?;
        command.args(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn()?;
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (sender, ended) = channel();
        // Nobody listens any more when the limit was reached.
        std::thread::spawn(move || sender.send(child.wait_with_output()).ok());
        let limit = Duration::from_secs(u64::from(guest.patience) * 2);
        let line = || format!("ampoule {}", args.join(" "));
        let Ok(output) = ended.recv_timeout(limit) else {
            // Its process is not reaped yet, or has just ended by itself.
            id.map(|id| kill_process(id, Signal::KILL));
            bail!("{} did not end within {} s", line(), limit.as_secs());
        };
        let output = output?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}", line(), errors.trim());
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Has a running task answer, which a guest that hangs does not.
    pub(crate) fn answers(&self, task: &str, guest: &Guest) -> Result<()> {
        let said = self.said(&["exec", task, "--", "echo", "here"], guest)?;
        ensure!(said == "here", "{task} answered {said:?}");
        Ok(())
    }

    /// `ampoule run` of `argv`, with its report.
    pub(crate) fn run(&self, guest: &Guest, how: How, argv: &[&str]) -> Result<Run> {
        let mut tries = 0;
        loop {
            match self.run_once(guest, how, argv) {
                Err(error) if tries < guest.retries => {
                    tries += 1;
                    eprintln!("benches: once more, since this start failed: {error:#}");
                }
                done => return done,
            }
        }
    }

    fn run_once(&self, guest: &Guest, how: How, argv: &[&str]) -> Result<Run> {
        let mut command = self.command()?;
        let (image, memory) = (&*guest.image, &*guest.memory);
        command.args(["run", "--json", "--image", image, "--memory", memory]);
        // A guest may hang after it was ready too; then its time to live is over soon.
        let (start, ttl) = (guest.patience, u64::from(guest.patience) * 2);
        command.args([
            "--start-timeout",
            &format!("{start}s"),
            "--ttl",
            &format!("{ttl}s"),
        ]);
        if how == How::Cold {
            command.arg("--cold");
        }
        command.arg("--").args(argv);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = Instant::now();
        let mut child = command.spawn()?;
        let mut stdout = child.stdout.take().context("no stdout")?;
        let (mut text, mut byte) = (Vec::new(), [0]);
        let first = stdout.read(&mut byte)?;
        let first_byte = start.elapsed();
        text.extend_from_slice(byte.get(..first).unwrap_or_default());
        stdout.read_to_end(&mut text)?;
        let output = child.wait_with_output()?;
        let whole = start.elapsed();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", errors.trim());
        let report = report(&String::from_utf8(text)?)?;
        let was = &report["start"]["how"];
        let wanted = how.name();
        ensure!(*was == wanted, "not {wanted}: {}", report["start"]);
        Ok(Run {
            whole,
            first_byte: (byte != *b"{").then_some(first_byte),
            gone: self.gone(&report, start)?,
            report,
        })
    }

    /// When nothing of the task is left. A next run must not share its processor with this one's
    /// end.
    fn gone(&self, report: &Value, start: Instant) -> Result<Duration> {
        let task = report["task"]
            .as_str()
            .context("the report names no task")?;
        let folder = self.runtime().join(task);
        let until = Instant::now() + Duration::from_secs(30);
        while folder.exists() {
            ensure!(Instant::now() < until, "{task} is still there after 30 s");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(start.elapsed())
    }

    /// Has a template of such a guest made, as `ampoule run` has it made in the background.
    pub(crate) fn make_template(&self, guest: &Guest) -> Result<()> {
        const BUSY: i32 = 75;
        let mib = mebibytes(&guest.memory)?;
        let resources = json!({ "memory_mib": mib, "cpus": 1, "scratch_bytes": mib << 19 });
        let request = json!({ "image": guest.image, "resources": resources }).to_string();
        for _ in 0..120 {
            let output = self.command()?.args(["template", &request]).output()?;
            match output.status.code() {
                Some(0) => return Ok(()),
                Some(BUSY) => std::thread::sleep(Duration::from_millis(500)),
                _ => bail!(
                    "this ampoule makes no templates: {}",
                    String::from_utf8_lossy(&output.stderr).trim()
                ),
            }
        }
        bail!("another process makes templates and does not end")
    }
}

/// The report is the last line of stdout.
fn report(text: &str) -> Result<Value> {
    let last = text.lines().last();
    let last = last.context("ampoule run --json printed nothing")?;
    serde_json::from_str(last).context("the last line of ampoule run --json is not JSON")
}

/// `128M` or `1G`, as `ampoule --memory` takes it.
pub(crate) fn mebibytes(text: &str) -> Result<u64> {
    let (digits, by) = match text.strip_suffix(['M', 'm']) {
        Some(digits) => (digits, 1),
        None => (text.trim_end_matches(['G', 'g']), 1024),
    };
    let number: u64 = digits
        .parse()
        .with_context(|| format!("{text} is no size: write 128M or 1G"))?;
    Ok(number * by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_mebibytes() {
        assert_eq!(mebibytes("128M").unwrap(), 128);
        assert_eq!(mebibytes("2G").unwrap(), 2048);
        assert!(mebibytes("lots").is_err());
    }

    #[test]
    fn the_report_is_the_last_line() {
        let report = report("x\n{\"task\":\"a\"}\n").unwrap();
        assert_eq!(report["task"], "a");
        assert!(super::report("").is_err() && super::report("x\n").is_err());
    }
}
