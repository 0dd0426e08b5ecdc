// SPDX-License-Identifier: Apache-2.0
//! One guest's machine, from its description to its end.
//!
//! [`Machine::boot`] is the story of the start, in order; nothing of KVM exists before memory,
//! kernel and drives are known to be good. [`Machine::run`] is the rest: the calling thread
//! becomes the event thread, each vCPU gets a thread, and what comes back is the last word for
//! the supervisor.
//!
//! A supervisor that goes away does not end its guest: the guest's life does, by the timer
//! armed before anything else. Until then it can open no new connection, as nobody answers.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use crate::arch::x86_64::boot::{self, BootError};
use crate::arch::x86_64::kernel::{self, KernelError};
use crate::arch::x86_64::{cmdline, layout, mptable, tables};
use crate::bus::{BusError, Range};
use crate::config::Config;
use crate::control::{self, Body, ControlError, Ended, Running};
use crate::devices::i8042::I8042;
use crate::devices::serial::Serial;
use crate::devices::virtio::VirtioDevice;
use crate::devices::virtio::block::{Block, BlockError};
use crate::devices::virtio::mmio::Transport;
use crate::devices::virtio::rng::Rng;
use crate::devices::virtio::vsock::Vsock;
use crate::end::{Cause, Ending};
use crate::event_loop::{EventLoop, EventLoopError, Flow};
use crate::inherited::Inherited;
use crate::interrupt::Interrupt;
use crate::kvm::{self, Buses, Kicker, KvmError, Vcpu, VcpuEnd, Vm};
use crate::memory::{self, GuestMemory, MemoryError};
use crate::sys;

/// `QueueNotify` in a device's window (virtio 1.2 §4.2.2).
const QUEUE_NOTIFY: u64 = 0x50;
/// Every guest's vsock address: each has a host of its own, and identity is the task's id.
const GUEST_CID: u64 = 3;
/// What a vCPU's thread needs: the run loop and the devices under it, no deep recursion.
const VCPU_STACK: usize = 256 * 1024;
/// How long after the guest's life the process ends even if it is stuck.
const LAST_RESORT_AFTER: Duration = Duration::from_millis(500);
/// The status it then ends with.
pub const LAST_RESORT_STATUS: u8 = 4;

