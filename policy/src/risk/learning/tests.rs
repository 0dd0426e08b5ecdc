// SPDX-License-Identifier: Apache-2.0
//! That learning tightens at once, loosens by promotion, cannot be ground down, and is a function
//! of its events.

use super::event::{Asked, Event};
use super::replay::{Level, Refused, Report, pinned};
use super::store::StoreError;
use super::*;
use crate::effects::{Effect, Harm, Kind, Target};
use crate::risk::conformal::BOUND;
use crate::risk::features::{HARMS, KINDS};
use crate::risk::tests::{answer, approval, effect, features};

fn high() -> Features {
    features(vec![effect(Kind::Publish, Harm::High)])
}

fn probability(model: &Model, features: &Features) -> f64 {
    model.assess(features).probability
}

fn promote(learner: &mut Learner, recent: &[Features]) -> Report {
    let report = Report::of(learner, &pinned(0), recent, BOUND);
    let event = report.promotion(learner).unwrap();
    learner.apply(&event).unwrap();
    report
}

/// Events of all sorts, the same each time.
fn events(count: u64) -> Vec<Event> {
    let mut state = 7_u64;
    let mut next = move |most: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from((state >> 33) % most).unwrap()
    };
    (0..count)
        .map(|n| match n % 50 {
            49 => Event::Promotion { ask_at: 0.35 },
            30 if n > 100 => Event::Rollback { to: 49 },
            _ => {
                let effects = (0..=next(3)).map(|_| effect(KINDS[next(14)], HARMS[next(5)]));
                let features = features(effects.collect());
                let asked = if next(3) == 0 {
                    Asked::After { rate_bps: 2500 }
                } else {
                    Asked::Before
                };
                answer(&next(40).to_string(), &features, next(4) == 0, asked)
            }
        })
        .collect()
}

#[test]
fn a_refusal_tightens_at_once_and_an_approval_waits_for_a_promotion() {
    let mut learner = Learner::new(0);
    let medium = features(vec![effect(Kind::Install, Harm::Medium)]);
    let first = probability(&learner.model(State::Valid), &medium);
    for task in 0..10 {
        let event = answer(&task.to_string(), &medium, true, Asked::Before);
        learner.apply(&event).unwrap();
    }
    assert!(learner.model(State::Valid).asks(&medium));
    let before = learner.model(State::Valid).assess(&high()).probability;
    for task in 0..40 {
        learner
            .apply(&approval(&format!("a{task}"), &high()))
            .unwrap();
    }
    let live = learner.model(State::Valid);
    assert_eq!(probability(&live, &high()).to_bits(), before.to_bits());
    assert!(first < 0.25 && probability(&learner.candidate(), &high()) < 0.4);
    let report = promote(&mut learner, &[high()]);
    assert_eq!(report.flips.len(), 1, "{report:?}");
    assert_eq!(
        (report.flips[0].from, report.flips[0].to),
        (Level::Ask, Level::Allow)
    );
    assert!(!learner.model(State::Valid).asks(&high()));
    learner.apply(&Event::Rollback { to: 0 }).unwrap();
    assert!(learner.model(State::Valid).asks(&high()));
}

#[test]
fn no_event_but_a_promotion_or_rollback_lowers_any_live_risk() {
    let mut learner = Learner::new(0);
    let probes: Vec<Features> = KINDS
        .into_iter()
        .flat_map(|kind| HARMS.map(|harm| features(vec![effect(kind, harm)])))
        .collect();
    let all = |learner: &Learner| -> Vec<(f64, f64)> {
        let model = learner.model(State::Valid);
        let risks = probes.iter().map(|probe| model.assess(probe));
        risks.map(|risk| (risk.probability, risk.upper)).collect()
    };
    let mut before = all(&learner);
    for event in events(300) {
        learner.apply(&event).unwrap();
        let after = all(&learner);
        if matches!(event, Event::Answer(_)) {
            for (one, other) in before.iter().zip(&after) {
                assert!(other.0 >= one.0 - 1e-12 && other.1 >= one.1 - 1e-12);
            }
        }
        before = after;
    }
}

#[test]
fn five_hundred_harmless_approvals_of_one_task_teach_as_much_as_one() {
    let harmless = features(vec![effect(Kind::Write, Harm::Low)]);
    let after = |count| {
        let mut learner = Learner::new(0);
        for _ in 0..count {
            learner.apply(&approval("t", &harmless)).unwrap();
        }
        learner.candidate
    };
    assert_eq!(after(1), after(500));
    assert_ne!(after(0), after(1));
}

/// Levels, before and after harmless approvals of every kind by so many tasks.
fn ground(tasks: u32) -> Vec<(Kind, Harm, Level, Level)> {
    let mut learner = Learner::new(0);
    let mut recent = Vec::new();
    for task in 0..tasks {
        for kind in KINDS {
            for harm in [Harm::None, Harm::Low] {
                let harmless = features(vec![effect(kind, harm)]);
                let event = approval(&task.to_string(), &harmless);
                learner.apply(&event).unwrap();
                recent.push(harmless);
            }
        }
    }
    promote(&mut learner, &recent);
    let (first, after) = (Model::first_day(0), learner.model(State::Valid));
    let harmful = KINDS
        .into_iter()
        .flat_map(|kind| [Harm::Medium, Harm::High, Harm::Critical].map(|harm| (kind, harm)));
    harmful
        .map(|(kind, harm)| {
            let probe = features(vec![effect(kind, harm)]);
            let level = |model| Level::of(model, &probe);
            (kind, harm, level(&first), level(&after))
        })
        .collect()
}

