// SPDX-License-Identifier: Apache-2.0
//! Kernel and images: read-only files named by their digest, and names that point at them.
//!
//! `store/<sha256>` is written once, under a temporary name, synced, made read-only and renamed
//! into place; `images/<name>.json` says which file a name means. Guests map these files, so one
//! is never changed: building or importing a name again points it at another file, and a task
//! that runs keeps the one it has open.
//!
//! Before a VM exists only what is cheap is checked ([`check`]): that the file is there, has the
//! size it was stored with, and looks like what it is said to be. `ampoule image verify` reads
//! it all.

mod blobs;
pub mod check;
mod make;
pub mod workspace;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use check::CheckError;
pub use make::{MakeError, Maker};

use crate::folders::{FolderError, Folders, make_private};
use crate::store;
use crate::template::Templates;

/// The name of the guest kernel.
pub const KERNEL: &str = "kernel";

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A folder is not to be had.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Not fit for a file name.
    #[error("'{0}' is no name for an image; use letters, digits, '.', '-' and '_'")]
    BadName(String),
    /// The kernel's own.
    #[error("'{KERNEL}' is the guest kernel's name; give the image another one")]
    KernelsName,
    /// Nothing has this name.
    #[error(
        "there is no {what} '{name}'; `ampoule image build {name}` makes it if it is one of \
             ours, `ampoule image ls` lists what there is"
    )]
    Missing {
        /// Kernel or image.
        what: Kind,
        /// The name.
        name: String,
    },
    /// The file that a name points at is not what it should be.
    #[error("the {what} '{name}' is damaged; build or import it again")]
    Damaged {
        /// Kernel or image.
        what: Kind,
        /// The name.
        name: String,
        /// In which way.
        #[source]
        source: CheckError,
    },
    /// A kernel was given as an image, or the other way round.
    #[error("'{name}' is {}, not {}", article(*is), article(*wanted))]
    WrongKind {
        /// The name.
        name: String,
        /// What it is.
        is: Kind,
        /// What it should be.
        wanted: Kind,
    },
    /// A manifest cannot be understood.
    #[error(
        "the manifest of '{name}' is damaged; build or import it again, or `ampoule image rm {name}` removes it"
    )]
    Manifest {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A manifest cannot be read.
    #[error(
        "the manifest of '{name}' cannot be read; mend that, or `ampoule image rm {name}` removes it"
    )]
    Unreadable {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file among the manifests that no name can mean.
    #[error("{} is no image's manifest; remove the file", path.display())]
    Stray {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was being done.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ImageError {
    fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

/// What a stored file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A guest kernel: an uncompressed ELF.
    Kernel,
    /// A root file system: EROFS.
    Image,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kernel => "kernel",
            Self::Image => "image",
        })
    }
}

fn article(kind: Kind) -> &'static str {
    match kind {
        Kind::Kernel => "a kernel",
        Kind::Image => "an image",
    }
}

/// What a name points at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Digest of the file, and its name in the store.
    pub sha256: String,
    /// Length of the file.
    pub bytes: u64,
    /// When the name was pointed at it, milliseconds since 1970.
    pub created_ms: i64,
    /// Where it comes from: `recipe base`, `import rootfs.tar`.
    pub source: String,
    /// What a task's environment has unless it says otherwise.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What it was made from.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
}

impl Manifest {
    /// One line for what `name` no longer points at, with how to have it again; `what` is what
    /// was done to it.
    #[must_use]
    pub fn gone(&self, what: &str) -> String {
        let Self {
            name,
            kind,
            sha256,
            source,
            ..
        } = self;
        let command = match source.strip_prefix("import ") {
            Some(tar) => format!("import {name} {tar}"),
            None if Maker::names().contains(&name.as_str()) => format!("build {name}"),
            // Somebody's own recipe; where its file is nobody recorded.
            None => format!("build {name}.toml"),
        };
        let short = sha256.get(..12).unwrap_or(sha256);
        format!(
            "{what} the {kind} '{name}' ({source}, {short}); `ampoule image {command}` makes it again"
        )
    }
}

/// Checks that a name is fit for a file's.
///
/// # Errors
/// It is not.
fn check_name(name: &str) -> Result<(), ImageError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let bad = name.is_empty() || name.len() > 64 || name.starts_with(['.', '-']);
    if bad || !name.chars().all(fits) {
        return Err(ImageError::BadName(name.to_owned()));
    }
    Ok(())
}

/// Checks a name that somebody chose for an image of their own.
///
/// # Errors
/// As [`check_name`], and the kernel's name.
fn check_own_name(name: &str) -> Result<(), ImageError> {
    if name == KERNEL {
        return Err(ImageError::KernelsName);
    }
    check_name(name)
}

/// What the names point at.
#[derive(Debug, Default)]
pub struct Listing {
    /// Sorted by name.
    pub manifests: Vec<Manifest>,
    /// Why others are not among them: one that is damaged must not hide the rest.
    pub damaged: Vec<ImageError>,
}

/// The images of this user.
#[derive(Debug)]
pub struct Catalogue {
    manifests: PathBuf,
    blobs: blobs::Blobs,
    templates: Templates,
}

impl Catalogue {
    /// Where this user's images are; makes nothing.
    #[must_use]
    pub fn new(folders: &Folders) -> Self {
        Self {
            manifests: folders.data.join("images"),
            blobs: blobs::Blobs::new(folders.data.join("store")),
            templates: Templates::new(folders),
        }
    }

    fn manifest_path(&self, name: &str) -> Result<PathBuf, ImageError> {
        check_name(name)?;
        Ok(self.manifests.join(format!("{name}.json")))
    }

