// SPDX-License-Identifier: Apache-2.0
//! From the clone of `ampoule-vmm` to *ready* and to the command's end, phase by phase.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{ampoule, table};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many runs are counted, after one that is not.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Memory of the guest.
    #[arg(long, default_value = "128M")]
    memory: String,
    /// The image.
    #[arg(long, default_value = "base")]
    image: String,
}

pub(crate) fn measure(options: &Options) -> Result<Value> {
    let home = tempfile::tempdir()?;
    let mut runs = Vec::new();
    for n in 0..=options.runs {
        let mut command = ampoule(home.path())?;
        command.args([
            "run",
            "--json",
            "--image",
            &options.image,
            "--memory",
            &options.memory,
        ]);
        let start = Instant::now();
        let output = command.args(["--", "true"]).output()?;
        let whole = start.elapsed();
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout)?;
        let last = text
            .lines()
            .last()
            .context("ampoule run --json printed nothing")?;
        let report: Value = serde_json::from_str(last)?;
        if n > 0 {
            runs.push(json!({ "whole_ns": whole.as_secs_f64() * 1e9, "report": report }));
        }
    }
    print(&runs);
    Ok(Value::from(runs))
}

/// Phases in the order of their median, all counted from the clone.
fn print(runs: &[Value]) {
    let mut phases: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for run in runs {
        let timings = run["report"]["timings_ns"].as_object();
        for (phase, ns) in timings.into_iter().flatten() {
            phases
                .entry(phase)
                .or_default()
                .extend(ns.as_f64().map(|ns| ns / 1e6));
        }
    }
    let mut phases: Vec<_> = phases.into_iter().collect();
    let least = |runs: &Vec<f64>| runs.iter().copied().fold(f64::INFINITY, f64::min);
    phases.sort_by(|a, b| least(&a.1).total_cmp(&least(&b.1)));
    table::head("since the clone", "ms");
    for (phase, runs) in &phases {
        table::line(phase, runs);
    }
    let whole: Vec<f64> = runs
        .iter()
        .filter_map(|run| run["whole_ns"].as_f64())
        .collect();
    table::line(
        "whole command",
        &whole.iter().map(|ns| ns / 1e6).collect::<Vec<_>>(),
    );
}
