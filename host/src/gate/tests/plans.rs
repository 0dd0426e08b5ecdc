// SPDX-License-Identifier: Apache-2.0
//! Plans: what they never named, and those that people give.

use serde_json::json;

use super::said::{declare, kinds, plan};
use super::*;

#[test]
fn what_a_plan_never_named_asks_and_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let connect = || {
        let (to, family) = ("1.2.3.4:443".to_owned(), "tcp".to_owned());
        Act::Connect(Connect { to, family })
    };
    let allowed = |guest: &mut Guest, root, argv: &[&str]| {
        let seen = guest.run(root, argv);
        assert!(guest.verdict(seen).allow, "{argv:?}");
    };
    for root in [1, 2] {
        let seen = guest.intend(root, connect(), Vec::new());
        assert!(guest.verdict(seen).allow);
        allowed(&mut guest, root, &["frobnicate", "x"]);
    }
    let id = guest.line(
        1,
        &declare(&json!([{"exec": ["cp", "a", "b"]}, {"exec": ["ls"]}])),
    );
    assert_eq!(guest.answer(id).0, "allow");
    for argv in [&["cp", "a", "b"][..], &["ls", "src"], &["cat", "README"]] {
        allowed(&mut guest, 1, argv);
    }
    let seen = guest.run(1, &["frobnicate", "x"]);
    let first = guest.asked(seen);
    let other = guest.intend(1, connect(), Vec::new());
    // One item for all of it.
    assert_eq!(guest.asked(other), first);
    // Another root action has no plan.
    allowed(&mut guest, 2, &["frobnicate", "x"]);
    rig.decide(&first, true);
    assert!(guest.verdict(seen).allow);
    assert!(guest.verdict(other).allow);
    // A further plan names it.
    let id = guest.line(1, &declare(&json!([{"exec": ["touch", "/srv/x"]}])));
    let declared = guest.answer(id);
    assert_eq!(declared.0, "allow", "{declared:?}");
    allowed(&mut guest, 1, &["touch", "/srv/x"]);
    let recorded = rig.recorded();
    let drift = kinds(&recorded, "drift");
    let what: Vec<_> = drift
        .iter()
        .map(|line| line["what"].as_str().unwrap())
        .collect();
    assert_eq!(what, ["program frobnicate", "host 1.2.3.4"]);
}

#[test]
fn a_build_may_start_what_it_likes_and_reach_no_further() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let id = guest.line(1, &declare(&json!([{"exec": ["make"]}])));
    assert_eq!(guest.answer(id).0, "allow");
    for argv in [&["make"][..], &["frobnicate", "x"], &["python3", "gen.py"]] {
        let seen = guest.run(1, argv);
        assert!(guest.verdict(seen).allow, "{argv:?}");
    }
    let seen = guest.run(1, &["curl", "https://example.com/"]);
    guest.asked(seen);
    rig.end();
}

#[test]
fn a_plan_of_peoples_that_is_denied_runs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let denied = Begin {
        plan: Some(plan(
            &json!([{"exec": ["ls"]}, {"exec": ["rm", "-rf", "/"]}]),
        )),
        ..begin(dir.path())
    };
    let mut rig = Rig::start(denied);
    assert!(matches!(rig.hear(), FromLoop::Begun { gated: true, .. }));
    let told = rig.hear();
    let FromLoop::Plan {
        allow: false,
        reason,
    } = &told
    else {
        panic!("{told:?}")
    };
    assert!(reason.contains("step 2: wipes-machine"), "{reason}");
    assert!(rig.store().list(&Filter::default()).unwrap().is_empty());
    rig.say(&ToLoop::Ended {
        code: None,
        reason: "refused".to_owned(),
    });
    let recorded = rig.recorded();
    assert!(kinds(&recorded, "root").is_empty());
    assert_eq!(kinds(&recorded, "task-ended")[0]["reason"], "refused");
}

#[test]
fn a_plan_that_people_approved_runs_step_by_step() {
    let dir = tempfile::tempdir().unwrap();
    let argv = ["sh", "-c", "rm -rf $X"];
    let asked = Begin {
        plan: Some(plan(&json!([
            {"exec": ["rm", "-rf", "src"]}, {"shell": argv[2]}, {"exec": ["make"]}
        ]))),
        ..begin(dir.path())
    };
    let mut rig = Rig::start(asked);
    assert!(matches!(rig.hear(), FromLoop::Begun { gated: true, .. }));
    let FromLoop::Asked(asked) = rig.hear() else {
        panic!("not asked")
    };
    let item = rig.item(&asked.approval);
    assert_eq!(item.root(), "0000aaaa/plan");
    wait_for(|| rig.item(&asked.approval).last().unwrap().questions.len() == 2);
    rig.decide(&asked.approval, true);
    let allow = loop {
        if let FromLoop::Plan { allow, .. } = rig.hear() {
            break allow;
        }
    };
    assert!(allow);
    let mut guest = rig.guest();
    let steps: [&[&str]; 3] = [&["rm", "-rf", "src"], &argv, &["make"]];
    for (root, argv) in (1..).zip(steps) {
        rig.say(&ToLoop::Root(Root {
            root,
            argv: argv.iter().map(|word| Bytes::from(*word)).collect(),
            cwd: None,
            env: vec!["PATH".to_owned()],
            by: "plan".to_owned(),
        }));
        let (verdict, reason) = rig.verdict(root);
        assert_eq!(verdict, Answer::Allow, "{argv:?}: {reason}");
        let seen = guest.run(root, argv);
        assert!(guest.verdict(seen).allow, "{argv:?}");
    }
    // Beside it is drift; what people start is not.
    let seen = guest.run(3, &["curl", "https://example.com/"]);
    guest.asked(seen);
    assert_eq!(
        rig.root(70_000, &["curl", "https://example.com/"]).0,
        Answer::Allow
    );
    let recorded = rig.recorded();
    let roots = kinds(&recorded, "root");
    assert_eq!(roots.iter().filter(|root| root["by"] == "plan").count(), 3);
    let ended = kinds(&recorded, "task-ended");
    assert!(
        ended[0]["reason"]
            .as_str()
            .unwrap()
            .contains("supervisor is gone")
    );
}
