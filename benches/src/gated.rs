// SPDX-License-Identifier: Apache-2.0
//! What gating costs a task: starting programs, writing and removing files, gated by the built-in
//! policy against not gated. Measured in the guest, by its own clock.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::ampoule::Home;
use crate::results::{Results, Series, Unit};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many of each.
    #[arg(long, default_value_t = 100)]
    runs: u32,
    /// The image; it needs python3.
    #[arg(long, default_value = "python")]
    image: String,
}

/// What is done in the guest: a line of JSON with nanoseconds of each, each of a kind.
const SCRIPT: &str = r#"
import json, os, time
runs = RUNS
def timed(work):
    times = []
    for i in range(-3, runs):
        begun = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        work(i)
        times.append(time.clock_gettime_ns(time.CLOCK_MONOTONIC) - begun)
    return times[3:]
def start(*argv):
    pid = os.posix_spawn(argv[0], argv, {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"})
    os.waitpid(pid, 0)
def touch(i):
    os.close(os.open("/workspace/f%d" % i, os.O_WRONLY | os.O_CREAT, 0o644))
print(json.dumps({
    "start, granted": timed(lambda i: start("/usr/bin/true")),
    "start, the same again": timed(lambda i: start("/usr/bin/test", "-d", "/")),
    "start, another each time": timed(lambda i: start("/bin/ls", "-d", "/%d" % i)),
    "open to write": timed(touch),
    "remove": timed(lambda i: os.unlink("/workspace/f%d" % i)),
}))
"#;

pub(crate) fn measure(options: &Options) -> Result<Results> {
    let home = Home::new()?;
    let config = home.path().join("f");
    let policy = config.join("ampoule/policy");
    fs::create_dir_all(&policy)?;
    fs::write(policy.join("limits.toml"), "ungated = true\n")?;
    let run = |gated: bool| -> Result<Value> {
        let mut command = home.command()?;
        command.env("XDG_CONFIG_HOME", &config);
        command.args(["run", "--image", &options.image, "--ttl", "30m"]);
        command.args(match gated {
            true => ["--on-ask", "deny"].as_slice(),
            false => ["--ungated"].as_slice(),
        });
        command.args(["--", "python3", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let script = SCRIPT.replace("RUNS", &options.runs.to_string());
        let mut stdin = child.stdin.take().context("no stdin")?;
        stdin.write_all(script.as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "the task failed: {output:?}");
        let line = output.stdout.split(|byte| *byte == b'\n').next();
        serde_json::from_slice(line.unwrap_or_default()).context("the task said something else")
    };
    // What is made in the background for the first of its kind is not measured.
    run(true)?;
    let title = format!("gate: {} of each, in the guest", options.runs);
    let mut results = Results::new("gated", title);
    for (name, gated) in [("not gated", false), ("gated", true)] {
        let mut series = Series::new(name);
        let said = run(gated)?;
        for (what, times) in said.as_object().context("no times")? {
            for time in times.as_array().context("no times")? {
                series.push(what, Unit::Ns, time.as_f64().unwrap_or_default());
            }
        }
        results.series.push(series);
    }
    for what in [
        "start, granted",
        "start, another each time",
        "open to write",
    ] {
        results.compare(what);
    }
    Ok(results)
}
