// SPDX-License-Identifier: Apache-2.0
//! The test programs of the workspace, compiled but not run, from cargo's JSON messages.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tools;

/// What a test program needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// Nothing.
    One,
    /// A `/dev/kvm` that opens, for some of its tests.
    Two,
    /// Real guests.
    Three,
}

/// One test program.
#[derive(Debug)]
pub(super) struct Program {
    /// Package and target, for people.
    pub(super) name: String,
    pub(super) file: PathBuf,
    /// Its package's folder, where cargo would run it.
    pub(super) folder: PathBuf,
    pub(super) tier: Tier,
}

/// Compiles all of them.
pub(super) fn compile() -> Result<Vec<Program>> {
    println!("test: compiling the tests");
    let mut cargo = tools::cargo();
    cargo.args([
        "test",
        "--workspace",
        "--no-run",
        "--quiet",
        "--message-format=json",
    ]);
    let done = cargo
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    let messages = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        for rendered in messages.lines().filter_map(rendered) {
            eprint!("{rendered}");
        }
        bail!("the tests do not compile");
    }
    Ok(messages.lines().filter_map(program).collect())
}

fn rendered(line: &str) -> Option<String> {
    let message: Value = serde_json::from_str(line).ok()?;
    Some(message["message"]["rendered"].as_str()?.to_owned())
}

fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    let file = message["executable"].as_str()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    let package = folder.file_name()?.to_str()?;
    let target = message["target"]["name"].as_str()?;
    let kind = message["target"]["kind"][0].as_str()?;
    let tier = match (package, kind, target) {
        (_, "test", "guests") => Tier::Three,
        ("vmm", _, _) => Tier::Two,
        _ => Tier::One,
    };
    let name = format!("{package} ({kind} {target})");
    Some(Program {
        name,
        file: file.into(),
        folder: folder.into(),
        tier,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integration_test_named_guests_is_tier_three() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/r/host/Cargo.toml",
            "target":{"kind":["test"],"name":"guests"},"profile":{"test":true},
            "executable":"/t/guests-1"}"#
            .replace('\n', " ");
        let found = program(&line).unwrap();
        assert_eq!(
            (found.tier, found.folder),
            (Tier::Three, PathBuf::from("/r/host"))
        );
        assert_eq!(found.name, "host (test guests)");
    }

    #[test]
    fn ordinary_binary_is_no_test_program() {
        let line = r#"{"manifest_path":"/r/host/Cargo.toml","target":{"kind":["bin"],"name":"a"},
            "profile":{"test":false},"executable":"/t/a"}"#
            .replace('\n', " ");
        assert!(program(&line).is_none());
    }
}
