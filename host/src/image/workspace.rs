// SPDX-License-Identifier: Apache-2.0
//! The image of a task's folder, kept by the state of the folder.
//!
//! Which files it has, who owns them, what is left out: `images::folder` has the rules. Here is
//! the cache. Every edited state of a folder leaves a whole image, so it is bounded: the
//! longest unused goes first, after a new one was written. The time of a file is that of its last
//! use, which costs one system call to keep and needs no list.
//!
//! Nothing locks the cache. Several `ampoule` may write, use and remove at once: a guest has its
//! image open, and an open file lives on without its name; one that is removed between being
//! found and being opened is made again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use images::folder::{self, Image, ImageError, ScanOptions, Skipped};

use crate::folders::{FolderError, Folders, make_private};

/// What the cache may hold, besides images [in use](IN_USE).
///
/// Both numbers are about how far back a use is likely: an image fits one state of one folder
/// only, so the old ones of a folder that is worked on serve nobody. 32 leave room for that many
/// unchanged folders side by side, or versions gone back to. 8 GiB is what a server or a laptop
/// can spare, and half of the largest workspace there may be: that one is kept while it is used.
const BOUND: Bound = Bound {
    bytes: 8 << 30,
    images: 32,
};

/// One that was used within this time stays, whatever the bound: tasks that start together, each
/// on a folder of its own, shall not push out one another's.
const IN_USE: Duration = Duration::from_secs(60);

/// What is left of a write that was interrupted is kept so long.
const UNFINISHED: Duration = Duration::from_secs(24 * 60 * 60);

/// How often an image is looked for that others keep removing. They remove the longest unused, so
/// a second time is rare already.
const ATTEMPTS: u32 = 3;

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
    Image(#[from] ImageError),
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
    let cache = cache_folder(folders);
    make_private(&cache)?;
    let (image, file) = find_and_open(|| folder::image(folder, &ScanOptions::default(), &cache))?;
    // A cache that is not tended costs space, not the task.
    if image.reused {
        let _ = file.set_modified(SystemTime::now());
    } else {
        let _ = trim(&cache, BOUND);
    }
    Ok(Workspace {
        file,
        skipped: image.skipped,
    })
}

/// Removes the images that nobody used for as long as `older`; how many.
///
/// # Errors
/// The cache cannot be listed, or one of them not removed. The others are, all the same.
pub fn prune(folders: &Folders, older: Duration) -> io::Result<usize> {
    let cache = cache_folder(folders);
    if !cache.try_exists()? {
        return Ok(0);
    }
    let files = files(&cache)?.into_iter();
    remove(files.filter(|file| file.is_image() && file.unused >= older))
}

fn cache_folder(folders: &Folders) -> PathBuf {
    folders.cache.join("workspaces")
}

