// SPDX-License-Identifier: Apache-2.0
//! `ampoule policy init`: a commented policy, limits and examples to start from.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use policy::verdict::init::{LIMITS, POLICY, TESTS};

use super::super::{CliError, say};
use crate::folders::Folders;
use crate::policies;

/// Write a commented starting policy, limits and examples
#[derive(Debug, Args)]
pub(in crate::cli) struct Init {
    /// The folder; where the policies in force lie when left out
    folder: Option<PathBuf>,
}

impl Init {
    pub(in crate::cli) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let folder = self.folder.map_or_else(|| policies::folder(folders), Ok)?;
        let files = [POLICY, LIMITS, TESTS];
        // All or nothing: what is there stays as it is.
        for file in files {
            let path = folder.join(file.name);
            if path.symlink_metadata().is_ok() {
                let text = format!(
                    "{} is there already; remove it or name another folder",
                    path.display()
                );
                return Err(CliError::Usage(text));
            }
        }
        fs::create_dir_all(folder.join("tests")).map_err(CliError::io("cannot make the folder"))?;
        for file in files {
            let path = folder.join(file.name);
            let mut options = File::options();
            let written = options.write(true).create_new(true).open(&path);
            written
                .and_then(|mut open| open.write_all(file.text.as_bytes()))
                .map_err(CliError::io("cannot write the starting policy"))?;
            say(&path.display().to_string())?;
        }
        Ok(0)
    }
}
