// SPDX-License-Identifier: Apache-2.0
//! The cache of builds: a folder for each list of inputs, named by its hash, there only when whole.

use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{BuildDirs, Built};

/// Why the cache could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", .path.display())]
pub struct CacheError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    move |source| CacheError {
        action,
        path: path.to_owned(),
        source,
    }
}

/// What a build is made from.
#[derive(Debug, Default)]
pub(super) struct Inputs(Vec<(String, String)>);

impl Inputs {
    pub(super) fn add(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// Adds a file by its digest.
    pub(super) fn add_file(&mut self, name: &str, path: &Path) -> Result<(), CacheError> {
        self.add(name, digest(path)?);
        Ok(())
    }

    /// One line each; a value's own line ends are escaped, so that no two lists look the same.
    fn text(&self) -> String {
        self.0
            .iter()
            .fold(String::new(), |mut text, (name, value)| {
                let _ = writeln!(text, "{name} = {value:?}");
                text
            })
    }

    fn hash(&self) -> String {
        hex(&Sha256::digest(self.text()))
    }
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn digest(path: &Path) -> Result<String, CacheError> {
    let mut file = File::open(path).map_err(failed("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(failed("read", path))? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

pub(super) fn text_digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The file `name` of the build of `inputs`, found or made by `make` in the folder it is given.
pub(super) fn find_or_make<E: From<CacheError>>(
    dirs: &BuildDirs<'_>,
    name: &str,
    inputs: Inputs,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<Built, E> {
    let builds = dirs.cache.join("build");
    let folder = builds.join(inputs.hash());
    let path = folder.join(name);
    if path.is_file() {
        return Ok(Built {
            path,
            inputs: inputs.0,
            reused: true,
        });
    }
    fs::create_dir_all(&builds).map_err(failed("make", &builds))?;
    let _turn = take_turn(dirs, &folder.with_extension("lock"))?;
    if path.is_file() {
        return Ok(Built {
            path,
            inputs: inputs.0,
            reused: true,
        });
    }
    let work = Work::begin(folder.with_extension("making"))?;
    let done = work.0.join("done");
    fs::create_dir(&done).map_err(failed("make", &done))?;
    make(&done)?;
    fs::write(done.join("inputs"), inputs.text()).map_err(failed("write", &done))?;
    fs::rename(&done, &folder).map_err(failed("make", &folder))?;
    Ok(Built {
        path,
        inputs: inputs.0,
        reused: false,
    })
}

/// The folder of a build under way. Its name is the build's, so that what a killed one left (a
/// kernel's tree is 1.5 GB) goes when it is tried again; whoever has one has the build's lock.
struct Work(PathBuf);

impl Work {
    fn begin(path: PathBuf) -> Result<Self, CacheError> {
        remove_all(&path)?;
        fs::create_dir(&path).map_err(failed("make", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What stays is removed by the next attempt.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn remove_all(folder: &Path) -> Result<(), CacheError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Waits until nobody else makes the same: a second kernel build would only slow the first. The
/// lock ends with the file's descriptor, so also with a process that is killed; the empty file
/// stays, since removing it would let two in.
fn take_turn(dirs: &BuildDirs<'_>, lock: &Path) -> Result<File, CacheError> {
    let file = File::create(lock).map_err(failed("make", lock))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            (dirs.progress)("waiting for another process that builds the same");
            file.lock().map_err(failed("lock", lock))?;
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock", lock)(error)),
    }
    Ok(file)
}

/// Removes the build of `inputs`, if there is one.
pub(super) fn remove(dirs: &BuildDirs<'_>, inputs: &Inputs) -> Result<(), CacheError> {
    remove_all(&dirs.cache.join("build").join(inputs.hash()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(value: &str) -> Inputs {
        let mut inputs = Inputs::default();
        inputs.add("a", value);
        inputs
    }

    #[test]
    fn same_inputs_are_made_once() {
        let cache = tempfile::tempdir().unwrap();
        let dirs = BuildDirs {
            cache: cache.path(),
            progress: &|_| {},
        };
        let make = |folder: &Path| {
            fs::write(folder.join("f"), "x").unwrap();
            Ok::<_, CacheError>(())
        };
        assert!(!find_or_make(&dirs, "f", inputs("1"), make).unwrap().reused);
        assert!(find_or_make(&dirs, "f", inputs("1"), make).unwrap().reused);
        assert!(!find_or_make(&dirs, "f", inputs("2"), make).unwrap().reused);
    }

    #[test]
    fn failed_build_leaves_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let dirs = BuildDirs {
            cache: cache.path(),
            progress: &|_| {},
        };
        let made = find_or_make(&dirs, "f", inputs("1"), |folder| {
            fs::write(folder.join("f"), "half").unwrap();
            Err(failed("write", folder)(io::ErrorKind::StorageFull.into()))
        });
        assert!(made.is_err());
        let left = fs::read_dir(cache.path().join("build")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().path()).collect();
        assert!(
            left.iter().all(|path| path.extension().unwrap() == "lock"),
            "{left:?}"
        );
    }

    #[test]
    fn leftover_of_a_killed_build_is_replaced() {
        let cache = tempfile::tempdir().unwrap();
        let dirs = BuildDirs {
            cache: cache.path(),
            progress: &|_| {},
        };
        let left = cache
            .path()
            .join("build")
            .join(inputs("1").hash())
            .with_extension("making");
        fs::create_dir_all(left.join("done/work")).unwrap();
        let built = find_or_make(&dirs, "f", inputs("1"), |folder| {
            fs::write(folder.join("f"), "x").unwrap();
            Ok::<_, CacheError>(())
        });
        assert!(built.unwrap().path.is_file());
        assert!(!left.exists());
    }

    #[test]
    fn two_at_once_make_it_once() {
        let cache = tempfile::tempdir().unwrap();
        let made = std::sync::atomic::AtomicU32::new(0);
        let build = || {
            let dirs = BuildDirs {
                cache: cache.path(),
                progress: &|_| {},
            };
            find_or_make(&dirs, "f", inputs("1"), |folder| {
                made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(50));
                fs::write(folder.join("f"), "x").unwrap();
                Ok::<_, CacheError>(())
            })
            .unwrap()
        };
        std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(build))));
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn value_with_a_newline_is_not_two_inputs() {
        let mut two = inputs("1");
        two.add("b", "2");
        assert_ne!(inputs("1\"\nb = \"2").hash(), two.hash());
    }
}
