// SPDX-License-Identifier: Apache-2.0
//! The start of a command: what its child is given, and how the gate comes by the listener of one
//! that is gated.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use protocol::messages::ExecError;
use rustix::process::Pid;

use crate::exec::child::{self, Child, Plan};
use crate::exec::request::{Prepared, Refusal};
use crate::exec::stdio::Stdio;
use crate::gate::free::Free;
use crate::gate::who::Who;
use crate::gate::{self, Gate, Watch};
use crate::guest::Guest;

/// What a gated command is started with.
#[derive(Debug)]
pub(crate) struct Gated {
    root: u64,
    free: Free,
    who: Who,
    ruleset: OwnedFd,
    filter: Vec<libc::sock_filter>,
}

impl Gated {
    pub(crate) fn new(
        gate: &protocol::actions::Gate,
        prepared: &Prepared,
        guest: &Guest,
    ) -> io::Result<Self> {
        let home = &prepared.identity.home;
        let free = Free::new(&gate.free, home, &guest.workspace);
        Ok(Self {
            root: gate.root,
            ruleset: free.ruleset()?,
            free,
            who: Who::of(&prepared.identity),
            filter: gate::filter::program(),
        })
    }

    /// What the child puts itself under.
    pub(crate) fn of_child(&self) -> child::Gated<'_> {
        child::Gated {
            filter: &self.filter,
            ruleset: self.ruleset.as_fd(),
        }
    }

    fn watch(self, listener: OwnedFd, pid: Pid) -> Watch {
        Watch {
            listener,
            root: self.root,
            process: pid.as_raw_nonzero().get().unsigned_abs(),
            who: self.who,
            free: self.free,
        }
    }
}

/// Hands a command's listener to the gate. Where that cannot be the child is killed: its exec
/// would wait for ever.
pub(crate) fn watch(
    gated: Option<(Gated, &Gate)>,
    (pid, process): (Pid, &OwnedFd),
    listener: RawFd,
) -> Result<(), Refusal> {
    let watched = gated.map(|(gated, gate)| {
        let listener = gate::sys::descriptor_of(process, listener)?;
        gate.watch(gated.watch(listener, pid));
        Ok::<_, io::Error>(())
    });
    match watched {
        Some(Ok(())) => Ok(()),
        _ => {
            gate::sys::kill(process);
            Err(Refusal::new(ExecError::Other, "the gate does not take it"))
        }
    }
}

/// Starts the child.
pub(crate) fn spawn(
    prepared: &Prepared,
    stdio: &Stdio,
    guest: &Guest,
    gated: Option<&Gated>,
) -> io::Result<Child> {
    let [stdin, stdout, stderr] = &stdio.child;
    child::start(&Plan {
        programs: &prepared.programs,
        argv: &prepared.argv,
        env: &prepared.env,
        cwd: &prepared.cwd,
        identity: guest.switches_users.then_some(&prepared.identity),
        stdio: [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()],
        terminal: stdio.terminal.is_some(),
        cgroup: guest.commands.as_ref().map(AsFd::as_fd),
        gate: gated.map(Gated::of_child),
    })
}
