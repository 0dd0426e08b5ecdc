// SPDX-License-Identifier: Apache-2.0
//! The model-specific registers a vCPU starts with, where KVM's own reset values are not what
//! firmware would have left.

use kvm_bindings::kvm_msr_entry;

/// `IA32_MISC_ENABLE` (SDM vol. 4, table 2-2).
const MISC_ENABLE: u32 = 0x1a0;
/// Bit 0, fast strings: without it Linux gives up `rep movs` on Intel (`cpu/intel.c`).
const FAST_STRINGS: u64 = 1;
/// `IA32_MTRR_DEF_TYPE` (SDM vol. 3, §12.11.2.1).
const MTRR_DEF_TYPE: u32 = 0x2ff;
/// Bit 11: MTRRs enabled; the default type 6: write-back. With them disabled all memory would be
/// uncached by the book, and Linux leaves the PAT alone (`mm/pat/memtype.c`).
const MTRR_WRITE_BACK: u64 = 1 << 11 | 6;

/// For every vCPU, in one ioctl.
pub(crate) const INITIAL: [kvm_msr_entry; 2] = [
    entry(MISC_ENABLE, FAST_STRINGS),
    entry(MTRR_DEF_TYPE, MTRR_WRITE_BACK),
];

const fn entry(index: u32, data: u64) -> kvm_msr_entry {
    kvm_msr_entry {
        index,
        reserved: 0,
        data,
    }
}
