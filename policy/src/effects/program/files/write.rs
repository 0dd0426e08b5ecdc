// SPDX-License-Identifier: Apache-2.0
//! Writing: what creating or overwriting a file at a place comes to.

use super::super::super::place::{Area, Place};
use super::super::super::word::{Arg, UNKNOWN};
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::{Call, network};
use super::{name, place};

/// What creating or overwriting a file comes to (`> path`, `tee path`): nothing for `/dev/null`.
#[must_use]
pub fn write_to(place: Place, path: &str, append: bool) -> Option<Effect> {
    if let Some(connection) = network::dev_tcp(path) {
        return Some(connection);
    }
    if place.area == Area::Null {
        return None;
    }
    let (kind, harm, why) = weigh(place, path, append);
    let target = Target::Path(path.to_owned(), place);
    let rule = match kind {
        Kind::Persist => "files:write-startup",
        Kind::Obfuscate => "files:write-trace",
        Kind::TouchSecret => "files:write-secret",
        _ => "files:write",
    };
    Some(Effect::new(kind, harm, target, rule, why))
}

/// What putting `from` to the path `to` comes to: `to` may be the file or the folder it goes into.
pub(in super::super) fn placing(call: &Call, from: &str, to: &Arg) -> Option<Effect> {
    let there = place(call, &to.text);
    let inside = format!("{}/{}", to.text.trim_end_matches('/'), name(from));
    let within = place(call, &inside);
    let folder = matches!(
        there.area,
        Area::HomeRoot | Area::WorkspaceRoot | Area::Root | Area::Null
    );
    if folder && there.area != Area::Null {
        let mut effect = write_to(within, &inside, false)?;
        if there.area == Area::Root {
            effect.harm = effect.harm.max(Harm::High);
        }
        return Some(effect.at(to.span));
    }
    // A folder of start-up files is known by what would be in it.
    let any = format!("{}/x", to.text.trim_end_matches('/'));
    let folder = place(call, &any).startup || matches!(name(&to.text), ".ssh" | "fish");
    let effect = if folder && within.startup && !there.startup {
        write_to(within, &inside, false)
    } else {
        write_to(there, &to.text, false)
    };
    effect.map(|effect| effect.at(to.span))
}

type Weight = (Kind, Harm, &'static str);

fn weigh(place: Place, path: &str, append: bool) -> Weight {
    if is_history(path) {
        let harm = if append { Harm::Medium } else { Harm::High };
        return (
            Kind::Obfuscate,
            harm,
            "the record of typed commands would be lost",
        );
    }
    match place.area {
        Area::Temp | Area::Build => (Kind::Write, Harm::None, "a temporary file"),
        Area::Workspace => workspace(place, append),
        Area::WorkspaceRoot => (Kind::Write, Harm::Low, "a file of the workspace"),
        Area::Device => device(path),
        Area::Root | Area::HomeRoot => (Kind::Write, Harm::High, "it is no file but a whole tree"),
        _ if place.startup => (
            Kind::Persist,
            Harm::High,
            "what is written there runs later by itself, or lets somebody in",
        ),
        Area::System => system(path, append),
        Area::Vcs => (
            Kind::Write,
            Harm::Medium,
            "version control keeps its own files there",
        ),
        _ if place.secret && append => (Kind::TouchSecret, Harm::Medium, "secrets are kept there"),
        _ if place.secret => (Kind::TouchSecret, Harm::High, "secrets there would be lost"),
        Area::Outside => (
            Kind::Write,
            Harm::Medium,
            "it lies outside of the workspace",
        ),
        _ => (Kind::Write, Harm::Low, "a file"),
    }
}

fn workspace(place: Place, append: bool) -> Weight {
    if place.secret && !append {
        return (Kind::Write, Harm::Medium, "secrets are seldom kept twice");
    }
    (Kind::Write, Harm::Low, "a file of the workspace")
}

fn is_history(path: &str) -> bool {
    let name = name(path);
    name.starts_with('.') && name.ends_with("_history")
        || name == "fish_history"
        || matches!(
            path,
            "/var/log/wtmp" | "/var/log/btmp" | "/var/log/lastlog" | "/var/run/utmp"
        )
}

fn device(path: &str) -> Weight {
    if matches!(path, "/dev/mem" | "/dev/kmem" | "/dev/port") || is_disk(path) {
        return (
            Kind::Delete,
            Harm::Critical,
            "what is on the disk would be overwritten",
        );
    }
    (Kind::Write, Harm::Medium, "a device would receive it")
}

/// Whether a device is a disk or a part of one, as far as its name says.
pub(in super::super) fn is_disk(path: &str) -> bool {
    let Some(device) = path.strip_prefix("/dev/") else {
        return false;
    };
    let disks = [
        "sd", "hd", "vd", "xvd", "nvme", "mmcblk", "disk", "rdisk", "md", "dm-", "mapper/", "nbd",
        "zd", "zvol/", "bcache", "ram", "da", "ada", "nvd", "block/", "vg", "lvm", "fioa", "dasd",
        "rbd", "drbd", "pmem",
    ];
    device.starts_with(UNKNOWN)
        || device.contains('*')
        || disks.iter().any(|disk| device.starts_with(disk))
}

fn system(path: &str, append: bool) -> Weight {
    if path.starts_with("/proc/sysrq-trigger") || path.starts_with("/proc/sys/kernel/core_pattern")
    {
        return (
            Kind::Disrupt,
            Harm::Critical,
            "the kernel acts on it at once: it crashes, restarts or runs a program",
        );
    }
    if path.starts_with("/proc/self/") || path.starts_with("/run/user/") {
        return (
            Kind::Write,
            Harm::Low,
            "it concerns this process or session",
        );
    }
    if path.starts_with("/var/log") {
        return if append {
            (Kind::Write, Harm::Medium, "a log of the system")
        } else {
            (Kind::Obfuscate, Harm::High, "logs tell what happened")
        };
    }
    (Kind::Write, Harm::High, "the system or a service uses it")
}
