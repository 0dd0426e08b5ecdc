// SPDX-License-Identifier: Apache-2.0
//! One guest's machine, from its description to its end.
//!
//! [`Machine::boot`] is the story of the start, in order; nothing of KVM exists before memory,
//! kernel and drives are known to be good. [`Machine::run`] is the rest: the calling thread
//! becomes the event thread, each vCPU gets a thread, and what comes back is the last word for
//! the supervisor.
//!
//! A machine is made from a kernel or from a snapshot, and may leave a snapshot of itself while
//! it runs: the vCPUs stop, everything is written ([`crate::snapshot`]), they go on.
//!
//! A supervisor that goes away does not end its guest: the guest's life does, by the timer
//! armed before anything else. Until then it can open no new connection, as nobody answers.

mod adopt;
mod devices;
mod life;
mod stand;
mod write;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::time::ClockId;
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use crate::arch::x86_64::boot::{self, BootError};
use crate::arch::x86_64::kernel::{self, KernelError};
use crate::arch::x86_64::{cmdline, layout, mptable, tables};
use crate::bus::BusError;
use crate::config::Config;
use crate::control::{self, Adopt, Body, ControlError, Ended, Running};
use crate::devices::serial::Serial;
use crate::devices::virtio::VirtioDevice;
use crate::devices::virtio::block::BlockError;
use crate::devices::virtio::mmio::Transport;
use crate::end::{Cause, Ending};
use crate::event_loop::{EventLoop, EventLoopError};
use crate::inherited::{Inherited, Origin};
use crate::interrupt::Interrupt;
use crate::kvm::{Buses, Kicker, KvmError, RestoreError, Vcpu, VcpuEnd, Vm};
use crate::memory::{self, GuestMemory, MemoryError};
use crate::snapshot::{self, Extent, Snapshot, SnapshotError, WorkingSet};
use crate::sys;

pub(crate) use adopt::AdoptError;
use stand::Stand;
pub(crate) use stand::StandError;
use write::What;

/// What a vCPU's thread needs: the run loop and the devices under it, no deep recursion.
const VCPU_STACK: usize = 256 * 1024;
/// The status the process ends with when it is stuck after the guest's life.
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
    /// The snapshot.
    #[error("the snapshot cannot be restored")]
    Snapshot(#[from] SnapshotError),
}

impl From<RestoreError> for SetupError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Kvm(error) => Self::Kvm(error),
            RestoreError::Snapshot(error) => Self::Snapshot(error),
        }
    }
}

/// What the machine begins from, in memory.
enum Begun {
    /// The kernel's entry point.
    Kernel(u64),
    Restored(Box<Snapshot>),
}

/// A guest that has everything and has not run.
pub struct Machine {
    events: EventLoop,
    ending: Arc<Ending>,
    control: Arc<OwnedFd>,
    vcpus: Vec<Vcpu>,
    buses: Arc<Buses>,
    devices: Devices,
    /// Also held for the irqfds and ioeventfds on its descriptor.
    vm: Vm,
    memory: GuestMemory,
    /// How long the guest may live.
    life: life::Life,
    /// What the supervisor wants.
    wanted: Receiver<Wish>,
    /// While the guest stands still.
    stands: Option<stand::Clocks>,
    /// In a rehearsal: what the guest had used when it was ready.
    used: Option<Vec<Extent>>,
    /// `CLOCK_MONOTONIC` at main and with the kernel in memory.
    phases: (u64, u64),
}

