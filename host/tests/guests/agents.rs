// SPDX-License-Identifier: Apache-2.0
//! Agents: one that knows nothing of the gate, one that says what it will do and does it, one that
//! does something else.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::gated::{asked, end, events, has, in_order, person, record, run, start};
use super::harness::{Home, PATIENCE, eventually};

/// A workspace with something in it that people would miss.
fn workspace(home: &Home) -> PathBuf {
    let folder = super::gated::workspace(home);
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("src/main.c"), "int main;\n").unwrap();
    folder
}

/// Answers what is asked: a word first, then this.
fn answer(home: &Home, words: &[&str]) -> String {
    let id = asked(home);
    let before = events(home, "commented").len();
    person(home, &["comment", &id, "is it kept elsewhere?"]);
    let commented = || events(home, "commented").len() > before;
    eventually("the comment is recorded", PATIENCE, commented);
    // What was asked after an answer has to be seen first.
    person(home, &["show", &id]);
    person(home, &[&words[..1], &[&id], &words[1..]].concat());
    id
}

fn kept(workspace: &Path) {
    assert!(workspace.join("src/main.c").exists());
}

#[test]
fn an_agent_that_knows_nothing_of_us_is_asked_about_and_answered() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let task = start(&home, &workspace, "rm -rf src; echo ended $?; ls");
    let id = answer(&home, &["approve", "--note", "it is in git"]);
    let done = end(task);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.stdout, "ended 0\nkept.txt\n");
    for line in [
        "waits for a person: rm -rf src",
        ": is it kept elsewhere?",
        "is approved: it is in git",
    ] {
        assert!(done.stderr.contains(line), "{line}: {done:?}");
    }
    in_order(
        &record(&home),
        &[
            json!({ "kind": "task-started", "gated": true }),
            json!({ "kind": "root", "by": "run", "root": 1 }),
            json!({ "kind": "intent", "root": 1, "action": { "exec": ["rm", "-rf", "src"] } }),
            json!({ "kind": "asked", "approval": id, "root": 1, "line": "rm -rf src" }),
            json!({ "kind": "commented", "approval": id, "text": "is it kept elsewhere?" }),
            json!({ "kind": "decided", "approval": id, "state": "approved" }),
            json!({ "kind": "verdict", "verdict": "allow", "by": "approval", "approval": id }),
            json!({ "kind": "task-ended", "code": 0 }),
        ],
    );
    kept(&workspace);
    home.assert_nothing_left();
}

/// Says what it will do, waits for the answer and does as it is told. What it knows meanwhile is
/// told by another of its processes.
const HONEST: &str = r#"
echo '{"goal": "begin again",
 "actions": [{"exec": ["rm", "-rf", "src"]}, {"exec": ["ls"]}]}' > plan.json
(until ampoule-agent status > status; grep -q 'waits for a person' status; do sleep 0.2; done
 cat status > /tmp/seen) &
ampoule-agent declare plan.json; echo "declared: $?"
wait
sed 's/^/status: /' /tmp/seen
rm -rf src && ls
ampoule-agent ask -- git push --force; echo "asked: $?"
git push --force; echo "pushed: $?"
ampoule-agent status | sed 's/^/status: /'
ampoule-agent ask --json -- ls
"#;

#[test]
fn an_agent_that_says_what_it_will_do_is_told_and_does_it() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let task = start(&home, &workspace, HONEST);
    asked(&home);
    let id = home.tasks().pop().unwrap();
    let seen = ["exec", &id, "--", "test", "-s", "/tmp/seen"];
    eventually("it knows that it waits", PATIENCE, || {
        home.ampoule(&seen).code == Some(0)
    });
    let yes = answer(&home, &["approve", "--note", "it is in git"]);
    let no = answer(&home, &["deny", "--note", "never on a friday"]);
    let done = end(task);
    let mut told = done.stdout.lines();
    for line in [
        "waits for a person, 1".to_owned(),
        ": rm -rf src (".to_owned(),
    ] {
        assert!(done.stdout.contains(&line), "{line}: {done:?}");
    }
    for line in [
        "waits for a person, ".to_owned(),
        "wrote: is it kept elsewhere?".to_owned(),
        format!("allowed: approved: {yes}"),
        "declared: 0".to_owned(),
        format!("(approval {yes})"),
        "kept.txt".to_owned(),
        "waits for a person, ".to_owned(),
        "wrote: is it kept elsewhere?".to_owned(),
        format!("denied: a person said no: approval {no}: never on a friday"),
        "asked: 11".to_owned(),
        "pushed: 126".to_owned(),
        "status: nothing waits for people".to_owned(),
        "never on a friday".to_owned(),
        r#""verdict":"allow""#.to_owned(),
    ] {
        let found = told.any(|told| told.contains(&line));
        assert!(found, "{line}: {done:?}");
    }
    assert!(!done.stdout.contains("src\n"), "{done:?}");
    // What was said is what was asked about, and nothing else.
    assert_eq!(events(&home, "asked").len(), 2);
    in_order(
        &record(&home),
        &[
            json!({ "kind": "declared", "declared": { "goal": "begin again" } }),
            json!({ "kind": "asked", "approval": yes }),
            json!({ "kind": "commented", "approval": yes }),
            json!({ "kind": "decided", "approval": yes, "state": "approved" }),
            json!({ "kind": "intent", "action": { "exec": ["rm", "-rf", "src"] } }),
            json!({ "kind": "verdict", "verdict": "allow", "approval": yes }),
            json!({ "kind": "declared", "declared": { "ask": { "exec": ["git", "push", "--force"] } } }),
            json!({ "kind": "decided", "approval": no, "state": "denied" }),
            json!({ "kind": "intent", "action": { "exec": ["git", "push", "--force"] } }),
            json!({ "kind": "verdict", "verdict": "deny", "approval": no }),
        ],
    );
    kept(&workspace);
    home.assert_nothing_left();
}

/// Does what anybody may, says that it will do less, and does it again.
const DISHONEST: &str = r#"
git init -q a && echo "before"
echo '{"actions": [{"exec": ["cp", "kept.txt", "b"]}]}' | ampoule-agent declare -; echo "declared: $?"
cp kept.txt b && echo "as declared"
git init -q c || echo "program refused"
touch /etc/x || echo "path refused"
ampoule-agent ask -- rm -rf src; echo "asked: $?"
rm -rf src || echo "kept"
"#;

#[test]
fn an_agent_that_says_one_thing_and_does_another_is_stopped_by_that_rule() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let done = run(&home, &workspace, &["--on-ask", "deny"], DISHONEST);
    for line in [
        "before\n",
        "declared: 0\nas declared\nprogram refused\npath refused\n",
        "asked: 11\nkept\n",
    ] {
        assert!(done.stdout.contains(line), "{line}: {done:?}");
    }
    let refused = json!({ "kind": "verdict", "verdict": "deny", "reason": "gate:drift" });
    let refused = events(&home, "verdict")
        .iter()
        .filter(|event| has(event, &refused))
        .count();
    assert_eq!(refused, 2);
    let mut drift: Vec<String> = events(&home, "drift")
        .iter()
        .map(|event| event["what"].as_str().unwrap().to_owned())
        .collect();
    // A shell tries each folder of its PATH that has it.
    drift.dedup();
    assert_eq!(drift, ["program git", "path /etc/x", "path /workspace/src"]);
    home.assert_nothing_left();
}
