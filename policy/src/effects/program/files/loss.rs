// SPDX-License-Identifier: Apache-2.0
//! How bad it is that what lies at a place is gone.

use super::super::super::Harm;
use super::super::super::place::{Area, Place};
use super::super::super::word::UNKNOWN;
use super::name;
use crate::list::is_any;

/// How something is deleted.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Manner {
    /// With all that is in it.
    pub(in super::super) recursive: bool,
    /// Overwritten, so that nothing brings it back.
    pub(in super::super) for_good: bool,
}

/// What losing a path comes to, and why.
pub(super) fn weigh(place: Place, path: &str, manner: Manner, glob: bool) -> (Harm, &'static str) {
    let wide = manner.recursive || glob;
    match place.area {
        Area::Null => (Harm::Medium, "programs expect this device"),
        Area::Temp => temporary(path, wide),
        Area::Build if path.contains("/Trash") && wide => {
            (Harm::High, "what is in the trash cannot be brought back")
        }
        Area::Build => (Harm::Low, "it is made again"),
        Area::Workspace => workspace(place, path, manner, glob),
        Area::WorkspaceRoot if manner.recursive => {
            (Harm::Critical, "the whole workspace would be lost")
        }
        Area::WorkspaceRoot if glob => (Harm::High, "every file of the workspace would be lost"),
        Area::Vcs => history(path, manner),
        Area::Home => home(place, path, manner.recursive, glob),
        Area::HomeRoot if wide => (Harm::Critical, "a whole home folder would be lost"),
        Area::Root if wide => (Harm::Critical, "everything on the machine would be lost"),
        Area::HomeRoot | Area::Root | Area::WorkspaceRoot => (Harm::Medium, "it is no file"),
        Area::System => system(path, manner.recursive, glob),
        Area::Outside if wide => (Harm::High, "it lies outside of the workspace"),
        Area::Outside => (Harm::Medium, "it lies outside of the workspace"),
        Area::Device => (Harm::High, "programs expect this device"),
        Area::Unresolved if manner.recursive => (
            Harm::High,
            "what it deletes is known only when it runs, and an empty name makes it more",
        ),
        Area::Unresolved if place.secret || place.startup => {
            (Harm::High, "keys or start-up files would be lost")
        }
        Area::Unresolved if glob => (Harm::Medium, "what it deletes is known only when it runs"),
        Area::Unresolved => (Harm::Low, "one file, known only when it runs"),
    }
}

fn temporary(path: &str, wide: bool) -> (Harm, &'static str) {
    let all = path.trim_end_matches(['*', '/', '.', '?']);
    if wide && matches!(all, "/tmp" | "/var/tmp" | "/dev/shm" | "/private/tmp") {
        return (Harm::Medium, "others keep temporary files there too");
    }
    (Harm::Low, "a temporary file")
}

/// Words in a folder's name that say it can be made again.
const PASSING: &str = "build built builds dist out output outputs tmp temp temporary cache caches generated gen \
    artifacts artifact coverage report reports result results log logs scratch vendor public \
    site deps pods env venv virtualenv screenshots videos snapshots wheels pkg foo bar baz demo \
    test1 test2 dummy junk trash unused elm modules packages-cache stats profile";

fn workspace(place: Place, path: &str, manner: Manner, glob: bool) -> (Harm, &'static str) {
    let last = name(path);
    if last.ends_with(".tfstate") {
        return (Harm::High, "without it nobody knows what was deployed");
    }
    let data = [
        ".db", ".sqlite", ".sqlite3", ".sql", ".dump", ".bak", ".rdb",
    ];
    if !manner.recursive && (place.secret || data.iter().any(|end| last.ends_with(end))) {
        return (Harm::Medium, "secrets and data are seldom kept twice");
    }
    if glob && !manner.recursive {
        return (Harm::Medium, "several files of the workspace");
    }
    if !manner.recursive || is_file_name(last) {
        return if glob {
            (Harm::Medium, "several files of the workspace")
        } else {
            (Harm::Low, "a file of the workspace")
        };
    }
    let lower = last.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    let hidden = last.starts_with('.') && !matches!(last, ".github" | ".svn" | ".ssh" | ".config");
    if hidden || words.any(|word| is_any(PASSING, word)) {
        return (Harm::Medium, "by its name it can be made again");
    }
    (
        Harm::High,
        "a folder of the workspace with work that may be nowhere else",
    )
}

