// SPDX-License-Identifier: Apache-2.0
//! Programs that speak to hosts: `curl`, `scp`, `nc`.

use super::{Call, Outcome};
use crate::effects::Effect;

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(_: &Call) -> Option<Outcome> {
    None
}

/// What opening such a path would do, if it is a socket of the shell's.
pub(crate) fn dev_tcp(_path: &str) -> Option<Effect> {
    None
}
