// SPDX-License-Identifier: Apache-2.0
//! Asks of a task, over a store.

use super::super::desk::{self, Answer, DeskError};
use super::super::item::Subject;
use super::super::sample::{self, DEADLINE, START, approve, deletes, deny, id, person};
use super::super::store::{Filter, Store};
use super::super::{
    Ask, Budget, Change, Event, Extent, Memory, Question, Refused, State, StoreError,
};

fn ask(store: &Memory, name: &str, root: &str, question: Question) -> Answer {
    ask_at(store, &sample::ask(name, root, question), START)
}

fn ask_at(store: &Memory, ask: &Ask, now: u64) -> Answer {
    desk::ask(store, ask, &Budget::default(), now).unwrap()
}

fn decide(store: &Memory, name: &str, extent: Option<Extent>) {
    let (item, _) = store.load(&id(name)).unwrap();
    let event = extent.map_or_else(|| deny("ada"), |extent| approve(&item, "ada", extent));
    desk::act(store, &id(name), &event, START + 1).unwrap();
}

fn waiting(name: &str, portion: usize) -> Answer {
    Answer::Waiting(id(name), portion)
}

#[test]
fn asks_of_one_root_action_and_reason_are_one_item() {
    let store = Memory::default();
    assert_eq!(ask(&store, "a", "root", deletes("build")), waiting("a", 0));
    assert_eq!(
        ask(&store, "b", "root", deletes("build/x")),
        waiting("a", 0)
    );
    assert_eq!(ask(&store, "c", "root", deletes("src")), waiting("a", 0));
    let mut reason = deletes("docs");
    reason.policies = ["another".to_owned()].into();
    assert_eq!(ask(&store, "d", "root", reason), waiting("d", 0));
    assert_eq!(
        ask(&store, "e", "another", deletes("build")),
        waiting("e", 0)
    );
    let changes = |name| -> Vec<Change> {
        let history = store.history(&id(name)).unwrap();
        history.iter().map(|entry| entry.change).collect()
    };
    assert_eq!(
        changes("a"),
        [Change::Opened, Change::Joined, Change::Added]
    );
}

#[test]
fn an_effect_outside_asks_again_in_the_same_item() {
    let store = Memory::default();
    ask(&store, "a", "root", deletes("build"));
    decide(&store, "a", Some(Extent::Once));
    let inside = ask(&store, "b", "root", deletes("build/x"));
    assert!(matches!(inside, Answer::Covered(id) if id.to_string() == "a.1"));
    assert_eq!(ask(&store, "c", "root", deletes("src")), waiting("a", 1));
    assert!(matches!(
        ask(&store, "d", "root", deletes("build")),
        Answer::Covered(_)
    ));
    assert_eq!(
        desk::hear(&store, &id("a"), 0, START).unwrap(),
        State::Approved
    );
    assert_eq!(
        desk::hear(&store, &id("a"), 1, START).unwrap(),
        State::Pending
    );
}

#[test]
fn a_no_stays_a_no_for_its_root_action() {
    let store = Memory::default();
    let mut both = deletes("build");
    both.scope.reach.extend(deletes("src").scope.reach);
    ask(&store, "a", "root", both.clone());
    decide(&store, "a", None);
    let refused = Answer::Refused(id("a"), State::Denied);
    assert_eq!(ask(&store, "b", "root", both.clone()), refused);
    // All of it and more, in other words.
    both.scope.reach.extend(deletes("docs").scope.reach);
    both.binding = deletes("other").binding;
    assert_eq!(ask(&store, "c", "root", both), refused);
    // A part of it may be asked, and so may another root action.
    assert_eq!(ask(&store, "d", "root", deletes("src")), waiting("d", 0));
    assert_eq!(ask(&store, "e", "another", deletes("src")), waiting("e", 0));
}

#[test]
fn the_same_again_is_covered_for_hours() {
    let store = Memory::default();
    ask(&store, "a", "first", deletes("build"));
    decide(&store, "a", Some(Extent::Hours(1)));
    assert!(matches!(
        ask(&store, "b", "second", deletes("build")),
        Answer::Covered(_)
    ));
    assert_eq!(ask(&store, "c", "second", deletes("src")), waiting("c", 0));
}

