// SPDX-License-Identifier: Apache-2.0
//! Rights of files: `chmod`, `chown`, `chattr`, `setfacl`, `setcap`.

use super::super::super::place::{Area, Place};
use super::super::super::word::Arg;
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::system::rows::scan;
use super::super::{Call, Outcome};
use super::{only_looks, place, whole};

/// The commands of this file.
pub(super) fn run(call: &Call) -> Outcome {
    match call.name.trim_start_matches('g') {
        "chmod" => chmod(call),
        "chown" | "chgrp" => chown(call),
        "setfacl" => setfacl(call),
        "setcap" => setcap(call),
        _ => attributes(call),
    }
}

/// What a mode gives or takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mode {
    /// Runs as the file's owner.
    setuid: bool,
    /// Runs as the file's group.
    setgid: bool,
    /// Anybody may write.
    all_write: bool,
    /// Somebody but the owner may read.
    others_read: bool,
    /// Nobody may do anything.
    nothing: bool,
    /// Known only when it runs.
    unknown: bool,
}

impl Mode {
    fn read(text: &str) -> Self {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::octal(text);
        }
        let mut mode = Self::default();
        for clause in text.split(',') {
            mode.clause(clause);
        }
        mode
    }

    fn octal(text: &str) -> Self {
        let mut digits = text.bytes().rev().map(|byte| byte.saturating_sub(b'0'));
        let mut next = || digits.next().unwrap_or(0);
        let (other, group, owner, special) = (next(), next(), next(), next());
        Self {
            setuid: special & 4 != 0,
            setgid: special & 2 != 0,
            all_write: other & 2 != 0,
            others_read: (other | group) & 4 != 0,
            nothing: other | group | owner == 0,
            unknown: false,
        }
    }

    /// `u+x`, `go=`, `+s`. Without a letter before the sign, `+w` obeys the umask and so gives
    /// others nothing, while `+s` is for owner and group.
    fn clause(&mut self, clause: &str) {
        let Some(at) = clause.find(['+', '-', '=']) else {
            self.unknown = true;
            return;
        };
        let (who, rest) = clause.split_at(at);
        let what = |letter: char| rest.contains(letter);
        let others = who.contains(['o', 'a']);
        if rest.starts_with('-') {
            let all = who.is_empty() || who.contains('a') || who.contains('u');
            self.nothing |= all && what('r') && (what('w') || what('x'));
            return;
        }
        let copies = rest.trim_start_matches(['+', '=']);
        self.setuid |= what('s') && (who.is_empty() || who.contains(['u', 'a']));
        self.setgid |= what('s') && who == "g";
        self.all_write |= others && (what('w') || copies == "u");
        self.others_read |= (others || who.contains('g')) && (what('r') || copies == "u");
        self.nothing |= copies.is_empty() && rest.starts_with('=') && who.contains(['a', 'u']);
    }
}

/// A mode for a file that is made.
pub(super) fn of_a_new_file(call: &Call, mode: &str) -> Option<Effect> {
    let read = Mode::read(mode);
    let file = Target::Program(call.name.to_owned());
    read.setuid.then(|| {
        Effect::new(
            Kind::Escalate,
            Harm::High,
            file,
            "files:setuid",
            "whoever runs it has the rights of its owner",
        )
    })
}

fn chmod(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    let mut recursive = false;
    let mut reference = false;
    let mut mode = None;
    let mut paths = Vec::new();
    let mut ended = false;
    for arg in call.args {
        match arg.text.as_str() {
            "--" if !ended => ended = true,
            "--help" | "--version" if !ended && mode.is_none() => return outcome,
            text if text.starts_with("--") && !ended => {
                recursive |= text.len() > 3 && "--recursive".starts_with(text);
                reference |= text.starts_with("--ref");
            }
            text if !ended && is_cluster(text) => recursive |= text.contains('R'),
            text if mode.is_none() && !reference => mode = Some(Mode::read(text)),
            _ => paths.push(arg),
        }
    }
    let mode = mode.unwrap_or_default();
    for arg in paths {
        let there = place(call, &arg.text);
        let (kind, harm, why) = weigh(mode, there, recursive, &whole(call, &arg.text));
        let target = Target::Path(arg.text.clone(), there);
        let effect = Effect::new(kind, harm, target, "files:chmod", why);
        let effect = if mode.all_write && harm >= Harm::Medium {
            effect.safer("give the rights to the owner or a group: chmod u+rwX or 755")
        } else {
            effect
        };
        outcome.add(effect, arg);
    }
    outcome
}

/// `-R`, `-fv`, but not the mode `-x`.
fn is_cluster(text: &str) -> bool {
    text.len() > 1
        && text.starts_with('-')
        && text
            .bytes()
            .skip(1)
            .all(|byte| b"RfvcHLPhEn".contains(&byte))
}

