// SPDX-License-Identifier: Apache-2.0
//! The Python project that the demo runs: simplejson with its own tests, as Debian ships it. Its
//! suite needs nothing but python3 and takes seconds, and the package fits the image's Python
//! because both come from one release.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::tools;

const PACKAGE: &str = "python3-simplejson";

/// Where it is, once fetched.
fn folder() -> Result<PathBuf> {
    Ok(tools::cache()?.join("demo").join(PACKAGE))
}

/// Downloads and unpacks it, when that was not done yet, and returns its folder.
pub(crate) fn fetch() -> Result<PathBuf> {
    let folder = folder()?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let cache = folder.parent().context("the cache has no folder")?;
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    println!(
        "setup: fetching {PACKAGE}, the demo's project, into {}",
        cache.display()
    );
    let work = tempfile::Builder::new()
        .prefix("fetch-")
        .tempdir_in(cache)?;
    let deb = tools::download(PACKAGE, work.path())?;
    let tree = work.path().join("tree");
    tools::output(Command::new("dpkg").arg("-x").args([&deb, &tree]))?;
    let modules = tree.join("usr/lib/python3/dist-packages");
    match fs::rename(&modules, &folder) {
        Err(_) if folder.is_dir() => {}
        renamed => renamed.with_context(|| format!("{PACKAGE} has no modules"))?,
    }
    Ok(folder)
}
