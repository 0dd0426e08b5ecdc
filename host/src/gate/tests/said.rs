// SPDX-License-Identifier: Apache-2.0
//! What is said before it is done: declared, asked, planned; and what happens beside it.

use policy::action::Plan;
use policy::approval::item::{Speaker, Subject};
use serde_json::json;

use super::*;

pub(super) fn plan(steps: &Value) -> Plan {
    serde_json::from_value(json!({ "actions": steps })).unwrap()
}

pub(super) fn declare(steps: &Value) -> String {
    json!({ "declare": { "actions": steps } }).to_string()
}

pub(super) fn kinds<'a>(recorded: &'a [Value], kind: &str) -> Vec<&'a Value> {
    recorded
        .iter()
        .filter(|line| line["kind"] == kind)
        .collect()
}

fn comment(rig: &Rig, approval: &str, text: &str) {
    let (by, text) = (Speaker::Person("ada".parse().unwrap()), text.to_owned());
    let event = Event::Comment { by, text };
    desk::act(&rig.store(), &approval.parse().unwrap(), &event, now_ms()).unwrap();
}

#[test]
fn who_declares_is_told_what_is_decided_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    for (line, wanted) in [
        (r#"{"declare":{"shell":"ls"}}"#.to_owned(), "allow"),
        (
            r#"{"ask":{"exec":["ls"],"cwd":"/workspace"}}"#.to_owned(),
            "allow",
        ),
        (
            declare(&json!([{"shell": "ls"}, {"exec": ["make"]}])),
            "allow",
        ),
        (
            r#"{"declare":{"exec":["rm","-rf","/"]}}"#.to_owned(),
            "deny",
        ),
        (
            declare(&json!([{"shell": "rm -rf src"}, {"shell": "rm -rf /"}])),
            "deny",
        ),
    ] {
        let id = guest.line(1, &line);
        let (verdict, answer) = guest.answer(id);
        assert_eq!(
            (verdict.as_str(), &answer["final"]),
            (wanted, &json!(true)),
            "{answer}"
        );
        if wanted == "deny" {
            assert!(
                answer["text"].as_str().unwrap().contains("wipes-machine"),
                "{answer}"
            );
        }
    }
    // A plan of which one step is denied asks about none.
    assert!(rig.store().list(&Filter::default()).unwrap().is_empty());
    let recorded = rig.recorded();
    assert_eq!(kinds(&recorded, "declared").len(), 5);
    let verdicts = kinds(&recorded, "verdict");
    assert_eq!(verdicts.len(), 5);
    assert_eq!(
        (&verdicts[4]["verdict"], &verdicts[4]["id"]),
        (&json!("deny"), &json!(5))
    );
}

#[test]
fn who_asks_hears_comments_and_the_decision_and_may_do_it_then() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    // Open: which folder is known only when it runs.
    let argv = ["bash", "-c", "rm -rf $X"];
    let line = json!({ "ask": { "exec": argv, "cwd": "/workspace" } }).to_string();
    let id = guest.line(1, &line);
    let (verdict, asked) = guest.answer(id);
    assert_eq!(verdict, "ask");
    assert!(asked["seconds"].as_u64().unwrap() > 50 && asked["final"] == false);
    let approval = asked["approval"].as_str().unwrap().to_owned();
    assert_eq!(rig.item(&approval).root(), "0000aaaa/1");
    comment(&rig, &approval, "what is in X?");
    let (verdict, said) = guest.answer(id);
    assert_eq!(verdict, "ask");
    assert!(
        said["text"]
            .as_str()
            .unwrap()
            .contains("ada wrote: what is in X?"),
        "{said}"
    );
    rig.decide(&approval, true);
    let (verdict, decided) = guest.answer(id);
    assert_eq!(
        (verdict.as_str(), &decided["final"]),
        ("allow", &json!(true))
    );
    // The same words, in an environment that nobody declared.
    let mut act = program(&argv);
    if let Act::Run(run) = &mut act {
        run.env = vec![b"HOME".to_vec(), b"X".to_vec()];
    }
    let seen = guest.intend(1, act, Vec::new());
    let verdict = guest.verdict(seen);
    assert!(verdict.allow && verdict.asked);
    // Once, in that root action, and nothing else.
    for (root, argv) in [(1, argv), (2, argv), (1, ["bash", "-c", "rm -rf $Y"])] {
        let seen = guest.run(root, &argv);
        guest.asked(seen);
    }
    let told = std::iter::repeat_with(|| rig.hear());
    let mut told = told.filter(|told| !matches!(told, FromLoop::Asked(_)));
    let first = told.next().unwrap();
    assert!(
        matches!(&first, FromLoop::Commented { by, .. } if by == "ada"),
        "{first:?}"
    );
    drop(told);
    let recorded = rig.recorded();
    assert_eq!(kinds(&recorded, "commented")[0]["text"], "what is in X?");
    let decided = kinds(&recorded, "decided");
    assert_eq!(
        (&decided[0]["state"], &decided[0]["by"]),
        (&json!("approved"), &json!(["ada"]))
    );
}

