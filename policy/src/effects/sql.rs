// SPDX-License-Identifier: Apache-2.0
//! What statements of SQL would do.

use super::Effect;

/// The effects of a text of SQL; `engine` names the database (`postgres`, `mysql`, …).
#[must_use]
pub fn statements(_text: &str, _engine: &'static str) -> Vec<Effect> {
    Vec::new()
}
