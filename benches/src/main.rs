// SPDX-License-Identifier: Apache-2.0
//! Measurements, one sub-command a question. Each prints a table on stdout; `--json` writes every
//! run (not only medians) with the host it was measured on, `--report` one page for a browser.
//!
//! They measure the shipped binaries as a user starts them, and compare with something on the
//! same machine in the same run: machines are noisy, ratios less so. Nothing depends on this
//! package. `cargo ci test` holds what it says on the deterministic clock against the figures in
//! `figures/` (package `ci`, `test/gate`).
//!
//! A new question fills [`results::Results`]; table, JSON and page are there then.
//!
//! Exit code 0: measured; 1: could not be, with one line that says why; 2: an argument.

mod ampoule;
mod build;
mod counts;
mod facts;
mod fork;
mod gated;
mod load;
mod many;
mod memory;
mod output;
mod peers;
mod phases;
mod policy;
mod pool;
mod posture;
mod report;
mod results;
mod start;
mod stats;
mod table;
mod throughput;
mod workspace;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Measures Ampoule on this machine")]
struct Arguments {
    #[command(subcommand)]
    question: Question,
    /// Also write every run to this file.
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    /// Also write a page for a browser to this file.
    #[arg(long, global = true)]
    report: Option<PathBuf>,
    /// Folder of the three binaries to measure, instead of those that `cargo ci setup` built.
    #[arg(long, global = true, value_name = "DIR")]
    binaries: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Question {
    /// How long until a booted guest is ready, phase by phase, and the whole command `run -- true`.
    Boot(start::Options),
    /// The same for a guest that starts from a template.
    Restore(start::Options),
    /// The same for a guest that waited in a pool, from its taking.
    Pool(start::Options),
    /// How long until copies of a running task answer.
    Fork(fork::Options),
    /// What gating costs a task, in its guest.
    Gated(gated::Options),
    /// How long until a task stands still that is paused, and until it goes on.
    Posture(posture::Options),
    /// What gating costs a build.
    Build(build::Options),
    /// What a guest takes of its host's memory.
    Memory(memory::Options),
    /// How fast a guest reads its drive, against other monitors.
    Blk(throughput::Blk),
    /// How fast a guest's vsock is both ways, against other monitors.
    Vsock(throughput::Vsock),
    /// How fast stdout comes out of a guest, against a pipe on this machine.
    Output(output::Options),
    /// How long the image of a workspace takes, first and again, against `tar`.
    Workspace(workspace::Options),
    /// Many guests at once: that all give the right output, and what is left after.
    Many(many::Options),
    /// What the policy decides, without a guest.
    #[command(subcommand)]
    Policy(policy::Question),
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("benches: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    // Before the minutes that a measurement may take.
    let json = arguments.json.map(Place::new).transpose()?;
    let page = arguments.report.map(Place::new).transpose()?;
    if let Some(folder) = arguments.binaries {
        ampoule::use_binaries(folder)?;
    }
    let results = match arguments.question {
        Question::Boot(options) => start::measure(&options, ampoule::How::Cold)?,
        Question::Restore(options) => start::measure(&options, ampoule::How::Restored)?,
        Question::Pool(options) => start::measure(&options, ampoule::How::Pool)?,
        Question::Fork(options) => fork::measure(&options)?,
        Question::Gated(options) => gated::measure(&options)?,
        Question::Posture(options) => posture::measure(&options)?,
        Question::Build(options) => build::measure(&options)?,
        Question::Memory(options) => memory::measure(&options)?,
        Question::Blk(options) => throughput::blk(&options)?,
        Question::Vsock(options) => throughput::vsock(&options)?,
        Question::Output(options) => output::measure(&options)?,
        Question::Workspace(options) => workspace::measure(&options)?,
        Question::Many(options) => many::measure(&options)?,
        Question::Policy(question) => policy::measure(&question)?,
    };
    results.print();
    if let Some(place) = json {
        place.write(&serde_json::to_vec_pretty(&results)?)?;
    }
    if let Some(place) = page {
        place.write(report::page(&results).as_bytes())?;
    }
    Ok(())
}

/// A file that results go to. What was in it stays until there are some.
struct Place {
    path: PathBuf,
    file: File,
}

impl Place {
    fn new(path: PathBuf) -> Result<Self> {
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false);
        let file = file
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, file })
    }

    fn write(mut self, bytes: &[u8]) -> Result<()> {
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.write_all(bytes));
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }
}
