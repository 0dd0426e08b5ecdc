// SPDX-License-Identifier: Apache-2.0
//! `cargo ci check`: what a machine can tell about the code without running it. Each check is
//! made, also when an earlier one failed.

mod dependencies;
mod source;
mod titles;

use std::process::Command;

use anyhow::Result;

use crate::tools;

/// Checks by their end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

/// How one check ended when it could be made at all.
#[derive(Debug)]
enum Verdict {
    /// All is well.
    Fine,
    /// What is wrong, one line each.
    Wrong(Vec<String>),
    /// Why it was not made.
    Skipped(&'static str),
}

type Check = fn() -> Result<Verdict>;

impl From<Vec<String>> for Verdict {
    fn from(wrong: Vec<String>) -> Self {
        if wrong.is_empty() {
            Self::Fine
        } else {
            Self::Wrong(wrong)
        }
    }
}

/// Makes all checks.
pub(crate) fn run() -> Outcome {
    let checks: [(&str, Check); 10] = [
        ("format", format),
        ("licence lines", source::licences),
        ("file sizes", source::sizes),
        ("safety arguments", source::safety),
        ("dependency rules", dependencies::rules),
        ("devices know no KVM", source::devices),
        ("decisions do no I/O", source::pure),
        ("commit titles", titles::check),
        ("clippy", clippy),
        ("documentation", documentation),
    ];
    let mut outcome = Outcome::default();
    for (name, check) in checks {
        let verdict = check();
        let (count, word) = match &verdict {
            Ok(Verdict::Fine) => (&mut outcome.passed, "fine"),
            Ok(Verdict::Wrong(_)) | Err(_) => (&mut outcome.failed, "FAILED"),
            Ok(Verdict::Skipped(_)) => (&mut outcome.skipped, "skipped"),
        };
        *count = count.saturating_add(1);
        println!("check: {name}: {word}");
        match verdict {
            Ok(Verdict::Fine) => {}
            Ok(Verdict::Wrong(lines)) => lines.iter().for_each(|line| println!("check:   {line}")),
            Ok(Verdict::Skipped(why)) => println!("check:   {why}"),
            Err(error) => println!("check:   {error:#}"),
        }
    }
    outcome
}

fn format() -> Result<Verdict> {
    tools::run(tools::cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Verdict::Fine)
}

fn clippy() -> Result<Verdict> {
    let mut clippy = tools::cargo();
    clippy.args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    tools::run(&mut clippy)?;
    Ok(Verdict::Fine)
}

fn documentation() -> Result<Verdict> {
    let mut doc = tools::cargo();
    doc.args([
        "doc",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    // Private items are documented here for those who work on them, so links to them are right.
    let lints = "-D rustdoc::broken-intra-doc-links -A rustdoc::private-intra-doc-links";
    tools::run(doc.env("RUSTDOCFLAGS", lints))?;
    Ok(Verdict::Fine)
}

/// The files of the work tree, in it or about to be.
fn files() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(tools::root());
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let list = tools::output(&mut git)?;
    let there = |name: &&str| tools::root().join(name).is_file();
    Ok(list.lines().filter(there).map(str::to_owned).collect())
}
