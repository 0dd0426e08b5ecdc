// SPDX-License-Identifier: Apache-2.0
//! The operator's settings: `/etc/ampoule/config.toml`, and the user's own, which may only
//! lower what the first allows.
//!
//! ```toml
//! max-ttl = "2h"
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::cli::values::{self, ValueError};
use crate::folders::Folders;

/// Longest TTL unless the settings say less. Below the VMM's own maximum of a day, so that its
/// timer can be set later than the guest's.
pub const MAX_TTL: Duration = Duration::from_secs(23 * 60 * 60);

/// Where the operator's settings lie.
const SYSTEM: &str = "/etc/ampoule/config.toml";

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is there but cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{} is not a valid configuration", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A maximum that nothing could hold.
    #[error("max-ttl in {} is {}; write {} or less, no task may live longer",
        path.display(), values::show(*asked), values::show(MAX_TTL))]
    TooLong {
        /// Which.
        path: PathBuf,
        /// What it says.
        asked: Duration,
    },
    /// A duration in it is none.
    #[error("max-ttl in {} is not a duration", path.display())]
    Value {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: ValueError,
    },
}

/// What the operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Longest TTL a task may ask for.
    pub max_ttl: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    max_ttl: Option<String>,
}

impl Settings {
    /// Reads both files; one that is missing says nothing.
    ///
    /// # Errors
    /// A file that is there but wrong: what it forbids must not be lost.
    pub fn read(folders: &Folders) -> Result<Self, SettingsError> {
        let mut settings = Self { max_ttl: MAX_TTL };
        for path in [Path::new(SYSTEM), &folders.config.join("config.toml")] {
            match std::fs::read_to_string(path) {
                Ok(text) => settings.narrow(path, &text)?,
                Err(source) if source.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(SettingsError::Read {
                        path: path.to_owned(),
                        source,
                    });
                }
            }
        }
        Ok(settings)
    }

    fn narrow(&mut self, path: &Path, text: &str) -> Result<(), SettingsError> {
        let file: File = toml::from_str(text).map_err(|source| SettingsError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        if let Some(text) = file.max_ttl {
            let max = values::duration(&text).map_err(|source| SettingsError::Value {
                path: path.to_owned(),
                source,
            })?;
            if max > MAX_TTL {
                return Err(SettingsError::TooLong {
                    path: path.to_owned(),
                    asked: max,
                });
            }
            self.max_ttl = self.max_ttl.min(max);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_can_lower_the_maximum_and_not_raise_it() {
        let mut settings = Settings { max_ttl: MAX_TTL };
        settings.narrow(Path::new("a"), "max-ttl = \"1h\"").unwrap();
        settings.narrow(Path::new("b"), "max-ttl = \"2h\"").unwrap();
        assert_eq!(settings.max_ttl, Duration::from_secs(3600));
    }

    #[test]
    fn a_maximum_above_the_ceiling_is_refused_and_names_it() {
        let mut settings = Settings { max_ttl: MAX_TTL };
        let error = settings
            .narrow(Path::new("a"), "max-ttl = \"2d\"")
            .unwrap_err()
            .to_string();
        assert!(error.contains("2d") && error.contains("23h"), "{error}");
        settings
            .narrow(Path::new("a"), "max-ttl = \"23h\"")
            .unwrap();
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let mut settings = Settings { max_ttl: MAX_TTL };
        assert!(settings.narrow(Path::new("a"), "max-tll = \"1h\"").is_err());
    }
}
