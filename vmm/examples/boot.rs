// SPDX-License-Identifier: Apache-2.0
//! Boots one guest and says what its VMM says, for people who work on the VMM: the smallest
//! supervisor there is. It refuses every connection the guest starts.
//!
//! `boot [--cpus N] [--memory MIB] [--life MS] [--console] [--repeat N] VMM KERNEL [DRIVE...]`

use std::error::Error;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use vmm::config::{Config, Descriptors, Origin};
use vmm::control::{self, Body, ControlError, Refused};
use vmm::machine::now_ns;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Clone)]
struct Options {
    cpus: u64,
    memory: u64,
    life: u64,
    console: bool,
    files: Vec<String>,
}

fn main() -> Result<()> {
    let mut options = Options {
        cpus: 1,
        memory: 128,
        life: 20_000,
        console: false,
        files: Vec::new(),
    };
    let mut repeat = 1;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().ok_or("a number is missing");
        match arg.as_str() {
            "--cpus" => options.cpus = number()?.parse()?,
            "--memory" => options.memory = number()?.parse()?,
            "--life" => options.life = number()?.parse()?,
            "--repeat" => repeat = number()?.parse()?,
            "--console" => options.console = true,
            _ => options.files.push(arg),
        }
    }
    for _ in 0..repeat {
        boot(&options)?;
    }
    Ok(())
}

fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    let kind = SocketType::SEQPACKET;
    Ok(socketpair(AddressFamily::UNIX, kind, flags, None)?)
}

fn boot(options: &Options) -> Result<()> {
    let [vmm, kernel, drives @ ..] = options.files.as_slice() else {
        return Err("which VMM and kernel?".into());
    };
    let (control, guest_control) = pair()?;
    let (connector, guest_connector) = pair()?;
    let kvm = File::options().read(true).write(true).open("/dev/kvm")?;
    let drives = drives
        .iter()
        .map(File::open)
        .collect::<std::io::Result<Vec<_>>>()?;
    let mut inherited: Vec<OwnedFd> = vec![kvm.into(), File::open(kernel)?.into()];
    inherited.extend([guest_control, guest_connector]);
    inherited.extend(drives.into_iter().map(OwnedFd::from));
    for fd in &inherited {
        fcntl_setfd(fd, FdFlags::empty())?;
    }
    let numbers: Vec<_> = inherited.iter().map(AsRawFd::as_raw_fd).collect();
    let config = Config {
        vcpus: options.cpus.try_into()?,
        memory: options.memory.try_into()?,
        life: Duration::from_millis(options.life).try_into()?,
        debug_console: options.console,
        waits: false,
        descriptors: Descriptors {
            kvm: numbers[0],
            origin: Origin::Kernel(numbers[1]),
            control: numbers[2],
            connector: numbers[3],
            vsock: None,
            drives: numbers[4..].iter().copied().map(Some).collect(),
        },
    };
    let started = now_ns();
    let mut child = Command::new(vmm).args(config.to_args()).spawn()?;
    drop(inherited);
    std::thread::spawn(move || refuse(&connector, started));
    listen(&control, started)?;
    let status = child.wait()?;
    println!("{status}, gone after {} us", since(started, now_ns()));
    Ok(())
}

fn refuse(connector: &OwnedFd, started: u64) {
    while let Ok((Body::Connect(connect), _)) = control::receive(connector) {
        let after = since(started, now_ns());
        println!(
            "the guest connects to port {} after {after} us",
            connect.port
        );
        let refused = Refused { id: connect.id };
        let _ = control::send(connector, Body::Refused(refused), None);
    }
}

fn since(start: u64, then: u64) -> u64 {
    then.saturating_sub(start) / 1000
}

fn listen(control: &OwnedFd, started: u64) -> Result<()> {
    loop {
        match control::receive(control) {
            Ok((Body::Running(running), _)) => println!(
                "us: main {}, mapped {}, running {}",
                since(started, running.entered_ns),
                since(started, running.mapped_ns),
                since(started, running.running_ns)
            ),
            Ok((Body::Ended(ended), _)) => {
                println!(
                    "{:?} after {} us: {}",
                    ended.end(),
                    since(started, now_ns()),
                    ended.detail
                );
                println!("{}", String::from_utf8_lossy(&ended.console));
                println!("broken: {:?}", ended.broken_devices);
            }
            Ok(other) => println!("{other:?}"),
            Err(ControlError::Closed) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