type Weight = (Kind, Harm, &'static str);

fn weigh(mode: Mode, place: Place, recursive: bool, path: &str) -> Weight {
    let broad = matches!(place.area, Area::Root | Area::HomeRoot);
    let passing = matches!(place.area, Area::Temp | Area::Build | Area::Null);
    if mode.setuid {
        let vital = place.area == Area::System || broad;
        let harm = if vital { Harm::Critical } else { Harm::High };
        let why = "whoever runs it has the rights of its owner";
        return (Kind::Escalate, harm, why);
    }
    if recursive && (broad || (place.area == Area::System && path.matches('/').count() <= 2)) {
        return (Kind::Escalate, Harm::Critical, DEPENDS);
    }
    if mode.all_write && !passing {
        let why = "anybody could change it, also what runs with more rights";
        return (Kind::Escalate, open_to_all(place, recursive), why);
    }
    if mode.nothing && !passing {
        let wide = recursive || broad || matches!(place.area, Area::System | Area::WorkspaceRoot);
        let harm = if wide { Harm::High } else { Harm::Medium };
        return (Kind::Disrupt, harm, "nobody could use it any longer");
    }
    if place.secret && mode.others_read {
        return exposes(place, recursive, path);
    }
    ordinary(mode, place, recursive, path)
}

const DEPENDS: &str = "the machine depends on the rights there";

/// Rights that are only as bad as their place.
fn ordinary(mode: Mode, place: Place, recursive: bool, path: &str) -> Weight {
    let (kind, harm, why) = match place.area {
        Area::System if recursive && served(path) => {
            let why = "a service depends on the rights there";
            (Kind::Write, Harm::Medium, why)
        }
        Area::System if recursive => (Kind::Escalate, Harm::High, DEPENDS),
        Area::Root => (Kind::Escalate, Harm::High, DEPENDS),
        Area::System | Area::HomeRoot => (Kind::Write, Harm::Medium, DEPENDS),
        Area::Home | Area::Outside if recursive => {
            let why = "files of a person outside of the workspace";
            (Kind::Write, Harm::Medium, why)
        }
        Area::Device => {
            let why = "who may use a device would change";
            (Kind::Escalate, Harm::Medium, why)
        }
        _ if mode.setgid => {
            let why = "who runs it has the rights of its group";
            (Kind::Escalate, Harm::Medium, why)
        }
        _ => (Kind::Write, Harm::None, "rights of a file"),
    };
    (kind, harm, why)
}

fn open_to_all(place: Place, recursive: bool) -> Harm {
    match place.area {
        Area::Root | Area::HomeRoot => Harm::Critical,
        Area::System | Area::Outside | Area::Vcs | Area::Device => Harm::High,
        _ if recursive || place.secret || place.startup => Harm::High,
        Area::Home | Area::WorkspaceRoot => Harm::High,
        _ => Harm::Medium,
    }
}

fn exposes(place: Place, recursive: bool, path: &str) -> Weight {
    let keys = path.contains("/id_") || path.ends_with(".key") || path.ends_with("shadow");
    let harm = match place.area {
        Area::System => Harm::High,
        Area::Workspace | Area::Build | Area::Temp => Harm::Low,
        _ if keys || recursive => Harm::High,
        _ => Harm::Medium,
    };
    (
        Kind::TouchSecret,
        harm,
        "others on the machine could read secrets",
    )
}

/// What is served or installed there belongs to one application, not to the system.
fn served(path: &str) -> bool {
    ["/var/www/", "/srv/", "/opt/", "/usr/local/"]
        .iter()
        .any(|folder| path.starts_with(folder))
}

fn chown(call: &Call) -> Outcome {
    let options = scan(call, "--from --reference");
    let mut outcome = Outcome::default();
    if only_looks(&options) {
        return outcome;
    }
    let recursive = options.has(&["-R", "--recursive"]);
    let by_reference = options.value(&["--reference"]).is_some();
    for arg in options.operands.iter().skip(usize::from(!by_reference)) {
        let there = place(call, &arg.text);
        let (harm, why) = owner(there, &whole(call, &arg.text), recursive);
        let target = Target::Path(arg.text.clone(), there);
        let effect = Effect::new(Kind::Escalate, harm, target, "files:chown", why);
        outcome.add(effect, arg);
    }
    outcome
}

fn owner(place: Place, path: &str, recursive: bool) -> (Harm, &'static str) {
    let system = "the system depends on who owns it";
    match place.area {
        Area::Root if recursive => (Harm::Critical, system),
        Area::System if recursive && path.matches('/').count() <= 2 => (Harm::Critical, system),
        Area::System if recursive && served(path) => {
            (Harm::Medium, "a service depends on who owns it")
        }
        Area::System if recursive => (Harm::High, system),
        Area::Root | Area::System if place.secret || place.startup => (Harm::Critical, system),
        Area::System if path.starts_with("/etc") || path.starts_with("/run") => {
            (Harm::High, system)
        }
        Area::Root => (Harm::High, system),
        Area::System => (Harm::Medium, system),
        Area::HomeRoot if recursive => (Harm::High, "everything of a person would change hands"),
        Area::Device => (Harm::High, "who may use a device would change"),
        _ if place.secret && place.area == Area::Home => {
            (Harm::Medium, "who may read secrets would change")
        }
        Area::Home | Area::HomeRoot | Area::Outside => {
            (Harm::Medium, "it lies outside of the workspace")
        }
        Area::Unresolved if recursive => (Harm::Medium, "known only when it runs"),
        _ => (Harm::Low, "owner of a file"),
    }
}

/// `chattr +i`, `chflags schg`: the first operand that is no path says what.
fn attributes(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    let is_option = |arg: &&Arg| !matches!(arg.text.as_str(), "-R" | "-f" | "-V" | "-v" | "-h");
    let recursive = call.args.iter().any(|arg| arg.text == "-R");
    let mut words = call.args.iter().filter(is_option);
    let Some(what) = words.next() else {
        return outcome;
    };
    let protects = what.text.contains(['i', 'a']) || what.text.contains("chg");
    for arg in words {
        let there = place(call, &arg.text);
        let vital = matches!(
            there.area,
            Area::System | Area::Root | Area::HomeRoot | Area::Device
        );
        let harm = match (vital || there.startup || there.secret, protects) {
            (true, true) => Harm::High,
            (true, false) => Harm::Medium,
            (false, _) if recursive => Harm::Medium,
            (false, _) => Harm::Low,
        };
        let why = "nobody could change it, or what was protected no longer is";
        let target = Target::Path(arg.text.clone(), there);
        let effect = Effect::new(Kind::Persist, harm, target, "files:attributes", why);
        outcome.add(effect, arg);
    }
    outcome
}

fn setfacl(call: &Call) -> Outcome {
    let valued = "-m --modify -x --remove -M -X --set -s --modify-file --remove-file --set-file \
        --restore";
    let options = scan(call, valued);
    let mut outcome = Outcome::default();
    if only_looks(&options) || options.has_exactly(&["--test"]) {
        return outcome;
    }
    let recursive = options.has(&["-R", "--recursive"]);
    let gives = options
        .values(&["-m", "--modify", "--set", "-s"])
        .any(|acl| {
            let mut entries = acl.split(',');
            entries.any(|entry| {
                entry
                    .rsplit(':')
                    .next()
                    .is_some_and(|perm| perm.contains('w'))
            })
        });
    for arg in &options.operands {
        let there = place(call, &arg.text);
        let vital = matches!(
            there.area,
            Area::System | Area::Root | Area::HomeRoot | Area::Device
        ) || (there.secret && there.area != Area::Workspace);
        let harm = match (vital, gives || recursive) {
            (true, true) => Harm::High,
            (true, false) => Harm::Medium,
            (false, true) if recursive => Harm::Medium,
            _ => Harm::Low,
        };
        let why = "others could read or change it";
        let target = Target::Path(arg.text.clone(), there);
        let effect = Effect::new(Kind::Escalate, harm, target, "files:acl", why);
        outcome.add(effect, arg);
    }
    outcome
}

/// Capabilities that give little away.
const LITTLE: &[&str] = &[
    "cap_net_bind_service",
    "cap_net_raw",
    "cap_net_admin",
    "cap_ipc_lock",
    "cap_sys_nice",
    "cap_perfmon",
    "cap_net_broadcast",
    "cap_sys_time",
    "cap_wake_alarm",
    "cap_syslog",
];

fn setcap(call: &Call) -> Outcome {
    let options = scan(call, "-n");
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-v", "-h"]) {
        return outcome;
    }
    let removes = options.has(&["-r"]);
    for pair in options.operands.chunks(if removes { 1 } else { 2 }) {
        let Some(file) = pair.last() else {
            continue;
        };
        let given = pair.first().map_or("", |arg| arg.text.as_str());
        let given = given.to_ascii_lowercase();
        let names = given.split(['=', '+', '-']).next().unwrap_or_default();
        let little = !names.is_empty() && names.split(',').all(|name| LITTLE.contains(&name));
        let harm = if removes || little {
            Harm::Medium
        } else {
            Harm::High
        };
        let why = "whoever runs it has rights of the administrator";
        let effect = Effect::new(
            Kind::Escalate,
            harm,
            call.path(&file.text),
            "files:setcap",
            why,
        );
        outcome.add(effect, file);
    }
    outcome
}
