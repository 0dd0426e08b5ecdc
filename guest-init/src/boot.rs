// SPDX-License-Identifier: Apache-2.0
//! From the greeting to the agent's start, in order.

use std::io;
use std::os::fd::OwnedFd;

use protocol::messages::BootReport;
use rustix::io::Errno;

use crate::agent::Agent;
use crate::control::{Control, ControlError};
use crate::identity::Identity;
use crate::life::Life;
use crate::mounts::{MountError, Roots};
use crate::{clock, commands, identity, kmsg, mounts, sys};

/// Why a guest was not set up. The host shows it, sources included.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    #[error("could not watch for children")]
    Children(#[source] io::Error),
    #[error("could not mount the guest's file systems")]
    Mount(#[from] MountError),
    #[error("could not get the assignment")]
    Assignment(#[from] ControlError),
    #[error("could not make the group of the task's commands")]
    Group(#[source] Errno),
    #[error("could not start the agent")]
    Agent(#[source] io::Error),
}

/// What the boot leaves behind.
#[derive(Debug)]
pub(crate) struct Booted {
    pub(crate) children: OwnedFd,
    pub(crate) agent: Agent,
    pub(crate) life: Life,
    pub(crate) roots: Roots,
    pub(crate) identity: Identity,
}

/// Sets the guest up, noting the time of each step in `report`.
pub(crate) fn boot(control: &mut Control, report: &mut BootReport) -> Result<Booted, BootError> {
    let children = sys::child_signals().map_err(BootError::Children)?;
    mounts::early()?;

    let assignment = control.assignment()?;
    report.assigned_ns = clock::now();
    let life = Life::new(report.assigned_ns, &assignment);

    let roots = mounts::late(assignment.scratch_bytes, assignment.workspace)?;
    report.mounted_ns = clock::now();
    let mut identity = Identity::open();
    if let Err(e) = identity.apply(&assignment) {
        // This kernel has just booted, and has what it gathered itself.
        kmsg::warn(&format!("could not add entropy: {e}"));
    }
    identity::loopback();
    commands::make_group().map_err(BootError::Group)?;
    let agent = Agent::start().map_err(BootError::Agent)?;
    report.agent_ns = clock::now();
    Ok(Booted {
        children,
        agent,
        life,
        roots,
        identity,
    })
}
