// SPDX-License-Identifier: Apache-2.0
//! The host's static busybox as a guest's user land.

use std::path::{Path, PathBuf};

use super::tool::{self, ToolError, clean_command};
use crate::tree::{Content, Meta, Node, Time, Tree, TreeError};

/// Where Debian's package busybox-static puts it.
pub(super) const PATH: &str = "/bin/busybox";

/// Why busybox is not in the image.
#[derive(Debug, thiserror::Error)]
pub enum BusyboxError {
    /// It is not there.
    #[error("{PATH} is missing; apt-get install busybox-static")]
    Missing,
    /// It needs libraries, and the image has none.
    #[error("{PATH} is not static; apt-get install busybox-static")]
    Dynamic,
    /// It does not say what it can do.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// An applet's path is not usable.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Puts busybox at `/bin/busybox`, and a link for each applet at the path it names itself.
pub(super) fn add(tree: &mut Tree, time: Time) -> Result<(), BusyboxError> {
    let program = std::fs::read(PATH).map_err(|_| BusyboxError::Missing)?;
    // The interpreter's path is in the first page of every dynamic program.
    if program
        .get(..4096)
        .unwrap_or(&program)
        .windows(4)
        .any(|window| window == b"/lib")
    {
        return Err(BusyboxError::Dynamic);
    }
    let content = Content::bytes(program);
    tree.insert(PATH, Node::file(Meta::new(0o755).at(time), content))?;
    let applets = tool::output(clean_command(PATH).arg("--list-full"))?;
    for applet in applets.lines().map(|line| PathBuf::from("/").join(line)) {
        if applet != Path::new(PATH) {
            let link = Node::symlink(Meta::new(0o777).at(time), PATH.as_bytes());
            tree.insert(&applet, link)?;
        }
    }
    Ok(())
}
