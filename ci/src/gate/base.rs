// SPDX-License-Identifier: Apache-2.0
//! The commit before, built to be measured: in a folder of the cache, with a target folder of its
//! own that stays there, so that the next time only what changed is compiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::Subject;
use crate::tools;

const TARGET: &str = "x86_64-unknown-linux-musl";

/// Builds it; what it is called, and itself.
pub(super) fn build() -> Result<(String, Subject)> {
    let commit = before()?;
    let cache = tools::cache()?.join("gate");
    let (tree, target) = (cache.join("tree"), cache.join("target"));
    println!("gate: building commit {commit} in {}", cache.display());
    unpack(&commit, &tree)?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What this cargo was told of its own package is not for that one.
    cargo.current_dir(&tree).env_remove("CARGO_TARGET_DIR");
    cargo.args([
        "build",
        "--release",
        "--quiet",
        "--locked",
        "--target",
        TARGET,
    ]);
    cargo.arg("--target-dir").arg(&target);
    for package in ["host", "vmm", "guest-init"] {
        cargo.args(["-p", package]);
    }
    tools::run(&mut cargo)?;
    let binaries = target.join(TARGET).join("release");
    let data = cache.join("data");
    images(&binaries, &data)?;
    let subject = Subject {
        binaries,
        data: data.join("ampoule"),
    };
    Ok((commit, subject))
}

/// The last commit where there are changes since, else the one before it.
fn before() -> Result<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        tools::output(git.current_dir(tools::root()).args(arguments))
    };
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let name = if changed { "HEAD" } else { "HEAD~1" };
    let commit = git(&["rev-parse", "--short=12", "--verify", name]);
    Ok(commit
        .with_context(|| format!("no commit {name}"))?
        .trim()
        .to_owned())
}

/// The commit's files, with the time of now: cargo goes by times, and those of another commit's
/// build are younger than any commit.
fn unpack(commit: &str, tree: &Path) -> Result<()> {
    if tree.exists() {
        fs::remove_dir_all(tree).with_context(|| format!("cannot clear {}", tree.display()))?;
    }
    fs::create_dir_all(tree)?;
    let mut archive = Command::new("git");
    archive.current_dir(tools::root()).args(["archive", commit]);
    let mut archive = archive
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start git")?;
    let stdout = archive.stdout.take().context("git has no stdout")?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "-m", "-C"]).arg(tree).stdin(stdout);
    tools::run(&mut tar)?;
    ensure!(archive.wait()?.success(), "git archive failed");
    Ok(())
}

fn images(binaries: &Path, data: &PathBuf) -> Result<()> {
    for name in ["kernel", "base"] {
        let mut build = Command::new(binaries.join("ampoule"));
        build
            .args(["image", "build", name])
            .env("XDG_DATA_HOME", data);
        // What it says is of the commit before, and would be taken for this one's.
        tools::output(&mut build)?;
    }
    Ok(())
}
