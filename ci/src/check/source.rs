// SPDX-License-Identifier: Apache-2.0
//! Checks that read the source as text.

use std::fs;

use anyhow::Result;

use super::{Verdict, files};
use crate::tools;

/// Code lines a file may have, its tests not counted.
const MOST_CODE_LINES: usize = 400;

const LICENCE: &str = "SPDX-License-Identifier: Apache-2.0";

/// Phrases that stand where an argument should.
const EMPTY_ARGUMENTS: [&str; 5] = [
    "trivially safe",
    "ffi call",
    "see above",
    "obviously",
    "this is safe",
];

/// Every source and data file says its licence in its first line, or in the second after `#!`.
pub(super) fn licences() -> Result<Verdict> {
    check(&[".rs", ".toml", ".sh", ".config"], |text| {
        let mut lines = text.lines().skip_while(|line| line.starts_with("#!"));
        let said = lines.next().is_some_and(|line| line.contains(LICENCE));
        if said {
            Vec::new()
        } else {
            vec![format!("begins without {LICENCE}")]
        }
    })
}

/// Whether a file holds nothing but tests.
fn is_tests(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

/// No file has more code than can be held in mind. Functions are clippy's (`too_many_lines`).
pub(super) fn sizes() -> Result<Verdict> {
    check_files(
        |name| name.ends_with(".rs") && !is_tests(name),
        |text| {
            let lines = code_lines(text);
            if lines <= MOST_CODE_LINES {
                return Vec::new();
            }
            vec![format!(
                "has {lines} code lines of at most {MOST_CODE_LINES}"
            )]
        },
    )
}

/// A SAFETY comment names the precondition and the fact that meets it.
pub(super) fn safety() -> Result<Verdict> {
    check(&[".rs"], |text| {
        let numbered = text.lines().enumerate();
        numbered
            .filter_map(|(at, line)| empty_argument(line, at.saturating_add(1)))
            .collect()
    })
}

fn empty_argument(line: &str, number: usize) -> Option<String> {
    let (_, argument) = line.split_once("// SAFETY:")?;
    let argument = argument.to_lowercase();
    let phrase = EMPTY_ARGUMENTS
        .iter()
        .find(|phrase| argument.contains(**phrase))?;
    Some(format!("line {number}: '{phrase}' is no safety argument"))
}

/// The deciding package reads no file, clock, environment or network: the same input gives the
/// same verdict everywhere.
pub(super) fn pure() -> Result<Verdict> {
    const IMPURE: [&str; 8] = [
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "std::io",
        "Instant",
        "SystemTime",
    ];
    check_files(
        |name| name.starts_with("policy/src/") && name.ends_with(".rs") && !is_tests(name),
        |text| {
            let code = || {
                text.lines()
                    .filter(|line| !line.trim_start().starts_with("//"))
            };
            let words = IMPURE
                .iter()
                .filter(|word| code().any(|line| line.contains(**word)));
            words.map(|word| format!("uses {word}")).collect()
        },
    )
}

/// Devices signal and read memory; only the machine speaks to KVM.
pub(super) fn devices() -> Result<Verdict> {
    check_files(
        |name| name.starts_with("vmm/src/devices/") && name.ends_with(".rs"),
        |text| {
            let names = text.lines().any(|line| line.contains("kvm_ioctls"));
            if names {
                vec!["names kvm_ioctls".to_owned()]
            } else {
                Vec::new()
            }
        },
    )
}

fn check(endings: &[&str], find: impl Fn(&str) -> Vec<String>) -> Result<Verdict> {
    check_files(
        |name| endings.iter().any(|ending| name.ends_with(ending)),
        find,
    )
}

fn check_files(
    choose: impl Fn(&str) -> bool,
    find: impl Fn(&str) -> Vec<String>,
) -> Result<Verdict> {
    let mut wrong = Vec::new();
    for name in files()?.iter().filter(|name| choose(name)) {
        let text = fs::read_to_string(tools::root().join(name))?;
        wrong.extend(
            find(&text)
                .into_iter()
                .map(|what| format!("{name}: {what}")),
        );
    }
    Ok(wrong.into())
}

/// Lines that are neither empty nor comment, up to the file's tests.
fn code_lines(text: &str) -> usize {
    let mut count = 0usize;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let next_is_module = lines.peek().is_some_and(|next| next.starts_with("mod "));
        if line == "#[cfg(test)]" && next_is_module {
            break;
        }
        let line = line.trim_start();
        if !line.is_empty() && !line.starts_with("//") {
            count = count.saturating_add(1);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_and_tests_are_no_code_lines() {
        let text = "//! doc\n\nuse a;\n    // why\nfn f() {}\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(code_lines(text), 2);
    }

    #[test]
    fn test_only_item_does_not_end_the_count() {
        assert_eq!(code_lines("#[cfg(test)]\nuse a;\nfn f() {}\n"), 3);
    }

    #[test]
    fn empty_argument_is_found_in_its_comment_only() {
        let line = ["    // SAFETY: an FFI", " call, really."].concat();
        assert!(empty_argument(&line, 7).unwrap().starts_with("line 7"));
        assert!(empty_argument("// An FFI call.", 7).is_none());
    }
}
