// SPDX-License-Identifier: Apache-2.0
//! How long it takes from a decision on the host until a task stands still, and until it goes on:
//! what whoever decides waits for, the record on disk included.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::ampoule::{Guest, Home};
use crate::results::{Results, Series, Unit};

/// Between one decision and the next.
const BETWEEN: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    guest: Guest,
    /// How many times it is paused.
    #[arg(long, default_value_t = 20)]
    runs: u32,
    /// vCPUs, all of them busy.
    #[arg(long, default_value_t = 1)]
    cpus: u32,
}

pub(crate) fn measure(options: &Options) -> Result<Results> {
    let home = Home::new()?;
    let (image, memory) = (&*options.guest.image, &*options.guest.memory);
    let (cpus, patience) = (
        options.cpus.to_string(),
        format!("{}s", options.guest.patience),
    );
    let mut run = vec![
        "run", "-d", "--image", image, "--memory", memory, "--cpus", &cpus,
    ];
    run.extend(["--start-timeout", &patience, "--cold", "--"]);
    let busy = format!("for i in $(seq {cpus}); do (while :; do :; done) & done; wait");
    run.extend(["sh", "-c", &busy]);
    let task = home.said(&run, &options.guest)?;
    let title = format!("posture: a task of {cpus} busy vCPUs and {memory}");
    let mut results = Results::new("posture", title);
    let mut series = Series::new("asked by its supervisor's socket");
    let socket = home.runtime().join(&task).join("api.sock");
    let measured = (0..=options.runs).try_for_each(|round| -> Result<()> {
        for (metric, posture) in [("paused", "paused"), ("goes_on", "normal")] {
            // A vCPU that has just been let go on is owed the processor for a moment.
            std::thread::sleep(BETWEEN);
            let time = hold(&socket, posture)?;
            if round > 0 {
                series.push(metric, Unit::Ns, time);
            }
        }
        Ok(())
    });
    // Whatever happened: nothing stays behind.
    home.said(&["kill", &task], &options.guest)?;
    measured?;
    results.series.push(series);
    Ok(results)
}

/// Nanoseconds until the task is held so.
#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of less than a month"
)]
fn hold(socket: &Path, posture: &str) -> Result<f64> {
    let mut stream = UnixStream::connect(socket).context("the supervisor does not listen")?;
    let hold = json!({"hold": {"posture": posture, "asks": [], "by": "benches", "why": ""}});
    let begun = Instant::now();
    stream.write_all(format!("{hold}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let time = begun.elapsed();
    let said: Value = serde_json::from_str(&line).context("the supervisor said no JSON")?;
    ensure!(
        said["held"]["posture"] == posture,
        "it is not held so: {said}"
    );
    Ok(time.as_nanos() as f64)
}
