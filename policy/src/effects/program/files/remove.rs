// SPDX-License-Identifier: Apache-2.0
//! Deleting: `rm`, `rmdir`, `shred`, `trash`.

use super::super::super::place::{Area, Place};
use super::super::super::word::{Arg, UNKNOWN};
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::options::Options;
use super::super::system::rows::scan;
use super::super::{Call, Outcome};
use super::{name, only_looks, place, whole};
use crate::list::is_any;

/// How something is deleted.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Manner {
    /// With all that is in it.
    pub(in super::super) recursive: bool,
    /// Overwritten, so that nothing brings it back.
    pub(in super::super) for_good: bool,
}

/// The commands of this file.
pub(super) fn run(call: &Call) -> Outcome {
    match call.name {
        "trash" | "trash-put" | "trash-empty" | "gio" => trash(call),
        "rmdir" | "rd" => folders(call),
        "del" | "erase" => windows(call),
        "bleachbit" => whole_machine(call),
        _ => files(call),
    }
}

fn files(call: &Call) -> Outcome {
    let options = scan(call, valued(call.name));
    let mut outcome = Outcome::default();
    if only_looks(&options) {
        return outcome;
    }
    let erases = matches!(call.name, "shred" | "srm" | "wipe" | "scrub" | "gshred");
    let manner = Manner {
        // GNU takes any unambiguous beginning of `--recursive`, and it is the only one with an r.
        recursive: options.has(&["-r", "-R", "--recursive"])
            || options.options.iter().any(|(name, ..)| is_recursive(name))
            || matches!(call.name, "wipe" | "rimraf"),
        for_good: erases,
    };
    let many = options.operands.len() > 3;
    let asks = asks_first(&options);
    for arg in &options.operands {
        let Some(mut effect) = deleting(call, arg, manner) else {
            continue;
        };
        if many && effect.harm == Harm::Low && place(call, &arg.text).area == Area::Workspace {
            effect.harm = Harm::Medium;
        }
        if asks {
            // Nobody answers for an agent, and then nothing is deleted.
            effect.harm = effect.harm.min(Harm::Medium);
        }
        outcome.add(effect, arg);
    }
    outcome
}

fn is_recursive(name: &str) -> bool {
    name.len() > 2 && "--recursive".starts_with(name)
}

/// Whether it asks before each file: the last of `-i` and `-f` counts.
fn asks_first(options: &Options) -> bool {
    let last = options
        .options
        .iter()
        .rev()
        .find_map(|(name, ..)| match name.as_str() {
            "-f" | "--force" => Some(false),
            "-i" | "-I" | "--interactive" => Some(true),
            _ => None,
        });
    last.unwrap_or(false)
}

fn valued(name: &str) -> &'static str {
    match name {
        "shred" | "gshred" => "-n --iterations -s --size --random-source",
        "wipe" => "-Q -q -P -l -o -X -b",
        "scrub" => "-p --pattern -b -s -X",
        _ => "",
    }
}

/// What deleting a path comes to.
pub(in super::super) fn deleting(call: &Call, arg: &Arg, manner: Manner) -> Option<Effect> {
    let path = arg.text.as_str();
    if path.is_empty() {
        return None;
    }
    let place = place(call, path);
    let (harm, why) = if made_elsewhere(call, path, place) {
        (Harm::Medium, "by its name it can be made again")
    } else {
        weigh(place, &whole(call, path), manner, arg.glob)
    };
    let erased = manner.for_good && !matches!(place.area, Area::Temp | Area::Build | Area::Null);
    let harm = match (erased, place.area) {
        (true, Area::Device) => Harm::Critical,
        (true, _) => harm.max(Harm::High),
        _ => harm,
    };
    let target = Target::Path(path.to_owned(), place);
    let rule = if manner.recursive {
        "files:delete-recursive"
    } else {
        "files:delete"
    };
    let effect = Effect::new(Kind::Delete, harm, target, rule, why);
    Some(match place.area {
        Area::Workspace | Area::WorkspaceRoot if harm >= Harm::High => {
            effect.safer("commit or stash the work first, or move it to the trash")
        }
        Area::Unresolved if harm >= Harm::High => {
            effect.safer("write \"${DIR:?}\" so that an empty name stops the command")
        }
        _ => effect,
    })
}

