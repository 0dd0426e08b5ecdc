// SPDX-License-Identifier: Apache-2.0
//! A machine's state inside KVM: taken while no vCPU runs, and put into a new machine.
//!
//! The order of putting it back matters (`arch/x86/kvm/x86.c`): CPUID before anything that is
//! checked against it, special registers before the local APIC (they hold its base), the APIC
//! before the TSC deadline (which counts only in that mode), the TSC before the deadline, the
//! interrupt chips after every APIC they deliver to.
#![expect(
    unsafe_code,
    reason = "KVM_SET_XSAVE reads as much as KVM's own size of it"
)]
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use kvm_bindings::{
    CpuId, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, Msrs, kvm_clock_data,
    kvm_cpuid_entry2, kvm_irqchip, kvm_msr_entry, kvm_xsave,
};
use kvm_ioctls::{Cap, Kvm, VcpuFd, VmFd};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{KvmError, refused};
use crate::snapshot::{SnapshotError, VcpuState};

/// `IA32_TSC` and `IA32_TSC_DEADLINE` (SDM vol. 4, table 2-2): written first and last.
const TSC: u32 = 0x10;
const TSC_DEADLINE: u32 = 0x6e0;
/// Hyper-V's registers, which no guest of ours is offered (`asm/hyperv-tlfs.h`).
const HYPER_V: std::ops::Range<u32> = 0x4000_0000..0x4000_0200;
/// `MSR_KVM_WALL_CLOCK` old and new: writing one makes KVM write to guest memory, once; what it
/// wrote is there.
const WALL_CLOCK: [u32; 2] = [0x11, 0x4b56_4d00];
/// Registers that are not zero in a fresh vCPU, so that a zero in the snapshot is news:
/// `IA32_APIC_BASE`, `IA32_MISC_ENABLE`, `IA32_PAT`, `IA32_MTRR_DEF_TYPE`, `IA32_EFER`, and AMD's
/// `HWCR`. Of all others a zero need not be written.
const NOT_ZERO_AT_RESET: [u32; 6] = [0x1b, 0x1a0, 0x277, 0x2ff, 0xc000_0080, 0xc001_0015];

/// The interrupt chips of a machine.
const CHIPS: [u32; 3] = [
    KVM_IRQCHIP_PIC_MASTER,
    KVM_IRQCHIP_PIC_SLAVE,
    KVM_IRQCHIP_IOAPIC,
];

fn parse<T: FromBytes>(bytes: &[u8]) -> Result<T, RestoreError> {
    T::read_from_bytes(bytes)
        .map_err(|_| SnapshotError::Corrupt("a structure of KVM has another size").into())
}

fn list<T: IntoBytes + Immutable>(entries: &[T]) -> Vec<u8> {
    entries.as_bytes().to_vec()
}

/// Why state could not be put into a machine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    /// KVM refused.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// It does not belong here.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// The bytes of a CPUID profile.
pub(super) fn cpuid_bytes(cpuid: &CpuId) -> Vec<u8> {
    list::<kvm_cpuid_entry2>(cpuid.as_slice())
}

/// Takes a vCPU's state.
pub(super) fn save_vcpu(kvm: &Kvm, fd: &VcpuFd, cpuid: &[u8]) -> Result<VcpuState, KvmError> {
    Ok(VcpuState {
        cpuid: cpuid.to_vec(),
        mp_state: bytes(
            &fd.get_mp_state()
                .map_err(refused("give a vCPU's run state"))?,
        ),
        regs: bytes(&fd.get_regs().map_err(refused("give registers"))?),
        sregs: bytes(&fd.get_sregs().map_err(refused("give special registers"))?),
        xsave: bytes(&fd.get_xsave().map_err(refused("give extended state"))?),
        xcrs: bytes(&fd.get_xcrs().map_err(refused("give control registers"))?),
        debug_regs: bytes(
            &fd.get_debug_regs()
                .map_err(refused("give debug registers"))?,
        ),
        lapic: bytes(&fd.get_lapic().map_err(refused("give a local APIC"))?),
        msrs: list::<kvm_msr_entry>(&save_msrs(kvm, fd)?),
        // After the rest: reading the others may deliver what is pending.
        events: bytes(
            &fd.get_vcpu_events()
                .map_err(refused("give pending events"))?,
        ),
    })
}

fn bytes<T: IntoBytes + Immutable>(value: &T) -> Vec<u8> {
    value.as_bytes().to_vec()
}

/// The model-specific registers that are not as in a fresh vCPU, in the order to write them.
fn save_msrs(kvm: &Kvm, fd: &VcpuFd) -> Result<Vec<kvm_msr_entry>, KvmError> {
    let indices = kvm
        .get_msr_index_list()
        .map_err(refused("list model-specific registers"))?;
    let mut entries: Vec<kvm_msr_entry> = indices
        .as_slice()
        .iter()
        .filter(|index| !HYPER_V.contains(index) && !WALL_CLOCK.contains(index))
        .map(|index| kvm_msr_entry {
            index: *index,
            ..kvm_msr_entry::default()
        })
        .collect();
    // KVM lists what it knows, and stops at the first that this vCPU does not have.
    let mut known = Vec::with_capacity(entries.len());
    while !entries.is_empty() {
        let mut msrs = Msrs::from_entries(&entries).map_err(|_| KvmError::Profile)?;
        let got = fd
            .get_msrs(&mut msrs)
            .map_err(refused("give model-specific registers"))?;
        known.extend(msrs.as_slice().iter().take(got).copied());
        entries.drain(..got.saturating_add(1).min(entries.len()));
    }
    known.retain(|msr| msr.data != 0 || NOT_ZERO_AT_RESET.contains(&msr.index));
    known.sort_by_key(|msr| (msr.index == TSC_DEADLINE, msr.index != TSC));
    Ok(known)
}

