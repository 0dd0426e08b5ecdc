// SPDX-License-Identifier: Apache-2.0
//! `ampoule-vmm` started by hand, as the peers are.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use vmm::config::{Config, Descriptors, Origin};
use vmm::control;

use super::Monitor;
use super::arrivals::Arrivals;
use super::files::Files;
use super::guest::Guest;
use crate::ampoule;

pub(super) struct Ours {
    vmm: PathBuf,
    files: Files,
}

impl Ours {
    pub(super) fn new(files: &Files) -> Result<Self> {
        Ok(Self {
            vmm: ampoule::binary("ampoule-vmm")?,
            files: files.clone(),
        })
    }
}

impl Monitor for Ours {
    fn name(&self) -> String {
        "ampoule-vmm".to_owned()
    }

    fn protection(&self) -> &'static str {
        "none: started by hand, as the peers are"
    }

    fn start(&mut self) -> Result<Guest> {
        let (control, vmm_control) = pair()?;
        let (connector, vmm_connector) = pair()?;
        let kvm = File::options().read(true).write(true).open("/dev/kvm");
        let kvm = kvm.context("cannot open /dev/kvm")?;
        let (kernel, root) = (
            File::open(&self.files.kernel)?,
            File::open(&self.files.root)?,
        );
        let inherited: [OwnedFd; 5] = [
            kvm.into(),
            kernel.into(),
            vmm_control,
            vmm_connector,
            root.into(),
        ];
        for fd in &inherited {
            fcntl_setfd(fd, FdFlags::empty())?;
        }
        let [kvm, kernel, vmm_control, vmm_connector, root] =
            inherited.each_ref().map(AsRawFd::as_raw_fd);
        let config = Config {
            vcpus: 1.try_into()?,
            memory: self.files.memory_mib.try_into()?,
            life: Duration::from_secs(3600).try_into()?,
            debug_console: false,
            waits: false,
            descriptors: Descriptors {
                kvm,
                origin: Origin::Kernel(kernel),
                control: vmm_control,
                connector: vmm_connector,
                vsock: None,
                drives: vec![Some(root)],
            },
        };
        let mut command = Command::new(&self.vmm);
        command.args(config.to_args()).stdin(Stdio::null());
        let started = Instant::now();
        let monitor = command.spawn().context("cannot start ampoule-vmm")?;
        drop(inherited);
        // Read to its end, or a VMM with much to say would wait for us.
        thread::spawn(move || while control::receive(&control).is_ok() {});
        let arrivals = Arrivals::of_connector(connector)?;
        Guest::drive(monitor, started, arrivals, self.files.patience)
    }
}

fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    Ok(socketpair(family, kind, SocketFlags::CLOEXEC, None)?)
}
