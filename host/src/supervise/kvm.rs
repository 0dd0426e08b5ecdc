// SPDX-License-Identifier: Apache-2.0
//! Whether this host can run a guest, found out before there is one.

use std::fs::File;
use std::io;

use crate::sys::process::{cpu_can_run_guests, kvm_api_version};

/// The device.
pub const DEVICE: &str = "/dev/kvm";

/// The only version there has been since Linux 2.6.22 (Documentation/virt/kvm/api.rst 4.1).
const API_VERSION: i32 = 12;

/// Why it cannot.
#[derive(Debug, thiserror::Error)]
pub enum KvmError {
    /// No device.
    #[error(
        "there is no {DEVICE}: load the module (modprobe kvm_amd or kvm_intel); in a virtual \
             machine, ask its owner for nested virtualisation"
    )]
    NoDevice,
    /// No permission on it.
    #[error(
        "no permission on {DEVICE}: add this user to the group kvm (usermod -aG kvm \"$USER\") \
             and log in again"
    )]
    NoPermission,
    /// It does not open for another reason.
    #[error("cannot open {DEVICE}")]
    Open(#[source] io::Error),
    /// It opens, and no hardware is behind it.
    #[error(
        "{DEVICE} has no hardware behind it: this CPU shows neither svm nor vmx, so no real \
             kernel runs here; use a server with virtualisation, or `cargo ci kvmhost`"
    )]
    NoHardware,
    /// Something else has its name.
    #[error("{DEVICE} is not KVM, or one of another version ({0})")]
    NotKvm(i32),
}

/// Opens the device, knowing that guests will run.
///
/// # Errors
/// As [`KvmError`] says.
pub fn open() -> Result<File, KvmError> {
    let kvm = device()?;
    if cpu_can_run_guests() {
        Ok(kvm)
    } else {
        Err(KvmError::NoHardware)
    }
}

/// Opens the device, whatever is behind it.
///
/// # Errors
/// As [`KvmError`] says.
pub fn device() -> Result<File, KvmError> {
    let opened = File::options().read(true).write(true).open(DEVICE);
    let kvm = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KvmError::NoDevice,
        io::ErrorKind::PermissionDenied => KvmError::NoPermission,
        _ if error.raw_os_error() == Some(libc::ENODEV) => KvmError::NoDevice,
        _ => KvmError::Open(error),
    })?;
    match kvm_api_version(&kvm) {
        Ok(API_VERSION) => Ok(kvm),
        Ok(other) => Err(KvmError::NotKvm(other)),
        Err(_) => Err(KvmError::NotKvm(-1)),
    }
}
