// SPDX-License-Identifier: Apache-2.0
//! stdin, stdout, stderr and signals.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sha2::{Digest, Sha256};

use super::harness::{Home, read_until, signal};

#[test]
fn stdin_and_its_end_reach_the_command() {
    let Some(home) = Home::new() else { return };
    assert_eq!(
        home.fed(&["run", "--", "wc", "-c"], &[b'x'; 300_000])
            .stdout
            .trim(),
        "300000"
    );
}

#[test]
fn a_command_that_ignores_its_stdin_ends_all_the_same() {
    let Some(home) = Home::new() else { return };
    let done = home.fed(&["run", "--", "echo", "done"], &[b'x'; 1_000_000]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(0), "done\n"),
        "{done:?}"
    );
}

#[test]
fn output_arrives_as_it_is_written() {
    let Some(home) = Home::new() else { return };
    let mut child = home.piped(&["run", "--", "sh", "-c", "echo first; read line; echo $line"]);
    read_until(child.stdout.as_mut().unwrap(), "first\n");
    child.stdin.take().unwrap().write_all(b"second\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"second\n");
}

#[test]
fn a_large_output_is_the_same_byte_for_byte() {
    let Some(home) = Home::new() else { return };
    let script =
        "exec 3>&1; for i in $(seq 12); do cat /bin/busybox; done | tee /dev/fd/3 | sha256sum >&2";
    let output = home
        .command(&["run", "--", "sh", "-c", script])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let digest: String = Sha256::digest(&output.stdout)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let length = output.stdout.len();
    assert!(length > 16 << 20, "only {length} bytes: {told}");
    assert!(told.contains(&digest), "{length} bytes of {digest}: {told}");
}

#[test]
fn a_background_process_does_not_hold_up_the_end() {
    let Some(home) = Home::new() else { return };
    let start = Instant::now();
    let done = home.ampoule(&["run", "--", "sh", "-c", "sleep 1000 & echo done"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(0), "done\n"),
        "{done:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_signal_to_ampoule_reaches_the_command() {
    let Some(home) = Home::new() else { return };
    let script = "trap 'echo caught; exit 42' TERM; echo ready; while :; do sleep 0.1; done";
    let mut child = home.piped(&["run", "--", "sh", "-c", script]);
    read_until(child.stdout.as_mut().unwrap(), "ready\n");
    signal(child.id(), Signal::TERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(42), &b"caught\n"[..])
    );
    home.assert_nothing_left();
}
