// SPDX-License-Identifier: Apache-2.0
//! Scripts that an action would run, read from the workspace.

use policy::effects::program::Files;
use policy::effects::word::{Stream, Taint};

use policy::effects::place::below;

use super::Folder;

/// Longest script that is read. A longer one is one that could not be read.
const LONGEST: u64 = policy::action::TEXT as u64;

impl Files for Folder {
    fn read(&self, path: &str) -> Option<Stream> {
        let rest = below(path, &self.setting.workspace)?;
        let (bytes, _) = self.inside.read(rest.as_bytes(), LONGEST)?;
        Some(Stream {
            text: Some(String::from_utf8_lossy(&bytes).into_owned()),
            taint: Taint {
                file: Some(path.to_owned()),
                ..Taint::default()
            },
        })
    }
}
