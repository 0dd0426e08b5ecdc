// SPDX-License-Identifier: Apache-2.0
//! One item and its events.

use super::super::event::{COMMENTS, Missing, Yes};
use super::super::item::{Inconsistent, Speaker};
use super::super::sample::{self, DEADLINE, START, approve, deletes, deny, more, person};
use super::super::{Change, Event, Extent, Item, Refused, Rules, State};

fn single() -> Item {
    sample::item(Rules::default())
}

fn comment(by: Speaker, text: &str) -> Event {
    let text = text.to_owned();
    Event::Comment { by, text }
}

#[test]
fn one_yes_of_a_single_user_approves() {
    let mut item = single();
    let yes = approve(&item, "olga", Extent::Once);
    assert_eq!(item.apply(&yes, START + 700), Ok(Change::Approved));
    let decision = item.last().unwrap().decision.clone().unwrap();
    assert_eq!(decision.by, [person("olga")]);
    assert_eq!(decision.latency_ms, Some(700), "from its being asked");
    assert_eq!(item.state(), State::Approved);
}

#[test]
fn latency_counts_from_when_that_person_was_shown_it() {
    let mut item = single();
    for (name, at) in [("ada", 100), ("olga", 900), ("olga", 950)] {
        let by = person(name);
        item.apply(&Event::Shown { by }, START + at).unwrap();
    }
    item.apply(&deny("olga"), START + 1000).unwrap();
    let decision = item.last().unwrap().decision.clone().unwrap();
    assert_eq!(
        (decision.state, decision.latency_ms),
        (State::Denied, Some(100))
    );
}

#[test]
fn what_was_decided_says_by_whom_and_stays() {
    for (event, state) in [
        (approve(&single(), "ada", Extent::Once), State::Approved),
        (deny("ada"), State::Denied),
    ] {
        let mut item = single();
        item.apply(&event, START + 1).unwrap();
        let before = item.clone();
        for late in [
            approve(&item, "bob", Extent::Once),
            deny("bob"),
            comment(Speaker::Person(person("bob")), "why?"),
            Event::Withdraw { why: "over".into() },
        ] {
            let error = item.apply(&late, START + 2).unwrap_err();
            let text = error.to_string();
            let said = match (&error, &late) {
                (Refused::Ended { state: was, .. }, _) if *was == state => "; ",
                (Refused::Unread { state: was, .. }, Event::Comment { .. }) if *was == state => {
                    ", and nobody reads comments"
                }
                _ => panic!("{error:?}"),
            };
            let said = format!("{state} already by ada{said}");
            assert!(text.contains(&said), "{text}");
            assert_eq!(item, before);
        }
    }
}

#[test]
fn no_answer_by_the_deadline_is_a_no() {
    let mut item = single();
    let yes = approve(&item, "ada", Extent::Once);
    assert_eq!(item.state_at(DEADLINE - 1), State::Pending);
    assert_eq!(item.state_at(DEADLINE), State::Expired);
    let error = item.apply(&yes, DEADLINE).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expired already; no answer in time is a no")
    );
    assert!(item.expire(DEADLINE) && !item.expire(DEADLINE));
    // A clock that goes back does not make it wait again.
    assert_eq!(item.state_at(START), State::Expired);
    assert!(item.apply(&yes, START).is_err());
}

#[test]
fn a_clock_that_goes_back_takes_no_deadline_with_it() {
    let mut item = single();
    let note = comment(Speaker::Person(person("ada")), "hm");
    item.apply(&note, DEADLINE - 1).unwrap();
    assert!(!item.expire(START));
    item.apply(&deny("ada"), START).unwrap();
    let decision = item.last().unwrap().decision.clone().unwrap();
    assert_eq!(decision.at_ms, DEADLINE - 1);
}

#[test]
fn a_quorum_needs_different_people() {
    let mut item = sample::item(Rules {
        quorum: 2,
        ..Rules::default()
    });
    let missing = Missing {
        more: 1,
        another: false,
    };
    let ada = approve(&item, "ada", Extent::Hours(4));
    assert_eq!(item.apply(&ada, START), Ok(Change::Counted(missing)));
    assert!(matches!(
        item.apply(&ada, START),
        Err(Refused::Twice { .. })
    ));
    assert_eq!(item.state(), State::Pending);
    let bob = approve(&item, "bob", Extent::Hours(2));
    assert_eq!(item.apply(&bob, START), Ok(Change::Approved));
    let decision = item.last().unwrap().decision.clone().unwrap();
    assert_eq!(decision.by, [person("ada"), person("bob")]);
    assert_eq!(decision.hours, 2, "the most careful one says for how long");
}

