// SPDX-License-Identifier: Apache-2.0
//! The command line of `ampoule-vmm`: the other end of [`Config::to_args`].

use std::num::ParseIntError;
use std::os::fd::RawFd;

use clap::Parser;

use crate::config::{
    Config, ConfigError, Descriptors, Life, MAX_DRIVES, MemoryMib, NO_MEDIUM, Origin, VcpuCount,
};

/// Runs one guest from inherited descriptors, for a supervisor. `ampoule` is the command for
/// people.
///
/// Exit status: 0 the guest ended, by itself, by its life or when told; 1 it could not be set
/// up; 2 bad arguments; 3 KVM or the host failed while it ran; 4 its life was over and the VMM
/// itself stuck.
#[derive(Debug, Parser)]
#[command(name = "ampoule-vmm", version)]
pub struct Arguments {
    /// Number of vCPUs, 1 to 32.
    #[arg(long)]
    cpus: VcpuCount,
    /// Memory in MiB.
    #[arg(long)]
    memory_mib: MemoryMib,
    /// Hard stop in milliseconds after the start.
    #[arg(long)]
    life_ms: Life,
    /// /dev/kvm, open for reading and writing.
    #[arg(long)]
    kvm_fd: RawFd,
    /// The kernel, an uncompressed vmlinux.
    #[arg(long, required_unless_present = "snapshot_fd")]
    kernel_fd: Option<RawFd>,
    /// A snapshot to go on from, in place of the kernel.
    #[arg(long, conflicts_with = "kernel_fd")]
    snapshot_fd: Option<RawFd>,
    /// The life socket.
    #[arg(long)]
    control_fd: RawFd,
    /// The connector socket.
    #[arg(long)]
    connector_fd: RawFd,
    /// A listening Unix socket for host-initiated connections.
    #[arg(long)]
    vsock_fd: Option<RawFd>,
    /// A read-only drive, or `none` for one without a medium; the first is the root. Several
    /// times, in order.
    #[arg(long, value_parser = drive)]
    drive_fd: Vec<Drive>,
    /// Attach a serial port and keep the tail of what the kernel prints.
    #[arg(long)]
    debug_console: bool,
}

/// A drive's descriptor, if it has a medium.
type Drive = Option<RawFd>;

fn drive(text: &str) -> Result<Drive, ParseIntError> {
    match text {
        NO_MEDIUM => Ok(None),
        number => number.parse().map(Some),
    }
}

impl TryFrom<Arguments> for Config {
    type Error = ConfigError;

    fn try_from(given: Arguments) -> Result<Self, ConfigError> {
        let drives = given.drive_fd.len();
        if drives > MAX_DRIVES {
            return Err(ConfigError::TooManyDrives { given: drives });
        }
        let origin = match (given.kernel_fd, given.snapshot_fd) {
            (Some(kernel), None) => Origin::Kernel(kernel),
            (None, Some(snapshot)) => Origin::Snapshot(snapshot),
            _ => return Err(ConfigError::Origin),
        };
        Ok(Self {
            vcpus: given.cpus,
            memory: given.memory_mib,
            life: given.life_ms,
            debug_console: given.debug_console,
            descriptors: Descriptors {
                kvm: given.kvm_fd,
                origin,
                control: given.control_fd,
                connector: given.connector_fd,
                vsock: given.vsock_fd,
                drives: given.drive_fd,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn config(drives: Vec<Drive>, vsock: Option<RawFd>) -> Config {
        Config {
            vcpus: 2.try_into().unwrap(),
            memory: 128.try_into().unwrap(),
            life: Duration::from_millis(1500).try_into().unwrap(),
            debug_console: vsock.is_none(),
            descriptors: Descriptors {
                kvm: 3,
                origin: match vsock {
                    Some(_) => Origin::Snapshot(4),
                    None => Origin::Kernel(4),
                },
                control: 5,
                connector: 6,
                vsock,
                drives,
            },
        }
    }

    fn parse(args: &[String]) -> Result<Arguments, clap::Error> {
        let name = ["ampoule-vmm".to_owned()];
        Arguments::try_parse_from(name.iter().chain(args))
    }

    #[test]
    fn what_a_config_writes_is_read_back() {
        for config in [
            config(vec![], None),
            config(vec![Some(7), Some(8)], Some(9)),
            config(vec![Some(7), None], Some(9)),
        ] {
            let read = Config::try_from(parse(&config.to_args()).unwrap()).unwrap();
            assert_eq!(read, config);
        }
    }

    #[test]
    fn too_many_drives_and_numbers_out_of_range_are_refused() {
        let five = parse(&config([7, 8, 9, 10, 11].map(Some).to_vec(), None).to_args()).unwrap();
        assert!(matches!(
            Config::try_from(five),
            Err(ConfigError::TooManyDrives { given: 5 })
        ));
        let mut args = config(vec![], None).to_args();
        args[0] = "--cpus=0".to_owned();
        let error = parse(&args).unwrap_err().to_string();
        assert!(error.contains("must be between 1 and 32, not 0"), "{error}");
    }
}
