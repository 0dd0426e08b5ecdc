// SPDX-License-Identifier: Apache-2.0
//! Programs that look at the machine and change nothing: `ls`, `stat`, `id`, `test`, `env`.

use super::super::{Call, Outcome};
use super::input::{Use, file};
use super::scan;
use super::search::listing;
use crate::effects::word::{Stream, Taint};
use crate::effects::{Effect, Harm, Kind, Target};
use crate::list::is_any;

/// Programs that list or test files, and their options with values.
const LISTING: &str = "ls -I -w -T --ignore --color --sort --time --format --block-size --hide|\
    tree -L -I -P -o --filelimit|du -d --max-depth --exclude -B --block-size -t --threshold|\
    df -t -x -B --output|stat -c -f --format --printf -t|file -m -F -f|exa -L -I -s --sort|\
    eza -L -I -s --sort --level|lsd -I --depth|dir|vdir|lsattr|getfacl|namei|test|[|[[|tokei -e -t|\
    cloc|scc|wc|pathchk|ncdu -x|dust -d|duf|broot|namei|findmnt|mountpoint|getfattr|getcap";

/// Programs whose options alone matter, or not even these.
const QUIET: &str = "true false : sleep whoami id logname uname nproc tty groups users w who last \
    lastlog uptime free ps pgrep pidof top htop btop atop vmstat iostat mpstat lsblk lscpu lsusb \
    lspci lsmod lsof locale getconf getent cal bc factor tput clear reset stty neofetch fastfetch \
    screenfetch usleep wait jobs times pstree lsns lsipc ldd nm objdump readelf size \
    uuidgen hostid dnsdomainname nvidia-smi sensors numastat pmap slabtop \
    cpuid acpi lshw dmidecode iotop nethogs getopt getopts fgconsole infocmp";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    match call.name {
        "env" | "printenv" => return environment(call),
        "date" => return Some(date(call)),
        "hostname" => return Some(hostname(call)),
        _ => {}
    }
    if is_any(QUIET, call.name) {
        return Some(quiet(call));
    }
    let row = LISTING.split('|').map(str::trim).find_map(|row| {
        let (first, valued) = row.split_once(' ').unwrap_or((row, ""));
        (first == call.name).then_some(valued)
    })?;
    Some(list(call, row))
}

fn quiet(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    match call.name {
        "true" | "false" | ":" | "sleep" | "usleep" | "wait" => out.stdout = Stream::empty(),
        "getent" => {
            let database = call.args.iter().find(|arg| arg.text.contains("shadow"));
            if let Some(database) = database {
                let effect = Effect::new(
                    Kind::TouchSecret,
                    Harm::High,
                    Target::System("shadow".to_owned()),
                    "secret:read",
                    "shows the passwords of all the machine's users",
                );
                out.add(effect, database);
                out.stdout.taint.secret = Some(database.text.clone());
            }
        }
        _ => {}
    }
    out
}

fn list(call: &Call, valued: &str) -> Outcome {
    let options = scan(call.args, valued);
    let mut out = Outcome::default();
    // The operators of `test` look like options and operands; only paths matter here.
    for arg in &options.operands {
        if call.place(&arg.text).secret {
            file(call, arg, Use::Looks, &mut out);
        }
    }
    match call.name {
        "test" | "[" | "[[" => out.stdout = Stream::empty(),
        // Names in the folder itself, as `xargs` will get them.
        "ls" if options.operands.is_empty() && !options.has(&["-l"]) => {
            out.stdout.text = Some(listing(&[]));
        }
        _ => {}
    }
    out
}

/// `env` and `printenv` without a command print the environment; with one, `env` is a wrapper.
fn environment(call: &Call) -> Option<Outcome> {
    let options = scan(call.args, "-u --unset -C --chdir");
    let names = &options.operands;
    if call.name == "env" {
        let runs = names.iter().any(|arg| !arg.text.contains('='));
        let splits = call.args.iter().any(|arg| {
            arg.text.starts_with("-S")
                || arg.text.starts_with("--split")
                || arg.text.starts_with("-vS")
        });
        if runs || splits || options.has(&["--help", "--version"]) {
            return None;
        }
    }
    let named = call.name == "printenv" && !names.is_empty();
    let mut out = Outcome::default();
    if named && !names.iter().any(|arg| is_secret(&arg.text)) {
        return Some(out);
    }
    let cleared = call.name == "env" && options.has(&["-i", "--ignore-environment"]);
    if cleared {
        return Some(out);
    }
    let what = names.first().filter(|_| named);
    let what = what.map_or("environment", |arg| arg.text.as_str());
    out.effects.push(Effect::new(
        Kind::TouchSecret,
        Harm::Low,
        Target::System("environment".to_owned()),
        "secret:environment",
        "shows the environment, in which tokens and passwords often are",
    ));
    out.stdout.taint = Taint {
        secret: Some(what.to_owned()),
        ..Taint::default()
    };
    Some(out)
}

/// Names of variables that hold secrets.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    [
        "KEY",
        "TOKEN",
        "SECRET",
        "PASS",
        "PWD_",
        "CRED",
        "AUTH",
        "DATABASE_URL",
        "DSN",
    ]
    .iter()
    .any(|part| name.contains(part))
}

fn date(call: &Call) -> Outcome {
    let options = scan(
        call.args,
        "-d --date -r --reference -f --file -s --set -v -I",
    );
    let mut out = Outcome::default();
    if let Some(arg) = call.args.first().filter(|_| options.has(&["-s", "--set"])) {
        out.add(changed("clock", "changes the machine's clock"), arg);
    }
    out
}

fn hostname(call: &Call) -> Outcome {
    let options = scan(call.args, "-F --file");
    let mut out = Outcome::default();
    let file = call.args.first().filter(|_| options.has(&["-F", "--file"]));
    if let Some(arg) = options.operands.first().copied().or(file) {
        out.add(changed("hostname", "changes the machine's name"), arg);
    }
    out
}

fn changed(what: &'static str, why: &'static str) -> Effect {
    let target = Target::System(what.to_owned());
    Effect::new(Kind::Disrupt, Harm::Medium, target, "system:change", why)
}