#[test]
fn a_flood_is_one_item_that_allows_nothing_and_a_yes_lets_the_task_go_on() {
    let store = Memory::default();
    let ask_n = |n: u64, now| {
        let root = format!("root-{n}");
        let mut ask = sample::ask(&format!("i{n}"), &root, deletes(&format!("d{n}")));
        ask.deadline_ms = now + 600_000;
        ask_at(&store, &ask, now)
    };
    for n in 0..10 {
        assert_eq!(ask_n(n, START), waiting(&format!("i{n}"), 0));
    }
    // What waits already takes no budget.
    assert_eq!(ask(&store, "j", "root-3", deletes("d3")), waiting("i3", 0));
    let flooded = Answer::Flooded(id("i10"));
    assert_eq!(ask_n(10, START), flooded);
    assert_eq!(ask_n(11, START + 1), flooded);
    let (item, _) = store.load(&id("i10")).unwrap();
    assert_eq!(item.subject(), Subject::Flood { asks: 10 });
    assert_eq!(store.list(&Filter::default()).unwrap().len(), 11);
    decide(&store, "i10", Some(Extent::Once));
    assert_eq!(ask_n(11, START + 2), waiting("i11", 0));
    let other = Ask {
        task: "other".into(),
        ..sample::ask("k", "root", deletes("x"))
    };
    assert_eq!(ask_at(&store, &other, START), waiting("k", 0));
}

#[test]
fn a_flood_that_was_refused_keeps_refusing() {
    let store = Memory::default();
    let budget = Budget {
        asks: 0,
        window_ms: 1000,
    };
    let flood = |name: &str, now| {
        let ask = sample::ask(name, name, deletes(name));
        desk::ask(&store, &ask, &budget, now).unwrap()
    };
    assert_eq!(flood("a", START), Answer::Flooded(id("a")));
    let late = Answer::Refused(id("a"), State::Expired);
    assert_eq!(flood("b", DEADLINE), late);
    assert_eq!(flood("b", START), late, "recorded for good");
}

#[test]
fn the_budget_is_of_a_time() {
    let store = Memory::default();
    for n in 0..30 {
        let name = format!("i{n}");
        let now = START + n * 31_000;
        let mut ask = sample::ask(&name, &name, deletes(&name));
        ask.deadline_ms = now + 1;
        assert_eq!(ask_at(&store, &ask, now), waiting(&name, 0));
    }
}

#[test]
fn who_comes_second_hears_who_decided() {
    let store = Memory::default();
    ask(&store, "a", "root", deletes("build"));
    decide(&store, "a", Some(Extent::Once));
    let late = desk::act(&store, &id("a"), &deny("bob"), START + 2).unwrap_err();
    assert!(matches!(
        &late,
        DeskError::Refused {
            why: Refused::Ended { .. },
            ..
        }
    ));
    assert!(
        late.to_string()
            .contains("approval a stays as it is: it is approved already by ada")
    );
}

#[test]
fn expiry_is_recorded_before_an_answer_is_refused() {
    let store = Memory::default();
    ask(&store, "a", "root", deletes("build"));
    let (item, _) = store.load(&id("a")).unwrap();
    let yes = approve(&item, "ada", Extent::Once);
    assert!(desk::act(&store, &id("a"), &yes, DEADLINE).is_err());
    assert!(desk::act(&store, &id("a"), &yes, START).is_err());
    assert_eq!(
        desk::hear(&store, &id("a"), 0, START).unwrap(),
        State::Expired
    );
    let again = ask(&store, "b", "root", deletes("build"));
    assert_eq!(again, Answer::Refused(id("a"), State::Expired));
}

#[test]
fn an_approval_taken_back_before_it_was_heard_is_a_no() {
    let store = Memory::default();
    ask(&store, "a", "root", deletes("build"));
    decide(&store, "a", Some(Extent::Once));
    let by = person("bob");
    let event = Event::Revoke { by, portion: None };
    desk::act(&store, &id("a"), &event, START + 1).unwrap();
    assert_eq!(
        desk::hear(&store, &id("a"), 0, START + 1).unwrap(),
        State::Denied
    );
}

#[test]
fn a_save_over_another_version_writes_nothing() {
    let store = Memory::default();
    ask(&store, "a", "root", deletes("build"));
    let (mut item, version) = store.load(&id("a")).unwrap();
    let entry = store.history(&id("a")).unwrap().remove(0);
    decide(&store, "a", None);
    item.apply(&approve(&item, "bob", Extent::Once), START)
        .unwrap();
    let lost = store.save(&item, Some(version), &entry);
    assert!(matches!(lost, Err(StoreError::Conflict(_))));
    assert!(matches!(
        store.save(&item, None, &entry),
        Err(StoreError::Conflict(_))
    ));
    assert_eq!(store.load(&id("a")).unwrap().0.state(), State::Denied);
    assert_eq!(store.history(&id("a")).unwrap().len(), 2);
    assert!(matches!(store.load(&id("z")), Err(StoreError::Unknown(_))));
}
