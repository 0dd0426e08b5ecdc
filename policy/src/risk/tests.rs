// SPDX-License-Identifier: Apache-2.0
//! What the first day says, that worse is never less, and that numbers stay numbers.

use proptest::prelude::*;

use super::calibrate::{Calibration, Label};
use super::features::{HARDS, HARMS, KINDS};
use super::learning::Learner;
use super::learning::event::{Answer, Asked, Event};
use super::state::{Fingerprint, Reason};
use super::*;
use crate::effects::place::{Area, Place};
use crate::effects::{Effect, Finding, Hard, Harm, Kind, Span, Target};

pub(super) fn effect(kind: Kind, harm: Harm) -> Effect {
    let target = Target::Path("src/x".into(), Place::of(Area::Workspace));
    Effect::new(kind, harm, target, "tool:do", "why")
}

pub(super) fn analysis(effects: Vec<Effect>, findings: &[Hard]) -> Analysis {
    let findings = findings.iter().map(|hard| Finding {
        hard: *hard,
        span: Span::default(),
        text: String::new(),
    });
    Analysis {
        effects,
        findings: findings.collect(),
        ..Analysis::default()
    }
}

pub(super) fn features(effects: Vec<Effect>) -> Features {
    Features::of(&Inputs::of(&analysis(effects, &[])), 0)
}

fn assess(model: &Model, inputs: &Inputs) -> Risk {
    model.assess(&Features::of(inputs, model.salt()))
}

fn risk(effects: Vec<Effect>, findings: &[Hard]) -> Risk {
    let analysis = analysis(effects, findings);
    assess(&Model::first_day(0), &Inputs::of(&analysis))
}

#[test]
fn the_first_day_is_right_for_each_kind_and_harm() {
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::Obfuscate) {
        for (harm, least, most, asks) in [
            (Harm::None, 0.002, 0.02, false),
            (Harm::Low, 0.02, 0.06, false),
            (Harm::Medium, 0.15, 0.25, false),
            (Harm::High, 0.6, 0.85, true),
            (Harm::Critical, 0.95, 0.99, true),
        ] {
            let risk = risk(vec![effect(kind, harm)], &[]);
            let p = risk.probability;
            assert!((least..=most).contains(&p), "{kind:?} {harm:?}: {p}");
            assert_eq!(risk.asks(), asks, "{kind:?} {harm:?}: {risk:?}");
        }
    }
    assert!(risk(Vec::new(), &[]).probability < 0.02);
}

#[test]
fn findings_alone_are_asked_about_when_they_hide_what_runs() {
    for (hard, least, most) in [
        (Hard::ParsersDiffer, 0.5, 0.7),
        (Hard::DynamicProgram, 0.5, 0.7),
        (Hard::Unparsed, 0.5, 0.7),
        (Hard::TooMuch, 0.5, 0.7),
        (Hard::NotText, 0.5, 0.7),
        (Hard::Misleading, 0.2, 0.3),
        (Hard::UnreadScript, 0.15, 0.3),
    ] {
        let risk = risk(vec![effect(Kind::Read, Harm::None)], &[hard]);
        let p = risk.probability;
        assert!((least..=most).contains(&p), "{hard:?}: {p}");
        assert_eq!(risk.asks(), least >= 0.5, "{hard:?}: {risk:?}");
    }
    let hidden = risk(vec![effect(Kind::Obfuscate, Harm::Low)], &[]);
    assert!((0.2..0.3).contains(&hidden.probability) && !hidden.asks());
}

#[test]
fn a_secret_on_its_way_to_the_network_is_all_but_refused() {
    let secret = Place {
        secret: true,
        ..Place::of(Area::Workspace)
    };
    let read = Effect::new(
        Kind::Read,
        Harm::Low,
        Target::Path(".env".into(), secret),
        "cat",
        "",
    );
    let send = Effect::new(
        Kind::Send,
        Harm::Low,
        Target::Host("h.example".into()),
        "curl",
        "",
    );
    assert!(risk(vec![read.clone()], &[]).probability < 0.1);
    assert!(risk(vec![send.clone()], &[]).probability < 0.1);
    let both = risk(vec![read, send], &[]).probability;
    assert!((0.96..0.995).contains(&both), "{both}");
}

#[test]
fn ordinary_actions_with_a_wide_reach_still_run() {
    let push = Target::Host("git.example".into());
    let effects = vec![
        Effect::new(Kind::Connect, Harm::None, push.clone(), "git:push", ""),
        Effect::new(Kind::Publish, Harm::Medium, push, "git:push", ""),
        effect(Kind::Write, Harm::Medium),
    ];
    let analysis = analysis(effects, &[]);
    let reach = Reach {
        hosts: 1,
        committed: 12,
        leaves_machine: true,
        ..Reach::default()
    };
    let inputs = Inputs {
        reach: Some(&reach),
        ..Inputs::of(&analysis)
    };
    let risk = assess(&Model::default(), &inputs);
    assert!(!risk.asks(), "{risk:?}");
    let only = Reach {
        only_copy: 300,
        ..reach
    };
    let worse = assess(
        &Model::default(),
        &Inputs {
            reach: Some(&only),
            ..inputs
        },
    );
    assert!(worse.asks());
    assert_eq!(
        worse.contributions[1].words,
        "reaches what has no other copy"
    );
    assert!(
        worse.contributions[1].to_string().ends_with(": +2.1"),
        "{worse:?}"
    );
}

