// SPDX-License-Identifier: Apache-2.0
//! As whom a call is made, so that the gate does in a process' place what it could do itself and
//! no more.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::io;

use super::place::Caller;
use super::process::{field, status};
use crate::exec::user::Identity;
use crate::sys;

/// A user with its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl Who {
    /// A command's.
    pub(crate) fn of(identity: &Identity) -> Self {
        Self {
            uid: identity.uid,
            gid: identity.gid,
            groups: identity.groups.iter().map(|gid| gid.as_raw()).collect(),
        }
    }

    /// What a process of a command is now. Without privileges it is who it was: no-new-privs lets
    /// nothing elevate. Root can become anybody.
    pub(crate) fn now(&self, caller: Caller) -> Self {
        match self.uid {
            0 => Self::parse(&status(caller.thread)).unwrap_or_else(|| self.clone()),
            _ => self.clone(),
        }
    }

    fn parse(status: &str) -> Option<Self> {
        // The fourth is the file system's, see proc(5).
        let fourth = |name| field(status, name)?.split_whitespace().nth(3)?.parse().ok();
        let groups = field(status, "Groups:")?.split_whitespace();
        Some(Self {
            uid: fourth("Uid:")?,
            gid: fourth("Gid:")?,
            groups: groups.filter_map(|group| group.parse().ok()).collect(),
        })
    }

    /// Does something to files as this user.
    pub(crate) fn act<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        if self.uid == 0 {
            return Ok(work());
        }
        sys::act_as(self.uid, self.gid, &self.groups)?;
        let done = work();
        sys::act_as(0, 0, &[])?;
        Ok(done)
    }
}

/// The bits that a process' umask takes from what it makes.
pub(crate) fn umask(caller: Caller) -> u32 {
    let status = status(caller.thread);
    let mask = field(&status, "Umask:").and_then(|text| u32::from_str_radix(text, 8).ok());
    // What cannot be read takes all that it could.
    mask.unwrap_or(0o077)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_who_its_file_system_ids_say() {
        let status =
            "Name:\tx\nUmask:\t0027\nUid:\t0\t0\t0\t33\nGid:\t0\t0\t0\t34\nGroups:\t5 6 \n";
        let who = Who::parse(status).unwrap();
        let wanted = Who {
            uid: 33,
            gid: 34,
            groups: vec![5, 6],
        };
        assert_eq!(who, wanted);
        assert!(Who::parse("Uid:\t1").is_none());
    }
}
