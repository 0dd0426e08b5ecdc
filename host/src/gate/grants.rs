// SPDX-License-Identifier: Apache-2.0
//! What the gate in the guest may let start without asking: those of [`policy::gate`] that the
//! policies in force allow.
//!
//! Each is judged by its bare name first. A policy of the operator's own may speak of arguments,
//! which nobody sees under a grant; so beside such policies only those are granted whose arguments
//! say nothing.

use policy::action::{Act, Action};
use policy::gate::programs;
use policy::verdict::Verdict;
use protocol::actions::{Grants, ProgramGrant};

use super::court::Court;
use super::scripts::Scripts;

/// The grants of a task; `own` says that policies other than the built-in ones may decide.
#[must_use]
pub fn of(court: &Court, own: bool) -> Grants {
    let scripts = Scripts::new(&court.setting, None, &[]);
    let mut grants = Grants::default();
    for program in programs() {
        let bare = Action::of(Act::Exec(vec![program.name.clone()]));
        let allowed = || court.rule(&[bare], &scripts, None).verdict == Verdict::Allow;
        if (own && !program.plain) || !allowed() {
            continue;
        }
        let files: Vec<Vec<u8>> = program.files.into_iter().map(String::into_bytes).collect();
        for path in program.paths {
            // From 1, and in the order of the list: what is granted says which it is.
            let number = grants.programs.len().saturating_add(1);
            grants.programs.push(ProgramGrant {
                grant: u32::try_from(number).unwrap_or(u32::MAX),
                path: path.into_bytes(),
                files: files.clone(),
            });
        }
    }
    grants
}
