// SPDX-License-Identifier: Apache-2.0
//! Services: `systemctl`, `service`, `rc-service`, `sv`, `supervisorctl`, `launchctl`, and the
//! machine's power.

use super::super::super::word::Arg;
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::{Call, Outcome};
use super::rows::scan;
use crate::list::is_any;

/// Services without which nobody gets in, nothing is protected or nothing else runs.
const CRITICAL: &str = "ssh sshd dropbear networking network networkmanager systemd-networkd systemd-resolved resolvconf \
    wpa_supplicant dhcpcd firewalld ufw iptables ip6tables nftables netfilter-persistent fail2ban \
    crowdsec apparmor selinux auditd rsyslog syslog syslog-ng systemd-journald docker dockerd containerd \
    crio podman kubelet k3s k3s-agent rke2-server etcd kube-apiserver dbus dbus-broker systemd-logind \
    systemd-udevd udev cron crond atd gdm gdm3 lightdm sddm display-manager polkit clamav clamav-daemon \
    clamav-freshclam falcon-sensor osqueryd wazuh-agent sssd chronyd ntpd ntp systemd-timesyncd \
    unattended-upgrades snapd libvirtd openvpn wireguard tailscaled vault consul nomad lvm2-monitor \
    multipathd iscsid nfs-server mdadm zfs mdatp xagt cbagentd amazon-ssm-agent google-guest-agent \
    walinuxagent cloud-init bind9 named unbound dnsmasq auditbeat filebeat datadog-agent \
    systemd-oomd firewall default";

/// Whether a service is one of those.
pub(super) fn is_critical(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.split('@').next().unwrap_or_default();
    let endings = [
        ".service", ".socket", ".target", ".timer", ".mount", ".slice",
    ];
    let stem = endings
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    let glob = stem.trim_end_matches(['*', '?']);
    let mut known = CRITICAL.split_ascii_whitespace();
    let hit = glob.len() < stem.len() && known.any(|name| name.starts_with(glob));
    hit || is_any(CRITICAL, stem)
        || matches!(stem, "sockets" | "basic" | "multi-user" | "graphical")
}

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "systemctl" => systemctl(call),
        "service" | "rc-service" | "invoke-rc.d" => by_name(call, 0, 1),
        "sv" | "s6-svc" | "initctl" | "svcadm" | "supervisorctl" | "monit" => by_name(call, 1, 0),
        "rc-update" => runlevels(call, 0, 1),
        "update-rc.d" => runlevels(call, 1, 0),
        "chkconfig" => runlevels(call, 1, 0),
        "launchctl" => launchctl(call),
        "shutdown" | "reboot" | "halt" | "poweroff" | "init" | "telinit" | "pm-suspend"
        | "pm-hibernate" | "kexec" => power(call),
        "loginctl" => loginctl(call),
        _ => return None,
    })
}

const VALUED: &str = "-H --host -M --machine -t --type -p --property -n --lines -o --output --state -s \
    --signal --root --job-mode --kill-whom --kill-who --what -P --legend --timestamp \
    --image --preset-mode --boot-loader-entry";

fn systemctl(call: &Call) -> Outcome {
    let options = scan(call, VALUED);
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-h", "--help", "--version", "--dry-run"]) {
        return outcome;
    }
    let user = options.has(&["--user"]);
    let Some((verb, names)) = options.operands.split_first() else {
        return outcome;
    };
    if names.is_empty() {
        if let Some(effect) = alone(verb) {
            outcome.add(effect, verb);
        }
        return outcome;
    }
    let now = options.has_exactly(&["--force", "-f"]);
    for name in names {
        let Some(mut effect) = doing(&verb.text, name) else {
            continue;
        };
        if user && effect.kind != Kind::Persist {
            effect.harm = effect.harm.min(Harm::Medium);
        }
        if now && effect.kind == Kind::Persist {
            effect.harm = effect.harm.max(Harm::Medium);
        }
        outcome.add(effect, name);
    }
    outcome
}

