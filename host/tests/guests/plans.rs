// SPDX-License-Identifier: Apache-2.0
//! Plans that people give: judged before there is a guest, carried out in order, held to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};

use super::gated::{asked, end, in_order, person, record, shown, waiting, workspace};
use super::harness::{Done, Home, PATIENCE, eventually};

/// Starts a task that carries out a plan.
pub(crate) fn start(home: &Home, workspace: &Path, steps: &Value) -> Child {
    let plan = home.path().join("plan.json");
    let text = json!({ "goal": "begin again", "actions": steps });
    fs::write(&plan, text.to_string()).unwrap();
    let (plan, folder) = (plan.to_str().unwrap(), workspace.to_str().unwrap());
    let image = ["run", "--image", "python", "--wait", "2m"];
    home.piped(&[&image[..], &["--workspace", folder, "--plan", plan]].concat())
}

#[test]
fn a_plan_is_asked_about_commented_on_approved_and_carried_out() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    fs::create_dir(workspace.join("src")).unwrap();
    fs::write(workspace.join("src/main.c"), "int main;\n").unwrap();
    let steps = json!([
        { "write": { "path": "notes.txt", "content": "from here on\n" } },
        { "exec": ["rm", "-rf", "src"] },
        { "shell": "ls; cat notes.txt" },
    ]);
    let task = start(&home, &workspace, &steps);
    let id = asked(&home);
    assert!(home.find("ampoule-vmm").is_none(), "nothing runs yet");
    person(&home, &["comment", &id, "is it kept elsewhere?"]);
    let commented = || !super::gated::events(&home, "commented").is_empty();
    eventually("the comment is recorded", PATIENCE, commented);
    person(&home, &["approve", &id, "--note", "it is in git"]);
    let done = end(task);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.stdout, "kept.txt\nnotes.txt\nfrom here on\n");
    for line in [
        "waits for a person: rm -rf src",
        ": is it kept elsewhere?",
        "is approved: it is in git",
    ] {
        assert!(done.stderr.contains(line), "{line}: {done:?}");
    }
    let root = |root| json!({ "kind": "root", "root": root, "by": "plan" });
    let allowed = |root| json!({ "kind": "verdict", "root": root, "verdict": "allow" });
    in_order(
        &record(&home),
        &[
            json!({ "kind": "task-started", "gated": true }),
            json!({ "kind": "declared", "declared": { "goal": "begin again" } }),
            json!({ "kind": "asked", "approval": id, "line": "rm -rf src" }),
            json!({ "kind": "commented", "approval": id, "text": "is it kept elsewhere?" }),
            json!({ "kind": "decided", "approval": id, "state": "approved", "note": "it is in git" }),
            json!({ "kind": "verdict", "verdict": "allow", "by": "approval", "approval": id }),
            root(1),
            allowed(1),
            root(2),
            json!({ "kind": "verdict", "root": 2, "by": "approval", "approval": id }),
            json!({ "kind": "intent", "root": 2, "action": { "exec": ["rm", "--", "/workspace/src/main.c"] } }),
            allowed(2),
            root(3),
            allowed(3),
            json!({ "kind": "task-ended", "code": 0 }),
        ],
    );
    assert!(workspace.join("src/main.c").exists());
    home.assert_nothing_left();
}

#[test]
fn a_step_that_fails_is_named() {
    let Some(home) = Home::new() else { return };
    let steps =
        json!([{ "exec": ["true"] }, { "exec": ["sh", "-c", "exit 3"] }, { "shell": "ls" }]);
    let plan = home.path().join("plan.json");
    fs::write(&plan, json!({ "actions": steps }).to_string()).unwrap();
    let done = home.ampoule(&["run", "--json", "--plan", plan.to_str().unwrap()]);
    assert_eq!(done.code, Some(3), "{done:?}");
    let says = "step 2 of 3 ended with 3: sh -c exit 3";
    assert_eq!(done.stderr, format!("ampoule: {says}\n"), "{done:?}");
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (&summary["step"], &summary["end"]["detail"]),
        (&json!(2), &json!(says))
    );
    // One that goes well has none.
    fs::write(
        &plan,
        json!({ "actions": [{ "exec": ["true"] }] }).to_string(),
    )
    .unwrap();
    let done = home.ampoule(&["run", "--json", "--plan", plan.to_str().unwrap()]);
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (done.code, summary.get("step")),
        (Some(0), None),
        "{done:?}"
    );
}

