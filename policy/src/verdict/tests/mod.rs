// SPDX-License-Identifier: Apache-2.0
//! What the built-in policies decide, and that nothing loosens them.

mod loading;
mod properties;

use std::borrow::Cow;

use super::examples::{self, Example};
use super::facts::{Bps, Count, Model, Posture, Risk, UNNAMED, WORD, WORDS, Words};
use super::load::By;
use super::*;
use crate::effects::{Analysis, Area, Effect, Finding, Hard, Harm, Kind, Place, Span, Target};

/// Low risk by a model that fits, in a normal posture.
fn calm() -> Facts {
    Facts {
        risk: Risk {
            estimate: Bps::new(100),
            upper: Bps::new(200),
            uncertainty: Bps::new(50),
            ask_threshold: Bps::new(3000),
            certified: true,
            model: Model::Valid,
        },
        posture: Posture::Normal,
        ..Facts::default()
    }
}

fn effect(kind: Kind, harm: Harm, target: Target) -> Effect {
    Effect::new(kind, harm, target, "test:rule", "it is a test")
}

fn path(area: Area) -> Target {
    Target::Path("x".to_owned(), Place::of(area))
}

/// Calm, with these effects.
fn doing(effects: &[(Kind, Harm, Target)]) -> Facts {
    let mut facts = calm();
    for (kind, harm, target) in effects {
        facts.does.effect(&effect(*kind, *harm, target.clone()));
    }
    facts
}

fn found(hard: Hard, harm: Harm) -> Facts {
    let mut facts = doing(&[(Kind::Read, harm, Target::Nothing)]);
    facts.does.findings.insert(hard);
    facts
}

fn held(posture: Posture, kind: Kind) -> Facts {
    let mut facts = doing(&[(kind, Harm::Low, Target::Nothing)]);
    facts.posture = posture;
    facts
}

fn engine() -> Engine {
    Engine::load(true, &[]).unwrap()
}

/// The default policies with these of the operator's, or without the default ones.
fn with(built_in: bool, text: &str) -> Engine {
    let source = Source {
        name: "team.cedar",
        text,
        by: By::Operator,
    };
    Engine::load(built_in, &[source]).unwrap()
}

#[track_caller]
fn assert_decides(engine: &Engine, facts: &Facts, verdict: Verdict, policy: &str) {
    let decision = engine.decide(facts);
    assert_eq!(decision.verdict, verdict, "{policy}: {decision:?}");
    assert!(decision.names(policy), "{policy}: {decision:?}");
}

#[test]
fn the_built_in_policies_ask_about_each_thing_they_are_there_for() {
    let engine = engine();
    let high = |kind| doing(&[(kind, Harm::High, Target::Nothing)]);
    let host = || Target::Host("example.com".to_owned());
    let mut risky = calm();
    risky.risk.upper = risky.risk.ask_threshold;
    let mut void = calm();
    void.risk.model = Model::Void;
    let mut leaving = held(Posture::NoEgress, Kind::Read);
    leaving.reach.leaves_machine = true;
    for (facts, policy) in [
        (risky, "risk-low"),
        (void, "model-void"),
        (found(Hard::ParsersDiffer, Harm::None), "parsers-differ"),
        (found(Hard::Unparsed, Harm::None), "unparsed"),
        (found(Hard::TooMuch, Harm::None), "too-much"),
        (found(Hard::NotText, Harm::None), "not-text"),
        (found(Hard::Misleading, Harm::None), "misleading"),
        (found(Hard::DynamicProgram, Harm::Medium), "dynamic-program"),
        (high(Kind::Persist), "persists"),
        (high(Kind::Escalate), "escalates"),
        (
            doing(&[(Kind::Delete, Harm::Critical, path(Area::Vcs))]),
            "harm-critical",
        ),
        (leaving, "no-egress"),
        (held(Posture::NoEgress, Kind::Install), "no-egress"),
        (held(Posture::NoEgress, Kind::Connect), "no-egress"),
        (held(Posture::NoEgress, Kind::Unknown), "no-egress"),
        (held(Posture::ReadOnly, Kind::Connect), "no-egress"),
        (held(Posture::ReadOnly, Kind::Write), "read-only"),
        (held(Posture::ReadOnly, Kind::Delete), "read-only"),
        (
            doing(&[
                (Kind::TouchSecret, Harm::Low, Target::Nothing),
                (Kind::Send, Harm::Low, host()),
            ]),
            "secret-sent",
        ),
    ] {
        assert_decides(&engine, &facts, Verdict::Ask, policy);
        assert_decides(&engine, &facts, Verdict::Ask, "person-decides");
    }
}

