// SPDX-License-Identifier: Apache-2.0
//! Whatever happens in whatever order, with a clock that jumps both ways.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::event::Yes;
use super::super::item::Speaker;
use super::super::sample::{self, DEADLINE, START, deletes, deny, more, person};
use super::super::{Event, Extent, Item, Refused, Rules, State};

#[derive(Clone, Debug)]
enum Step {
    Event(Event),
    Expire,
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["olga", "ada", "bob", "cy"])
}

fn extent() -> impl Strategy<Value = Extent> {
    prop_oneof![
        Just(Extent::Once),
        (0u32..30).prop_map(Extent::Hours),
        Just(Extent::Proposal),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let yes = (name(), 1u32..4, extent()).prop_map(|(name, seen, extent)| {
        let note = None;
        let by = person(name);
        Event::Approve(Yes {
            by,
            seen,
            extent,
            note,
        })
    });
    let path = prop::sample::select(vec!["build", "build/x", "src", "docs"]);
    let shown = name().prop_map(|name| Event::Shown { by: person(name) });
    let comment = Just(Event::Comment {
        by: Speaker::Agent,
        text: "please".into(),
    });
    let withdraw = Just(Event::Withdraw { why: "over".into() });
    let revoke = (name(), prop::option::of(0usize..3)).prop_map(|(name, portion)| {
        let by = person(name);
        Event::Revoke { by, portion }
    });
    let event = prop_oneof![
        6 => yes,
        2 => shown,
        1 => comment,
        1 => name().prop_map(deny),
        1 => withdraw,
        2 => path.prop_map(|path| more(deletes(path))),
        1 => revoke,
    ];
    prop_oneof![12 => event.prop_map(Step::Event), 1 => Just(Step::Expire)]
}

prop_compose! {
    fn rules()(quorum in 0u8..4, another in any::<bool>()) -> Rules {
        Rules { quorum, another, hours: 24 }
    }
}

fn ended(state: State) -> bool {
    matches!(state, State::Denied | State::Expired | State::Withdrawn)
}

/// What must hold between two steps.
fn holds(before: &Item, after: &Item, now: u64) -> Result<(), TestCaseError> {
    prop_assert_eq!(after.check(), Ok(()));
    if ended(before.state()) {
        prop_assert_eq!(after.state(), before.state());
    }
    if before.state() == State::Expired {
        prop_assert_eq!(after.state_at(now), State::Expired);
    }
    // A decision is made once, and stays what it is.
    for (old, new) in before.portions().iter().zip(after.portions()) {
        if old.decision.is_some() {
            prop_assert_eq!(&old.decision, &new.decision);
            prop_assert_eq!(&old.votes, &new.votes);
            prop_assert_eq!(&old.questions, &new.questions);
            prop_assert!(old.revoked.is_none() || old.revoked == new.revoked);
        }
    }
    prop_assert!(after.portions().len() >= before.portions().len());
    for portion in after.portions() {
        let Some(decision) = &portion.decision else {
            continue;
        };
        let people: BTreeSet<_> = portion.votes.iter().map(|vote| &vote.by).collect();
        if decision.state == State::Approved {
            let rules = after.rules();
            prop_assert!(people.len() >= usize::from(rules.quorum.max(1)));
            let other = people.iter().any(|by| by.as_str() != "olga");
            prop_assert!(!rules.another || other);
            prop_assert!(decision.at_ms < portion.deadline_ms);
            prop_assert!(decision.hours <= rules.hours);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_events_keep_the_promises(
        rules in rules(),
        steps in prop::collection::vec((step(), START - 1000..DEADLINE + 70_000), 1..40),
    ) {
        let mut item = sample::item(rules);
        for (step, now) in steps {
            let before = item.clone();
            match step {
                Step::Expire => {
                    item.expire(now);
                }
                Step::Event(event) => match item.apply(&event, now) {
                    Ok(_) => {}
                    Err(error) => {
                        prop_assert_eq!(&item, &before, "{}", error);
                        let says = !matches!(error, Refused::Ended { state, .. } if state.waits());
                        prop_assert!(says);
                    }
                },
            }
            holds(&before, &item, now)?;
        }
        let text = serde_json::to_string(&item).unwrap();
        prop_assert_eq!(serde_json::from_str::<Item>(&text).unwrap(), item);
    }

    #[test]
    fn no_time_at_all_panics(now in any::<u64>(), deadline in any::<u64>(), later in any::<u64>()) {
        let mut item = sample::item(Rules::default());
        let _ = item.apply(&sample::approve(&item, "ada", Extent::Hours(24)), now);
        let question = Box::new(deletes("src"));
        let _ = item.apply(&Event::Ask { question, deadline_ms: deadline }, later);
        let _ = item.expire(later);
        let items = [item];
        let grants = super::super::Grants::of(&items);
        let _ = grants.tree("task", "root", &deletes("build").scope, later);
        let ask = sample::ask("new", "root", deletes("docs"));
        let budget = super::super::Budget { asks: 3, window_ms: deadline };
        let _ = super::super::root::way(&items, &ask, &budget, now);
    }
}
