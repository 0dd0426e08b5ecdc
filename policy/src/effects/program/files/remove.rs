// SPDX-License-Identifier: Apache-2.0
//! Deleting: `rm`, `rmdir`, `shred`, `trash`.

use super::super::super::place::{Area, Place};
use super::super::super::word::Arg;
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::options::Options;
use super::super::system::rows::scan;
use super::super::{Call, Outcome};
use super::loss::{Manner, weigh};
use super::{name, only_looks, place, whole};

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
