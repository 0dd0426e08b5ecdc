// SPDX-License-Identifier: Apache-2.0
//! Where a path leads, judged by its words alone: what the place is for, whether it holds secrets
//! and whether writing it starts something later.
//!
//! Nothing is looked up, so that the same action gives the same answer everywhere; what is really
//! there is counted by `blast`.

use serde::{Deserialize, Serialize};

use super::pattern;
use super::word::UNKNOWN;
use crate::list::is_any;

mod names;

/// Which part of the machine a path is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// `/dev/null`, a terminal, an open descriptor.
    Null,
    /// `/tmp` and the like.
    Temp,
    /// What a tool makes again: `node_modules`, `target`, `~/.cache`.
    Build,
    /// In the workspace.
    Workspace,
    /// The whole workspace.
    WorkspaceRoot,
    /// Version control's own files.
    Vcs,
    /// In a home folder.
    Home,
    /// A whole home folder.
    HomeRoot,
    /// Elsewhere: mounts, other people's folders.
    Outside,
    /// The system's own files.
    System,
    /// A device.
    Device,
    /// All there is.
    Root,
    /// Known only when the action runs.
    Unresolved,
}

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Which part of the machine.
    pub area: Area,
    /// Keys, tokens or passwords are kept there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// What is written there runs later by itself, or lets somebody in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub startup: bool,
}

impl Place {
    /// An area without secrets or start-up files.
    #[must_use]
    pub fn of(area: Area) -> Self {
        Self {
            area,
            secret: false,
            startup: false,
        }
    }
}

/// The folders that paths are read against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The workspace, absolute.
    pub workspace: String,
    /// The home of whoever runs the action, absolute.
    pub home: String,
}

impl Default for Setting {
    /// As in a guest.
    fn default() -> Self {
        Self {
            workspace: "/workspace".to_owned(),
            home: "/home/task".to_owned(),
        }
    }
}

impl Setting {
    /// The path without `~`, `.`, `..` and doubled slashes, or nothing when it begins with what
    /// is not known yet. `cwd` is the folder a relative path starts from, if that is known.
    #[must_use]
    pub fn absolute(&self, path: &str, cwd: Option<&str>) -> Option<String> {
        let whole = match path.strip_prefix('~') {
            Some("") => self.home.clone(),
            Some(rest) if rest.starts_with('/') => format!("{}{rest}", self.home),
            Some(rest) if rest.starts_with(['+', '-']) => return None,
            Some(rest) => format!("/home/{rest}"),
            None if path.starts_with('/') => path.to_owned(),
            None if path.starts_with(UNKNOWN) => return None,
            None => format!("{}/{path}", cwd?),
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in whole.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        Some(format!("/{}", parts.join("/")))
    }

    /// Where a path leads.
    #[must_use]
    pub fn place(&self, path: &str, cwd: Option<&str>) -> Place {
        let path = path.strip_prefix("file://").unwrap_or(path);
        let Some(whole) = self.absolute(path, cwd) else {
            return Place {
                area: Area::Unresolved,
                secret: secret(path),
                startup: startup(path),
            };
        };
        Place {
            area: self.area(&whole),
            secret: secret(&whole),
            startup: startup(&whole),
        }
    }

    fn area(&self, whole: &str) -> Area {
        // `dir/*` is all of `dir`.
        let all = whole
            .trim_end_matches(['*', '?', '.'])
            .trim_end_matches('/');
        let all = all.strip_suffix("/{,.}").unwrap_or(all);
        let named = named(all);
        let all = named.as_deref().unwrap_or(all);
        if all.is_empty() {
            return Area::Root;
        }
        if let Some(rest) = below(all, &self.workspace) {
            return workspace(rest);
        }
        let home = below(all, &self.home).or_else(|| home(all));
        if let Some(rest) = home {
            return in_home(rest);
        }
        if all == "/home" || all == "/root" || all == "/Users" {
            return Area::HomeRoot;
        }
        elsewhere(all)
    }
}

/// A path whose patterns (`/e?c`, `.g[i]t`) stand for the name that they would be written for: the
/// most telling one that they match.
fn named(path: &str) -> Option<String> {
    if !path.contains(['?', '[']) {
        return None;
    }
    let meant = |part: &str| {
        let mut names = words(names::PATTERNS).chain(words(names::BUILD_NAMES));
        let known = part
            .contains(['?', '['])
            .then(|| names.find(|name| pattern::matches(part, name)));
        known.flatten().unwrap_or_default().to_owned()
    };
    let parts = path.split('/').map(|part| match meant(part) {
        found if found.is_empty() => part.to_owned(),
        found => found,
    });
    Some(parts.collect::<Vec<_>>().join("/"))
}

/// What is left of `path` below `folder`, both absolute; empty for the folder itself.
#[must_use]
pub fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder.trim_end_matches('/'))?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix('/')
}

