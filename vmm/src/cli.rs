// SPDX-License-Identifier: Apache-2.0
//! The command line of `ampoule-vmm`: the other end of [`Config::to_args`].
//!
//! What a supervisor writes is read in one pass, [`Arguments::written`]. Anything else is clap's
//! to read, to explain and to refuse; for what it always gets, building clap's tables would be a
//! twentieth of the time to the guest's first instruction.

use std::ffi::OsStr;
use std::num::ParseIntError;
use std::os::fd::RawFd;
use std::str::FromStr;

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
    /// End with the supervisor until the guest is a task's.
    #[arg(long)]
    waits: bool,
}

impl Arguments {
    /// These words (without the program's name) if they are each as [`Config::to_args`] writes
    /// them, and all that it must write; else nothing, not even why.
    #[must_use]
    pub fn written(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Option<Self> {
        let (mut cpus, mut memory_mib, mut life_ms) = (None, None, None);
        let [
            mut kvm,
            mut kernel,
            mut snapshot,
            mut control,
            mut connector,
            mut vsock,
        ] = [None; 6];
        let (mut drive_fd, mut debug_console, mut waits) = (Vec::new(), false, false);
        for word in words {
            let word = word.as_ref().to_str()?.strip_prefix("--")?;
            match word.split_once('=') {
                None if word == "debug-console" && !debug_console => debug_console = true,
                None if word == "waits" && !waits => waits = true,
                Some(("cpus", value)) => set(&mut cpus, value)?,
                Some(("memory-mib", value)) => set(&mut memory_mib, value)?,
                Some(("life-ms", value)) => set(&mut life_ms, value)?,
                Some(("kvm-fd", value)) => set(&mut kvm, value)?,
                Some(("kernel-fd", value)) => set(&mut kernel, value)?,
                Some(("snapshot-fd", value)) => set(&mut snapshot, value)?,
                Some(("control-fd", value)) => set(&mut control, value)?,
                Some(("connector-fd", value)) => set(&mut connector, value)?,
                Some(("vsock-fd", value)) => set(&mut vsock, value)?,
                Some(("drive-fd", value)) => drive_fd.push(drive(value).ok()?),
                _ => return None,
            }
        }
        if kernel.is_some() == snapshot.is_some() {
            return None;
        }
        Some(Self {
            cpus: cpus?,
            memory_mib: memory_mib?,
            life_ms: life_ms?,
            kvm_fd: kvm?,
            kernel_fd: kernel,
            snapshot_fd: snapshot,
            control_fd: control?,
            connector_fd: connector?,
            vsock_fd: vsock,
            drive_fd,
            debug_console,
            waits,
        })
    }
}

/// The first value of its name.
fn set<T: FromStr>(place: &mut Option<T>, text: &str) -> Option<()> {
    if place.is_some() {
        return None;
    }
    *place = Some(text.parse().ok()?);
    Some(())
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
            waits: given.waits,
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
            waits: drives.contains(&None),
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
            let args = config.to_args();
            let read = Config::try_from(parse(&args).unwrap()).unwrap();
            assert_eq!(read, config);
            let read = Config::try_from(Arguments::written(&args).unwrap()).unwrap();
            assert_eq!(read, config);
        }
    }

    #[test]
    fn what_no_config_writes_is_left_to_clap() {
        let args = config(vec![Some(7)], Some(9)).to_args();
        for (from, to) in [
            ("--cpus=2", "--cpus=0"),
            ("--cpus=2", "--cpu=2"),
            ("--kvm-fd=3", "--kvm-fd=x"),
            ("--kvm-fd=3", "--control-fd=3"),
            ("--kvm-fd=3", "--kernel-fd=3"),
            ("--kvm-fd=3", "-k3"),
            ("--drive-fd=7", "--drive-fd"),
            ("--drive-fd=7", "--help"),
        ] {
            let changed = args.iter().map(|arg| arg.replace(from, to));
            assert!(Arguments::written(changed).is_none(), "{to}");
        }
        assert!(Arguments::written(&args[1..]).is_none());
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
