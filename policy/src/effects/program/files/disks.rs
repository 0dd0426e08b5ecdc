// SPDX-License-Identifier: Apache-2.0
//! Disks as bytes: `dd`, `mkfs`, `wipefs`, partition tables, `hdparm`, `fsck`.

use super::super::super::place::Area;
use super::super::super::word::Arg;
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::options::Options;
use super::super::system::rows::{exactly, scan};
use super::super::{Call, Outcome};
use super::{Rule, content, is_disk, only_looks, place, whole, write_to};
use crate::list::is_any;

/// The command of this file that has the name.
pub(super) fn rule(name: &str) -> Option<Rule> {
    let rule: Rule = match name {
        "dd" | "dcfldd" | "dc3dd" | "ddrescue" => dd,
        "mkswap" | "newfs" | "mke2fs" | "mkdosfs" | "mkntfs" | "mkexfatfs" | "newfs_apfs"
        | "newfs_hfs" | "newfs_msdos" | "mkudffs" | "mkreiserfs" | "format" => mkfs,
        "wipefs" => wipefs,
        "fdisk" | "cfdisk" | "sfdisk" | "gdisk" | "cgdisk" | "sgdisk" | "parted" | "growpart"
        | "gparted" | "partx" => partitions,
        "hdparm" | "nvme" | "blkdiscard" | "badblocks" | "sg_format" | "sg_sanitize" | "fstrim"
        | "nwipe" | "zerofree" => erase,
        "fsck" | "e2fsck" | "xfs_repair" | "ntfsfix" | "tune2fs" | "resize2fs" | "debugfs"
        | "xfs_admin" | "xfs_growfs" | "e2label" | "dosfsck" | "reiserfsck" | "testdisk"
        | "photorec" | "xfs_db" | "e4defrag" | "e2image" => repair,
        _ if name.starts_with("mkfs") => mkfs,
        _ if name.starts_with("fsck.") => repair,
        _ => return None,
    };
    Some(rule)
}

/// An effect on a device, image or whatever the path is.
fn on(call: &Call, arg: &Arg, harms: (Harm, Harm), words: (&'static str, &'static str)) -> Effect {
    let (disk, file) = harms;
    let (rule, why) = words;
    let there = place(call, &arg.text);
    let loops = arg.text.starts_with("/dev/loop");
    let harm = match there.area {
        Area::Device if loops => disk.min(Harm::Medium),
        Area::Device if is_disk(&arg.text) => disk,
        Area::Device | Area::Root => disk,
        // A mount point or an unknown device.
        Area::Unresolved | Area::System | Area::HomeRoot => disk.min(Harm::High),
        Area::Null | Area::Temp | Area::Build => Harm::Low,
        // `UUID=…`, `disk2`, `C:`: names of disks that are no paths.
        Area::Workspace if !arg.text.contains(['.', '/']) || arg.text.contains('=') => {
            disk.min(Harm::High)
        }
        _ => file,
    };
    Effect::new(Kind::Delete, harm, call.path(&arg.text), rule, why)
}

const OVERWRITTEN: &str = "what is on the disk would be overwritten";

fn dd(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    let value = |key: &str| {
        let mut args = call.args.iter().rev();
        args.find_map(|arg| {
            arg.text
                .strip_prefix(key)
                .map(|value| (arg, value.to_owned()))
        })
    };
    let source = value("if=");
    let mut data = match &source {
        Some((_, path)) => content(call, path),
        None => call.stdin.clone(),
    };
    data.text = data.text.filter(|_| source.is_none());
    if let Some((arg, path)) = &source
        && is_disk(path)
    {
        let why = "a whole disk would be read, with all that is on it";
        let target = call.path(path);
        outcome.add(
            Effect::new(Kind::Read, Harm::Medium, target, "disk:read", why),
            arg,
        );
    }
    if let Some((arg, path)) = &source
        && call.place(path).secret
    {
        let system = call.place(path).area == Area::System;
        let harm = if system { Harm::High } else { Harm::Medium };
        let why = "secrets would be read";
        let rule = "secret:read";
        let effect = Effect::new(Kind::TouchSecret, harm, call.path(path), rule, why);
        outcome.add(effect, arg);
    }
    let to = match call.name {
        "ddrescue" => call
            .args
            .iter()
            .rev()
            .find(|arg| !arg.text.starts_with('-')),
        _ => None,
    };
    let to = value("of=").or_else(|| to.map(|arg| (arg, arg.text.clone())));
    let Some((arg, path)) = to else {
        outcome.stdout = data;
        return outcome;
    };
    if let Some(mut effect) = write_to(place(call, &path), &path, false) {
        if place(call, &path).area == Area::Device && is_disk(&path) {
            effect = effect
                .safer("name the device by its id in /dev/disk/by-id and look with lsblk first");
        }
        outcome.add(effect, arg);
    }
    outcome.writes.push((whole(call, &path), data));
    outcome
}

