// SPDX-License-Identifier: Apache-2.0
//! Many guests at once: each gives its own output, and a second later nothing of them is left.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::ampoule::Home;
use crate::results::{Results, Series, Unit};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    guests: u32,
    /// Memory of each.
    #[arg(long, default_value = "64M")]
    memory: String,
}

pub(crate) fn measure(options: &Options) -> Result<Results> {
    let home = Home::new()?;
    let start = Instant::now();
    let mut children = Vec::new();
    for n in 0..options.guests {
        let mut command = home.command()?;
        command.args(["run", "--memory", &options.memory, "--start-timeout", "10m"]);
        command.args([
            "--ttl",
            "20m",
            "--",
            "sh",
            "-c",
            &format!("echo guest {n}; nproc"),
        ]);
        children.push(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?,
        );
    }
    let mut wrong = Vec::new();
    for (n, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output()?;
        if !output.status.success() || output.stdout != format!("guest {n}\n1\n").as_bytes() {
            wrong.push(format!("{n}: {output:?}"));
        }
    }
    let all = start.elapsed();
    std::thread::sleep(Duration::from_secs(1));
    let left = std::fs::read_dir(home.runtime()).map_or(0, Iterator::count);
    let processes = count_processes("ampoule-vmm");
    ensure!(wrong.is_empty(), "wrong output:\n{}", wrong.join("\n"));
    ensure!(
        left == 0 && processes == 0,
        "{processes} processes and {left} runtime folders were left behind"
    );
    let guests = options.guests;
    let title = format!("many: {guests} guests at once, all right, nothing left a second later");
    let mut results = Results::new("many", title);
    let mut series = Series::new("ampoule run");
    series.push("until all have ended", Unit::Ns, all.as_secs_f64() * 1e9);
    results.series.push(series);
    Ok(results)
}

fn count_processes(name: &str) -> usize {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok())
        .filter(|comm| comm.trim_end() == name)
        .count()
}
