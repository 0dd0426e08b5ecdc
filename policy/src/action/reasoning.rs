// SPDX-License-Identifier: Apache-2.0
//! What a plan's reasoning announces: code, commands, URLs and paths in its text.

use super::Plan;
use crate::effects::shell::Ground;
use crate::effects::{Analysis, Finding};

/// x
#[must_use]
pub fn findings(_plan: &Plan, _steps: &[Analysis], _ground: Ground<'_>) -> Vec<Finding> {
    Vec::new()
}
