// SPDX-License-Identifier: Apache-2.0
//! The kernel, its protections, how the machine starts, its clock and desktop, as a table.

use super::super::super::word::Arg;
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::{Call, Outcome};
use super::rows::{self, Row, look, row, scan};
use crate::list::is_any;
use Harm::{Critical, High, Low, Medium};
use Kind::{Disrupt, Escalate, Execute, Obfuscate, Publish, TouchSecret, Write};

const KERNEL: &str = "code would run inside of the kernel";
const GUARD: &str = "the machine would be less protected";
const BOOT: &str = "the machine might not start again";
const CLOCK: &str = "certificates, logs and jobs depend on the time";
const SCREEN: &str = "others could see and use the screen";

// A table reads best with one row a line.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("insmod", "+", Escalate, High, KERNEL),
    look("modprobe", "-n|--dry-run|--show|--show-depends|-c|--showconfig|--resolve-alias"),
    row("modprobe", "-r|--remove", Disrupt, High, "a driver would go"),
    row("modprobe", "+", Escalate, Medium, KERNEL),
    row("rmmod", "+", Disrupt, High, "a driver would go"),
    row("kmod", "load|insert|remove|unload", Escalate, High, KERNEL),
    row("dkms", "install|add|remove|uninstall", Escalate, Medium, KERNEL),
    row("depmod", "", Write, Low, "the list of drivers"),
    row("kldload kextload kextunload kldunload kmutil", "+", Escalate, High, KERNEL),
    row("setenforce", "0|permissive", Escalate, High, GUARD),
    row("setenforce", "+", Disrupt, Medium, "programs could be denied more"),
    row("aa-teardown aa-disable aa-complain aa-remove-unknown", "", Escalate, High, GUARD),
    row("aa-enforce", "+", Disrupt, Medium, "programs could be denied more"),
    row("apparmor_parser", "-R|--remove", Escalate, High, GUARD),
    row("apparmor_parser", "-r|--replace|-a|--add", Disrupt, Medium, "programs could be denied more"),
    look("semanage", "+ -l|--list"),
    look("semanage", "export"),
    row("semanage setsebool semodule", "+", Escalate, High, GUARD),
    row("semodule", "-d|-r|-i|-DB|-B", Escalate, High, GUARD),
    row("chcon restorecon fixfiles setfiles", "+", Write, Medium, "labels of files would change"),
    look("auditctl", "-l|-s|-v"),
    row("auditctl", "", Obfuscate, High, "what is recorded of people and programs would change"),
    row("dmesg", "-C|-c|--clear|--read-clear|-D|--console-off", Obfuscate, Medium, "messages of the kernel would be lost"),
    row("grub-install grub2-install grub-set-default grub-reboot grub-mkrescue lilo extlinux syslinux refind-install sbsign", "", Disrupt, High, BOOT),
    row("update-grub update-grub2 grubby zipl kernelstub", "", Disrupt, High, BOOT),
    row("grub-mkconfig grub2-mkconfig", "-o|--output", Disrupt, High, BOOT),
    row("bootctl", "install|remove|update|set-default|set-oneshot|unlink|cleanup", Disrupt, High, BOOT),
    row("efibootmgr", "-B|--delete-bootnum|-b|-o|--bootorder|-n|--bootnext|-c|--create|-O|-A|-a|-D|-N", Disrupt, High, BOOT),
    row("update-initramfs mkinitcpio dracut mkinitrd mkinitramfs", "", Disrupt, Medium, BOOT),
    row("mokutil", "--disable-validation|--import|--delete|--reset|--enable-validation|--set-sbat-policy", Escalate, High, GUARD),
    row("efi-updatevar sbctl", "", Escalate, High, GUARD),
    row("flashrom", "-w|--write|-E|--erase", Disrupt, Critical, BOOT),
    row("fwupdmgr", "update|install|downgrade|activate|reinstall", Disrupt, High, BOOT),
    row("ipmitool ipmi-power", "power|chassis off|reset|cycle|soft|power|bootdev", Disrupt, High, "the machine would stop"),
    row("ipmitool", "mc|user|lan|sel reset|set|clear|enable|disable", Disrupt, High, "how the machine is managed would change"),
    row("racadm", "+", Disrupt, High, "how the machine is managed would change"),
    row("devmem devmem2 wrmsr setpci pokeblk", "+ +", Escalate, High, KERNEL),
    row("tpm2_clear tpm2_changeauth tpm2_evictcontrol tpm_clear tpm2_nvundefine tpm2_nvwrite", "", TouchSecret, High, "keys in the machine's chip would be lost"),
    row("tpm2_unseal", "", TouchSecret, High, "a key in the machine's chip would be read"),
    row("timedatectl", "set-time|set-ntp|set-local-rtc", Disrupt, High, CLOCK),
    row("timedatectl", "set-timezone", Disrupt, Medium, CLOCK),
    row("hwclock", "-w|--systohc|-s|--hctosys|--set|--adjust|--setepoch", Disrupt, Medium, CLOCK),
    row("date", "-s|--set", Disrupt, High, CLOCK),
    row("ntpdate rdate sntp", "!-q|-p", Disrupt, Medium, CLOCK),
    row("chronyc", "makestep|settime|burst|offline|shutdown", Disrupt, Medium, CLOCK),
    row("localectl", "set~", Write, Medium, "language and keyboard of everybody"),
    look("update-alternatives alternatives", "--list|--display|--query|--get-selections"),
    row("update-alternatives alternatives", "--remove-all|--set-selections|--all", Write, High, "programs for everybody would change"),
    row("update-alternatives alternatives", "", Write, Medium, "programs for everybody would change"),
    row("update-ca-certificates update-ca-trust trust c_rehash", "anchor|extract", Escalate, High, "whom the machine trusts would change"),
    row("update-ca-certificates", "", Escalate, Medium, "whom the machine trusts would change"),
    row("ldconfig", "", Write, Medium, "libraries of everybody would be listed anew"),
    row("alternatives-config", "", Write, Medium, "programs for everybody would change"),
    row("capsh", "--print|--decode~|--supports~", Kind::Read, Harm::None, "looks"),
    row("pivot_root switch_root", "", Disrupt, High, "the whole tree would be another one"),
    row("x11vnc vncserver x0vncserver tigervncserver krfb wayvnc vino-server xrdp rustdesk anydesk teamviewer xpra", "!-list|-version|-kill", Publish, High, SCREEN),
    row("grdctl", "rdp|vnc enable|set-credentials|disable-view-only", Publish, High, SCREEN),
    row("xdotool ydotool wtype xte", "type|key|click", Execute, Medium, "keys would be typed into other programs"),
    row("xinput showkey logkeys evtest", "test|test-xi2", TouchSecret, High, "what is typed would be recorded"),
    row("logkeys", "", TouchSecret, High, "what is typed would be recorded"),
    look("gsettings", "get|list~|range|describe|monitor|writable"),
    row("gsettings dconf", "reset-recursively", Write, Medium, "settings would be lost"),
    row("dconf", "reset|load", Write, Medium, "settings would be lost"),
    row("gsettings dconf", "set|write|reset|update", Write, Medium, "settings of the desktop would change"),
    row("swaymsg hyprctl i3-msg", "exit|exec|dispatch", Execute, Medium, "the desktop would act"),
    row("gnome-session-quit xfce4-session-logout", "", Disrupt, High, "everything a person runs would stop"),
    row("wall", "", Disrupt, Medium, "everybody on the machine would see it"),
    row("tmux", "kill-server", Disrupt, Medium, "every session would be lost"),
    row("prlimit", "+", Write, Low, "limits of a process"),
    row("cpupower tuned-adm powertop", "frequency-set|set|profile|off", Write, Medium, "how the machine runs would change"),
    row("criu", "dump|restore", Disrupt, Medium, "a process would be frozen"),
    row("gcore gdb-attach", "+", TouchSecret, Medium, "what a process holds in memory would be written down"),
    row("makedumpfile avml lime-dump", "", TouchSecret, High, "what the machine holds in memory would be written down"),
    row("virsh", "destroy|undefine|vol-delete|pool-delete|pool-destroy|net-destroy|net-undefine|snapshot-delete|snapshot-revert", Kind::Delete, High, "a virtual machine would stop or be lost"),
    row("lxc incus", "delete|rm", Kind::Delete, High, "a container would be lost"),
    row("machinectl", "terminate|kill|remove|poweroff", Kind::Delete, High, "a virtual machine would stop or be lost"),
    row("systemd-cryptenroll", "--wipe-slot", TouchSecret, High, "keys of the disk would change"),
    row("aideinit tripwire", "--init|--update", Obfuscate, High, "what the guard takes for normal would change"),
];

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    match call.name {
        "sysctl" => Some(sysctl(call)),
        "xhost" => Some(xhost(call)),
        "alias" => Some(alias(call)),
        "date" if !sets_date(call) => None,
        "tmux"
            if call
                .args
                .first()
                .is_none_or(|arg| arg.text != "kill-server") =>
        {
            None
        }
        _ => rows::run(ROWS, call, &["-b", "-o", "--output", "-d", "-p"]),
    }
}

