// SPDX-License-Identifier: Apache-2.0
//! `cargo ci demo`: sets the machine up, then runs a real Python project's own test suite in a
//! microVM, and shows where the time went.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::kvmhost::{self, Server};
use crate::machine::Kvm;
use crate::{project, setup};

/// The one timing that is not counted from the clone: what the command did until then.
const BEFORE: &str = "before_clone";

/// Shows it; returns whether the suite passed.
pub(crate) fn run() -> Result<bool> {
    let kvm = setup::run()?;
    let project = project::fetch()?;
    println!(
        "demo: the tests of {} in a microVM, {}",
        project.display(),
        place(kvm)
    );
    let results = tempfile::tempdir()?;
    let code = match kvm {
        Kvm::Hardware => here(&project, results.path())?,
        Kvm::Device | Kvm::None => inside(&project, results.path())?,
    };
    println!("demo: the suite ended with {code}");
    show_timings(&results.path().join("task.json"))?;
    Ok(code == 0)
}

fn place(kvm: Kvm) -> &'static str {
    match kvm {
        Kvm::Hardware => "on this machine's KVM",
        Kvm::Device | Kvm::None => "in the simulated KVM server (expect seconds for milliseconds)",
    }
}

/// What the demo shows being typed; the record of the task is asked for afterwards.
fn script(project: &Path, results: &str) -> String {
    let ampoule = kvmhost::quote(&setup::binaries().join("ampoule").to_string_lossy());
    let project = kvmhost::quote(&project.to_string_lossy());
    format!(
        "set -- run --image python --memory 512M --ttl 10m --workspace {project} \
         -- python3 -m unittest\n\
         echo \"$ ampoule $*\"\n\
         {ampoule} \"$@\"; code=$?\n\
         task=$({ampoule} ps -a --json | head -n 1 | sed 's/.*\"task\":\"\\([^\"]*\\)\".*/\\1/')\n\
         {ampoule} inspect \"$task\" > {results}/task.json\n\
         exit $code"
    )
}

fn here(project: &Path, results: &Path) -> Result<u8> {
    let script = script(project, &kvmhost::quote(&results.to_string_lossy()));
    let status = Command::new("sh")
        .args(["-c", &script])
        .status()
        .context("cannot start sh")?;
    let Some(code) = status.code() else {
        bail!("the demo was interrupted")
    };
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

fn inside(project: &Path, results: &Path) -> Result<u8> {
    kvmhost::run(&Server {
        deterministic: false,
        memory_mib: 4096,
        cpus: 2,
        limit: Duration::from_secs(15 * 60),
        out: Some(results.to_owned()),
        forward_stdin: false,
        argv: vec!["sh".into(), "-c".into(), script(project, "/out")],
    })
}

/// Phases as milliseconds since the VMM was cloned, in the order in which they happened.
fn show_timings(file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file).context("the task left no record")?;
    let task: Value = serde_json::from_str(&text).context("the task's record is not JSON")?;
    let timings = task["timings_ns"]
        .as_object()
        .context("the task's record has no timings")?;
    println!("demo: milliseconds from the clone of the VMM, and since the phase before");
    if let Some(nanos) = timings.get(BEFORE).and_then(Value::as_u64) {
        println!(
            "demo:   {:<14} {:>12}",
            "(until the clone)",
            milliseconds(nanos)
        );
    }
    let mut before = 0;
    for (phase, nanos) in in_order(timings) {
        let step = milliseconds(nanos.saturating_sub(before));
        println!("demo:   {phase:<14} {:>12} {step:>12}", milliseconds(nanos));
        before = nanos;
    }
    Ok(())
}

fn in_order(timings: &serde_json::Map<String, Value>) -> Vec<(&str, u64)> {
    let known = timings
        .iter()
        .filter_map(|(phase, value)| Some((phase.as_str(), value.as_u64()?)));
    let mut phases: Vec<_> = known.filter(|(phase, _)| *phase != BEFORE).collect();
    phases.sort_by_key(|(_, nanos)| *nanos);
    phases
}

fn milliseconds(nanos: u64) -> String {
    format!("{}.{:03}", nanos / 1_000_000, nanos / 1000 % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_come_in_the_order_of_their_times_without_those_not_reached() {
        let timings =
            serde_json::json!({"before_clone": 99, "ready": 30, "agent": 20, "started": null});
        let phases = in_order(timings.as_object().unwrap());
        assert_eq!(phases, [("agent", 20), ("ready", 30)]);
    }

    #[test]
    fn milliseconds_have_three_places() {
        assert_eq!(milliseconds(12_034_999), "12.034");
    }
}
