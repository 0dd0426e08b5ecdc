// SPDX-License-Identifier: Apache-2.0
//! The machine as KVM has it: memory, interrupt controller, lines and notifications.
//!
//! There is no timer chip (PIT): with kvm-clock, the TSC deadline timer and an always running
//! APIC timer, all of which the CPUID profile promises, Linux neither calibrates with it nor
//! takes its interrupt (`arch/x86/kernel/apic/apic.c`, `apic_needs_pit`).
#![expect(unsafe_code, reason = "gives guest memory to KVM")]

use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, kvm_userspace_memory_region};
use kvm_ioctls::{Cap, IoEventAddress, Kvm, VmFd};
use vm_memory::{GuestMemoryBackend, GuestMemoryRegion};
use vmm_sys_util::eventfd::EventFd;

use super::state::{self, RestoreError};
use super::vcpu::{Begin, Vcpu};
use super::{API_VERSION, KvmError, refused};
use crate::arch::x86_64::cpuid::Profile;
use crate::arch::x86_64::layout;
use crate::memory::GuestMemory;
use crate::snapshot::{MachineState, SnapshotError, agree, host_kernel};

/// A virtual machine without vCPUs or devices yet.
pub(crate) struct Vm {
    kvm: Kvm,
    fd: VmFd,
    /// KVM refers to its pages by address; held so that nobody thinks them free.
    memory: GuestMemory,
}

impl Vm {
    /// A machine with this memory and KVM's interrupt controller.
    pub(crate) fn new(kvm: OwnedFd, memory: &GuestMemory) -> Result<Self, KvmError> {
        // SAFETY: the number must be an open descriptor nobody else closes: it comes out of an
        // OwnedFd, which gives it up here. That it is KVM is asked next; ioctls of another kind
        // of file fail.
        let kvm = unsafe { Kvm::from_raw_fd(kvm.into_raw_fd()) };
        let version = kvm.get_api_version();
        if version != API_VERSION {
            return Err(KvmError::NotKvm(version));
        }
        if !kvm.check_extension(Cap::TscDeadlineTimer) {
            return Err(KvmError::Lacks("the TSC deadline timer"));
        }
        let fd = loop {
            match kvm.create_vm() {
                // Creating the machine waits for every CPU of the host, and signals arrive.
                Err(error) if error.errno() == libc::EINTR => {}
                other => break other.map_err(refused("create a virtual machine"))?,
            }
        };
        fd.set_identity_map_address(layout::KVM_IDENTITY_MAP)
            .map_err(refused("place its identity map"))?;
        fd.set_tss_address(layout::KVM_TSS)
            .map_err(refused("place its task state segment"))?;
        fd.create_irq_chip()
            .map_err(refused("create an interrupt controller"))?;
        let vm = Self {
            kvm,
            fd,
            memory: memory.clone(),
        };
        for (slot, region) in (0..).zip(memory.iter()) {
            vm.add_memory(slot, region)?;
        }
        Ok(vm)
    }

