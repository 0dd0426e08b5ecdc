// SPDX-License-Identifier: Apache-2.0
//! `ampoule` killed while people are asked, at every stage: what was not approved does not happen,
//! the record says what did, and nothing stays. `ampoule-policy` killed is in `gate.rs`.

use std::path::Path;
use std::process::Child;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::gated::{
    asked, decide, events, has, in_order, nobody_is_asked, person, record, start, start_with,
    workspace,
};
use super::harness::{Done, Home, PATIENCE, eventually, read_until, signal};

/// Asks, and lives on.
const ASKS: &str = "echo up; git push --force; echo ended $?; sleep 1000";

/// Waits until the command runs.
fn up(task: &mut Child) {
    read_until(task.stdout.as_mut().unwrap(), "up\n");
}

/// Kills it; what it had said until then.
fn kill(mut task: Child) -> Done {
    task.kill().unwrap();
    task.wait_with_output().unwrap().into()
}

/// The task's end is recorded as one that nobody told, and nothing of it is left.
fn ended(home: &Home) -> Vec<Value> {
    eventually("the guest is gone", PATIENCE, || {
        home.processes().is_empty()
    });
    let all = record(home);
    assert_eq!(home.inspect(&home.tasks()[0])["state"], "ended");
    home.assert_nothing_left();
    all
}

/// Whether something that would be asked about was let pass.
fn passed(all: &[Value]) -> bool {
    let wanted = json!({ "kind": "verdict", "verdict": "allow", "by": "approval" });
    all.iter().any(|event| has(event, &wanted))
}

/// Nobody is asked any more, and who says yes all the same learns that it is too late.
fn withdrawn(home: &Home, id: &str) {
    over(home, id, "withdrawn");
}

fn over(home: &Home, id: &str, state: &str) {
    nobody_is_asked(home);
    let late = home.ampoule(&["approvals", "approve", id]);
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.stderr.contains(state), "{late:?}");
}

#[test]
fn before_it_is_asked_nothing_is() {
    let Some(home) = Home::judged() else { return };
    let script = "echo up; sleep 1000; git push --force";
    let mut task = start(&home, &workspace(&home), script);
    up(&mut task);
    kill(task);
    let all = ended(&home);
    assert!(events(&home, "asked").is_empty() && !passed(&all));
    in_order(
        &all,
        &[json!({ "kind": "task-ended", "reason": "its supervisor is gone" })],
    );
}

#[test]
fn while_it_waits_the_question_is_withdrawn() {
    let Some(home) = Home::judged() else { return };
    let mut task = start(&home, &workspace(&home), ASKS);
    up(&mut task);
    let id = asked(&home);
    let done = kill(task);
    withdrawn(&home, &id);
    assert!(!done.stdout.contains("ended"), "{done:?}");
    let all = ended(&home);
    assert!(!passed(&all));
    in_order(
        &all,
        &[
            json!({ "kind": "asked", "approval": id }),
            json!({ "kind": "decided", "approval": id, "state": "withdrawn" }),
            json!({ "kind": "task-ended" }),
        ],
    );
}

/// The loop hears of both at once.
#[test]
fn right_after_the_approval_that_is_recorded_and_nothing_happens() {
    let Some(home) = Home::judged() else { return };
    let mut task = start(&home, &workspace(&home), ASKS);
    up(&mut task);
    let id = asked(&home);
    let policy = home.process("ampoule-policy");
    signal(policy, Signal::STOP);
    decide(&home, "approve", &id);
    let done = kill(task);
    signal(policy, Signal::CONT);
    assert!(!done.stdout.contains("ended"), "{done:?}");
    let all = ended(&home);
    assert!(!passed(&all));
    in_order(
        &all,
        &[
            json!({ "kind": "asked", "approval": id }),
            json!({ "kind": "decided", "approval": id, "state": "approved" }),
            json!({ "kind": "task-ended", "reason": "its supervisor is gone" }),
        ],
    );
}

