// SPDX-License-Identifier: Apache-2.0
//! What items and people are called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name of a person, in bytes.
const NAME: usize = 256;

/// Most characters of an id.
const ID: usize = 32;

/// An item's name: small letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemId(String);

/// Not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an approval's id has 1 to {ID} small letters, digits and '-'")]
pub struct NotAnId;

/// A person's name, as the host knows it. Never taken from a guest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Person(String);

/// Not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a person's name has 1 to {NAME} bytes, no control characters, no space at its ends")]
pub struct NotAName;

impl ItemId {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Person {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ItemId {
    type Error = NotAnId;
    fn try_from(text: String) -> Result<Self, NotAnId> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=ID).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text))
        } else {
            Err(NotAnId)
        }
    }
}

impl TryFrom<String> for Person {
    type Error = NotAName;
    fn try_from(text: String) -> Result<Self, NotAName> {
        let fits = (1..=NAME).contains(&text.len()) && text.trim() == text;
        if fits && !text.contains(char::is_control) {
            Ok(Self(text))
        } else {
            Err(NotAName)
        }
    }
}

impl FromStr for ItemId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        text.to_owned().try_into()
    }
}

impl FromStr for Person {
    type Err = NotAName;
    fn from_str(text: &str) -> Result<Self, NotAName> {
        text.to_owned().try_into()
    }
}

impl From<ItemId> for String {
    fn from(id: ItemId) -> Self {
        id.0
    }
}

impl From<Person> for String {
    fn from(person: Person) -> Self {
        person.0
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
