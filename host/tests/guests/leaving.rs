// SPDX-License-Identifier: Apache-2.0
//! What is left when `ampoule run` has returned, who takes it away, and who may not stop that.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};

use super::harness::{Home, PATIENCE, eventually, read_until, signal};

#[test]
fn a_task_has_ended_for_everybody_when_its_command_returns() {
    let Some(home) = Home::new() else { return };
    let done = home.ampoule(&["run", "--", "sh", "-c", "exit 7"]);
    assert_eq!(done.code, Some(7), "{done:?}");
    assert_eq!(home.ampoule(&["ps"]).stdout.lines().count(), 1);
    let task = &home.tasks()[0];
    assert_eq!(home.inspect(task)["state"], "ended");
    assert_eq!(home.ampoule(&["wait", task]).code, Some(7));
    assert_eq!(home.ampoule(&["rm", task]).code, Some(0));
    home.assert_nothing_left();
}

#[test]
fn no_signal_to_the_commands_group_reaches_the_reaper() {
    let Some(home) = Home::new() else { return };
    for number in [Signal::TERM, Signal::HUP, Signal::KILL] {
        let mut command = home.command(&["run", "--", "sh", "-c", "echo up; cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.process_group(0).spawn().unwrap();
        read_until(child.stdout.as_mut().unwrap(), "up\n");
        child.stdin.take().unwrap().flush().unwrap();
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        // Nobody of the group is left, or somebody would get it.
        assert!(kill_process_group(group, number).is_err());
        home.assert_nothing_left();
    }
}

#[test]
fn a_reaper_that_is_killed_leaves_it_to_the_next_command() {
    let Some(home) = Home::new() else { return };
    eventually("a reaper is killed at its work", PATIENCE, || {
        assert_eq!(home.ampoule(&["run", "--", "true"]).code, Some(0));
        let reaper = home.find("ampoule-reaper");
        reaper.inspect(|pid| signal(*pid, Signal::KILL)).is_some()
    });
    eventually("the next command frees it", PATIENCE, || {
        home.ampoule(&["ps"]);
        home.holds_nothing()
    });
}
