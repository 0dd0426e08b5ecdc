// SPDX-License-Identifier: Apache-2.0
//! `cargo ci test`: set-up, checks, then every test of the workspace where it can run.
//!
//! Tier 1 needs no KVM and runs here. Tier 2 needs a `/dev/kvm` that opens. Tier 3 boots real
//! guests and needs KVM with hardware behind it; without that, its programs run in the simulated
//! server, all in one boot, compiled out here. A tier-3 program is an integration test named
//! `guests`; the package `vmm` has the tests of tier 2.
//!
//! The last line is the total. A test that says it skipped is counted as skipped, not as passed;
//! each check counts as a test.

mod programs;
mod report;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::kvmhost::{self, Server};
use crate::machine::Kvm;
use crate::{check, setup, tools};
use programs::{Program, Tier};
use report::Count;

/// How long one program may take here; one that hangs must not hang all.
const PROGRAM_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How long tier 3 may take in the simulated server.
const LIMIT: Duration = Duration::from_secs(35 * 60);

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
        total.add(&run_inside(&inside)?);
    }
    println!(
        "{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    );
    Ok(total.failed == 0)
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

/// Runs programs one after the other in one boot of the simulated server. Their output is shown as
/// it comes and kept in files, from which they are counted.
fn run_inside(programs: &[Program]) -> Result<Count> {
    let results = tempfile::tempdir()?;
    let server = Server {
        deterministic: false,
        memory_mib: memory_mib(),
        cpus: 2,
        limit: LIMIT,
        out: Some(results.path().to_owned()),
        forward_stdin: false,
        argv: vec!["sh".into(), "-c".into(), script(programs)],
    };
    let since = Instant::now();
    println!(
        "test: starting the simulated server with {} MiB",
        server.memory_mib
    );
    let ended = kvmhost::run(&server);
    println!(
        "test: the simulated server ran for {} s",
        since.elapsed().as_secs()
    );
    let mut total = Count::default();
    for (number, program) in programs.iter().enumerate() {
        total.add(&inside_count(results.path(), number, program));
    }
    // The files say how the tests went; what else went wrong is an error.
    match ended? {
        0 => {}
        code => println!("test: the simulated server ended with {code}"),
    }
    Ok(total)
}

/// Guests map kernel and images. On a server these lie on a local file system; the simulated
/// server's root is a network file system of its own machine, so they are copied to memory first.
const LOCAL_DATA: &str = "\
    data=${XDG_DATA_HOME:-$HOME/.local/share}/ampoule\n\
    export XDG_DATA_HOME=/run/data\n\
    mkdir -p /run/data && cp -r \"$data\" /run/data/ || exit 1\n";

fn script(programs: &[Program]) -> String {
    let mut script = LOCAL_DATA.to_owned();
    for (number, program) in programs.iter().enumerate() {
        let folder = kvmhost::quote(&program.folder.to_string_lossy());
        let file = kvmhost::quote(&program.file.to_string_lossy());
        script.push_str(&format!(
            "cd {folder}; export CARGO_MANIFEST_DIR={folder}\n\
             {{ {file} --show-output --test-threads=1 2>&1; echo $? > /out/{number}.code; }} \
             | tee /out/{number}.log\n"
        ));
    }
    script
}

fn inside_count(results: &Path, number: usize, program: &Program) -> Count {
    let read = |kind| std::fs::read_to_string(results.join(format!("{number}.{kind}")));
    let text = read("log").unwrap_or_default();
    let succeeded = read("code").is_ok_and(|code| code.trim() == "0");
    report::summary(&program.name, &text, succeeded)
}

/// Room for fifty guests of 64 MiB and for one of 5 GiB, as far as the machine has it.
fn memory_mib() -> u32 {
    const WANTED: u64 = 16 * 1024;
    const LEAST: u64 = 6 * 1024;
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = meminfo
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemAvailable:")?
                .trim()
                .strip_suffix(" kB")
        })
        .and_then(|kib| kib.parse::<u64>().ok())
        .map_or(LEAST, |kib| kib / 1024 / 4 * 3);
    u32::try_from(available.clamp(LEAST, WANTED)).unwrap_or(u32::MAX)
}
