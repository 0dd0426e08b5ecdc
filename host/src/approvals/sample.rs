// SPDX-License-Identifier: Apache-2.0
//! Items for tests.

use policy::action::Action;
use policy::approval::desk::{self, Answer};
use policy::approval::item::Risk;
use policy::approval::similar::Similar;
use policy::approval::{Ask, Binding, Budget, Item, ItemId, Question, Rules, Scope, Store};
use policy::effects::place::Setting;
use policy::effects::{Analysis, Effect, Harm, Kind, Target};

use super::{Approvals, now_ms};
use crate::folders::Folders;

pub(crate) fn open(dir: &std::path::Path) -> Approvals {
    Approvals::open(&Folders::below(dir)).unwrap()
}

/// `rm -r PATH` in a task called `task`.
pub(crate) fn ask(name: &str, path: &str) -> Ask {
    let mut action = Action::shell(&format!("rm -r {path}"));
    action.reason = Some(format!("{path} is not needed"));
    let place = Setting::default().place(path, Some("/workspace"));
    let target = Target::Path(path.to_owned(), place);
    let why = "what is only there is gone";
    let effect = Effect::new(Kind::Delete, Harm::High, target, "rm:recursive", why);
    let analysis = Analysis {
        effects: vec![effect.safer("git clean -n shows what would go")],
        ..Analysis::default()
    };
    let question = Question {
        binding: Binding::of(&action, &analysis, None),
        scope: Scope::of(&analysis, &Setting::default(), None),
        action,
        analysis,
        blast: serde_json::json!({"only copies": 3, "bytes": 4096}),
        risk: Risk {
            basis_points: Some(3330),
            upper: Some(4230),
            asked_from: Some(4000),
            drivers: vec!["deletes the only copy".to_owned()],
        },
        similar: Similar::default(),
        policies: ["ask-delete".to_owned()].into(),
        why: "ask-delete: what is deleted is gone".to_owned(),
        plan: None,
    };
    Ask {
        id: name.parse().unwrap(),
        task: "task".to_owned(),
        root: name.to_owned(),
        requester: None,
        rules: Rules::default(),
        question,
        deadline_ms: now_ms() + 60_000,
    }
}

pub(crate) fn asked(store: &dyn Store, name: &str) -> Item {
    put(store, &ask(name, "build"))
}

pub(crate) fn put(store: &dyn Store, ask: &Ask) -> Item {
    let answer = desk::ask(store, ask, &Budget::default(), now_ms()).unwrap();
    let (Answer::Waiting(id, _) | Answer::Flooded(id)) = answer else {
        panic!("{answer:?}")
    };
    item(store, &id)
}

pub(crate) fn item(store: &dyn Store, id: &ItemId) -> Item {
    store.load(id).unwrap().0
}