/// `notes.txt`, but neither `src` nor `.github` nor `v1.2`.
fn is_file_name(name: &str) -> bool {
    let Some((stem, ending)) = name.rsplit_once('.') else {
        return matches!(name, "Makefile" | "Dockerfile" | "LICENSE" | "README");
    };
    !stem.is_empty()
        && (1..=5).contains(&ending.len())
        && ending.chars().all(|c| c.is_ascii_alphanumeric())
        && ending.chars().any(|c| c.is_ascii_alphabetic())
        && !name.contains(UNKNOWN)
}

fn history(path: &str, manner: Manner) -> (Harm, &'static str) {
    let passing = [
        "/rebase-merge",
        "/rebase-apply",
        "/index",
        "/gc.log",
        "/gc.pid",
        "/MERGE_MSG",
    ];
    if path.ends_with(".lock") {
        return (Harm::Low, "a lock that was left behind");
    }
    let vital = ["HEAD", "packed-refs", "config"].contains(&name(path))
        || path.contains("/objects/")
        || path.contains("/refs/heads/");
    if vital && !manner.recursive {
        return (Harm::High, "parts of the history would be lost");
    }
    if passing.iter().any(|end| path.ends_with(end)) || !manner.recursive {
        return (Harm::Medium, "version control keeps its own files there");
    }
    let root = [".git", ".hg", ".jj", ".git/*", ".git/objects", ".git/refs"];
    if root.iter().any(|end| path.ends_with(end)) {
        return (
            Harm::Critical,
            "the whole history would be lost, with every branch and stash",
        );
    }
    (Harm::High, "parts of the history would be lost")
}

fn home(place: Place, path: &str, recursive: bool, glob: bool) -> (Harm, &'static str) {
    if place.secret || place.startup {
        let harm = if recursive {
            Harm::Critical
        } else {
            Harm::High
        };
        return (harm, "keys or start-up files of a person would be lost");
    }
    if recursive && !is_file_name(name(path)) {
        let own = [
            "Documents",
            "Desktop",
            "Downloads",
            "Pictures",
            "Music",
            "Videos",
            "Library",
            ".config",
            ".local",
            "Movies",
            "Projects",
            "projects",
            "src",
            "code",
        ];
        let harm = if own.contains(&name(path)) {
            Harm::Critical
        } else {
            Harm::High
        };
        return (harm, "a folder of a person, of which there may be no copy");
    }
    if glob {
        return (Harm::High, "several files of a person");
    }
    (Harm::Medium, "a file of a person, outside of the workspace")
}

fn system(path: &str, recursive: bool, glob: bool) -> (Harm, &'static str) {
    let under = |folder: &str| path.starts_with(folder);
    if [
        "/var/lib/apt/lists",
        "/var/cache/",
        "/usr/share/man",
        "/usr/share/doc",
    ]
    .iter()
    .any(|folder| under(folder))
    {
        return (Harm::Low, "a cache of the package manager");
    }
    if under("/var/log") {
        return (Harm::High, "logs tell what happened");
    }
    let wide = recursive || glob;
    if (under("/run/") || under("/var/run/")) && !wide && !path.ends_with("docker.sock") {
        return (Harm::Low, "a file that a service makes again");
    }
    if (under("/opt/") || under("/srv/") || under("/var/www/") || under("/usr/local/")) && !wide {
        return (Harm::Medium, "programs outside of the workspace use it");
    }
    let parts = path.split('/').filter(|part| !part.is_empty()).count();
    if recursive && parts <= 2 {
        return (Harm::Critical, "the machine needs it to run");
    }
    (Harm::High, "the system or a service needs it")
}
