// SPDX-License-Identifier: Apache-2.0
//! `ampoule image`: the kernel and the images.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use vmm::config::{MemoryMib, VcpuCount};

use super::progress::Progress;
use super::{CliError, say, values};
use crate::folders::Folders;
use crate::image::{Catalogue, ImageError, Kind, Listing, Maker, Manifest};
use crate::supervise::files::binaries;
use crate::task::Resources;
use crate::template::Templates;
use crate::template::make::{Made, Request, make};

/// How soon to look again whether another process has made its template.
const AGAIN: Duration = Duration::from_millis(200);

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
    /// kernel, base, python, develop, or a recipe's file (.toml)
    name: Option<String>,
    /// Make a template too, which tasks with as much memory and as many CPUs start from
    #[arg(long)]
    template: bool,
    /// Memory of the template's guest
    #[arg(long, requires = "template", default_value = "256M", value_parser = values::memory, allow_hyphen_values = true)]
    memory: MemoryMib,
    /// CPUs of the template's guest
    #[arg(long, requires = "template", default_value = "1", value_parser = values::cpus, allow_hyphen_values = true)]
    cpus: VcpuCount,
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
            Self::Build(build) => build.execute(folders),
            Self::Import(Import { name, tar }) => {
                made(folders, |maker| Ok(vec![maker.import(&name, &tar)?])).map(|_| 0)
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

impl Build {
    fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let all = || Maker::names().into_iter().map(str::to_owned).collect();
        let names: Vec<String> = self.name.map_or_else(all, |name| vec![name]);
        let build = |maker: &Maker<'_>| {
            let built = names.iter().map(|name| maker.build(name));
            built.collect::<Result<Vec<_>, _>>().map_err(Into::into)
        };
        let manifests = made(folders, build)?;
        if !self.template {
            return Ok(0);
        }
        for manifest in manifests.iter().filter(|m| m.kind == Kind::Image) {
            let request = Request {
                image: manifest.name.clone(),
                resources: Resources {
                    memory_mib: self.memory.get(),
                    cpus: self.cpus.get(),
                    scratch_bytes: self.memory.bytes() / 2,
                },
            };
            let _progress = Progress::of(format!("storing a guest of {}", manifest.name));
            while make(folders, &request)? == Made::Elsewhere {
                std::thread::sleep(AGAIN);
            }
            eprintln!("ampoule: {}: tasks start from a template", manifest.name);
        }
        Ok(0)
    }
}

fn made(
    folders: &Folders,
    make: impl FnOnce(&Maker<'_>) -> Result<Vec<Manifest>, CliError>,
) -> Result<Vec<Manifest>, CliError> {
    let binaries = binaries().map_err(CliError::io("cannot find the guest's programs"))?;
    let progress = |line: &str| eprintln!("ampoule: {line}");
    let manifests = make(&Maker::new(folders, &binaries, &progress))?;
    for manifest in &manifests {
        say(&line(manifest))?;
    }
    Ok(manifests)
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
            Ok(manifest) => code = code.max(verify_templates(folders, &manifest)?),
            Err(error) => code = tell(&[error]),
        }
    }
    Ok(code)
}

/// The image is what it was; so should be the guests stored of it.
fn verify_templates(folders: &Folders, image: &Manifest) -> Result<u8, CliError> {
    let verified = Templates::new(folders).verify(&image.sha256);
    let (count, bad) = verified.map_err(CliError::io("cannot list the templates"))?;
    for line in &bad {
        eprintln!("ampoule: a template of {} is damaged: {line}", image.name);
    }
    let templates = match count {
        0 => String::new(),
        1 => ", with its template".to_owned(),
        more => format!(", with its {more} templates"),
    };
    if bad.is_empty() {
        say(&format!("{}: ok{templates}", image.name))?;
    }
    Ok(u8::from(!bad.is_empty()))
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
