// SPDX-License-Identifier: Apache-2.0
//! Copies between machines: `scp`, `sftp`, `rsync`.

use super::super::super::place::Area;
use super::super::super::word::{Arg, Stream, UNKNOWN};
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::files::{Manner, content, deleting, name, place, placing, whole};
use super::super::options::Options;
use super::super::system::rows::scan;
use super::super::{Call, Outcome, Run};
use super::clients::{script_deletes, script_sends};
use super::payload::connects;
use super::remote::commands;
use super::url::{Near, near};

/// The commands of this file.
pub(super) fn run(call: &Call) -> Outcome {
    match call.name {
        "rsync" => rsync(call),
        "sftp" | "psftp" => sftp(call),
        _ => scp(call),
    }
}

/// The host of `user@host:path`, `host::module`, `scheme://host/path`; none for a local path.
fn host(text: &str) -> Option<String> {
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        return Some(host.split(':').next().unwrap_or_default().to_owned());
    }
    let (before, _) = text.split_once(':')?;
    // A colon after a slash is a part of a name; a letter alone is a drive.
    if before.contains('/') || before.is_empty() || before.len() == 1 {
        return None;
    }
    let host = before.rsplit('@').next().unwrap_or_default();
    Some(host.to_ascii_lowercase())
}

/// A local path that goes to another machine.
fn leaving(call: &Call, from: &Arg, to: &str, recursive: bool) -> Effect {
    let here = place(call, &from.text);
    let mut taint = content(call, &from.text).taint;
    taint.join(&from.taint);
    let near = near(to);
    let broad = matches!(
        here.area,
        Area::Root | Area::HomeRoot | Area::WorkspaceRoot | Area::System | Area::Outside
    );
    let (harm, why) = if taint.secret.is_some() {
        let harm = match near {
            Near::Local => Harm::Medium,
            Near::Private => Harm::High,
            Near::Public => Harm::Critical,
        };
        (harm, "a secret would leave the machine")
    } else if near == Near::Local {
        (Harm::Low, "it stays on this machine")
    } else if here.area == Area::Vcs || broad {
        (Harm::High, "far more than one file would leave the machine")
    } else if here.area == Area::Home
        || (recursive && here.area == Area::Workspace && !is_made(&from.text))
    {
        (Harm::High, "files would leave the machine")
    } else {
        (Harm::Medium, "a file would leave the machine")
    };
    let rule = if taint.secret.is_some() {
        "network:send-secret"
    } else {
        "network:send-file"
    };
    Effect::new(Kind::Send, harm, Target::Host(to.to_owned()), rule, why)
}

/// Folders that are made to be put on a server.
fn is_made(path: &str) -> bool {
    let known = [
        "public", "site", "_site", "static", "docs", "html", "www", "release", "releases", "assets",
    ];
    known.contains(&name(path))
}

const SCP: &str = "-c -D -F -i -J -l -o -P -S -X -b -B -R -s -pw";

fn scp(call: &Call) -> Outcome {
    let options = scan(call, SCP);
    let mut outcome = Outcome::default();
    commands(&options, &mut outcome);
    let Some((to, sources)) = options.operands.split_last() else {
        return outcome;
    };
    let recursive = options.has(&["-r"]);
    for from in sources {
        one(call, from, to, recursive, &mut outcome);
    }
    outcome
}

fn one(call: &Call, from: &Arg, to: &Arg, recursive: bool, outcome: &mut Outcome) {
    let (there, here) = (host(&to.text), host(&from.text));
    if let Some(here) = &here {
        outcome.add(connects(here), from);
    }
    match (&here, &there) {
        (None, Some(there)) => {
            outcome.add(connects(there), to);
            outcome.add(leaving(call, from, there, recursive), from);
            if let Some(effect) = over_there(to) {
                outcome.add(effect, to);
            }
        }
        (Some(_), Some(there)) => outcome.add(connects(there), to),
        (here, None) => {
            if let Some(effect) = placing(call, &from.text, to) {
                outcome.add(effect, to);
            }
            let mut stream = Stream::default();
            match here {
                Some(here) => stream.taint.network = Some(here.clone()),
                None => stream = content(call, &from.text),
            }
            let path = whole(call, &to.text);
            if outcome.writes.len() < 16 {
                let inside = format!("{}/{}", path.trim_end_matches('/'), name(&from.text));
                outcome.writes.push((inside, stream.clone()));
                outcome.writes.push((path, stream));
            }
        }
    }
}

/// Start-up files and the system's own on the other machine.
fn over_there(to: &Arg) -> Option<Effect> {
    let (_, path) = to.text.split_once(':')?;
    let vital = [
        "authorized_keys",
        "/etc/",
        "/usr/bin",
        "/usr/sbin",
        "/bin/",
        "/sbin/",
        "/boot/",
        ".bashrc",
        ".profile",
        "/root/.ssh",
    ];
    vital.iter().any(|part| path.contains(part)).then(|| {
        let target = Target::Host(host(&to.text).unwrap_or_default());
        let why = "the other machine's own files would be replaced";
        Effect::new(
            Kind::Persist,
            Harm::High,
            target,
            "network:write-there",
            why,
        )
    })
}