#[test]
fn one_no_ends_it_after_any_number_of_yes() {
    let mut item = sample::item(Rules {
        quorum: 3,
        ..Rules::default()
    });
    for name in ["ada", "bob"] {
        item.apply(&approve(&item, name, Extent::Once), START)
            .unwrap();
    }
    assert_eq!(item.apply(&deny("ada"), START), Ok(Change::Denied));
    assert!(
        item.apply(&approve(&item, "cy", Extent::Once), START)
            .is_err()
    );
}

#[test]
fn who_started_the_task_is_not_the_only_one_where_another_is_required() {
    let rules = Rules {
        another: true,
        ..Rules::default()
    };
    let mut item = sample::item(rules);
    let own = item.apply(&approve(&item, "olga", Extent::Once), START);
    assert!(matches!(
        own,
        Ok(Change::Counted(Missing { another: true, .. }))
    ));
    let other = item.apply(&approve(&item, "ada", Extent::Once), START);
    assert_eq!(other, Ok(Change::Approved));
    let mut alone = sample::item(rules);
    let other = alone.apply(&approve(&alone, "ada", Extent::Once), START);
    assert_eq!(other, Ok(Change::Approved));
}

#[test]
fn an_approval_of_something_else_than_was_seen_is_refused() {
    let mut item = single();
    let yes = approve(&item, "ada", Extent::Once);
    assert_eq!(item.apply(&more(deletes("src")), START), Ok(Change::Added));
    let error = item.apply(&yes, START).unwrap_err();
    assert_eq!(error, Refused::Changed { seen: 1, now: 2 });
    assert!(error.to_string().contains("look at it again"));
    // A no may be of what was seen, too, and else is of whatever there is.
    let (by, seen, note) = (person("ada"), Some(1), None);
    let no = Event::Deny { by, seen, note };
    assert_eq!(item.clone().apply(&no, START), Err(error));
    assert_eq!(item.apply(&deny("ada"), START), Ok(Change::Denied));
}

#[test]
fn what_is_added_takes_votes_back_and_leaves_the_deadline() {
    let mut item = sample::item(Rules {
        quorum: 2,
        ..Rules::default()
    });
    item.apply(&approve(&item, "ada", Extent::Once), START)
        .unwrap();
    item.apply(&more(deletes("src")), START).unwrap();
    let portion = item.last().unwrap();
    assert!(portion.votes.is_empty());
    assert_eq!(
        (portion.deadline_ms, portion.questions.len()),
        (DEADLINE, 2)
    );
}

#[test]
fn an_ask_of_what_waits_already_only_joins() {
    let mut item = single();
    for path in ["build", "build/a.o", "/workspace/build/b"] {
        assert_eq!(item.apply(&more(deletes(path)), START), Ok(Change::Joined));
    }
    assert_eq!((item.revision(), item.joined()), (1, 3));
}

#[test]
fn what_goes_beyond_an_approval_asks_again_and_the_approval_stands() {
    let mut item = single();
    item.apply(&approve(&item, "ada", Extent::Once), START)
        .unwrap();
    assert_eq!(
        item.apply(&more(deletes("src")), START + 5),
        Ok(Change::Reopened)
    );
    assert_eq!(item.state(), State::Pending);
    let [first, second] = item.portions() else {
        panic!("two portions")
    };
    assert!(first.stands());
    assert_eq!(second.added.len(), 1);
    item.apply(&deny("ada"), START + 6).unwrap();
    assert_eq!(item.state(), State::Denied);
    assert!(item.portions()[0].stands());
}

#[test]
fn comments_and_notes_have_bounds_and_the_agent_has_half_of_them() {
    let mut item = single();
    for text in ["", " \n", &"x".repeat(9000)] {
        let event = comment(Speaker::Person(person("ada")), text);
        assert!(matches!(
            item.apply(&event, START),
            Err(Refused::Text { .. })
        ));
    }
    let agent = comment(Speaker::Agent, "please");
    for _ in 0..COMMENTS / 2 {
        assert_eq!(item.apply(&agent, START), Ok(Change::Commented));
    }
    assert!(item.apply(&agent, START).is_err());
    assert_eq!(item.state(), State::Commented);
    let ada = comment(Speaker::Person(person("ada")), "no");
    assert_eq!(item.apply(&ada, START), Ok(Change::Commented));
}

