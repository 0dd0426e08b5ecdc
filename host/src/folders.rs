// SPDX-License-Identifier: Apache-2.0
//! Where things lie: the XDG folders of the user, each overridable by its XDG variable only.
//!
//! | folder | holds |
//! | --- | --- |
//! | data | `store/<sha256>`, `images/<name>.json` |
//! | state | `ampoule.db`, `approvals.db`, `events/events.jsonl`, `tasks/<id>/` with a task's log |
//! | cache | `build/`, `workspaces/` |
//! | runtime | `<id>/` with sockets and locks of one running task, the policy loop's socket |

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

/// Why a folder is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Neither the XDG variable nor `HOME` says where.
    #[error("cannot tell where {what} belongs: set HOME or {variable}")]
    NoHome {
        /// The kind of folder.
        what: &'static str,
        /// Its variable.
        variable: &'static str,
    },
    /// It cannot be made.
    #[error("cannot make the folder {}", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It belongs to somebody else, who could replace what is in it.
    #[error("{} belongs to another user (uid {owner}); remove it or set XDG_RUNTIME_DIR", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
}

/// The folders of this user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folders {
    /// Images and kernel.
    pub data: PathBuf,
    /// Records and logs.
    pub state: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
    /// Sockets and locks.
    pub runtime: PathBuf,
    /// Settings.
    pub config: PathBuf,
}

impl Folders {
    /// Reads the environment. Makes nothing.
    ///
    /// # Errors
    /// [`FolderError::NoHome`].
    pub fn find() -> Result<Self, FolderError> {
        Self::from_environment(|name| std::env::var_os(name).map(PathBuf::from))
    }

    fn from_environment(var: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, FolderError> {
        let home = var("HOME").filter(|home| home.is_absolute());
        // The XDG base directory specification: a relative path is invalid and ignored.
        let xdg = |name| var(name).filter(|path| path.is_absolute());
        let below = |what, variable, default: &str| {
            let base = xdg(variable).or_else(|| Some(home.as_ref()?.join(default)));
            base.map(|base| base.join("ampoule"))
                .ok_or(FolderError::NoHome { what, variable })
        };
        let runtime = xdg("XDG_RUNTIME_DIR").map_or_else(default_runtime, |d| d.join("ampoule"));
        Ok(Self {
            data: below("data", "XDG_DATA_HOME", ".local/share")?,
            state: below("state", "XDG_STATE_HOME", ".local/state")?,
            cache: below("cache", "XDG_CACHE_HOME", ".cache")?,
            config: below("configuration", "XDG_CONFIG_HOME", ".config")?,
            runtime,
        })
    }

    /// All of them in one folder, for tests.
    #[cfg(test)]
    pub(crate) fn below(dir: &Path) -> Self {
        let below = |name: &str| dir.join(name);
        Self {
            data: below("d"),
            state: below("s"),
            cache: below("c"),
            runtime: below("r"),
            config: below("f"),
        }
    }

    /// The log folder of a task.
    #[must_use]
    pub fn task(&self, id: &str) -> PathBuf {
        self.state.join("tasks").join(id)
    }

    /// The socket folder of a task.
    #[must_use]
    pub fn sockets(&self, id: &str) -> PathBuf {
        self.runtime.join(id)
    }

    /// Makes the runtime folder, private, and checks whose it is: its fallback is below `/tmp`.
    ///
    /// # Errors
    /// [`FolderError::Make`], [`FolderError::Foreign`].
    pub fn make_runtime(&self) -> Result<(), FolderError> {
        make_private(&self.runtime)?;
        let failed = |source| FolderError::Make {
            path: self.runtime.clone(),
            source,
        };
        let meta = std::fs::symlink_metadata(&self.runtime).map_err(failed)?;
        if meta.uid() != geteuid().as_raw() || !meta.is_dir() {
            return Err(FolderError::Foreign {
                path: self.runtime.clone(),
                owner: meta.uid(),
            });
        }
        // Made by something else, for others to enter: the sockets in it are this user's alone.
        if meta.mode() & 0o077 != 0 {
            let private = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(&self.runtime, private).map_err(failed)?;
        }
        Ok(())
    }
}

fn default_runtime() -> PathBuf {
    let uid = geteuid();
    if uid.is_root() {
        PathBuf::from("/run/ampoule")
    } else {
        PathBuf::from(format!("/tmp/ampoule-{}", uid.as_raw()))
    }
}

/// Makes a folder that only its owner may enter, and those above it.
///
/// # Errors
/// [`FolderError::Make`].
pub fn make_private(path: &Path) -> Result<(), FolderError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| FolderError::Make {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Result<Folders, FolderError> {
        Folders::from_environment(|name| {
            vars.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| PathBuf::from(v))
        })
    }

    #[test]
    fn defaults_are_below_home() {
        let folders = with(&[("HOME", "/h")]).unwrap();
        assert_eq!(folders.data, Path::new("/h/.local/share/ampoule"));
        assert_eq!(folders.state, Path::new("/h/.local/state/ampoule"));
        assert_eq!(folders.cache, Path::new("/h/.cache/ampoule"));
    }

    #[test]
    fn xdg_variables_win_unless_relative() {
        let vars = [
            ("HOME", "/h"),
            ("XDG_DATA_HOME", "/d"),
            ("XDG_STATE_HOME", "s"),
        ];
        let folders = with(&vars).unwrap();
        assert_eq!(folders.data, Path::new("/d/ampoule"));
        assert_eq!(folders.state, Path::new("/h/.local/state/ampoule"));
    }

    #[test]
    fn a_runtime_folder_that_others_may_enter_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let folders = with(&[("HOME", path), ("XDG_RUNTIME_DIR", path)]).unwrap();
        std::fs::create_dir(&folders.runtime).unwrap();
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&folders.runtime, open).unwrap();
        folders.make_runtime().unwrap();
        let mode = std::fs::metadata(&folders.runtime).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn without_home_the_missing_variable_is_named() {
        let error = with(&[]).unwrap_err().to_string();
        assert!(error.contains("XDG_DATA_HOME"), "{error}");
    }
}
