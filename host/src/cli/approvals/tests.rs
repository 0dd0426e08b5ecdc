// SPDX-License-Identifier: Apache-2.0
//! The sub-command, on a store of its own.

use clap::Parser;
use policy::approval::desk;
use policy::approval::event::{Event, Extent, Yes};
use policy::approval::{Grants, Item, Rules, State};

use super::*;
use crate::approvals::sample::{ask, asked, item, put};
use crate::approvals::{now_ms, who};
use crate::cli::chain;

mod shown;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    approvals: Approvals,
}

fn parse(line: &str) -> Result<Approvals, clap::Error> {
    Line::try_parse_from(line.split_whitespace()).map(|line| line.approvals)
}

fn run(folders: &Folders, line: &str) -> Result<u8, String> {
    let done = parse(line).unwrap().execute(folders);
    done.map_err(|error| chain(&error))
}

fn with_items(names: &[&str]) -> (tempfile::TempDir, Folders) {
    let dir = tempfile::tempdir().unwrap();
    let folders = Folders::below(dir.path());
    let store = open(&folders).unwrap();
    for name in names {
        asked(&store, name);
    }
    (dir, folders)
}

fn stored(folders: &Folders, name: &str) -> Item {
    item(&open(folders).unwrap(), &name.parse().unwrap())
}

