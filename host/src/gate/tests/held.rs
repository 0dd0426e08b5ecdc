// SPDX-License-Identifier: Apache-2.0
//! Tasks that people hold tighter.

use policy::posture::{Held, Posture};
use protocol::actions::{Act, Hold, Rename, Write};

use super::*;
use crate::gate::wire;

fn held(posture: Posture, asks: &[&str]) -> Held {
    let mut held = Held {
        posture,
        ..Held::default()
    };
    for path in asks {
        held.ask(path, &policy::effects::place::Setting::default())
            .unwrap();
    }
    held
}

/// Holds the task so; what the loop answers.
fn hold(rig: &mut Rig, to: &Held) -> FromLoop {
    rig.say(&ToLoop::Hold(wire::Hold {
        to: to.clone(),
        by: "ada".to_owned(),
        why: "looks odd".to_owned(),
    }));
    rig.hear()
}

fn write(path: &str) -> Act {
    Act::Write(Write {
        path: path.into(),
        exists: true,
    })
}

fn remote() -> Act {
    Act::Connect(Connect {
        family: "tcp".to_owned(),
        to: "192.0.2.7:443".to_owned(),
    })
}

#[test]
fn read_only_refuses_changes_until_people_let_it_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    assert_eq!(guest.hear::<Hold>(Kind::Hold), Hold::default());
    let id = guest.intend(1, write("/workspace/a"), Vec::new());
    assert!(guest.verdict(id).allow);
    let tight = held(Posture::ReadOnly, &[]);
    assert_eq!(hold(&mut rig, &tight), FromLoop::Held(tight));
    let told: Hold = guest.hear(Kind::Hold);
    assert!(told.no_grants && told.read_only, "{told:?}");
    for act in [
        write("/workspace/a"),
        Act::Remove(b"/workspace/a".to_vec()),
        remote(),
    ] {
        let id = guest.intend(1, act, Vec::new());
        let verdict = guest.verdict(id);
        assert!(
            !verdict.allow && verdict.reason.starts_with("posture:"),
            "{verdict:?}"
        );
    }
    let normal = held(Posture::Normal, &[]);
    assert_eq!(hold(&mut rig, &normal), FromLoop::Held(normal));
    let id = guest.intend(1, write("/workspace/a"), Vec::new());
    assert!(guest.verdict(id).allow);
    let recorded = rig.recorded();
    let mut postures = recorded.iter().filter(|event| event["kind"] == "posture");
    let first = postures.next().unwrap();
    assert_eq!(
        (&first["from"], &first["to"]),
        (&"normal".into(), &"read-only".into())
    );
    assert_eq!(
        (&first["by"], &first["why"]),
        (&"ada".into(), &"looks odd".into())
    );
    assert_eq!(postures.next().unwrap()["to"], "normal");
}

#[test]
fn a_task_that_asks_is_told_how_it_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    hold(&mut rig, &held(Posture::ReadOnly, &[]));
    let id = guest.line(1, r#"{"status":true}"#);
    let (_, line) = guest.answer(id);
    assert_eq!(line["posture"], "read-only");
    let text = line["text"].as_str().unwrap();
    assert!(
        text.starts_with("people hold the task: read-only"),
        "{text}"
    );
    rig.end();
}

#[test]
fn no_egress_refuses_connections_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    hold(&mut rig, &held(Posture::NoEgress, &[]));
    let id = guest.intend(1, remote(), Vec::new());
    assert!(guest.verdict(id).reason.contains("posture:no-egress"));
    let id = guest.intend(1, write("/workspace/a"), Vec::new());
    assert!(guest.verdict(id).allow);
    rig.end();
}

#[test]
fn people_are_asked_about_the_paths_they_named() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    hold(&mut rig, &held(Posture::Normal, &["schema.sql"]));
    let id = guest.intend(1, write("/workspace/schema.sql"), Vec::new());
    let approval = guest.asked(id);
    let other = guest.intend(1, write("/workspace/other.sql"), Vec::new());
    assert!(guest.verdict(other).allow);
    rig.decide(&approval, true);
    assert!(guest.verdict(id).allow);
    let rename = Act::Rename(Rename {
        from: b"/workspace/schema.sql".to_vec(),
        to: b"/workspace/b".to_vec(),
        ..Rename::default()
    });
    let moved = guest.intend(1, rename, Vec::new());
    let next = guest.asked(moved);
    rig.decide(&next, false);
    assert!(!guest.verdict(moved).allow);
    rig.end();
}

