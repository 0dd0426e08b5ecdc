// SPDX-License-Identifier: Apache-2.0
//! Accounts: `useradd`, `usermod`, `passwd`, `visudo`, `chsh`.

use super::super::super::{Effect, Harm, Kind, Target};
use super::super::{Call, Outcome};
use super::rows::{self, Row, look, row, scan};
use crate::list::is_any;
use Harm::{Critical, High, Low, Medium};
use Kind::{Delete, Disrupt, Escalate, Persist, TouchSecret, Write};

/// Groups whose members have the rights of the administrator, at once or by a detour.
const STRONG: &str = "sudo wheel admin root docker lxd libvirt disk shadow adm sudoers kvm podman incus-admin incus \
    microk8s staff systemd-journal kmem mem video sys operator";

// A table reads best with one row a line.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    look("passwd", "-S|--status|-a|--all"),
    row("passwd", "-d|--delete", Escalate, Critical, "anybody could log in without a password"),
    row("passwd", "", TouchSecret, High, "a password would change"),
    row("chpasswd chgpasswd newusers smbpasswd htpasswd-system", "", TouchSecret, High, "passwords would change"),
    look("chage", "-l|--list"),
    row("chage", "", TouchSecret, High, "when a password or account ends would change"),
    look("visudo", "-c|--check"),
    row("visudo vipw vigr", "", Escalate, High, "who may do what would change"),
    row("sudoedit", "+", Write, High, "a file of the system would change"),
    look("userdel groupdel deluser delgroup", "-h"),
    row("userdel deluser", "-r|--remove|--remove-home|--remove-all-files|-rf", Delete, Critical, "an account with all its files would be lost"),
    row("userdel deluser", "", Delete, High, "an account would be lost"),
    row("groupdel delgroup", "", Delete, High, "a group would be lost"),
    row("groupadd addgroup groupmod", "-o|--non-unique", Escalate, High, "two groups would be one"),
    row("groupadd addgroup groupmod newgrp", "", Write, Medium, "a group would be added or change"),
    look("pwck grpck", "-r"),
    row("pwck grpck pwconv pwunconv grpconv grpunconv", "", Write, Medium, "the list of accounts would change"),
    row("chfn", "", Write, Low, "the name of an account would change"),
    row("faillock pam_tally2", "--reset", Write, Medium, "failed logins would be forgotten"),
    row("authselect pam-auth-update authconfig", "select|enable-feature|disable-feature|apply-changes", Escalate, High, "how people log in would change"),
    row("pam-auth-update authconfig", "", Escalate, High, "how people log in would change"),
    row("kadmin kadmin.local ldapdelete ldapmodify ldapadd ldappasswd", "", Write, High, "accounts of everybody could change"),
    row("realm adcli", "join|leave|delete", Disrupt, High, "the machine would join or leave a domain"),
    row("doas-config", "", Persist, High, "who may do what would change"),
];

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "useradd" | "adduser" => add(call),
        "usermod" => modify(call),
        "gpasswd" => group(call),
        "chsh" => shell(call),
        _ => {
            return rows::run(
                ROWS,
                call,
                &[
                    "-n", "-x", "-w", "-i", "-g", "-f", "-u", "-E", "-M", "-m", "-W", "-I", "-d",
                ]
                .into_iter()
                .filter(|name| !(call.name == "passwd" && *name == "-d"))
                .collect::<Vec<_>>(),
            );
        }
    })
}

fn effect(harm: Harm, who: &str, rule: &'static str, why: &'static str) -> Effect {
    Effect::new(
        Escalate,
        harm,
        Target::System(format!("account {who}")),
        rule,
        why,
    )
}

const STRONGER: &str = "the account would have the rights of the administrator";

fn strong(groups: &str) -> bool {
    groups
        .split(',')
        .any(|group| is_any(STRONG, group) || group == "0")
}