/// A repository in which whoever commits runs a hook.
fn repository(workspace: &Path, hook: &str) {
    let git = workspace.join(".git");
    for folder in ["objects", "refs/heads", "hooks"] {
        fs::create_dir_all(git.join(folder)).unwrap();
    }
    fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    let config = "[core]\nrepositoryformatversion = 0\n[user]\nname = a\nemail = a@b\n";
    fs::write(git.join("config"), config).unwrap();
    let path: PathBuf = git.join("hooks/pre-commit");
    fs::write(&path, hook).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, mode).unwrap();
}

/// The steps of a plan that says nothing of the hook of its commit, which does something beside it.
fn commit() -> Value {
    json!([
        { "exec": ["git", "add", "kept.txt"] },
        { "exec": ["git", "commit", "-q", "-m", "kept"] },
        { "exec": ["git", "log", "--format=%s"] },
    ])
}

/// Starts a program, changes a path and speaks to a host that the plan never named.
const HOOK: &str = "#!/bin/sh
rm -rf src && echo gone
./stats
python3 -c '
import socket
out = socket.socket()
try:
    out.connect((\"192.0.2.1\", 443))
except OSError as error:
    print(\"sent:\", error, flush=True)
'
";

/// Carries out a plan whose every question has the same answer; what was recorded meanwhile.
fn answered(home: &Home, workspace: &Path, answer: &str) -> (Done, Vec<Value>) {
    let before = record(home).len();
    let task = start(home, workspace, &commit());
    let done = std::thread::scope(|scope| {
        let ended = scope.spawn(|| end(task));
        while !ended.is_finished() {
            for item in waiting(home) {
                let id = item["approval"].as_str().unwrap();
                // What was added to a question has to be seen first.
                person(home, &["show", id]);
                person(home, &[answer, id]);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        ended.join().unwrap()
    });
    (done, record(home).split_off(before))
}

#[test]
fn what_a_plan_never_named_is_asked_about_and_done_when_approved() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    fs::create_dir(workspace.join("src")).unwrap();
    fs::write(workspace.join("src/main.c"), "int main;\n").unwrap();
    // Static; it has nothing to do under that name, and says so.
    fs::copy("/bin/busybox", workspace.join("stats")).unwrap();
    repository(&workspace, HOOK);

    let (done, all) = answered(&home, &workspace, "approve");
    assert_eq!(done.code, Some(0), "{done:?}{}", shown(&all));
    // All of it happened: there is no network to send anything to.
    for line in [
        "gone\n",
        "stats: applet not found\n",
        "sent: [Errno 101] Network is unreachable\n",
    ] {
        assert!(done.stderr.contains(line), "{line}: {done:?}");
    }
    assert_eq!(done.stdout, "kept\n");
    let drift = all.iter().filter(|event| event["kind"] == "drift");
    let mut what: Vec<&str> = Vec::new();
    for drift in drift {
        what.push(drift["what"].as_str().unwrap());
        let verdict = json!({ "kind": "verdict", "id": drift["id"], "by": "approval" });
        in_order(&all, &[drift.clone(), verdict]);
    }
    for wanted in [
        "path /workspace/src",
        "program /workspace/stats",
        "host 192.0.2.1",
    ] {
        assert!(what.contains(&wanted), "{wanted}{}", shown(&all));
    }

    let (done, all) = answered(&home, &workspace, "deny");
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""), "{done:?}");
    in_order(
        &all,
        &[
            json!({ "kind": "intent", "root": 2, "action": { "exec": ["/workspace/.git/hooks/pre-commit"] } }),
            json!({ "kind": "drift", "root": 2 }),
            json!({ "kind": "asked", "root": 2 }),
            json!({ "kind": "decided", "state": "denied" }),
            json!({ "kind": "verdict", "verdict": "deny", "by": "approval" }),
            json!({ "kind": "task-ended", "code": 1 }),
        ],
    );
    home.assert_nothing_left();
}
