// SPDX-License-Identifier: Apache-2.0
//! Guests and processes that fail: each ends with its own one-line reason and code.

use rustix::process::Signal;

use super::harness::{Done, Home, PATIENCE, eventually, read_until, signal};
use super::images::spinning_kernel;

/// The reason that `ampoule run` printed, its last line on stderr.
fn reason(done: &Done) -> &str {
    done.stderr.lines().last().unwrap_or_default()
}

#[test]
fn a_guest_that_never_becomes_ready_is_given_up() {
    let Some(home) = Home::new() else { return };
    let data = spinning_kernel(&home);
    let mut command = home.command(&["run", "--start-timeout", "3s", "--", "true"]);
    let done = Done::from(command.env("XDG_DATA_HOME", data).output().unwrap());
    assert_eq!(done.code, Some(125), "{done:?}");
    assert!(reason(&done).contains("not ready within 3s"), "{done:?}");
    home.assert_nothing_left();
}

#[test]
fn an_agent_that_dies_is_named() {
    let Some(home) = Home::new() else { return };
    let script = "for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" = ampoule-agent ] && kill -9 ${p#/proc/}; done; sleep 1000";
    let done = home.ampoule(&["run", "--user", "root", "--", "sh", "-c", script]);
    assert_eq!(done.code, Some(125), "{done:?}");
    assert!(reason(&done).contains("agent"), "{done:?}");
    home.assert_nothing_left();
}

#[test]
fn a_vmm_that_is_killed_is_named() {
    let Some(home) = Home::new() else { return };
    let mut child = home.piped(&["run", "--", "sh", "-c", "echo ready; sleep 1000"]);
    read_until(child.stdout.as_mut().unwrap(), "ready\n");
    signal(home.process("ampoule-vmm"), Signal::KILL);
    let done = Done::from(child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(125), "{done:?}");
    assert!(reason(&done).contains("VMM was killed"), "{done:?}");
    home.assert_nothing_left();
}

#[test]
fn an_ampoule_killed_while_it_starts_leaves_nothing_for_long() {
    let Some(home) = Home::new() else { return };
    let mut child = home.piped(&["run", "--", "sleep", "1000"]);
    eventually("its folder is there", PATIENCE, || {
        !home.folders().is_empty()
    });
    // Somewhere between its folder, its record, its cgroup and its VMM.
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("a next command frees it", PATIENCE, || {
        home.ampoule(&["ps"]);
        home.holds_nothing()
    });
}

#[test]
fn a_kernel_that_panics_shows_its_last_lines_on_the_debug_console() {
    let Some(home) = Home::new() else { return };
    let image = super::images::image_without_init(&home);
    let mut command = home.command(&["run", "--debug-console", "--image", "broken", "--", "true"]);
    let done = Done::from(command.env("XDG_DATA_HOME", image).output().unwrap());
    assert_eq!(done.code, Some(125), "{done:?}");
    assert!(done.stderr.contains("Kernel panic"), "{done:?}");
}

#[test]
fn full_scratch_space_has_its_own_reason() {
    let Some(home) = Home::new() else { return };
    let fill = "dd if=/dev/zero of=big bs=1M count=64";
    let done = home.ampoule(&["run", "--scratch", "8M", "--", "sh", "-c", fill]);
    assert_ne!(done.code, Some(0));
    assert!(done.stderr.contains("scratch"), "{done:?}");
    assert_eq!(home.inspect(&home.tasks()[0])["scratch_full"], true);
}

#[test]
fn a_guest_out_of_memory_has_its_own_reason() {
    let Some(home) = Home::new() else { return };
    let eat = "a=x; while :; do a=$a$a; done";
    let done = home.ampoule(&["run", "--memory", "64M", "--", "sh", "-c", eat]);
    assert_eq!(done.code, Some(137), "{done:?}");
    assert!(reason(&done).contains("out of memory"), "{done:?}");
}