#[test]
fn an_environment_that_changes_what_runs_is_not_what_was_approved() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let argv = ["bash", "-c", "rm -rf $X"];
    let id = guest.line(1, &json!({ "declare": { "exec": argv } }).to_string());
    let (_, asked) = guest.answer(id);
    rig.decide(asked["approval"].as_str().unwrap(), true);
    assert_eq!(guest.answer(id).0, "allow");
    let mut act = program(&argv);
    if let Act::Run(run) = &mut act {
        run.env = vec![b"LD_PRELOAD".to_vec()];
        run.telling = vec![b"LD_PRELOAD=/workspace/x.so".to_vec()];
    }
    let seen = guest.intend(1, act, Vec::new());
    guest.asked(seen);
    rig.end();
}

#[test]
fn a_no_is_told_and_an_approval_that_was_taken_back_covers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let steps = json!([{"shell": "ls"}, {"shell": "rm -rf src"}, {"shell": "rm -rf lib"}]);
    let plan = json!({ "goal": "tidy", "reasoning": "it is old", "actions": steps });
    let id = guest.line(1, &json!({ "declare": plan }).to_string());
    let (_, asked) = guest.answer(id);
    let approval = asked["approval"].as_str().unwrap().to_owned();
    // One item for the plan's steps, each with all of the plan.
    wait_for(|| rig.item(&approval).last().unwrap().questions.len() == 2);
    for question in &rig.item(&approval).last().unwrap().questions {
        let plan = question.plan.as_ref().unwrap();
        let told = (plan.goal.as_str(), plan.reasoning.as_str());
        assert_eq!(told, ("tidy", "it is old"));
        let asks = plan.steps.iter().map(|step| step.asks);
        assert_eq!(asks.collect::<Vec<_>>(), [false, true, true]);
    }
    rig.decide(&approval, false);
    let (verdict, said) = guest.answer(id);
    assert_eq!((verdict.as_str(), &said["final"]), ("deny", &json!(true)));
    assert!(
        said["text"].as_str().unwrap().contains("a person said no"),
        "{said}"
    );
    let argv = ["bash", "-c", "rm -rf $X"];
    let id = guest.line(2, &json!({ "declare": { "exec": argv } }).to_string());
    let (_, asked) = guest.answer(id);
    let approval = asked["approval"].as_str().unwrap().to_owned();
    rig.decide(&approval, true);
    assert_eq!(guest.answer(id).0, "allow");
    let revoke = Event::Revoke {
        by: "ada".parse().unwrap(),
        portion: Some(0),
    };
    desk::act(&rig.store(), &approval.parse().unwrap(), &revoke, now_ms()).unwrap();
    let seen = guest.run(2, &argv);
    assert_ne!(guest.asked(seen), String::new());
    rig.end();
}

#[test]
fn steps_that_different_policies_ask_about_are_one_item() {
    let dir = tempfile::tempdir().unwrap();
    policies(
        &dir,
        "@id(\"no-make\")\n@reason(\"make is asked about\")\n\
         forbid (principal, action == Action::\"run_unattended\", resource)\n\
         when { context.programs.contains(\"make\") };\n",
    );
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let steps = json!([{"exec": ["rm", "-rf", "src"]}, {"exec": ["make"]}]);
    let id = guest.line(1, &declare(&steps));
    let (_, asked) = guest.answer(id);
    let approval = asked["approval"].as_str().unwrap().to_owned();
    // The second has no effect that the first one's item does not say.
    wait_for(|| rig.item(&approval).joined() == 1);
    rig.decide(&approval, true);
    assert_eq!(guest.answer(id).0, "allow");
    assert_eq!(rig.store().list(&Filter::default()).unwrap().len(), 1);
    rig.end();
}

#[test]
fn a_long_plan_is_one_question() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let steps: Vec<Value> = (0..40)
        .map(|n| json!({ "shell": format!("rm -rf src{n}") }))
        .collect();
    let id = guest.line(1, &declare(&json!(steps)));
    let (_, asked) = guest.answer(id);
    let approval = asked["approval"].as_str().unwrap().to_owned();
    assert_eq!(rig.item(&approval).subject(), Subject::Action);
    rig.decide(&approval, true);
    assert_eq!(guest.answer(id).0, "allow");
    let seen = guest.run(1, &["rm", "-rf", "src39"]);
    assert!(guest.verdict(seen).allow);
    assert_eq!(rig.store().list(&Filter::default()).unwrap().len(), 1);
    rig.end();
}

