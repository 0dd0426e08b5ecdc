// SPDX-License-Identifier: Apache-2.0
//! The TTL, held by guest-init, by the VMM, and by the supervisor, each without the others.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::gated::{in_order, record};
use super::harness::{Home, PATIENCE, eventually, read_until, signal};
use super::images::spinning_kernel;

#[test]
fn the_guest_ends_itself_at_its_ttl() {
    let Some(home) = Home::new() else { return };
    let done = home.ampoule(&["run", "--ttl", "15s", "--", "sleep", "1000"]);
    assert_eq!(done.code, Some(124), "{done:?}");
    assert_eq!(home.inspect(&home.tasks()[0])["end"]["by"], "guest-init");
    // Its command ended by a signal (143), which is not what anybody was told.
    let ended = json!({ "kind": "task-ended", "code": 124, "reason": "ttl" });
    in_order(&record(&home), &[ended]);
    home.assert_nothing_left();
}

#[test]
fn the_command_is_warned_before_its_ttl() {
    let Some(home) = Home::new() else { return };
    let script = "trap 'echo warned; exit 9' TERM; while :; do sleep 0.1; done";
    let done = home.ampoule(&[
        "run", "--ttl", "60s", "--grace", "30s", "--", "sh", "-c", script,
    ]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(9), "warned\n"),
        "{done:?}"
    );
}

#[test]
fn the_vmm_ends_a_guest_whose_kernel_spins() {
    let Some(home) = Home::new() else { return };
    let kernel = spinning_kernel(&home);
    let mut command = home.command(&["run", "--ttl", "2s", "--start-timeout", "60s", "--", "true"]);
    let done = super::harness::Done::from(command.env("XDG_DATA_HOME", kernel).output().unwrap());
    assert_eq!(done.code, Some(124), "{done:?}");
    assert_eq!(home.inspect(&home.tasks()[0])["end"]["by"], "vmm");
    home.assert_nothing_left();
}

#[test]
fn the_supervisor_ends_a_vmm_that_does_nothing() {
    let Some(home) = Home::new() else { return };
    let mut child = home.piped(&[
        "run",
        "--ttl",
        "20s",
        "--",
        "sh",
        "-c",
        "echo ready; sleep 1000",
    ]);
    read_until(child.stdout.as_mut().unwrap(), "ready\n");
    signal(home.process("ampoule-vmm"), Signal::STOP);
    assert_eq!(child.wait().unwrap().code(), Some(124));
    assert_eq!(home.inspect(&home.tasks()[0])["end"]["by"], "supervisor");
    home.assert_nothing_left();
}

#[test]
fn it_holds_when_ampoule_is_killed_and_the_next_command_records_the_end() {
    let Some(home) = Home::new() else { return };
    let mut child = home.piped(&[
        "run",
        "--ttl",
        "25s",
        "--",
        "sh",
        "-c",
        "echo ready; sleep 1000",
    ]);
    read_until(child.stdout.as_mut().unwrap(), "ready\n");
    let vmm = home.process("ampoule-vmm");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        std::path::Path::new(&format!("/proc/{vmm}")).exists(),
        "it died with ampoule"
    );
    eventually("the guest is gone", PATIENCE, || {
        home.processes().is_empty()
    });
    assert_eq!(home.inspect(&home.tasks()[0])["state"], "ended");
    assert!(home.folders().is_empty());
    home.assert_nothing_left();
}

#[test]
fn time_is_counted_for_a_detached_task_too() {
    let Some(home) = Home::new() else { return };
    let task = home.detach(&["--ttl", "20s", "--", "sleep", "1000"]);
    assert_eq!(home.ampoule(&["wait", &task]).code, Some(124));
    eventually("nothing is left", Duration::from_secs(2), || {
        home.processes().is_empty()
    });
}
