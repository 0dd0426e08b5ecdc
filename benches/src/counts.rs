// SPDX-License-Identifier: Apache-2.0
//! What happened during one command, counted by the kernel's tracing: exits of guests, page
//! faults nested and of the host, system calls and what they copied. Needs root and tracefs;
//! without them the answer is why not, never a guess. Counting costs time, so a run that is
//! counted is not one that is timed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

const TRACING: &str = "/sys/kernel/tracing";
/// Room for one CPU's events: a boot has some 20,000 of about 60 bytes.
const BUFFER_KIB: &str = "16384";

/// The one figure that is no number of events.
pub(crate) const BYTES: &str = "bytes_copied";

/// The events, how a line of the trace names them, and what they are reported as.
const EVENTS: [(&str, &str, &str); 7] = [
    ("kvm/kvm_exit", ": kvm_exit: ", "exits"),
    (
        "kvm/kvm_page_fault",
        ": kvm_page_fault: ",
        "nested_page_faults",
    ),
    (
        "exceptions/page_fault_user",
        ": page_fault_user: ",
        "page_faults",
    ),
    (
        "exceptions/page_fault_kernel",
        ": page_fault_kernel: ",
        "page_faults",
    ),
    ("raw_syscalls/sys_enter", ": sys_enter: ", "system_calls"),
    ("syscalls/sys_enter_fsync", ": sys_fsync(", "fsyncs"),
    ("syscalls/sys_enter_fdatasync", ": sys_fdatasync(", "fsyncs"),
];

/// Read for the bytes that calls returned.
const RETURNS: (&str, &str) = ("raw_syscalls/sys_exit", ": sys_exit: NR ");

/// System calls whose result is bytes copied between the kernel and a process
/// (`arch/x86/entry/syscalls/syscall_64.tbl`): read, write, pread64, pwrite64, readv, writev,
/// sendfile, sendto, recvfrom, sendmsg, recvmsg, preadv, pwritev, copy_file_range.
const COPYING: [u32; 14] = [0, 1, 17, 18, 19, 20, 40, 44, 45, 46, 47, 295, 296, 326];

/// How the names of our programs' tasks begin. A command's child has its parent's name until it
/// executes its own program; then it is seen under `ampoule`, whoever measured.
const OURS: [&str; 2] = ["ampoule", "vcpu"];

type Counts = Vec<(&'static str, f64)>;

/// Runs `act` and counts what our programs did meanwhile.
pub(crate) fn during<T>(act: impl FnOnce() -> T) -> (T, Result<Counts>) {
    let armed = arm();
    let done = act();
    // Before it is read: reading makes system calls too.
    switch("0").ok();
    let counts = armed.and_then(|()| {
        let text = fs::read(Path::new(TRACING).join("trace")).context("no trace")?;
        count(&String::from_utf8_lossy(&text))
    });
    write("trace", "").ok();
    (done, counts)
}

fn write(file: &str, text: &str) -> Result<()> {
    let path = Path::new(TRACING).join(file);
    fs::write(&path, text).with_context(|| format!("{} cannot be used", path.display()))
}

fn arm() -> Result<()> {
    let there = Path::new(TRACING).join("trace").exists();
    ensure!(
        there,
        "tracefs is not at {TRACING}, or this user is not root"
    );
    write("buffer_size_kb", BUFFER_KIB)?;
    write("trace", "")?;
    switch("1")
}

fn switch(to: &str) -> Result<()> {
    let events = EVENTS.iter().map(|(event, _, _)| *event);
    for event in events.chain([RETURNS.0]) {
        write(&format!("events/{event}/enable"), to)?;
    }
    Ok(())
}

/// Counts the lines of a trace that are of our programs (`Documentation/trace/ftrace.rst`: the
/// name of the task comes first).
fn count(trace: &str) -> Result<Counts> {
    let entries = trace
        .lines()
        .find(|line| line.contains("entries-in-buffer"));
    ensure!(
        !entries.is_some_and(lost),
        "the trace's buffer was too small"
    );
    let mut counts: Counts = Vec::new();
    let mut add = |name, count| match counts.iter_mut().find(|(known, _)| *known == name) {
        Some((_, sum)) => *sum += count,
        None => counts.push((name, count)),
    };
    for (_, _, name) in EVENTS {
        add(name, 0.0);
    }
    add(BYTES, 0.0);
    for line in trace.lines() {
        let task = line.trim_start();
        if !OURS.iter().any(|ours| task.starts_with(ours)) {
            continue;
        }
        for (_, mark, name) in EVENTS {
            if line.contains(mark) {
                add(name, 1.0);
            }
        }
        if let Some((_, result)) = line.split_once(RETURNS.1) {
            add(BYTES, copied(result));
        }
    }
    Ok(counts)
}

/// `# entries-in-buffer/entries-written: 16/20   #P:1`: fewer than were written.
fn lost(line: &str) -> bool {
    let numbers = line.split([':', '#']).nth(2).unwrap_or_default();
    numbers
        .split_once('/')
        .is_some_and(|(kept, written)| kept.trim() != written.trim())
}

/// `0 = 512`: the call's number and its result.
fn copied(result: &str) -> f64 {
    let Some((number, result)) = result.split_once(" = ") else {
        return 0.0;
    };
    let copies = number.parse().is_ok_and(|number| COPYING.contains(&number));
    let bytes = result.trim().parse::<i64>().unwrap_or(0);
    match u32::try_from(bytes) {
        Ok(bytes) if copies => f64::from(bytes),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
# tracer: nop
# entries-in-buffer/entries-written: 9/9   #P:1
     ampoule-vmm-12  [000] d.... 1.000: sys_enter: NR 1 (1, 2)
     ampoule-vmm-12  [000] d.... 1.000: sys_exit: NR 1 = 512
     ampoule-vmm-12  [000] d.... 1.000: sys_exit: NR 9 = 140000000
     ampoule-vmm-12  [000] d.... 1.000: sys_exit: NR 0 = -11
           vcpu0-13  [000] d.... 1.001: kvm_exit: vcpu 0 reason npf rip 0x1
           vcpu0-13  [000] d.... 1.002: kvm_page_fault: vcpu 0 rip 0x1 address 0x2
            bash-14  [000] d.... 1.003: sys_enter: NR 1 (1, 2)
         ampoule-15  [000] d.... 1.004: sys_fsync(fd: 3)
         ampoule-15  [000] d.... 1.004: page_fault_kernel: address=0x1 ip=0x2 error_code=0x3
";

    #[test]
    fn only_our_programs_are_counted() {
        let counts = count(TRACE).unwrap();
        let of = |name| counts.iter().find(|(n, _)| *n == name).unwrap().1.to_bits();
        for name in [
            "system_calls",
            "exits",
            "nested_page_faults",
            "page_faults",
            "fsyncs",
        ] {
            assert_eq!(of(name), 1_f64.to_bits(), "{name}");
        }
        assert_eq!(of(BYTES), 512_f64.to_bits());
    }

    #[test]
    fn a_buffer_that_overflowed_gives_no_counts() {
        assert!(count(&TRACE.replace("9/9", "8/9")).is_err());
    }
}
