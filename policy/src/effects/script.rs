// SPDX-License-Identifier: Apache-2.0
//! What build files would run for a target: `make test`, `npm run build`, one level deep.

use super::program::{Call, Run};

/// What a tool runs for a target, or nothing when its file was not found or has no such target.
#[must_use]
pub fn target(_tool: &str, _name: &str, _call: &Call) -> Option<Vec<Run>> {
    None
}

/// The language of a script.
#[must_use]
pub fn language(_path: &str, text: &str) -> &'static str {
    if text.starts_with("#!/bin/sh") || _path.ends_with(".sh") {
        "sh"
    } else {
        ""
    }
}
