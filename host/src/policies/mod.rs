// SPDX-License-Identifier: Apache-2.0
//! The policies in force: whose they are and where they lie.
//!
//! | folder | when | may |
//! | --- | --- | --- |
//! | `/etc/ampoule/policy` | it is there | permit and forbid, set limits |
//! | `policy` in the user's configuration | the one above is not there: one's own machine | the same |
//! | the same | the one above is there | forbid |
//! | a file that a caller names | always | forbid |
//!
//! A folder holds `*.cedar`, `limits.toml`, and examples in `tests`. What is in the workspace is
//! never read as policy: the agent writes there.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use policy::judge::Judge;
use policy::risk::Model;
use policy::verdict::examples::{self, Example};
use policy::verdict::{By, Engine, Limits, LoadError, Source};

use crate::folders::Folders;

/// Where the operator's policies lie.
const SYSTEM: &str = "/etc/ampoule/policy";

/// Longest policy file that is read; the engine has limits of its own below it.
const LONGEST: u64 = 1 << 20;

/// Why there are no policies to judge by. Nothing is judged then.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file is there but cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that anybody may write decides nothing.
    #[error("{} may be written by everybody, so it is no policy; take that right away (chmod o-w)", .0.display())]
    Writable(PathBuf),
    /// It would be taken for a policy and is none.
    #[error("{} is not read: policies are *.cedar in the folder itself, numbers limits.toml, examples in tests; rename it or move it away", .0.display())]
    NotRead(PathBuf),
    /// It lies where the agent writes.
    #[error("{} is in the workspace, where the agent writes; keep policies elsewhere", .0.display())]
    InWorkspace(PathBuf),
    /// It is not fit to be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A name that is no text.
    #[error("{} is not a name in UTF-8; rename it", .0.display())]
    Name(PathBuf),
}

/// The policies in force and the files they are in.
#[derive(Debug)]
pub struct InForce {
    /// What judges.
    pub judge: Judge,
    /// The files read, in order.
    pub files: Vec<PathBuf>,
}

/// A file's name and text.
type Text = (String, String, By);

/// Loads the operator's policies and what a caller adds.
///
/// # Errors
///
/// The first file that cannot be read or is not fit: nothing is in force then.
pub fn load(
    folders: &Folders,
    added: &[PathBuf],
    workspace: Option<&Path>,
    model: Model,
) -> Result<InForce, PolicyError> {
    let operator = folder(folders)?;
    let mut more = Vec::new();
    if operator == Path::new(SYSTEM) {
        more = listed(&folders.config.join("policy"), "cedar")?;
    }
    more.extend_from_slice(added);
    of_folder(&operator, &more, workspace, model)
}

/// Loads a folder as the operator's, and files that may only forbid.
///
/// # Errors
///
/// As [`load`].
pub fn of_folder(
    operator: &Path,
    added: &[PathBuf],
    workspace: Option<&Path>,
    model: Model,
) -> Result<InForce, PolicyError> {
    let mut texts: Vec<Text> = Vec::new();
    only_known(operator)?;
    let mut files = listed(operator, "cedar")?;
    for path in &files {
        texts.push(named(path, By::Operator, workspace)?);
    }
    for path in added {
        texts.push(named(path, By::Addition, workspace)?);
        files.push(path.clone());
    }
    let limits = operator.join("limits.toml");
    let limits = if limits.symlink_metadata().is_ok() {
        let (name, text, _) = named(&limits, By::Operator, workspace)?;
        files.push(limits);
        Limits::parse(&name, &text)?
    } else {
        Limits::default()
    };
    let sources: Vec<Source<'_>> = texts
        .iter()
        .map(|(name, text, by)| Source {
            name,
            text,
            by: *by,
        })
        .collect();
    let engine = Engine::load(limits.built_in, &sources)?;
    let judge = Judge {
        engine,
        model,
        limits,
    };
    Ok(InForce { judge, files })
}

/// Whether a folder holds policies.
#[must_use]
pub fn is_policies(folder: &Path) -> bool {
    listed(folder, "cedar").is_ok_and(|files| !files.is_empty())
}