#[test]
fn before_the_effect_is_told_the_approval_is_recorded_with_what_it_let_pass() {
    let Some(home) = Home::judged() else { return };
    let mut task = start(&home, &workspace(&home), ASKS);
    up(&mut task);
    let id = asked(&home);
    // It hears of nothing that happens.
    signal(task.id(), Signal::STOP);
    decide(&home, "approve", &id);
    let recorded = || passed(&events(&home, "verdict"));
    eventually("it is let pass", PATIENCE, recorded);
    kill(task);
    in_order(
        &ended(&home),
        &[
            json!({ "kind": "asked", "approval": id }),
            json!({ "kind": "decided", "approval": id, "state": "approved" }),
            json!({ "kind": "verdict", "verdict": "allow", "approval": id }),
            json!({ "kind": "task-ended", "reason": "its supervisor is gone" }),
        ],
    );
}

/// A supervisor that does nothing any more, and nobody who answers: the guest's own time counts,
/// with all that it may wait.
#[test]
fn a_task_that_waits_ends_at_its_time_without_its_supervisor() {
    let Some(home) = Home::judged() else { return };
    let mut task = start_with(
        &home,
        &workspace(&home),
        &["--ttl", "10s", "--wait", "10s"],
        ASKS,
    );
    up(&mut task);
    let id = asked(&home);
    signal(task.id(), Signal::STOP);
    let guest = home.process("ampoule-vmm");
    let gone = || !Path::new(&format!("/proc/{guest}/exe")).exists();
    eventually("the guest ends by itself", PATIENCE, || {
        gone() || std::fs::read_link(format!("/proc/{guest}/exe")).is_err()
    });
    over(&home, &id, "expired");
    kill(task);
    assert!(!passed(&ended(&home)));
}

#[test]
fn a_question_of_a_task_and_a_loop_that_are_both_gone_is_no_question_any_more() {
    let Some(home) = Home::judged() else { return };
    let mut task = start(&home, &workspace(&home), ASKS);
    up(&mut task);
    let id = asked(&home);
    let policy = home.process("ampoule-policy");
    signal(task.id(), Signal::STOP);
    signal(policy, Signal::KILL);
    kill(task);
    eventually("the guest is gone", PATIENCE, || {
        home.processes().is_empty()
    });
    assert_eq!(home.inspect(&home.tasks()[0])["state"], "ended");
    home.assert_nothing_left();
    withdrawn(&home, &id);
    let all = record(&home);
    assert!(!passed(&all));
    in_order(
        &all,
        &[
            json!({ "kind": "asked", "approval": id }),
            json!({ "kind": "task-ended" }),
        ],
    );
}

#[test]
fn a_client_that_is_killed_takes_its_own_question_with_it_and_no_other() {
    let Some(home) = Home::judged() else { return };
    let mut task = start(&home, &workspace(&home), "echo up; sleep 1000");
    up(&mut task);
    let id = home.tasks().pop().unwrap();
    let client = home.piped(&["exec", &id, "--", "git", "push", "--force"]);
    let first = asked(&home);
    kill(client);
    withdrawn(&home, &first);
    // The task lives, and asks on.
    let client = home.piped(&["exec", &id, "--", "git", "push", "--force"]);
    let second = asked(&home);
    person(&home, &["approve", &second]);
    let done: Done = client.wait_with_output().unwrap().into();
    assert_eq!(done.code, Some(128), "{done:?}");
    home.ampoule(&["kill", &id]);
    task.wait().unwrap();
    home.assert_nothing_left();
}

#[test]
fn a_task_that_nobody_watches_is_held_to_the_same() {
    let Some(home) = Home::judged() else { return };
    let task = home.detach(&["--image", "python", "--", "sleep", "1000"]);
    let client = home.piped(&["exec", &task, "--", "git", "push", "--force"]);
    let id = asked(&home);
    let supervisor = home.inspect(&task)["process"]["supervisor_pid"].as_u64();
    signal(u32::try_from(supervisor.unwrap()).unwrap(), Signal::KILL);
    withdrawn(&home, &id);
    let done: Done = client.wait_with_output().unwrap().into();
    assert_eq!(done.code, Some(125), "{done:?}");
    assert!(!passed(&ended(&home)));
}