/// Whether it is what a build leaves behind in another project: `~/app/node_modules`.
fn made_elsewhere(call: &Call, path: &str, place: Place) -> bool {
    let last = name(path);
    let deep = whole(call, path).matches('/').count() >= 4;
    let alike = format!("{}/{last}", call.setting.workspace);
    matches!(place.area, Area::Home | Area::Outside)
        && (deep || last == "node_modules")
        && !matches!(last, "bin" | "logs" | "out" | "tmp" | "Debug" | "Release")
        && !last.contains('*')
        && call.place(&alike).area == Area::Build
        || whole(call, path).contains("/Library/Caches/")
}

fn weigh(place: Place, path: &str, manner: Manner, glob: bool) -> (Harm, &'static str) {
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

fn trash(call: &Call) -> Outcome {
    let options = scan(call, "");
    let mut outcome = Outcome::default();
    let mut operands = options.operands.as_slice();
    if call.name == "gio" {
        match operands.split_first() {
            Some((verb, rest)) if matches!(verb.text.as_str(), "trash" | "remove") => {
                operands = rest;
            }
            _ => return outcome,
        }
    }
    if call.name == "trash-empty" || options.has(&["--empty"]) {
        let place = Target::System("trash".to_owned());
        outcome.effects.push(Effect::new(
            Kind::Delete,
            Harm::High,
            place,
            "files:empty-trash",
            "what is in the trash cannot be brought back",
        ));
        return outcome;
    }
    let gone = options.operand(0) == Some("remove");
    for arg in operands {
        let manner = Manner {
            recursive: true,
            for_good: false,
        };
        let Some(mut effect) = deleting(call, arg, manner) else {
            continue;
        };
        let area = place(call, &arg.text).area;
        let vital = matches!(area, Area::Root | Area::HomeRoot | Area::System);
        if !gone && !vital {
            effect.harm = effect.harm.min(Harm::Medium);
        }
        outcome.add(effect, arg);
    }
    outcome
}

/// `rmdir` takes empty folders only, but for Windows' `/s`.
fn folders(call: &Call) -> Outcome {
    let is_all = |arg: &Arg| matches!(arg.text.as_str(), "/s" | "/S" | "//s" | "//S");
    if call.args.iter().any(is_all) {
        return windows(call);
    }
    let options = scan(call, "");
    let mut outcome = Outcome::default();
    for arg in &options.operands {
        let target = call.path(&arg.text);
        let why = "an empty folder";
        let harm = match call.place(&arg.text).area {
            Area::System | Area::Root => Harm::Medium,
            _ => Harm::Low,
        };
        let effect = Effect::new(Kind::Delete, harm, target, "files:delete-empty", why);
        outcome.add(effect, arg);
    }
    outcome
}

/// `del /s /q`, `rd /s`: switches begin with a slash.
fn windows(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    let is_switch = |arg: &Arg| arg.text.starts_with('/') && arg.text.len() <= 3;
    let all = call
        .args
        .iter()
        .any(|arg| is_switch(arg) && arg.text.trim_start_matches('/').eq_ignore_ascii_case("s"));
    for arg in call.args.iter().filter(|arg| !is_switch(arg)) {
        let mut bytes = arg.text.bytes();
        let drive = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
            && bytes.next() == Some(b':');
        let manner = Manner {
            recursive: all,
            for_good: false,
        };
        if let Some(mut effect) = deleting(call, arg, manner) {
            if drive && all {
                effect.harm = effect.harm.max(Harm::High);
            }
            outcome.add(effect, arg);
        }
    }
    outcome
}

fn whole_machine(call: &Call) -> Outcome {
    let options = scan(call, "");
    let mut outcome = Outcome::default();
    if options.has(&["-c", "--clean", "-s", "--shred", "-w", "--wipe-free-space"]) {
        outcome.effects.push(Effect::new(
            Kind::Delete,
            Harm::High,
            Target::System("traces and caches".to_owned()),
            "files:clean-machine",
            "history, logs and caches of every program would be lost",
        ));
    }
    outcome
}