#[test]
fn a_status_says_what_waits_and_what_was_decided() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let whole = |guest: &mut Guest| {
        let id = guest.line(1, r#"{"status":true}"#);
        let (verdict, line) = guest.answer(id);
        assert_eq!((verdict.as_str(), &line["final"]), ("none", &json!(true)));
        line
    };
    let status = |guest: &mut Guest| whole(guest)["text"].as_str().unwrap().to_owned();
    assert_eq!(status(&mut guest), "nothing waits for people");
    let seen = guest.run(1, &["rm", "-rf", "src"]);
    let approval = guest.asked(seen);
    let text = status(&mut guest);
    assert!(
        text.contains("rm -rf src") && text.contains(&approval),
        "{text}"
    );
    rig.decide(&approval, false);
    assert!(!guest.verdict(seen).allow);
    let text = status(&mut guest);
    assert!(
        text.starts_with("nothing waits") && text.contains("denied: rm -rf src"),
        "{text}"
    );
    // A shell that was refused a program tries it again at once.
    let again = guest.run(1, &["rm", "-rf", "src"]);
    assert!(!guest.verdict(again).allow);
    assert_eq!(status(&mut guest), text);
    // A yes is told as often as it is asked for, to whatever connection of the gate.
    let seen = guest.run(2, &["rm", "-rf", "lib"]);
    let approval = guest.asked(seen);
    rig.decide(&approval, true);
    assert!(guest.verdict(seen).allow);
    let text = status(&mut guest);
    assert!(text.contains("allowed: rm -rf lib"), "{text}");
    assert!(text.contains("denied: rm -rf src"), "{text}");
    for _ in 0..2 {
        assert_eq!(status(&mut guest), text);
    }
    let mut guest = rig.guest();
    assert_eq!(status(&mut guest), text);
    // It is not lost among others that are tried over and over.
    for _ in 0..8 {
        for argv in [["rm", "-rf", "/"], ["rm", "-rf", "src"]] {
            let seen = guest.run(1, &argv);
            assert!(!guest.verdict(seen).allow);
        }
    }
    let text = status(&mut guest);
    assert!(text.contains("allowed: rm -rf lib"), "{text}");
    let line = whole(&mut guest);
    assert_eq!(
        (&line["posture"], &line["waits"]),
        (&json!("normal"), &json!([]))
    );
    rig.end();
}

#[test]
fn a_line_that_makes_no_sense_gets_one_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let deep = format!("{{\"declare\":{}", "[".repeat(100_000));
    let steps = declare(&json!(vec![json!({"shell": "ls"}); 1001]));
    for (root, line, wanted) in [
        (1, "{", "write {\"declare\""),
        (1, "", "write {\"declare\""),
        (1, "\u{ff}", "write {\"declare\""),
        (1, r#"{"dance":true}"#, "unknown variant"),
        (1, r#"{"declare":{"dance":1}}"#, "unknown field"),
        (1, r#"{"declare":7}"#, "an action"),
        (1, r#"{"declare":{"actions":[]}}"#, "1 to 1000"),
        (1, r#"{"declare":{"actions":7}}"#, "a plan"),
        (1, r#"{"ask":{"exec":[]}}"#, "the program's name"),
        (1, r#"{"status":false}"#, "status"),
        (0, r#"{"declare":{"shell":"ls"}}"#, "which command"),
        (1, deep.as_str(), "recursion"),
        (1, steps.as_str(), "1 to 1000"),
    ] {
        let id = guest.line(root, line);
        let (verdict, said) = guest.answer(id);
        assert_eq!(
            (verdict.as_str(), &said["final"]),
            ("error", &json!(true)),
            "{said}"
        );
        let text = said["text"].as_str().unwrap();
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    // Numbers that are taken.
    let id = guest.line(1, r#"{"ask":{"shell":"rm -rf src"}}"#);
    assert_eq!(guest.answer(id).0, "ask");
    for taken in [0, id] {
        let json = br#"{"ask":{"shell":"ls"}}"#.to_vec();
        guest.say(
            Kind::Declared,
            &Declared {
                id: taken,
                root: 1,
                json,
            },
        );
        assert_eq!(guest.answer(taken).0, "error");
    }
    rig.end();
}

#[test]
fn how_a_task_ended_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, _guest) = Rig::with_guest(begin(dir.path()));
    rig.say(&ToLoop::Ended {
        code: Some(3),
        reason: "exited".to_owned(),
    });
    let recorded = rig.recorded();
    let ended = kinds(&recorded, "task-ended");
    assert_eq!(
        (&ended[0]["code"], &ended[0]["reason"]),
        (&json!(3), &json!("exited"))
    );
}

#[test]
fn what_was_said_on_a_connection_that_is_gone_waits_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let id = guest.line(1, r#"{"ask":{"shell":"rm -rf src"}}"#);
    let (_, asked) = guest.answer(id);
    let first = asked["approval"].as_str().unwrap().to_owned();
    let mut guest = rig.guest();
    wait_for(|| rig.item(&first).state() == State::Withdrawn);
    // The gate says it again.
    let id = guest.line(1, r#"{"ask":{"shell":"rm -rf src"}}"#);
    let (verdict, asked) = guest.answer(id);
    assert_eq!(verdict, "ask");
    let second = asked["approval"].as_str().unwrap().to_owned();
    // Its program is gone.
    guest.say(Kind::Withdrawn, &Withdrawn { id });
    wait_for(|| rig.item(&second).state() == State::Withdrawn);
    rig.end();
}
