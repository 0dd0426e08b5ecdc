// SPDX-License-Identifier: Apache-2.0
//! QEMU's `microvm` machine without ACPI: virtio over MMIO, named on the command line by QEMU
//! itself, the nearest thing in QEMU to what we are. Its vsock is vhost's, in the host's kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::arrivals::Arrivals;
use super::files::Files;
use super::guest::Guest;
use super::{Monitor, find};

/// From Debian's package qemu-system-x86.
pub(super) const PROGRAM: &str = "qemu-system-x86_64";

const VHOST: &str = "/dev/vhost-vsock";

pub(super) struct Qemu {
    program: PathBuf,
    /// In the simulated server: QEMU as a copy in memory.
    local: Option<Local>,
    files: Files,
    /// A host knows a guest by its CID, and frees it some time after the guest is gone.
    cid: u32,
}

impl Qemu {
    pub(super) fn new(program: PathBuf, files: &Files) -> Result<Self> {
        ensure!(
            Path::new(VHOST).exists(),
            "there is no {VHOST}: load the module vhost_vsock"
        );
        let simulated = std::env::var_os("AMPOULE_SIMULATED").is_some();
        Ok(Self {
            local: simulated.then(|| Local::copy(&program)).transpose()?,
            program,
            files: files.clone(),
            cid: 100,
        })
    }

    fn command(&self) -> Command {
        let Files {
            kernel,
            root,
            memory_mib,
            words,
            patience: _,
        } = &self.files;
        // In an option's value a comma is written twice.
        let root = root.display().to_string().replace(',', ",,");
        let mut qemu = match &self.local {
            Some(local) => local.command(),
            None => Command::new(&self.program),
        };
        qemu.args([
            "-M",
            "microvm,acpi=off,pit=off,pic=off,rtc=off,isa-serial=off",
        ]);
        qemu.args([
            "-accel",
            "kvm",
            "-cpu",
            "host",
            "-smp",
            "1",
            "-m",
            &format!("{memory_mib}M"),
        ]);
        qemu.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        qemu.arg("-kernel").arg(kernel).args(["-append", words]);
        qemu.arg("-drive").arg(format!(
            "id=root,file={root},format=raw,if=none,readonly=on"
        ));
        qemu.args(["-device", "virtio-blk-device,drive=root"]);
        qemu.args([
            "-device",
            &format!("vhost-vsock-device,guest-cid={}", self.cid),
        ]);
        qemu.args(["-device", "virtio-rng-device"]);
        qemu.stdin(Stdio::null());
        qemu
    }
}

/// A copy of QEMU and all it opens in a folder of ours. The simulated server's root is a network
/// file system: each name looked up there is a wait for another machine, and on the deterministic
/// clock a wait lasts until the next timer, whenever that is. On a server it is a local file.
struct Local(TempDir);

impl Local {
    fn copy(program: &Path) -> Result<Self> {
        let program = find(program).context("it is not installed")?;
        let ldd = Command::new("ldd").arg(&program).output();
        let ldd = String::from_utf8(ldd.context("cannot start ldd")?.stdout)?;
        let folder = tempfile::tempdir()?;
        let libraries = libraries(&ldd);
        // Those of its firmware that a microvm may ask for.
        let firmware = ["qboot.rom", "pvh.bin", "linuxboot_dma.bin"];
        let firmware = firmware.map(|name| Path::new("/usr/share/qemu").join(name));
        for file in libraries.iter().chain(&firmware).chain([&program]) {
            let name = file.file_name().unwrap_or_default();
            // What a version of QEMU has not, it does not ask for.
            if file.exists() {
                fs::copy(file, folder.path().join(name))?;
            }
        }
        let copied = folder.path().join(PROGRAM);
        fs::rename(
            folder.path().join(program.file_name().unwrap_or_default()),
            copied,
        )?;
        Ok(Self(folder))
    }

    fn command(&self) -> Command {
        let folder = self.0.path();
        let mut qemu = Command::new(folder.join(LOADER));
        qemu.arg("--library-path")
            .arg(folder)
            .arg(folder.join(PROGRAM));
        qemu.arg("-L").arg(folder);
        qemu.env_clear()
            .env("LC_ALL", "C")
            .env("QEMU_MODULE_DIR", folder);
        qemu
    }
}

/// The dynamic loader of this architecture.
const LOADER: &str = "ld-linux-x86-64.so.2";

/// The files that `ldd` names: `libc.so.6 => /lib/libc.so.6 (0x7f...)`, and the loader alone.
fn libraries(ldd: &str) -> Vec<PathBuf> {
    let words = ldd.lines().filter_map(|line| {
        let named = line.split_once("=>").map_or(line, |(_, file)| file);
        named.split_whitespace().next()
    });
    words
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

impl Monitor for Qemu {
    fn name(&self) -> String {
        "QEMU microvm".to_owned()
    }

    fn protection(&self) -> &'static str {
        "none: started by hand; vsock in the host's kernel (vhost)"
    }

    fn start(&mut self) -> Result<Guest> {
        self.cid += 1;
        Guest::start(self.command(), Arrivals::of_vhost()?, self.files.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_the_files_that_ldd_names() {
        let ldd = "\tlinux-vdso.so.1 (0x7ffd)\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\
                   \tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        let files = ["/lib/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(libraries(ldd), files);
    }
}