/// Puts a vCPU's state into a new one that has its CPUID profile.
pub(super) fn restore_vcpu(fd: &VcpuFd, state: &VcpuState) -> Result<(), RestoreError> {
    fd.set_mp_state(parse(&state.mp_state)?)
        .map_err(refused("take a vCPU's run state"))?;
    fd.set_regs(&parse(&state.regs)?)
        .map_err(refused("take registers"))?;
    fd.set_sregs(&parse(&state.sregs)?)
        .map_err(refused("take special registers"))?;
    let xsave: kvm_xsave = parse(&state.xsave)?;
    // SAFETY: KVM must not read past the structure. It reads as many bytes as the guest's
    // extended state may have, which is more than this structure holds only for state that a
    // process asks leave for (arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM); this one never does.
    unsafe { fd.set_xsave(&xsave) }.map_err(refused("take extended state"))?;
    fd.set_xcrs(&parse(&state.xcrs)?)
        .map_err(refused("take control registers"))?;
    fd.set_debug_regs(&parse(&state.debug_regs)?)
        .map_err(refused("take debug registers"))?;
    fd.set_lapic(&parse(&state.lapic)?)
        .map_err(refused("take a local APIC"))?;
    restore_msrs(fd, &state.msrs)?;
    fd.set_vcpu_events(&parse(&state.events)?)
        .map_err(refused("take pending events"))?;
    Ok(())
}

fn restore_msrs(fd: &VcpuFd, bytes: &[u8]) -> Result<(), RestoreError> {
    let entries = <[kvm_msr_entry]>::ref_from_bytes(bytes);
    let entries = match entries {
        Ok(entries) => entries.to_vec(),
        // Not aligned, or not whole entries.
        Err(_) => bytes
            .chunks(size_of::<kvm_msr_entry>())
            .map(parse)
            .collect::<Result<_, _>>()?,
    };
    let msrs = Msrs::from_entries(&entries)
        .map_err(|_| SnapshotError::Corrupt("it has more registers than KVM takes"))?;
    let set = fd
        .set_msrs(&msrs)
        .map_err(refused("take model-specific registers"))?;
    match entries.get(set) {
        Some(entry) => Err(KvmError::Msr(entry.index).into()),
        None => Ok(()),
    }
}

/// Takes the interrupt chips' state and kvm-clock.
pub(super) fn save_vm(fd: &VmFd) -> Result<(Vec<Vec<u8>>, u64), KvmError> {
    let mut chips = Vec::with_capacity(CHIPS.len());
    for chip_id in CHIPS {
        let mut chip = kvm_irqchip {
            chip_id,
            ..kvm_irqchip::default()
        };
        fd.get_irqchip(&mut chip)
            .map_err(refused("give an interrupt chip"))?;
        chips.push(bytes(&chip));
    }
    Ok((chips, clock(fd)?))
}

/// What kvm-clock shows, in nanoseconds.
pub(super) fn clock(fd: &VmFd) -> Result<u64, KvmError> {
    Ok(fd.get_clock().map_err(refused("give its clock"))?.clock)
}

/// Without flags KVM goes on from this reading now, however long the machine stood still.
pub(super) fn set_clock(fd: &VmFd, clock: u64) -> Result<(), KvmError> {
    let clock = kvm_clock_data {
        clock,
        ..kvm_clock_data::default()
    };
    fd.set_clock(&clock).map_err(refused("take its clock"))
}

/// What a vCPU's TSC shows.
pub(super) fn tsc(fd: &VcpuFd) -> Result<u64, KvmError> {
    let mut msrs = tsc_register(0)?;
    let got = fd.get_msrs(&mut msrs).map_err(refused("give its TSC"))?;
    let entries = msrs.as_slice().iter().take(got);
    let mut readings = entries.map(|entry| entry.data);
    readings.next().ok_or(KvmError::Msr(TSC))
}

/// Has a vCPU's TSC go on from a reading.
pub(super) fn set_tsc(fd: &VcpuFd, reading: u64) -> Result<(), KvmError> {
    match fd.set_msrs(&tsc_register(reading)?) {
        Ok(0) => Err(KvmError::Msr(TSC)),
        Ok(_) => Ok(()),
        Err(error) => Err(refused("take its TSC")(error)),
    }
}

fn tsc_register(data: u64) -> Result<Msrs, KvmError> {
    let entry = kvm_msr_entry {
        index: TSC,
        data,
        ..kvm_msr_entry::default()
    };
    Msrs::from_entries(&[entry]).map_err(|_| KvmError::Profile)
}

/// Puts them back.
pub(super) fn restore_vm(fd: &VmFd, chips: &[Vec<u8>], clock: u64) -> Result<(), RestoreError> {
    for chip in chips {
        fd.set_irqchip(&parse(chip)?)
            .map_err(refused("take an interrupt chip"))?;
    }
    Ok(set_clock(fd, clock)?)
}

/// Whether this KVM's extended state fits the structure that [`restore_vcpu`] passes.
pub(super) fn plain_xsave(fd: &VmFd) -> bool {
    let size = fd.check_extension_int(Cap::Xsave2);
    usize::try_from(size).unwrap_or(0) <= size_of::<kvm_xsave>()
}
