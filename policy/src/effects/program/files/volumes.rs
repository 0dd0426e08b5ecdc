// SPDX-License-Identifier: Apache-2.0
//! Volumes, pools and mounts: LVM, ZFS, btrfs, LUKS, RAID, `mount`, `swapoff`.

use super::super::super::place::Area;
use super::super::super::{Effect, Harm, Kind};
use super::super::system::rows::{self, Row, look, row, scan};
use super::super::{Call, Outcome};
use super::place;
use crate::list::is_any;
use Harm::{Critical, High, Low, Medium};
use Kind::{Delete, Disrupt, Execute, Read, TouchSecret, Write};

/// What it would do, or nothing when the command is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    match call.name {
        "mount" => Some(mount(call)),
        "umount" | "unmount" => Some(umount(call)),
        _ => table(call),
    }
}

const GONE: &str = "what is on the volume would be lost";

// A table reads best with one row a line.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    look("lvremove vgremove pvremove lvreduce vgreduce lvresize pvcreate vgcreate lvcreate", "-t|--test"),
    row("lvremove vgremove pvremove", "", Delete, Critical, GONE),
    row("lvreduce vgreduce pvmove lvconvert vgsplit vgmerge pvresize", "", Delete, High, GONE),
    row("lvresize lvextend vgextend", "-L|-l|--size|--extents", Write, High, "the volume would change its size"),
    row("pvcreate", "+", Delete, High, GONE),
    row("vgcreate lvcreate lvchange vgchange vgrename lvrename", "", Write, Medium, "volumes would change"),
    row("vgcfgrestore", "", Write, High, "the records of the volumes would be replaced"),
    look("zfs zpool", "list|get|status|history|iostat|diff|events|version|holds|userspace"),
    look("zfs", "destroy|rollback|receive|recv -n"),
    row("zfs", "destroy", Delete, Critical, "datasets or snapshots would be lost"),
    row("zfs", "rollback", Delete, High, "everything since the snapshot would be lost"),
    row("zfs", "receive|recv -F", Delete, High, "the dataset would be replaced"),
    row("zfs", "change-key|load-key|unload-key", TouchSecret, Medium, "keys of the dataset"),
    row("zfs", "rename|set|inherit|promote|unmount|umount|release|unshare", Write, Medium, "the dataset would change"),
    row("zfs", "send", Read, Low, "reads a dataset"),
    row("zpool", "destroy|labelclear", Delete, Critical, "the whole pool would be lost"),
    row("zpool", "create|replace|add|remove|detach|offline|split|attach|upgrade|initialize", Delete, High, "disks of the pool would change"),
    row("zpool", "export|import|clear|set|reguid", Disrupt, Medium, "the pool would come or go"),
    look("btrfs", "filesystem|fi|device|dev|subvolume|su|sub|scrub|inspect-internal|quota|qgroup|balance show|df|usage|list|stats|status|du|get-default|scan|sync"),
    row("btrfs", "subvolume|su|sub|subv delete|del", Delete, High, "the subvolume with all that is in it would be lost"),
    row("btrfs", "device|dev remove|delete|rem|del", Delete, High, "a disk would leave the file system"),
    row("btrfs", "replace", Delete, High, "a disk would be overwritten"),
    row("btrfs", "device|dev add", Delete, High, "what is on the new disk would be overwritten"),
    row("btrfs", "check --repair|--init-csum-tree|--init-extent-tree", Write, High, "a repair can make it worse"),
    row("btrfs", "rescue", Write, High, "the file system's own records would be changed"),
    row("btrfs", "filesystem|fi resize", Write, High, "the file system would change its size"),
    row("btrfs", "balance|filesystem|fi|property|quota|qgroup", Write, Medium, "the file system would change"),
    row("cryptsetup", "luksFormat|erase|luksErase|luksHeaderRestore|reencrypt|luksConvertKey", Delete, Critical, "without its header nothing on the disk can be read again"),
    row("cryptsetup", "luksKillSlot|luksRemoveKey|luksChangeKey|luksSuspend|convert", TouchSecret, High, "keys of the disk would change"),
    row("cryptsetup", "luksAddKey|luksHeaderBackup", TouchSecret, High, "keys of the disk would be given away"),
    row("cryptsetup", "luksDump --dump-master-key|--dump-volume-key", TouchSecret, High, "the disk's key would be printed"),
    look("cryptsetup", "luksDump|status|isLuks|luksUUID|benchmark"),
    row("cryptsetup", "", Disrupt, Medium, "an encrypted disk would be opened or closed"),
    look("mdadm", "-D|--detail|-E|--examine|-Q|--query|--monitor|-F|--follow"),
    row("mdadm", "--zero-superblock", Delete, Critical, "the array would no longer be found"),
    row("mdadm", "-C|--create|-B|--build|--grow|-G", Delete, High, "disks of the array would be overwritten"),
    row("mdadm", "-S|--stop|-f|--fail|-r|--remove|--set-faulty", Disrupt, High, "the array would lose a disk or stop"),
    row("mdadm", "-A|--assemble", Disrupt, Medium, "the array would start"),
    look("dmsetup", "ls|info|status|table|deps|targets|version"),
    row("dmsetup", "remove|remove_all|wipe_table|clear|suspend|reload|load", Disrupt, High, "a mapped disk would go"),
    row("multipath", "-F|-f|-w", Disrupt, High, "paths to disks would go"),
    row("iscsiadm", "-u|--logout|--op=delete", Disrupt, High, "disks of another machine would go"),
    row("losetup", "-D|--detach-all", Disrupt, Medium, "files would no longer be disks"),
    look("losetup", "-a|--all|-l|--list|-j"),
    row("losetup", "", Write, Low, "a file becomes a disk"),
    row("swapoff", "-a|--all", Disrupt, Medium, "memory could run out"),
    row("swapoff swapon quotaoff quotaon setquota", "", Disrupt, Medium, "memory or quotas for everybody would change"),
    row("edquota", "", Disrupt, Medium, "quotas would change"),
    look("quota repquota", ""),
    row("fusermount fusermount3", "-u", Disrupt, Low, "a mount would go"),
    row("eject", "", Disrupt, Low, "a disk would come out"),
    row("vgimportclone vgexport vgimport", "", Disrupt, High, "volumes would come or go"),
    row("gluster", "volume delete|stop|remove-brick|reset", Delete, High, GONE),
    row("rbd", "rm|remove|trash|flatten|resize|purge", Delete, High, GONE),
    row("ceph", "osd|fs|mon|pool rm|purge|destroy|delete|out|down", Delete, Critical, GONE),
    row("snapper", "delete|remove|rm|rollback|undochange", Delete, High, "snapshots or what came after them would be lost"),
    row("timeshift", "--delete|--delete-all|--restore", Delete, High, "snapshots or what came after them would be lost"),
    row("stratis", "pool|filesystem|fs destroy", Delete, Critical, GONE),
    row("udisksctl", "power-off|unmount|lock", Disrupt, Medium, "a disk would go"),
    row("veracrypt", "-c|--create|-C|--change", Delete, High, GONE),
    row("run-parts", "", Execute, Medium, "every script in a folder would run"),
];