fn sets_date(call: &Call) -> bool {
    call.args
        .iter()
        .any(|arg| arg.text.starts_with("-s") || arg.text.starts_with("--set"))
}

/// Settings of the kernel that development needs raised.
const ROOMY: &str = "vm.max_map_count fs.inotify.max_user_watches fs.inotify.max_user_instances fs.file-max \
    net.core.somaxconn net.core.rmem_max net.core.wmem_max vm.swappiness vm.overcommit_memory \
    kernel.perf_event_paranoid net.ipv4.ip_local_port_range fs.aio-max-nr net.ipv4.tcp_tw_reuse \
    kernel.kptr_restrict vm.dirty_ratio vm.drop_caches net.ipv4.tcp_fin_timeout kernel.pid_max \
    fs.nr_open vm.nr_hugepages kernel.shmmax kernel.shmall";

fn sysctl(call: &Call) -> Outcome {
    let options = scan(call, "-r --pattern");
    let mut outcome = Outcome::default();
    for arg in &options.operands {
        let Some((key, _)) = arg.text.split_once('=') else {
            continue;
        };
        let harm = if is_any(ROOMY, key.trim()) {
            Medium
        } else {
            High
        };
        let target = Target::System(key.trim().to_owned());
        let why = "how the kernel runs, for everybody, would change";
        outcome.add(Effect::new(Write, harm, target, "kernel:sysctl", why), arg);
    }
    // A file of settings, or all of the system's.
    if let Some(arg) = call.args.first()
        && options.has(&["-p", "--load", "--system", "-f"])
    {
        let target = Target::System("sysctl".to_owned());
        let why = "how the kernel runs, for everybody, would change";
        outcome.add(
            Effect::new(Write, Medium, target, "kernel:sysctl", why),
            arg,
        );
    }
    outcome
}

