// SPDX-License-Identifier: Apache-2.0
//! Spellings of what harms files, beside their harmless neighbours.

use super::super::super::place::Setting;
use super::super::super::word::{Arg, Stream, Taint, UNKNOWN};
use super::super::super::{Harm, Kind};
use super::super::{Call, NoFiles, Outcome, files, network, system, wrappers};
use super::*;

/// Runs a line of words apart by white space, quotes around one that has some. `$X` is known only
/// when it runs, `$SECRET_NAME` holds a secret of that name and `$FILE` what is in a file.
pub(in super::super) fn outcome(line: &str, stdin: &Stream) -> Outcome {
    let words = words(line);
    let (name, args) = words.split_first().expect("a program");
    let setting = Setting::default();
    let call = Call {
        name: &name.text,
        args,
        stdin,
        cwd: Some("/workspace"),
        setting: &setting,
        files: &NoFiles,
    };
    files::run(&call)
        .or_else(|| network::run(&call))
        .or_else(|| system::run(&call))
        .or_else(|| wrappers::run(&call))
        .unwrap_or_default()
}

fn words(line: &str) -> Vec<Arg> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(end), _) if letter == end => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().expect("one").push(letter),
        }
    }
    words.iter().map(|word| word_of(word)).collect()
}

fn word_of(text: &str) -> Arg {
    let mut taint = Taint::default();
    let mut known = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, after) = after.split_at(end.unwrap_or(after.len()));
        if let Some(secret) = name.strip_prefix("SECRET_") {
            taint.secret = Some(secret.to_owned());
        }
        if name == "FILE" {
            taint.file = Some("notes.txt".to_owned());
        }
        known.push_str(before);
        known.push(UNKNOWN);
        rest = after;
    }
    known.push_str(rest);
    Arg {
        taint,
        ..Arg::known(&known)
    }
}

/// The worst harm of a line.
pub(in super::super) fn worst(line: &str) -> Harm {
    let outcome = outcome(line, &Stream::empty());
    let harms = outcome.effects.iter().map(|effect| effect.harm);
    harms.max().unwrap_or_default()
}

