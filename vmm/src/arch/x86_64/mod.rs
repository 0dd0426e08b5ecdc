// SPDX-License-Identifier: Apache-2.0
//! What a 64-bit Linux kernel expects to find when its first instruction runs, without firmware.
//!
//! [`layout`] has every address, [`kernel`] walks the kernel's ELF, [`boot`] writes the zero
//! page, [`cmdline`] the command line, [`tables`] page tables, GDT and the first registers,
//! [`mptable`] says which processors and interrupt lines there are, [`cpuid`] and [`msr`] which
//! processor the guest sees.

pub(crate) mod boot;
pub(crate) mod cmdline;
pub(crate) mod cpuid;
pub(crate) mod kernel;
pub(crate) mod layout;
pub(crate) mod mptable;
pub(crate) mod msr;
pub(crate) mod tables;
