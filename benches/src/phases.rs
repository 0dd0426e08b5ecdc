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
const OTHERS: [(&str, &str); 11] = [
    ("whole", "`run -- true`, whole command"),
    ("whole_echo", "`run -- echo x`, whole command"),
    ("first_byte_seen", "its first byte, from its start"),
    ("gone", "nothing left, from its start"),
    ("exits", "exits"),
    ("nested_page_faults", "page faults, nested"),
    ("page_faults", "page faults, host"),
    ("system_calls", "system calls"),
    ("fsyncs", "fsyncs"),
    ("bytes_copied", "bytes copied by system calls"),
    ("first_connect", "clone to the guest's vsock connect"),
];

/// What people read for a figure's name.
pub(crate) fn label(name: &str) -> &str {
    let mut known = PHASES.iter().chain(&OTHERS);
    known
        .find(|(key, _)| *key == name)
        .map_or(name, |(_, label)| label)
}
