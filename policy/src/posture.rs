// SPDX-License-Identifier: Apache-2.0
//! How tightly a task is held, beside what policies say.
//!
//! A lattice: what the host sees moves a task along it towards *ended*, and only people move it
//! back. Beside the posture of the whole task there are paths whose changes people are asked about
//! whatever else would let them pass.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::approval::Scope;
use crate::effects::place::{Setting, below};
use crate::effects::{Kind, Target};

/// Paths that are asked about. Each is compared with every change of the task.
pub const MOST_PATHS: usize = 64;

/// Longest of them, in bytes: Linux' own.
const LONGEST: usize = 4096;

/// How tightly the task is held. Each holds all that the one before does.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Posture {
    /// As the policies say.
    Normal,
    /// Nothing leaves without a person.
    NoEgress,
    /// Nothing changes without a person.
    ReadOnly,
    /// Nothing runs until a person resumes it; also what is assumed until it is said.
    #[default]
    Paused,
    /// Nothing runs any more.
    Ended,
}

impl Posture {
    /// All, from the loosest.
    pub const ALL: [Self; 5] = [
        Self::Normal,
        Self::NoEgress,
        Self::ReadOnly,
        Self::Paused,
        Self::Ended,
    ];

    /// As it is written everywhere.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::NoEgress => "no-egress",
            Self::ReadOnly => "read-only",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for Posture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Not one of [`Posture::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a posture; there are normal, no-egress, read-only, paused and ended")]
pub struct NotAPosture;

impl FromStr for Posture {
    type Err = NotAPosture;
    fn from_str(text: &str) -> Result<Self, NotAPosture> {
        let mut all = Self::ALL.into_iter();
        all.find(|posture| posture.name() == text)
            .ok_or(NotAPosture)
    }
}

/// A path that cannot be asked about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeldError {
    /// Empty, too long, or it begins with what is not known.
    #[error("'{0}' is no path whose changes can be asked about")]
    Path(String),
    /// More than [`MOST_PATHS`].
    #[error("at most {MOST_PATHS} paths can be asked about")]
    TooMany,
}

/// How tightly one task is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// As a whole.
    pub posture: Posture,
    /// Absolute paths in the guest; changes of each, of what is below it and of what it is below
    /// people are asked about.
    #[serde(default)]
    pub asks: BTreeSet<String>,
}

impl Default for Held {
    /// As the policies say.
    fn default() -> Self {
        Self {
            posture: Posture::Normal,
            asks: BTreeSet::new(),
        }
    }
}

impl Held {
    /// Also asks about changes of a path; a relative one is of the workspace.
    ///
    /// # Errors
    /// [`HeldError`].
    pub fn ask(&mut self, path: &str, setting: &Setting) -> Result<(), HeldError> {
        let bad = || HeldError::Path(path.chars().take(80).collect());
        if path.is_empty() || path.len() > LONGEST || path.contains('\0') {
            return Err(bad());
        }
        let absolute = setting.absolute(path, Some(&setting.workspace));
        self.asks.insert(absolute.ok_or_else(bad)?);
        match self.asks.len() > MOST_PATHS {
            true => Err(HeldError::TooMany),
            false => Ok(()),
        }
    }

    /// Whether it lets nothing pass that `other` does not.
    #[must_use]
    pub fn is_as_tight_as(&self, other: &Self) -> bool {
        self.posture >= other.posture && self.asks.is_superset(&other.asks)
    }

    /// Whether the gate may let nothing pass by itself.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        *self != Self::default()
    }

    /// The path that people are asked about before something of this scope happens.
    #[must_use]
    pub fn asked(&self, scope: &Scope) -> Option<&str> {
        if self.asks.is_empty() {
            return None;
        }
        let leaves = |kind| matches!(kind, Kind::Read | Kind::Execute | Kind::Send);
        let changes = scope.reach.iter().filter(|reach| !leaves(reach.kind));
        let mut paths = changes.filter_map(|reach| match &reach.target {
            Target::Path(path, _) => Some((path.as_str(), reach.open)),
            _ => None,
        });
        paths.find_map(|(path, open)| {
            let first = || self.asks.first().map(String::as_str);
            if open { first() } else { self.touched(path) }
        })
    }

    /// The path that people are asked about before this one, which is absolute, changes.
    #[must_use]
    pub fn touched(&self, path: &str) -> Option<&str> {
        let folder = path.strip_suffix("/*").unwrap_or(path);
        let touches =
            |held: &&String| below(folder, held).is_some() || below(held, folder).is_some();
        self.asks.iter().find(touches).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::effects::intent;
    use crate::effects::program::NoFiles;
    use crate::effects::shell::Ground;

    fn asked(held: &Held, command: &str) -> Option<String> {
        let setting = Setting::default();
        let ground = Ground {
            setting: &setting,
            cwd: Some(&setting.workspace),
            files: &NoFiles,
        };
        let analysis = intent::of(&Action::shell(command), ground);
        let scope = Scope::of(&analysis, &setting, None);
        held.asked(&scope).map(str::to_owned)
    }

    #[test]
    fn postures_are_written_as_policies_have_them() {
        for posture in Posture::ALL {
            let json = serde_json::to_value(posture).unwrap();
            assert_eq!(json, posture.name());
            assert_eq!(posture.name().parse(), Ok(posture));
        }
        assert!(Posture::ALL.is_sorted());
        assert_eq!("Paused".parse::<Posture>(), Err(NotAPosture));
    }

    #[test]
    fn a_path_is_asked_about_with_what_is_above_and_below_it() {
        let setting = Setting::default();
        let mut held = Held::default();
        held.ask("db/schema.sql", &setting).unwrap();
        for command in [
            "echo x > db/schema.sql",
            "rm -r db",
            "mv /tmp/x /workspace/db/schema.sql",
            "sed -i s/a/b/ db/*",
            "rm $SOMETHING",
        ] {
            let path = Some("/workspace/db/schema.sql".to_owned());
            assert_eq!(asked(&held, command), path, "{command}");
        }
        for command in [
            "cat db/schema.sql",
            "sh db/schema.sql",
            "echo x > db/other.sql",
            "ls",
        ] {
            assert_eq!(asked(&held, command), None, "{command}");
        }
    }

    #[test]
    fn a_path_that_is_none_is_refused() {
        let setting = Setting::default();
        let mut held = Held::default();
        for path in ["", "a\0b", "~-/x", &"x".repeat(5000)] {
            assert!(matches!(held.ask(path, &setting), Err(HeldError::Path(_))));
        }
        for number in 0..MOST_PATHS {
            held.ask(&number.to_string(), &setting).unwrap();
        }
        assert_eq!(held.ask("x", &setting), Err(HeldError::TooMany));
    }

    #[test]
    fn tighter_is_more_of_either() {
        let setting = Setting::default();
        let normal = Held::default();
        let mut asks = normal.clone();
        asks.ask("x", &setting).unwrap();
        let paused = Held {
            posture: Posture::Paused,
            ..normal.clone()
        };
        assert!(asks.is_as_tight_as(&normal) && paused.is_as_tight_as(&normal));
        assert!(!normal.is_as_tight_as(&asks) && !paused.is_as_tight_as(&asks));
        assert!(!normal.is_strict() && asks.is_strict() && paused.is_strict());
    }
}
