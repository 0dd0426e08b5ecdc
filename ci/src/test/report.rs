// SPDX-License-Identifier: Apache-2.0
//! What a test program said, counted and shown.

use std::collections::BTreeSet;
use std::time::Duration;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) passed: u32,
    pub(super) failed: u32,
    pub(super) skipped: u32,
}

impl Count {
    pub(super) fn add(&mut self, other: &Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
        self.skipped = self.skipped.saturating_add(other.skipped);
    }
}

/// Shows a program that ran unseen: one line when all went well, everything it said otherwise.
pub(super) fn program(name: &str, text: &str, succeeded: bool, took: Option<Duration>) -> Count {
    if !succeeded {
        println!("{text}");
    }
    let count = count(text, succeeded);
    let took = took
        .map(|took| format!(" in {:.1} s", took.as_secs_f64()))
        .unwrap_or_default();
    line(name, &count, &took);
    skips(text);
    count
}

/// Sums up a program whose output was shown already.
pub(super) fn summary(name: &str, text: &str, succeeded: bool) -> Count {
    let count = count(text, succeeded);
    line(name, &count, "");
    skips(text);
    count
}

fn line(name: &str, count: &Count, took: &str) {
    let Count {
        passed,
        failed,
        skipped,
    } = count;
    println!("test: {name}: {passed} passed, {failed} failed, {skipped} skipped{took}");
}

/// Says once what was skipped and why.
fn skips(text: &str) {
    let ignored = text.lines().filter(|line| line.contains(" ... ignored"));
    let said: BTreeSet<_> = text
        .lines()
        .filter(|line| is_skip(line))
        .chain(ignored)
        .collect();
    for line in said {
        println!(
            "test:   skipped: {}",
            line.trim_start_matches("test ").trim()
        );
    }
}

fn is_skip(line: &str) -> bool {
    line.get(..8)
        .is_some_and(|start| start.eq_ignore_ascii_case("skipped:"))
}

/// Adds up the lines `test result: ...` of a program, of which documentation tests have several.
/// Of a program that died before it said so, the tests that had ended count, and one failure.
fn count(text: &str, succeeded: bool) -> Count {
    let mut sum = Count::default();
    if !succeeded && !text.contains("\ntest result: ") {
        let ended = |how: &str| {
            let lines = text.lines().filter(|line| line.starts_with("test "));
            u32::try_from(lines.filter(|line| line.ends_with(how)).count()).unwrap_or(u32::MAX)
        };
        sum.passed = ended(" ... ok");
        sum.failed = ended(" ... FAILED").saturating_add(1);
    }
    for result in text
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "))
    {
        let number = |what: &str| {
            let before = result
                .split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(what));
            before
                .and_then(|count| count.trim().parse().ok())
                .unwrap_or(0)
        };
        sum.add(&Count {
            passed: number("passed"),
            failed: number("failed"),
            skipped: number("ignored"),
        });
    }
    let said = text.lines().filter(|line| is_skip(line)).count();
    let said = u32::try_from(said).unwrap_or(u32::MAX).min(sum.passed);
    sum.passed = sum.passed.saturating_sub(said);
    sum.skipped = sum.skipped.saturating_add(said);
    if !succeeded && sum.failed == 0 {
        sum.failed = 1;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str = "\ntest result: ok. 5 passed; 0 failed; 2 ignored; 0 measured; 0 filtered \
                          out; finished in 0.01s";

    #[test]
    fn skips_that_tests_tell_are_not_passes() {
        let text = format!("---- a stdout ----\nskipped: no KVM\nSKIPPED: no busybox\n{RESULT}\n");
        assert_eq!(
            count(&text, true),
            Count {
                passed: 3,
                failed: 0,
                skipped: 4
            }
        );
    }

    #[test]
    fn several_results_add_up() {
        let text = format!("{RESULT}\n{RESULT}");
        assert_eq!(
            count(&text, true),
            Count {
                passed: 10,
                failed: 0,
                skipped: 4
            }
        );
    }

    #[test]
    fn program_that_died_is_a_failure_beside_what_had_ended() {
        let text = "running 3 tests\ntest a ... ok\ntest b ... FAILED\n";
        assert_eq!(
            count(text, false),
            Count {
                passed: 1,
                failed: 2,
                skipped: 0
            }
        );
    }
}
