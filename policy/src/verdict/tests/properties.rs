// SPDX-License-Identifier: Apache-2.0
//! Properties of the built-in policies over arbitrary facts.

use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{EntityUid, Schema};
use proptest::prelude::*;

use super::*;
use crate::verdict::context::{KINDS, Types, finding_name, kind_name};
use crate::verdict::engine::SCHEMA;
use crate::verdict::facts::{Does, Planned, Reach, Who};

static ENGINE: LazyLock<Engine> = LazyLock::new(engine);

const HARMS: [Harm; 5] = [
    Harm::None,
    Harm::Low,
    Harm::Medium,
    Harm::High,
    Harm::Critical,
];

const HARDS: [Hard; 12] = Hard::ALL;

const AREAS: [Area; 13] = [
    Area::Null,
    Area::Temp,
    Area::Build,
    Area::Workspace,
    Area::WorkspaceRoot,
    Area::Vcs,
    Area::Home,
    Area::HomeRoot,
    Area::Outside,
    Area::System,
    Area::Device,
    Area::Root,
    Area::Unresolved,
];

fn target() -> impl Strategy<Value = Target> {
    let place = (prop::sample::select(&AREAS), any::<bool>(), any::<bool>());
    let place = place.prop_map(|(area, secret, startup)| Place {
        area,
        secret,
        startup,
    });
    prop_oneof![
        (any::<String>(), place).prop_map(|(path, place)| Target::Path(path, place)),
        any::<String>().prop_map(Target::Host),
        any::<String>().prop_map(|name| Target::Resource(Cow::Borrowed("aws"), name)),
        any::<String>().prop_map(Target::Package),
        any::<String>().prop_map(Target::Program),
        Just(Target::Nothing),
    ]
}

fn an_effect() -> impl Strategy<Value = Effect> {
    let kind = prop::sample::select(&KINDS);
    // Harm is weighed to the mild side, so that verdicts other than ask happen.
    let harm = prop_oneof![3 => Just(Harm::Low), 1 => prop::sample::select(&HARMS)];
    (kind, harm, target()).prop_map(|(kind, harm, target)| effect(kind, harm, target))
}

fn words() -> impl Strategy<Value = Words> {
    prop::collection::vec(any::<String>(), 0..4)
        .prop_map(|words| words.iter().map(String::as_str).collect())
}

fn does() -> impl Strategy<Value = Does> {
    let effects = prop::collection::vec(an_effect(), 0..5);
    let findings = prop::collection::btree_set(prop::sample::select(&HARDS), 0..2);
    (effects, findings).prop_map(|(effects, findings)| {
        let mut does = Does {
            findings,
            ..Does::default()
        };
        effects.iter().for_each(|effect| does.effect(effect));
        does
    })
}

