// SPDX-License-Identifier: Apache-2.0
//! A task's name: eight letters and digits that are not easily confused.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Crockford's base 32 in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of an id: 40 random bits. The store's primary key catches the rare collision.
const LEN: usize = 8;

/// A task's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(String);

/// Not an id, nor the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a task: ids have {LEN} letters and digits; `ampoule ps -a` lists them")]
pub struct NotAnId(String);

impl TaskId {
    /// A new one.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; LEN];
        crate::entropy(&mut bytes)?;
        let letter = |byte: &u8| char::from(ALPHABET[usize::from(byte % 32)]);
        Ok(Self(bytes.iter().map(letter).collect()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks what may be the beginning of an id, in any case.
    ///
    /// # Errors
    /// [`NotAnId`].
    pub fn prefix(text: &str) -> Result<String, NotAnId> {
        let lower = text.to_ascii_lowercase();
        let fits = (1..=LEN).contains(&lower.len());
        if fits && lower.bytes().all(|byte| ALPHABET.contains(&byte)) {
            Ok(lower)
        } else {
            Err(NotAnId(text.to_owned()))
        }
    }
}

impl FromStr for TaskId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let id = Self::prefix(text)?;
        if id.len() == LEN {
            Ok(Self(id))
        } else {
            Err(NotAnId(text.to_owned()))
        }
    }
}

impl TryFrom<String> for TaskId {
    type Error = NotAnId;
    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_read_back() {
        let (a, b) = (TaskId::random().unwrap(), TaskId::random().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.as_str().parse(), Ok(a));
    }

    #[test]
    fn paths_and_patterns_are_no_prefixes() {
        for text in ["", "..", "a/b", "%", "ABCDEFGHJ", "i"] {
            assert!(TaskId::prefix(text).is_err(), "{text}");
        }
        assert_eq!(TaskId::prefix("7K").unwrap(), "7k");
    }
}