    fn add_memory(
        &self,
        slot: u32,
        region: &vm_memory::GuestRegionMmap<()>,
    ) -> Result<(), KvmError> {
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: region.start_addr().0,
            memory_size: region.len(),
            userspace_addr: region.as_ptr().addr() as u64,
        };
        // SAFETY: the range must be memory of this process for as long as the machine runs, and
        // no Rust reference may expect it unchanged: it is guest memory, which memory.rs never
        // unmaps and which is reached through volatile accesses only.
        unsafe { self.fd.set_user_memory_region(region) }
            .map_err(refused("take the guest's memory"))
    }

    /// An eventfd that raises interrupt line `irq` when written to.
    pub(crate) fn interrupt_line(&self, irq: u32) -> Result<EventFd, KvmError> {
        let line =
            EventFd::new(libc::EFD_NONBLOCK | libc::EFD_CLOEXEC).map_err(KvmError::EventFd)?;
        self.fd
            .register_irqfd(&line, irq)
            .map_err(refused("take an interrupt line"))?;
        Ok(line)
    }

    /// Has KVM write `event` when the guest writes `queue` to `address`, without an exit.
    pub(crate) fn notify(&self, event: &EventFd, address: u64, queue: u32) -> Result<(), KvmError> {
        self.fd
            .register_ioevent(event, &IoEventAddress::Mmio(address), queue)
            .map_err(refused("take a queue's notification"))
    }

    /// `count` vCPUs; the first starts at `entry`, the others wait until it wakes them.
    pub(crate) fn vcpus(&self, count: u8, entry: u64) -> Result<Vec<Vcpu>, KvmError> {
        let begin = |id| match id {
            0 => Begin::Kernel(entry),
            _ => Begin::Wait,
        };
        self.make_vcpus(count, begin).map_err(|error| match error {
            RestoreError::Kvm(error) => error,
            RestoreError::Snapshot(_) => KvmError::Profile,
        })
    }

    /// The vCPUs of a snapshot, and with them the state of everything inside KVM.
    pub(crate) fn restore(&self, state: &MachineState) -> Result<Vec<Vcpu>, RestoreError> {
        let count = u8::try_from(state.vcpus.len())
            .map_err(|_| SnapshotError::Corrupt("it has too many vCPUs"))?;
        // As many as there are: the index is of the same list.
        let begin = |id: u8| match state.vcpus.get(usize::from(id)) {
            Some(vcpu) => Begin::Restored(vcpu),
            None => Begin::Wait,
        };
        let vcpus = self.make_vcpus(count, begin)?;
        if let Some(vcpu) = vcpus.first() {
            let now = u64::from(vcpu.tsc_khz()?);
            agree("kHz of TSC", state.tsc_khz.into(), now)?;
        }
        state::restore_vm(&self.fd, &state.chips, state.clock)?;
        Ok(vcpus)
    }

    /// What is inside KVM, while no vCPU runs. The devices are the caller's to add.
    pub(crate) fn save(&self, vcpus: &[Vcpu]) -> Result<MachineState, KvmError> {
        if !state::plain_xsave(&self.fd) {
            return Err(KvmError::Lacks("extended state of the plain size"));
        }
        let tsc_khz = match vcpus.first() {
            Some(vcpu) => vcpu.tsc_khz()?,
            None => 0,
        };
        let (chips, clock) = state::save_vm(&self.fd)?;
        let memory = self.memory.iter().map(GuestMemoryRegion::len);
        Ok(MachineState {
            vmm: env!("CARGO_PKG_VERSION").to_owned(),
            host_kernel: host_kernel(),
            memory: memory.fold(0, u64::saturating_add),
            tsc_khz,
            clock,
            vcpus: vcpus
                .iter()
                .map(|vcpu| vcpu.save(&self.kvm))
                .collect::<Result<_, _>>()?,
            chips,
            devices: Vec::new(),
            extents: Vec::new(),
        })
    }

    /// What kvm-clock shows.
    pub(crate) fn clock(&self) -> Result<u64, KvmError> {
        state::clock(&self.fd)
    }

    /// Has kvm-clock go on from a reading.
    pub(crate) fn set_clock(&self, reading: u64) -> Result<(), KvmError> {
        state::set_clock(&self.fd, reading)
    }

    fn make_vcpus<'a>(
        &self,
        count: u8,
        begin: impl Fn(u8) -> Begin<'a>,
    ) -> Result<Vec<Vcpu>, RestoreError> {
        let supported = self
            .kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(refused("say what processor it offers"))?;
        let mut profile = Profile::new(&supported, count).ok_or(KvmError::Profile)?;
        let mut vcpus = Vec::with_capacity(usize::from(count));
        for id in 0..count {
            let fd = self
                .fd
                .create_vcpu(u64::from(id))
                .map_err(refused("create a vCPU"))?;
            vcpus.push(Vcpu::new(fd, profile.for_vcpu(id), begin(id))?);
        }
        Ok(vcpus)
    }
}
