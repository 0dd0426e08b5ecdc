// SPDX-License-Identifier: Apache-2.0
//! The validated description of one guest, and its form on the command line.
//!
//! `ampoule-vmm` opens no path: every file and socket is a descriptor it inherits, named here
//! by number. The supervisor builds a [`Config`] and passes [`Config::to_args`]; the binary
//! parses the same arguments back into a [`Config`]. If a [`Config`] exists, its numbers are
//! in range.

use std::fmt;
use std::num::ParseIntError;
use std::os::fd::RawFd;
use std::str::FromStr;
use std::time::Duration;

/// Most vCPUs of a guest. The MP table, the kernel's `NR_CPUS` and this agree.
pub const MAX_VCPUS: u8 = 32;
/// Least memory of a guest, MiB: the kernel and its page tables, and a task's first pages.
pub const MIN_MEMORY_MIB: u32 = 48;
/// Most memory of a guest, MiB (1 TiB), so that address arithmetic cannot overflow.
pub const MAX_MEMORY_MIB: u32 = 1024 * 1024;
/// Most drives: the root, the workspace, and room for two more.
pub const MAX_DRIVES: usize = 4;
/// On the command line, in place of a drive's descriptor: it has no medium.
pub const NO_MEDIUM: &str = "none";
/// Longest life of a guest, a day. The supervisor's own maximum is usually far lower.
pub const MAX_LIFE: Duration = Duration::from_secs(10 * 24 * 60 * 60);

/// Why a number is no part of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not a number at all.
    #[error("{what} must be a whole number")]
    NotANumber {
        /// What was being read.
        what: &'static str,
        /// What was wrong with it.
        #[source]
        source: ParseIntError,
    },
    /// A number outside its range.
    #[error("{what} must be between {least} and {most}, not {given}")]
    OutOfRange {
        /// What was being read.
        what: &'static str,
        /// The number given.
        given: u64,
        /// The least allowed.
        least: u64,
        /// The most allowed.
        most: u64,
    },
    /// Neither a kernel nor a snapshot, or both.
    #[error("a guest begins from a kernel or from a snapshot: one of the two is needed")]
    Origin,
    /// More drives than the device table holds.
    #[error("at most {MAX_DRIVES} drives, not {given}")]
    TooManyDrives {
        /// How many were given.
        given: usize,
    },
}

fn in_range(what: &'static str, given: u64, least: u64, most: u64) -> Result<u64, ConfigError> {
    if (least..=most).contains(&given) {
        Ok(given)
    } else {
        Err(ConfigError::OutOfRange {
            what,
            given,
            least,
            most,
        })
    }
}

/// Number of vCPUs, 1 to [`MAX_VCPUS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VcpuCount(u8);

impl VcpuCount {
    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for VcpuCount {
    type Error = ConfigError;
    fn try_from(given: u64) -> Result<Self, ConfigError> {
        let n = in_range("the number of CPUs", given, 1, u64::from(MAX_VCPUS))?;
        Ok(Self(u8::try_from(n).unwrap_or(MAX_VCPUS)))
    }
}

impl FromStr for VcpuCount {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let what = "the number of CPUs";
        let given: u64 = text
            .parse()
            .map_err(|source| ConfigError::NotANumber { what, source })?;
        Self::try_from(given)
    }
}

impl fmt::Display for VcpuCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Guest memory in MiB, [`MIN_MEMORY_MIB`] to [`MAX_MEMORY_MIB`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryMib(u32);

impl MemoryMib {
    /// MiB.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.0) << 20
    }
}

impl TryFrom<u64> for MemoryMib {
    type Error = ConfigError;
    fn try_from(given: u64) -> Result<Self, ConfigError> {
        let (least, most) = (u64::from(MIN_MEMORY_MIB), u64::from(MAX_MEMORY_MIB));
        let n = in_range("memory in MiB", given, least, most)?;
        Ok(Self(u32::try_from(n).unwrap_or(MAX_MEMORY_MIB)))
    }
}

impl FromStr for MemoryMib {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let what = "memory in MiB";
        let given: u64 = text
            .parse()
            .map_err(|source| ConfigError::NotANumber { what, source })?;
        Self::try_from(given)
    }
}