fn sftp(call: &Call) -> Outcome {
    let options = scan(call, SCP);
    let mut outcome = Outcome::default();
    commands(&options, &mut outcome);
    let Some(to) = options.operands.first() else {
        return outcome;
    };
    let host =
        host(&to.text).unwrap_or_else(|| to.text.rsplit('@').next().unwrap_or_default().to_owned());
    outcome.add(connects(&host), to);
    let script = match options.value(&["-b"]) {
        Some("-") | None => call.stdin.text.clone(),
        Some(path) => call
            .files
            .read(&whole(call, path))
            .and_then(|stream| stream.text),
    };
    let script = script.unwrap_or_default();
    let target = Target::Host(host);
    if script_sends(&script) {
        let secret = script
            .split_whitespace()
            .any(|word| call.place(word).secret);
        let harm = if secret { Harm::Critical } else { Harm::High };
        let why = "local files would leave the machine";
        outcome.add(
            Effect::new(Kind::Send, harm, target.clone(), "network:send-file", why),
            to,
        );
    }
    if script_deletes(&script) {
        let why = "files on the server would be lost";
        outcome.add(
            Effect::new(Kind::Delete, Harm::High, target, "network:delete", why),
            to,
        );
    }
    outcome
}

const RSYNC: &str = "-e --rsh --rsync-path --exclude --include --exclude-from --include-from --files-from \
    -f --filter --bwlimit --port --password-file --log-file --partial-dir -T --temp-dir \
    --compare-dest --copy-dest --link-dest -B --backup-dir --suffix --chmod --chown \
    --timeout --contimeout --max-size --min-size --max-delete -M --remote-option \
    --usermap --groupmap --out-format --info --debug --address --write-batch \
    --read-batch --iconv --modify-window";

fn rsync(call: &Call) -> Outcome {
    let options = scan(call, RSYNC);
    let mut outcome = Outcome::default();
    let looks = options.has_exactly(&["-n", "--dry-run", "--list-only", "--help", "--version"]);
    shells(&options, &mut outcome);
    if looks {
        return outcome;
    }
    if options.has_exactly(&["--daemon"]) {
        let target = Target::System("rsync".to_owned());
        let why = "files would be served to others";
        outcome.effects.push(Effect::new(
            Kind::Publish,
            Harm::High,
            target,
            "network:serve",
            why,
        ));
        return outcome;
    }
    let Some((to, sources)) = options.operands.split_last() else {
        return outcome;
    };
    for from in sources {
        one(call, from, to, true, &mut outcome);
        if options.has(&["--remove-source-files", "--remove-sent-files"])
            && host(&from.text).is_none()
        {
            remove(call, from, &mut outcome);
        }
    }
    // Every spelling of it begins so: --delete-after, --delete-excluded, --del.
    let deletes = options
        .options
        .iter()
        .any(|(name, ..)| name.starts_with("--del"));
    if deletes && !sources.is_empty() {
        outcome.add(mirror(call, to, sources), to);
    }
    outcome
}

fn shells(options: &Options, outcome: &mut Outcome) {
    for (name, arg, value) in &options.options {
        let (Some(arg), "-e" | "--rsh") = (arg, name.as_str()) else {
            continue;
        };
        let program = value.split_whitespace().next().unwrap_or_default();
        let program = program.rsplit('/').next().unwrap_or_default();
        if matches!(
            program,
            "ssh" | "rsh" | "sshpass" | "aws" | "gcloud" | "docker" | "kubectl"
        ) {
            continue;
        }
        let target = Target::Program(value.clone());
        let why = "the copy would run a program";
        outcome.add(
            Effect::new(Kind::Execute, Harm::High, target, "network:runs", why),
            arg,
        );
        outcome.runs.push(Run::Shell {
            text: Arg {
                text: value.clone(),
                ..(*arg).clone()
            },
            arguments: Vec::new(),
            stdin: Stream::default(),
            host: None,
        });
    }
}

fn remove(call: &Call, from: &Arg, outcome: &mut Outcome) {
    let manner = Manner {
        recursive: true,
        for_good: false,
    };
    if let Some(mut effect) = deleting(call, from, manner) {
        let area = place(call, &from.text).area;
        if !matches!(
            area,
            Area::System | Area::Root | Area::HomeRoot | Area::Home | Area::Vcs
        ) {
            effect.harm = effect.harm.min(Harm::Medium);
        }
        outcome.add(effect, from);
    }
}

/// `--delete` takes away what the source does not have.
fn mirror(call: &Call, to: &Arg, sources: &[&Arg]) -> Effect {
    let why = "what is only at the destination would be lost";
    let rule = "network:mirror-delete";
    let safer = "look with --dry-run first, or keep what goes with --backup";
    if let Some(there) = host(&to.text) {
        let harm = if near(&there) == Near::Local {
            Harm::Medium
        } else {
            Harm::High
        };
        return Effect::new(Kind::Delete, harm, Target::Host(there), rule, why).safer(safer);
    }
    let area = place(call, &to.text).area;
    let empty = sources
        .iter()
        .any(|from| name(&from.text).contains("empty"));
    let harm = match area {
        Area::Root | Area::HomeRoot => Harm::Critical,
        Area::Temp | Area::Build | Area::Null => Harm::Low,
        Area::Workspace if !empty && !to.text.contains(UNKNOWN) => Harm::Medium,
        _ => Harm::High,
    };
    Effect::new(Kind::Delete, harm, call.path(&to.text), rule, why).safer(safer)
}
