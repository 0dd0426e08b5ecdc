// SPDX-License-Identifier: Apache-2.0
//! From the clone of `ampoule-vmm` to *ready*, to the first byte of a command's output and to the
//! command's end, phase by phase: booted, or restored from a template.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{ampoule, counts, facts, table};

/// How long a template may take until it is there.
const TEMPLATE: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many runs are counted, after one that is not.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Memory of the guest.
    #[arg(long, default_value = "128M")]
    pub(crate) memory: String,
    /// The image.
    #[arg(long, default_value = "base")]
    pub(crate) image: String,
}

/// How the guest comes to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Cold,
    Restored,
}

/// One run: the command's own report, and the time it took to its end.
struct Run {
    whole_ns: f64,
    report: Value,
}

pub(crate) fn measure(options: &Options, how: How) -> Result<Value> {
    let home = tempfile::tempdir()?;
    if how == How::Restored {
        make_template(home.path(), options)?;
    }
    let mut runs = Vec::new();
    for n in 0..=options.runs {
        // A command that says nothing, and one whose first byte is waited for.
        let silent = run(home.path(), options, how, &["true"])?;
        let speaking = run(home.path(), options, how, &["echo", "x"])?;
        if n > 0 {
            runs.push(json!({
                "whole_ns": silent.whole_ns,
                "report": silent.report,
                "first_byte_ns": speaking.report["timings_ns"]["output"],
            }));
        }
    }
    let (counted, counts) = counts::during(|| run(home.path(), options, how, &["true"]));
    counted?;
    print(&runs, counts.as_ref());
    Ok(json!({ "host": facts::host(), "counts": counts, "runs": runs }))
}

fn run(home: &Path, options: &Options, how: How, argv: &[&str]) -> Result<Run> {
    let mut command = ampoule(home)?;
    let (image, memory) = (&*options.image, &*options.memory);
    command.args(["run", "--json", "--image", image, "--memory", memory]);
    if how == How::Cold {
        command.arg("--cold");
    }
    let start = Instant::now();
    let output = command.arg("--").args(argv).output()?;
    let whole_ns = start.elapsed().as_secs_f64() * 1e9;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last();
    let last = last.context("ampoule run --json printed nothing")?;
    let report: Value = serde_json::from_str(last)?;
    let was = &report["start"]["how"];
    let wanted = match how {
        How::Cold => "cold",
        How::Restored => "restored",
    };
    ensure!(
        *was == wanted,
        "the guest was not {wanted}: {}",
        report["start"]
    );
    Ok(Run { whole_ns, report })
}

/// Has a template made: the first task that misses one sees to it.
pub(crate) fn make_template(home: &Path, options: &Options) -> Result<()> {
    let until = Instant::now() + TEMPLATE;
    loop {
        let mut command = ampoule(home)?;
        let (image, memory) = (&*options.image, &*options.memory);
        command.args(["run", "--json", "--image", image, "--memory", memory]);
        let output = command.args(["--", "true"]).output()?;
        if String::from_utf8_lossy(&output.stdout).contains("\"restored\"") {
            return Ok(());
        }
        if Instant::now() > until {
            bail!("no template was made within {TEMPLATE:?}: {output:?}");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Phases in the order of their least, all counted from the clone.
fn print(runs: &[Value], counts: Option<&Value>) {
    let mut phases: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for run in runs {
        let timings = run["report"]["timings_ns"].as_object();
        for (phase, ns) in timings.into_iter().flatten() {
            let runs = phases.entry(phase).or_default();
            runs.extend(ns.as_f64().map(|ns| ns / 1e6));
        }
    }
    let mut phases: Vec<_> = phases.into_iter().collect();
    let least = |runs: &Vec<f64>| runs.iter().copied().fold(f64::INFINITY, f64::min);
    phases.sort_by(|a, b| least(&a.1).total_cmp(&least(&b.1)));
    table::head("since the clone", "ms");
    for (phase, runs) in &phases {
        table::line(phase, runs);
    }
    for (name, key) in [
        ("first byte of echo", "first_byte_ns"),
        ("whole command", "whole_ns"),
    ] {
        let values = runs.iter().filter_map(|run| run[key].as_f64());
        table::line(name, &values.map(|ns| ns / 1e6).collect::<Vec<_>>());
    }
    match counts.and_then(Value::as_object) {
        None => println!("counts: not available (they need root and tracefs)"),
        Some(counts) => {
            let counts: Vec<_> = counts.iter().map(|(n, c)| format!("{n} {c}")).collect();
            println!("counts of one run: {}", counts.join(", "));
        }
    }
}