#[test]
fn grinding_harmless_approvals_gains_no_allow_even_over_many_tasks() {
    // With few and with many answers, which are calibrated in two ways.
    for tasks in [2, 30, 200] {
        for (kind, harm, first, after) in ground(tasks) {
            let gained = after == Level::Allow && first != Level::Allow;
            assert!(
                !gained,
                "{tasks} tasks, {kind:?} {harm:?}: {first:?} to {after:?}"
            );
        }
    }
}

#[test]
fn a_promotion_that_would_flip_a_canary_is_refused() {
    let mut learner = Learner::new(0);
    let target = Target::Resource("postgres".into(), "production".into());
    let drop = features(vec![Effect::new(
        Kind::Delete,
        Harm::Critical,
        target,
        "psql",
        "",
    )]);
    for task in 0..400 {
        learner.apply(&approval(&task.to_string(), &drop)).unwrap();
    }
    let report = Report::of(&learner, &pinned(0), &[], BOUND);
    assert!(!report.fallen.is_empty());
    let refused = report.promotion(&learner);
    assert!(
        matches!(refused, Err(Refused::Canary { .. })),
        "{refused:?}"
    );
    learner.apply(&approval("x", &high())).unwrap();
    let stale = Report::of(&Learner::new(0), &[], &[], BOUND).promotion(&learner);
    assert!(matches!(stale, Err(Refused::Stale { .. })));
    assert!(
        Report::of(&Learner::new(0), &pinned(0), &[], BOUND)
            .fallen
            .is_empty()
    );
}

#[test]
fn fast_approvals_move_the_candidate_less() {
    let after = |latency_ms| {
        let mut learner = Learner::new(0);
        let Event::Answer(mut answer) = approval("t", &high()) else {
            unreachable!()
        };
        answer.latency_ms = latency_ms;
        learner.apply(&Event::Answer(answer)).unwrap();
        probability(&learner.candidate(), &high())
    };
    let untaught = probability(&Learner::new(0).candidate(), &high());
    let (fast, slow) = (untaught - after(200), untaught - after(60_000));
    assert!(fast > 0.0 && fast < slow / 5.0, "{fast} {slow}");
}

#[test]
fn replaying_events_gives_the_live_model_bit_for_bit_and_that_of_any_day() {
    let events = events(400);
    let mut live = Learner::new(0);
    let mut days = Vec::new();
    for event in &events {
        days.push(live.model(State::Valid).assess(&high()));
        live.apply(event).unwrap();
    }
    let kept = serde_json::to_string(&events).unwrap();
    let read: Vec<Event> = serde_json::from_str(&kept).unwrap();
    let again = Learner::replay(0, &read).unwrap();
    assert_eq!(again, live);
    assert_eq!(again.to_bytes().unwrap(), live.to_bytes().unwrap());
    for day in [0, 1, 57, 123, 399] {
        let then = Learner::replay(0, &read[..day]).unwrap();
        assert_eq!(then.version(), day as u64);
        assert_eq!(then.model(State::Valid).assess(&high()), days[day]);
    }
}

#[test]
fn bytes_read_back_and_damaged_ones_are_errors() {
    let learner = Learner::replay(0, &events(120)).unwrap();
    let bytes = learner.to_bytes().unwrap();
    assert_eq!(Learner::from_bytes(&bytes).unwrap(), learner);
    for at in (0..bytes.len()).step_by(997) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Learner::from_bytes(&damaged).is_err(), "byte {at}");
        assert!(Learner::from_bytes(&bytes[..at]).is_err(), "{at} bytes");
    }
    assert!(matches!(
        Learner::from_bytes(b""),
        Err(StoreError::Shape(_))
    ));
    let newer = String::from_utf8(bytes).unwrap().replacen(":1,", ":2,", 1);
    let newer = Learner::from_bytes(newer.as_bytes());
    assert!(matches!(newer, Err(StoreError::Version(2))), "{newer:?}");
}

#[test]
fn weights_no_events_give_are_refused_even_with_a_right_checksum() {
    let good = serde_json::to_value(Learner::new(0)).unwrap();
    let bias = |learner: &mut serde_json::Value, bits: u64| {
        learner["live"]["weights"]["shared"][2][0] = bits.into();
    };
    for bits in [
        f64::NAN.to_bits(),
        f64::INFINITY.to_bits(),
        (-1.0_f64).to_bits(),
    ] {
        let mut bad = good.clone();
        bias(&mut bad, bits);
        assert!(serde_json::from_value::<Learner>(bad).is_err(), "{bits:x}");
    }
    let mut other = good.clone();
    other["candidate"]["schema"] = 99.into();
    assert!(serde_json::from_value::<Learner>(other).is_err());
    assert!(serde_json::from_value::<Learner>(good).is_ok());
}

#[test]
fn events_that_cannot_be_change_nothing() {
    let mut learner = Learner::new(0);
    let long = features(vec![effect(Kind::Read, Harm::Low); PARTS + 1]);
    for event in [
        approval("t", &long),
        Event::Promotion { ask_at: f64::NAN },
        Event::Promotion { ask_at: 0.9 },
        Event::Rollback { to: 5 },
    ] {
        assert!(learner.apply(&event).is_err());
        assert_eq!(learner, Learner::new(0));
    }
}
