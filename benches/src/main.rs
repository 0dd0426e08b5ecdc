// SPDX-License-Identifier: Apache-2.0
//! Measurements, one sub-command a question. Each prints a table on stdout and, with `--json`,
//! writes every run (not only medians) to a file.
//!
//! They measure the shipped binaries as a user starts them, and compare with something on the
//! same machine in the same run: machines are noisy, ratios less so. Nothing depends on this
//! package, and no test fails on a time.

mod counts;
mod facts;
mod fork;
mod many;
mod output;
mod start;
mod table;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures Ampoule on this machine")]
struct Arguments {
    #[command(subcommand)]
    question: Question,
    /// Also write every run to this file.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Question {
    /// How long until a booted guest is ready, phase by phase, and the whole command `run -- true`.
    Boot(start::Options),
    /// The same for a guest that starts from a template.
    Restore(start::Options),
    /// How long until copies of a running task answer.
    Fork(fork::Options),
    /// How fast stdout comes out of a guest, against a pipe on this machine.
    Output(output::Options),
    /// How long the image of a workspace takes, first and again, against `tar`.
    Workspace(workspace::Options),
    /// Many guests at once: that all give the right output, and what is left after.
    Many(many::Options),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runs = match arguments.question {
        Question::Boot(options) => start::measure(&options, start::How::Cold)?,
        Question::Restore(options) => start::measure(&options, start::How::Restored)?,
        Question::Fork(options) => fork::measure(&options)?,
        Question::Output(options) => output::measure(&options)?,
        Question::Workspace(options) => workspace::measure(&options)?,
        Question::Many(options) => many::measure(&options)?,
    };
    if let Some(path) = arguments.json {
        std::fs::write(&path, serde_json::to_vec_pretty(&runs)?)
            .with_context(|| format!("Cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The folder of the shipped binaries.
fn shipped() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.unwrap_or(Path::new("."))
        .join("target/x86_64-unknown-linux-musl/release")
}

/// `ampoule`, its state in `home`, its stdin empty.
fn ampoule(home: &Path) -> Result<Command> {
    let path = shipped().join("ampoule");
    ensure!(
        path.exists(),
        "{} is missing: run `cargo ci setup`",
        path.display()
    );
    let mut command = Command::new(path);
    command
        .env("XDG_STATE_HOME", home.join("s"))
        .env("XDG_RUNTIME_DIR", home.join("r"));
    std::fs::create_dir_all(home.join("s"))?;
    std::fs::create_dir_all(home.join("r"))?;
    command.stdin(Stdio::null());
    Ok(command)
}
