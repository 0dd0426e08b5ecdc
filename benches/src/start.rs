// SPDX-License-Identifier: Apache-2.0
//! From the clone of `ampoule-vmm` to *ready*, to the first byte of a command's output and to the
//! command's end, phase by phase: booted, restored from a template, or taken from a pool.

use std::time::Duration;

use anyhow::Result;

use crate::ampoule::{Guest, Home, How, Run};
use crate::counts;
use crate::load::{Load, Mode};
use crate::peers::{self, Peers};
use crate::phases::PHASES;
use crate::pool::Pool;
use crate::results::{Results, Series, Unit};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    guest: Guest,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    peers: Peers,
    /// How many runs are counted by the kernel's tracing rather than timed.
    #[arg(long, default_value_t = 3)]
    counted: u32,
}

/// What one turn of the measurement saw.
struct Turn {
    /// A command whose first byte is waited for.
    echo: Run,
    /// A command that says nothing. Not measured in a crowd, where it would be a crowd of its own.
    silent: Option<Run>,
}

pub(crate) fn measure(options: &Options, how: How) -> Result<Results> {
    match how {
        How::Cold => options.peers.check()?,
        How::Restored | How::Pool => options.peers.check_none()?,
    }
    let home = Home::new()?;
    let guest = &options.guest;
    let (question, pool) = match how {
        How::Cold => ("boot", None),
        How::Restored => {
            home.make_template(guest)?;
            ("restore", None)
        }
        How::Pool => (
            "pool",
            Some(Pool::start(&home, guest, options.load.most())?),
        ),
    };
    // None of its guests may be on its way while a run is timed.
    let run = |argv: &[&str]| {
        pool.as_ref().map_or(Ok(()), Pool::is_full)?;
        home.run(guest, how, argv)
    };
    let title = format!(
        "{question}: {} of 1 vCPU and {} from {}, {}",
        how.name(),
        guest.memory,
        guest.image,
        options.load.describe()
    );
    let turn = || -> Result<Turn> {
        let silent = match options.load.mode {
            Mode::Sequential => Some(run(&["true"])?),
            _ => None,
        };
        let echo = run(&["echo", "x"])?;
        Ok(Turn { echo, silent })
    };
    let turns = options.load.apply(&turn)?;
    let mut results = Results::new(question, title);
    let mut series = series(how, &turns);
    count(&mut series, options.counted, || run(&["true"]))?;
    results.series.push(series);
    if how == How::Cold {
        peers::boot(&options.peers, guest, options.load.runs, &mut results)?;
    }
    Ok(results)
}

fn series(how: How, turns: &[Turn]) -> Series {
    let flag = match how {
        How::Cold => " --cold",
        How::Restored | How::Pool => "",
    };
    let mut series = Series::new(format!("ampoule run{flag}"));
    series.protection = Some(PROTECTION.to_owned());
    for Turn { echo, silent } in turns {
        let timings = &echo.report["timings_ns"];
        for (phase, _) in PHASES {
            if let Some(ns) = timings[phase].as_f64() {
                series.push(phase, Unit::Ns, ns);
            }
        }
        let mut push = |name, time: Option<Duration>| {
            if let Some(time) = time {
                series.push(name, Unit::Ns, time.as_secs_f64() * 1e9);
            }
        };
        push("whole", silent.as_ref().map(|run| run.whole));
        push("gone", silent.as_ref().map(|run| run.gone));
        push("whole_echo", Some(echo.whole));
        push("first_byte_seen", echo.first_byte);
        let silent = silent.as_ref().map(|run| &run.report);
        series
            .raw
            .extend(silent.into_iter().chain([&echo.report]).cloned());
    }
    let seen = |phase: &&str| series.metric(phase).is_some();
    let phases = PHASES.iter().map(|(phase, _)| *phase);
    series.phases = phases.filter(seen).map(str::to_owned).collect();
    series
}

/// What stands between a guest that breaks the monitor and the host, in `ampoule run` as it is.
const PROTECTION: &str = "namespaces and cgroup of the VMM; no system-call filter yet";

fn count(series: &mut Series, runs: u32, act: impl Fn() -> Result<Run>) -> Result<()> {
    for _ in 0..runs {
        let (done, counts) = counts::during(&act);
        done?;
        match counts {
            Ok(counts) => {
                for (name, count) in counts {
                    let unit = match name {
                        counts::BYTES => Unit::Bytes,
                        _ => Unit::Count,
                    };
                    series.push(name, unit, count);
                }
            }
            Err(why) => {
                let what = "exits, page faults, system calls, fsyncs, bytes copied";
                series.not_available.push(format!("{what} ({why:#})"));
                return Ok(());
            }
        }
    }
    Ok(())
}