    /// What `name` points at, if anything.
    ///
    /// # Errors
    /// A bad name, or a manifest that cannot be read.
    pub fn manifest(&self, name: &str) -> Result<Option<Manifest>, ImageError> {
        let path = self.manifest_path(name)?;
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let name = name.to_owned();
                return Err(ImageError::Unreadable { name, source });
            }
        };
        let manifest = serde_json::from_slice(&text).map_err(|source| ImageError::Manifest {
            name: name.to_owned(),
            source,
        })?;
        Ok(Some(manifest))
    }

    /// Opens the file behind `name` after the checks that are cheap.
    ///
    /// # Errors
    /// The name is unknown or points at something else than a usable `wanted`.
    pub fn open(&self, name: &str, wanted: Kind) -> Result<(Manifest, File), ImageError> {
        let missing = || ImageError::Missing {
            what: wanted,
            name: name.to_owned(),
        };
        let manifest = self.manifest(name)?.ok_or_else(missing)?;
        if manifest.kind != wanted {
            let name = name.to_owned();
            return Err(ImageError::WrongKind {
                name,
                is: manifest.kind,
                wanted,
            });
        }
        let file = self.checked(name, &manifest)?;
        Ok((manifest, file))
    }

    fn checked(&self, name: &str, manifest: &Manifest) -> Result<File, ImageError> {
        let damaged = |source| ImageError::Damaged {
            what: manifest.kind,
            name: name.to_owned(),
            source,
        };
        let file = self.blobs.open(&manifest.sha256).map_err(damaged)?;
        check::file(&file, manifest.kind, manifest.bytes).map_err(damaged)?;
        Ok(file)
    }

    /// Copies the file at `from` into the store and points `name` at it; `manifest` without
    /// digest, length and time.
    ///
    /// # Errors
    /// The file is not what it should be, or the store cannot be written.
    pub fn add(&self, from: &Path, mut manifest: Manifest) -> Result<Manifest, ImageError> {
        let path = self.manifest_path(&manifest.name)?;
        make_private(&self.manifests)?;
        let source = File::open(from).map_err(ImageError::file("read", from))?;
        let stored = self
            .blobs
            .add(source)
            .map_err(|(what, at, e)| ImageError::file(what, &at)(e))?;
        manifest.sha256 = stored.sha256;
        manifest.bytes = stored.bytes;
        manifest.created_ms = store::now_ms();
        self.checked(&manifest.name, &manifest)?;
        write_manifest(&path, &manifest)?;
        self.sweep()?;
        Ok(manifest)
    }

    /// Every name.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Listing, ImageError> {
        let mut listing = Listing::default();
        let entries = match fs::read_dir(&self.manifests) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
            Err(error) => return Err(ImageError::file("list", &self.manifests)(error)),
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
                continue;
            };
            match self.manifest(name) {
                Ok(manifest) => listing.manifests.extend(manifest),
                Err(ImageError::BadName(_)) => {
                    let path = entry.path();
                    listing.damaged.push(ImageError::Stray { path });
                }
                Err(error) => listing.damaged.push(error),
            }
        }
        listing.manifests.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listing)
    }

    /// Reads the whole file behind `name` and compares it with its digest.
    ///
    /// # Errors
    /// It is missing or not the file it was.
    pub fn verify(&self, name: &str) -> Result<Manifest, ImageError> {
        let missing = || ImageError::Missing {
            what: Kind::Image,
            name: name.to_owned(),
        };
        let manifest = self.manifest(name)?.ok_or_else(missing)?;
        let mut file = self.checked(name, &manifest)?;
        let digest = blobs::digest(&mut file).map_err(ImageError::file("read", Path::new(name)))?;
        if digest != manifest.sha256 {
            let source = CheckError::Digest { found: digest };
            return Err(ImageError::Damaged {
                what: manifest.kind,
                name: name.to_owned(),
                source,
            });
        }
        Ok(manifest)
    }

    /// Forgets `name`, and its file if no other name points at it; what it was, unless its
    /// manifest is damaged. A guest that runs from it keeps it until it ends.
    ///
    /// # Errors
    /// The name is unknown or cannot be removed.
    pub fn remove(&self, name: &str) -> Result<Option<Manifest>, ImageError> {
        let path = self.manifest_path(name)?;
        let was = self.manifest(name).ok().flatten();
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ImageError::Missing {
                    what: Kind::Image,
                    name: name.to_owned(),
                });
            }
            Err(error) => return Err(ImageError::file("remove", &path)(error)),
        }
        self.sweep()?;
        Ok(was)
    }

    /// Removes the files that no name points at, and the templates of such, unless a manifest does
    /// not say at which it does.
    ///
    /// # Errors
    /// The names cannot be listed.
    pub fn sweep(&self) -> Result<(), ImageError> {
        let Listing { manifests, damaged } = self.list()?;
        if damaged.is_empty() {
            let digests: Vec<_> = manifests.into_iter().map(|m| m.sha256).collect();
            self.blobs.sweep(&digests);
            self.templates.sweep(&digests);
        }
        Ok(())
    }
}

/// Writes a manifest whole or not at all.
fn write_manifest(path: &Path, manifest: &Manifest) -> Result<(), ImageError> {
    let failed = |source| ImageError::File {
        what: "write",
        path: path.to_owned(),
        source,
    };
    let mut json = serde_json::to_vec_pretty(manifest).map_err(|e| failed(e.into()))?;
    json.push(b'\n');
    let temporary = path.with_extension(format!("tmp.{}", std::process::id()));
    let mut file = File::create(&temporary).map_err(failed)?;
    let written = file.write_all(&json).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed.map_err(failed)
}

#[cfg(test)]
mod tests;