/// Verbs of `systemctl` without a unit.
fn alone(verb: &Arg) -> Option<Effect> {
    let (kind, harm, why) = match verb.text.as_str() {
        "reboot" | "poweroff" | "halt" | "kexec" | "soft-reboot" | "exit" | "switch-root" => {
            (Kind::Disrupt, Harm::High, "the machine would stop")
        }
        "suspend" | "hibernate" | "hybrid-sleep" | "sleep" | "suspend-then-hibernate" => {
            (Kind::Disrupt, Harm::High, "the machine would sleep")
        }
        "rescue" | "emergency" | "default" => (
            Kind::Disrupt,
            Harm::High,
            "everything but the least would stop",
        ),
        "daemon-reexec" => (
            Kind::Disrupt,
            Harm::Medium,
            "the service manager would start anew",
        ),
        "daemon-reload" | "reset-failed" => (Kind::Write, Harm::Low, "units are read again"),
        "preset-all" => (
            Kind::Persist,
            Harm::High,
            "what starts with the machine would change",
        ),
        _ => return None,
    };
    let target = Target::System("machine".to_owned());
    Some(Effect::new(
        kind,
        harm,
        target,
        format!("service:{}", verb.text),
        why,
    ))
}

const STOPS: &str =
    "stop kill down pause exit force-stop shutdown unmonitor clean freeze d force-shutdown remove";
const DISABLES: &str = "disable mask off del delete";
const RESTARTS: &str = "restart try-restart condrestart reload-or-restart force-reload force-restart refresh zap hup term";
const STARTS: &str = "start reload up unmask once cont thaw update reread restore";
const ENABLES: &str = "enable reenable add on link preset defaults add-wants add-requires bind";

/// What a verb does to a service; nothing for a look.
fn doing(verb: &str, name: &Arg) -> Option<Effect> {
    let verb = verb.trim_start_matches('-');
    let is = |list| is_any(list, verb);
    let stopped = if is_critical(&name.text) {
        Harm::High
    } else {
        Harm::Medium
    };
    let (kind, harm, why) = if is(STOPS) {
        (
            Kind::Disrupt,
            stopped,
            "what depends on the service would fail",
        )
    } else if is(DISABLES) {
        let why = "the service would no longer start with the machine";
        (Kind::Disrupt, stopped, why)
    } else if is(RESTARTS) {
        (Kind::Disrupt, Harm::Medium, "the service would pause")
    } else if is(STARTS) {
        let why = "the service would start or read its settings";
        (Kind::Disrupt, Harm::Low, why)
    } else if is(ENABLES) {
        let strange = name.text.contains('/') || verb == "link";
        let harm = if strange { Harm::High } else { Harm::Medium };
        (
            Kind::Persist,
            harm,
            "it would start with the machine from then on",
        )
    } else if is("edit revert set-property") {
        (
            Kind::Persist,
            Harm::High,
            "how the service runs would change",
        )
    } else if is("set-default") {
        let why = "what starts with the machine would change";
        (Kind::Persist, Harm::High, why)
    } else if is("set-environment unset-environment import-environment") {
        (
            Kind::Write,
            Harm::Medium,
            "services would see other variables",
        )
    } else if is("isolate") {
        let why = "everything but what the target needs would stop";
        (Kind::Disrupt, Harm::High, why)
    } else if is("reboot poweroff halt") {
        (Kind::Disrupt, Harm::High, "the machine would stop")
    } else {
        return None;
    };
    let target = Target::System(name.text.clone());
    Some(Effect::new(
        kind,
        harm,
        target,
        format!("service:{verb}"),
        why,
    ))
}

/// `service name verb` and `sv verb name`.
fn by_name(call: &Call, name: usize, verb: usize) -> Outcome {
    let options = scan(call, "-c -s -u -p");
    let mut outcome = Outcome::default();
    let flags = call
        .args
        .iter()
        .find(|arg| call.name == "s6-svc" && arg.text.starts_with('-'));
    if let (Some(flag), Some(name)) = (flags, options.operands.first()) {
        if let Some(effect) = doing(&flag.text, name) {
            outcome.add(effect, name);
        }
        return outcome;
    }
    let verb = options.operand(verb).unwrap_or_default();
    if let Some(arg) = options.operands.get(name) {
        if let Some(effect) = doing(verb, arg) {
            outcome.add(effect, arg);
        }
    } else if verb == "shutdown"
        && let Some(arg) = options.operands.first()
    {
        let target = Target::System(call.name.to_owned());
        let why = "every service under it would stop";
        outcome.add(
            Effect::new(Kind::Disrupt, Harm::High, target, "service:shutdown", why),
            arg,
        );
    }
    outcome
}

