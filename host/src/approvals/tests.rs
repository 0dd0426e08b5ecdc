// SPDX-License-Identifier: Apache-2.0
//! The store of approvals, on files of its own.

use std::sync::Barrier;

use policy::approval::event::Yes;
use policy::approval::item::Speaker;
use policy::approval::{Change, Event, Extent, Person, Refused, State, desk};

use super::sample::{ask, asked, item, open, put};
use super::*;

fn person(name: &str) -> Person {
    name.parse().unwrap()
}

fn yes(name: &str) -> Event {
    Event::Approve(Yes {
        by: person(name),
        seen: 1,
        extent: Extent::Once,
        note: None,
    })
}

fn no(name: &str) -> Event {
    let by = person(name);
    Event::Deny {
        by,
        seen: None,
        note: None,
    }
}

fn id(text: &str) -> ItemId {
    text.parse().unwrap()
}

#[test]
fn an_item_is_the_same_after_the_store_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let before = asked(&store, "aaaa");
    let note = Event::Comment {
        by: Speaker::Person(person("ada")),
        text: "why?".into(),
    };
    let (commented, _) = desk::act(&store, &id("aaaa"), &note, now_ms()).unwrap();
    assert_ne!(before, commented);
    drop(store);
    let store = open(dir.path());
    assert_eq!(item(&store, &id("aaaa")), commented);
    let changes: Vec<Change> = store
        .history(&id("aaaa"))
        .unwrap()
        .iter()
        .map(|e| e.change)
        .collect();
    assert_eq!(changes, [Change::Opened, Change::Commented]);
    assert!(matches!(store.load(&id("b")), Err(StoreError::Unknown(_))));
    assert!(matches!(
        store.history(&id("b")),
        Err(StoreError::Unknown(_))
    ));
}

#[test]
fn of_two_that_decide_at_once_one_wins_and_the_other_hears_who_did() {
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        asked(&open(dir.path()), "aaaa");
        let start = Barrier::new(2);
        let decide = |event: Event| {
            let store = open(dir.path());
            start.wait();
            desk::act(&store, &id("aaaa"), &event, now_ms())
        };
        let (ada, bob) = std::thread::scope(|scope| {
            let ada = scope.spawn(|| decide(yes("ada")));
            let bob = scope.spawn(|| decide(no("bob")));
            (ada.join().unwrap(), bob.join().unwrap())
        });
        let (winner, lost) = match (ada, bob) {
            (Ok(_), Err(lost)) => ("ada", lost),
            (Err(lost), Ok(_)) => ("bob", lost),
            both => panic!("round {round}: {both:?}"),
        };
        let DeskError::Refused {
            why: Refused::Ended { people, .. },
            ..
        } = lost
        else {
            panic!("round {round}: {lost}")
        };
        assert_eq!(people, [person(winner)]);
        let store = open(dir.path());
        let decided = item(&store, &id("aaaa"))
            .last()
            .unwrap()
            .decision
            .clone()
            .unwrap();
        assert_eq!(decided.by, [person(winner)]);
        assert_eq!(store.history(&id("aaaa")).unwrap().len(), 2);
    }
}

#[test]
fn a_save_over_another_version_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let old = asked(&store, "aaaa");
    let (_, version) = store.load(&id("aaaa")).unwrap();
    desk::act(&store, &id("aaaa"), &no("ada"), now_ms()).unwrap();
    let history = store.history(&id("aaaa")).unwrap();
    for over in [Some(version), None] {
        let lost = store.save(&old, over, &history[0]);
        assert!(matches!(lost, Err(StoreError::Conflict(_))), "{lost:?}");
    }
    let never = Item::open(ask("bbbb", "x"), policy::approval::item::Subject::Action, 0);
    let lost = store.save(&never, Some(version), &history[0]);
    assert!(matches!(lost, Err(StoreError::Unknown(_))), "{lost:?}");
    assert_eq!(item(&store, &id("aaaa")).state(), State::Denied);
    assert_eq!(store.history(&id("aaaa")).unwrap(), history);
}

#[test]
fn history_is_only_added_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    asked(&store, "aaaa");
    for sql in ["DELETE FROM history", "UPDATE history SET entry = '{}'"] {
        let error = store.db.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("only added to"), "{error}");
    }
    assert_eq!(store.history(&id("aaaa")).unwrap().len(), 1);
}

