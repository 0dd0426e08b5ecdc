// SPDX-License-Identifier: Apache-2.0
//! Making images: from a recipe, or from somebody's tar.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use images::erofs::{self, WriteError, WriteOptions};
use images::recipe::image as recipe_image;
use images::recipe::kernel::{self, KernelError};
use images::recipe::{self, BuildDirs, Built, Recipe, RecipeError};
use images::tar::{self, TarError, TarLimits};
use images::tree::{Content, ContentError, Time, TreeError};

use super::{Catalogue, ImageError, KERNEL, Kind, Manifest, check_own_name};
use crate::folders::{FolderError, Folders, make_private};

/// Why an image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A program of the guest is missing.
    #[error("{} is missing: it belongs beside ampoule; build or install all three binaries", .0.display())]
    NoGuestProgram(PathBuf),
    /// The kernel failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// There is no such recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The recipe failed.
    #[error(transparent)]
    Build(#[from] recipe_image::ImageError),
    /// The tar is none, or cannot be used.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A file cannot be put in.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file cannot be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The image cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A folder is not to be had.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It cannot be stored.
    #[error(transparent)]
    Store(#[from] ImageError),
}

/// Makes images and stores them.
pub struct Maker<'a> {
    folders: &'a Folders,
    binaries: &'a Path,
    progress: &'a dyn Fn(&str),
}

impl std::fmt::Debug for Maker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Maker")
            .field("binaries", &self.binaries)
            .finish_non_exhaustive()
    }
}

impl<'a> Maker<'a> {
    /// With the guest's programs in the folder `binaries`, telling each step that takes time.
    #[must_use]
    pub fn new(folders: &'a Folders, binaries: &'a Path, progress: &'a dyn Fn(&str)) -> Self {
        Self {
            folders,
            binaries,
            progress,
        }
    }

    /// Every name that can be built.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        std::iter::once(KERNEL).chain(recipe::names()).collect()
    }

    /// Builds `name`: the kernel, a recipe of ours, or a recipe's file.
    ///
    /// # Errors
    /// As [`MakeError`] says.
    pub fn build(&self, name: &str) -> Result<Manifest, MakeError> {
        make_private(&self.folders.cache)?;
        let dirs = BuildDirs {
            cache: &self.folders.cache,
            progress: self.progress,
        };
        if name == KERNEL {
            let built = kernel::build(&dirs)?;
            return self.store(unnamed(name, Kind::Kernel), &built);
        }
        let stem = Path::new(name)
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or(name);
        check_own_name(stem)?;
        let recipe = Recipe::find(name)?;
        let init = self.guest_init()?;
        let built = recipe_image::build(&recipe, &init, None, &dirs)?;
        let manifest = Manifest {
            env: recipe.env,
            ..unnamed(stem, Kind::Image)
        };
        self.store(manifest, &built)
    }

    fn store(&self, manifest: Manifest, built: &Built) -> Result<Manifest, MakeError> {
        let manifest = Manifest {
            source: format!("recipe {}", manifest.name),
            // A list of packages or a file's text is too much to say here.
            inputs: built
                .inputs
                .iter()
                .filter(|(_, value)| value.len() <= 128)
                .cloned()
                .collect(),
            ..manifest
        };
        Ok(self.add(&built.path, manifest)?)
    }

    /// Stores it, and says what its name pointed at before if that was something else.
    pub(super) fn add(&self, from: &Path, manifest: Manifest) -> Result<Manifest, ImageError> {
        let catalogue = Catalogue::new(self.folders);
        let was = catalogue.manifest(&manifest.name).ok().flatten();
        let stored = catalogue.add(from, manifest)?;
        if let Some(was) = was
            && was.sha256 != stored.sha256
        {
            (self.progress)(&was.gone("replaced"));
        }
        Ok(stored)
    }

    /// Makes the image `name` of a root file system in a tar.
    ///
    /// # Errors
    /// As [`MakeError`] says.
    pub fn import(&self, name: &str, tar: &Path) -> Result<Manifest, MakeError> {
        check_own_name(name)?;
        let init = self.guest_init()?;
        (self.progress)(&format!("reading {}", tar.display()));
        let mut tree = tar::read(tar, &TarLimits::default())?.tree;
        recipe_image::furnish(&mut tree)?;
        let time = Time::seconds(recipe::EPOCH);
        recipe_image::own_program(&mut tree, Content::file(&init)?)?;
        make_private(&self.folders.cache)?;
        let written = self
            .folders
            .cache
            .join(format!("import.{}.erofs", std::process::id()));
        (self.progress)(&format!("writing the image {name}"));
        let options = WriteOptions {
            build_time: time,
            durable: false,
            ..WriteOptions::default()
        };
        let manifest = Manifest {
            source: format!("import {}", tar.display()),
            ..unnamed(name, Kind::Image)
        };
        let stored = erofs::write(&tree, &options, &written)
            .map_err(MakeError::from)
            .and_then(|_| Ok(self.add(&written, manifest)?));
        let _ = std::fs::remove_file(&written);
        stored
    }

    fn guest_init(&self) -> Result<PathBuf, MakeError> {
        let path = self.binaries.join("ampoule-init");
        if path.is_file() {
            Ok(path)
        } else {
            Err(MakeError::NoGuestProgram(path))
        }
    }
}

/// A manifest whose file is not known yet.
fn unnamed(name: &str, kind: Kind) -> Manifest {
    Manifest {
        name: name.to_owned(),
        kind,
        sha256: String::new(),
        bytes: 0,
        created_ms: 0,
        source: String::new(),
        env: BTreeMap::new(),
        inputs: BTreeMap::new(),
    }
}
