// SPDX-License-Identifier: Apache-2.0
//! What a guest is made of, open and checked before there is a task: kernel, image, workspace,
//! and a template of them if there is one.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::kvm;
use super::machine::{MachineError, VMM};
use super::task::{TaskError, prepare};
use crate::folders::Folders;
use crate::image::{Catalogue, ImageError, KERNEL, Kind, check, workspace};
use crate::pool::take::{Taken, take};
use crate::task::{Bytes, Spec};
use crate::template::{Cold, Key, Templates};
use crate::text::printable;

/// Memory that a kernel needs above its own end before it can start a process.
const ABOVE_KERNEL: u64 = 24 << 20;

/// The drives of a template's guest: the root, and one for a workspace.
const TEMPLATE_DRIVES: usize = 2;

/// The files that a guest is made of, open and checked.
#[derive(Debug)]
pub struct Files {
    pub(super) kvm: File,
    pub(super) kernel: Option<File>,
    /// The root, then the workspace; `None` for a drive without a medium.
    pub(super) drives: Vec<Option<File>>,
    pub(super) vmm: PathBuf,
    /// The guest as it is stored, or why there is none.
    pub(super) snapshot: Result<File, Cold>,
    /// A guest that waited, once it was taken.
    pub(super) taken: Option<Taken>,
    /// Why none was taken though there is a pool.
    pub(super) no_pool: Option<String>,
    /// Under which a template is stored.
    pub(super) key: Option<Key>,
    /// The image's own environment.
    pub(super) env: Vec<Bytes>,
}

impl Files {
    /// Opens and checks everything that `spec` names. Says on stderr what of the workspace is
    /// left out.
    ///
    /// # Errors
    /// As [`TaskError`] says; nothing was changed.
    pub fn open(folders: &Folders, spec: &Spec) -> Result<Self, TaskError> {
        let kvm = kvm::open()?;
        let catalogue = Catalogue::new(folders);
        let (kernel_is, kernel) = catalogue.open(KERNEL, Kind::Kernel)?;
        let (image, root) = catalogue.open(&spec.image, Kind::Image)?;
        fits(&kernel, spec.resources.memory_mib)?;
        let mut drives = vec![Some(root)];
        if let Some(folder) = &spec.workspace {
            let workspace = workspace::open(folders, folder)?;
            for (path, why) in &workspace.skipped.named {
                let path = printable(&path.to_string_lossy());
                eprintln!("ampoule: left out of the workspace: {path} ({why})");
            }
            let more = usize::try_from(workspace.skipped.count).unwrap_or(usize::MAX);
            match more.saturating_sub(workspace.skipped.named.len()) {
                0 => {}
                more => eprintln!("ampoule: left out of the workspace: {more} more"),
            }
            drives.push(Some(workspace.file));
        }
        let vmm = vmm_binary()?;
        let digests = (image.sha256.as_str(), kernel_is.sha256.as_str());
        let key = Key::new(digests, &spec.resources, &vmm).map_err(prepare("look at", &vmm))?;
        let snapshot = match (spec.cold, spec.debug_console) {
            (true, _) => Err(Cold::Asked),
            (_, true) => Err(Cold::Console),
            _ => Templates::new(folders).open(&key),
        };
        if snapshot.is_ok() {
            // A template's guest has a drive for a workspace, whether there is one or not.
            drives.resize_with(TEMPLATE_DRIVES, || None);
        }
        let env = image
            .env
            .iter()
            .map(|(name, value)| Bytes::Text(format!("{name}={value}")));
        Ok(Self {
            kvm,
            kernel: Some(kernel),
            drives,
            vmm,
            snapshot,
            taken: None,
            no_pool: None,
            key: Some(key),
            env: env.collect(),
        })
    }

    /// Takes a guest of this kind from its pool, if there is one.
    pub(super) fn take_from_pool(&mut self, folders: &Folders) {
        // Only where a template would do: a guest that waits is one of its guests.
        let (Some(key), Ok(_)) = (&self.key, &self.snapshot) else {
            return;
        };
        match take(folders, key) {
            Ok(taken) => self.taken = taken,
            Err(error) => self.no_pool = Some(crate::cli::chain(&error)),
        }
    }

    /// What a copy of a running guest is made of.
    ///
    /// # Errors
    /// As [`TaskError`] says; nothing was changed.
    pub fn of_copy(snapshot: File, drives: Vec<Option<File>>) -> Result<Self, TaskError> {
        Ok(Self {
            kvm: kvm::open()?,
            kernel: None,
            drives,
            vmm: vmm_binary()?,
            snapshot: Ok(snapshot),
            taken: None,
            no_pool: None,
            key: None,
            env: Vec::new(),
        })
    }
}

pub(crate) fn vmm_binary() -> Result<PathBuf, TaskError> {
    let folder = binaries().map_err(prepare("find ampoule-vmm", Path::new("/proc/self")))?;
    let vmm = folder.join(VMM);
    match vmm.is_file() {
        true => Ok(vmm),
        false => Err(MachineError::NoVmm(vmm).into()),
    }
}

fn fits(kernel: &File, memory_mib: u32) -> Result<(), TaskError> {
    let damaged = |source| {
        let name = KERNEL.to_owned();
        TaskError::Image(ImageError::Damaged {
            what: Kind::Kernel,
            name,
            source,
        })
    };
    let end = check::kernel_end(kernel).map_err(damaged)?;
    let least = end.saturating_add(ABOVE_KERNEL).div_ceil(1 << 20);
    if u64::from(memory_mib) < least {
        return Err(TaskError::Memory {
            given: memory_mib,
            least,
        });
    }
    Ok(())
}

/// The folder of this executable, where the other three belong.
///
/// # Errors
/// When the system does not tell.
pub fn binaries() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().map(Path::to_owned).unwrap_or_default())
}
