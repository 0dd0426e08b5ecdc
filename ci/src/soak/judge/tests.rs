// SPDX-License-Identifier: Apache-2.0

use super::*;

const OK: &str = r#"{"case": "t.m.C.a", "result": "ok", "why": ""}"#;
const SKIPPED: &str = r#"{"case": "t.m.C.a", "result": "skipped", "why": "no card"}"#;
const FAILED: &str = r#"{"case": "t.m.C.a", "result": "failed", "why": "OSError: x"}"#;
const CASE: &str = "t.m.C.a";

fn of(outside: &str, inside: &str) -> BTreeMap<String, Pair> {
    let read = super::super::cases::read;
    pairs(&read(outside), &read(inside))
}

fn end(line: &str) -> Option<End> {
    Some(super::super::cases::read(line)[CASE].clone())
}

fn expected(outside: &str, inside: &str) -> Expected {
    let text = format!(
        "[[difference]]\noutside = '{outside}'\ninside = '{inside}'\nwhy = 'w'\ncases = ['{CASE}']"
    );
    toml::from_str(&text).unwrap()
}

fn nothing() -> Expected {
    toml::from_str("").unwrap()
}

fn verdict(
    pairs: &BTreeMap<String, Pair>,
    alone: Option<(Option<End>, Option<End>)>,
    expected: &Expected,
    strict: bool,
) -> Verdict {
    let whole = ["m".to_owned()].into();
    let alone = alone.map(|(outside, inside)| (CASE.to_owned(), Alone { outside, inside }));
    let rules = Rules {
        expected,
        strict,
        whole,
    };
    judge(pairs, &alone.into_iter().collect(), &rules)
}

#[test]
fn kept_list_is_read_and_names_no_case_twice() {
    let expected = Expected::read().unwrap();
    let mut names: Vec<_> = expected.cases().collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn difference_counts_unless_it_is_explained_as_it_is() {
    let pairs = of(OK, SKIPPED);
    assert_eq!(verdict(&pairs, None, &nothing(), false).differ.len(), 1);
    let explained = verdict(&pairs, None, &expected("ok", "skipped"), false);
    assert_eq!(
        (
            explained.explained,
            explained.differ.len(),
            explained.stale.len()
        ),
        (1, 0, 0)
    );
    let otherwise = verdict(&pairs, None, &expected("ok", "failed"), false);
    assert_eq!((otherwise.differ.len(), otherwise.stale.len()), (1, 1));
}

#[test]
fn case_that_one_side_does_not_know_differs() {
    let found = verdict(&of(OK, ""), None, &nothing(), false);
    assert!(
        found.differ[0].ends_with("outside ok, in a guest not run"),
        "{found:?}"
    );
}

#[test]
fn explanation_of_what_is_the_same_or_gone_is_stale() {
    let kept = expected("ok", "skipped");
    assert_eq!(verdict(&of(OK, OK), None, &kept, false).stale, [CASE]);
    assert_eq!(verdict(&of("", ""), None, &kept, false).stale, [CASE]);
}

#[test]
fn failure_on_either_side_is_doubtful_also_when_both_fail() {
    assert_eq!(doubtful(&of(FAILED, FAILED), &nothing()), [CASE]);
    assert_eq!(doubtful(&of(OK, FAILED), &nothing()), [CASE]);
    assert!(doubtful(&of(OK, FAILED), &expected("ok", "failed")).is_empty());
    assert!(doubtful(&of(SKIPPED, SKIPPED), &nothing()).is_empty());
}

#[test]
fn what_is_the_same_alone_is_the_same_and_said() {
    let found = verdict(&of(OK, FAILED), Some((end(OK), end(OK))), &nothing(), true);
    assert_eq!(
        (found.same, found.differ.len(), found.once.len()),
        (1, 0, 1)
    );
    let found = verdict(
        &of(OK, FAILED),
        Some((end(OK), end(FAILED))),
        &nothing(),
        false,
    );
    assert_eq!((found.same, found.differ.len()), (0, 1));
}

#[test]
fn unsteady_case_counts_on_hardware_when_it_is_steady_outside() {
    let pairs = of(OK, FAILED);
    let count = |outside, strict| {
        let found = verdict(&pairs, Some((outside, None)), &nothing(), strict);
        (found.differ.len(), found.unsteady.len())
    };
    assert_eq!(count(end(OK), false), (0, 1));
    assert_eq!(count(end(OK), true), (1, 0));
    assert_eq!(count(None, true), (0, 1));
}