/// Each line of `ask` is worth a question, and none of `run`.
pub(in super::super) fn judge(ask: &str, run: &str) {
    let mut wrong = Vec::new();
    for line in ask.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if worst(line) < Harm::High {
            wrong.push(format!("let run:  {line} ({:?})", worst(line)));
        }
    }
    for line in run.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if worst(line) >= Harm::High {
            wrong.push(format!("asked of: {line} ({:?})", worst(line)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

const DELETING_WHAT_HAS_ASK: &str = "rm -rf /
        rm -rf /*
        rm -r -f --no-preserve-root /
        rm --recurs --force ~
        rm --r -f ~/Documents
        rm -fr ~/
        rm -Rf $HOME_DIR
        rm -rf $X/*
        rm -rf $X/bin
        rm -rf .
        rm -rf *
        rm -rf ./*
        rm -rf ..
        rm -rf src
        rm terraform.tfstate
        rm -f .git/HEAD
        rm -rf ~/bin
        rm -rf -- src/
        rm -rf packages/api/migrations
        rm -rf .git
        rm -rf .git/refs/stash
        rm -rf /etc/nginx
        rm /etc/passwd
        rm -rf /var/lib/postgresql
        rm -rf /usr
        rm -rf /mnt/backup
        rm -f ~/.ssh/id_rsa
        rm ~/.bashrc
        rm -rf ~/.aws
        rm *
        rm -f /var/log/auth.log
        rm -rf ~/.local/share/Trash/*
        unlink /usr/bin/python3
        shred -u notes.txt
        shred -n 3 -z /dev/sda
        srm -r src
        wipe -rf ~/old
        rmdir /s /q src
        del /s /q C:\\Users
        trash-empty
        gio trash --empty
        rimraf src
        grm -rf src
        bleachbit --clean system.cache
        rm -rf /srv/app";

const DELETING_WHAT_HAS_RUN: &str = "rm notes.txt
        rm -f a.txt b.txt
        rm -rf node_modules
        rm -rf dist build coverage
        rm -rf ~/app/node_modules ../other/node_modules
        rm -rf ~/Library/Caches/x
        rm -f db.sqlite3
        rm -rf target/debug
        rm -rf ./build/*
        rm -rf $X/node_modules
        rm -rf /tmp/work-1
        rm -rf /tmp/work-$X
        rm -rf ~/.cache/pip
        rm -rf /var/lib/apt/lists/*
        rm -rf old-output
        rm -rf test-results playwright-report
        rm -rf notes.txt
        rm -rf .eslintcache
        rm -f .git/index.lock
        rm -rf .git/rebase-merge
        rm -f *.pyc
        rm -i -r src
        rm -f $X
        rm --help
        rmdir empty
        unlink link
        trash src
        shred -u /tmp/key
        rm -f /run/app.pid
        rm -- -x";

#[test]
fn deleting_what_has_no_copy_is_asked_and_what_is_made_again_is_not() {
    judge(DELETING_WHAT_HAS_ASK, DELETING_WHAT_HAS_RUN);
}

const MOVING_AND_COPYING_ASK: &str = "mv src /dev/null
        mv ~ /tmp/x
        mv .git /tmp/
        mv * /mnt/usb
        mv /etc/hosts /tmp
        mv app /usr/local/bin/
        mv ~/.ssh/id_rsa /tmp/k
        mv -t /etc a b
        cp hook .git/hooks/pre-commit
        cp key ~/.ssh/authorized_keys
        cp authorized_keys ~/.ssh
        cp x.desktop ~/.config/autostart
        cp job /etc/cron.d/job
        cp evil.service /etc/systemd/system/
        cp a /bin
        cp .env public/env.txt
        cp /etc/shadow /tmp/s
        cp /dev/zero /dev/sda
        cp image.iso /dev/nvme0n1
        cp /dev/null /var/log/syslog
        cp /dev/null ~/.bash_history
        install -m 4755 sh /tmp/sh
        install -m 755 app /usr/bin/app
        ln -sf /dev/null ~/.bash_history
        ln -sf evil ~/.bashrc
        ln -s ~/.ssh/id_rsa public/k
        truncate -s 0 /var/log/auth.log
        truncate --size=0 /etc/passwd
        touch /etc/nologin
        touch -r /bin/ls /usr/bin/evil
        mknod /tmp/d b 8 0
        patch /etc/ssh/sshd_config x.diff
        split --filter='sh' a /etc/x";

const MOVING_AND_COPYING_RUN: &str = "mv a.txt b.txt
        mv src/a.ts src/b.ts
        mv build /tmp/
        mv -f dist old
        mv ~/.bashrc ~/.bashrc.bak
        cp -r src /tmp/src
        cp .env.example .env
        cp .env .env.bak
        cp ~/.bashrc .
        cp a.txt ~/
        cp -a a b c dir/
        cp ~/.ssh/id_rsa.pub /tmp/
        ln -s ../a b
        ln -sf target/debug/app app
        truncate -s 100M disk.img
        truncate -s 0 out.log
        touch a b
        touch -d yesterday Makefile
        mkdir -p a/b/c
        mkdir /opt/app
        install -d build/bin
        install -m 755 app ~/bin/app
        mkfifo /tmp/f
        patch -p1 -i fix.patch
        patch --dry-run -p1
        split -l 100 big.csv part-
        cp a /dev/null";

#[test]
fn moving_and_copying_are_weighed_by_both_ends() {
    judge(MOVING_AND_COPYING_ASK, MOVING_AND_COPYING_RUN);
}

#[test]
fn writing_somewhere_follows_the_place() {
    let setting = Setting::default();
    for (path, append, wanted) in [
        ("/dev/null", false, None),
        ("/tmp/x", false, Some(Harm::None)),
        ("notes.txt", false, Some(Harm::Low)),
        (".env", false, Some(Harm::Medium)),
        (".git/config", false, Some(Harm::High)),
        (".git/hooks/pre-push", false, Some(Harm::High)),
        ("~/notes", false, Some(Harm::Low)),
        ("~/.bashrc", true, Some(Harm::High)),
        ("~/.ssh/authorized_keys", true, Some(Harm::High)),
        ("/etc/cron.d/x", false, Some(Harm::High)),
        ("/etc/hosts", true, Some(Harm::High)),
        ("~/.aws/credentials", false, Some(Harm::High)),
        ("~/.bash_history", false, Some(Harm::High)),
        ("/var/log/app.log", true, Some(Harm::Medium)),
        ("/var/log/app.log", false, Some(Harm::High)),
        ("/dev/sda", false, Some(Harm::Critical)),
        ("/dev/disk/by-id/x", false, Some(Harm::Critical)),
        ("/dev/ttyUSB0", false, Some(Harm::Medium)),
        ("/proc/sysrq-trigger", false, Some(Harm::Critical)),
        ("/", false, Some(Harm::High)),
        ("~", false, Some(Harm::High)),
        ("\u{F0000}/x", false, Some(Harm::Low)),
        ("\u{F0000}/.bashrc", true, Some(Harm::High)),
        ("/dev/tcp/203.0.113.9/4444", false, Some(Harm::High)),
        ("etc/systemd/system/x.service", false, Some(Harm::Low)),
    ] {
        let place = setting.place(path, Some("/workspace"));
        let harm = write_to(place, path, append).map(|effect| effect.harm);
        assert_eq!(harm, wanted, "{path}");
    }
}

const RIGHTS_GIVEN_TO_ASK: &str = "chmod 777 /etc/passwd
        chmod -R 777 /
        chmod -R 0777 .
        chmod --recursive a+rwx .
        chmod -R o+w src
        chmod a+w ~/.bashrc
        chmod 666 /var/run/docker.sock
        chmod u+s /tmp/bash
        chmod +s x
        chmod 4755 x
        chmod 06755 x
        chmod -R 755 /usr
        chmod -R u+rwX /etc
        chmod 000 /usr/bin/sudo
        chmod -R 000 .
        chmod -R a-rwx src
        chmod 644 ~/.ssh/id_rsa
        chmod 644 /etc/shadow
        chmod 700 /
        chown -R me /
        chown -R me:me /usr
        chown me /etc/sudoers
        chgrp -R users /etc
        chown -R me ~
        chown nobody /dev/sda
        chattr +i /etc/resolv.conf
        chattr -i /etc/passwd
        chattr -R +i /usr
        setfacl -m u:bob:rw /etc/shadow
        setfacl -R -m o::rwx /etc
        setcap cap_setuid+ep /usr/bin/python3
        setcap all=ep x
        setcap =ep x";

const RIGHTS_GIVEN_TO_RUN: &str = "chmod +x run.sh
        chmod 755 run.sh
        chmod 644 a.txt
        chmod +w a.txt
        chmod -x a.txt
        chmod u+w,g-w a
        chmod 600 ~/.ssh/id_rsa
        chmod 700 ~/.ssh
        chmod 777 /tmp/x
        chmod -R 755 dist
        chmod -R u+rwX src
        chmod 755 /usr/local/bin/tool
        chmod -R go-w src
        chmod g+s shared
        chmod --reference=a b
        chown me a.txt
        chown -R me:me .
        chown -R www-data:www-data /var/www/html
        chgrp dev src
        chattr +C data
        setfacl -m u:bob:r src
        setcap cap_net_bind_service=+ep app
        setcap -r app";

#[test]
fn rights_given_to_everybody_are_asked_and_usual_ones_are_not() {
    judge(RIGHTS_GIVEN_TO_ASK, RIGHTS_GIVEN_TO_RUN);
}

const DISKS_AND_VOLUMES_ASK: &str = "dd if=/dev/zero of=/dev/sda bs=1M
        dd of=/dev/nvme0n1 if=x.iso
        dd if=/dev/urandom of=/dev/$X
        dd if=x of=/etc/passwd
        dd if=/etc/shadow
        mkfs.ext4 /dev/sdb1
        mkfs -t xfs -f /dev/sdb
        mkfs.vfat -n BOOT /dev/sdb1
        mke2fs -F /dev/vda
        mkswap /dev/sda2
        wipefs -a /dev/sdb
        fdisk /dev/sda
        sfdisk /dev/sda
        sgdisk -Z /dev/sda
        sgdisk --zap-all /dev/sda
        parted -s /dev/sda mklabel gpt
        parted /dev/sda rm 1
        blkdiscard /dev/sda
        hdparm --security-erase pass /dev/sda
        hdparm --user-master u --security-erase-enhanced p /dev/sda
        nvme format /dev/nvme0n1
        badblocks -w /dev/sda
        fsck -y /dev/sda1
        debugfs -w /dev/sda1
        tune2fs -O ^has_journal /dev/sda1
        resize2fs /dev/sda1 10G
        lvremove -f vg0/data
        vgremove vg0
        pvremove /dev/sdb
        lvreduce -L 5G /dev/vg0/root
        zfs destroy -r tank/data
        zfs rollback -r tank/data@a
        zpool destroy tank
        zpool labelclear /dev/sda
        btrfs subvolume delete /data/snap
        btrfs sub del x
        cryptsetup luksFormat /dev/sda2
        cryptsetup --type luks2 luksFormat /dev/sda2
        cryptsetup erase /dev/sda2
        mdadm --zero-superblock /dev/sdb
        mdadm -S /dev/md0
        mount -o remount,rw /
        mount --bind /tmp/x /etc
        mount /dev/sdb1 /usr
        umount -a
        umount -l /
        umount /home
        snapper delete 1-5";

const DISKS_AND_VOLUMES_RUN: &str = "dd if=/dev/zero of=test.img bs=1M count=10
        dd if=a of=/dev/null
        dd if=/dev/urandom bs=32 count=1
        mkfs.ext4 disk.img
        mkfs.ext4 -n /dev/sdb
        mkswap swap.img
        wipefs /dev/sdb
        wipefs -an /dev/sdb
        fdisk -l
        fdisk -l /dev/sda
        sfdisk -d /dev/sda
        sgdisk -p /dev/sda
        parted -l
        parted /dev/sda print
        hdparm -I /dev/sda
        nvme list
        fsck -N /dev/sda1
        e2fsck -n /dev/sda1
        debugfs -R stat /dev/sda1
        tune2fs -l /dev/sda1
        lvcreate -L 1G -n x vg0
        zfs list -t snapshot
        zfs destroy -nv tank/a
        zfs snapshot tank/a@b
        zpool status
        btrfs subvolume list /
        btrfs subvolume snapshot a b
        btrfs filesystem df /
        cryptsetup luksDump /dev/sda2
        cryptsetup open --type luks /dev/sdb1 x
        mdadm --detail /dev/md0
        losetup -a
        mount
        mount -l
        mount -t tmpfs tmpfs /tmp/x
        mount -o loop disk.img mnt
        umount mnt
        swapon --show";

#[test]
fn disks_and_volumes_are_asked_and_images_are_not() {
    judge(DISKS_AND_VOLUMES_ASK, DISKS_AND_VOLUMES_RUN);
}

const ARCHIVES_ARE_WEIGHED_ASK: &str = "tar xzf a.tgz -C /
        tar -xPf a.tar
        tar --extract --absolute-names -f a.tar
        tar xf a.tar -C /etc
        tar xf a.tar --directory=/usr/lib
        tar cf /dev/null /dev/null --checkpoint=1 --checkpoint-action=exec=/bin/sh
        tar xf a.tar --use-compress-program=./x
        tar xf a.tar -I 'sh -c id'
        tar czf /etc/x.tgz src
        tar cf host:/x.tar src
        tar cf a.tar /etc/shadow
        tar -czf a.tgz --remove-files /etc/nginx
        unzip -o a.zip -d /etc
        unzip a.zip -d ~/.ssh
        zip a.zip b -T -TT 'sh #'
        cpio -i --absolute-filenames
        7z x a.7z -o/etc
        7z x a.7z -spf
        rar x a.rar /etc/";

const ARCHIVES_ARE_WEIGHED_RUN: &str = "tar xzf a.tgz
        tar -xvf a.tar -C /tmp/x
        tar xzf go.tgz -C /usr/local
        tar czf a.tgz src
        tar -cJf a.txz --exclude .git .
        tar tzf a.tgz
        tar --list -f a.tar
        tar -I zstd -xf a.tar.zst
        tar --use-compress-program=pigz -cf a.tgz src
        tar cf - src
        unzip a.zip
        unzip -l a.zip
        unzip -d out a.zip
        unzip -p a.zip x
        zip -r a.zip src
        cpio -t
        7z l a.7z
        7z x a.7z -oout
        7z a a.7z src";

#[test]
fn archives_are_weighed_by_where_they_unpack_and_what_they_run() {
    judge(ARCHIVES_ARE_WEIGHED_ASK, ARCHIVES_ARE_WEIGHED_RUN);
}

#[test]
fn an_archive_of_keys_carries_them() {
    let outcome = outcome("tar czf /tmp/k.tgz ~/.ssh", &Stream::default());
    let (path, stream) = outcome.writes.first().expect("an archive");
    assert_eq!(path, "/tmp/k.tgz");
    assert_eq!(stream.taint.secret.as_deref(), Some("~/.ssh"));
}

#[test]
fn a_copied_secret_stays_one() {
    let outcome = outcome("cp ~/.ssh/id_rsa /tmp/x", &Stream::default());
    let copy = outcome.writes.iter().find(|(path, _)| path == "/tmp/x");
    let (_, stream) = copy.expect("a copy");
    assert_eq!(stream.taint.secret.as_deref(), Some("~/.ssh/id_rsa"));
}

const HIDING_TRACES_IS_ASK: &str = "history -c
        history -cw
        history -d 5
        unset HISTFILE
        export HISTFILE=/dev/null
        export HISTSIZE=0
        set +o history
        journalctl --vacuum-time=1s
        journalctl --rotate --vacuum-size=1K";

const HIDING_TRACES_IS_RUN: &str = "history
        history 20
        history -a
        journalctl -u nginx -n 50
        journalctl -f";

#[test]
fn hiding_traces_is_asked() {
    judge(HIDING_TRACES_IS_ASK, HIDING_TRACES_IS_RUN);
    for line in ["history -c", "unset HISTFILE"] {
        let outcome = outcome(line, &Stream::default());
        assert_eq!(
            outcome.effects.first().map(|effect| effect.kind),
            Some(Kind::Obfuscate)
        );
    }
}

#[test]
fn a_safer_way_is_given_where_there_is_one() {
    for line in [
        "rm -rf src",
        "rm -rf $X/*",
        "chmod -R 777 .",
        "dd if=x of=/dev/sda",
        "wipefs -a /dev/sda",
    ] {
        let outcome = outcome(line, &Stream::default());
        assert!(
            outcome.effects.iter().any(|effect| effect.safer.is_some()),
            "{line}"
        );
    }
}

proptest::proptest! {
    /// Whatever the words are, nothing panics.
    #[test]
    fn any_words_are_survived(
        program in "(rm|mv|cp|ln|install|chmod|chown|tar|zip|7z|dd|mkfs|parted|zfs|mount|curl|wget|http|scp|rsync|sftp|ssh|ssh-keygen|nc|socat|openssl|dig|mail|gpg|systemctl|service|kill|pkill|useradd|usermod|crontab|ip|nmcli|sysctl|alias|diskutil|chattr|setcap|split|truncate|history|s6-svc|chkconfig)",
        args in proptest::collection::vec("(-{0,2}[a-zA-Z0é]{0,3}[=:@/]{0,2}[a-z~.\u{F0000}*0-9ü]{0,4}|\\PC{0,6})", 0..6),
    ) {
        let args: Vec<Arg> = args.iter().map(|text| Arg::known(text)).collect();
        let setting = Setting::default();
        let call = Call {
            name: &program,
            args: &args,
            stdin: &Stream::known("a\nb c"),
            cwd: None,
            setting: &setting,
            files: &NoFiles,
        };
        let _ = files::run(&call)
            .or_else(|| network::run(&call))
            .or_else(|| system::run(&call));
    }
}
