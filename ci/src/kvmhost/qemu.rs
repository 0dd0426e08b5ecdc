// SPDX-License-Identifier: Apache-2.0
//! QEMU itself: its command line, the ports the command's streams go through, and its end.
//!
//! Descriptors are handed over by inheritance (a memfd with the initramfs, one end of a socket pair
//! for each port), which is why they are made without close-on-exec: nothing else is started while
//! they are open.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};

use super::kernel::Kernel;
use super::{Server, TIME_UP};
use crate::tools::{self, Missing};

/// What is kept of the server's console, to show when it dies.
const CONSOLE_KEPT: usize = 4096;
/// How long the power-off may take after the exit code is known.
const POWER_OFF: Duration = Duration::from_secs(10);

/// What the server's kernel is told.
const KERNEL: &str = "console=ttyS0 quiet panic=-1 mitigations=off rdinit=/init";

/// Each CPU's timer interrupts it at every tick, whether or not it has something to do.
///
/// With a thread for each CPU QEMU loses interrupts: at a nested guest's exit (`do_vmexit` in
/// `target/i386/tcg/*/svm_helper.c`) the CPU's thread takes a bit out of
/// `interrupt_request` without the lock and not atomically, so that one which another thread sets
/// meanwhile is gone. Seen in a server that did nothing any more: a halted CPU with interrupts on,
/// nothing in service and two vectors pending in its APIC. The others wait for it, and an idle
/// kernel sets no other timer. The next delivery of any interrupt brings the lost one with it.
const TICKS: &str = "nohz=off highres=off";

enum Event {
    Exit(u8),
    ServerGone,
}

/// Runs the server to its end and returns the command's exit code.
pub(crate) fn run(server: &Server, kernel: &Kernel, initramfs: &[u8]) -> Result<u8> {
    for (program, package) in [
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("setpriv", "util-linux"),
    ] {
        if tools::find(program).is_none() {
            return Err(Missing(format!(
                "{program} is missing: install the package {package}"
            ))
            .into());
        }
    }
    let image = memfd_create("initramfs", MemfdFlags::empty())?;
    File::from(image.try_clone()?).write_all(initramfs)?;

    let mut command = command_line(server, kernel);
    command
        .arg("-initrd")
        .arg(format!("/proc/self/fd/{}", image.as_raw_fd()));
    let mut ports = Vec::new();
    for name in ["stdin", "stdout", "stderr", "exit"] {
        if name != "stdin" || server.forward_stdin {
            ports.push(Port::open(name, &mut command)?);
        }
    }
    let mut qemu = command.spawn().context("cannot start QEMU")?;
    let console = keep_console(qemu.stdout.take());
    let complaints = show_complaints(qemu.stderr.take());
    let ours = ports
        .into_iter()
        .map(|port| (port.name, port.ours))
        .collect();
    let (events, pumps) = pump(ours);
    let code = wait(server, &events, &mut qemu);
    for pump in pumps {
        // A pump ends with its port, that is with QEMU.
        let _ = pump.join();
    }
    let console = console.join().unwrap_or_default();
    let _ = complaints.join();
    match code {
        Ok(code) => Ok(code),
        Err(error) if console.trim().is_empty() => Err(error),
        Err(error) => Err(error.context(format!("its console ended with:\n{}", console.trim()))),
    }
}

fn command_line(server: &Server, kernel: &Kernel) -> Command {
    // setpriv: QEMU is killed when we are, however that happens.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-M", "q35"]);
    if server.deterministic {
        qemu.args([
            "-accel",
            "tcg,thread=single",
            "-icount",
            "shift=0,sleep=off",
            "-smp",
            "1",
        ]);
    } else {
        qemu.args([
            "-accel",
            "tcg,thread=multi,tb-size=1024",
            "-smp",
            &server.cpus.to_string(),
        ]);
    }
    qemu.args([
        "-cpu",
        "EPYC-v4,+svm,+npt",
        "-m",
        &server.memory_mib.to_string(),
    ]);
    qemu.args([
        "-nodefaults",
        "-display",
        "none",
        "-no-reboot",
        "-serial",
        "stdio",
    ]);
    qemu.arg("-kernel").arg(&kernel.vmlinuz).args([
        "-append",
        &match server.deterministic {
            true => KERNEL.to_owned(),
            false => format!("{KERNEL} {TICKS}"),
        },
        "-fsdev",
        "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device",
        "virtio-9p-pci,fsdev=host,mount_tag=host",
        "-device",
        "virtio-serial-pci",
    ]);
    if let Some(out) = &server.out {
        // In a QEMU option a comma is written twice.
        let path = out.to_string_lossy().replace(',', ",,");
        let share = format!("local,id=out,path={path},security_model=none,multidevs=remap");
        qemu.args([
            "-fsdev",
            &share,
            "-device",
            "virtio-9p-pci,fsdev=out,mount_tag=out",
        ]);
    }
    qemu.stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    qemu
}

