// SPDX-License-Identifier: Apache-2.0
//! What gating costs a build: a C project made by `make -j2`, gated by the policies of the first
//! day against not gated. Pairs alternate; each guest boots and has an empty cache of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::ampoule::Home;
use crate::results::{Results, Series, Unit};

#[path = "../../host/tests/guests/building/project.rs"]
mod project;

/// What is compared.
const BUILD: &str = "build";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many sources.
    #[arg(long, default_value_t = 200)]
    files: u32,
    /// How many blocks of some sixty lines each of them has.
    #[arg(long, default_value_t = 5)]
    blocks: u32,
    /// How many pairs.
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// The image; it needs gcc and make.
    #[arg(long, default_value = "develop")]
    image: String,
    /// CPUs of the guest.
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Memory of the guest.
    #[arg(long, default_value = "1G")]
    memory: String,
}

/// One build.
struct Built {
    /// From *ready* to the end of `make`, judging it included.
    ns: f64,
    whole_ns: f64,
    counts: BTreeMap<&'static str, u32>,
}

pub(crate) fn measure(options: &Options) -> Result<Results> {
    let home = Home::new()?;
    let policy = home.path().join("f/ampoule/policy");
    fs::create_dir_all(&policy)?;
    // Nothing of the policies of the first day is changed by it.
    fs::write(policy.join("limits.toml"), "ungated = true\n")?;
    let folder = home.path().join("project");
    let prints = project::write(&folder, options.files, options.blocks)?;
    let bench = Bench {
        options,
        home: &home,
        folder: &folder,
        prints: prints.to_string(),
    };
    let title = format!(
        "build: {} files of {} blocks, make -j2 in a guest with --cpus {}",
        options.files, options.blocks, options.cpus
    );
    let mut results = Results::new("build", title);
    let (mut plain, mut gated) = (Series::new("not gated"), Series::new("gated"));
    for _ in 0..options.runs {
        for (series, is_gated) in [(&mut plain, false), (&mut gated, true)] {
            let built = bench.build(is_gated)?;
            // Each takes minutes where a guest is emulated.
            eprintln!(
                "benches: built, {}, in {:.1} s",
                series.name,
                built.ns / 1e9
            );
            series.push(BUILD, Unit::Ns, built.ns);
            series.push("whole command", Unit::Ns, built.whole_ns);
            for (what, count) in built.counts {
                series.push(what, Unit::Count, f64::from(count));
            }
        }
    }
    results.series = vec![plain, gated];
    results.compare(BUILD);
    results.compare("whole command");
    Ok(results)
}

struct Bench<'a> {
    options: &'a Options,
    home: &'a Home,
    folder: &'a Path,
    prints: String,
}

impl Bench<'_> {
    fn command(&self) -> Result<Command> {
        let mut command = self.home.command()?;
        command.env("XDG_CONFIG_HOME", self.home.path().join("f"));
        command.env("XDG_CACHE_HOME", self.home.path().join("c"));
        Ok(command)
    }

    fn build(&self, gated: bool) -> Result<Built> {
        let mut command = self.command()?;
        let cpus = self.options.cpus.to_string();
        command.args(["run", "--json", "--cold", "--ttl", "2h"]);
        command.args(["--image", &self.options.image, "--cpus", &cpus]);
        command.args(["--memory", &self.options.memory]);
        command.arg("--workspace").arg(self.folder);
        // Whoever would be asked is nobody: a build that is asked about fails.
        command.args(match gated {
            true => ["--on-ask", "deny"].as_slice(),
            false => ["--ungated"].as_slice(),
        });
        command.args(["--", "make", "-j2"]);
        let begun = std::time::Instant::now();
        let output = command.stdout(Stdio::piped()).output()?;
        let whole_ns = begun.elapsed().as_secs_f64() * 1e9;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", errors.trim());
        let mut lines = text.lines().rev();
        let report: Value = serde_json::from_str(lines.next().unwrap_or_default())
            .context("the report is no JSON")?;
        let printed = lines.next().unwrap_or_default();
        ensure!(printed == self.prints, "the program printed {printed:?}");
        let at = |phase: &str| {
            let time = report["timings_ns"][phase].as_f64();
            time.with_context(|| format!("the report has no {phase}"))
        };
        let task = report["task"]
            .as_str()
            .context("the report names no task")?;
        Ok(Built {
            ns: at("exited")? - at("ready")?,
            whole_ns,
            counts: self.counts(task)?,
        })
    }

    /// What the record says of a task: how often its gate asked the host and how often it did not,
    /// and how often a person would have been asked.
    fn counts(&self, task: &str) -> Result<BTreeMap<&'static str, u32>> {
        let mut command = self.command()?;
        let kinds = "intent,uses,asked,verdict";
        command.args(["events", "--json", "--kind", kinds, task]);
        let output = command.output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}", errors.trim());
        let mut counts = BTreeMap::from([
            ("asks", 0),
            ("decided by the host", 0),
            ("started under a grant", 0),
        ]);
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let event: Value = serde_json::from_str(line).context("an event is no JSON")?;
            let (what, more) = match event["kind"].as_str() {
                Some("intent") => ("decided by the host", 1),
                Some("asked") => ("asks", 1),
                Some("verdict") if event["verdict"] == "deny" => ("asks", 1),
                Some("uses") => ("started under a grant", uses(&event)),
                _ => continue,
            };
            *counts.entry(what).or_default() += more;
        }
        Ok(counts)
    }
}

fn uses(event: &Value) -> u32 {
    let told = event["uses"].as_array().map_or(0, Vec::len) as u64;
    let lost = event["lost"].as_u64().unwrap_or_default();
    u32::try_from(told + lost).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_builds_without_a_warning_and_prints_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let prints = project::write(folder.path(), 4, 3).unwrap();
        let make = Command::new("make").current_dir(&folder).output();
        let make = make.expect("make is there: `cargo ci setup` installs it");
        assert!(make.status.success(), "{make:?}");
        assert!(make.stderr.is_empty(), "{make:?}");
        let said = String::from_utf8(make.stdout).unwrap();
        assert_eq!(said.lines().last(), Some(&*prints.to_string()));
    }
}
