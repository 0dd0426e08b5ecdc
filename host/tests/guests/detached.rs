// SPDX-License-Identifier: Apache-2.0
//! Tasks that outlive the command that started them.

use std::time::Duration;

use super::harness::{Home, PATIENCE, eventually};

#[test]
fn wait_returns_the_code_and_logs_the_output() {
    let Some(home) = Home::new() else { return };
    let task = home.detach(&["--", "sh", "-c", "echo out; echo err >&2; exit 5"]);
    assert_eq!(home.ampoule(&["wait", &task]).code, Some(5));
    let logs = home.ampoule(&["logs", &task]);
    assert_eq!(
        (logs.stdout.as_str(), logs.stderr.as_str()),
        ("out\n", "err\n")
    );
    home.assert_nothing_left();
}

#[test]
fn exec_runs_beside_the_task_with_its_own_code() {
    let Some(home) = Home::new() else { return };
    let task = home.detach(&["--", "sleep", "1000"]);
    let done = home.ampoule(&["exec", &task, "--", "sh", "-c", "echo beside; exit 6"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(6), "beside\n"),
        "{done:?}"
    );
    let fed = home.fed(&["exec", &task, "--", "wc", "-c"], b"12345");
    assert_eq!(fed.stdout.trim(), "5", "{fed:?}");
    home.ampoule(&["kill", &task]);
    home.assert_nothing_left();
}

#[test]
fn stop_gives_the_command_its_grace() {
    let Some(home) = Home::new() else { return };
    let script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done";
    let task = home.detach(&["--", "sh", "-c", script]);
    eventually("it is up", PATIENCE, || {
        home.ampoule(&["logs", &task]).stdout == "up\n"
    });
    assert_eq!(
        home.ampoule(&["stop", "--grace", "60s", &task]).code,
        Some(0)
    );
    assert_eq!(home.ampoule(&["wait", &task]).code, Some(0));
    assert_eq!(home.ampoule(&["logs", &task]).stdout, "up\nbye\n");
}

#[test]
fn kill_ends_it_at_once() {
    let Some(home) = Home::new() else { return };
    let task = home.detach(&["--", "sh", "-c", "trap '' TERM; sleep 1000"]);
    assert_eq!(home.ampoule(&["kill", &task]).code, Some(0));
    assert_eq!(home.ampoule(&["wait", &task]).code, Some(137));
    home.assert_nothing_left();
}

#[test]
fn ps_shows_it_while_it_runs_and_with_all_afterwards() {
    let Some(home) = Home::new() else { return };
    let task = home.detach(&["--", "sleep", "1000"]);
    assert!(home.ampoule(&["ps"]).stdout.contains(&task));
    home.ampoule(&["kill", &task]);
    home.ampoule(&["wait", &task]);
    assert!(!home.ampoule(&["ps"]).stdout.contains(&task));
    assert!(home.ampoule(&["ps", "-a"]).stdout.contains(&task));
}

#[test]
fn a_record_is_removed_only_after_its_end() {
    let Some(home) = Home::new() else { return };
    let task = home.detach(&["--", "sleep", "1000"]);
    assert_ne!(home.ampoule(&["rm", &task]).code, Some(0));
    home.ampoule(&["kill", &task]);
    home.ampoule(&["wait", &task]);
    assert_eq!(home.ampoule(&["rm", &task]).code, Some(0));
    assert!(home.tasks().is_empty());
}

#[test]
fn a_command_that_cannot_start_fails_at_once() {
    let Some(home) = Home::new() else { return };
    let done = home.ampoule(&["run", "-d", "--", "no-such-program"]);
    assert_eq!(done.code, Some(127), "{done:?}");
    eventually("nothing is left", Duration::from_secs(2), || {
        home.processes().is_empty()
    });
}