impl fmt::Display for MemoryMib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How long the VMM lets the guest run, counted from its own start: 1 ms to [`MAX_LIFE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life(Duration);

impl Life {
    /// The duration.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }

    fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl TryFrom<Duration> for Life {
    type Error = ConfigError;
    fn try_from(given: Duration) -> Result<Self, ConfigError> {
        let millis = u64::try_from(given.as_millis()).unwrap_or(u64::MAX);
        let most = u64::try_from(MAX_LIFE.as_millis()).unwrap_or(u64::MAX);
        in_range("the guest's life in milliseconds", millis, 1, most)?;
        Ok(Self(given))
    }
}

impl FromStr for Life {
    type Err = ConfigError;
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let what = "the guest's life in milliseconds";
        let millis = text
            .parse()
            .map_err(|source| ConfigError::NotANumber { what, source })?;
        Self::try_from(Duration::from_millis(millis))
    }
}

/// The descriptors a VMM inherits, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// `/dev/kvm`.
    pub kvm: RawFd,
    /// What the guest begins from.
    pub origin: Origin,
    /// [`crate::control`]'s life socket (`SOCK_SEQPACKET`).
    pub control: RawFd,
    /// [`crate::control`]'s connector socket (`SOCK_SEQPACKET`).
    pub connector: RawFd,
    /// A listening Unix stream socket for host-initiated vsock connections, if any.
    pub vsock: Option<RawFd>,
    /// Read-only drives in order: the root, then the workspace; `None` for one without a medium.
    pub drives: Vec<Option<RawFd>>,
}

/// What a guest begins from, by the number of its descriptor, open for reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The guest kernel, an uncompressed ELF.
    Kernel(RawFd),
    /// A snapshot that this VMM wrote, of a machine with the same configuration.
    Snapshot(RawFd),
}

/// One guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many vCPUs.
    pub vcpus: VcpuCount,
    /// How much memory.
    pub memory: MemoryMib,
    /// The hard stop.
    pub life: Life,
    /// Attach a serial port and keep the tail of what the kernel prints.
    pub debug_console: bool,
    /// The guest waits for a task: it ends with its supervisor until it is told
    /// [`crate::control::Adopt`].
    pub waits: bool,
    /// Inherited descriptors.
    pub descriptors: Descriptors,
}

impl Config {
    /// The arguments that make `ampoule-vmm` run this guest (without the program's name).
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let Descriptors {
            kvm,
            origin,
            control,
            connector,
            vsock,
            drives,
        } = &self.descriptors;
        let mut args = vec![
            format!("--cpus={}", self.vcpus),
            format!("--memory-mib={}", self.memory),
            format!("--life-ms={}", self.life.millis()),
            format!("--kvm-fd={kvm}"),
            match origin {
                Origin::Kernel(fd) => format!("--kernel-fd={fd}"),
                Origin::Snapshot(fd) => format!("--snapshot-fd={fd}"),
            },
            format!("--control-fd={control}"),
            format!("--connector-fd={connector}"),
        ];
        args.extend(vsock.map(|fd| format!("--vsock-fd={fd}")));
        args.extend(drives.iter().map(|fd| match fd {
            Some(fd) => format!("--drive-fd={fd}"),
            None => format!("--drive-fd={NO_MEDIUM}"),
        }));
        if self.debug_console {
            args.push("--debug-console".to_owned());
        }
        if self.waits {
            args.push("--waits".to_owned());
        }
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_refused_with_the_range() {
        assert_eq!(
            "0".parse::<VcpuCount>().unwrap_err().to_string(),
            "the number of CPUs must be between 1 and 32, not 0"
        );
        assert!("33".parse::<VcpuCount>().is_err());
        assert!("-1".parse::<VcpuCount>().is_err());
        assert!("47".parse::<MemoryMib>().is_err());
        assert!("1048577".parse::<MemoryMib>().is_err());
        assert!("0".parse::<Life>().is_err());
        assert!("864000001".parse::<Life>().is_err());
    }

    #[test]
    fn numbers_in_range_are_kept() {
        assert_eq!("32".parse::<VcpuCount>().unwrap().get(), 32);
        assert_eq!("128".parse::<MemoryMib>().unwrap().bytes(), 128 << 20);
        assert_eq!(
            "1500".parse::<Life>().unwrap().get(),
            Duration::from_millis(1500)
        );
    }
}
