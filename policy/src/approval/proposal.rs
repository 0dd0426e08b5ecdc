// SPDX-License-Identifier: Apache-2.0
//! A policy that would let the like of what was approved run unattended, for review.
//!
//! Nothing applies it, and all of it is a comment: a copy of it changes nothing until a person
//! means it to. It names what the verdict's schema knows, never the agent's words.

use std::collections::BTreeSet;

use serde::Serialize;

use super::item::{Item, Question};
use super::names::Person;
use crate::effects::Target;

/// The text, for what an item asks now.
pub(super) fn of(item: &Item, by: &Person) -> String {
    let mut text = format!(
        "Proposed by {:?} from approval {}, for review. Nothing applies it.\n",
        by.as_str(),
        item.id()
    );
    for question in item
        .last()
        .into_iter()
        .flat_map(|portion| &portion.questions)
    {
        text.push_str(&policy(item, question));
    }
    let lines = text.lines().map(|line| format!("// {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// As narrow as the schema can say it: these rules, places and difficulties, no worse harm.
fn policy(item: &Item, question: &Question) -> String {
    let analysis = &question.analysis;
    let rules = analysis
        .effects
        .iter()
        .map(|effect| format!("{:?}", effect.rule));
    let areas = analysis
        .effects
        .iter()
        .filter_map(|effect| match &effect.target {
            Target::Path(_, place) => Some(named("Area", &place.area)),
            _ => None,
        });
    let findings = analysis
        .findings
        .iter()
        .map(|found| named("Finding", &found.hard));
    let places = || {
        analysis
            .effects
            .iter()
            .filter_map(|effect| match &effect.target {
                Target::Path(_, place) => Some(place),
                _ => None,
            })
    };
    let mut when = vec![
        "!context.truncated".to_owned(),
        format!("context.worst_harm <= {}", analysis.harm() as u8),
        only("rules", rules),
        only("areas", areas),
        only("findings", findings),
    ];
    when.extend((!places().any(|place| place.secret)).then(|| "!context.secret".to_owned()));
    when.extend((!places().any(|place| place.startup)).then(|| "!context.startup".to_owned()));
    format!(
        "@id(\"team:{}\")\n@reason(\"people have approved such actions\")\npermit (principal, action == Action::\"run_unattended\", resource) when {{\n  {}\n}};\n",
        item.id(),
        when.join(" &&\n  ")
    )
}

/// That a set of the context has none but these.
fn only(set: &str, these: impl Iterator<Item = String>) -> String {
    let these: BTreeSet<String> = these.collect();
    if these.is_empty() {
        return format!("context.{set}.isEmpty()");
    }
    let these: Vec<String> = these.into_iter().collect();
    format!("[{}].containsAll(context.{set})", these.join(", "))
}

/// As the schema names it.
fn named(kind: &str, value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    format!("{kind}::{value}")
}
