// SPDX-License-Identifier: Apache-2.0
//! One vCPU: its first state, and the loop that serves its exits on a thread of its own.
//!
//! Exits reach devices over the [`Buses`] and nothing else. A halt never leaves KVM, as the
//! interrupt controller is inside it. The loop ends when the machine is ending, whoever began
//! that: another thread sets the flag and kicks (a signal, see [`Kicker`]), or a device this
//! vCPU has just written to did.
#![expect(
    unsafe_code,
    reason = "kvm_run is shared with the kernel and a signal handler"
)]

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use kvm_bindings::{CpuId, Msrs, kvm_run};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd};
use vmm_sys_util::signal::{Killable, SIGRTMIN};

use super::state::{self, RestoreError};
use super::{KvmError, refused};
use crate::arch::x86_64::{msr, tables};
use crate::bus::Bus;
use crate::snapshot::{SnapshotError, VcpuState};

/// `KVM_INTERNAL_ERROR_EMULATION` (`include/uapi/linux/kvm.h`).
const EMULATION: u32 = 1;

/// The two address spaces a vCPU's exits lead to.
#[derive(Debug, Default)]
pub(crate) struct Buses {
    /// Memory-mapped devices.
    pub(crate) mmio: Bus,
    /// Port I/O.
    pub(crate) ports: Bus,
}

/// How KVM failed to run a guest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VcpuError {
    /// The processor refused the guest's state.
    #[error("the processor refused to enter the guest (hardware reason {reason:#x}, CPU {cpu})")]
    Entry {
        /// The processor's own reason.
        reason: u64,
        /// Which host CPU.
        cpu: u32,
    },
    /// An instruction KVM cannot carry out for the guest.
    #[error(
        "KVM could not emulate the guest's instruction at {rip:#x}; is there hardware \
         virtualisation behind /dev/kvm (svm or vmx in /proc/cpuinfo)?"
    )]
    Emulation {
        /// Where the guest was.
        rip: u64,
    },
    /// Something else inside KVM.
    #[error("KVM failed inside (suberror {suberror}) with the guest at {rip:#x}")]
    Internal {
        /// KVM's number for it.
        suberror: u32,
        /// Where the guest was.
        rip: u64,
    },
    /// The guest used an address KVM cannot back with memory.
    #[error("KVM found no memory of the host for guest address {address:#x}")]
    Memory {
        /// The guest's address.
        address: u64,
    },
    /// An exit that this machine has nothing to answer with.
    #[error("the guest left KVM for a reason this VMM does not serve ({0})")]
    Unserved(String),
    /// The ioctl failed.
    #[error("KVM_RUN failed")]
    Run(#[source] kvm_ioctls::Error),
}

/// Why a vCPU's loop returned.
#[derive(Debug)]
pub(crate) enum VcpuEnd {
    /// The machine is ending; who began that has said why.
    Told,
    /// `KVM_EXIT_SHUTDOWN`: a fault while handling a fault while handling a fault.
    TripleFault,
    /// KVM failed.
    Failed(VcpuError),
}

/// The state a vCPU begins in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin<'a> {
    /// It enters the kernel here.
    Kernel(u64),
    /// It waits for the start-up interrupt, which is KVM's reset state for all but the first.
    Wait,
    /// It goes on.
    Restored(&'a VcpuState),
}

/// A vCPU that does not run now.
pub(crate) struct Vcpu {
    fd: VcpuFd,
    /// The profile it was given.
    cpuid: Vec<u8>,
}