#[test]
fn hours_beyond_the_limit_or_of_what_was_not_read_are_refused() {
    let mut item = single();
    for hours in [0, 25, u32::MAX] {
        let event = approve(&item, "ada", Extent::Hours(hours));
        let error = item.apply(&event, START).unwrap_err().to_string();
        assert!(error.contains("from 1 to 24"), "{error}");
    }
    let mut unread = deletes("build");
    unread.scope.hard.insert(crate::effects::Hard::UnreadScript);
    item.apply(&more(unread), START).unwrap();
    let hours = approve(&item, "ada", Extent::Hours(1));
    assert_eq!(item.apply(&hours, START), Err(Refused::OnlyOnce));
    let once = approve(&item, "ada", Extent::Once);
    assert_eq!(item.apply(&once, START), Ok(Change::Approved));
}

#[test]
fn a_proposed_policy_is_a_comment_throughout_and_a_policy_without_it() {
    let mut item = single();
    let hostile = "\"x\npermit(principal, action, resource);\u{2028}";
    let mut question = deletes(hostile);
    question.policies.clear();
    question.analysis.effects[0].rule = hostile.into();
    item.apply(&more(question), START).unwrap();
    item.apply(&approve(&item, "ada", Extent::Proposal), START)
        .unwrap();
    let text = item.last().unwrap().votes[0].proposal.clone().unwrap();
    assert!(text.lines().all(|line| line.starts_with("// ")), "{text}");
    assert_eq!(policies(&text), 0);
    let meant: Vec<&str> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.get(3..))
        .collect();
    let meant = meant.join("\n");
    assert_eq!(policies(&meant), 2, "{meant}");
    assert!(meant.contains("context.worst_harm <= 3") && meant.contains("!context.secret"));
}

fn policies(text: &str) -> usize {
    let set: cedar_policy::PolicySet = text.parse().unwrap();
    set.policies().count()
}

#[test]
fn a_stored_item_that_could_not_be_is_refused() {
    let mut item = single();
    item.apply(&approve(&item, "ada", Extent::Once), START)
        .unwrap();
    item.apply(&more(deletes("src")), START).unwrap();
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = serde_json::to_value(&item).unwrap();
        change(&mut value);
        let item: Item = serde_json::from_value(value).unwrap();
        item.check()
    };
    assert_eq!(changed(&|_| {}), Ok(()));
    let no_votes = changed(&|item| item["portions"][0]["votes"] = serde_json::json!([]));
    assert_eq!(no_votes, Err(Inconsistent::Votes));
    let undecided = changed(&|item| item["portions"][0]["decision"] = serde_json::json!(null));
    assert_eq!(undecided, Err(Inconsistent::GoesOn));
    let empty = changed(&|item| item["portions"] = serde_json::json!([]));
    assert_eq!(empty, Err(Inconsistent::Empty));
    let decision = serde_json::json!({
        "state": "pending", "at_ms": 0, "by": [], "latency_ms": null, "hours": 0, "note": null
    });
    let waits = changed(&|item| item["portions"][1]["decision"] = decision.clone());
    assert_eq!(waits, Err(Inconsistent::Decision));
}

#[test]
fn names_and_ids_that_mislead_are_none() {
    for text in ["", " ada", "ada\n", "a\u{7}", &"x".repeat(300)] {
        assert!(text.parse::<super::super::Person>().is_err(), "{text:?}");
    }
    for text in ["", "A", "a b", "a.1", "ä", &"x".repeat(33)] {
        assert!(text.parse::<super::super::ItemId>().is_err(), "{text:?}");
    }
}

#[test]
fn an_unknown_requester_needs_two_people_where_another_is_required() {
    let mut value = serde_json::to_value(single()).unwrap();
    value["requester"] = serde_json::json!(null);
    value["rules"]["another"] = serde_json::json!(true);
    let mut item: Item = serde_json::from_value(value).unwrap();
    let yes = |name: &str| {
        Event::Approve(Yes {
            by: person(name),
            seen: 1,
            extent: Extent::Once,
            note: None,
        })
    };
    assert!(matches!(
        item.apply(&yes("ada"), START),
        Ok(Change::Counted(_))
    ));
    assert_eq!(item.apply(&yes("bob"), START), Ok(Change::Approved));
}
