// SPDX-License-Identifier: Apache-2.0
//! Firecracker, configured by one file (`--config-file`, its `docs/getting-started.md`) and without
//! its API server. The project fetches no binary: its path is given.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Monitor;
use super::arrivals::Arrivals;
use super::files::Files;
use super::guest::Guest;

pub(super) struct Firecracker {
    program: PathBuf,
    files: Files,
    /// The folder of the last guest's socket: removed when the next one starts.
    folder: Option<TempDir>,
}

impl Firecracker {
    pub(super) fn new(program: PathBuf, files: &Files) -> Self {
        Self {
            program,
            files: files.clone(),
            folder: None,
        }
    }
}

/// `src/firecracker/swagger/firecracker.yaml` of its repository. A root device that is not said to
/// be one leaves the command line to us.
fn config(files: &Files, socket: &str) -> Value {
    json!({
        "boot-source": {
            "kernel_image_path": files.kernel,
            "boot_args": files.words,
        },
        "drives": [{
            "drive_id": "root",
            "path_on_host": files.root,
            "is_root_device": false,
            "is_read_only": true,
        }],
        "machine-config": { "vcpu_count": 1, "mem_size_mib": files.memory_mib },
        "vsock": { "guest_cid": 3, "uds_path": socket },
        "entropy": {},
    })
}

impl Monitor for Firecracker {
    fn name(&self) -> String {
        "Firecracker".to_owned()
    }

    fn protection(&self) -> &'static str {
        "its system-call filter; no jailer"
    }

    fn start(&mut self) -> Result<Guest> {
        let folder = tempfile::tempdir()?;
        let (socket, file) = (folder.path().join("v"), folder.path().join("config.json"));
        let config = config(&self.files, &socket.to_string_lossy());
        std::fs::write(&file, config.to_string())?;
        let arrivals = Arrivals::of_hybrid(&socket)?;
        let mut command = Command::new(&self.program);
        command
            .args(["--no-api", "--level", "Off", "--config-file"])
            .arg(&file);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.folder = Some(folder);
        Guest::start(command, arrivals, self.files.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_has_the_same_kernel_root_memory_and_words() {
        let files = Files {
            kernel: "/k".into(),
            root: "/r".into(),
            memory_mib: 128,
            words: "quiet root=/dev/vda".to_owned(),
            patience: std::time::Duration::ZERO,
        };
        let config = config(&files, "/tmp/v");
        assert_eq!(config["boot-source"]["kernel_image_path"], "/k");
        assert_eq!(config["boot-source"]["boot_args"], "quiet root=/dev/vda");
        assert_eq!(config["drives"][0]["path_on_host"], "/r");
        assert_eq!(config["drives"][0]["is_read_only"], true);
        assert_eq!(config["machine-config"]["mem_size_mib"], 128);
        assert_eq!(config["vsock"]["uds_path"], "/tmp/v");
    }
}
