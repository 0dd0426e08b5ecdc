// SPDX-License-Identifier: Apache-2.0
//! What people are asked, and what their answers do.

use serde_json::json;

use super::*;
use crate::gate::asks::WAITING;

#[test]
fn an_ask_waits_for_a_person_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let write = Act::Write(Write {
        path: b"/etc/hosts".to_vec(),
        exists: true,
    });
    let waits = guest.intend(1, write, Vec::new());
    let approval = guest.asked(waits);
    let told = rig.hear();
    let FromLoop::Asked(asked) = told else {
        panic!("{told:?}")
    };
    assert_eq!(
        (asked.approval.as_str(), asked.line.as_str()),
        (approval.as_str(), "write /etc/hosts")
    );
    assert!(asked.wait_ms <= 60_000 && asked.wait_ms > 50_000);
    let other = guest.run(1, &["true"]);
    assert!(guest.verdict(other).allow);
    assert_eq!(rig.item(&approval).root(), "0000aaaa/1");
    rig.decide(&approval, true);
    let verdict = guest.verdict(waits);
    assert!(verdict.allow && verdict.asked);
    let told = rig.hear();
    let state = matches!(&told, FromLoop::Decided { state, .. } if state == "approved");
    assert!(state, "{told:?}");
    // What was approved stands for what its tree does.
    let write = Act::Write(Write {
        path: b"/etc/hosts".to_vec(),
        exists: true,
    });
    let again = guest.intend(1, write, Vec::new());
    assert!(guest.verdict(again).allow);
    rig.end();
}

#[test]
fn a_no_and_no_answer_are_both_a_no() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let id = guest.run(1, &["rm", "-rf", "src"]);
    let approval = guest.asked(id);
    rig.decide(&approval, false);
    let verdict = guest.verdict(id);
    let said = |verdict: &Verdict| {
        let reason = &verdict.reason;
        reason.contains("a person said no") && reason.ends_with(": not that one")
    };
    assert!(!verdict.allow && said(&verdict), "{verdict:?}");
    // And stays one.
    let id = guest.run(1, &["rm", "-rf", "src"]);
    let verdict = guest.verdict(id);
    assert!(!verdict.allow && said(&verdict), "{verdict:?}");
    rig.end();
    let dir = tempfile::tempdir().unwrap();
    let short = Begin {
        wait_ms: 300,
        ..begin(dir.path())
    };
    let (rig, mut guest) = Rig::with_guest(short);
    let id = guest.run(1, &["rm", "-rf", "src"]);
    let approval = guest.asked(id);
    let verdict = guest.verdict(id);
    assert!(verdict.reason.contains("nobody answered"), "{verdict:?}");
    assert_eq!(rig.item(&approval).state(), State::Expired);
    // All waiting of the task is used up.
    let id = guest.run(2, &["rm", "-rf", "lib"]);
    let verdict = guest.verdict(id);
    assert!(
        !verdict.allow && verdict.reason.contains("--wait"),
        "{verdict:?}"
    );
    rig.end();
}

#[test]
fn what_joins_an_open_question_is_told_as_another_and_each_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    for folder in ["src", "lib", "src"] {
        let id = guest.run(1, &["rm", "-rf", folder]);
        guest.asked(id);
    }
    let told = [rig.hear(), rig.hear(), rig.hear()].map(|told| match told {
        FromLoop::Asked(asked) => (asked.approval, asked.revision, asked.line),
        other => panic!("{other:?}"),
    });
    let (approval, ..) = &told[0];
    let of = |revision, line: &str| (approval.clone(), revision, line.to_owned());
    assert_eq!(
        told,
        [
            of(1, "rm -rf src"),
            of(2, "rm -rf lib"),
            of(2, "rm -rf src")
        ]
    );
    let item = rig.item(approval);
    for question in &item.last().unwrap().questions {
        assert!(question.why.starts_with("risk-low: "), "{}", question.why);
        let (upper, from) = (
            question.risk.upper.unwrap(),
            question.risk.asked_from.unwrap(),
        );
        assert!(upper >= from && from == 4000, "{:?}", question.risk);
    }
    rig.end();
}