fn xhost(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    for arg in call.args {
        let harm = match arg.text.as_str() {
            "+" => High,
            text if text.starts_with('-') => Low,
            text if text.contains("local:") || text.contains("localuser") => Medium,
            _ => High,
        };
        let target = Target::System("screen".to_owned());
        outcome.add(
            Effect::new(Publish, harm, target, "machine:screen", SCREEN),
            arg,
        );
    }
    outcome
}

/// Names under which nobody expects anything else.
const TRUSTED: &str =
    "sudo su ssh doas passwd git ls cd cat ps kill curl wget docker kubectl gpg login";

fn alias(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    for arg in call.args {
        let Some((name, value)) = arg.text.split_once('=') else {
            continue;
        };
        let first: Option<&str> = value.split_whitespace().next();
        if first == Some(name) || first.is_none() {
            continue;
        }
        let harm = misleading(name, value, arg);
        let target = Target::Program(name.to_owned());
        let why = "a name would run something else from then on";
        outcome.add(
            Effect::new(Obfuscate, harm, target, "shell:alias", why),
            arg,
        );
    }
    outcome
}

fn misleading(name: &str, value: &str, arg: &Arg) -> Harm {
    let fetches = ["curl", "wget", "/dev/tcp", "nc ", "base64", "eval", "rm -"];
    let hides = fetches.iter().any(|word| value.contains(word)) || arg.is_unknown();
    match (is_any(TRUSTED, name), hides) {
        (true, true) => High,
        (true, false) if matches!(name, "sudo" | "su" | "ssh" | "doas" | "passwd") => High,
        (true, false) => Low,
        (false, true) => Medium,
        (false, false) => Harm::None,
    }
}
