// SPDX-License-Identifier: Apache-2.0
//! Gated tasks as tests have them: started, asked about, answered, and looked up in the record.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;

use serde_json::Value;

use super::harness::{Done, Home, PATIENCE, eventually};

/// A folder with a file that is there before the task.
pub(crate) fn workspace(home: &Home) -> PathBuf {
    let folder = home.path().join("ws");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("kept.txt"), "kept\n").unwrap();
    folder
}

/// A shell that is told what to do as an agent is: by what nobody could read before.
pub(crate) fn shell<'a>(workspace: &'a Path, options: &[&'a str]) -> Vec<&'a str> {
    let folder = workspace.to_str().unwrap();
    let image = ["run", "--image", "python", "--workspace", folder];
    let wait: &[&str] = match options.contains(&"--wait") {
        true => &[],
        false => &["--wait", "2m"],
    };
    [&image[..], wait, options, &["--", "sh"]].concat()
}

/// The approvals that wait.
pub(crate) fn waiting(home: &Home) -> Vec<Value> {
    lines(&home.ampoule(&["approvals", "ls", "--json"]))
}

/// Waits for a question and gives its id.
pub(crate) fn asked(home: &Home) -> String {
    let first = || {
        let first = waiting(home).into_iter().next();
        first.and_then(|item| item["approval"].as_str().map(str::to_owned))
    };
    eventually("somebody is asked", PATIENCE, || first().is_some());
    first().unwrap()
}

pub(crate) fn decide(home: &Home, how: &str, id: &str) {
    person(home, &[how, id]);
}

/// What a person does at `ampoule approvals`.
pub(crate) fn person(home: &Home, words: &[&str]) {
    let done = home.ampoule(&[&["approvals"], words].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
}

/// Waits until nobody is asked any more.
pub(crate) fn nobody_is_asked(home: &Home) {
    eventually("nobody is asked", PATIENCE, || waiting(home).is_empty());
}

/// Starts a shell of a task with a script.
pub(crate) fn start(home: &Home, workspace: &Path, script: &str) -> Child {
    start_with(home, workspace, &[], script)
}

pub(crate) fn start_with(home: &Home, workspace: &Path, options: &[&str], script: &str) -> Child {
    let mut child = home.piped(&shell(workspace, options));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(script.as_bytes()).unwrap();
    child
}

pub(crate) fn run(home: &Home, workspace: &Path, options: &[&str], script: &str) -> Done {
    home.fed(&shell(workspace, options), script.as_bytes())
}

pub(crate) fn end(child: Child) -> Done {
    child.wait_with_output().unwrap().into()
}

pub(crate) fn events(home: &Home, kinds: &str) -> Vec<Value> {
    lines(&home.ampoule(&["events", "--json", "--kind", kinds]))
}

/// All that is recorded once every task has its end there, which comes behind that of
/// `ampoule run`, together with what else did within the twentieth of a second. Nothing of it is
/// missing, cut or of no sense.
pub(crate) fn record(home: &Home) -> Vec<Value> {
    eventually("the ends are recorded", PATIENCE, || {
        events(home, "task-ended").len() == events(home, "task-started").len()
    });
    let done = home.ampoule(&["events", "--json"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
    let lines = lines(&done);
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(line["n"], at + 1, "{line}");
        assert_ne!(line["kind"], "gap", "{line}");
    }
    lines
}

fn lines(done: &Done) -> Vec<Value> {
    let lines = done.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Asserts that these are among the events, in this order: of each what it is to have.
#[track_caller]
pub(crate) fn in_order(events: &[Value], wanted: &[Value]) {
    let mut rest = events.iter();
    for one in wanted {
        let fits = |event: &Value| has(event, one);
        assert!(
            rest.any(fits),
            "no {one} behind what came before it in {}",
            shown(events)
        );
    }
}

/// Whether a value has all of another: the same fields, a text that has that text.
pub(crate) fn has(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| value.get(key).is_some_and(|value| has(value, wanted))),
        (Value::String(value), Value::String(wanted)) => value.contains(wanted),
        _ => value == wanted,
    }
}

/// Events for people who look for what went wrong.
pub(crate) fn shown(events: &[Value]) -> String {
    let lines = events.iter().map(|event| format!("\n{event}"));
    lines.collect()
}
