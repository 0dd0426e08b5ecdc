// SPDX-License-Identifier: Apache-2.0
//! The image of a task's folder, kept by the state of the folder.
//!
//! Which files it has, who owns them, what is left out: `images::folder` has the rules. Here is
//! the cache: bounded, the longest unused goes first. One that a guest has open lives on without
//! its name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use images::folder::{self, ScanOptions, Skipped};

use crate::folders::{FolderError, Folders, make_private};

/// Bytes that unused images may take together.
const KEEP: u64 = 8 << 30;

/// What is left of a write that was interrupted is kept so long.
const UNFINISHED: Duration = Duration::from_secs(24 * 60 * 60);

/// Why there is no image of the workspace.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// It is not there, or no folder.
    #[error("the workspace {} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The cache's folder is not to be had.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It cannot be made.
    #[error("the workspace cannot be used")]
    Image(#[from] folder::ImageError),
    /// It was made and cannot be opened.
    #[error("cannot open the workspace's image {}", path.display())]
    Open {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// An open image of a workspace.
#[derive(Debug)]
pub struct Workspace {
    /// The image.
    pub file: File,
    /// What was left out.
    pub skipped: Skipped,
}

/// Makes the image of `folder`, or finds it.
///
/// # Errors
/// As [`WorkspaceError`] says.
pub fn open(folders: &Folders, folder: &Path) -> Result<Workspace, WorkspaceError> {
    if !folder.is_dir() {
        return Err(WorkspaceError::NotAFolder(folder.to_owned()));
    }
    let cache = folders.cache.join("workspaces");
    make_private(&cache)?;
    let image = folder::image(folder, &ScanOptions::default(), &cache)?;
    let file = File::open(&image.path);
    let file = file.map_err(|source| WorkspaceError::Open {
        path: image.path.clone(),
        source,
    })?;
    if image.reused {
        // The time of a cached image is that of its last use.
        let _ = file.set_modified(SystemTime::now());
    } else {
        let _ = trim(&cache, KEEP);
    }
    Ok(Workspace {
        file,
        skipped: image.skipped,
    })
}

/// Removes the longest unused images until the rest takes no more than `keep` bytes; the one
/// used last always stays.
fn trim(cache: &Path, keep: u64) -> io::Result<()> {
    let mut images = Vec::new();
    for entry in fs::read_dir(cache)?.flatten() {
        let (path, meta) = (entry.path(), entry.metadata()?);
        let used = meta.modified()?;
        if path
            .extension()
            .is_some_and(|extension| extension == "erofs")
        {
            images.push((used, meta.len(), path));
        } else if used.elapsed().is_ok_and(|age| age > UNFINISHED) {
            fs::remove_file(path)?;
        }
    }
    images.sort_by(|a, b| b.cmp(a));
    let mut total = 0u64;
    for (index, (_, bytes, path)) in images.into_iter().enumerate() {
        total = total.saturating_add(bytes);
        if index > 0 && total > keep {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_go_first_and_the_last_used_stays() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for (name, age) in [("a", 30), ("b", 20), ("c", 10)] {
            let file = File::create(dir.path().join(format!("{name}.erofs"))).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(now - Duration::from_secs(age)).unwrap();
        }
        let names = || {
            let mut names: Vec<_> = fs::read_dir(dir.path())
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        trim(dir.path(), 250).unwrap();
        assert_eq!(names(), ["b.erofs", "c.erofs"]);
        trim(dir.path(), 0).unwrap();
        assert_eq!(names(), ["c.erofs"]);
    }

    #[test]
    fn a_file_is_no_workspace() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let folders = Folders {
            data: dir.path().into(),
            state: dir.path().into(),
            cache: dir.path().join("c"),
            runtime: dir.path().into(),
            config: dir.path().into(),
        };
        let error = open(&folders, &file).unwrap_err().to_string();
        assert!(error.contains(file.to_str().unwrap()), "{error}");
    }
}
