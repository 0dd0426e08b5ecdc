// SPDX-License-Identifier: Apache-2.0
//! Programs that a table describes: git, package managers, clouds, databases.

use super::{Call, Outcome};

/// What it would do, or nothing when no table has the program.
pub(super) fn run(_: &Call) -> Option<Outcome> {
    None
}