/// What the supervisor wants.
enum Wish {
    /// The guest to be a task's, with this medium.
    Adopt(Adopt, Option<File>),
    /// Something written to this file.
    Write(What, File),
    /// The guest to stand still, or go on.
    Stand(Stand),
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
            origin,
            control,
            connector,
            vsock,
            drives,
        } = inherited;
        let ending = Arc::new(Ending::new().map_err(SetupError::Life)?);
        let life = life::arm(config.life.get(), &ending).map_err(SetupError::Life)?;

        let bytes = config.memory.bytes();
        let memory = memory::allocate(bytes)?;
        let mut virtio = devices::virtio_devices(drives, connector, vsock)?;
        let begun = begin(config, &origin, &memory, virtio.len())?;
        let mapped_ns = now_ns();

        let vm = Vm::new(kvm, &memory)?;
        let mut machine = Self {
            events: EventLoop::new()?,
            ending,
            control,
            vcpus: Vec::new(),
            buses: Arc::default(),
            devices: Devices::default(),
            vm,
            memory,
            life,
            wanted: channel().1,
            stands: None,
            used: None,
            phases: (entered_ns, mapped_ns),
        };
        let mut buses = Buses::default();
        // A restored device may raise its line at once, so the chips come first.
        if let Begun::Restored(snapshot) = &begun {
            machine.vcpus = machine.vm.restore(&snapshot.state)?;
        }
        machine.place(config, &mut buses, virtio.drain(..), &begun)?;
        let set = match begun {
            Begun::Kernel(entry) => {
                machine.vcpus = machine.vm.vcpus(config.vcpus.get(), entry)?;
                WorkingSet::default()
            }
            Begun::Restored(snapshot) => snapshot.working_set,
        };
        machine.buses = Arc::new(buses);
        let (sender, wanted) = channel();
        machine.wanted = wanted;
        let (ending, life) = (&machine.ending, machine.life.clone());
        machine.life.depend(config.waits);
        let control = &machine.control;
        let wishes = (sender, machine.memory.clone(), set);
        life::watch(&mut machine.events, ending, life, control, wishes)?;
        Ok(machine)
    }

    /// Puts the devices in their places.
    fn place(
        &mut self,
        config: &Config,
        buses: &mut Buses,
        virtio: impl Iterator<Item = Box<dyn VirtioDevice>>,
        begun: &Begun,
    ) -> Result<(), SetupError> {
        if config.debug_console {
            self.devices.console = Some(devices::attach_console(&self.vm, buses)?);
        }
        devices::attach_i8042(buses, &self.ending)?;
        for (index, device) in virtio.enumerate() {
            // As many places as devices, by `begin`.
            let Some((base, irq)) = layout::device_place(index) else {
                break;
            };
            let line = Interrupt::new(self.vm.interrupt_line(irq)?);
            let memory = self.memory.clone();
            let transport = match begun {
                Begun::Kernel(_) => {
                    Transport::new(device, memory, line).map_err(SetupError::Device)?
                }
                Begun::Restored(snapshot) => {
                    let state = snapshot.state.devices.get(index);
                    let state = state.ok_or(SnapshotError::Corrupt("its devices are others"))?;
                    Transport::restored(device, memory, line, state)?
                }
            };
            let transport = Arc::new(Mutex::new(transport));
            devices::attach(&self.vm, buses, base, &transport)?;
            self.events.add_device(transport.clone())?;
            self.devices.virtio.push(transport);
        }
        Ok(())
    }

    /// Runs the guest to its end, on this thread and one for each vCPU.
    ///
    /// # Errors
    /// It never ran: no threads, or no supervisor to tell.
    pub fn run(&mut self) -> Result<Ended, SetupError> {
        let mut threads = Kicker::new(self.ending.flag.clone());
        let started = self.start(&mut threads, true);
        if started.is_ok() {
            self.serve(&mut threads);
        }
        threads.stop();
        started.map(|()| self.last_word())
    }

    /// Serves the guest until something ends it, and its supervisor's wishes.
    fn serve(&mut self, threads: &mut Kicker) {
        loop {
            if let Err(error) = self.events.run() {
                return self.ending.report(Cause::Events(error));
            }
            let done = match self.wanted.try_recv() {
                Ok(Wish::Write(what, file)) => self.write(threads, what, &file),
                Ok(Wish::Adopt(adopt, medium)) => self.adopt(&adopt, medium).map_err(Cause::Adopt),
                Ok(Wish::Stand(stand)) => self.stand(threads, stand),
                Err(_) => return,
            };
            if let Err(cause) = done {
                return self.ending.report(cause);
            }
        }
    }

    /// Starts all vCPUs, the first one last: the others wait for it to wake them. `tell`: the
    /// supervisor is to know.
    fn start(&mut self, threads: &mut Kicker, tell: bool) -> Result<(), SetupError> {
        let mut vcpus = self.vcpus.drain(..).enumerate().rev().peekable();
        while let Some((index, vcpu)) = vcpus.next() {
            if tell && vcpus.peek().is_none() {
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
                    (vcpu, VcpuEnd::Told) => Some(vcpu),
                    (_, VcpuEnd::TripleFault) => {
                        ending.report(Cause::TripleFault);
                        None
                    }
                    (_, VcpuEnd::Failed(error)) => {
                        ending.report(Cause::Vcpu(error));
                        None
                    }
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
            peak_resident: sys::peak_resident(),
        }
    }
}

/// Fills memory with what the machine begins from.
fn begin(
    config: &Config,
    origin: &Origin,
    memory: &GuestMemory,
    devices: usize,
) -> Result<Begun, SetupError> {
    let bytes = config.memory.bytes();
    match origin {
        Origin::Kernel(file) => {
            let entry = kernel::load(file, memory, bytes.min(layout::DEVICES))?;
            let places: Vec<_> = (0..devices).map_while(layout::device_place).collect();
            write_tables(config, memory, &places)?;
            Ok(Begun::Kernel(entry))
        }
        Origin::Snapshot(file) => {
            let found = snapshot::open(file)?;
            let state = &found.state;
            let vcpus = u64::try_from(state.vcpus.len()).unwrap_or(u64::MAX);
            snapshot::agree("vCPUs", vcpus, config.vcpus.get().into())?;
            snapshot::agree("bytes of memory", state.memory, bytes)?;
            let then = u64::try_from(state.devices.len()).unwrap_or(u64::MAX);
            let now = u64::try_from(devices).unwrap_or(u64::MAX);
            snapshot::agree("devices", then, now)?;
            snapshot::map(file, &found, memory)?;
            Ok(Begun::Restored(Box::new(found)))
        }
    }
}

/// Writes all that the kernel reads.
fn write_tables(
    config: &Config,
    memory: &GuestMemory,
    places: &[(u64, u32)],
) -> Result<(), SetupError> {
    let devices = places.len();
    let command_line = cmdline::command_line(devices, config.debug_console);
    boot::write(memory, config.memory.bytes(), &command_line)?;
    tables::write(memory)?;
    let console = config.debug_console.then_some(layout::SERIAL_IRQ);
    let lines = console
        .into_iter()
        .chain(places.iter().map(|(_, irq)| *irq));
    let lines: Vec<u8> = lines.filter_map(|irq| u8::try_from(irq).ok()).collect();
    let table = mptable::mp_table(config.vcpus.get(), &lines);
    memory.write_slice(&table, GuestAddress(layout::MP_TABLE))?;
    Ok(())
}