#[test]
fn the_built_in_policies_allow_the_ordinary() {
    let engine = engine();
    for facts in [
        calm(),
        doing(&[(Kind::Delete, Harm::Medium, path(Area::Build))]),
        doing(&[(Kind::Publish, Harm::High, Target::Nothing)]),
        doing(&[(Kind::Persist, Harm::Low, Target::Nothing)]),
        found(Hard::DynamicProgram, Harm::Low),
        found(Hard::UnreadScript, Harm::Low),
        held(Posture::NoEgress, Kind::Write),
        held(Posture::ReadOnly, Kind::Read),
    ] {
        assert_decides(&engine, &facts, Verdict::Allow, "risk-low");
    }
}

#[test]
fn what_nobody_may_approve_is_denied() {
    let engine = engine();
    let host = || Target::Host("example.com".to_owned());
    let leak = doing(&[
        (Kind::TouchSecret, Harm::Low, Target::Nothing),
        (Kind::Send, Harm::Critical, host()),
    ]);
    assert_decides(&engine, &leak, Verdict::Deny, "secret-to-stranger");
    let mut known = leak.clone();
    known.catalogued(|host| host == "example.com");
    assert_decides(&engine, &known, Verdict::Ask, "secret-sent");
    let mut unnamed = doing(&[
        (Kind::TouchSecret, Harm::Low, Target::Nothing),
        (Kind::Send, Harm::Critical, Target::Nothing),
    ]);
    unnamed.catalogued(|_| true);
    assert_decides(&engine, &unnamed, Verdict::Deny, "secret-to-stranger");

    for area in [Area::Root, Area::Device] {
        let wipe = doing(&[(Kind::Delete, Harm::Critical, path(area))]);
        assert_decides(&engine, &wipe, Verdict::Deny, "wipes-machine");
    }
    let home = doing(&[(Kind::Delete, Harm::Critical, path(Area::HomeRoot))]);
    assert_decides(&engine, &home, Verdict::Ask, "harm-critical");
    // The harm is the delete's, the place the read's.
    let elsewhere = doing(&[
        (Kind::Delete, Harm::Critical, path(Area::Workspace)),
        (Kind::Read, Harm::None, path(Area::Root)),
    ]);
    assert_decides(&engine, &elsewhere, Verdict::Ask, "harm-critical");
}

#[test]
fn a_paused_or_ended_task_is_denied_even_by_a_set_that_permits_all() {
    let all = with(
        false,
        r#"@id("all") @reason("all of it") permit (principal, action, resource);"#,
    );
    for (posture, policy) in [
        (Posture::Paused, "floor:paused"),
        (Posture::Ended, "floor:ended"),
    ] {
        let facts = held(posture, Kind::Read);
        assert_decides(&engine(), &facts, Verdict::Deny, policy);
        assert_decides(&all, &facts, Verdict::Deny, policy);
    }
    assert_decides(&all, &calm(), Verdict::Allow, "all");
}

#[test]
fn facts_that_nobody_filled_are_denied() {
    let facts = Facts::of(&Analysis::default());
    assert_decides(&engine(), &facts, Verdict::Deny, "floor:paused");
    let facts = Facts {
        posture: Posture::Normal,
        ..facts
    };
    assert_decides(&engine(), &facts, Verdict::Ask, "model-void");
}

#[test]
fn an_empty_set_denies_without_a_reason() {
    let engine = Engine::load(false, &[]).unwrap();
    let decision = engine.decide(&calm());
    assert_eq!(decision.verdict, Verdict::Deny);
    assert!(decision.determining.is_empty() && decision.errors.is_empty());
}

