// SPDX-License-Identifier: Apache-2.0
//! Items for tests.

use serde_json::json;

use super::event::{Event, Extent, Yes};
use super::item::{Item, Question, Risk, Rules, Subject};
use super::names::{ItemId, Person};
use super::root::Ask;
use super::similar::Similar;
use super::{Binding, Scope};
use crate::action::Action;
use crate::effects::place::Setting;
use crate::effects::{Analysis, Effect, Harm, Kind, Target};

/// When sample items are asked.
pub(super) const START: u64 = 1_000_000;

/// Until when they wait.
pub(super) const DEADLINE: u64 = START + 60_000;

pub(super) fn person(name: &str) -> Person {
    name.parse().unwrap()
}

pub(super) fn id(text: &str) -> ItemId {
    text.parse().unwrap()
}

pub(super) fn effect(kind: Kind, harm: Harm, path: &str) -> Effect {
    let place = Setting::default().place(path, Some("/workspace"));
    let target = Target::Path(path.to_owned(), place);
    Effect::new(
        kind,
        harm,
        target,
        format!("sample:{kind:?}"),
        "it is a sample",
    )
}

/// `rm -r PATH`.
pub(super) fn deletes(path: &str) -> Question {
    let action = Action::shell(&format!("rm -r {path}"));
    let analysis = Analysis {
        effects: vec![effect(Kind::Delete, Harm::High, path)],
        commands: vec![format!("rm -r {path}")],
        ..Analysis::default()
    };
    question(action, analysis)
}

pub(super) fn question(action: Action, analysis: Analysis) -> Question {
    Question {
        binding: Binding::of(&action, &analysis, None),
        scope: Scope::of(&analysis, &Setting::default(), None),
        action,
        analysis,
        blast: json!({"files": 3}),
        risk: Risk::default(),
        similar: Similar::default(),
        policies: ["ask-delete".to_owned()].into(),
        why: "ask-delete: what is deleted is gone".to_owned(),
        plan: None,
    }
}

pub(super) fn ask(name: &str, root: &str, question: Question) -> Ask {
    Ask {
        id: id(name),
        task: "task".to_owned(),
        root: root.to_owned(),
        requester: Some(person("olga")),
        rules: Rules::default(),
        question,
        deadline_ms: DEADLINE,
    }
}

pub(super) fn item(rules: Rules) -> Item {
    let ask = Ask {
        rules,
        ..ask("item", "root", deletes("build"))
    };
    Item::open(ask, Subject::Action, START)
}

pub(super) fn approve(item: &Item, name: &str, extent: Extent) -> Event {
    Event::Approve(Yes {
        by: person(name),
        seen: item.revision(),
        extent,
        note: None,
    })
}

pub(super) fn deny(name: &str) -> Event {
    Event::Deny {
        by: person(name),
        seen: None,
        note: Some("no".to_owned()),
    }
}

pub(super) fn more(question: Question) -> Event {
    Event::Ask {
        question: Box::new(question),
        deadline_ms: DEADLINE + 60_000,
    }
}
