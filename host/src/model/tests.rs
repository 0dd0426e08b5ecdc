// SPDX-License-Identifier: Apache-2.0
//! The model's store, on files of its own.

use std::fs;

use policy::effects::{Analysis, Effect, Harm, Kind, Target};
use policy::risk::Inputs;
use policy::risk::features::Features;
use policy::risk::learning::event::{Answer, Asked};

use super::*;

fn answer(task: &str, refused: bool) -> Event {
    let target = Target::Package("left-pad".to_owned());
    let effect = Effect::new(Kind::Install, Harm::Low, target, "pip:install", "installs");
    let analysis = Analysis {
        effects: vec![effect],
        ..Analysis::default()
    };
    Event::Answer(Answer {
        task: task.to_owned(),
        features: Features::of(&Inputs::of(&analysis), 7),
        refused,
        latency_ms: 60_000,
        shown: 10,
        asked: Asked::Before,
        version: 0,
    })
}

fn open(folder: &Path) -> Models {
    Models::open(&Folders::below(folder)).unwrap()
}

#[test]
fn what_was_learnt_is_there_again_and_so_is_every_day_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut versions = vec![store.learner().unwrap()];
    for number in 0..70 {
        let event = answer(&format!("t{number}"), number % 3 == 0);
        versions.push(store.learn(&[event], "a").unwrap());
    }
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.learner().unwrap(), versions[70]);
    // One before and one after the model was kept whole.
    for version in [0, 1, 63, 64, 65] {
        let at = usize::try_from(version).unwrap();
        assert_eq!(
            store.learner_at(version).unwrap(),
            versions[at],
            "{version}"
        );
    }
}

#[test]
fn events_that_cannot_be_leave_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.learn(&[answer("t", true)], "a").unwrap();
    let before = store.learner().unwrap();
    let wrong = [answer("u", true), Event::Rollback { to: 99 }];
    assert!(matches!(
        store.learn(&wrong, "a"),
        Err(ModelError::Refused(_))
    ));
    assert_eq!(store.learner().unwrap(), before);
}

#[test]
fn events_are_only_added_and_a_damaged_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .learn(&[answer("t", true), answer("u", false)], "a")
        .unwrap();
    for sql in ["DELETE FROM events", "UPDATE events SET event = '{}'"] {
        let error = store.db.execute(sql, []).unwrap_err();
        assert!(
            error.to_string().contains("events are only added"),
            "{error}"
        );
    }
    store.db.execute("DROP TRIGGER events_stay", []).unwrap();
    let sql = "UPDATE events SET event = '{}' WHERE number = 2";
    store.db.execute(sql, []).unwrap();
    let error = store.learner().unwrap_err();
    assert!(error.to_string().contains("event 2"), "{error}");
}

#[test]
fn a_damaged_copy_of_the_model_is_made_anew_from_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let events: Vec<Event> = (0..64).map(|n| answer(&format!("t{n}"), true)).collect();
    let learner = store.learn(&events, "a").unwrap();
    assert!(store.kept("learner").unwrap().is_some());
    store.keep("learner", b"{\"version\":1,\"sha2").unwrap();
    assert_eq!(store.learner().unwrap(), learner);
}

/// A write goes into SQLite's log first. Cut off at any byte of what the write added, the store is
/// as before or as after it.
#[test]
fn a_crash_at_any_byte_of_a_write_leaves_it_as_before_or_as_after() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let before = store.learn(&[answer("t", true)], "a").unwrap();
    let log = |path: &Path| path.with_extension("db-wal");
    let from = fs::metadata(log(store.path())).unwrap().len();
    let after = store
        .learn(&[answer("u", false), answer("v", true)], "a")
        .unwrap();
    let bytes = fs::read(log(store.path())).unwrap();
    let whole = fs::read(store.path()).unwrap();
    let from = usize::try_from(from).unwrap();
    assert!(bytes.len() > from, "the write is in the log");
    let mut seen = [0, 0];
    // Every byte near the ends of pages and a stride between: each opens a database.
    let cuts = (from..=bytes.len()).filter(|at| at % 97 == 0 || bytes.len() - at < 64);
    for cut in cuts {
        let crashed = tempfile::tempdir().unwrap();
        let folders = Folders::below(crashed.path());
        fs::create_dir_all(&folders.state).unwrap();
        let path = folders.state.join(FILE.name);
        fs::write(&path, &whole).unwrap();
        fs::write(log(&path), &bytes[..cut]).unwrap();
        let found = Models::open(&folders).unwrap().learner().unwrap();
        let which = if found == before { 0 } else { 1 };
        assert!(found == before || found == after, "cut at {cut}");
        seen[which] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn rules_or_an_agent_that_changed_degrade_the_model_until_somebody_promotes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let learner = store.learn(&[answer("t", true)], "agent 1").unwrap();
    let state = |agent| store.state(&learner, agent).unwrap();
    assert_eq!(state("agent 1"), State::Valid);
    assert!(matches!(state("agent 2"), State::Degraded(_)));
    store.keep("trained", b"{}").unwrap();
    assert!(matches!(state("agent 1"), State::Void(_)));
    store
        .learn(&[Event::Promotion { ask_at: 0.3 }], "agent 2")
        .unwrap();
    assert_eq!(state("agent 2"), State::Valid);
}

#[test]
fn an_audit_is_answered_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let Event::Answer(one) = answer("t", false) else {
        panic!("no answer");
    };
    let audit = Audit {
        at_ms: 1,
        task: "t".to_owned(),
        action: policy::action::Action::shell("pip install left-pad"),
        features: one.features,
        rate_bps: 500,
        version: 0,
    };
    store.audit(&audit).unwrap();
    assert_eq!(store.audits().unwrap(), [(1, audit)]);
    store.answer_audit(1, true, "a").unwrap();
    assert!(store.audits().unwrap().is_empty());
    assert!(matches!(
        store.answer_audit(1, true, "a"),
        Err(ModelError::NoAudit(1))
    ));
    assert_eq!(store.learner().unwrap().version(), 1);
}