/// The examples in a folder or file, folders by the names of their files.
///
/// # Errors
///
/// A file that cannot be read or is not of the form.
pub fn examples_in(path: &Path) -> Result<Vec<Example>, PolicyError> {
    let files = if path.is_dir() {
        listed(path, "toml")?
    } else {
        vec![path.to_owned()]
    };
    let mut all = Vec::new();
    for file in files {
        let (name, text, _) = named(&file, By::Operator, None)?;
        all.extend(examples::read(&name, &text)?);
    }
    Ok(all)
}

/// The folder of the operator's policies for this user.
///
/// # Errors
///
/// Not being allowed to look is not the same as nothing being there.
pub fn folder(folders: &Folders) -> Result<PathBuf, PolicyError> {
    let system = PathBuf::from(SYSTEM);
    match fs::symlink_metadata(&system) {
        Ok(_) if system.is_dir() => Ok(system),
        Ok(_) => Ok(folders.config.join("policy")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(folders.config.join("policy")),
        Err(source) => Err(PolicyError::Read {
            path: system,
            source,
        }),
    }
}

/// Refuses a folder that everybody may write, and one with files that would be taken for policies
/// and are not: `policy.ceder`, policies in a folder of their own.
fn only_known(folder: &Path) -> Result<(), PolicyError> {
    let failed = |source| PolicyError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mode = fs::metadata(folder).map_err(failed)?.mode();
    if mode & 0o002 != 0 {
        return Err(PolicyError::Writable(folder.to_owned()));
    }
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let known = name == "limits.toml"
            || name == "tests"
            || name.starts_with('.')
            || matches!(ending, Some("cedar" | "md" | "txt" | "bak"));
        if !known {
            return Err(PolicyError::NotRead(path));
        }
    }
    Ok(())
}

/// The files of an ending in a folder, by name; none when it is not there.
fn listed(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, PolicyError> {
    let failed = |source| PolicyError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|found| found == ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Refuses a file that lies where the agent writes.
///
/// # Errors
///
/// [`PolicyError::InWorkspace`], or it cannot be told.
pub fn outside(path: &Path, workspace: &Path) -> Result<(), PolicyError> {
    let failed = |source| PolicyError::Read {
        path: path.to_owned(),
        source,
    };
    let real = path.canonicalize().map_err(failed)?;
    // Where the link lies counts as well: the agent may point it elsewhere.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let lies = folder
        .unwrap_or(Path::new("."))
        .canonicalize()
        .map_err(failed)?;
    let inside = |workspace: PathBuf| real.starts_with(&workspace) || lies.starts_with(&workspace);
    if workspace.canonicalize().is_ok_and(inside) {
        return Err(PolicyError::InWorkspace(path.to_owned()));
    }
    Ok(())
}

/// The files and folders that what [`load`] gives depends on, whether they are there or not.
///
/// # Errors
///
/// As [`load`], where a folder cannot be looked at.
pub fn watched(folders: &Folders, added: &[PathBuf]) -> Result<Vec<PathBuf>, PolicyError> {
    let (operator, own) = (folder(folders)?, folders.config.join("policy"));
    let mut all = vec![PathBuf::from(SYSTEM), operator.join("limits.toml")];
    for folder in [operator, own] {
        all.extend(listed(&folder, "cedar")?);
        all.push(folder);
    }
    all.extend_from_slice(added);
    all.sort();
    all.dedup();
    Ok(all)
}

fn named(path: &Path, by: By, workspace: Option<&Path>) -> Result<Text, PolicyError> {
    let failed = |source| PolicyError::Read {
        path: path.to_owned(),
        source,
    };
    if let Some(workspace) = workspace {
        outside(path, workspace)?;
    }
    // A FIFO would wait for its writer.
    let mut options = fs::File::options();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = file.map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("not a file")));
    }
    if metadata.mode() & 0o002 != 0 {
        return Err(PolicyError::Writable(path.to_owned()));
    }
    let mut text = String::new();
    file.take(LONGEST)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let name = path
        .to_str()
        .ok_or_else(|| PolicyError::Name(path.to_owned()))?;
    Ok((name.to_owned(), text, by))
}
