// SPDX-License-Identifier: Apache-2.0
//! The server's kernel: the package Debian's `linux-image-amd64` points to, downloaded and
//! unpacked, never installed. Kept in the cache; removing the folder fetches the current one.
//! (The *cloud* flavour will not do: it has no 9p.)

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tools;

/// What the server loads before it mounts its root; what these depend on comes along.
const MODULES: [&str; 7] = [
    "virtio_pci",
    "virtio_console",
    "9pnet_virtio",
    "9p",
    "overlay",
    "kvm-amd",
    // For `benches`: how QEMU's guests reach their host.
    "vhost_vsock",
];

/// An unpacked kernel.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// The bootable file.
    pub(crate) vmlinuz: PathBuf,
    /// Modules in the order they are loaded.
    pub(crate) modules: Vec<PathBuf>,
}

/// The cached kernel, fetched first when there is none.
pub(crate) fn get() -> Result<Kernel> {
    let cache = tools::cache()?.join("kvmhost");
    let folder = cache.join("kernel");
    if !is_complete(&folder) {
        fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
        fetch(&cache, &folder)?;
    }
    let order = fs::read_to_string(folder.join("order"))?;
    let modules = order.lines().map(|name| folder.join(name)).collect();
    Ok(Kernel {
        vmlinuz: folder.join("vmlinuz"),
        modules,
    })
}

/// Whether it has every module that is wanted today.
fn is_complete(folder: &Path) -> bool {
    let order = fs::read_to_string(folder.join("order")).unwrap_or_default();
    let has = |name: &str| order.lines().any(|file| file == file_name(name));
    MODULES.iter().all(|name| has(name))
}

fn file_name(module: &str) -> String {
    format!("{}.ko", module.replace('-', "_"))
}

fn fetch(cache: &Path, folder: &Path) -> Result<()> {
    let package = package()?;
    eprintln!("kvmhost: fetching {package} into {}", cache.display());
    let work = tempfile::Builder::new()
        .prefix("fetch-")
        .tempdir_in(cache)?;
    let deb = tools::download(&package, work.path())?;
    let tree = work.path().join("tree");
    tools::output(Command::new("dpkg").arg("-x").args([&deb, &tree]))?;

    let done = work.path().join("done");
    fs::create_dir(&done)?;
    let boot = fs::read_dir(tree.join("boot"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            path.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("vmlinuz-"))
        })
        .context("the package has no kernel")?;
    fs::copy(boot, done.join("vmlinuz"))?;
    let order = collect_modules(&tree, &done)?;
    fs::write(done.join("order"), order.join("\n"))?;
    // Somebody else may have been faster: theirs is as good.
    if folder.exists() && !is_complete(folder) {
        fs::rename(folder, work.path().join("old"))?;
    }
    if let Err(error) = fs::rename(&done, folder)
        && !is_complete(folder)
    {
        return Err(error).with_context(|| format!("cannot make {}", folder.display()));
    }
    Ok(())
}

fn package() -> Result<String> {
    let depends = tools::output(Command::new("apt-cache").args(["depends", "linux-image-amd64"]))?;
    let found = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-"));
    found
        .map(str::to_owned)
        .context("linux-image-amd64 is not known to apt (run apt-get update)")
}

/// Copies the wanted modules, each after those it depends on, and returns their names in order.
fn collect_modules(tree: &Path, done: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    walk(tree, &mut files)?;
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    for name in MODULES {
        add_module(name, &files, done, &mut (&mut seen, &mut order))?;
    }
    Ok(order)
}

type Loaded<'a> = (&'a mut HashSet<String>, &'a mut Vec<String>);

fn add_module(name: &str, files: &[PathBuf], done: &Path, loaded: &mut Loaded<'_>) -> Result<()> {
    let name = name.replace('-', "_");
    if !loaded.0.insert(name.clone()) {
        return Ok(());
    }
    let Some(file) = files
        .iter()
        .find(|path| module_name(path).as_deref() == Some(&name))
    else {
        bail!("the kernel package has no module {name}");
    };
    let bytes = if file.extension().is_some_and(|e| e == "xz") {
        let done = Command::new("xz")
            .arg("-dc")
            .arg(file)
            .output()
            .context("cannot start xz")?;
        done.stdout
    } else {
        fs::read(file)?
    };
    for needed in depends(&bytes) {
        add_module(&needed, files, done, loaded)?;
    }
    let target = file_name(&name);
    fs::write(done.join(&target), bytes)?;
    loaded.1.push(target);
    Ok(())
}

fn module_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name
        .strip_suffix(".ko")
        .or_else(|| name.strip_suffix(".ko.xz"))?;
    Some(stem.replace('-', "_"))
}

/// The names in a module's `depends=` entry: NUL-terminated text in its section `.modinfo`, which
/// saves a depmod run on a kernel that is not installed.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let rest = module
        .get(at.saturating_add(KEY.len())..)
        .unwrap_or_default();
    let value = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_of_a_module_with_two_is_both() {
        let module = b"\x7fELF..\0license=GPL\0depends=9pnet,netfs\0retpoline=Y\0";
        assert_eq!(depends(module), ["9pnet", "netfs"]);
    }

    #[test]
    fn depends_of_a_module_without_is_empty() {
        assert!(depends(b"\0depends=\0name=virtio\0").is_empty());
        assert!(depends(b"\0name=virtio\0").is_empty());
    }

    #[test]
    fn kernel_without_a_module_that_is_wanted_is_not_complete() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_complete(dir.path()));
        let mut order: Vec<_> = MODULES.iter().map(|name| file_name(name)).collect();
        fs::write(dir.path().join("order"), order.join("\n")).unwrap();
        assert!(is_complete(dir.path()));
        order.pop();
        fs::write(dir.path().join("order"), order.join("\n")).unwrap();
        assert!(!is_complete(dir.path()));
    }

    #[test]
    fn module_name_maps_dash_and_compression() {
        assert_eq!(
            module_name(Path::new("a/kvm-amd.ko.xz")).as_deref(),
            Some("kvm_amd")
        );
        assert_eq!(module_name(Path::new("a/9p.ko")).as_deref(), Some("9p"));
        assert_eq!(module_name(Path::new("a/modules.order")), None);
    }
}