#[test]
fn a_forbid_that_overflows_denies_by_its_name() {
    // Cedar alone skips the policy, and allows.
    for action in ["", r#" == Action::"run_with_approval""#] {
        let engine = with(
            true,
            &format!(
                "@id(\"sum\") @reason(\"too many\") forbid (principal, action{action}, resource)
                 when {{ context.files * 9223372036854775807 > 1 }};"
            ),
        );
        let mut facts = calm();
        assert_decides(&engine, &facts, Verdict::Allow, "risk-low");
        facts.reach.files = Count::new(2);
        let decision = engine.decide(&facts);
        assert_eq!(decision.verdict, Verdict::Deny);
        assert_eq!(decision.errors.len(), 1, "{decision:?}");
        assert_eq!(decision.errors[0].policy.as_deref(), Some("sum"));
        assert!(decision.errors[0].text.contains("overflow"), "{decision:?}");
    }
}

#[test]
fn a_permit_that_overflows_denies_too() {
    let engine = with(
        true,
        "@id(\"sum\") @reason(\"few\") permit (principal, action, resource)
         when { context.files * 9223372036854775807 > 1 };",
    );
    let mut facts = calm();
    facts.reach.files = Count::new(2);
    assert_decides(&engine, &facts, Verdict::Deny, "sum");
}

#[test]
fn numbers_are_clamped_to_what_the_schema_promises() {
    assert_eq!(Bps::new(u64::MAX).get(), 10_000);
    assert_eq!(Bps::new(65_537).get(), 10_000);
    let read: Bps = serde_json::from_str("70000").unwrap();
    assert_eq!(read, Bps::ALL);
    let engine = with(
        true,
        "@id(\"sum\") @reason(\"many\") forbid (principal, action, resource)
         when { context.bytes * 1000000 > 999999999999999999 };",
    );
    let mut facts = calm();
    facts.reach.bytes = Count::new(u64::MAX);
    let decision = engine.decide(&facts);
    assert!(decision.errors.is_empty(), "{decision:?}");
    assert!(decision.names("sum"));
}

#[test]
fn more_names_than_are_kept_are_asked_about() {
    let engine = engine();
    let mut facts = calm();
    for number in 0..WORDS {
        facts.does.programs.insert(&number.to_string());
    }
    assert_decides(&engine, &facts, Verdict::Allow, "risk-low");
    facts.does.programs.insert("0");
    assert_decides(&engine, &facts, Verdict::Allow, "risk-low");
    facts.does.programs.insert("one more");
    assert_decides(&engine, &facts, Verdict::Ask, "floor:truncated");

    let mut words = Words::default();
    words.insert(&"é".repeat(WORD));
    assert!(words.truncated());
    assert!(words.iter().all(|word| word.len() <= WORD));
}

#[test]
fn an_analysis_fills_what_follows_from_it() {
    let secret = Place {
        area: Area::Home,
        secret: true,
        startup: true,
    };
    let aws = Target::Resource(Cow::Borrowed("aws"), "s3://b".to_owned());
    let analysis = Analysis {
        effects: vec![
            effect(
                Kind::Read,
                Harm::Medium,
                Target::Path("~/.x".to_owned(), secret),
            ),
            effect(Kind::Read, Harm::Low, path(Area::Workspace)),
            effect(Kind::Send, Harm::Low, aws),
            effect(Kind::Install, Harm::Low, Target::Package("left".to_owned())),
        ],
        findings: vec![Finding {
            hard: Hard::Cycle,
            span: Span::default(),
            text: String::new(),
        }],
        scripts: Vec::new(),
        commands: vec!["A=1 /usr/bin/make all".to_owned(), String::new()],
    };
    let does = Facts::of(&analysis).does;
    assert_eq!(does.harms[&Kind::Read], Harm::Medium);
    assert_eq!(does.worst(), Harm::Medium);
    assert!(does.secret && does.startup);
    assert!(does.areas.contains(&(Kind::Read, Area::Home)));
    assert!(does.findings.contains(&Hard::Cycle));
    let words = |words: &Words| words.iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&does.programs), ["make"]);
    assert_eq!(words(&does.services), ["aws"]);
    assert_eq!(words(&does.packages), ["left"]);
    assert_eq!(words(&does.hosts_outside), [UNNAMED]);
}

#[test]
fn a_question_says_first_what_is_specific_and_last_that_a_person_decides() {
    let facts = doing(&[(Kind::Persist, Harm::Critical, Target::Nothing)]);
    let decision = engine().decide(&facts);
    let ids: Vec<_> = decision.determining.iter().map(|r| &*r.policy).collect();
    assert_eq!(ids, ["persists", "harm-critical", "person-decides"]);

    let mut facts = calm();
    facts.risk.upper = Bps::ALL;
    let decision = engine().decide(&facts);
    let first = &decision.determining[0];
    assert!(first.permits && !first.applies, "{first:?}");
    assert!(first.text.contains("as high as"), "{first:?}");
}

