// SPDX-License-Identifier: Apache-2.0
//! KVM: every ioctl behind a safe call.
//!
//! A [`Vm`] is made of guest memory and an interrupt controller inside KVM; it hands out
//! interrupt lines and queue notifications (eventfds on KVM's side) and [`Vcpu`]s, and knows no
//! device. A [`Vcpu`] runs on a thread of its own until something ends it.

mod state;
mod vcpu;
mod vm;

pub(crate) use state::RestoreError;
pub(crate) use vcpu::{Buses, Kicker, Vcpu, VcpuEnd, VcpuError, install_kick};
pub(crate) use vm::Vm;

/// The only version of the KVM API there is (`Documentation/virt/kvm/api.rst`, §4.1).
const API_VERSION: i32 = 12;

/// Why KVM does not make a machine.
#[derive(Debug, thiserror::Error)]
pub enum KvmError {
    /// Some other file.
    #[error("the descriptor given as /dev/kvm is not /dev/kvm (its API version is {0}, not 12)")]
    NotKvm(i32),
    /// Too old a kernel, or KVM without its interrupt controller.
    #[error("this host's KVM lacks {0}; a kernel from 5.10 on has it")]
    Lacks(&'static str),
    /// An ioctl failed.
    #[error("KVM refused to {what}")]
    Refused {
        /// What was asked of it.
        what: &'static str,
        /// What it answered.
        #[source]
        source: kvm_ioctls::Error,
    },
    /// An eventfd for an interrupt line.
    #[error("the host gave no eventfd for an interrupt line")]
    EventFd(#[source] std::io::Error),
    /// The profile is larger than KVM takes.
    #[error("the CPUID profile has more leaves than KVM takes")]
    Profile,
    /// A model-specific register every KVM has is not there.
    #[error("KVM does not know model-specific register {0:#x}")]
    Msr(u32),
}

/// Names what was asked, for [`KvmError::Refused`].
fn refused(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> KvmError {
    move |source| KvmError::Refused { what, source }
}

#[cfg(test)]
mod tests;