#[test]
fn what_alone_makes_a_person_asked_is_named() {
    let model = Model::default();
    let of = |effects, findings: &[Hard]| {
        let analysis = analysis(effects, findings);
        let features = Features::of(&Inputs::of(&analysis), 0);
        explain::counterfactuals(&model, &features)
    };
    let one = of(
        vec![
            effect(Kind::Delete, Harm::High),
            effect(Kind::Read, Harm::None),
        ],
        &[],
    );
    assert_eq!(one.len(), 1, "{one:?}");
    assert!(one[0].words.starts_with("deletes in the workspace") && one[0].upper < ASK);
    let two = of(vec![effect(Kind::Delete, Harm::High)], &[Hard::Unparsed]);
    assert!(two.is_empty(), "either would do alone: {two:?}");
    assert!(of(vec![effect(Kind::Read, Harm::Low)], &[]).is_empty());
}

#[test]
fn a_degraded_model_only_tightens_and_a_void_one_always_asks() {
    let mut learner = Learner::new(0);
    let high = features(vec![effect(Kind::Write, Harm::High)]);
    for task in 0..60 {
        learner.apply(&approval(&task.to_string(), &high)).unwrap();
    }
    learner.apply(&Event::Promotion { ask_at: ASK }).unwrap();
    let then = Fingerprint::now("r1", "a1");
    let at = |rules, agent| {
        let state = State::of(&then, &Fingerprint::now(rules, agent));
        learner.model(state).assess(&high)
    };
    assert!(!at("r1", "a1").asks(), "{:?}", at("r1", "a1"));
    assert!(at("r2", "a1").asks());
    assert_eq!(at("r2", "a1").state, State::Degraded(vec![Reason::Rules]));
    let harmless = features(Vec::new());
    let void = learner
        .model(State::of(&then, &Fingerprint::now("r2", "a2")))
        .assess(&harmless);
    assert!(void.asks() && void.upper >= 1.0);
}

#[test]
fn a_calibration_nobody_promoted_loosens_nothing_of_high_harm() {
    let high = features(vec![effect(Kind::Write, Harm::High)]);
    let loose = Calibration::Platt {
        slope: 1.0,
        shift: -4.0,
    };
    let model = Model::default().calibrated(loose.clone(), false);
    let first = Model::default().assess(&high);
    assert!(model.assess(&high).probability >= first.probability);
    assert!(model.assess(&high).asks());
    assert!(
        !Model::default()
            .calibrated(loose, true)
            .assess(&high)
            .asks()
    );
}

pub(super) fn approval(task: &str, features: &Features) -> Event {
    answer(task, features, false, Asked::Before)
}

pub(super) fn answer(task: &str, features: &Features, refused: bool, asked: Asked) -> Event {
    Event::Answer(Answer {
        task: task.to_owned(),
        features: features.clone(),
        refused,
        latency_ms: 30_000,
        shown: 100,
        asked,
        version: 0,
    })
}

fn any_effect() -> impl Strategy<Value = Effect> {
    let target = prop_oneof![
        "[a-c]{1,2}(/[a-c]{1,2}){0,3}".prop_map(|p| Target::Path(p, Place::of(Area::Workspace))),
        "[a-c]{1,2}".prop_map(|p| {
            let secret = true;
            Target::Path(
                p,
                Place {
                    secret,
                    ..Place::of(Area::Home)
                },
            )
        }),
        "[a-c]{1,2}\\.example".prop_map(Target::Host),
        Just(Target::Nothing),
    ];
    let rule = prop::sample::select(vec!["a:b", "a:c-d", "e", "e:b"]);
    let via = prop::collection::vec("[a-z]", 0..3);
    (
        prop::sample::select(KINDS.to_vec()),
        prop::sample::select(HARMS.to_vec()),
        target,
        rule,
        via,
    )
        .prop_map(|(kind, harm, target, rule, via)| {
            let mut effect = Effect::new(kind, harm, target, rule, "");
            effect.via = via;
            effect
        })
}

fn any_analysis() -> impl Strategy<Value = Analysis> {
    let findings = prop::collection::vec(prop::sample::select(HARDS.to_vec()), 0..3);
    (prop::collection::vec(any_effect(), 0..5), findings)
        .prop_map(|(effects, findings)| analysis(effects, &findings))
}

