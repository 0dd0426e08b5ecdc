// SPDX-License-Identifier: Apache-2.0
//! The gate on boot latency: `benches boot`, `restore`, `fork` and `pool` in the simulated server
//! under the deterministic clock, compared with `benches/figures.json`.
//!
//! Figures are comparable under one key only: the server's kernel, QEMU, the guest's kernel and
//! the compiler. Under another key the commit before is built and measured too ([`base`]), and
//! compared with; the promises of README hold under any. `cargo ci gate --write` measures and
//! keeps the result, which belongs into the commit that made the difference.
//!
//! What became worse is measured once more. One processor runs all there is, the kernel's own work as
//! well, so where a piece of half a millisecond falls depends on when the server was started, and
//! the same programs give one or the other figure; a change that costs something costs it twice.
//!
//! On hardware KVM the benches report milliseconds and nothing fails: run them by hand.

mod base;
mod figures;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::kvmhost::{self, Server};
use crate::{setup, tools};
use figures::Figures;

/// What is kept.
const KEPT: &str = "benches/figures.json";
/// How long the measurement may take: five times what it does on two quiet cores.
const LIMIT: Duration = Duration::from_secs(6 * 60);
/// A guest that QEMU has broken (`test/inside.rs` says how) is measured once more.
const ATTEMPTS: u32 = 2;

/// Runs in the server: everything in memory, as the figures are defined. Programs too are started
/// by paths in memory: the server's root is a network file system, a look-up there is a wait, and
/// on this clock a wait lasts until the next timer, so that the figures would depend on where the
/// work tree is.
const SCRIPT: &str = r#"
set -e
data=/run/gate/data/ampoule
mkdir -p $data/images $data/store /run/gate/bin /run/gate/tmp
# The other images are large, and nothing is measured with them.
for name in kernel base; do
    cp "$1/images/$name.json" $data/images/
    digest=$(sed -n 's/.*"sha256": "\([0-9a-f]*\)".*/\1/p' "$1/images/$name.json")
    cp "$1/store/$digest" $data/store/
done
for program in $4; do
    cp "$2/$program" /run/gate/bin/
done
cp "$3" /run/gate/benches
mount -o remount,favordynmods /sys/fs/cgroup
export XDG_DATA_HOME=/run/gate/data TMPDIR=/run/gate/tmp
cd /run/gate
./benches boot --binaries bin --alone --runs 5 --patience 3 --retries 2 --json /out/boot.json
./benches restore --binaries bin --runs 5 --patience 3 --retries 2 --json /out/restore.json
./benches fork --binaries bin --runs 3 -n 1 -n 4 --patience 3 --retries 2 --json /out/fork.json
# A commit to compare with may have no pools yet.
if bin/ampoule pool --help >bin/help 2>&1; then
    ./benches pool --binaries bin --runs 5 --patience 3 --retries 2 --json /out/pool.json
fi
"#;

/// Measures and judges; whether all is well.
pub(crate) fn run(write: bool) -> Result<bool> {
    println!("gate: measuring on the deterministic clock");
    let build = ["build", "--quiet", "--release", "-p", "benches"];
    ensure!(
        tools::cargo().args(build).status()?.success(),
        "the benches do not build"
    );
    let current = Subject {
        binaries: setup::binaries(),
        data: data(),
    };
    let (mut is, host) = measure(&current)?;
    let key = key(&host)?;
    let path = tools::root().join(KEPT);
    if write {
        let text = json!({ "key": key, "figures": figures::to_json(&is) });
        fs::write(&path, format!("{text:#}\n"))?;
        println!("gate: {} written", path.display());
        return Ok(true);
    }
    let kept: Value = serde_json::from_slice(&fs::read(&path)?).context(KEPT)?;
    let was = was(&kept, &key);
    let judged = |is: &Figures| {
        let mut lines = figures::broken(is);
        lines.extend(was.iter().flat_map(|was| compare(was, is)));
        lines
    };
    let mut lines = judged(&is);
    if !lines.is_empty() {
        lines.iter().for_each(|line| println!("gate: {line}"));
        println!("gate: once more, and the better of both counts");
        is = figures::better(&is, &measure(&current)?.0);
        lines = judged(&is);
    }
    for (name, figure) in &is {
        println!("gate: {name:<32} {:>10.3}", figure.median);
    }
    for line in &lines {
        println!("gate: WORSE: {line}");
    }
    Ok(lines.is_empty())
}