const CRYPT: &[&str] = &[
    "--type",
    "-M",
    "-c",
    "--cipher",
    "-h",
    "--hash",
    "-s",
    "--key-size",
    "-d",
    "--key-file",
    "-S",
    "--key-slot",
    "-i",
    "--iter-time",
    "--label",
    "--header",
    "--header-backup-file",
    "--pbkdf",
];

fn table(call: &Call) -> Option<Outcome> {
    let valued = match call.name {
        "cryptsetup" => CRYPT,
        _ => &[
            "-L",
            "-l",
            "--size",
            "--extents",
            "-o",
            "-t",
            "--op",
            "-m",
            "-p",
        ],
    };
    // `zfs list -t snapshot` takes a value; LVM's `-t` is a test.
    let test = is_any(
        "lvremove vgremove pvremove lvreduce vgreduce lvresize pvcreate vgcreate lvcreate",
        call.name,
    );
    let valued: Vec<&str> = valued
        .iter()
        .copied()
        .filter(|name| !(test && *name == "-t"))
        .collect();
    rows::run(ROWS, call, &valued)
}

fn mount(call: &Call) -> Outcome {
    let options = scan(call, "-t --types -o --options -L -U -O --source --target");
    let mut outcome = Outcome::default();
    if super::only_looks(&options) || options.has_exactly(&["-l", "-h", "-V", "-f", "--fake"]) {
        return outcome;
    }
    let set = options.value(&["-o", "--options"]).unwrap_or_default();
    let remount = set.split(',').any(|option| option == "remount");
    let Some(arg) = options.operands.last().copied() else {
        if options.has(&["-a", "--all"]) {
            let target = super::super::super::Target::System("mounts".to_owned());
            let why = "everything in fstab would be mounted";
            outcome
                .effects
                .push(Effect::new(Disrupt, Medium, target, "mount:all", why));
        }
        return outcome;
    };
    let there = place(call, &arg.text);
    let from = options.operand(0).unwrap_or_default();
    let opens = options.operands.len() > 1
        && matches!(
            call.place(from).area,
            Area::Root | Area::Device | Area::HomeRoot
        );
    let (harm, why) = match there.area {
        Area::Root => (High, "how the whole machine is mounted would change"),
        Area::System | Area::HomeRoot => (High, "what is there would be hidden"),
        _ if remount && set.contains("rw") => (High, "what was read-only could be written"),
        _ if opens => (Medium, "what is on the disk could be changed"),
        _ => (Medium, "another tree would appear there"),
    };
    let harm = if from.starts_with("/dev/loop")
        || matches!(there.area, Area::Temp | Area::Build) && !opens
    {
        harm.min(Low)
    } else {
        harm
    };
    outcome.add(
        Effect::new(Disrupt, harm, call.path(&arg.text), "mount:mount", why),
        arg,
    );
    outcome
}

fn umount(call: &Call) -> Outcome {
    let options = scan(call, "-t --types -O -N");
    let mut outcome = Outcome::default();
    if super::only_looks(&options) || options.has_exactly(&["--fake"]) {
        return outcome;
    }
    if options.has(&["-a", "--all"]) {
        let target = super::super::super::Target::System("mounts".to_owned());
        let why = "everything would be unmounted";
        outcome
            .effects
            .push(Effect::new(Disrupt, High, target, "mount:unmount-all", why));
    }
    for arg in &options.operands {
        let harm = match place(call, &arg.text).area {
            Area::Root | Area::System | Area::HomeRoot => High,
            Area::Temp | Area::Build | Area::Workspace => Low,
            _ => Medium,
        };
        let why = "programs that use it would fail";
        outcome.add(
            Effect::new(Disrupt, harm, call.path(&arg.text), "mount:unmount", why),
            arg,
        );
    }
    outcome
}