/// What is left of a path in somebody's home.
fn home(path: &str) -> Option<&str> {
    if let Some(rest) = below(path, "/root") {
        return Some(rest);
    }
    let rest = below(path, "/home").or_else(|| below(path, "/Users"))?;
    if rest.is_empty() {
        return None;
    }
    Some(rest.split_once('/').map_or("", |(_, rest)| rest))
}

fn workspace(rest: &str) -> Area {
    if rest.is_empty() {
        return Area::WorkspaceRoot;
    }
    let mut parts = rest.split('/');
    if parts
        .clone()
        .any(|part| part == ".git" || part == ".hg" || part == ".jj")
    {
        return Area::Vcs;
    }
    if parts.any(regenerable) {
        return Area::Build;
    }
    Area::Workspace
}

/// Names of folders and files that a build, a test run or a package manager makes again.
fn regenerable(name: &str) -> bool {
    is_any(names::BUILD_NAMES, name) || ends_in(names::BUILD_ENDINGS, name)
}

fn in_home(rest: &str) -> Area {
    if rest.is_empty() {
        Area::HomeRoot
    } else if words(names::CACHES).any(|cache| below(rest, cache).is_some()) {
        Area::Build
    } else {
        Area::Home
    }
}

fn elsewhere(path: &str) -> Area {
    let in_any = |list| words(list).any(|folder| below(path, folder).is_some());
    if is_any(names::NULL, path)
        || below(path, "/dev/fd").is_some()
        || below(path, "/dev/pts").is_some()
    {
        Area::Null
    } else if in_any(names::TEMP) {
        Area::Temp
    } else if below(path, "/dev").is_some() {
        Area::Device
    } else if in_any(names::SYSTEM) {
        Area::System
    } else if path.split('/').skip(3).any(regenerable) {
        Area::Build
    } else {
        Area::Outside
    }
}

/// Whether keys, tokens or passwords are kept under such a name.
pub(crate) fn secret(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.ends_with(".pub") || name.contains(".pub.") || public_of_ssh(path, name) {
        return false;
    }
    let mut parts = path.split('/');
    let folder = parts.any(|part| is_any(names::SECRET_FOLDERS, part));
    let private_key = name.starts_with("id_")
        && ["rsa", "dsa", "ecdsa", "ed25519"]
            .iter()
            .any(|kind| name[3..].starts_with(kind));
    folder
        || private_key
        || env_file(name)
        || is_any(names::SECRET_NAMES, name)
        || ends_in(names::SECRET_ENDINGS, name)
        || (path.starts_with("/proc/") && name == "environ")
}

/// What in `~/.ssh` is no key: it says who may come in or where to go, and is read to set things up.
fn public_of_ssh(path: &str, name: &str) -> bool {
    let known = ["known_hosts", "config", "authorized_keys", "environment"];
    path.contains(".ssh/") && known.iter().any(|known| name.starts_with(known))
}

