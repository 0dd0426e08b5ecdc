// SPDX-License-Identifier: Apache-2.0
//! Reaping with resource use, and what the CPU and `/dev/kvm` say of themselves.
#![expect(
    unsafe_code,
    reason = "wait4, the KVM ioctl and cpuid have no safe wrapper"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How a child ended and what it used.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// Exit status or signal; unknown to anybody but its parent.
    pub status: Option<ExitStatus>,
    /// Its largest resident set, in bytes; 0 likewise.
    pub peak_resident: u64,
}

/// Reaps the child `pid`: waits for its end if `block`, else `None` while it runs.
///
/// # Errors
/// What wait4 says; `ECHILD` when it was reaped before.
pub fn reap(pid: i32, block: bool) -> io::Result<Option<Ending>> {
    let mut status = 0;
    // SAFETY: rusage is a struct of integers, for which all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let options = if block { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: `status` and `usage` are writable and outlive the call.
        let reaped = unsafe { libc::wait4(pid, &raw mut status, options, &raw mut usage) };
        match reaped {
            0 => return Ok(None),
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            _ => break,
        }
    }
    // ru_maxrss is in KiB (getrusage(2)).
    let peak_resident = u64::try_from(usage.ru_maxrss)
        .unwrap_or(0)
        .saturating_mul(1024);
    Ok(Some(Ending {
        status: Some(ExitStatus::from_raw(status)),
        peak_resident,
    }))
}

/// The version of the KVM API behind an open `/dev/kvm`; 12 since Linux 2.6.22.
///
/// # Errors
/// `ENOTTY` when the descriptor is something else.
pub fn kvm_api_version(kvm: impl AsFd) -> io::Result<i32> {
    // linux/kvm.h: KVM_GET_API_VERSION is _IO(0xAE, 0x00).
    const KVM_GET_API_VERSION: u16 = 0xae00;
    // SAFETY: this request takes no argument and touches no memory of the caller.
    let version = unsafe { libc::ioctl(kvm.as_fd().as_raw_fd(), KVM_GET_API_VERSION.into(), 0) };
    if version < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(version)
    }
}

/// Whether the CPU says it can run guests: SVM (AMD) or VMX (Intel).
///
/// `/dev/kvm` alone proves nothing: without either, KVM interprets a few instructions and then
/// gives up on a real kernel.
#[must_use]
pub fn cpu_can_run_guests() -> bool {
    use std::arch::x86_64::__cpuid;
    // AMD64 APM 3, Fn8000_0001_ECX bit 2; Intel SDM 2A, CPUID.01H:ECX bit 5.
    let amd = __cpuid(0x8000_0000).eax >= 0x8000_0001 && __cpuid(0x8000_0001).ecx & (1 << 2) != 0;
    let intel = __cpuid(1).ecx & (1 << 5) != 0;
    amd || intel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "what is tested is what reaps it")]
    fn a_child_is_reaped_with_its_code_and_memory() {
        let child = std::process::Command::new("sh")
            .args(["-c", "exit 3"])
            .spawn()
            .unwrap();
        let ending = reap(i32::try_from(child.id()).unwrap(), true)
            .unwrap()
            .unwrap();
        let code = ending.status.and_then(|status| status.code());
        assert_eq!(code, Some(3), "{ending:?}");
        assert!(ending.peak_resident > 0);
    }

    #[test]
    fn a_descriptor_that_is_not_kvm_is_refused() {
        assert!(kvm_api_version(std::fs::File::open("/dev/null").unwrap()).is_err());
    }
}