/// Why a guest could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The timers that bound its life, or the events that end it.
    #[error("the guest's end cannot be made sure of")]
    Life(#[source] io::Error),
    /// Guest memory.
    #[error("the guest has no memory")]
    Memory(#[from] MemoryError),
    /// The kernel.
    #[error("the guest kernel cannot be started")]
    Kernel(#[from] KernelError),
    /// The kernel's parameters.
    #[error("the guest kernel's parameters cannot be written")]
    Parameters(#[from] BootError),
    /// Tables of the machine.
    #[error("guest memory does not hold the machine's tables")]
    Tables(#[from] GuestMemoryError),
    /// A drive.
    #[error("drive {index} cannot be attached")]
    Drive {
        /// 0 is the root.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: BlockError,
    },
    /// KVM.
    #[error("the virtual machine cannot be made")]
    Kvm(#[from] KvmError),
    /// A device has no place.
    #[error("a device cannot be placed")]
    Place(#[from] BusError),
    /// Descriptors for a device.
    #[error("the host gave no descriptors for a device")]
    Device(#[source] io::Error),
    /// The event thread.
    #[error("the event loop cannot be made")]
    Events(#[from] EventLoopError),
    /// Threads.
    #[error("the host gave no thread for a vCPU")]
    Thread(#[source] io::Error),
    /// The supervisor is gone.
    #[error("the supervisor was gone before its guest ran")]
    Supervisor(#[from] ControlError),
}

/// A guest that has everything and has not run.
pub struct Machine {
    events: EventLoop,
    ending: Arc<Ending>,
    control: Arc<OwnedFd>,
    vcpus: Vec<Vcpu>,
    buses: Arc<Buses>,
    devices: Devices,
    /// Held for the irqfds and ioeventfds on its descriptor.
    _vm: Vm,
    /// `CLOCK_MONOTONIC` at main and with the kernel in memory.
    phases: (u64, u64),
}

/// What the machine asks at its end.
#[derive(Default)]
struct Devices {
    /// Also held by the MMIO bus (vCPU threads) and the event loop.
    virtio: Vec<Arc<Mutex<Transport>>>,
    /// Also held by the port bus.
    console: Option<Arc<Mutex<Serial>>>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("vcpus", &self.vcpus.len())
            .field("buses", &self.buses)
            .finish_non_exhaustive()
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds, the clock of [`Running`].
#[must_use]
pub fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let part = |n: i64| u64::try_from(n).unwrap_or_default();
    part(now.tv_sec)
        .saturating_mul(1_000_000_000)
        .saturating_add(part(now.tv_nsec))
}

impl Machine {
    /// Builds the guest's machine. `entered_ns` is [`now_ns`] when the process began.
    ///
    /// # Errors
    /// Each phase's own; the sentence says what to do where that is known.
    pub fn boot(
        config: &Config,
        inherited: Inherited,
        entered_ns: u64,
    ) -> Result<Self, SetupError> {
        let Inherited {
            kvm,
            kernel,
            control,
            connector,
            vsock,
            drives,
        } = inherited;
        let ending = Arc::new(Ending::new().map_err(SetupError::Life)?);
        let life = arm(config.life.get(), &ending).map_err(SetupError::Life)?;

        let bytes = config.memory.bytes();
        let memory = memory::allocate(bytes)?;
        let entry = kernel::load(&kernel, &memory, bytes.min(layout::DEVICES))?;
        let mapped_ns = now_ns();

        let virtio = virtio_devices(drives, connector, vsock)?;
        let lines = write_tables(config, &memory, virtio.len())?;

        let vm = Vm::new(kvm, &memory)?;
        let mut buses = Buses::default();
        let mut events = EventLoop::new()?;
        let mut devices = Devices::default();
        if config.debug_console {
            devices.console = Some(attach_console(&vm, &mut buses)?);
        }
        attach_i8042(&mut buses, &ending)?;
        for (device, (base, irq)) in virtio.into_iter().zip(lines) {
            let line = Interrupt::new(vm.interrupt_line(irq)?);
            let transport = Transport::new(device, memory.clone(), line);
            let transport = Arc::new(Mutex::new(transport.map_err(SetupError::Device)?));
            attach(&vm, &mut buses, base, &transport)?;
            events.add_device(transport.clone())?;
            devices.virtio.push(transport);
        }
        let vcpus = vm.vcpus(config.vcpus.get(), entry)?;
        watch(&mut events, &ending, (life, config.life.get()), &control)?;
        Ok(Self {
            events,
            ending,
            control,
            vcpus,
            buses: Arc::new(buses),
            devices,
            _vm: vm,
            phases: (entered_ns, mapped_ns),
        })
    }

    /// Runs the guest to its end, on this thread and one for each vCPU.
    ///
    /// # Errors
    /// It never ran: no threads, or no supervisor to tell.
    pub fn run(&mut self) -> Result<Ended, SetupError> {
        let mut threads = Kicker::new(self.ending.flag.clone());
        let started = self.start(&mut threads);
        if started.is_ok()
            && let Err(error) = self.events.run()
        {
            self.ending.report(Cause::Events(error));
        }
        threads.stop();
        started.map(|()| self.last_word())
    }

    /// Starts all vCPUs, the first one last: the others wait for it to wake them.
    fn start(&mut self, threads: &mut Kicker) -> Result<(), SetupError> {
        let mut vcpus = self.vcpus.drain(..).enumerate().rev().peekable();
        while let Some((index, vcpu)) = vcpus.next() {
            if vcpus.peek().is_none() {
                let (entered_ns, mapped_ns) = self.phases;
                let running = Running {
                    entered_ns,
                    mapped_ns,
                    running_ns: now_ns(),
                };
                control::send(&self.control, Body::Running(running), None)?;
            }
            let (buses, ending) = (self.buses.clone(), self.ending.clone());
            let thread = thread::Builder::new()
                .name(format!("vcpu{index}"))
                .stack_size(VCPU_STACK)
                .spawn(move || match vcpu.run(&buses, &ending.flag) {
                    VcpuEnd::Told => {}
                    VcpuEnd::TripleFault => ending.report(Cause::TripleFault),
                    VcpuEnd::Failed(error) => ending.report(Cause::Vcpu(error)),
                })
                .map_err(SetupError::Thread)?;
            threads.add(thread);
        }
        Ok(())
    }

    fn last_word(&self) -> Ended {
        let cause = self.ending.cause();
        // A thread that panicked under a lock has ended the process: no lock is poisoned here.
        let broken = self.devices.virtio.iter().filter_map(|transport| {
            let transport = transport.lock().unwrap_or_else(PoisonError::into_inner);
            (transport.faults() > 0).then(|| transport.name().to_owned())
        });
        let console = self.devices.console.as_ref().map(|console| {
            let console = console.lock().unwrap_or_else(PoisonError::into_inner);
            console.tail()
        });
        Ended {
            end: cause.end().into(),
            detail: cause.detail(),
            console: console.unwrap_or_default(),
            broken_devices: broken.collect(),
        }
    }
}

/// Makes sure of the guest's end before anything else can go wrong: a timer for the event
/// thread, one that needs no thread, SIGTERM, and the means to stop vCPUs.
fn arm(life: Duration, ending: &Ending) -> io::Result<OwnedFd> {
    let after = life.saturating_add(LAST_RESORT_AFTER);
    sys::last_resort(after, LAST_RESORT_STATUS.into())?;
    sys::on_terminate(ending.wake.as_raw_fd())?;
    kvm::install_kick()?;
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let timer = rustix::time::timerfd_create(TimerfdClockId::Boottime, flags)?;
    let zero = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let when = Itimerspec {
        it_interval: zero,
        it_value: Timespec {
            tv_sec: i64::try_from(life.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: life.subsec_nanos().into(),
        },
    };
    rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &when)?;
    Ok(timer)
}

/// Every guest's devices, in the order of their windows: drives (the kernel names them vda,
/// vdb... as it finds them), then vsock, then rng.
fn virtio_devices(
    drives: Vec<File>,
    connector: OwnedFd,
    listener: Option<UnixListener>,
) -> Result<Vec<Box<dyn VirtioDevice>>, SetupError> {
    let mut devices: Vec<Box<dyn VirtioDevice>> = Vec::new();
    for (index, drive) in drives.into_iter().enumerate() {
        let block = Block::new(drive).map_err(|source| SetupError::Drive { index, source })?;
        devices.push(Box::new(block));
    }
    let vsock = Vsock::new(GUEST_CID, connector, listener).map_err(SetupError::Device)?;
    devices.push(Box::new(vsock));
    devices.push(Box::new(Rng::new()));
    Ok(devices)
}

/// Writes all that the kernel reads; returns the place of each of its `devices`.
fn write_tables(
    config: &Config,
    memory: &GuestMemory,
    devices: usize,
) -> Result<Vec<(u64, u32)>, SetupError> {
    let command_line = cmdline::command_line(devices, config.debug_console);
    boot::write(memory, config.memory.bytes(), &command_line)?;
    tables::write(memory)?;
    let places: Vec<_> = (0..devices).map_while(layout::device_place).collect();
    let console = config.debug_console.then_some(layout::SERIAL_IRQ);
    let lines = console
        .into_iter()
        .chain(places.iter().map(|(_, irq)| *irq));
    let lines: Vec<u8> = lines.filter_map(|irq| u8::try_from(irq).ok()).collect();
    let table = mptable::mp_table(config.vcpus.get(), &lines);
    memory.write_slice(&table, GuestAddress(layout::MP_TABLE))?;
    Ok(places)
}

fn attach_console(vm: &Vm, buses: &mut Buses) -> Result<Arc<Mutex<Serial>>, SetupError> {
    let line = vm.interrupt_line(layout::SERIAL_IRQ)?;
    let serial = Arc::new(Mutex::new(Serial::new(line)));
    let (base, len) = (layout::SERIAL_PORT, 8);
    buses.ports.insert(Range { base, len }, serial.clone())?;
    Ok(serial)
}

fn attach_i8042(buses: &mut Buses, ending: &Arc<Ending>) -> Result<(), SetupError> {
    let ending = ending.clone();
    // Held by the port bus alone.
    let i8042 = Arc::new(Mutex::new(I8042::new(move || ending.report(Cause::Reset))));
    let (base, len) = (layout::I8042_PORT, 5);
    Ok(buses.ports.insert(Range { base, len }, i8042)?)
}

fn attach(
    vm: &Vm,
    buses: &mut Buses,
    base: u64,
    transport: &Arc<Mutex<Transport>>,
) -> Result<(), SetupError> {
    let notify = base.saturating_add(QUEUE_NOTIFY);
    let device = transport.lock().unwrap_or_else(PoisonError::into_inner);
    for (queue, event) in (0..).zip(device.queue_events()) {
        vm.notify(event, notify, queue)?;
    }
    let len = layout::DEVICE_WINDOW;
    Ok(buses.mmio.insert(Range { base, len }, transport.clone())?)
}

/// The sources that end a guest: a report, its life, its supervisor.
fn watch(
    events: &mut EventLoop,
    ending: &Arc<Ending>,
    (timer, life): (OwnedFd, Duration),
    control: &Arc<OwnedFd>,
) -> Result<(), EventLoopError> {
    events.add_source(ending.wake.clone(), |_| Flow::Stop)?;
    let over = ending.clone();
    events.add_source(timer, move |_| {
        over.report(Cause::Life(life));
        Flow::Stop
    })?;
    let stopped = ending.clone();
    events.add_source(control.clone(), move |control| {
        match control::receive(&*control) {
            Ok((Body::Stop(_), _)) => {
                stopped.report(Cause::Stopped);
                Flow::Stop
            }
            Ok(_) | Err(ControlError::Malformed | ControlError::TooLong) => {
                log::warn!("a message on the control socket was not understood");
                Flow::Continue
            }
            Err(ControlError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Flow::Continue
            }
            // The supervisor is gone; the timer is not.
            Err(ControlError::Closed | ControlError::Io(_)) => Flow::Remove,
        }
    })
}
