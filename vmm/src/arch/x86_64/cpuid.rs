// SPDX-License-Identifier: Apache-2.0
//! The processor a guest sees: the documented CPUID profile.
//!
//! What KVM supports is cut down to an explicit list ([`allowed`]): a leaf or a bit that is not
//! named is zero, so that a newer host or kernel never shows guests something nobody decided.
//! Then each vCPU's own identity is put in ([`Profile::for_vcpu`]).
//!
//! - Kept: what ordinary user-space code is compiled for (up to AVX-512 and VNNI), what the
//!   kernel uses to be fast (PCID, INVPCID, FSGSBASE, XSAVES, 1 GiB pages, invariant TSC), SMEP,
//!   SMAP and UMIP, and every bit that says how to mitigate a processor's faults.
//! - Hidden: nested virtualisation (VMX, SVM, SEV, SGX), performance counters and tracing (PMU,
//!   PT, IBS, RDPMC's leaf 0xa: side channels, and no task needs them), MPX, TSX (HLE and RTM),
//!   protection keys, five-level page tables (slower, for memory no guest has), AMX (its state
//!   is 8 KiB a thread), MWAIT (a guest would keep the core), cache allocation.
//! - Added: the hypervisor bit, x2APIC and the TSC deadline timer, which KVM's interrupt
//!   controller gives every guest whatever the host has; KVM's own leaves with kvm-clock, no
//!   I/O delays, and the paravirtual flushes, wake-ups and interrupts that many vCPUs on fewer
//!   cores want. Without asynchronous page faults: a guest's page is there or on its way from
//!   the page cache, and the interrupts they need are state that a template would carry.
//! - Topology: one package, a core a vCPU, no threads; the last-level cache is everyone's.
//!
//! Vendor, family, model, stepping and name are the host's: the kernel's mitigations and
//! programs' run-time dispatch need the truth. So the profile is the same across one fleet of
//! like servers, and a key of what is kept between them.
//!
//! Bits: Intel SDM vol. 2A, CPUID; AMD APM vol. 3, appendix E; `Documentation/virt/kvm/x86/cpuid.rst`.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

/// A bit that is kept.
const fn bit(n: u32) -> u32 {
    1 << n
}

/// Several bits that are kept.
const fn bits<const N: usize>(list: [u32; N]) -> u32 {
    let mut mask = 0;
    let mut rest: &[u32] = &list;
    while let [n, more @ ..] = rest {
        mask |= bit(*n);
        rest = more;
    }
    mask
}

/// All of a register.
const ALL: u32 = u32::MAX;

/// Leaf 1: which processor, and the first features.
mod leaf1 {
    use super::bits;
    /// SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, PCID, SSE4.1, SSE4.2, MOVBE, POPCNT, AES,
    /// XSAVE, AVX, F16C, RDRAND. OSXSAVE (27) is KVM's, by what the guest's CR4 says.
    pub(super) const ECX: u32 = bits([0, 1, 9, 12, 13, 17, 19, 20, 22, 23, 25, 26, 28, 29, 30]);
    /// What the profile adds, and the topology.
    pub(super) const X2APIC: u32 = 1 << 21;
    pub(super) const TSC_DEADLINE: u32 = 1 << 24;
    pub(super) const HYPERVISOR: u32 = 1 << 31;
    /// FPU, VME, DE, PSE, TSC, MSR, PAE, MCE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE36,
    /// CLFSH, MMX, FXSR, SSE, SSE2, SS.
    pub(super) const EDX: u32 = bits([
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26, 27,
    ]);
    /// More than one logical processor in the package.
    pub(super) const HTT: u32 = 1 << 28;
}

