// SPDX-License-Identifier: Apache-2.0
//! Who a command runs as: pure lookups in the text of `/etc/passwd` and `/etc/group`.
//!
//! Without a name the command gets the image's unprivileged user, uid 1000. An image need not name
//! it (imported ones do not); a uid without an entry has no home, so it is given `/tmp`, which it
//! can write and which is no part of the workspace.

use rustix::fs::Gid;

/// The unprivileged user of our images.
const DEFAULT_ID: u32 = 1000;
/// `NGROUPS_MAX` is 65536; a login with more groups than this is a mistake.
const MAX_GROUPS: usize = 1024;

/// A user, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<Gid>,
    pub(crate) name: String,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// Why there is no such user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UserError {
    /// A name that the image does not know.
    #[error("the image has no user {name:?}; use a name of its /etc/passwd, UID or UID:GID")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// Not `uid:gid`.
    #[error("{spec:?} is not a user: use NAME, UID or UID:GID")]
    Malformed {
        /// What was asked for.
        spec: String,
    },
}

/// One line of passwd(5).
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let _password = fields.next()?;
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let _comment = fields.next()?;
        let home = fields.next()?;
        let shell = fields.next().unwrap_or_default();
        Some(Self {
            name,
            uid,
            gid,
            home,
            shell,
        })
    }
}

/// Resolves `name`, `uid` or `uid:gid`; empty for the unprivileged user.
pub(crate) fn resolve(spec: &str, passwd: &str, group: &str) -> Result<Identity, UserError> {
    let find = |wanted: &dyn Fn(&Entry<'_>) -> bool| {
        passwd
            .lines()
            .filter_map(Entry::parse)
            .find(|entry| wanted(entry))
    };
    let malformed = || UserError::Malformed {
        spec: spec.to_owned(),
    };
    let id = |text: &str| parse_id(text).ok_or_else(malformed);
    let (uid, gid) = match spec.split_once(':') {
        Some((uid, gid)) => (id(uid)?, Some(id(gid)?)),
        None if spec.is_empty() => (DEFAULT_ID, None),
        None if spec.starts_with(|c: char| c.is_ascii_digit()) => (id(spec)?, None),
        None => match find(&|entry| entry.name == spec) {
            Some(entry) => (entry.uid, None),
            None => {
                return Err(UserError::Unknown {
                    name: spec.to_owned(),
                });
            }
        },
    };
    // A name may share its uid with another; the name asked for goes first.
    let entry = find(&|entry| entry.name == spec).or_else(|| find(&|entry| entry.uid == uid));
    Ok(identity(uid, gid, entry.as_ref(), group))
}

/// `u32::MAX` is "no change" to the kernel's calls, so it is nobody's number.
fn parse_id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

fn identity(uid: u32, gid: Option<u32>, entry: Option<&Entry<'_>>, group: &str) -> Identity {
    let or = |text: Option<&str>, default: &str| {
        text.filter(|text| !text.is_empty())
            .unwrap_or(default)
            .to_owned()
    };
    let primary = gid.or(entry.map(|entry| entry.gid)).unwrap_or(uid);
    let mut groups = vec![Gid::from_raw(primary)];
    if let Some(entry) = entry {
        let more = memberships(entry.name, group).filter(|gid| *gid != primary);
        groups.extend(more.take(MAX_GROUPS).map(Gid::from_raw));
    }
    let homeless = if uid == 0 { "/root" } else { "/tmp" };
    Identity {
        uid,
        gid: primary,
        groups,
        name: or(entry.map(|entry| entry.name), &uid.to_string()),
        home: or(entry.map(|entry| entry.home), homeless),
        shell: or(entry.map(|entry| entry.shell), "/bin/sh"),
    }
}

/// The groups of group(5) that list a name.
fn memberships(name: &str, group: &str) -> impl Iterator<Item = u32> {
    group.lines().filter_map(move |line| {
        let mut fields = line.split(':');
        let gid = fields.nth(2)?.parse().ok()?;
        fields
            .next()?
            .split(',')
            .any(|member| member == name)
            .then_some(gid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\nagent:x:1000:1000::/home/agent:/bin/sh\n\
                          www:x:33:33::/var/www:\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:agent,www\naudio:x:29:www\nagent:x:1000:agent\n";

    fn ids(spec: &str) -> (u32, u32, Vec<u32>) {
        let user = resolve(spec, PASSWD, GROUP).unwrap();
        let groups = user.groups.iter().map(|gid| gid.as_raw()).collect();
        (user.uid, user.gid, groups)
    }

    #[test]
    fn no_name_is_the_unprivileged_user_of_the_image() {
        let user = resolve("", PASSWD, GROUP).unwrap();
        assert_eq!(
            (user.uid, user.name.as_str(), user.home.as_str()),
            (1000, "agent", "/home/agent")
        );
        assert_eq!(ids(""), (1000, 1000, vec![1000, 10]));
    }

    #[test]
    fn an_image_without_the_user_still_runs_it_by_number() {
        let user = resolve("", "root:x:0:0::/root:/bin/sh\n", "").unwrap();
        assert_eq!(
            (user.uid, user.gid, user.name.as_str()),
            (1000, 1000, "1000")
        );
        assert_eq!(
            (user.home.as_str(), user.shell.as_str()),
            ("/tmp", "/bin/sh")
        );
    }

    #[test]
    fn names_and_numbers_are_taken() {
        assert_eq!(ids("root"), (0, 0, vec![0]));
        assert_eq!(ids("www"), (33, 33, vec![33, 10, 29]));
        assert_eq!(ids("33"), (33, 33, vec![33, 10, 29]));
        assert_eq!(ids("33:44"), (33, 44, vec![44, 10, 29]));
        assert_eq!(ids("777:8"), (777, 8, vec![8]));
    }

    #[test]
    fn an_empty_shell_is_sh() {
        assert_eq!(resolve("www", PASSWD, GROUP).unwrap().shell, "/bin/sh");
    }

    #[test]
    fn what_is_no_user_is_refused_in_words() {
        for spec in [
            "nobody",
            "1000:",
            ":1",
            "1:x",
            "4294967295",
            "99999999999",
            "12ab",
            "a:b",
        ] {
            assert!(resolve(spec, PASSWD, GROUP).is_err(), "{spec}");
        }
        let refused = resolve("nobody", PASSWD, GROUP).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("the image has no user \"nobody\"")
        );
    }
}
