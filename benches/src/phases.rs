// SPDX-License-Identifier: Apache-2.0
//! The phases of a start, in their order, and how figures are called for people.
//!
//! All of a task's phases are times on the host's monotonic clock since the clone of its VMM. The
//! guest's own are placed on it by the arrival of its greeting (`host/src/supervise/timeline.rs`).

/// Each phase's name in `timings_ns`, and what has happened by its end.
pub(crate) const PHASES: [(&str, &str); 13] = [
    ("vmm_entered", "VMM's main"),
    ("vmm_mapped", "memory and kernel mapped"),
    ("vmm_running", "first vCPU enters the kernel"),
    ("init", "PID 1 runs"),
    ("connected", "guest connected"),
    ("assigned", "identity and deadline known"),
    ("mounted", "file systems mounted"),
    ("agent", "agent started"),
    ("ready", "ready"),
    ("started", "command started"),
    ("output", "first byte of output"),
    ("exited", "command ended"),
    ("ended", "VMM's last word"),
];

/// Figures that are no phase.
const OTHERS: [(&str, &str); 30] = [
    ("whole", "`run -- true`, whole command"),
    ("whole_echo", "`run -- echo x`, whole command"),
    ("first_byte_seen", "`run -- echo x`, first byte"),
    ("gone", "`run -- true`, nothing left"),
    ("exits", "exits"),
    ("nested_page_faults", "page faults, nested"),
    ("page_faults", "page faults, host"),
    ("system_calls", "system calls"),
    ("fsyncs", "fsyncs"),
    ("bytes_copied", "bytes copied by system calls"),
    ("first_connect", "clone to the guest's vsock connect"),
    ("clone_to_ready", "clone to ready"),
    ("clone_to_echo", "clone to the end of `echo`"),
    ("fork_1", "1 copy, answering"),
    ("fork_4", "4 copies, all answering"),
    ("private_cold", "private memory, booted"),
    ("private_restored", "private memory, restored"),
    ("written_cold", "of it written to, booted"),
    ("written_restored", "of it written to, restored"),
    ("vmm_own_cold", "of it the VMM's own, booted"),
    ("vmm_own_restored", "of it the VMM's own, restored"),
    ("supervisor_cold", "of it the supervisor's, booted"),
    ("supervisor_restored", "of it the supervisor's, restored"),
    ("still_shared_cold", "kernel pages still the file's"),
    ("still_shared_restored", "template pages still the file's"),
    ("sequential", "reads of 1 MiB in order"),
    ("random_4k", "reads of 4 KiB at random"),
    ("guest_to_host", "vsock, guest to host"),
    ("host_to_guest", "vsock, host to guest"),
    ("fork_8", "8 copies, all answering"),
];

/// What people read for a figure's name.
pub(crate) fn label(name: &str) -> &str {
    let mut known = PHASES.iter().chain(&OTHERS);
    known
        .find(|(key, _)| *key == name)
        .map_or(name, |(_, label)| label)
}