fn risk() -> impl Strategy<Value = Risk> {
    let model =
        prop_oneof![4 => Just(Model::Valid), 1 => Just(Model::Degraded), 1 => Just(Model::Void)];
    (any::<[u16; 4]>(), any::<bool>(), model).prop_map(|(points, certified, model)| {
        let [estimate, upper, uncertainty, threshold] = points.map(|point| Bps::new(point.into()));
        Risk {
            estimate,
            upper,
            uncertainty,
            ask_threshold: threshold,
            certified,
            model,
        }
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    let posture = prop_oneof![
        4 => Just(Posture::Normal),
        1 => Just(Posture::NoEgress),
        1 => Just(Posture::ReadOnly),
        1 => Just(Posture::Paused),
        1 => Just(Posture::Ended),
    ];
    let reach = (any::<[u64; 5]>(), any::<[bool; 4]>()).prop_map(|(counts, flags)| {
        let [files, only_copies, bytes, outside, credentials] = counts.map(Count::new);
        let [partial, leaves_machine, contained_by_review, reversible] = flags;
        Reach {
            files,
            only_copies,
            bytes,
            outside_workspace: outside,
            credentials,
            partial,
            leaves_machine,
            contained_by_review,
            reversible,
        }
    });
    let planned = (any::<bool>(), any::<bool>(), any::<u64>());
    let who = any::<[String; 4]>().prop_map(|[agent, team, image, workspace]| Who {
        agent,
        team,
        image,
        workspace,
    });
    (risk(), posture, does(), reach, planned, who).prop_map(
        |(risk, posture, does, reach, (in_plan, declared, steps), who)| Facts {
            risk,
            posture,
            does,
            reach,
            planned: Planned {
                in_plan,
                declared,
                steps: Count::new(steps),
            },
            who,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_context_conforms_to_the_schema_whatever_the_facts(facts in facts()) {
        let schema = Schema::from_str(SCHEMA).unwrap();
        let context = Types::new().unwrap().context(&facts).unwrap();
        for action in ["run_unattended", "run_with_approval"] {
            let action = EntityUid::from_str(&format!("Action::\"{action}\"")).unwrap();
            prop_assert!(context.validate(&schema, &action).is_ok());
        }
    }

    #[test]
    fn no_policy_errs_and_every_verdict_has_a_reason(facts in facts()) {
        let decision = ENGINE.decide(&facts);
        prop_assert!(decision.errors.is_empty(), "{decision:?}");
        prop_assert!(!decision.determining.is_empty());
    }

    #[test]
    fn one_more_effect_never_loosens(facts in facts(), effect in an_effect()) {
        let before = ENGINE.decide(&facts).verdict;
        let mut more = facts;
        more.does.effect(&effect);
        prop_assert!(ENGINE.decide(&more).verdict >= before);
    }

    #[test]
    fn one_more_finding_never_loosens(facts in facts(), hard in prop::sample::select(&HARDS)) {
        let before = ENGINE.decide(&facts).verdict;
        let mut more = facts;
        more.does.findings.insert(hard);
        prop_assert!(ENGINE.decide(&more).verdict >= before);
    }

    #[test]
    fn a_tighter_posture_never_loosens(facts in facts()) {
        let postures =
            [Posture::Normal, Posture::NoEgress, Posture::ReadOnly, Posture::Paused, Posture::Ended];
        let verdicts = postures.map(|posture| {
            let facts = Facts { posture, ..facts.clone() };
            ENGINE.decide(&facts).verdict
        });
        prop_assert!(verdicts.is_sorted(), "{verdicts:?}");
    }

    #[test]
    fn no_name_that_the_agent_words_changes_the_verdict(
        facts in facts(),
        names in any::<[String; 4]>(),
        sets in prop::array::uniform5(words()),
    ) {
        let before = ENGINE.decide(&facts).verdict;
        let mut other = facts;
        let [rules, hosts, programs, packages, services] = sets;
        let does = &mut other.does;
        (does.rules, does.hosts, does.programs) = (rules, hosts, programs);
        (does.packages, does.services) = (packages, services);
        if !does.hosts_outside.is_empty() {
            does.hosts_outside = names.iter().map(String::as_str).collect();
        }
        let [agent, team, image, workspace] = names;
        other.who = Who { agent, team, image, workspace };
        prop_assert_eq!(ENGINE.decide(&other).verdict, before);
    }

    #[test]
    fn where_a_path_is_said_to_be_changes_nothing_but_by_its_place(
        facts in facts(),
        paths in any::<[String; 2]>(),
        area in prop::sample::select(&AREAS),
    ) {
        let [one, other] = paths.map(|path| {
            let mut facts = facts.clone();
            let target = Target::Path(path, Place::of(area));
            facts.does.effect(&effect(Kind::Delete, Harm::Critical, target));
            ENGINE.decide(&facts).verdict
        });
        prop_assert_eq!(one, other);
    }

    #[test]
    fn every_change_that_is_named_does_loosen(facts in facts()) {
        let now = ENGINE.decide(&facts).verdict;
        for change in ENGINE.what_would_change(&facts) {
            prop_assert!(change.verdict < now && !change.with.is_empty());
        }
    }
}

#[test]
fn names_in_policies_are_the_names_in_events() {
    for kind in KINDS {
        let event = serde_json::to_value(kind).unwrap();
        assert_eq!(event.as_str(), Some(kind_name(kind)));
    }
    for hard in HARDS {
        let event = serde_json::to_value(hard).unwrap();
        assert_eq!(event.as_str(), Some(finding_name(hard)));
    }
    for posture in [Posture::NoEgress, Posture::ReadOnly] {
        let event = serde_json::to_value(posture).unwrap();
        let name = posture.name();
        assert_eq!(event.as_str(), Some(name));
    }
}
