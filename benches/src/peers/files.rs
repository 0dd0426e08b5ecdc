// SPDX-License-Identifier: Apache-2.0
//! The kernel and root that every monitor's guest gets: the files of the user's store.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::ampoule;

/// What a guest is made of.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) kernel: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) memory_mib: u64,
    /// The kernel's command line without devices.
    pub(crate) words: String,
    /// How long a guest may take for any one step.
    pub(crate) patience: Duration,
}

impl Files {
    pub(super) fn find(guest: &ampoule::Guest) -> Result<Self> {
        let data = match std::env::var_os("XDG_DATA_HOME") {
            Some(folder) => PathBuf::from(folder),
            None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?)
                .join(".local/share"),
        };
        let data = data.join("ampoule");
        Ok(Self {
            kernel: blob(&data, "kernel")?,
            root: blob(&data, &guest.image)?,
            memory_mib: ampoule::mebibytes(&guest.memory)?,
            words: String::new(),
            patience: Duration::from_secs(guest.patience.into()),
        })
    }
}

/// The file that a name of the catalogue means.
fn blob(data: &Path, name: &str) -> Result<PathBuf> {
    let path = data.join("images").join(format!("{name}.json"));
    let text = fs::read_to_string(&path).with_context(|| {
        let build = format!("`ampoule image build {name}` makes those that Ampoule knows");
        format!("there is no image '{name}' ({}): {build}", path.display())
    })?;
    let manifest: Value = serde_json::from_str(&text)?;
    let digest = manifest["sha256"].as_str();
    let digest = digest.with_context(|| format!("{} names no file", path.display()))?;
    Ok(data.join("store").join(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_the_file_of_its_manifest() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("images")).unwrap();
        let manifest = dir.path().join("images/base.json");
        fs::write(&manifest, r#"{"sha256": "ab"}"#).unwrap();
        assert_eq!(
            blob(dir.path(), "base").unwrap(),
            dir.path().join("store/ab")
        );
        fs::write(&manifest, "{}").unwrap();
        assert!(blob(dir.path(), "base").is_err() && blob(dir.path(), "none").is_err());
    }
}
