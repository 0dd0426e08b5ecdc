// SPDX-License-Identifier: Apache-2.0
//! Who decides: the user that runs the command, as the system knows it.
//!
//! Not `$USER`: anybody can set that to be counted as somebody else. Where the system's file of
//! users does not have the user (a directory service), the number stands for the name.

use std::io;

use policy::approval::Person;
use policy::approval::names::NotAName;
use rustix::process::getuid;

/// Names of users, passwd(5).
const USERS: &str = "/etc/passwd";

/// Why it cannot be told who decides.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// The file of users.
    #[error("cannot read {USERS} for the name of this user")]
    Users(#[source] io::Error),
    /// A name that is none.
    #[error("the name of this user cannot be used")]
    Name(#[from] NotAName),
}

/// Who runs this process.
///
/// # Errors
/// [`PersonError`].
pub fn who() -> Result<Person, PersonError> {
    let users = match std::fs::read(USERS) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(PersonError::Users(error)),
    };
    Ok(named(&users, getuid().as_raw())?)
}

fn named(users: &str, uid: u32) -> Result<Person, NotAName> {
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then_some(name)
    });
    let name = name.filter(|name| !name.is_empty());
    name.map_or_else(|| format!("uid {uid}").parse(), str::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_or_a_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:7::\nada:x:1000:1000::/h:\n";
        for (uid, name) in [(0, "root"), (1000, "ada"), (7, "uid 7"), (8, "uid 8")] {
            assert_eq!(named(users, uid).unwrap().as_str(), name);
        }
        assert!(named("a\u{7}b:x:1:", 1).is_err());
    }
}