/// What to compare with: the figures kept, or those of the commit before, measured here.
fn was(kept: &Value, key: &Value) -> Option<Figures> {
    if kept["key"] == *key {
        return Some(figures::from_json(&kept["figures"]));
    }
    println!("gate: the figures kept are of another key:");
    println!("gate:   kept {}", kept["key"]);
    println!("gate:   here {key}");
    match base::build().and_then(|(commit, base)| Ok((commit, measure(&base)?.0))) {
        Ok((commit, was)) => {
            println!("gate: compared with commit {commit}, measured here");
            Some(was)
        }
        Err(error) => {
            println!(
                "gate: skipped the comparison, the commit before cannot be measured: {error:#}"
            );
            None
        }
    }
}

/// What became worse, and by which phase.
fn compare(was: &Figures, is: &Figures) -> Vec<String> {
    let worse = figures::worse(was, is);
    let grown = figures::grown(was, is, &worse);
    worse.into_iter().chain(grown).collect()
}

/// Whose binaries and images are measured.
struct Subject {
    binaries: PathBuf,
    /// Where its `ampoule` has kernel and images.
    data: PathBuf,
}

fn measure(subject: &Subject) -> Result<(Figures, Value)> {
    let mut attempt = 1;
    loop {
        match measure_once(subject) {
            Err(error) if attempt < ATTEMPTS => {
                println!("gate: once more, the simulated server itself may be why: {error:#}");
                attempt += 1;
            }
            done => return done,
        }
    }
}

fn measure_once(subject: &Subject) -> Result<(Figures, Value)> {
    let out = tempfile::tempdir()?;
    let target = tools::root().join("target");
    let argv = [
        "sh".to_owned(),
        "-c".to_owned(),
        SCRIPT.to_owned(),
        "gate".to_owned(),
        subject.data.display().to_string(),
        subject.binaries.display().to_string(),
        target.join("release/benches").display().to_string(),
        setup::PROGRAMS.join(" "),
    ];
    let code = kvmhost::run(&Server {
        deterministic: true,
        memory_mib: 6144,
        cpus: 1,
        limit: LIMIT,
        out: Some(out.path().to_owned()),
        forward_stdin: false,
        argv: argv.into(),
    })?;
    ensure!(code == 0, "the measurement ended with code {code}");
    let read = |name: &str| -> Result<Value> {
        let text = fs::read(out.path().join(name)).with_context(|| name.to_owned())?;
        Ok(serde_json::from_slice(&text)?)
    };
    let boot = read("boot.json")?;
    let mut all = figures::of(&boot)?;
    all.extend(figures::of(&read("restore.json")?)?);
    all.extend(figures::of(&read("fork.json")?)?);
    if out.path().join("pool.json").exists() {
        all.extend(figures::of(&read("pool.json")?)?);
    }
    Ok((all, boot["host"].clone()))
}

/// What makes figures comparable.
fn key(host: &Value) -> Result<Value> {
    let kernel = fs::read(data().join("images/kernel.json")).context("the guest kernel")?;
    let kernel: Value = serde_json::from_slice(&kernel)?;
    Ok(json!({
        "server_kernel": host["kernel"],
        "qemu": first_line(Command::new("qemu-system-x86_64").arg("--version"))?,
        "guest_kernel": kernel["sha256"],
        "rustc": first_line(Command::new("rustc").arg("--version"))?,
    }))
}

fn first_line(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Where `ampoule` keeps kernel and images.
fn data() -> PathBuf {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    data.unwrap_or_else(|| Path::new(&home).join(".local/share"))
        .join("ampoule")
}
