// SPDX-License-Identifier: Apache-2.0
//! What approvals allow, and until when.

use super::super::item::Subject;
use super::super::sample::{self, START, approve, ask, deletes, more, person};
use super::super::similar::{self, Signature};
use super::super::{Event, Extent, GrantId, Grants, Item, Rules, Scope};
use crate::effects::{Hard, Kind};

const HOUR: u64 = 3_600_000;

fn approved(extent: Extent) -> Item {
    let mut item = sample::item(Rules::default());
    item.apply(&approve(&item, "ada", extent), START).unwrap();
    item
}

fn seen(path: &str) -> Scope {
    deletes(path).scope
}

#[test]
fn once_covers_the_tree_of_its_root_action_and_nothing_else() {
    let items = [approved(Extent::Once)];
    let grants = Grants::of(&items);
    let tree = |task: &str, root: &str, path: &str| grants.tree(task, root, &seen(path), START);
    assert_eq!(
        tree("task", "root", "build/x").unwrap().to_string(),
        "item.1"
    );
    assert_eq!(tree("task", "root", "src"), None);
    assert_eq!(tree("task", "another", "build/x"), None);
    assert_eq!(tree("copy", "root", "build/x"), None, "copies inherit none");
    let binding = deletes("build").binding;
    assert_eq!(grants.covers("task", binding, &seen("build"), START), None);
}

#[test]
fn once_ends_within_a_day() {
    let items = [approved(Extent::Once)];
    let at = |now| {
        Grants::of(&items)
            .tree("task", "root", &seen("build"), now)
            .is_some()
    };
    assert!(at(START + 24 * HOUR - 1));
    assert!(!at(START + 24 * HOUR));
    // Before it was decided, it was not.
    assert!(at(START - 5_000) && !at(START - 5_001));
}

#[test]
fn hours_cover_the_same_binding_with_effects_no_wider_until_they_end() {
    let items = [approved(Extent::Hours(2))];
    let grants = Grants::of(&items);
    let covers = |task: &str, question: &super::super::Question, now| {
        grants.covers(task, question.binding, &question.scope, now)
    };
    let same = deletes("build");
    let id = covers("task", &same, START + HOUR).unwrap();
    assert_eq!(covers("task", &same, START + 2 * HOUR), None);
    assert_eq!(covers("copy", &same, START), None, "copies inherit none");
    assert_eq!(
        covers("task", &deletes("build/x"), START),
        None,
        "another binding"
    );
    let mut wider = deletes("build");
    wider.scope = seen("src");
    assert_eq!(covers("task", &wider, START), None, "another effect");
    let mut harder = deletes("build");
    harder.scope.hard.insert(Hard::Misleading);
    assert_eq!(covers("task", &harder, START), None, "another difficulty");
    // What it starts the second time stays inside, too.
    assert!(grants.within("task", &id, &seen("build/x"), START));
    assert!(!grants.within("task", &id, &seen("src"), START));
    assert!(!grants.within("task", &id, &seen("build/x"), START + 2 * HOUR));
}

#[test]
fn what_is_revoked_covers_nothing_more() {
    let mut item = approved(Extent::Hours(2));
    item.apply(&more(deletes("src")), START).unwrap();
    item.apply(&approve(&item, "ada", Extent::Once), START)
        .unwrap();
    let revoke = |portion| Event::Revoke {
        by: person("bob"),
        portion,
    };
    let mut one = item.clone();
    one.apply(&revoke(Some(0)), START + 1).unwrap();
    let items = [one];
    let tree = |path: &str| Grants::of(&items).tree("task", "root", &seen(path), START + 1);
    assert_eq!(tree("build"), None);
    assert_eq!(tree("src").unwrap().to_string(), "item.2");
    item.apply(&revoke(None), START + 1).unwrap();
    assert!(item.apply(&revoke(None), START + 1).is_err());
    let items = [item];
    assert!(
        Grants::of(&items)
            .all()
            .all(|grant| !grant.is_live(START + 1))
    );
}

#[test]
fn portions_cover_together_what_none_covers_alone() {
    let mut item = approved(Extent::Once);
    item.apply(&more(deletes("src")), START).unwrap();
    let mut both = seen("build");
    both.reach.extend(seen("src").reach);
    let tree = |item: &Item| {
        let items = [item.clone()];
        Grants::of(&items).tree("task", "root", &both, START)
    };
    assert_eq!(tree(&item), None);
    item.apply(&approve(&item, "ada", Extent::Once), START)
        .unwrap();
    assert_eq!(tree(&item).unwrap().to_string(), "item.2");
}

#[test]
fn an_approved_flood_allows_no_action() {
    let ask = ask("item", "root", deletes("build"));
    let mut item = Item::open(ask, Subject::Flood { asks: 10 }, START);
    item.apply(&approve(&item, "ada", Extent::Hours(1)), START)
        .unwrap();
    assert_eq!(Grants::of(&[item]).all().count(), 0);
}

#[test]
fn a_grants_name_reads_back() {
    for (text, good) in [
        ("k3-9.1", true),
        ("k3.0", false),
        ("k3", false),
        ("k3.x", false),
    ] {
        let parsed = text.parse::<GrantId>();
        assert_eq!(parsed.is_ok(), good, "{text}");
        if let Ok(id) = parsed {
            assert_eq!(id.to_string(), text);
        }
    }
}

#[test]
fn earlier_decisions_are_found_by_what_is_done_not_by_its_words() {
    let mut items: Vec<Item> = Vec::new();
    for (at, name) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        let mut item = Item::open(ask(name, name, deletes(name)), Subject::Action, START);
        let event = match *name {
            "e" => sample::deny("ada"),
            _ => approve(&item, "ada", Extent::Once),
        };
        item.apply(&event, START + at as u64).unwrap();
        items.push(item);
    }
    items[0].expire(u64::MAX);
    let like = similar::among(&items, &deletes("renamed").analysis);
    assert_eq!((like.approved, like.denied, like.unanswered), (4, 1, 0));
    let newest: Vec<&str> = like.newest.iter().map(|past| past.item.as_str()).collect();
    assert_eq!(newest, ["e", "d", "c"]);
    let mut other = deletes("x").analysis;
    other.effects[0].kind = Kind::Publish;
    other.effects[0].rule = "other".into();
    other.effects[0].target = crate::effects::Target::Host("example.com".into());
    assert_eq!(similar::among(&items, &other), similar::Similar::default());
    let nothing = Signature::default();
    assert!(!nothing.is_like(&nothing));
}