/// Leaf 7: structured extended features.
mod leaf7 {
    use super::bits;
    /// FSGSBASE, TSC_ADJUST, BMI1, AVX2, SMEP, BMI2, ERMS, INVPCID, "FCS/FDS deprecated",
    /// AVX512F, AVX512DQ, RDSEED, ADX, SMAP, AVX512IFMA, CLFLUSHOPT, CLWB, AVX512CD, SHA,
    /// AVX512BW, AVX512VL.
    pub(super) const EBX: u32 = bits([
        0, 1, 3, 5, 7, 8, 9, 10, 13, 16, 17, 18, 19, 20, 21, 23, 24, 28, 29, 30, 31,
    ]);
    /// AVX512_VBMI, UMIP, AVX512_VBMI2, GFNI, VAES, VPCLMULQDQ, AVX512_VNNI, AVX512_BITALG,
    /// AVX512_VPOPCNTDQ, RDPID.
    pub(super) const ECX: u32 = bits([1, 2, 6, 8, 9, 10, 11, 12, 14, 22]);
    /// FSRM, MD_CLEAR, SERIALIZE, IBRS/IBPB, STIBP, L1D_FLUSH, ARCH_CAPABILITIES, SSBD.
    pub(super) const EDX: u32 = bits([4, 10, 14, 26, 27, 28, 29, 31]);
    /// Sub-leaf 1: AVX-VNNI, AVX512_BF16, FZRM, FSRS, FSRC.
    pub(super) const EAX_1: u32 = bits([4, 5, 10, 11, 12]);
}

/// Leaf 0xd: x87, SSE, AVX, and the three parts of AVX-512 (opmask, ZMM0-15 high, ZMM16-31).
const XCR0: u32 = bits([0, 1, 2, 5, 6, 7]);
/// Leaf 0xd, sub-leaf 1: XSAVEOPT, XSAVEC, XGETBV with ECX 1, XSAVES.
const XSAVE_KINDS: u32 = bits([0, 1, 2, 3]);

/// Extended leaves.
mod extended {
    use super::bits;
    /// LAHF, CR8 legacy, LZCNT, SSE4A, misaligned SSE, PREFETCHW, topology extensions.
    pub(super) const ECX_1: u32 = bits([0, 4, 5, 6, 7, 8, 22]);
    pub(super) const CMP_LEGACY: u32 = 1 << 1;
    /// AMD's copies of leaf 1, SYSCALL, NX, MMX extensions, fast FXSR, 1 GiB pages, RDTSCP,
    /// long mode.
    pub(super) const EDX_1: u32 =
        super::leaf1::EDX & 0x0183_f3ff | bits([11, 20, 22, 25, 26, 27, 29]);
    /// The TSC runs at one rate in all states.
    pub(super) const INVARIANT_TSC: u32 = 1 << 8;
    /// CLZERO, XSAVE's error pointers, WBNOINVD, IBPB, IBRS, STIBP, always-on variants (16, 17),
    /// IBRS preferred, same-mode IBRS, SSBD, SSB_NO, PSFD.
    pub(super) const EBX_8: u32 = bits([0, 2, 9, 12, 14, 15, 16, 17, 18, 19, 24, 26, 28]);
    /// LFENCE serialises, null selectors clear the base, automatic IBRS.
    pub(super) const EAX_21: u32 = bits([0, 2, 6, 8]);
}

/// KVM's features: clock sources (0, 3, and their stable bit 24), no I/O delay, steal time,
/// paravirtual EOI, unhalt, TLB flush, IPIs, yield.
const KVM_FEATURES: u32 = bits([0, 1, 3, 5, 6, 7, 9, 11, 13, 24]);
/// The last of KVM's leaves.
const KVM_LEAVES_END: u32 = 0x4000_0001;
/// The last leaf of the standard and of the extended range that the profile knows.
const STANDARD_END: u32 = 0xd;
const EXTENDED_END: u32 = 0x8000_0021;

