// SPDX-License-Identifier: Apache-2.0
//! What this machine can run. A `/dev/kvm` that opens is not enough: where it is emulated without
//! hardware behind it, it makes VMs and runs small code, and a real kernel dies in it. So guests
//! need the CPU's flag *and* the device, or the simulated server.

use std::fs::{self, File};

/// Where real guests can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kvm {
    /// The CPU virtualises and `/dev/kvm` opens.
    Hardware,
    /// `/dev/kvm` opens, with nothing the kernel says is behind it: flat code only.
    Device,
    /// There is none, or this user may not open it.
    None,
}

/// Looks at this machine.
pub(crate) fn kvm() -> Kvm {
    let opens = File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_ok();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    kvm_of(opens, &cpuinfo)
}

fn kvm_of(opens: bool, cpuinfo: &str) -> Kvm {
    let flag = cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| {
            line.split_whitespace()
                .any(|flag| flag == "svm" || flag == "vmx")
        });
    match (opens, flag) {
        (true, true) => Kvm::Hardware,
        (true, false) => Kvm::Device,
        (false, _) => Kvm::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_without_cpu_flag_is_not_hardware() {
        assert_eq!(kvm_of(true, "flags\t\t: fpu vme sse2\n"), Kvm::Device);
        assert_eq!(kvm_of(true, "flags\t\t: fpu svm_lock\n"), Kvm::Device);
        assert_eq!(kvm_of(true, "flags\t\t: fpu svm sse2\n"), Kvm::Hardware);
        assert_eq!(kvm_of(false, "flags\t\t: fpu vmx\n"), Kvm::None);
    }
}
