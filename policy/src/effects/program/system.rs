// SPDX-License-Identifier: Apache-2.0
//! Programs that change the machine: `systemctl`, `useradd`, `iptables`, `crontab`, `kill`.

use super::{Call, Outcome};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(_: &Call) -> Option<Outcome> {
    None
}
