// SPDX-License-Identifier: Apache-2.0
//! What happened during one command, counted by the kernel's tracing: exits of guests, page
//! faults nested and of our own, system calls. Needs root and tracefs; without them the answer is
//! `None`, never a guess. Counting costs time, so a run that is counted is not one that is timed.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

const TRACING: &str = "/sys/kernel/tracing";
/// Room for one CPU's events: a boot has some 20,000.
const BUFFER_KIB: &str = "65536";

/// The events, and the names they are reported by.
const EVENTS: [(&str, &str, &str); 5] = [
    ("kvm/kvm_exit", "kvm_exit:", "exits"),
    (
        "kvm/kvm_page_fault",
        "kvm_page_fault:",
        "nested_page_faults",
    ),
    (
        "exceptions/page_fault_user",
        "page_fault_user:",
        "page_faults",
    ),
    ("raw_syscalls/sys_enter", "sys_enter:", "system_calls"),
    ("syscalls/sys_enter_fsync", "sys_fsync(", "fsyncs"),
];

/// Runs `act` and counts what our programs did meanwhile.
pub(crate) fn during<T>(act: impl FnOnce() -> T) -> (T, Option<Value>) {
    let armed = arm().is_ok();
    let done = act();
    // Before it is read: reading makes system calls too.
    disarm();
    let counts = if armed { read().ok() } else { None };
    let _ = write("trace", "");
    (done, counts)
}

fn write(file: &str, text: &str) -> io::Result<()> {
    fs::write(Path::new(TRACING).join(file), text)
}

fn arm() -> io::Result<()> {
    if !Path::new(TRACING).join("trace").exists() {
        let mount = ["-t", "tracefs", "tracefs", TRACING];
        let _ = Command::new("mount").args(mount).status();
    }
    write("buffer_size_kb", BUFFER_KIB)?;
    for (event, _, _) in EVENTS {
        write(&format!("events/{event}/enable"), "1")?;
    }
    write("trace", "")
}

fn disarm() {
    for (event, _, _) in EVENTS {
        let _ = write(&format!("events/{event}/enable"), "0");
    }
}

fn read() -> io::Result<Value> {
    let text = fs::read(Path::new(TRACING).join("trace"))?;
    Ok(count(&String::from_utf8_lossy(&text)))
}

/// Counts the lines of a trace that are of our programs (`Documentation/trace/ftrace.rst`: the
/// name of the task comes first).
fn count(trace: &str) -> Value {
    let mut counts = [0_u64; EVENTS.len()];
    for line in trace.lines() {
        let name = line.trim_start();
        if !(name.starts_with("ampoule") || name.starts_with("vcpu")) {
            continue;
        }
        for (count, (_, mark, _)) in counts.iter_mut().zip(EVENTS) {
            *count += u64::from(line.contains(mark));
        }
    }
    let named = EVENTS.iter().zip(counts);
    let named = named.map(|((_, _, name), count)| ((*name).to_owned(), json!(count)));
    Value::Object(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_programs_are_counted() {
        let trace = "\
# tracer: nop
     ampoule-vmm-12  [000] d.... 1.000: sys_enter: NR 1 (1, 2)
           vcpu0-13  [000] d.... 1.001: kvm_exit: vcpu 0 reason npf rip 0x1
           vcpu0-13  [000] d.... 1.002: kvm_page_fault: vcpu 0 rip 0x1 address 0x2
            bash-14  [000] d.... 1.003: sys_enter: NR 1 (1, 2)
         ampoule-15  [000] d.... 1.004: sys_fsync(fd: 3)
";
        let counts = count(trace);
        assert_eq!(counts["system_calls"], 1);
        assert_eq!(counts["exits"], 1);
        assert_eq!(counts["nested_page_faults"], 1);
        assert_eq!(counts["page_faults"], 0);
        assert_eq!(counts["fsyncs"], 1);
    }
}
