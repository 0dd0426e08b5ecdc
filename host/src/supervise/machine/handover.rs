// SPDX-License-Identifier: Apache-2.0
//! A VMM from the process that started it to the one whose task its guest becomes.
//!
//! The first stays its parent and reaps it; the second holds its sockets and its pidfd, and so
//! whatever ends it. How it ended only the parent is told, so its last word has to do.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use vmm::config::Life;
use vmm::control::{self, Adopt, Body, ControlError};

use super::{Kin, Machine};
use crate::poll::Interests;
use crate::sys::clone::Child;
use crate::sys::process::Ending;

impl Machine {
    /// The VMM behind a pidfd, its life socket and its connector, as [`Machine::handles`] gave
    /// them.
    ///
    /// # Errors
    /// One of them is something else, or the process is gone.
    pub fn adopted([pidfd, life, connector]: [OwnedFd; 3]) -> io::Result<Self> {
        let pid = pid_of(&pidfd)?;
        for socket in [&life, &connector] {
            if socket_type(socket)? != SocketType::SEQPACKET {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            rustix::io::ioctl_fionbio(socket, true)?;
        }
        Ok(Self {
            child: Child { pid, pidfd },
            kin: Kin::Adopted,
            life,
            connector,
            ending: None,
        })
    }

    /// What another process needs to be its supervisor.
    #[must_use]
    pub fn handles(&self) -> [BorrowedFd<'_>; 3] {
        self.descriptors()
    }

    /// Lets go of a VMM that is another process's now; its process id, to be reaped by us.
    #[must_use]
    pub fn hand_on(mut self) -> i32 {
        self.kin = Kin::HandedOn;
        self.child.pid
    }

    /// Has the waiting guest be a task's.
    ///
    /// # Errors
    /// It cannot be told.
    pub fn adopt(&self, life: Life, drive: u32, medium: Option<&File>) -> Result<(), ControlError> {
        let life_ms = u64::try_from(life.get().as_millis()).unwrap_or(u64::MAX);
        let adopt = Body::Adopt(Adopt { life_ms, drive });
        control::send(&self.life, adopt, medium.map(AsFd::as_fd))
    }

    /// Its process id here.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.pid
    }
}

/// Which process a pidfd is of (proc(5), `fdinfo`); an error for any other descriptor, and for a
/// process that was reaped.
fn pid_of(pidfd: &OwnedFd) -> io::Result<i32> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = std::fs::read_to_string(path)?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    let pid = pid.and_then(|pid| pid.trim().parse().ok());
    pid.filter(|pid| *pid > 0)
        .ok_or(io::ErrorKind::InvalidInput.into())
}

/// How another's child ended, as far as we can know, once it has.
pub(super) fn ending(pidfd: &OwnedFd) -> io::Result<Option<Ending>> {
    let mut gone = Interests::new();
    gone.read(pidfd.as_fd(), ());
    let gone = !gone.wait(Some(Instant::now()))?.is_empty();
    Ok(gone.then_some(Ending {
        status: None,
        peak_resident: 0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    fn pidfd(child: &std::process::Child) -> OwnedFd {
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        pidfd_open(pid, PidfdFlags::empty()).unwrap()
    }

    fn pair() -> [OwnedFd; 2] {
        let (ours, theirs) = super::super::pair().unwrap();
        [ours, theirs]
    }

    #[test]
    fn a_process_of_another_is_known_by_its_pidfd_and_ended() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let [life, connector] = pair();
        let mut machine = Machine::adopted([pidfd(&child), life, connector]).unwrap();
        assert_eq!(machine.pid(), i32::try_from(child.id()).unwrap());
        assert!(!machine.reap().unwrap());
        machine.kill();
        child.wait().unwrap();
        assert!(machine.reap().unwrap());
        assert!(machine.ending().unwrap().status.is_none());
    }

    #[test]
    fn what_is_no_vmm_is_not_taken_for_one() {
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        let [life, connector] = pair();
        assert!(Machine::adopted([null(), life, connector]).is_err());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let fd = pidfd(&child);
        let [life, _] = pair();
        assert!(Machine::adopted([pidfd(&child), life, null()]).is_err());
        child.wait().unwrap();
        let [life, connector] = pair();
        assert!(Machine::adopted([fd, life, connector]).is_err());
    }
}