/// Opens what `find` finds or makes, and asks again when it was removed in between.
fn find_and_open(
    mut find: impl FnMut() -> Result<Image, ImageError>,
) -> Result<(Image, File), WorkspaceError> {
    let mut attempts = 1;
    loop {
        let image = find()?;
        match File::open(&image.path) {
            Ok(file) => return Ok((image, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS => {
                attempts += 1;
            }
            Err(source) => {
                let path = image.path;
                return Err(WorkspaceError::Open { path, source });
            }
        }
    }
}

/// How much may be kept.
#[derive(Clone, Copy, Debug)]
struct Bound {
    bytes: u64,
    images: usize,
}

/// A file in the cache.
#[derive(Debug)]
struct Cached {
    /// How long ago it was used last; nothing for a time in the future, from a clock put back.
    unused: Duration,
    bytes: u64,
    path: PathBuf,
}

impl Cached {
    /// Nothing if it is gone meanwhile.
    fn of(entry: &fs::DirEntry) -> Option<Self> {
        let meta = entry.metadata().ok()?;
        Some(Self {
            unused: meta.modified().ok()?.elapsed().unwrap_or_default(),
            bytes: meta.len(),
            path: entry.path(),
        })
    }

    fn is_image(&self) -> bool {
        let extension = self.path.extension();
        extension.is_some_and(|extension| extension == "erofs")
    }
}

fn last_used_first(mut images: Vec<Cached>) -> Vec<Cached> {
    images.sort_by(|a, b| (a.unused, &a.path).cmp(&(b.unused, &b.path)));
    images
}

fn files(cache: &Path) -> io::Result<Vec<Cached>> {
    let entries = fs::read_dir(cache)?.flatten();
    Ok(entries.filter_map(|entry| Cached::of(&entry)).collect())
}

/// Removes the longest unused images until the rest is within `bound`, and what interrupted
/// writes left.
fn trim(cache: &Path, bound: Bound) -> io::Result<usize> {
    let (found, others): (Vec<_>, Vec<_>) = files(cache)?.into_iter().partition(Cached::is_image);
    let unfinished = others.into_iter();
    let cleaned = remove(unfinished.filter(|file| file.unused > UNFINISHED));
    let (mut bytes, mut images) = (0u64, 0);
    let beyond = last_used_first(found).into_iter().filter(|image| {
        bytes = bytes.saturating_add(image.bytes);
        images += 1;
        let fits = bytes <= bound.bytes && images <= bound.images;
        !fits && image.unused >= IN_USE
    });
    remove(beyond).and(cleaned)
}

/// Removes `files`, as many as can be, and counts them; the error of the last that cannot. One
/// that is gone was removed by another `ampoule`.
fn remove(files: impl Iterator<Item = Cached>) -> io::Result<usize> {
    let mut removed = Ok(0);
    for Cached { path, .. } in files {
        match (fs::remove_file(path), &mut removed) {
            (Ok(()), Ok(count)) => *count += 1,
            (Err(error), _) if error.kind() != io::ErrorKind::NotFound => removed = Err(error),
            _ => {}
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60;

    fn folders(dir: &Path) -> Folders {
        Folders {
            data: dir.into(),
            state: dir.into(),
            cache: dir.into(),
            runtime: dir.into(),
            config: dir.into(),
        }
    }

    /// An image of 100 bytes that was used `age` seconds ago.
    fn used(cache: &Path, name: &str, age: u64) {
        let file = File::create(cache.join(format!("{name}.erofs"))).unwrap();
        file.set_len(100).unwrap();
        let then = SystemTime::now() - Duration::from_secs(age);
        file.set_modified(then).unwrap();
    }

    fn names(cache: &Path) -> Vec<String> {
        let entries = fs::read_dir(cache).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// A cache with an image of each age, in seconds.
    fn cache(ages: &[u64]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for age in ages {
            used(dir.path(), &age.to_string(), *age);
        }
        dir
    }

    #[test]
    fn the_longest_unused_go_first_by_bytes_and_by_number() {
        let bound = |bytes, images| Bound { bytes, images };
        let dir = cache(&[100, 200, 300, 400]);
        trim(dir.path(), bound(350, 32)).unwrap();
        assert_eq!(names(dir.path()), ["100.erofs", "200.erofs", "300.erofs"]);
        trim(dir.path(), bound(u64::MAX, 2)).unwrap();
        assert_eq!(names(dir.path()), ["100.erofs", "200.erofs"]);
    }

    #[test]
    fn one_that_was_just_used_stays_whatever_the_bound() {
        let dir = cache(&[5, 10, 100]);
        trim(
            dir.path(),
            Bound {
                bytes: 0,
                images: 0,
            },
        )
        .unwrap();
        assert_eq!(names(dir.path()), ["10.erofs", "5.erofs"]);
    }

    #[test]
    fn one_that_cannot_be_removed_keeps_no_other() {
        let dir = cache(&[100, 200]);
        for name in [".image-old", "a.erofs"] {
            let stuck = dir.path().join(name);
            fs::create_dir(&stuck).unwrap();
            let then = SystemTime::now() - 2 * UNFINISHED;
            File::open(&stuck).unwrap().set_modified(then).unwrap();
        }
        let none = Bound {
            bytes: 0,
            images: 0,
        };
        assert!(trim(dir.path(), none).is_err());
        assert_eq!(names(dir.path()), [".image-old", "a.erofs"]);
    }

    #[test]
    fn a_new_image_pushes_old_ones_out() {
        let dir = tempfile::tempdir().unwrap();
        let (work, cache) = (dir.path().join("work"), dir.path().join("workspaces"));
        fs::create_dir(&work).unwrap();
        fs::create_dir(&cache).unwrap();
        for age in 0..40 {
            used(&cache, &age.to_string(), HOUR + age);
        }
        open(&folders(dir.path()), &work).unwrap();
        assert_eq!(names(&cache).len(), BOUND.images);
        assert!(!cache.join("39.erofs").exists());
    }

    #[test]
    fn using_an_image_again_makes_it_young() {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        fs::create_dir(&work).unwrap();
        let folders = folders(dir.path());
        let first = open(&folders, &work).unwrap();
        let then = SystemTime::now() - Duration::from_secs(HOUR);
        first.file.set_modified(then).unwrap();
        open(&folders, &work).unwrap();
        let used = first.file.metadata().unwrap().modified().unwrap();
        assert!(used.elapsed().unwrap() < IN_USE);
    }

    #[test]
    fn an_image_that_another_removed_before_it_was_opened_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let (work, cache) = (dir.path().join("work"), dir.path().join("cache"));
        fs::create_dir(&work).unwrap();
        let mut found = 0;
        let find = || {
            let image = folder::image(&work, &ScanOptions::default(), &cache)?;
            found += 1;
            if found == 1 {
                fs::remove_file(&image.path).unwrap();
            }
            Ok(image)
        };
        let (image, _) = find_and_open(find).unwrap();
        assert!(image.path.exists());
        assert_eq!(found, 2);
    }

    #[test]
    fn pruning_takes_those_unused_for_so_long_and_counts_them() {
        let dir = tempfile::tempdir().unwrap();
        let folders = folders(dir.path());
        assert_eq!(prune(&folders, Duration::ZERO).unwrap(), 0);
        let cache = dir.path().join("workspaces");
        fs::create_dir(&cache).unwrap();
        for age in [1, 2 * HOUR, 3 * HOUR] {
            used(&cache, &age.to_string(), age);
        }
        assert_eq!(prune(&folders, Duration::from_secs(HOUR)).unwrap(), 2);
        assert_eq!(names(&cache), ["1.erofs"]);
        assert_eq!(prune(&folders, Duration::ZERO).unwrap(), 1);
    }

    #[test]
    fn a_file_is_no_workspace() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = open(&folders(dir.path()), &file).unwrap_err().to_string();
        assert!(error.contains(file.to_str().unwrap()), "{error}");
    }
}
