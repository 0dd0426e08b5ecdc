// SPDX-License-Identifier: Apache-2.0
//! Cloud Hypervisor. It has virtio over PCI only, and our kernel has no PCI: it needs a kernel of
//! its own, whose boot is another one, so it is shown apart and in no ratio.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::Monitor;
use super::arrivals::Arrivals;
use super::files::Files;
use super::guest::Guest;

/// Names the kernel with PCI that its guests boot.
const KERNEL: &str = "AMPOULE_PCI_KERNEL";

pub(super) struct CloudHypervisor {
    program: PathBuf,
    files: Files,
    folder: Option<TempDir>,
}

impl CloudHypervisor {
    pub(super) fn new(program: PathBuf, files: &Files) -> Self {
        Self {
            program,
            files: files.clone(),
            folder: None,
        }
    }
}

impl Monitor for CloudHypervisor {
    fn name(&self) -> String {
        "Cloud Hypervisor".to_owned()
    }

    fn protection(&self) -> &'static str {
        "its system-call filter"
    }

    fn apart(&self) -> Option<&'static str> {
        Some("another kernel, since it needs PCI")
    }

    fn start(&mut self) -> Result<Guest> {
        let kernel = std::env::var_os(KERNEL)
            .with_context(|| format!("it needs a kernel with PCI: name one in {KERNEL}"))?;
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("v");
        let arrivals = Arrivals::of_hybrid(&socket)?;
        let mut command = Command::new(&self.program);
        command
            .arg("--kernel")
            .arg(kernel)
            .args(["--cmdline", &self.files.words]);
        command.args([
            "--cpus",
            "boot=1",
            "--memory",
            &format!("size={}M", self.files.memory_mib),
        ]);
        command
            .arg("--disk")
            .arg(format!("path={},readonly=on", self.files.root.display()));
        command
            .arg("--vsock")
            .arg(format!("cid=3,socket={}", socket.display()));
        command.args(["--serial", "off", "--console", "off"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.folder = Some(folder);
        Guest::start(command, arrivals, self.files.patience)
    }
}