/// `rc-update add name`, `update-rc.d name remove`, `chkconfig name off`.
fn runlevels(call: &Call, verb: usize, name: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let words: Vec<&Arg> = call
        .args
        .iter()
        .filter(|arg| !arg.text.starts_with('-') || arg.text == "--del" || arg.text == "--add")
        .collect();
    if let Some(first) = words.first().filter(|first| first.text.starts_with("--")) {
        if let Some(arg) = words.get(1)
            && let Some(effect) = doing(first.text.trim_start_matches('-'), arg)
        {
            outcome.add(effect, arg);
        }
        return outcome;
    }
    let verb = words.get(verb).map_or("", |arg| arg.text.as_str());
    if let Some(arg) = words.get(name) {
        let verb = if call.name != "rc-update" && verb == "remove" {
            "disable"
        } else {
            verb
        };
        if let Some(effect) = doing(verb, arg) {
            outcome.add(effect, arg);
        }
    }
    outcome
}

fn launchctl(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    let Some((verb, rest)) = call.args.split_first() else {
        return outcome;
    };
    let what = rest
        .iter()
        .rev()
        .find(|arg| !arg.text.starts_with('-'))
        .unwrap_or(verb);
    let vital = what.text.contains("com.apple")
        || what.text.contains("ssh")
        || what.text.starts_with("/System");
    let (kind, harm, why) = match verb.text.as_str() {
        "load" | "bootstrap" | "enable" | "submit" => (
            Kind::Persist,
            Harm::High,
            "it would start with the machine from then on",
        ),
        "unload" | "bootout" | "remove" | "disable" | "stop" | "kill" if vital => (
            Kind::Disrupt,
            Harm::High,
            "what depends on the service would fail",
        ),
        "unload" | "bootout" | "remove" | "disable" | "stop" | "kill" | "kickstart" => (
            Kind::Disrupt,
            Harm::Medium,
            "what depends on the service would fail",
        ),
        "reboot" => (Kind::Disrupt, Harm::High, "the machine would stop"),
        "setenv" | "unsetenv" | "config" | "limit" => (
            Kind::Persist,
            Harm::Medium,
            "programs would see other settings",
        ),
        "start" => (Kind::Disrupt, Harm::Low, "the service would start"),
        _ => return outcome,
    };
    let target = Target::System(what.text.clone());
    outcome.add(
        Effect::new(kind, harm, target, format!("launchctl:{}", verb.text), why),
        what,
    );
    outcome
}

fn power(call: &Call) -> Outcome {
    let options = scan(call, "-t --message");
    let mut outcome = Outcome::default();
    let level = options.operand(0).unwrap_or_default();
    let acts = match call.name {
        "shutdown" => {
            !options.has_exactly(&["-c", "-k", "--help", "-a", "/a"]) && !call.args.is_empty()
                || call.args.is_empty()
        }
        "init" | "telinit" => matches!(level, "s" | "S" | "u" | "U") || level.parse::<u8>().is_ok(),
        "kexec" => options.has(&["-e", "--exec", "-l", "--load", "-p", "--load-panic", "-s"]),
        _ => !options.has_exactly(&["-w", "--wtmp-only", "--help"]),
    };
    if acts {
        let target = Target::System("machine".to_owned());
        let why = "the machine would stop, with all that runs on it";
        let span = call.args.first().map(|arg| arg.span).unwrap_or_default();
        let effect = Effect::new(Kind::Disrupt, Harm::High, target, "machine:power", why);
        outcome.effects.push(effect.at(span));
    }
    outcome
}

fn loginctl(call: &Call) -> Outcome {
    let options = scan(call, "-H -M -p -s --signal -n -o --kill-whom");
    let mut outcome = Outcome::default();
    let Some(verb) = options.operands.first() else {
        return outcome;
    };
    let (kind, harm, why) = match verb.text.as_str() {
        text if text.starts_with("terminate") || text.starts_with("kill") => (
            Kind::Disrupt,
            Harm::High,
            "everything a person runs would stop",
        ),
        "poweroff" | "reboot" | "halt" | "suspend" | "hibernate" => {
            (Kind::Disrupt, Harm::High, "the machine would stop")
        }
        "enable-linger" => (
            Kind::Persist,
            Harm::Medium,
            "services of a user would run without them",
        ),
        text if text.starts_with("unlock") => {
            (Kind::Escalate, Harm::High, "the screen would be unlocked")
        }
        text if text.starts_with("lock") || text == "disable-linger" => {
            (Kind::Disrupt, Harm::Low, "the session would change")
        }
        _ => return outcome,
    };
    let target = Target::System(options.operand(1).unwrap_or("session").to_owned());
    outcome.add(
        Effect::new(kind, harm, target, "machine:session", why),
        verb,
    );
    outcome
}