impl Vcpu {
    /// Gives the vCPU its identity and its first state.
    pub(super) fn new(fd: VcpuFd, cpuid: &CpuId, begin: Begin<'_>) -> Result<Self, RestoreError> {
        fd.set_cpuid2(cpuid)
            .map_err(refused("take the CPUID profile"))?;
        let cpuid = state::cpuid_bytes(cpuid);
        match begin {
            Begin::Restored(state) if state.cpuid != cpuid => {
                return Err(SnapshotError::Processor("CPUID leaves").into());
            }
            Begin::Restored(state) => state::restore_vcpu(&fd, state)?,
            Begin::Wait => set_msrs(&fd)?,
            Begin::Kernel(entry) => {
                set_msrs(&fd)?;
                let mut sregs = fd.get_sregs().map_err(refused("read special registers"))?;
                tables::enter_long_mode(&mut sregs);
                fd.set_sregs(&sregs)
                    .map_err(refused("set special registers"))?;
                fd.set_regs(&tables::registers(entry))
                    .map_err(refused("set registers"))?;
            }
        }
        Ok(Self { fd, cpuid })
    }

    /// What it is while it stands still.
    pub(super) fn save(&self, kvm: &Kvm) -> Result<VcpuState, KvmError> {
        state::save_vcpu(kvm, &self.fd, &self.cpuid)
    }

    /// Rate of its TSC.
    pub(super) fn tsc_khz(&self) -> Result<u32, KvmError> {
        self.fd
            .get_tsc_khz()
            .map_err(refused("tell the TSC's rate"))
    }

    /// What its TSC shows.
    pub(crate) fn tsc(&self) -> Result<u64, KvmError> {
        state::tsc(&self.fd)
    }

    /// Has its TSC go on from a reading.
    pub(crate) fn set_tsc(&self, reading: u64) -> Result<(), KvmError> {
        state::set_tsc(&self.fd, reading)
    }

    /// The guest's watchdogs are not to take the time it stood still for a hang. One without
    /// kvm-clock cannot be told, and need not be.
    pub(crate) fn excuse(&self) {
        let _ = self.fd.kvmclock_ctrl();
    }

    /// Runs the guest on this thread until it ends or `ending` is set and the thread is kicked.
    /// Told to end, the vCPU stands between two instructions, and may be saved or run again.
    pub(crate) fn run(mut self, buses: &Buses, ending: &AtomicBool) -> (Self, VcpuEnd) {
        RUN.set(std::ptr::from_mut(self.fd.get_kvm_run()));
        let end = self.serve(buses, ending);
        // Before the mapping goes with `self`.
        RUN.set(std::ptr::null_mut());
        (self, end)
    }

    fn serve(&mut self, buses: &Buses, ending: &AtomicBool) -> VcpuEnd {
        loop {
            // A kick after this line makes the next KVM_RUN return at once, so none is lost. That
            // KVM_RUN is needed: it completes the instruction whose exit was served last
            // (`Documentation/virt/kvm/api.rst`, §5, "pending operations").
            if ending.load(Ordering::SeqCst) {
                self.fd.set_kvm_immediate_exit(1);
            }
            match self.fd.run() {
                Ok(VcpuExit::MmioRead(address, data)) => {
                    buses.mmio.read(address, data);
                }
                Ok(VcpuExit::MmioWrite(address, data)) => {
                    buses.mmio.write(address, data);
                }
                Ok(VcpuExit::IoIn(port, data)) => {
                    buses.ports.read(port.into(), data);
                }
                Ok(VcpuExit::IoOut(port, data)) => {
                    buses.ports.write(port.into(), data);
                }
                Ok(VcpuExit::Intr) => {}
                Ok(VcpuExit::Shutdown) => return VcpuEnd::TripleFault,
                Ok(VcpuExit::FailEntry(reason, cpu)) => {
                    return VcpuEnd::Failed(VcpuError::Entry { reason, cpu });
                }
                Ok(VcpuExit::InternalError) => return VcpuEnd::Failed(self.internal_error()),
                Ok(VcpuExit::MemoryFault { gpa: address, .. }) => {
                    return VcpuEnd::Failed(VcpuError::Memory { address });
                }
                Ok(other) => {
                    let what = format!("{other:?}");
                    return VcpuEnd::Failed(VcpuError::Unserved(what));
                }
                // A kick, or nothing; the flag says which.
                Err(error) if error.errno() == libc::EINTR => {
                    self.fd.set_kvm_immediate_exit(0);
                    if ending.load(Ordering::SeqCst) {
                        return VcpuEnd::Told;
                    }
                }
                // A vCPU that waits for its start-up interrupt was disturbed.
                Err(error) if error.errno() == libc::EAGAIN => {}
                Err(error) => return VcpuEnd::Failed(VcpuError::Run(error)),
            }
        }
    }