#[test]
fn what_nobody_waits_for_any_more_is_taken_out_of_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let state = |rig: &Rig, approval: &str| rig.item(approval).state();
    let id = guest.run(1, &["rm", "-rf", "src"]);
    let first = guest.asked(id);
    guest.say(Kind::Withdrawn, &Withdrawn { id });
    wait_for(|| state(&rig, &first) == State::Withdrawn);
    // With the gate's connection, what it asked.
    let id = guest.run(2, &["rm", "-rf", "src"]);
    let second = guest.asked(id);
    let mut guest = rig.guest();
    wait_for(|| state(&rig, &second) == State::Withdrawn);
    // With the task, all of it; a command of a client's with its client.
    let id = guest.run(3, &["rm", "-rf", "src"]);
    let third = guest.asked(id);
    assert_eq!(rig.root(70_000, &["rm", "-rf", "lib"]).0, Answer::Waits);
    let waiting = Filter {
        task: None,
        waiting: true,
    };
    assert_eq!(rig.store().list(&waiting).unwrap().len(), 2);
    rig.say(&ToLoop::Gone(70_000));
    wait_for(|| rig.store().list(&waiting).unwrap().len() == 1);
    let store = rig.store();
    rig.end();
    let third = store.load(&third.parse().unwrap()).unwrap().0;
    assert_eq!(third.state(), State::Withdrawn);
}

/// One item is asked about by two, and goes with both of them.
#[test]
fn that_a_question_was_withdrawn_is_recorded_once_and_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    // A command whose client is gone, as after a signal to it.
    assert_eq!(rig.root(70_000, &["rm", "-rf", "lib"]).0, Answer::Waits);
    let waiting = Filter {
        task: None,
        waiting: true,
    };
    let waits = rig.store().list(&waiting).unwrap();
    let command = waits[0].as_ref().unwrap().id().to_string();
    rig.say(&ToLoop::Gone(70_000));
    wait_for(|| rig.item(&command).state() == State::Withdrawn);
    let id = guest.run(1, &["rm", "-rf", "src"]);
    let process = guest.asked(id);
    guest.say(Kind::Withdrawn, &Withdrawn { id });
    wait_for(|| rig.item(&process).state() == State::Withdrawn);
    let two = [
        guest.run(2, &["rm", "-rf", "src"]),
        guest.run(2, &["rm", "-rf", "lib"]),
    ];
    let [gate, same] = two.map(|id| guest.asked(id));
    assert_eq!(gate, same);
    let mut guest = rig.guest();
    wait_for(|| rig.item(&gate).state() == State::Withdrawn);
    let id = guest.run(3, &["rm", "-rf", "src"]);
    let task = guest.asked(id);
    // What was decided is not withdrawn as well.
    let id = guest.run(4, &["rm", "-rf", "src"]);
    let decided = guest.asked(id);
    rig.decide(&decided, false);
    assert!(!guest.verdict(id).allow);
    let recorded = rig.recorded();
    let withdrawn = recorded.iter().filter(|line| line["state"] == "withdrawn");
    let withdrawn: Vec<_> = withdrawn
        .map(|line| json!([line["kind"], line["approval"], line["root"], line["note"]]))
        .collect();
    let wanted = [
        json!([
            "decided",
            command,
            70_000,
            "nobody waits for the command any more"
        ]),
        json!(["decided", process, 1, "the process that asked is gone"]),
        json!(["decided", gate, 2, "the gate that asked is gone"]),
        json!(["decided", task, 3, "its task ended"]),
    ];
    assert_eq!(withdrawn, wanted, "{recorded:#?}");
    assert_eq!(recorded.last().unwrap()["kind"], "task-ended");
}

#[test]
fn what_was_decided_when_its_task_ended_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let id = guest.run(1, &["rm", "-rf", "src"]);
    let approval = guest.asked(id);
    rig.decide(&approval, true);
    let recorded = rig.recorded();
    let decided = |line: &&Value| line["kind"] == "decided";
    let decided: Vec<_> = recorded.iter().filter(decided).collect();
    assert_eq!(decided.len(), 1, "{recorded:?}");
    assert_eq!(decided[0]["state"], "approved");
}

#[test]
fn too_many_questions_are_one_and_a_yes_to_it_asks_them() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let mut last = (0, String::new());
    for root in 1..=11 {
        let folder = format!("src{root}");
        let id = guest.run(root, &["rm", "-rf", &folder]);
        last = (id, guest.asked(id));
    }
    let (id, flood) = last;
    let subject = rig.item(&flood).subject();
    assert!(
        matches!(subject, policy::approval::item::Subject::Flood { .. }),
        "{subject:?}"
    );
    rig.decide(&flood, true);
    let asked = guest.asked(id);
    assert_ne!(asked, flood);
    rig.decide(&asked, true);
    assert!(guest.verdict(id).allow);
    rig.end();
}