/// A model that some people have taught, promoted or not.
fn any_model() -> impl Strategy<Value = Model> {
    let answer = (any_analysis(), any::<bool>(), any::<bool>());
    (prop::collection::vec(answer, 0..60), any::<bool>()).prop_map(|(answers, promote)| {
        let mut learner = Learner::new(0);
        for (task, (analysis, refused, after)) in answers.iter().enumerate() {
            let asked = if *after {
                Asked::After { rate_bps: 500 }
            } else {
                Asked::Before
            };
            let features = Features::of(&Inputs::of(analysis), 0);
            let event = answer_of(task, &features, *refused, asked);
            learner.apply(&event).unwrap();
        }
        if promote {
            learner.apply(&Event::Promotion { ask_at: 0.3 }).unwrap();
        }
        learner.model(State::Valid)
    })
}

fn answer_of(task: usize, features: &Features, refused: bool, asked: Asked) -> Event {
    answer(&task.to_string(), features, refused, asked)
}

fn no_less(model: &Model, less: &Analysis, more: &Analysis) -> Result<(), TestCaseError> {
    let (less, more) = (
        assess(model, &Inputs::of(less)),
        assess(model, &Inputs::of(more)),
    );
    prop_assert!(
        more.probability >= less.probability - 1e-12,
        "{less:?} {more:?}"
    );
    prop_assert!(more.upper >= less.upper - 1e-12, "{less:?} {more:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_more_effect_or_a_worse_one_never_lowers_the_risk(
        model in any_model(), less in any_analysis(), effect in any_effect(), which in any::<prop::sample::Index>(),
    ) {
        let mut more = less.clone();
        more.effects.insert(which.index(more.effects.len() + 1), effect);
        no_less(&model, &less, &more)?;
        for at in 0..less.effects.len() {
            let mut worse = less.clone();
            for harm in HARMS.into_iter().filter(|harm| *harm > less.effects[at].harm) {
                worse.effects[at].harm = harm;
                no_less(&model, &less, &worse)?;
            }
        }
    }

    #[test]
    fn one_more_finding_or_a_wider_reach_never_lowers_the_risk(
        model in any_model(), less in any_analysis(), hard in prop::sample::select(HARDS.to_vec()),
        counts in any::<[u32; 5]>(),
    ) {
        let mut more = less.clone();
        more.findings.extend(analysis(Vec::new(), &[hard]).findings);
        no_less(&model, &less, &more)?;
        let [only_copy, committed, outside, hosts, credentials] = counts.map(u64::from);
        let reach = Reach { only_copy, committed, outside, hosts, credentials, ..Reach::default() };
        let with = assess(&model, &Inputs { reach: Some(&reach), ..Inputs::of(&less) });
        prop_assert!(with.upper >= assess(&model, &Inputs::of(&less)).upper - 1e-12);
    }

    #[test]
    fn declaring_never_lowers_the_risk(model in any_model(), less in any_analysis()) {
        let bare = assess(&model, &Inputs::of(&less)).upper;
        for declared in [Declared::InPlan, Declared::OutsidePlan] {
            let context = Context { declared, plan: true, posture: 1 };
            let with = assess(&model, &Inputs { context, ..Inputs::of(&less) });
            prop_assert!(with.upper >= bare - 1e-12);
        }
    }

    #[test]
    fn only_finite_numbers_leave(model in any_model(), any in any_analysis()) {
        let most = Reach {
            only_copy: u64::MAX, committed: u64::MAX, outside: u64::MAX, hosts: u64::MAX,
            credentials: u64::MAX, leaves_machine: true, contained_by_review: false,
        };
        let context = Context { posture: 255, plan: true, declared: Declared::OutsidePlan };
        let risk = assess(&model, &Inputs { analysis: &any, reach: Some(&most), context });
        for share in [risk.probability, risk.sd, risk.upper, risk.margin()] {
            prop_assert!((0.0..=1.0).contains(&share), "{risk:?}");
        }
        prop_assert!(risk.contributions.iter().all(|line| line.amount.is_finite()));
        prop_assert!(risk.upper_bps() >= risk.probability_bps());
    }
}

#[test]
fn basis_points_are_rounded_up_and_what_is_no_number_is_the_most() {
    for (share, points) in [
        (0.0, 0),
        (0.2, 2000),
        (0.200_04, 2001),
        (1.0, 10_000),
        (7.0, 10_000),
        (-1.0, 0),
        (f64::NAN, 10_000),
        (f64::INFINITY, 10_000),
    ] {
        assert_eq!(basis_points(share), points, "{share}");
    }
}

#[test]
fn ten_thousand_effects_and_odd_calibrations_give_numbers() {
    let effects = vec![effect(Kind::Unknown, Harm::Medium); 10_000];
    assert!(risk(effects, &HARDS).probability.is_finite());
    for logit in [f64::NAN, f64::INFINITY, -1e300, 0.0] {
        for weight in [f64::INFINITY, 1e300, 1.0] {
            let refused = logit > 0.0;
            let labels = vec![
                Label {
                    logit,
                    refused,
                    weight
                };
                40
            ];
            let p = Calibration::fit(&labels).apply(0.5);
            assert!((0.0..=1.0).contains(&p), "{logit} {weight}: {p}");
        }
    }
    assert_eq!(Model::default().asking_at(f64::NAN).ask_at().to_bits(), 0);
}