/// `.env` and its kin, but not the examples that are made to be shared.
fn env_file(name: &str) -> bool {
    let shared = [
        "example", "sample", "template", "dist", "defaults", "test", "schema",
    ];
    let rest = name
        .strip_prefix(".env")
        .or_else(|| name.strip_suffix(".env").map(|_| ""));
    rest.is_some_and(|rest| {
        (rest.is_empty() || rest.starts_with(['.', '*', '?', '-', '_']))
            && !shared
                .iter()
                .any(|word| rest.trim_start_matches(['.', '-', '_']) == *word)
    })
}

/// Whether what is written there runs later by itself, or lets somebody in.
fn startup(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    // `pre-commit.sample` runs only once it is renamed.
    if name.ends_with(".sample") {
        return false;
    }
    is_any(names::STARTUP_NAMES, name)
        || words(names::STARTUP_FOLDERS).any(|folder| path.contains(folder))
        || matches!(
            path,
            "/etc/passwd" | "/etc/shadow" | "/etc/group" | "/etc/environment"
        )
        || path.starts_with(".git/hooks")
}

fn words(table: &str) -> std::str::SplitAsciiWhitespace<'_> {
    table.split_ascii_whitespace()
}

fn ends_in(table: &str, name: &str) -> bool {
    words(table).any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(path: &str) -> Area {
        Setting::default().place(path, Some("/workspace")).area
    }

    #[test]
    fn paths_lead_where_their_words_say() {
        for (path, wanted) in [
            ("/", Area::Root),
            ("/*", Area::Root),
            ("//.//", Area::Root),
            ("/../..", Area::Root),
            ("../..", Area::Root),
            (".", Area::WorkspaceRoot),
            ("*", Area::WorkspaceRoot),
            ("./*", Area::WorkspaceRoot),
            ("src", Area::Workspace),
            ("src/../.git/config", Area::Vcs),
            ("node_modules", Area::Build),
            ("packages/a/dist/x.js", Area::Build),
            ("~", Area::HomeRoot),
            ("~/", Area::HomeRoot),
            ("~/*", Area::HomeRoot),
            ("~/Documents", Area::Home),
            ("~/.cache/pip", Area::Build),
            ("~bob", Area::HomeRoot),
            ("/root", Area::HomeRoot),
            ("/home", Area::HomeRoot),
            ("/tmp/x", Area::Temp),
            ("/dev/null", Area::Null),
            ("/dev/sda", Area::Device),
            ("/etc", Area::System),
            ("/etcetera", Area::Outside),
            ("/mnt/data", Area::Outside),
            ("\u{F0000}/x", Area::Unresolved),
            (".g?t", Area::Vcs),
            ("/e[t]c", Area::System),
            ("d?st", Area::Build),
            ("/srv/app/build", Area::Build),
            ("/srv/app", Area::Outside),
        ] {
            assert_eq!(area(path), wanted, "{path}");
        }
    }

    #[test]
    fn secrets_and_startup_files_are_known_by_name() {
        let place = |path| Setting::default().place(path, Some("/workspace"));
        for path in [
            ".env",
            ".env.production",
            "~/.ssh/id_rsa",
            "/etc/shadow",
            "certs/a.pem",
        ] {
            assert!(place(path).secret, "{path}");
        }
        for path in [
            ".env.example",
            "~/.ssh/config",
            "~/.ssh/known_hosts.old",
            "~/.ssh/id_ed25519.pub.bak",
            "~/.ssh/id_rsa.pub",
            "src/environment.ts",
            "key.rs",
        ] {
            assert!(!place(path).secret, "{path}");
        }
        for path in [
            "~/.bashrc",
            "/etc/cron.d/x",
            "~/.ssh/authorized_keys",
            ".git/hooks/pre-push",
        ] {
            assert!(place(path).startup, "{path}");
        }
        assert!(!place("src/profile.rs").startup);
    }
}
