// SPDX-License-Identifier: Apache-2.0
//! What a figure was measured on. A figure without it says nothing.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

/// Processor, kernel, what stands behind `/dev/kvm`, and what the clock counts; `null` for what
/// cannot be told.
pub(crate) fn host() -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let mut lines = cpuinfo.lines().filter(|line| line.starts_with(name));
        lines.next()?.split_once(": ").map(|(_, value)| value)
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let flags = field("flags").unwrap_or_default();
    let has = |flag: &str| flags.split(' ').any(|f| f == flag);
    // `cargo ci kvmhost` says so: to its guest QEMU's CPU looks like one of hardware.
    let simulated = std::env::var("AMPOULE_SIMULATED").ok();
    let clock = match simulated.as_deref() {
        Some("deterministic") => "instructions",
        _ => "wall",
    };
    let kvm = match (
        has("svm") || has("vmx"),
        simulated.is_some(),
        has("hypervisor"),
    ) {
        (false, _, _) => "none",
        (true, true, _) => "simulated",
        (true, false, true) => "nested",
        (true, false, false) => "hardware",
    };
    let huge = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    json!({
        "cpu": field("model name"),
        "cpus": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "kernel": kernel.trim(),
        "kvm": kvm,
        "clock": clock,
        "huge_pages": huge.unwrap_or_default().trim(),
        "memory_mib": memory(),
        "commit": commit(),
        "measured": now(),
        "arguments": std::env::args().skip(1).collect::<Vec<_>>().join(" "),
    })
}

/// Of the server.
fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024)
}

/// Date and time, UTC.
fn now() -> Option<String> {
    let output = Command::new("date").args(["-u", "+%FT%TZ"]).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// What was measured, where there is a repository to say so.
fn commit() -> Option<String> {
    let folder = env!("CARGO_MANIFEST_DIR");
    let git = ["-C", folder, "describe", "--always", "--dirty"];
    let output = Command::new("git").args(git).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
