// SPDX-License-Identifier: Apache-2.0
//! Programs that change files: `rm`, `mv`, `chmod`, `dd`.

use super::{Call, Outcome};
use crate::effects::{Effect, Place};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(_: &Call) -> Option<Outcome> {
    None
}

/// What writing a file there would do.
pub(crate) fn write_to(_place: Place, _path: &str, _append: bool) -> Option<Effect> {
    None
}