const ADD: &str = "-b --base-dir -c --comment -d --home --home-dir -e --expiredate -f --inactive -g \
    --gid -G --groups -k --skel -K -p --password -s --shell -u --uid -R --root -Z -l \
    --login --gecos --ingroup --conf";

fn add(call: &Call) -> Outcome {
    let options = scan(call, ADD);
    let mut outcome = Outcome::default();
    let Some(arg) = options.operands.first() else {
        return outcome;
    };
    let groups = options.values(&["-G", "--groups", "-g", "--gid", "--ingroup"]);
    let root = options.value(&["-u", "--uid"]) == Some("0");
    let to_group = call.name == "adduser" && options.operand(1).is_some_and(strong);
    let shell = options.value(&["-s", "--shell"]).unwrap_or_default();
    let service = options.has(&["-r", "--system", "-S"])
        || shell.ends_with("nologin")
        || shell.ends_with("/false");
    let (harm, why) = if root {
        (Critical, STRONGER)
    } else if to_group || groups.into_iter().any(strong) {
        (High, STRONGER)
    } else if service || options.operands.len() > 1 {
        (Medium, "an account for a service")
    } else {
        (High, "somebody else could log in from then on")
    };
    outcome.add(effect(harm, &arg.text, "account:add", why), arg);
    outcome
}

fn modify(call: &Call) -> Outcome {
    let options = scan(call, ADD);
    let mut outcome = Outcome::default();
    let Some(arg) = options.operands.last() else {
        return outcome;
    };
    let mut groups = options.values(&["-G", "--groups", "-g", "--gid"]).chain(
        options
            .options
            .iter()
            .filter(|(name, ..)| name.starts_with("-a") && name.len() > 2)
            .map(|(.., value)| value.as_str()),
    );
    let given = options.has(&["-G", "--groups"]);
    let adds = options.has(&["-a", "--append"]);
    let (harm, why) = if options.value(&["-u", "--uid"]) == Some("0") {
        (Critical, STRONGER)
    } else if groups.any(strong) {
        (High, STRONGER)
    } else if given && !adds {
        (High, "the account would leave every other group")
    } else if options.has(&[
        "-L",
        "--lock",
        "-e",
        "--expiredate",
        "-p",
        "--password",
        "-U",
        "--unlock",
        "-l",
        "--login",
        "-d",
        "-m",
    ]) {
        (High, "who can log in, or where, would change")
    } else {
        (Medium, "an account would change")
    };
    outcome.add(effect(harm, &arg.text, "account:modify", why), arg);
    outcome
}

fn group(call: &Call) -> Outcome {
    let options = scan(call, "-a --add -d --delete -M -A -Q");
    let mut outcome = Outcome::default();
    let Some(arg) = options.operands.last() else {
        return outcome;
    };
    let harm = match (strong(&arg.text), options.has(&["-a", "--add", "-M", "-A"])) {
        (true, _) => High,
        (false, true) => Medium,
        (false, false) => High,
    };
    outcome.add(
        effect(
            harm,
            &arg.text,
            "account:group",
            "who belongs to a group would change",
        ),
        arg,
    );
    outcome
}

fn shell(call: &Call) -> Outcome {
    let options = scan(call, "-s --shell");
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-l", "--list-shells"]) {
        return outcome;
    }
    let Some(arg) = call.args.first() else {
        return outcome;
    };
    let other = options.operand(0).unwrap_or_default();
    let place = options.value(&["-s", "--shell"]).unwrap_or_default();
    let usual = place.is_empty()
        || place.starts_with("/bin/")
        || place.starts_with("/usr/bin/")
        || place.starts_with("/opt/homebrew/")
        || place.starts_with(super::super::super::word::UNKNOWN);
    let harm = if other == "root" || !usual {
        High
    } else {
        Medium
    };
    outcome.add(
        effect(
            harm,
            other,
            "account:shell",
            "another program would run at login",
        ),
        arg,
    );
    outcome
}
