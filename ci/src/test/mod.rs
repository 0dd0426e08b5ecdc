// SPDX-License-Identifier: Apache-2.0
//! `cargo ci test`: set-up, checks, then every test of the workspace where it can run.
//!
//! Tier 1 needs no KVM and runs here. Tier 2 needs a `/dev/kvm` that opens. Tier 3 boots real
//! guests and needs KVM with hardware behind it; without that, its programs run in the simulated
//! server ([`inside`]), compiled out here. A tier-3 program is an integration test named `guests`;
//! the package `vmm` has the tests of tier 2.
//!
//! The last line is the total. A test that says it skipped is counted as skipped, not as passed;
//! each check counts as a test.

mod inside;
mod programs;
mod report;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::machine::Kvm;
use crate::{check, gate, setup, soak, tools};
use programs::{Program, Tier};
use report::Count;

/// How long one program may take here; one that hangs must not hang all.
const PROGRAM_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Sets up, checks and tests; returns whether all is well.
pub(crate) fn run() -> Result<bool> {
    let kvm = setup::run()?;
    let mut total = Count::default();
    let checks = check::run();
    total.add(&Count {
        passed: checks.passed,
        failed: checks.failed,
        skipped: checks.skipped,
    });

    let programs = programs::compile()?;
    let (inside, here): (Vec<_>, Vec<_>) = programs
        .into_iter()
        .partition(|program| runs_inside(program.tier, kvm));
    println!("test: {}", tiers(kvm));
    for program in &here {
        total.add(&run_here(program)?);
    }
    total.add(&doc_tests()?);
    if !inside.is_empty() {
        total.add(&inside::run(&inside)?);
    }
    total.add(&short_soak(kvm)?);
    total.add(&gate(kvm)?);
    println!(
        "{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    );
    Ok(total.failed == 0)
}

/// The short selection of the soak counts as one test.
fn short_soak(kvm: Kvm) -> Result<Count> {
    if kvm == Kvm::Hardware && !rustix::process::geteuid().is_root() {
        println!("test: skipped: CPython's own tests; run `cargo ci soak`, which asks for root");
        return Ok(Count {
            skipped: 1,
            ..Count::default()
        });
    }
    let well = soak::run(kvm, &soak::Extent::Short)?;
    Ok(one(well))
}

/// The gate counts as one test. On hardware there is no clock that repeats.
fn gate(kvm: Kvm) -> Result<Count> {
    if kvm == Kvm::Hardware {
        println!("test: skipped: the gate on boot latency; hardware has no deterministic clock");
        return Ok(Count {
            skipped: 1,
            ..Count::default()
        });
    }
    let well = gate::run(false)?;
    Ok(one(well))
}

fn one(well: bool) -> Count {
    Count {
        passed: u32::from(well),
        failed: u32::from(!well),
        skipped: 0,
    }
}

fn runs_inside(tier: Tier, kvm: Kvm) -> bool {
    match tier {
        Tier::One => false,
        Tier::Two => kvm == Kvm::None,
        Tier::Three => kvm != Kvm::Hardware,
    }
}

fn tiers(kvm: Kvm) -> &'static str {
    match kvm {
        Kvm::Hardware => "tiers 1, 2 and 3 run here, on hardware KVM",
        Kvm::Device => "tiers 1 and 2 run here; tier 3 runs in the simulated KVM server",
        Kvm::None => "tier 1 runs here; tiers 2 and 3 run in the simulated KVM server",
    }
}

fn run_here(program: &Program) -> Result<Count> {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", &PROGRAM_LIMIT.as_secs().to_string()]);
    command
        .arg(&program.file)
        .arg("--show-output")
        .current_dir(&program.folder);
    command.env("CARGO_MANIFEST_DIR", &program.folder);
    let since = Instant::now();
    let done = command
        .output()
        .with_context(|| format!("cannot start {}", program.name))?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(report::program(
        &program.name,
        &text,
        done.status.success(),
        Some(since.elapsed()),
    ))
}

fn doc_tests() -> Result<Count> {
    let done = tools::cargo()
        .args(["test", "--workspace", "--doc", "--quiet"])
        .output();
    let done = done.context("cannot start cargo")?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(report::program(
        "examples in the documentation",
        &text,
        done.status.success(),
        None,
    ))
}
