// SPDX-License-Identifier: Apache-2.0
//! What the tests run from: the guest's kernel, and the image of `images/recipes/cpython-tests.toml`.
//!
//! Both lie in a data folder of their own in the user's cache. The image is three times the size of
//! all others, and `cargo ci test` and `gate` copy the user's whole data folder into memory.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{setup, tools};

const IMAGE: &str = "cpython-tests";

/// Where kernel and image are.
#[derive(Debug)]
pub(super) struct Stock {
    /// `ampoule`'s data folder.
    pub(super) data: PathBuf,
    /// The image's file in it.
    pub(super) image: PathBuf,
}

/// Builds both, or finds them built.
pub(super) fn get() -> Result<Stock> {
    let home = tools::cache()?.join("soak/data");
    let recipe = tools::root().join(format!("images/recipes/{IMAGE}.toml"));
    for name in ["kernel", &recipe.to_string_lossy()] {
        println!("soak: ampoule image build {name}");
        let mut build = Command::new(setup::binaries().join("ampoule"));
        build.args(["image", "build", name]);
        tools::run(build.env("XDG_DATA_HOME", &home))?;
    }
    let data = home.join("ampoule");
    let path = data.join(format!("images/{IMAGE}.json"));
    let manifest = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let digest = manifest["sha256"]
        .as_str()
        .with_context(|| format!("{} names no file; remove it", path.display()))?;
    let image = data.join("store").join(digest);
    Ok(Stock { data, image })
}
