// SPDX-License-Identifier: Apache-2.0
//! Tier 3 in the simulated server: programs one after the other in one boot, their output shown as
//! it comes and kept in files, from which it is counted.
//!
//! # Why a failed test has a second try here, and only here
//!
//! QEMU's TCG (10.0.2, `helper_vmrun` in `target/i386/tcg/*/svm_helper.c`) leaves the vector of an
//! interrupt it has just injected into a nested guest in `exception_index`. When the emulated CPU
//! is asked out of its loop before the guest's next exit, the same interrupt is delivered again, in
//! the middle of its own handler with interrupts off, and the guest's kernel waits for itself for
//! ever: in a trace, one `kvm_inj_virq` is followed by two ends of interrupt. One boot in some
//! hundreds ends so. Processors do not do this, so on hardware KVM every failure counts at once.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::programs::Program;
use super::report::{self, Count};
use crate::kvmhost::{self, Server};

/// How long one boot of the server may take with all its programs.
const LIMIT: Duration = Duration::from_secs(35 * 60);

/// More failures than these are no accident of the simulation: one boot in some hundreds breaks, and
/// there are some two hundred.
const MOST_AGAIN: usize = 5;

/// A program, and which of its tests to run; all when none is named.
struct Turn<'a> {
    program: &'a Program,
    only: Vec<String>,
}

/// What a program's output came to.
struct Said {
    count: Count,
    failed: Vec<String>,
}

/// Runs the programs, and what failed once more.
pub(super) fn run(programs: &[Program]) -> Result<Count> {
    let all = programs.iter().map(|program| Turn {
        program,
        only: Vec::new(),
    });
    let first = in_server(&all.collect::<Vec<_>>())?;
    let mut total = Count::default();
    for said in &first {
        total.add(&said.count);
    }
    let again: Vec<_> = programs
        .iter()
        .zip(first)
        .filter(|(_, said)| !said.failed.is_empty())
        .map(|(program, said)| Turn {
            program,
            only: said.failed,
        })
        .collect();
    let names: Vec<_> = again.iter().flat_map(|turn| turn.only.iter()).collect();
    let told = u32::try_from(names.len()).unwrap_or(u32::MAX);
    // A program that died has a failure without a name.
    if names.is_empty() || names.len() > MOST_AGAIN || told != total.failed {
        return Ok(total);
    }
    println!("test: once more, since the simulated server itself may be why: {names:?}");
    let second = in_server(&again)?;
    total.failed = 0;
    for said in &second {
        total.add(&said.count);
    }
    Ok(total)
}

/// Runs the turns in one boot of the server; what each said.
fn in_server(turns: &[Turn<'_>]) -> Result<Vec<Said>> {
    let results = tempfile::tempdir()?;
    let server = Server {
        deterministic: false,
        memory_mib: memory_mib(),
        cpus: 2,
        limit: LIMIT,
        out: Some(results.path().to_owned()),
        forward_stdin: false,
        argv: vec!["sh".into(), "-c".into(), script(turns)],
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
    let said = turns.iter().enumerate();
    let said = said.map(|(number, turn)| said_by(results.path(), number, turn.program));
    let said = said.collect();
    // The files say how the tests went; what else went wrong is an error.
    match ended? {
        0 => {}
        code => println!("test: the simulated server ended with {code}"),
    }
    Ok(said)
}

/// Guests map kernel and images. On a server these lie on a local file system; the simulated
/// server's root is a network file system of its own machine, so they are copied to memory first.
const LOCAL_DATA: &str = "\
    data=${XDG_DATA_HOME:-$HOME/.local/share}/ampoule\n\
    export XDG_DATA_HOME=/run/data\n\
    mkdir -p /run/data && cp -r \"$data\" /run/data/ || exit 1\n";

fn script(turns: &[Turn<'_>]) -> String {
    let mut script = LOCAL_DATA.to_owned();
    for (number, turn) in turns.iter().enumerate() {
        let folder = kvmhost::quote(&turn.program.folder.to_string_lossy());
        let file = kvmhost::quote(&turn.program.file.to_string_lossy());
        let exact = if turn.only.is_empty() { "" } else { "--exact" };
        let only: Vec<_> = turn.only.iter().map(|name| kvmhost::quote(name)).collect();
        let only = only.join(" ");
        script.push_str(&format!(
            "cd {folder}; export CARGO_MANIFEST_DIR={folder}\n\
             {{ {file} --show-output --test-threads=1 {exact} {only} 2>&1; \
             echo $? > /out/{number}.code; }} | tee /out/{number}.log\n"
        ));
    }
    script
}

fn said_by(results: &Path, number: usize, program: &Program) -> Said {
    let read = |kind| std::fs::read_to_string(results.join(format!("{number}.{kind}")));
    let text = read("log").unwrap_or_default();
    let succeeded = read("code").is_ok_and(|code| code.trim() == "0");
    Said {
        count: report::summary(&program.name, &text, succeeded),
        failed: failed(&text),
    }
}

/// The names of the tests that failed.
fn failed(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("test "));
    let names = lines.filter_map(|line| line.strip_suffix(" ... FAILED"));
    names.map(str::to_owned).collect()
}

/// Room for a guest of 5 GiB and for many small ones, as far as the machine has it.
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

#[cfg(test)]
mod tests {
    use super::super::programs::Tier;
    use super::*;

    #[test]
    fn failed_tests_are_known_by_name() {
        let text =
            "test a::b ... ok\ntest a::c ... FAILED\ntest result: FAILED. 1 passed; 1 failed";
        assert_eq!(failed(text), ["a::c"]);
    }

    #[test]
    fn second_try_names_its_tests_and_the_first_none() {
        let program = Program {
            name: "p".into(),
            file: "/t/p".into(),
            folder: "/r/p".into(),
            tier: Tier::Three,
        };
        let turn = |only: &[&str]| Turn {
            program: &program,
            only: only.iter().map(|name| (*name).to_owned()).collect(),
        };
        let both = script(&[turn(&[]), turn(&["a::b", "a::c"])]);
        let (first, second) = both.split_once("/out/0.log").unwrap();
        assert!(!first.contains("--exact"), "{first}");
        assert!(second.contains("--exact 'a::b' 'a::c' 2>&1"), "{second}");
    }
}
