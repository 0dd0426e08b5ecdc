// SPDX-License-Identifier: Apache-2.0
//! Words of a command after expansion, as far as they are known before it runs.

use super::Span;

/// Stands in an [`Arg`]'s text for what is only known when the command runs: `"$DIR/x"` is
/// `"\u{F0000}/x"`. A private-use character, so that rules match the known rest; an action that
/// contains it itself reads as unknown there, which only tightens.
pub const UNKNOWN: char = '\u{F0000}';

/// Where a piece of data came from, as far as that matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    /// It holds a secret: the path or variable it came from.
    pub secret: Option<String>,
    /// It came over the network: from this host.
    pub network: Option<String>,
    /// It holds the contents of a local file that is no secret.
    pub file: Option<String>,
    /// It was decoded or otherwise made unreadable to a person: `base64 -d`, `rev`.
    pub decoded: bool,
}

impl Taint {
    /// Both.
    pub fn join(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.secret, &other.secret),
            (&mut self.network, &other.network),
            (&mut self.file, &other.file),
        ] {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
        self.decoded |= other.decoded;
    }
}

/// One word of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arg {
    /// Its text, [`UNKNOWN`] for what is not known yet.
    pub text: String,
    /// It has an unquoted `*`, `?` or `[`.
    pub glob: bool,
    /// Where its unknown or expanded parts came from.
    pub taint: Taint,
    /// Where it stands in the action's text.
    pub span: Span,
}

impl Arg {
    /// A word that is known.
    #[must_use]
    pub fn known(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            glob: text.contains(['*', '?', '[']),
            ..Self::default()
        }
    }

    /// Its text when all of it is known.
    #[must_use]
    pub fn whole(&self) -> Option<&str> {
        (!self.is_unknown()).then_some(self.text.as_str())
    }

    /// Some of it is known only when the command runs.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.text.contains(UNKNOWN)
    }
}

/// What flows into or out of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Its bytes when they are known before it runs.
    pub text: Option<String>,
    /// Where they came from.
    pub taint: Taint,
}

impl Stream {
    /// Known bytes.
    #[must_use]
    pub fn known(text: impl Into<String>) -> Self {
        Self {
            text: Some(text.into()),
            taint: Taint::default(),
        }
    }

    /// Nothing at all, as from `/dev/null`.
    #[must_use]
    pub fn empty() -> Self {
        Self::known("")
    }
}