#[test]
fn wrong_command_lines_are_not_understood() {
    for line in [
        "approvals approve",
        "approvals approve a --for",
        "approvals approve a --for 0",
        "approvals approve a --for 1h",
        "approvals approve a --for 2 --once",
        "approvals approve a --for 2 --propose",
        "approvals comment a",
        "approvals deny",
        "approvals --json show a",
        "approvals no-such",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
    for line in [
        "approvals",
        "approvals --all --json",
        "approvals ls -a",
        "approvals grants",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn a_decision_is_made_once_and_by_the_beginning_of_an_id() {
    let (_dir, folders) = with_items(&["k3aa", "k4bb"]);
    assert_eq!(
        run(&folders, "approvals approve k3 --for 2 --note fine"),
        Ok(0)
    );
    let decision = stored(&folders, "k3aa")
        .last()
        .unwrap()
        .decision
        .clone()
        .unwrap();
    assert_eq!((decision.state, decision.hours), (State::Approved, 2));
    assert_eq!(decision.by, [who().unwrap()]);
    let late = run(&folders, "approvals deny k3").unwrap_err();
    assert!(late.contains("is approved already by"), "{late}");
    assert!(late.contains("can be revoked"), "{late}");
    assert_eq!(run(&folders, "approvals deny k4 --note no"), Ok(0));
    assert_eq!(stored(&folders, "k4bb").state(), State::Denied);
    for (line, said) in [
        (
            "approvals approve k",
            "the beginning of 2 approvals: k3aa, k4bb",
        ),
        ("approvals approve z", "there is no approval z"),
        ("approvals approve ..", "not an approval"),
        ("approvals revoke k3.0", "not an approval"),
        ("approvals revoke k4", "no approval to take back"),
    ] {
        let error = run(&folders, line).unwrap_err();
        assert!(error.contains(said) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn hours_beyond_the_limit_are_refused_and_nothing_is_decided() {
    let (_dir, folders) = with_items(&["aaaa"]);
    let error = run(&folders, "approvals approve aaaa --for 25").unwrap_err();
    assert!(error.contains("from 1 to 24"), "{error}");
    assert_eq!(stored(&folders, "aaaa").state(), State::Pending);
}

#[test]
fn a_comment_leaves_it_open() {
    let (_dir, folders) = with_items(&["aaaa"]);
    assert_eq!(run(&folders, "approvals comment aaaa why?"), Ok(0));
    assert_eq!(stored(&folders, "aaaa").state(), State::Commented);
    assert_eq!(run(&folders, "approvals approve aaaa --once"), Ok(0));
}

#[test]
fn a_grant_is_taken_back_by_its_name() {
    let (_dir, folders) = with_items(&["aaaa"]);
    run(&folders, "approvals approve aaaa").unwrap();
    let live = |folders: &Folders| {
        let items = [stored(folders, "aaaa")];
        Grants::of(&items)
            .all()
            .filter(|grant| grant.is_live(now_ms()))
            .count()
    };
    assert_eq!(live(&folders), 1);
    assert!(run(&folders, "approvals revoke aaaa.2").is_err());
    assert_eq!(run(&folders, "approvals revoke aa.1"), Ok(0));
    assert_eq!(live(&folders), 0);
    for line in [
        "approvals grants --all",
        "approvals grants --json",
        "approvals ls -a --json",
    ] {
        assert_eq!(run(&folders, line), Ok(0));
    }
}

#[test]
fn what_changed_unseen_has_to_be_looked_at_first() {
    let (_dir, folders) = with_items(&[]);
    let store = open(&folders).unwrap();
    let mut first = ask("aaaa", "build");
    first.root = "root".into();
    let mut second = ask("bbbb", "src");
    second.root = "root".into();
    put(&store, &first);
    assert_eq!(put(&store, &second).id().as_str(), "aaaa");
    let error = run(&folders, "approvals approve aaaa").unwrap_err();
    let said =
        "asks about more since it was first asked; look again with `ampoule approvals show aaaa`";
    assert!(error.contains(said), "{error}");
    let error = run(&folders, "approvals approve aaaa --revision 1").unwrap_err();
    assert!(error.contains("look at it again"), "{error}");
    assert_eq!(run(&folders, "approvals show aaaa"), Ok(0));
    assert_eq!(run(&folders, "approvals approve aaaa"), Ok(0));
    assert_eq!(stored(&folders, "aaaa").state(), State::Approved);
}

#[test]
fn a_no_before_anything_was_decided_is_one_to_all_of_it() {
    let (_dir, folders) = with_items(&[]);
    let store = open(&folders).unwrap();
    for (name, path) in [("aaaa", "build"), ("bbbb", "src")] {
        let mut ask = ask(name, path);
        ask.root = "root".into();
        put(&store, &ask);
    }
    assert_eq!(stored(&folders, "aaaa").revision(), 2);
    assert_eq!(run(&folders, "approvals deny aaaa"), Ok(0));
    assert_eq!(stored(&folders, "aaaa").state(), State::Denied);
}

/// An item that was approved, and about which its root action asked more then.
fn asked_after_a_yes() -> (tempfile::TempDir, Folders) {
    let (dir, folders) = with_items(&[]);
    let store = open(&folders).unwrap();
    let of_root = |name, path| {
        let mut ask = ask(name, path);
        ask.root = "root".into();
        put(&store, &ask).id().to_string()
    };
    assert_eq!(of_root("aaaa", "build"), "aaaa");
    assert_eq!(run(&folders, "approvals approve aaaa"), Ok(0));
    assert_eq!(of_root("bbbb", "src"), "aaaa");
    (dir, folders)
}

#[test]
fn an_answer_given_again_is_none_to_what_came_after_it() {
    let (_dir, folders) = asked_after_a_yes();
    for again in ["approvals approve aaaa", "approvals deny aaaa"] {
        let error = run(&folders, again).unwrap_err();
        let said = "aaaa asks about something else since it was answered: rm -r src; look again \
            with `ampoule approvals show aaaa`";
        assert!(error.contains(said) && !error.contains('\n'), "{error}");
    }
    let old = run(&folders, "approvals deny aaaa --revision 1").unwrap_err();
    assert!(old.contains("look at it again"), "{old}");
    assert_eq!(stored(&folders, "aaaa").state(), State::Pending);
    let one = "approvals deny aaaa --revision 2";
    assert_eq!(run(&folders, one), Ok(0));
    let (_dir, folders) = asked_after_a_yes();
    assert_eq!(run(&folders, "approvals approve aaaa --revision 2"), Ok(0));
    let (_dir, folders) = asked_after_a_yes();
    assert_eq!(run(&folders, "approvals show aaaa"), Ok(0));
    assert_eq!(run(&folders, "approvals approve aaaa"), Ok(0));
}

#[test]
fn who_comments_on_what_is_decided_is_not_told_to_revoke() {
    let (_dir, folders) = with_items(&["aaaa"]);
    run(&folders, "approvals approve aaaa").unwrap();
    let error = run(&folders, "approvals comment aaaa why?").unwrap_err();
    assert!(
        error.contains("nobody reads comments on it any more"),
        "{error}"
    );
    assert!(!error.contains("revoked"), "{error}");
}
