// SPDX-License-Identifier: Apache-2.0
//! `ampoule image`: the kernel and the images.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CliError, say};
use crate::folders::Folders;
use crate::image::{Catalogue, ImageError, Listing, Maker, Manifest};
use crate::supervise::task::binaries;

/// Build, import, list, verify and remove images
#[derive(Debug, Subcommand)]
pub(super) enum Image {
    Build(Build),
    Import(Import),
    Ls(Ls),
    Verify(Verify),
    Rm(Rm),
}

/// Build the kernel or an image; without a name, all of them
#[derive(Debug, Args)]
pub(super) struct Build {
    /// kernel, base, python, or a recipe's file (.toml)
    name: Option<String>,
}

/// Make an image of a root file system in a tar (docker export, mmdebstrap, ...)
#[derive(Debug, Args)]
pub(super) struct Import {
    /// What to call it
    name: String,
    /// The tar, uncompressed
    tar: PathBuf,
}

/// List the kernel and the images
#[derive(Debug, Args)]
pub(super) struct Ls {
    /// One line of JSON each
    #[arg(long)]
    json: bool,
}

/// Read images whole and compare them with their digests; without a name, all of them
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Which
    name: Option<String>,
}

/// Remove images
#[derive(Debug, Args)]
pub(super) struct Rm {
    /// Which
    #[arg(required = true)]
    names: Vec<String>,
}

impl Image {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        match self {
            Self::Build(Build { name }) => {
                let all = || Maker::names().into_iter().map(str::to_owned).collect();
                let names: Vec<String> = name.map_or_else(all, |name| vec![name]);
                made(folders, |maker| {
                    names.iter().map(|name| Ok(maker.build(name)?)).collect()
                })
            }
            Self::Import(Import { name, tar }) => {
                made(folders, |maker| Ok(vec![maker.import(&name, &tar)?]))
            }
            Self::Ls(Ls { json }) => list(folders, json),
            Self::Verify(Verify { name }) => verify(folders, name),
            Self::Rm(Rm { names }) => {
                let catalogue = Catalogue::new(folders);
                for name in names {
                    if let Some(was) = catalogue.remove(&name)? {
                        eprintln!("ampoule: {}", was.gone("removed"));
                    }
                }
                Ok(0)
            }
        }
    }
}

fn made(
    folders: &Folders,
    make: impl FnOnce(&Maker<'_>) -> Result<Vec<Manifest>, CliError>,
) -> Result<u8, CliError> {
    let binaries = binaries().map_err(CliError::io("cannot find the guest's programs"))?;
    let progress = |line: &str| eprintln!("ampoule: {line}");
    for manifest in make(&Maker::new(folders, &binaries, &progress))? {
        say(&line(&manifest))?;
    }
    Ok(0)
}

fn line(manifest: &Manifest) -> String {
    let Manifest {
        name,
        kind,
        sha256,
        bytes,
        source,
        ..
    } = manifest;
    let short = sha256.get(..12).unwrap_or(sha256);
    let (kind, mib) = (kind.to_string(), bytes.div_ceil(1 << 20));
    format!("{name:<16}  {kind:<6}  {short}  {mib:>6}M  {source}")
}

fn list(folders: &Folders, json: bool) -> Result<u8, CliError> {
    let Listing { manifests, damaged } = Catalogue::new(folders).list()?;
    if !json {
        say(&format!(
            "{:<16}  {:<6}  {:<12}  {:>7}  SOURCE",
            "NAME", "KIND", "SHA256", "SIZE"
        ))?;
    }
    for manifest in manifests {
        say(&if json {
            serde_json::json!(manifest).to_string()
        } else {
            line(&manifest)
        })?;
    }
    Ok(tell(&damaged))
}

/// Says what is wrong with images, a line each; the exit code.
fn tell(damaged: &[ImageError]) -> u8 {
    for error in damaged {
        eprintln!("ampoule: {}", super::chain(error));
    }
    u8::from(!damaged.is_empty())
}

fn verify(folders: &Folders, name: Option<String>) -> Result<u8, CliError> {
    let catalogue = Catalogue::new(folders);
    let (names, damaged) = match name {
        Some(name) => (vec![name], Vec::new()),
        None => {
            let Listing { manifests, damaged } = catalogue.list()?;
            (manifests.into_iter().map(|m| m.name).collect(), damaged)
        }
    };
    let mut code = tell(&damaged);
    for name in names {
        match catalogue.verify(&name) {
            Ok(_) => say(&format!("{name}: ok"))?,
            Err(error) => code = tell(&[error]),
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const GOOD: &str =
        r#"{"name":"base","kind":"image","sha256":"","bytes":1,"created_ms":1,"source":"x"}"#;

    #[test]
    fn ls_goes_on_after_a_bad_manifest_and_says_so_by_its_code() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::below(dir.path());
        let images = folders.data.join("images");
        fs::create_dir_all(&images).unwrap();
        fs::write(images.join("base.json"), GOOD).unwrap();
        assert_eq!(list(&folders, false).unwrap(), 0);
        fs::write(images.join("bad.json"), "{").unwrap();
        assert_eq!(list(&folders, false).unwrap(), 1);
        let names = vec!["bad".to_owned()];
        assert_eq!(Image::Rm(Rm { names }).execute(&folders).unwrap(), 0);
        assert_eq!(list(&folders, true).unwrap(), 0);
    }
}