/// What a guest may see of a leaf: masks for EAX, EBX, ECX, EDX. `None`: nothing.
const fn allowed(leaf: u32, index: u32) -> Option<[u32; 4]> {
    Some(match (leaf, index) {
        // Vendor; cache descriptors; deterministic caches; names; AMD's caches and TLBs.
        (0 | 2, _) => [ALL; 4],
        (4 | 0x8000_001d, _) => [ALL; 4],
        (0x8000_0000 | 0x8000_0002..=0x8000_0006 | 0x4000_0000, _) => [ALL; 4],
        // Signature; brand and CLFLUSH size, topology is put in.
        (1, _) => [ALL, 0xffff, leaf1::ECX, leaf1::EDX],
        // The APIC timer runs in all states.
        (6, _) => [bit(2), 0, 0, 0],
        (7, 0) => [ALL, leaf7::EBX, leaf7::ECX, leaf7::EDX],
        (7, 1) => [leaf7::EAX_1, 0, 0, 0],
        // State components and where each lies; KVM keeps EBX of 0 and 1 by what is enabled.
        (0xd, 0) => [XCR0, ALL, ALL, 0],
        (0xd, 1) => [XSAVE_KINDS, ALL, 0, 0],
        (0xd, 2 | 5..=7) => [ALL; 4],
        (0x4000_0001, _) => [KVM_FEATURES, 0, 0, 0],
        (0x8000_0001, _) => [ALL, 0, extended::ECX_1, extended::EDX_1],
        (0x8000_0007, _) => [0, 0, 0, extended::INVARIANT_TSC],
        // Address sizes; topology is put in.
        (0x8000_0008, _) => [0xffff, extended::EBX_8, 0, 0],
        // Topology, put in.
        (0x8000_001e, _) => [0; 4],
        (0x8000_0021, _) => [extended::EAX_21, 0, 0, 0],
        _ => return None,
    })
}

/// The profile, ready for one vCPU after another.
pub(crate) struct Profile {
    leaves: CpuId,
    vcpus: u32,
}

impl Profile {
    /// Cuts what KVM supports down to the profile of a guest with `vcpus` vCPUs. `None` if the
    /// leaves are more than KVM takes, which the number of leaves above excludes.
    pub(crate) fn new(supported: &CpuId, vcpus: u8) -> Option<Self> {
        let mut entries = Vec::with_capacity(64);
        for entry in supported.as_slice() {
            if let Some([eax, ebx, ecx, edx]) = allowed(entry.function, entry.index) {
                entries.push(kvm_cpuid_entry2 {
                    eax: entry.eax & eax,
                    ebx: entry.ebx & ebx,
                    ecx: entry.ecx & ecx,
                    edx: entry.edx & edx,
                    ..*entry
                });
            }
        }
        entries.iter_mut().for_each(add);
        size_of_state(&mut entries);
        // Extended topology (leaf 0xb): threads of a core, cores of the package.
        for index in 0..2 {
            entries.push(kvm_cpuid_entry2 {
                function: 0xb,
                index,
                flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
                ..kvm_cpuid_entry2::default()
            });
        }
        let vcpus = u32::from(vcpus);
        for entry in &mut entries {
            share(entry, vcpus);
        }
        let leaves = CpuId::from_entries(&entries).ok()?;
        Some(Self { leaves, vcpus })
    }

    /// What the vCPU with this local APIC id sees.
    pub(crate) fn for_vcpu(&mut self, id: u8) -> &CpuId {
        let id = u32::from(id);
        for entry in self.leaves.as_mut_slice() {
            identify(entry, id, self.vcpus);
        }
        &self.leaves
    }
}

/// Where the ranges end, and what KVM gives without the host having it.
fn add(entry: &mut kvm_cpuid_entry2) {
    match entry.function {
        // Every guest has the topology leaf 0xb, whatever the host's range is.
        0 => entry.eax = STANDARD_END,
        1 => entry.ecx |= leaf1::X2APIC | leaf1::TSC_DEADLINE | leaf1::HYPERVISOR,
        0x4000_0000 => entry.eax = KVM_LEAVES_END,
        0x8000_0000 => entry.eax = entry.eax.min(EXTENDED_END),
        _ => {}
    }
}

/// The XSAVE area for all components that were kept: 0xd.0 ECX is what the host could need.
fn size_of_state(entries: &mut [kvm_cpuid_entry2]) {
    // 512 bytes of x87 and SSE, a header of 64 (SDM vol. 1, §13.4).
    let end = entries
        .iter()
        .filter(|entry| entry.function == 0xd && entry.index >= 2)
        .map(|entry| entry.eax.saturating_add(entry.ebx))
        .fold(576, u32::max);
    for entry in entries.iter_mut() {
        if (entry.function, entry.index) == (0xd, 0) {
            entry.ecx = end;
        }
    }
}

