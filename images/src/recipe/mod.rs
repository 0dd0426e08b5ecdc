// SPDX-License-Identifier: Apache-2.0
//! Recipes: what the guest kernel and the images are made from, and the making.
//!
//! A recipe is data (`images/recipes/*.toml`): Debian packages or the host's busybox, some files,
//! the environment a task starts with. The same inputs give the same bytes, so a result is kept
//! under the hash of its inputs and made once:
//!
//! ```text
//! <cache>/build/<hash>/vmlinux      kernel.rs   source package, fragment, compiler
//! <cache>/build/<hash>/root.tar     debian.rs   packages, release
//! <cache>/build/<hash>/image.erofs  image.rs    root.tar or busybox, files, guest-init
//! ```
//!
//! Beside each lies `inputs`, the list that was hashed. A result is made in a folder of its own
//! and renamed when whole: who finds the name finds the file. Of two that would build the same at
//! once the second waits and takes the first one's.
//!
//! The Debian packages' versions are the one input that is not known before the work: a `root.tar`
//! is kept until its folder is removed ([`debian::refresh`]), and what it contains is an input of
//! the image.

mod busybox;
mod cache;
pub mod debian;
pub mod image;
pub mod kernel;
mod tool;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use cache::CacheError;
pub use tool::ToolError;

/// The time every file of a build gets at the latest: 2023-11-14, and no other meaning.
pub const EPOCH: i64 = 1_700_000_000;

const BUILTIN: [(&str, &str); 3] = [
    ("base", include_str!("../../recipes/base.toml")),
    ("python", include_str!("../../recipes/python.toml")),
    ("develop", include_str!("../../recipes/develop.toml")),
];

/// Where builds are kept, and who hears how they go.
#[derive(Clone, Copy)]
pub struct BuildDirs<'a> {
    /// The user's cache folder of Ampoule; builds lie in `build` below it.
    pub cache: &'a Path,
    /// Called with a line before each step that takes time.
    pub progress: &'a dyn Fn(&str),
}

impl std::fmt::Debug for BuildDirs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BuildDirs")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// A finished build.
#[derive(Clone, Debug)]
pub struct Built {
    /// The kernel or image. In the cache: copy it, or lose it when the cache is cleaned.
    pub path: PathBuf,
    /// What it was made from, by name, with versions or digests.
    pub inputs: Vec<(String, String)>,
    /// Whether it was there already.
    pub reused: bool,
}

/// The description of an image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// One line about it.
    pub description: String,
    /// Whether the host's static busybox and links for its applets are put in.
    #[serde(default)]
    pub busybox: bool,
    /// The Debian system to begin with; without it the tree begins empty.
    pub debian: Option<debian::Debian>,
    /// What a task's environment has unless it says otherwise.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files to add.
    #[serde(default, rename = "file")]
    pub files: Vec<File>,
}

/// A file of a recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it is in the guest.
    pub path: PathBuf,
    /// Its text. A newline at the very beginning is for the recipe's looks and left out.
    pub content: String,
    /// Its permission bits.
    #[serde(default = "readable")]
    pub mode: u16,
    /// Its owner and group.
    #[serde(default)]
    pub owner: u32,
}

const fn readable() -> u16 {
    0o644
}

/// Why there is no such recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// No recipe has this name.
    #[error("there is no recipe '{name}': the names are {}; a path to a recipe must end in .toml", names().join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The recipe's file cannot be read.
    #[error("cannot read the recipe {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not a recipe.
    #[error("'{name}' is not a recipe")]
    Parse {
        /// Name or path of the recipe.
        name: String,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
}

/// The names of the recipes that come with the program, the kernel not among them.
pub fn names() -> Vec<&'static str> {
    BUILTIN.iter().map(|(name, _)| *name).collect()
}

impl Recipe {
    /// The recipe of this name, or in this file when it ends in `.toml`.
    pub fn find(name: &str) -> Result<Self, RecipeError> {
        if Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let read = std::fs::read_to_string(name);
            let text = read.map_err(|source| RecipeError::Read {
                path: name.into(),
                source,
            })?;
            return Self::parse(name, &text);
        }
        match BUILTIN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(name, text),
            None => Err(RecipeError::Unknown { name: name.into() }),
        }
    }

    /// Reads a recipe; `name` is only for the error.
    pub fn parse(name: &str, text: &str) -> Result<Self, RecipeError> {
        toml::from_str(text).map_err(|error| RecipeError::Parse {
            name: name.into(),
            source: Box::new(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_recipe_parses_and_has_a_path() {
        for name in names() {
            let recipe = Recipe::find(name).unwrap();
            assert!(recipe.env.contains_key("PATH"), "{name}");
            assert!(recipe.busybox || recipe.debian.is_some(), "{name}");
        }
    }

    #[test]
    fn image_of_the_soak_is_the_python_image_and_its_tests() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/cpython-tests.toml");
        let (soak, python) = (Recipe::find(path).unwrap(), Recipe::find("python").unwrap());
        assert_eq!(soak.env, python.env);
        let (soak, python) = (soak.debian.unwrap(), python.debian.unwrap());
        assert_eq!(
            (soak.exclude, soak.include),
            (python.exclude, python.include)
        );
        let (tests, rest): (Vec<_>, Vec<_>) = soak
            .packages
            .into_iter()
            .partition(|name| name.contains("testsuite"));
        assert_eq!((tests.len(), rest), (1, python.packages));
    }

    #[test]
    fn unknown_name_lists_the_known_ones() {
        let error = Recipe::find("nope").unwrap_err().to_string();
        assert!(error.contains("base, python"), "{error}");
    }

    #[test]
    fn misspelt_key_is_refused_by_name() {
        let error = Recipe::parse("x", "description = ''\npackges = []").unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("packges"), "{source}");
    }
}
