// SPDX-License-Identifier: Apache-2.0
//! A recipe to an image: the system it begins with, its files, what every guest of ours has.

use std::path::Path;

use super::busybox::{self, BusyboxError};
use super::cache::{self, CacheError, Inputs, find_or_make};
use super::debian::{self, DebianError, Sources};
use super::{BuildDirs, Built, EPOCH, Recipe};
use crate::erofs::{self, WriteError, WriteOptions};
use crate::tar::{self, TarError, TarLimits};
use crate::tree::{Content, ContentError, Meta, Node, Time, Tree, TreeError};

/// Changes when the same inputs give another image than before.
const VERSION: &str = "2";

/// The task's user in the guest.
const AGENT: u32 = 1000;

const TIME: Time = Time::seconds(EPOCH);

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The Debian part failed.
    #[error(transparent)]
    Debian(#[from] DebianError),
    /// busybox cannot be put in.
    #[error(transparent)]
    Busybox(#[from] BusyboxError),
    /// The system's tar cannot be read.
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
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Builds the image of a recipe, or finds it in the cache. `init` is the program of ours that
/// every image holds, built for the guest. Packages come from `sources`, or else
/// from where this machine's own come from.
pub fn build(
    recipe: &Recipe,
    init: &Path,
    sources: Option<&Sources>,
    dirs: &BuildDirs<'_>,
) -> Result<Built, ImageError> {
    let mut inputs = Inputs::default();
    inputs.add("recipe", format!("image {VERSION}"));
    inputs.add("format", erofs::FORMAT_VERSION.to_string());
    inputs.add_file("init", init)?;
    for file in &recipe.files {
        let described = format!("{:o} {} {}", file.mode, file.owner, file.content);
        inputs.add(&file.path.to_string_lossy(), described);
    }
    if recipe.busybox {
        inputs
            .add_file("busybox", Path::new(busybox::PATH))
            .map_err(|_| BusyboxError::Missing)?;
    }
    let root = match &recipe.debian {
        Some(debian) => Some(debian_root(debian, sources, dirs)?),
        None => None,
    };
    if let Some(root) = &root {
        inputs.add("root.tar", cache::digest(&root.path)?);
        for package in debian::packages(root)?.lines() {
            let (name, version) = package.split_once('=').unwrap_or((package, ""));
            inputs.add(&format!("package {name}"), version);
        }
    }
    find_or_make(dirs, "image.erofs", inputs, |done| {
        (dirs.progress)(&format!("image: writing {}", recipe.description));
        let tree = tree(recipe, init, root.as_ref().map(|root| root.path.as_path()))?;
        let options = WriteOptions {
            build_time: TIME,
            ..WriteOptions::default()
        };
        erofs::write(&tree, &options, &done.join("image.erofs"))?;
        Ok(())
    })
}

fn debian_root(
    debian: &debian::Debian,
    sources: Option<&Sources>,
    dirs: &BuildDirs<'_>,
) -> Result<Built, DebianError> {
    match sources {
        Some(sources) => debian::root(debian, sources, dirs),
        None => debian::root(debian, &Sources::of_this_machine()?, dirs),
    }
}

fn tree(recipe: &Recipe, init: &Path, root: Option<&Path>) -> Result<Tree, ImageError> {
    let mut tree = match root {
        Some(root) => {
            let mut tree = tar::read(root, &TarLimits::default())?.tree;
            forget_build(&mut tree)?;
            tree
        }
        None => Tree::new(Meta::new(0o755).at(TIME)),
    };
    if recipe.busybox {
        busybox::add(&mut tree, TIME)?;
    }
    furnish(&mut tree)?;
    for file in &recipe.files {
        let content = file.content.strip_prefix('\n').unwrap_or(&file.content);
        let meta = Meta::new(file.mode).owned(file.owner, file.owner).at(TIME);
        tree.insert(
            &file.path,
            Node::file(meta, Content::bytes(content.as_bytes())),
        )?;
    }
    own_program(&mut tree, Content::file(init)?)?;
    tree.clamp_mtimes(TIME);
    Ok(tree)
}

/// Our program: PID 1 where nothing of a task leads to, and the command `ampoule-agent`.
pub fn own_program(tree: &mut Tree, init: Content) -> Result<(), TreeError> {
    let init = Node::file(Meta::new(0o755).at(TIME), init);
    let init = tree.insert("/.ampoule/init", init)?;
    tree.link(init, "/usr/local/bin/ampoule-agent")
}

/// Takes away what only the installation needed or wrote.
fn forget_build(tree: &mut Tree) -> Result<(), TreeError> {
    for path in ["/var/cache", "/var/lib/apt", "/var/log"] {
        tree.remove(path)?;
        tree.insert(path, Node::dir(Meta::new(0o755).at(TIME)))?;
    }
    Ok(())
}

/// What every guest has: mount points, the folders guest-init works in, a home, a name for
/// localhost. What is there of the machine that built it goes.
pub fn furnish(tree: &mut Tree) -> Result<(), TreeError> {
    let folder = |mode| Node::dir(Meta::new(mode).at(TIME));
    for path in [
        "/dev",
        "/etc/machine-id",
        "/etc/resolv.conf",
        "/proc",
        "/run",
        "/sys",
        "/tmp",
    ] {
        tree.remove(path)?;
    }
    for path in [
        "/.ampoule",
        "/.ampoule/lower",
        "/.ampoule/root",
        "/.ampoule/rw",
        "/dev",
        "/etc",
        "/home",
        "/proc",
        "/run",
        "/sys",
        "/usr/local/bin",
    ] {
        tree.insert(path, folder(0o755))?;
    }
    tree.insert("/root", folder(0o700))?;
    tree.insert("/tmp", folder(0o1777))?;
    tree.insert("/var/tmp", folder(0o1777))?;
    for path in ["/home/agent", "/workspace"] {
        tree.insert(
            path,
            Node::dir(Meta::new(0o755).owned(AGENT, AGENT).at(TIME)),
        )?;
    }
    // The guest's own name is another for each task. A file of the image would have to be read from
    // the drive and copied to have it.
    let hosts = Node::symlink(Meta::new(0o777).at(TIME), "../run/hosts".as_bytes());
    tree.insert("/etc/hosts", hosts)?;
    let name = Content::bytes("ampoule\n".as_bytes());
    tree.insert("/etc/hostname", Node::file(Meta::new(0o644).at(TIME), name))?;
    Ok(())
}