/// Topology that is the same for all vCPUs.
fn share(entry: &mut kvm_cpuid_entry2, vcpus: u32) {
    let others = vcpus.saturating_sub(1);
    // Cache leaves: level in EAX 7..5; the last level is shared, the others are a core's own.
    let sharing = if entry.eax >> 5 & 7 >= 3 { others } else { 0 };
    match entry.function {
        1 => {
            entry.ebx |= vcpus.next_power_of_two() << 16;
            entry.edx |= if vcpus > 1 { leaf1::HTT } else { 0 };
        }
        // A null entry ends the list and stays null.
        4 if entry.eax & 31 != 0 => {
            entry.eax = entry.eax & 0x3fff | sharing << 14 | others.min(63) << 26;
        }
        0x8000_001d if entry.eax & 31 != 0 => {
            entry.eax = entry.eax & 0x3fff | sharing << 14;
        }
        0xb if entry.index == 0 => {
            // One thread a core; level type 1.
            (entry.eax, entry.ebx, entry.ecx) = (0, 1, 1 << 8);
        }
        0xb => {
            // Bits of an APIC id within the package; level type 2.
            (entry.eax, entry.ebx, entry.ecx) = (id_bits(vcpus), vcpus, 2 << 8 | 1);
        }
        0x8000_0001 if vcpus > 1 => entry.ecx |= extended::CMP_LEGACY,
        0x8000_0008 => entry.ecx = id_bits(vcpus) << 12 | others,
        _ => {}
    }
}

/// Topology that is this vCPU's own.
fn identify(entry: &mut kvm_cpuid_entry2, id: u32, vcpus: u32) {
    match entry.function {
        1 => entry.ebx = entry.ebx & 0x00ff_ffff | id << 24,
        0xb => entry.edx = id,
        // AMD: APIC id, core id (one thread each), node 0 of 1.
        0x8000_001e => (entry.eax, entry.ebx) = (id, id.min(vcpus)),
        _ => {}
    }
}