fn mkfs(call: &Call) -> Outcome {
    // `-c`, `-d`, `-f`, `-F`, `-n` and `-r` are flags in some and take a value in others: the device
    // is the first operand that is an absolute path, else the first.
    let valued = "-t --type -L -U -b -i -I -m -N -O -o -E -s -l -T -J -C -G -g --label --uuid";
    let options = scan(call, valued);
    let mut outcome = Outcome::default();
    let ext = call.name.contains("ext") || call.name == "mke2fs";
    let dry = (ext && options.has_exactly(&["-n"]))
        || (call.name.contains("xfs") && options.has_exactly(&["-N"]))
        || options.has_exactly(&["-V", "--dry-run", "--no-act"]);
    if only_looks(&options) || dry {
        return outcome;
    }
    let absolute = options
        .operands
        .iter()
        .find(|arg| arg.text.starts_with('/'));
    let Some(arg) = absolute.or(options.operands.first()) else {
        return outcome;
    };
    let words = ("disk:format", OVERWRITTEN);
    let effect = on(call, arg, (Harm::Critical, Harm::Low), words);
    outcome.add(effect.safer("look with lsblk -f what is on it first"), arg);
    outcome
}

fn wipefs(call: &Call) -> Outcome {
    let options = scan(call, "-o --offset -t --types -O --output");
    let mut outcome = Outcome::default();
    let writes = options.has(&["-a", "--all", "-o", "--offset"]);
    if !writes || options.has_exactly(&["-n", "--no-act"]) || only_looks(&options) {
        return outcome;
    }
    for arg in &options.operands {
        let words = ("disk:wipe", "what is on the disk would no longer be found");
        let effect = on(call, arg, (Harm::Critical, Harm::Low), words);
        outcome.add(
            effect.safer("wipefs -n lists what would go; --backup keeps it"),
            arg,
        );
    }
    outcome
}

fn partitions(call: &Call) -> Outcome {
    let options = scan(call, "-t -u -n -d -i -b --backup -o -a --align");
    let mut outcome = Outcome::default();
    if prints(call.name, &options) || only_looks(&options) {
        return outcome;
    }
    let mut operands = options.operands.iter();
    let device = operands.find(|arg| arg.text.starts_with('/'));
    if let Some(arg) = device.or(options.operands.first()) {
        let why = "the disk's table of partitions would change";
        let words = ("disk:partition", why);
        outcome.add(on(call, arg, (Harm::Critical, Harm::Low), words), arg);
    }
    outcome
}

/// Whether a table of partitions is only printed.
fn prints(program: &str, options: &Options) -> bool {
    match program {
        "sgdisk" => {
            let changes = "-Z --zap-all -z --zap -o --clear -d --delete -n --new -l --load-backup -t -g -G -R -s";
            exactly(options, "-p --print -i --info -v --verify -b --backup")
                && !exactly(options, changes)
        }
        "sfdisk" => exactly(
            options,
            "-l --list -d --dump -J --json -s --show-size -V --verify -n --no-act -F -T",
        ),
        "growpart" => exactly(options, "-N --dry-run"),
        "parted" => {
            let mut verbs = options.operands.iter().skip(1).map(|arg| arg.text.as_str());
            let looks = ["print", "p", "unit", "align-check", "help"];
            exactly(options, "-l --list")
                || verbs.next().is_some_and(|verb| looks.contains(&verb)) && !verbs.any(changes)
        }
        "partx" => !exactly(options, "-d --delete"),
        _ => exactly(options, "-l --list -s -x -v -V"),
    }
}