#[test]
fn a_permit_of_the_operators_adds_to_the_built_in_ones_but_beats_no_forbid() {
    let engine = with(
        true,
        r#"@id("tools") @reason("the tools team may")
           permit (principal, action == Action::"run_unattended", resource)
           when { principal.team == "tools" && resource.image == "base" };"#,
    );
    let mut facts = doing(&[(Kind::Write, Harm::Low, path(Area::Workspace))]);
    facts.risk.upper = Bps::ALL;
    assert_decides(&engine, &facts, Verdict::Ask, "risk-low");
    facts.who.team = "tools".to_owned();
    facts.who.image = "base".to_owned();
    assert_decides(&engine, &facts, Verdict::Allow, "tools");
    facts.does.findings.insert(Hard::Unparsed);
    assert_decides(&engine, &facts, Verdict::Ask, "unparsed");
}

#[test]
fn where_nobody_is_there_to_ask_a_question_becomes_a_denial() {
    let engine = with(
        true,
        r#"@id("night") @reason("nobody is there to ask")
           forbid (principal, action == Action::"run_with_approval", resource);"#,
    );
    assert_decides(&engine, &calm(), Verdict::Allow, "risk-low");
    let unread = found(Hard::Unparsed, Harm::None);
    assert_decides(&engine, &unread, Verdict::Deny, "night");
}

#[test]
fn single_changes_that_would_loosen_are_all_named() {
    let engine = engine();
    let mut facts = found(Hard::Unparsed, Harm::Low);
    facts.does.findings.insert(Hard::Cycle);
    let change = |one| Change {
        with: vec![one],
        verdict: Verdict::Allow,
    };
    let wanted = [change(Relaxation::Without(Hard::Unparsed))];
    assert_eq!(engine.what_would_change(&facts), wanted);

    let facts = doing(&[(Kind::Delete, Harm::Critical, path(Area::Home))]);
    let wanted = [
        change(Relaxation::Milder(Kind::Delete)),
        change(Relaxation::Gone(Kind::Delete)),
    ];
    assert_eq!(engine.what_would_change(&facts), wanted);

    let mut facts = calm();
    facts.risk.upper = Bps::ALL;
    let wanted = [change(Relaxation::LowRisk)];
    assert_eq!(engine.what_would_change(&facts), wanted);
    assert_eq!(engine.what_would_change(&calm()), []);
}

#[test]
fn changes_that_loosen_only_together_are_named_together() {
    let mut facts = found(Hard::Unparsed, Harm::Low);
    facts.does.findings.insert(Hard::Cycle);
    facts.risk.model = Model::Void;
    let wanted = Change {
        with: vec![Relaxation::ValidModel, Relaxation::Without(Hard::Unparsed)],
        verdict: Verdict::Allow,
    };
    assert_eq!(engine().what_would_change(&facts), [wanted]);
}

#[test]
fn the_files_to_start_from_load_and_their_examples_hold() {
    assert_eq!(
        Limits::parse(init::LIMITS.name, init::LIMITS.text).unwrap(),
        Limits::default()
    );
    let engine = with(true, init::POLICY.text);
    let examples = examples::read(init::TESTS.name, init::TESTS.text).unwrap();
    assert_eq!(examples.len(), 3);
    let outcomes = examples::run(&examples, |example| engine.decide(&read(example)));
    for outcome in outcomes {
        assert!(outcome.passed(), "{outcome:?}");
    }
}

/// The starting examples as the other parts would read them.
fn read(example: &Example) -> Facts {
    let effect = match example.name.split_whitespace().nth(1) {
        Some("statement") => {
            let name = String::new();
            let target = Target::Resource(Cow::Borrowed("postgres"), name);
            (Kind::Read, Harm::Low, target)
        }
        Some("is") => (Kind::Install, Harm::Low, Target::Package("r".to_owned())),
        _ => (Kind::Read, Harm::None, path(Area::WorkspaceRoot)),
    };
    let mut facts = doing(&[effect]);
    facts.posture = example.context.posture.unwrap_or(Posture::Normal);
    facts
}