/// What is asked about for other reasons stays.
#[test]
fn who_lets_a_task_go_on_need_not_answer_what_only_its_hold_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    hold(&mut rig, &held(Posture::Normal, &["schema.sql"]));
    let alone = guest.intend(1, write("/workspace/schema.sql"), Vec::new());
    let first = guest.asked(alone);
    let risky = guest.run(2, &["rm", "-rf", "src"]);
    let second = guest.asked(risky);
    let verdict = {
        rig.say(&ToLoop::Hold(wire::Hold {
            to: held(Posture::Normal, &[]),
            by: "ada".to_owned(),
            why: String::new(),
        }));
        guest.verdict(alone)
    };
    assert!(verdict.allow && !verdict.asked, "{verdict:?}");
    // All of it has been looked at once the loop answers something else.
    let id = guest.line(1, r#"{"status":true}"#);
    let (_, status) = guest.answer(id);
    assert_eq!(status["waits"][0]["approval"], second.as_str());
    assert_eq!(rig.item(&first).state(), State::Withdrawn);
    assert!(rig.item(&second).state().waits());
    rig.decide(&second, false);
    assert!(!guest.verdict(risky).allow);
    rig.end();
}

#[test]
fn nothing_of_a_paused_task_is_decided_until_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, mut guest) = Rig::with_guest(begin(dir.path()));
    let waits = guest.run(1, &["rm", "-rf", "src"]);
    let approval = guest.asked(waits);
    assert_eq!(rig.waits(), Waits::Something);
    let paused = held(Posture::Paused, &[]);
    assert_eq!(hold(&mut rig, &paused), FromLoop::Held(paused));
    let later = guest.run(1, &["true"]);
    rig.decide(&approval, true);
    // A look for decisions would have come by now.
    std::thread::sleep(Duration::from_millis(300));
    rig.say(&ToLoop::Parked);
    let normal = held(Posture::Normal, &[]);
    assert_eq!(hold(&mut rig, &normal), FromLoop::Held(normal));
    // In any order: neither is told before the task goes on, and both are then.
    let verdicts: Vec<Verdict> = (0..2).map(|_| guest.hear(Kind::Verdict)).collect();
    for id in [waits, later] {
        let verdict = verdicts.iter().find(|verdict| verdict.id == id);
        assert!(verdict.unwrap().allow, "{verdicts:?}");
    }
    assert_eq!(rig.waits(), Waits::Nothing);
    let recorded = rig.recorded();
    let place = |kind: &str| recorded.iter().position(|event| event["kind"] == kind);
    assert!(place("waiting") < place("decided"), "{recorded:#?}");
}

#[test]
fn a_task_is_not_let_go_on_where_that_cannot_be_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, guest) = Rig::with_guest(begin(dir.path()));
    let tight = held(Posture::ReadOnly, &[]);
    assert_eq!(hold(&mut rig, &tight), FromLoop::Held(tight.clone()));
    let folder = crate::events::path(&rig.folders);
    let folder = folder.parent().unwrap();
    fs::rename(folder, folder.with_extension("away")).unwrap();
    fs::write(folder, "in its way").unwrap();
    let tighter = held(Posture::Paused, &[]);
    assert_eq!(hold(&mut rig, &tighter), FromLoop::Held(tighter));
    let looser = hold(&mut rig, &held(Posture::Normal, &[]));
    assert!(matches!(looser, FromLoop::NotHeld(_)), "{looser:?}");
    drop(guest.stream.shutdown(std::net::Shutdown::Both));
    rig.end();
}

#[test]
fn a_loop_that_was_started_again_holds_the_task_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let again = Begin {
        held: held(Posture::ReadOnly, &[]),
        again: true,
        ..begin(dir.path())
    };
    let (rig, mut guest) = Rig::with_guest(again);
    assert!(guest.hear::<Hold>(Kind::Hold).read_only);
    let id = guest.intend(1, write("/workspace/a"), Vec::new());
    assert!(!guest.verdict(id).allow);
    rig.end();
}