/// Whether a command of `parted` changes something.
fn changes(word: &str) -> bool {
    word.starts_with("mk")
        || matches!(
            word,
            "rm" | "resizepart" | "rescue" | "set" | "name" | "toggle" | "disk_set" | "type"
        )
}

/// Options of `hdparm` that write, by how they begin.
const HDPARM: &str = "--security --trim-sector --write-sector --make-bad --repair-sector --fwdownload \
    --dco-restore --sanitize -Np";

/// Commands of `nvme` that write.
const NVME: &str = "format sanitize delete-ns write-zeroes write dsm fw-download fw-commit create-ns \
    detach-ns security-send reset subsystem-reset";

fn erase(call: &Call) -> Outcome {
    let valued = "-b -c -n -s -o -l -p --security-erase --security-erase-enhanced --security-set-pass \
        --user-master --namespace-id --ses";
    let options = scan(call, valued);
    let mut outcome = Outcome::default();
    let acts = match call.name {
        "hdparm" => HDPARM.split_ascii_whitespace().any(|danger| {
            let mut given = options.options.iter();
            given.any(|(name, ..)| name.starts_with(danger))
        }),
        "nvme" => is_any(NVME, options.operand(0).unwrap_or_default()),
        "badblocks" => options.has(&["-w"]),
        "fstrim" => false,
        _ => !options.has_exactly(&["-h", "-V"]),
    };
    if !acts || only_looks(&options) {
        return outcome;
    }
    for arg in options.operands.iter().filter(|arg| arg.text.contains('/')) {
        let words = ("disk:erase", "what is on the disk would be erased for good");
        outcome.add(on(call, arg, (Harm::Critical, Harm::Medium), words), arg);
    }
    if outcome.effects.is_empty() && call.name == "nwipe" {
        let target = Target::System("disks".to_owned());
        let rule = "disk:erase";
        let effect = Effect::new(Kind::Delete, Harm::High, target, rule, OVERWRITTEN);
        outcome.effects.push(effect);
    }
    outcome
}

fn repair(call: &Call) -> Outcome {
    let options = scan(
        call,
        "-t -c -C -e -g -i -j -J -L -m -M -o -O -r -T -u -U -E -I -b -B -R",
    );
    let mut outcome = Outcome::default();
    let given = |names: &[&str]| options.has_exactly(names);
    let (looks, harm) = match call.name {
        "tune2fs" => (given(&["-l"]), Harm::High),
        "resize2fs" => (given(&["-P"]), Harm::High),
        "debugfs" | "xfs_db" => (!given(&["-w", "-x"]), Harm::High),
        "xfs_repair" => (given(&["-n"]), Harm::High),
        "xfs_admin" => (given(&["-l", "-u"]), Harm::Medium),
        "xfs_growfs" | "e2label" | "e4defrag" => (options.operands.len() < 2, Harm::Medium),
        "e2image" => (!given(&["-I"]), Harm::High),
        "ntfsfix" => (given(&["-n", "--no-action"]), Harm::High),
        "testdisk" | "photorec" => (given(&["/list"]), Harm::Medium),
        _ => (
            given(&["-n", "-N"]),
            if given(&["-y", "-f", "-a"]) {
                Harm::High
            } else {
                Harm::Medium
            },
        ),
    };
    if looks || only_looks(&options) {
        return outcome;
    }
    for arg in &options.operands {
        let words = (
            "disk:repair",
            "the file system's own records would be changed",
        );
        let mut effect = on(call, arg, (harm, Harm::Low), words);
        effect.kind = Kind::Write;
        outcome.add(effect, arg);
    }
    outcome
}