/// How many bits tell `vcpus` apart.
fn id_bits(vcpus: u32) -> u32 {
    vcpus.next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A KVM that supports everything there is.
    fn everything() -> CpuId {
        let indices = |leaf: u32| match leaf {
            4 | 7 | 0x8000_001d => 0..4,
            0xd => 0..20,
            _ => 0..1,
        };
        let leaves = (0..=0x20)
            .chain(0x4000_0000..=0x4000_0002)
            .chain(0x8000_0000..=0x8000_0025);
        let entries: Vec<_> = leaves
            .flat_map(|function| indices(function).map(move |index| (function, index)))
            .filter(|(function, _)| *function != 0xb)
            .map(|(function, index)| kvm_cpuid_entry2 {
                function,
                index,
                eax: ALL,
                ebx: ALL,
                ecx: ALL,
                edx: ALL,
                ..kvm_cpuid_entry2::default()
            })
            .collect();
        CpuId::from_entries(&entries).unwrap()
    }

    fn leaf(profile: &CpuId, function: u32, index: u32) -> Option<kvm_cpuid_entry2> {
        let found = |e: &&kvm_cpuid_entry2| (e.function, e.index) == (function, index);
        profile.as_slice().iter().find(found).copied()
    }

    fn profile(vcpus: u8, id: u8) -> CpuId {
        Profile::new(&everything(), vcpus)
            .unwrap()
            .for_vcpu(id)
            .clone()
    }

    #[test]
    fn what_is_hidden_is_hidden() {
        let seen = profile(1, 0);
        let leaf1 = leaf(&seen, 1, 0).unwrap();
        for (name, bit) in [("MONITOR", 3), ("VMX", 5), ("PDCM", 15)] {
            assert_eq!(leaf1.ecx >> bit & 1, 0, "{name}");
        }
        let leaf7 = leaf(&seen, 7, 0).unwrap();
        for (name, bit) in [("SGX", 2), ("HLE", 4), ("RTM", 11), ("MPX", 14), ("PT", 25)] {
            assert_eq!(leaf7.ebx >> bit & 1, 0, "{name}");
        }
        for (name, bit) in [("PKU", 3), ("LA57", 16)] {
            assert_eq!(leaf7.ecx >> bit & 1, 0, "{name}");
        }
        for (name, bit) in [("AMX-BF16", 22), ("AMX-TILE", 24), ("AMX-INT8", 25)] {
            assert_eq!(leaf7.edx >> bit & 1, 0, "{name}");
        }
        assert_eq!(leaf(&seen, 0x8000_0001, 0).unwrap().ecx >> 2 & 1, 0, "SVM");
        for absent in [
            5,
            0xa,
            0x14,
            0x15,
            0x16,
            0x1f,
            0x8000_000a,
            0x8000_001b,
            0x8000_001f,
        ] {
            assert!(leaf(&seen, absent, 0).is_none(), "{absent:#x}");
        }
    }

    #[test]
    fn the_guest_knows_its_hypervisor_clock_and_timer() {
        let seen = profile(1, 0);
        let ecx = leaf(&seen, 1, 0).unwrap().ecx;
        let expected = leaf1::X2APIC | leaf1::TSC_DEADLINE | leaf1::HYPERVISOR;
        assert_eq!(ecx & expected, expected);
        assert_eq!(leaf(&seen, 0x4000_0000, 0).unwrap().eax, 0x4000_0001);
        assert_eq!(leaf(&seen, 0x4000_0001, 0).unwrap().eax, KVM_FEATURES);
        assert!(leaf(&seen, 0x4000_0002, 0).is_none());
    }

    #[test]
    fn each_vcpu_has_its_own_id_in_every_leaf_that_tells_it() {
        for (vcpus, id) in [(1, 0), (2, 1), (32, 31)] {
            let seen = profile(vcpus, id);
            let id = u32::from(id);
            assert_eq!(leaf(&seen, 1, 0).unwrap().ebx >> 24, id);
            assert_eq!(leaf(&seen, 0xb, 0).unwrap().edx, id);
            assert_eq!(leaf(&seen, 0xb, 1).unwrap().edx, id);
            assert_eq!(leaf(&seen, 0x8000_001e, 0).unwrap().eax, id);
        }
    }

    #[test]
    fn cores_of_the_one_package_are_counted_alike_by_both_vendors_leaves() {
        for (vcpus, bits) in [(1, 0), (2, 1), (3, 2), (32, 5)] {
            let seen = profile(vcpus, 0);
            let others = u32::from(vcpus) - 1;
            let cores = leaf(&seen, 0xb, 1).unwrap();
            assert_eq!((cores.eax, cores.ebx), (bits, others + 1));
            assert_eq!(leaf(&seen, 0xb, 0).unwrap().ebx, 1);
            assert_eq!(leaf(&seen, 4, 0).unwrap().eax >> 26, others);
            assert_eq!(
                leaf(&seen, 0x8000_0008, 0).unwrap().ecx,
                bits << 12 | others
            );
            let many = leaf(&seen, 1, 0).unwrap().edx & leaf1::HTT != 0;
            assert_eq!(many, vcpus > 1);
        }
    }

    #[test]
    fn the_state_area_ends_with_the_last_component_kept() {
        let component = |index, eax, ebx| kvm_cpuid_entry2 {
            function: 0xd,
            index,
            eax,
            ebx,
            ..kvm_cpuid_entry2::default()
        };
        let whole = kvm_cpuid_entry2 {
            ecx: 11008,
            ..component(0, ALL, 0)
        };
        let entries = [whole, component(2, 256, 576), component(18, 8192, 2816)];
        let supported = CpuId::from_entries(&entries).unwrap();
        let mut profile = Profile::new(&supported, 1).unwrap();
        assert_eq!(leaf(profile.for_vcpu(0), 0xd, 0).unwrap().ecx, 832);
        assert!(leaf(profile.for_vcpu(0), 0xd, 18).is_none());
    }
}
