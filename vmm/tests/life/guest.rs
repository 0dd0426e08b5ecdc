// SPDX-License-Identifier: Apache-2.0
//! A guest of a few instructions and its supervisor.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;
use vmm::config::{Config, Descriptors, Origin};
use vmm::control::{self, Body, ControlError, Ended};

/// An ELF kernel of one page at 1 MiB that begins with `code`.
fn kernel(code: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 0x2000];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    let number = |n: u64| n.to_le_bytes();
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0]); // Executable, x86-64.
    put(24, &number(0x20_0000)); // Entry.
    put(32, &number(64)); // Program headers.
    put(54, &[56, 0, 1, 0]); // Their size and number.
    put(64, &[1, 0, 0, 0]); // PT_LOAD.
    put(72, &number(0x1000)); // Offset.
    put(80, &number(0xffff_ffff_8010_0000)); // Linked address.
    put(88, &number(0x20_0000)); // Physical address.
    put(96, &number(0x1000)); // Bytes in the file...
    put(104, &number(0x1000)); // ...and in memory.
    put(0x1000, code);
    file
}

/// What a test asks for.
pub(crate) struct Options {
    pub(crate) kernel: Vec<u8>,
    /// In place of the kernel.
    pub(crate) snapshot: Option<File>,
    pub(crate) cpus: u64,
    pub(crate) life: u64,
    pub(crate) console: bool,
    /// As the first process of a PID namespace.
    pub(crate) first: bool,
    /// The supervisor never reads, and what it was sent has filled its socket.
    pub(crate) deaf: bool,
    /// It waits for a task.
    pub(crate) waits: bool,
}

impl Options {
    pub(crate) fn new(code: &[u8]) -> Self {
        Self {
            kernel: kernel(code),
            snapshot: None,
            cpus: 1,
            life: 60_000,
            console: false,
            first: false,
            deaf: false,
            waits: false,
        }
    }
}

/// A running VMM and its supervisor's end.
pub(crate) struct Guest {
    pub(crate) control: OwnedFd,
    _connector: OwnedFd,
    pub(crate) child: Child,
}

pub(crate) fn pair() -> (OwnedFd, OwnedFd) {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    socketpair(AddressFamily::UNIX, kind, flags, None).unwrap()
}

pub(crate) fn file(bytes: &[u8]) -> OwnedFd {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.into()
}

pub(crate) fn start(options: &Options) -> Option<Guest> {
    let kvm = File::options().read(true).write(true).open("/dev/kvm");
    let Ok(kvm) = kvm else {
        eprintln!("SKIPPED, tier 2: /dev/kvm does not open");
        return None;
    };
    let (control, guest_control) = pair();
    let (connector, guest_connector) = pair();
    if options.deaf {
        while rustix::net::send(&guest_control, &[0; 1024], SendFlags::DONTWAIT).is_ok() {}
    }
    let inherited = [
        kvm.into(),
        match &options.snapshot {
            Some(snapshot) => snapshot.try_clone().unwrap().into(),
            None => file(&options.kernel),
        },
        guest_control,
        guest_connector,
    ];
    for descriptor in &inherited {
        fcntl_setfd(descriptor, FdFlags::empty()).unwrap();
    }
    let [kvm, kernel, control_fd, connector_fd] = inherited.each_ref().map(AsRawFd::as_raw_fd);
    let config = Config {
        vcpus: options.cpus.try_into().unwrap(),
        memory: 64.try_into().unwrap(),
        life: Duration::from_millis(options.life).try_into().unwrap(),
        debug_console: options.console,
        waits: options.waits,
        descriptors: Descriptors {
            kvm,
            origin: match options.snapshot {
                Some(_) => Origin::Snapshot(kernel),
                None => Origin::Kernel(kernel),
            },
            control: control_fd,
            connector: connector_fd,
            vsock: None,
            drives: Vec::new(),
        },
    };
    let vmm = env!("CARGO_BIN_EXE_ampoule-vmm");
    let mut command = Command::new(if options.first { "unshare" } else { vmm });
    if options.first {
        command.args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--kill-child",
            vmm,
        ]);
    }
    command.args(config.to_args()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    Some(Guest {
        control,
        _connector: connector,
        child,
    })
}

impl Guest {
    /// Waits until the guest runs.
    pub(crate) fn running(&self) {
        let (body, _) = control::receive(&self.control).unwrap();
        let Body::Running(running) = body else {
            panic!("{body:?}");
        };
        assert!(running.entered_ns < running.mapped_ns);
        assert!(running.mapped_ns < running.running_ns);
    }

    /// The last word, and everything after it.
    pub(crate) fn ended(mut self) -> (Ended, ExitStatus, String) {
        let (body, _) = control::receive(&self.control).unwrap();
        let Body::Ended(ended) = body else {
            panic!("{body:?}");
        };
        let closed = control::receive(&self.control);
        assert!(matches!(closed, Err(ControlError::Closed)), "{closed:?}");
        let (status, errors) = self.gone();
        (ended, status, errors)
    }

    pub(crate) fn gone(&mut self) -> (ExitStatus, String) {
        let mut errors = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap(), errors)
    }

    /// The VMM itself, below `unshare` if that started it.
    pub(crate) fn pid(&self) -> Pid {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let child = children.unwrap_or_default();
        let id = child.trim().parse().unwrap_or(id);
        Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
