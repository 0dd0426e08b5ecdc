// SPDX-License-Identifier: Apache-2.0
//! How long copies of a running task take until all of them answer.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{ampoule, facts, start, table};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    start: start::Options,
    /// How many runs are counted for each number, after one that is not.
    #[arg(long, default_value_t = 5)]
    forks: u32,
    /// How many copies at once; several times.
    #[arg(short, default_values_t = [1_u32, 8])]
    n: Vec<u32>,
}

pub(crate) fn measure(options: &Options) -> Result<Value> {
    let home = tempfile::tempdir()?;
    let home = home.path();
    start::make_template(home, &options.start)?;
    let (image, memory) = (&*options.start.image, &*options.start.memory);
    let run = [
        "run", "-d", "--image", image, "--memory", memory, "--", "sleep", "1000",
    ];
    let task = said(home, &run)?;
    let mut results = Vec::new();
    table::head("ampoule fork, whole command", "ms");
    for n in &options.n {
        let mut runs = Vec::new();
        for round in 0..=options.forks {
            let begun = Instant::now();
            let copies = said(home, &["fork", "-n", &n.to_string(), &task])?;
            let whole = begun.elapsed().as_secs_f64() * 1e3;
            for copy in copies.lines() {
                ensure!(said(home, &["exec", copy, "--", "echo", "here"])? == "here");
                said(home, &["kill", copy])?;
            }
            ensure!(copies.lines().count() == usize::try_from(*n)?);
            if round > 0 {
                runs.push(whole);
            }
        }
        table::line(&format!("{n} copies"), &runs);
        let whole_ns: Vec<f64> = runs.iter().map(|ms| ms * 1e6).collect();
        results.push(json!({ "n": n, "whole_ns": whole_ns }));
    }
    said(home, &["kill", &task])?;
    Ok(json!({ "host": facts::host(), "forks": results }))
}

/// Runs `ampoule` and gives what it says.
fn said(home: &Path, args: &[&str]) -> Result<String> {
    let output = ampoule(home)?.args(args).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ampoule {args:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
