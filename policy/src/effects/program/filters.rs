// SPDX-License-Identifier: Apache-2.0
//! Programs that read and print: `cat`, `grep`, `base64`, `tr`.

use super::{Call, Outcome};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(_: &Call) -> Option<Outcome> {
    None
}
