// SPDX-License-Identifier: Apache-2.0
//! Programs that change files: `rm`, `mv`, `chmod`, `dd`, `tar`, `mkfs`.
//!
//! Harm follows from the place (`place.rs`) and the manner: what is made again by a build is worth
//! nothing, what nobody has a copy of is worth a question.

mod archives;
mod disks;
mod loss;
mod modes;
mod remove;
mod traces;
mod transfer;
mod volumes;
mod write;

use super::super::place::{Area, Place};
use super::super::word::{Stream, Taint, UNKNOWN};
use super::options::Options;
use super::{Call, Outcome};

pub(super) use loss::Manner;
pub(super) use remove::deleting;
pub use write::write_to;
pub(super) use write::{is_disk, placing};

/// What one program comes to.
type Rule = fn(&Call) -> Outcome;

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    let found = traces::run(call).or_else(|| volumes::run(call));
    if found.is_some() {
        return found;
    }
    // GNU tools on other systems are called `grm`, `gdd`, …
    let plain = || {
        call.name
            .strip_prefix('g')
            .filter(|name| GNU.contains(name))
    };
    let rule = rule(call.name).or_else(|| rule(plain()?))?;
    Some(if helps(call) {
        Outcome::default()
    } else {
        rule(call)
    })
}

const GNU: &[&str] = &[
    "rm", "mv", "cp", "dd", "ln", "chmod", "chown", "chgrp", "shred", "truncate", "install", "tar",
    "touch", "mkdir", "rmdir", "unlink", "split",
];

fn rule(name: &str) -> Option<Rule> {
    let rule: Rule = match name {
        "rm" | "unlink" | "srm" | "wipe" | "shred" | "rmdir" | "rd" | "trash" | "trash-put"
        | "gio" | "trash-empty" | "del" | "erase" | "rimraf" | "bleachbit" | "scrub" => remove::run,
        "mv" | "cp" | "ln" | "install" | "touch" | "mkdir" | "truncate" | "split" | "csplit"
        | "mkfifo" | "mknod" | "patch" | "link" | "rename" | "fallocate" | "ditto" => transfer::run,
        "chmod" | "chown" | "chgrp" | "chattr" | "setfacl" | "setcap" | "chflags" => modes::run,
        "tar" | "bsdtar" | "unzip" | "zip" | "cpio" | "pax" | "7z" | "7za" | "7zz" | "7zr"
        | "rar" | "unrar" | "bsdcpio" => archives::run,
        name => return disks::rule(name),
    };
    Some(rule)
}

/// Whether the command only prints how it is used.
pub(super) fn helps(call: &Call) -> bool {
    let first = call.args.first();
    first.is_some_and(|arg| matches!(arg.text.as_str(), "--help" | "--version"))
}

/// Whether an option turns the command into a look. Only where the option is none of a value.
pub(super) fn only_looks(options: &Options) -> bool {
    options.has_exactly(&["--help", "--version"])
}

/// Where a path leads. One that begins with what is not known yet is a build's when its rest says
/// so (`$DIR/node_modules`), unless an empty beginning would make it the system's (`$DIR/bin`).
pub(super) fn place(call: &Call, path: &str) -> Place {
    let found = call.place(path);
    if found.area != Area::Unresolved || path.starts_with('~') {
        return found;
    }
    let workspace = Some(call.setting.workspace.as_str());
    let named = call
        .setting
        .place(&path.replace(UNKNOWN, "x"), workspace)
        .area;
    let empty = call
        .setting
        .place(&path.replace(UNKNOWN, ""), workspace)
        .area;
    if named == Area::Build && !matches!(empty, Area::System | Area::Root | Area::WorkspaceRoot) {
        return Place {
            area: Area::Build,
            ..found
        };
    }
    found
}

/// The path with nothing left to resolve, or as it is written.
pub(super) fn whole(call: &Call, path: &str) -> String {
    let found = call.setting.absolute(path, call.cwd);
    found.unwrap_or_else(|| path.to_owned())
}

/// What is in a file, as far as its name or the action says.
pub(super) fn content(call: &Call, path: &str) -> Stream {
    let known = call.files.read(&whole(call, path));
    let mut found = known.unwrap_or_default();
    let place = call.place(path);
    let named = || Some(path.to_owned());
    match place.area {
        _ if found.taint.secret.is_some() => {}
        // Keys are in a home folder too.
        Area::HomeRoot | Area::Root => found.taint.secret = named(),
        _ if place.secret => found.taint.secret = named(),
        Area::Null => {}
        _ if found.taint == Taint::default() => found.taint.file = named(),
        _ => {}
    }
    found
}

/// The last part of a path.
pub(super) fn name(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a web server shows what is put there.
pub(super) fn is_web_root(path: &str) -> bool {
    let shown = [
        "www",
        "htdocs",
        "public_html",
        "public",
        "static",
        "wwwroot",
        "nginx/html",
    ];
    path.contains("/var/www") || shown.iter().any(|part| name_in(path, part))
}

fn name_in(path: &str, part: &str) -> bool {
    if part.contains('/') {
        return path.contains(part);
    }
    path.split('/').any(|name| name == part)
}

#[cfg(test)]
pub(super) mod tests;
