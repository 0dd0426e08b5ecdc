// SPDX-License-Identifier: Apache-2.0
//! Programs that speak to hosts: `curl`, `scp`, `nc`.

use super::{Call, Outcome};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(_: &Call) -> Option<Outcome> {
    None
}