    fn internal_error(&mut self) -> VcpuError {
        let rip = self.fd.get_regs().map(|regs| regs.rip).unwrap_or_default();
        // SAFETY: the union's field must be the one the kernel wrote: the exit's reason was
        // KVM_EXIT_INTERNAL_ERROR, for which it is `internal`; and every bit pattern is a u32.
        let suberror = unsafe { self.fd.get_kvm_run().__bindgen_anon_1.internal.suberror };
        match suberror {
            EMULATION => VcpuError::Emulation { rip },
            _ => VcpuError::Internal { suberror, rip },
        }
    }
}

fn set_msrs(fd: &VcpuFd) -> Result<(), KvmError> {
    let msrs = Msrs::from_entries(&msr::INITIAL).map_err(|_| KvmError::Profile)?;
    let set = fd
        .set_msrs(&msrs)
        .map_err(refused("set model-specific registers"))?;
    match msr::INITIAL.get(set) {
        Some(entry) => Err(KvmError::Msr(entry.index)),
        None => Ok(()),
    }
}

thread_local! {
    /// The `kvm_run` of the vCPU this thread runs, for [`kicked`]. Without a destructor and
    /// initialised in place, so that a signal handler may read it.
    static RUN: Cell<*mut kvm_run> = const { Cell::new(std::ptr::null_mut()) };
}

/// The kick's handler. Interrupting KVM_RUN is the kernel's part; this is for a signal that
/// arrives just before KVM_RUN, which then returns at once.
extern "C" fn kicked(_: libc::c_int) {
    let run = RUN.get();
    if !run.is_null() {
        // SAFETY: the pointer must be to a live kvm_run: it is set while `run` owns the mapping
        // and cleared before that goes, on this same thread.
        let immediate_exit = unsafe { &raw mut (*run).immediate_exit };
        // SAFETY: valid for writes as just said; the kernel and this thread expect it to change.
        unsafe { immediate_exit.write_volatile(1) };
    }
}

fn kick_signal() -> libc::c_int {
    SIGRTMIN()
}

/// Installs the handler of the kick. As PID 1 of a namespace a process gets only signals it has
/// a handler for.
pub(crate) fn install_kick() -> io::Result<()> {
    crate::sys::on_signal(kick_signal(), kicked)
}

/// What a vCPU's thread leaves: the vCPU, if it may go on.
pub(crate) type Thread = JoinHandle<Option<Vcpu>>;

/// Stops vCPU threads from outside.
#[derive(Debug)]
pub(crate) struct Kicker {
    threads: Vec<Thread>,
    ending: Arc<AtomicBool>,
}

impl Kicker {
    /// For threads that run vCPUs with this flag.
    pub(crate) fn new(ending: Arc<AtomicBool>) -> Self {
        let threads = Vec::new();
        Self { threads, ending }
    }

    /// One more thread to stop.
    pub(crate) fn add(&mut self, thread: Thread) {
        self.threads.push(thread);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Stops all vCPUs and waits until none runs; those that may go on, in the order they were
    /// added in.
    pub(crate) fn stop(&mut self) -> Vec<Vcpu> {
        self.ending.store(true, Ordering::SeqCst);
        for thread in &self.threads {
            // Fails only for a thread that has ended.
            let _ = thread.kill(kick_signal());
        }
        // A vCPU thread that panicked has already aborted the process or said so.
        let threads = self.threads.drain(..);
        threads.filter_map(|thread| thread.join().ok()?).collect()
    }
}
