// SPDX-License-Identifier: Apache-2.0
//! What a guest takes from its host, one second after it is ready: memory that is its own, in all
//! its processes; its share of what several use; what its cgroup is charged with; and what the VMM
//! takes for itself.

mod smaps;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::ampoule::{Guest, Home, How};
use crate::results::{Results, Series, Unit};
use smaps::Smaps;

/// When a guest is at rest: as the bar is written.
const REST: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    guest: Guest,
    /// How many guests of each kind, one after the other.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How many guests run at once for the shared part.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    at_once: u32,
}

pub(crate) fn measure(options: &Options) -> Result<Results> {
    let home = Home::new()?;
    let Guest { image, memory, .. } = &options.guest;
    let title = format!("memory: guests of 1 vCPU and {memory} from {image}, 1 s after ready");
    let mut results = Results::new("memory", title);
    let mut series = Series::new("ampoule run -d");
    home.make_template(&options.guest)?;
    for _ in 0..options.runs {
        for how in [How::Cold, How::Restored] {
            let taken = taken(&home, &[start(&home, &options.guest, how)?], &options.guest)?;
            let bytes = |name: &str| taken.get(name).copied().unwrap_or(0.0);
            for name in ["private", "written", "vmm_own", "supervisor"] {
                let figure = format!("{name}_{}", how.name());
                series.push(&figure, Unit::Bytes, bytes(name));
            }
            if bytes("files") > 0.0 {
                let share = bytes("still_files") / bytes("files") * 100.0;
                series.push(
                    &format!("still_shared_{}", how.name()),
                    Unit::Percent,
                    share,
                );
            }
        }
    }
    for how in [How::Cold, How::Restored] {
        let tasks = (0..options.at_once).map(|_| start(&home, &options.guest, how));
        let tasks: Vec<String> = tasks.collect::<Result<_>>()?;
        let taken = taken(&home, &tasks, &options.guest)?;
        let ten = options.at_once;
        for (name, label) in [("pss", "PSS"), ("cgroup", "memory.current")] {
            let label = format!("{label} of each, {ten} {}", how.name());
            match taken.get(name) {
                Some(bytes) => series.push(&label, Unit::Bytes, bytes / f64::from(ten)),
                None => series.not_available.push(label),
            }
        }
    }
    results.series.push(series);
    let notes = [
        "private: Private_Clean and Private_Dirty of the VMM and the supervisor",
        "a page of the kernel, a template or a program is private as long as one guest alone runs, \
         and in a tmpfs dirty; the next guest shares it. What was written to is each guest's own",
    ];
    results.notes.extend(notes.map(str::to_owned));
    Ok(results)
}

fn start(home: &Home, guest: &Guest, how: How) -> Result<String> {
    let patience = format!("{}s", guest.patience);
    let mut run = vec![
        "run",
        "-d",
        "--image",
        &guest.image,
        "--memory",
        &guest.memory,
    ];
    run.extend(["--start-timeout", &patience]);
    if how == How::Cold {
        run.push("--cold");
    }
    run.extend(["--", "sleep", "1000"]);
    home.said(&run, guest)
}

/// Sums over the tasks' processes, once they are at rest; ends them.
fn taken(home: &Home, tasks: &[String], guest: &Guest) -> Result<BTreeMap<&'static str, f64>> {
    std::thread::sleep(REST);
    let mut sums = BTreeMap::new();
    let taken = tasks
        .iter()
        .try_for_each(|task| one(home, task, guest, &mut sums));
    for task in tasks {
        home.said(&["kill", task], guest)?;
    }
    taken.map(|()| sums)
}

fn one(
    home: &Home,
    task: &str,
    guest: &Guest,
    sums: &mut BTreeMap<&'static str, f64>,
) -> Result<()> {
    let record: Value = serde_json::from_str(&home.said(&["inspect", task], guest)?)?;
    let process = &record["process"];
    let pid = |name: &str| {
        process[name]
            .as_u64()
            .with_context(|| format!("{task} has no {name}"))
    };
    let vmm = Smaps::of(pid("vmm_pid")?)?;
    let supervisor = Smaps::of(pid("supervisor_pid")?)?;
    let (still_files, files) = vmm.of_files();
    let mut add = |name, bytes: u64| *sums.entry(name).or_insert(0.0) += to_f64(bytes);
    add("private", vmm.private() + supervisor.private());
    add("written", vmm.anonymous() + supervisor.anonymous());
    add("supervisor", supervisor.private());
    add("vmm_own", vmm.without_guest());
    add("still_files", still_files);
    add("files", files);
    add("pss", vmm.pss() + supervisor.pss());
    if let Some(cgroup) = process["cgroup"].as_str() {
        let current = fs::read_to_string(Path::new(cgroup).join("memory.current"))?;
        add("cgroup", current.trim().parse()?);
    }
    Ok(())
}

/// Bytes of memory are far below 2^53.
fn to_f64(bytes: u64) -> f64 {
    let (high, low) = (bytes >> 32, bytes & 0xffff_ffff);
    f64::from(u32::try_from(high).unwrap_or(u32::MAX)) * 4_294_967_296.0
        + f64::from(u32::try_from(low).unwrap_or(u32::MAX))
}