/// A virtio port and our end of it. The other end is closed when the port is dropped, after QEMU
/// has inherited it.
struct Port {
    name: &'static str,
    ours: OwnedFd,
    _theirs: OwnedFd,
}

impl Port {
    fn open(name: &'static str, command: &mut Command) -> Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::empty(),
            None,
        )?;
        fcntl_setfd(&ours, FdFlags::CLOEXEC)?;
        command
            .arg("-chardev")
            .arg(format!("socket,id={name},fd={}", theirs.as_raw_fd()));
        command
            .arg("-device")
            .arg(format!("virtserialport,chardev={name},name={name}"));
        Ok(Self {
            name,
            ours,
            _theirs: theirs,
        })
    }
}

/// One thread a stream. The one for stdin is not waited for: it may sit in a read for ever.
fn pump(ports: Vec<(&'static str, OwnedFd)>) -> (Receiver<Event>, Vec<JoinHandle<()>>) {
    let (sender, events) = channel();
    let mut pumps = Vec::new();
    for (name, port) in ports {
        let port = File::from(port);
        match name {
            "stdin" => {
                thread::spawn(move || forward_stdin(port));
            }
            "stdout" => pumps.push(thread::spawn(move || copy(port, io::stdout()))),
            "stderr" => pumps.push(thread::spawn(move || copy(port, io::stderr()))),
            _ => {
                let sender = sender.clone();
                pumps.push(thread::spawn(move || read_exit(port, &sender)));
            }
        }
    }
    (events, pumps)
}

fn forward_stdin(mut port: File) {
    // When the server goes first the write fails, and that is the end of it too.
    let _ = io::copy(&mut io::stdin().lock(), &mut port);
    // The guest sees the end of the stream; the socket itself stays until QEMU is gone.
    let _ = shutdown(port.as_fd(), Shutdown::Write);
    let _ = port.read(&mut [0]);
}

fn copy(mut port: File, mut to: impl Write) {
    let mut buffer = vec![0; 64 * 1024];
    let mut broken = false;
    while let Ok(count) = port.read(&mut buffer) {
        if count == 0 {
            return;
        }
        // A reader that went away (`| head`) must not block the command: the rest is dropped.
        let piece = buffer.get(..count).unwrap_or_default();
        broken = broken || to.write_all(piece).and_then(|()| to.flush()).is_err();
    }
}

fn read_exit(mut port: File, sender: &Sender<Event>) {
    let mut text = Vec::new();
    let mut byte = [0];
    while matches!(port.read(&mut byte), Ok(1)) {
        if byte != *b"\n" {
            text.extend_from_slice(&byte);
            continue;
        }
        if let Ok(code) = String::from_utf8_lossy(&text).trim().parse() {
            // The receiver is gone only when the time was up.
            let _ = sender.send(Event::Exit(code));
        }
        text.clear();
    }
    let _ = sender.send(Event::ServerGone);
}

fn wait(server: &Server, events: &Receiver<Event>, qemu: &mut Child) -> Result<u8> {
    let code = match events.recv_timeout(server.limit) {
        Ok(Event::Exit(code)) => Ok(code),
        Ok(Event::ServerGone) | Err(RecvTimeoutError::Disconnected) => {
            let status = qemu.wait()?;
            return Err(anyhow::anyhow!(
                "it ended ({status}) before the command did"
            ));
        }
        Err(RecvTimeoutError::Timeout) => {
            eprintln!("kvmhost: switched off after {} s", server.limit.as_secs());
            qemu.kill()?;
            Ok(TIME_UP)
        }
    };
    let since = Instant::now();
    while qemu.try_wait()?.is_none() {
        if since.elapsed() > POWER_OFF {
            qemu.kill()?;
            qemu.wait()?;
            bail!("it did not switch itself off");
        }
        thread::sleep(Duration::from_millis(10));
    }
    code
}

/// Passes on what QEMU says, but for the features of the CPU model that TCG leaves out at each start.
fn show_complaints(stderr: Option<impl Read + Send + 'static>) -> JoinHandle<()> {
    thread::spawn(move || {
        let lines = stderr
            .into_iter()
            .flat_map(|stderr| BufReader::new(stderr).lines());
        for line in lines.map_while(Result::ok) {
            if !line.contains("TCG doesn't support requested feature") {
                eprintln!("{line}");
            }
        }
    })
}

/// Reads the console so that it never blocks, and keeps its end.
fn keep_console(console: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = [0; 1024];
        if let Some(mut console) = console {
            while let Ok(count @ 1..) = console.read(&mut buffer) {
                kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
                let excess = kept.len().saturating_sub(CONSOLE_KEPT);
                kept.drain(..excess);
            }
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}