#[test]
fn a_damaged_row_is_named_and_hides_no_other() {
    for change in [
        "item = '{'",
        "item = x'ff'",
        "item = replace(item, '\"decision\":null', '\"decision\":7')",
        "item = replace(item, '\"id\":\"bbbb\"', '\"id\":\"cccc\"')",
        "item = replace(item, '\"questions\":[', '\"questions\":[7,')",
        "state = 'paused'",
        "state = 'commented'",
        "task = 'another'",
        "version = -1",
        "version = 'x'",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        for name in ["aaaa", "bbbb", "cccc"] {
            asked(&store, name);
        }
        let sql = format!("UPDATE items SET {change} WHERE id = 'bbbb'");
        assert_eq!(store.db.execute(&sql, []).unwrap(), 1);
        for waiting in [true, false] {
            let listed = store
                .list(&Filter {
                    task: None,
                    waiting,
                })
                .unwrap();
            let (sound, damaged): (Vec<_>, Vec<_>) = listed.into_iter().partition(Result::is_ok);
            let ids: Vec<String> = sound
                .into_iter()
                .map(|item| item.unwrap().id().to_string())
                .collect();
            assert_eq!(ids, ["aaaa", "cccc"], "{change}");
            let [Err(error)] = damaged.as_slice() else {
                panic!("{change}: {damaged:?}")
            };
            assert!(
                error.to_string().contains("approval bbbb is damaged"),
                "{error}"
            );
        }
        let acted = desk::act(&store, &id("bbbb"), &yes("ada"), now_ms());
        assert!(
            matches!(acted, Err(DeskError::Store(StoreError::Damaged { .. }))),
            "{change}"
        );
        desk::act(&store, &id("cccc"), &yes("ada"), now_ms()).unwrap();
    }
}

#[test]
fn a_row_that_was_made_approved_without_people_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    asked(&store, "aaaa");
    let sql = "UPDATE items SET state = 'approved', item = replace(item, '\"decision\":null', \
        '\"decision\":{\"state\":\"approved\",\"at_ms\":1,\"by\":[\"ada\"],\"latency_ms\":1,\
        \"hours\":9,\"note\":null}')";
    assert_eq!(store.db.execute(sql, []).unwrap(), 1);
    let error = crate::cli::chain(&store.load(&id("aaaa")).unwrap_err());
    assert!(error.contains("without the people it needs"), "{error}");
}

#[test]
fn lists_are_by_task_and_by_what_waits_in_the_order_of_asking() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut other = ask("cccc", "x");
    other.task = "other".into();
    put(&store, &other);
    for name in ["bbbb", "aaaa"] {
        std::thread::sleep(std::time::Duration::from_millis(2));
        asked(&store, name);
    }
    desk::act(&store, &id("bbbb"), &no("ada"), now_ms()).unwrap();
    let list = |task: Option<&str>, waiting| -> Vec<String> {
        let task = task.map(str::to_owned);
        let listed = store.list(&Filter { task, waiting }).unwrap().into_iter();
        listed.map(|item| item.unwrap().id().to_string()).collect()
    };
    assert_eq!(list(None, false), ["cccc", "bbbb", "aaaa"]);
    assert_eq!(list(None, true), ["cccc", "aaaa"]);
    assert_eq!(list(Some("task"), true), ["aaaa"]);
    assert!(list(Some("t"), false).is_empty());
}

#[test]
fn an_item_is_found_by_the_beginning_of_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for name in ["k3a", "k3ab", "k4"] {
        asked(&store, name);
    }
    for (prefix, found) in [("k4", "k4"), ("K3AB", "k3ab"), ("k3a", "k3a"), ("k4", "k4")] {
        assert_eq!(store.find(prefix).unwrap(), id(found));
    }
    let both = store.find("k3").unwrap_err();
    assert!(
        matches!(&both, ApprovalsError::Ambiguous { ids, .. } if ids.len() == 2),
        "{both}"
    );
    assert!(matches!(store.find("z"), Err(ApprovalsError::Unknown(_))));
    for wrong in ["", "..", "%", "k3'"] {
        assert!(
            matches!(store.find(wrong), Err(ApprovalsError::NotAnId(_))),
            "{wrong}"
        );
    }
}

#[test]
fn a_store_that_cannot_be_written_decides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    asked(&store, "aaaa");
    store.db.pragma_update(None, "query_only", true).unwrap();
    let error = desk::act(&store, &id("aaaa"), &yes("ada"), now_ms()).unwrap_err();
    assert!(
        crate::cli::chain(&error).contains("approvals.db"),
        "{error}"
    );
    store.db.pragma_update(None, "query_only", false).unwrap();
    assert_eq!(item(&store, &id("aaaa")).state(), State::Pending);
    // The transaction that failed is not left open.
    desk::act(&store, &id("aaaa"), &yes("ada"), now_ms()).unwrap();
}

#[test]
fn a_new_id_is_fit_for_an_item() {
    assert_ne!(new_id().unwrap(), new_id().unwrap());
}