#[test]
fn a_root_action_that_people_approved_starts_without_asking_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let argv = ["bash", "-c", "rm -rf $X"];
    assert_eq!(rig.root(1, &argv).0, Answer::Waits);
    let items = rig.store().list(&Filter::default()).unwrap();
    let id = items[0].as_ref().unwrap().id().to_string();
    rig.decide(&id, true);
    assert_eq!(rig.verdict(1).0, Answer::Allow);
    let id = guest.run(1, &argv);
    let verdict = guest.verdict(id);
    assert!(verdict.allow && verdict.asked);
    // Only the first time, and only for that one.
    let id = guest.run(1, &argv);
    guest.asked(id);
    let id = guest.run(2, &argv);
    guest.asked(id);
    rig.end();
}

#[test]
fn nobody_is_asked_who_is_not_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let deny = Begin {
        on_ask: OnAsk::Deny,
        ..begin(dir.path())
    };
    let (mut rig, mut guest) = Rig::with_guest(deny);
    let id = guest.run(1, &["rm", "-rf", "src"]);
    let verdict = guest.verdict(id);
    assert!(
        !verdict.allow && verdict.reason.contains("--on-ask deny"),
        "{verdict:?}"
    );
    // Whoever started the task sees more than that something failed.
    let told = rig.hear();
    let wanted = "rm -rf src";
    assert!(
        matches!(&told, FromLoop::Unasked { root: 1, line, .. } if line == wanted),
        "{told:?}"
    );
    assert!(rig.store().list(&Filter::default()).unwrap().is_empty());
    rig.end();
    let dir = tempfile::tempdir().unwrap();
    let exit = Begin {
        on_ask: OnAsk::Exit,
        ..begin(dir.path())
    };
    let (mut rig, mut guest) = Rig::with_guest(exit);
    let id = guest.run(1, &["rm", "-rf", "src"]);
    assert!(!guest.verdict(id).allow);
    let told = rig.hear();
    assert!(
        matches!(&told, FromLoop::ExitNow(why) if why.contains("rm -rf src")),
        "{told:?}"
    );
    rig.end();
}

#[test]
fn what_people_approved_is_denied_if_the_policies_deny_it_by_then() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let id = guest.run(1, &["rm", "-rf", "src"]);
    let approval = guest.asked(id);
    policies(
        &dir,
        "@id(\"no-rm\")\n@reason(\"nothing is removed\")\nforbid (principal, action, resource)\n\
         when { context.programs.contains(\"rm\") };\n",
    );
    rig.decide(&approval, true);
    let verdict = guest.verdict(id);
    assert!(
        !verdict.allow && verdict.reason.contains("no-rm"),
        "{verdict:?}"
    );
    rig.end();
}

#[test]
fn a_gate_that_asks_too_much_is_refused_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let ids: Vec<u64> = (0..=WAITING as u64)
        .map(|_| guest.run(1, &["rm", "-rf", "src"]))
        .collect();
    for _ in 0..WAITING {
        let _: Asked = guest.hear(Kind::Asked);
    }
    let verdict = guest.verdict(*ids.last().unwrap());
    assert!(
        !verdict.allow && verdict.reason.contains("gate:full"),
        "{verdict:?}"
    );
    rig.end();
}

/// Empty words are a few bytes each of the frame, and many more in memory.
#[test]
fn a_gate_that_tells_more_than_it_may_loses_its_connection() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let words = |count| vec![""; count];
    let few = guest.run(1, &[&["true"], &words(4095)[..]].concat());
    guest.verdict(few);
    guest.run(1, &[&["true"], &words(4096)[..]].concat());
    assert!(guest.is_closed());
    rig.end();
}

/// The record is one of all tasks.
#[test]
fn a_task_that_fills_the_record_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let long = "x".repeat(200 << 10);
    for _ in 0..=usize::try_from(SHARE).unwrap() / long.len() {
        guest.run(1, &["true", &long]);
    }
    let why = loop {
        if let FromLoop::Refused(why) = rig.try_hear().expect("it goes on") {
            break why;
        }
    };
    assert!(why.contains("share of the record"), "{why}");
    rig.end();
}
