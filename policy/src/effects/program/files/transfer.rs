// SPDX-License-Identifier: Apache-2.0
//! Moving, copying and making: `mv`, `cp`, `ln`, `install`, `touch`, `truncate`, `patch`.

use super::super::super::place::Area;
use super::super::super::word::{Arg, Stream};
use super::super::super::{Effect, Harm, Kind};
use super::super::options::Options;
use super::super::system::rows::scan;
use super::super::{Call, Outcome};
use super::modes;
use super::{
    Manner, content, deleting, is_web_root, name, only_looks, place, placing, whole, write_to,
};

/// Most files whose content is followed from one command.
const FOLLOWED: usize = 16;

/// The commands of this file.
pub(super) fn run(call: &Call) -> Outcome {
    match call.name {
        "truncate" | "fallocate" => truncate(call),
        "touch" | "mkdir" | "mkfifo" | "mknod" => make(call),
        "split" | "csplit" => split(call),
        "patch" => patch(call),
        _ => transfer(call),
    }
}

const VALUED: &str =
    "-t --target-directory -S --suffix -m --mode -o --owner -g --group --strip-program";

fn transfer(call: &Call) -> Outcome {
    let options = scan(call, VALUED);
    let mut outcome = Outcome::default();
    if only_looks(&options) {
        return outcome;
    }
    if call.name.ends_with("install") && options.has(&["-d", "--directory"]) {
        return make(call);
    }
    if call.name.ends_with("install")
        && let Some(mode) = options.value(&["-m", "--mode"])
        && let Some(effect) = modes::of_a_new_file(call, mode)
    {
        outcome.effects.push(effect);
    }
    let Some((sources, to)) = sides(&options) else {
        return outcome;
    };
    for from in sources {
        one(call, from, &to, &mut outcome);
    }
    let clears = call.name.ends_with("cp") || call.name.ends_with("mv");
    if clears && sources.iter().any(|from| from.text == "/dev/null") {
        empties(call, &to, &mut outcome);
    }
    outcome
}

/// What is transferred, and where to.
fn sides<'a>(options: &'a Options<'a>) -> Option<(&'a [&'a Arg], Arg)> {
    let named = options
        .options
        .iter()
        .find(|(name, ..)| matches!(name.as_str(), "-t" | "--target-directory"));
    if let Some((_, arg, text)) = named {
        let mut to = arg.cloned().unwrap_or_default();
        to.text = format!("{text}/");
        return Some((&options.operands, to));
    }
    let (last, rest) = options.operands.split_last()?;
    if rest.is_empty() {
        // `ln -s target` links into the folder it runs in.
        let mut here = (*last).clone();
        here.text = name(&last.text).to_owned();
        return Some((&options.operands, here));
    }
    Some((rest, (*last).clone()))
}

fn one(call: &Call, from: &Arg, to: &Arg, outcome: &mut Outcome) {
    let moves = matches!(call.name, "mv" | "gmv" | "rename");
    if moves {
        if let Some(effect) = moving(call, from, to) {
            outcome.add(effect, from);
        }
    } else if let Some(effect) = sharing(call, from, to) {
        outcome.add(effect, from);
    }
    if from.text == "/dev/null" && !call.name.ends_with("ln") {
        return;
    }
    if let Some(effect) = placing(call, &from.text, to) {
        outcome.add(effect, to);
    }
    if call.name.ends_with("ln") || outcome.writes.len() >= FOLLOWED {
        return;
    }
    let known = content(call, &from.text);
    let target = whole(call, &to.text);
    let inside = format!("{}/{}", target.trim_end_matches('/'), name(&from.text));
    if !to.text.ends_with('/') {
        outcome.writes.push((target, known.clone()));
    }
    outcome.writes.push((inside, known));
}

fn moving(call: &Call, from: &Arg, to: &Arg) -> Option<Effect> {
    let there = place(call, &to.text);
    let all = Manner {
        recursive: true,
        for_good: false,
    };
    if there.area == Area::Null {
        return deleting(call, from, all);
    }
    let here = place(call, &from.text);
    let path = call.path(&from.text);
    let within = |area| there.area == area;
    let (harm, why) = match here.area {
        Area::Root | Area::HomeRoot => (Harm::Critical, "a whole tree that others use would move"),
        Area::System | Area::Device => (Harm::High, "the system or a service needs it there"),
        Area::WorkspaceRoot if within(Area::Workspace) || within(Area::Temp) => {
            (Harm::Medium, "all of the workspace would move")
        }
        Area::WorkspaceRoot => (Harm::High, "all of the workspace would move"),
        Area::Vcs if !within(Area::Vcs) => (Harm::High, "the history would no longer be found"),
        _ if here.secret && !within(here.area) => {
            (Harm::High, "secrets would leave where they are protected")
        }
        Area::Home if here.secret || here.startup => (
            Harm::Medium,
            "keys or start-up files of a person would move",
        ),
        Area::Outside => (Harm::Medium, "it lies outside of the workspace"),
        _ => return None,
    };
    Some(Effect::new(Kind::Write, harm, path, "files:move", why))
}

/// Whether a secret would be readable where it goes.
fn sharing(call: &Call, from: &Arg, to: &Arg) -> Option<Effect> {
    let here = call.place(&from.text);
    if !here.secret {
        return None;
    }
    let to_path = whole(call, &to.text);
    let there = place(call, &to.text);
    let path = call.path(&from.text);
    let effect = |harm, why| {
        Some(Effect::new(
            Kind::TouchSecret,
            harm,
            path.clone(),
            "files:copy-secret",
            why,
        ))
    };
    if here.area == Area::System {
        return effect(Harm::High, "the system protects what is in there");
    }
    match there.area {
        _ if is_web_root(&to_path) && !call.name.ends_with("install") => {
            effect(Harm::High, "a web server shows what is put there")
        }
        Area::Outside | Area::Device => {
            effect(Harm::High, "secrets would leave where they are protected")
        }
        Area::Null => None,
        _ if there.area == here.area => effect(Harm::Low, "a second copy of a secret"),
        _ => effect(Harm::Medium, "others can read what is put there"),
    }
}

/// `cp /dev/null file` leaves nothing of the file.
fn empties(call: &Call, to: &Arg, outcome: &mut Outcome) {
    let emptied = deleting(call, to, Manner::default());
    if let Some(written) = write_to(place(call, &to.text), &to.text, false) {
        outcome.add(written, to);
    }
    if let Some(mut emptied) = emptied {
        emptied.rule = "files:empty".into();
        outcome.add(emptied, to);
    }
}

fn truncate(call: &Call) -> Outcome {
    let options = scan(call, "-s --size -r --reference -l --length -o --offset");
    let mut outcome = Outcome::default();
    if only_looks(&options) {
        return outcome;
    }
    let size = options.value(&["-s", "--size"]).unwrap_or("0");
    let grows = size.starts_with('+') || call.name == "fallocate";
    let number = size.trim_matches(|c: char| !c.is_ascii_digit());
    let zero = number.trim_start_matches('0').is_empty() || size.starts_with('-');
    for arg in &options.operands {
        if !grows && zero {
            empties(call, arg, &mut outcome);
        } else if let Some(effect) = write_to(place(call, &arg.text), &arg.text, true) {
            outcome.add(effect, arg);
        }
    }
    outcome
}

/// Empty files and folders.
fn make(call: &Call) -> Outcome {
    let valued = match call.name {
        "mkdir" | "gmkdir" | "mkfifo" | "mknod" => "-m --mode",
        "install" | "ginstall" => VALUED,
        _ => "-t -d --date -r --reference --time -A",
    };
    let options = scan(call, valued);
    let mut outcome = Outcome::default();
    if only_looks(&options) {
        return outcome;
    }
    let backdates =
        call.name.ends_with("touch") && options.has(&["-t", "-d", "--date", "-r", "--reference"]);
    for arg in &options.operands {
        let there = place(call, &arg.text);
        let path = call.path(&arg.text);
        let effect = match there.area {
            Area::System if backdates => Effect::new(
                Kind::Obfuscate,
                Harm::High,
                path,
                "files:backdate",
                "its time of change would no longer be true",
            ),
            // Logins and the next start obey these by being there.
            _ if OBEYED.contains(&arg.text.as_str()) => Effect::new(
                Kind::Disrupt,
                Harm::High,
                path,
                "files:flag",
                "the system acts on the file by its being there",
            ),
            Area::Root | Area::System | Area::Outside => Effect::new(
                Kind::Write,
                Harm::Medium,
                path,
                "files:make",
                "it lies outside of the workspace",
            ),
            Area::Device if call.name == "mknod" => Effect::new(
                Kind::Escalate,
                Harm::High,
                path,
                "files:make-device",
                "a device gives access to what is behind it",
            ),
            _ => Effect::new(Kind::Write, Harm::None, path, "files:make", "empty"),
        };
        outcome.add(effect, arg);
    }
    pipe(call, &options, &mut outcome);
    if call.name == "mknod" && matches!(options.operand(1), Some("b" | "c" | "u")) {
        for effect in &mut outcome.effects {
            effect.kind = Kind::Escalate;
            effect.harm = Harm::High;
            effect.why = "a device gives access to what is behind it".into();
        }
    }
    outcome
}

/// Whoever writes into a named pipe decides what is read from it.
fn pipe(call: &Call, options: &Options, outcome: &mut Outcome) {
    if call.name != "mkfifo" && options.operand(1) != Some("p") {
        return;
    }
    let path = options.operand(0);
    if let Some(path) = path.and_then(|path| call.setting.absolute(path, call.cwd)) {
        let mut content = Stream::default();
        content.taint.network = Some("whoever writes into the pipe".to_owned());
        outcome.writes.push((path, content));
    }
}

const OBEYED: &[&str] = &[
    "/etc/nologin",
    "/var/run/nologin",
    "/run/nologin",
    "/forcefsck",
    "/fastboot",
    "/.autorelabel",
    "/etc/ld.so.preload",
    "/etc/hosts.equiv",
];

fn split(call: &Call) -> Outcome {
    let valued =
        "-a -b -C -l -n -t --filter --additional-suffix --bytes --lines --number -f --prefix";
    let options = scan(call, valued);
    let mut outcome = Outcome::default();
    let filter = options.options.iter().find(|(name, ..)| name == "--filter");
    if let Some((_, Some(arg), text)) = filter {
        let mut text_arg = (*arg).clone();
        text_arg.text.clone_from(text);
        outcome.runs.push(super::super::Run::Shell {
            text: text_arg,
            arguments: Vec::new(),
            stdin: Stream::default(),
            host: None,
        });
    }
    if let Some(prefix) = options.operands.get(1)
        && let Some(effect) = write_to(place(call, &prefix.text), &prefix.text, true)
    {
        outcome.add(effect, prefix);
    }
    outcome
}

fn patch(call: &Call) -> Outcome {
    let valued = "-p --strip -i --input -d --directory -o --output -r --reject-file -B -Y -z -D -F -g \
        -V";
    let options = scan(call, valued);
    let mut outcome = Outcome::default();
    if only_looks(&options) || options.has_exactly(&["--dry-run", "-C", "--check"]) {
        return outcome;
    }
    let folder = options.value(&["-d", "--directory"]).unwrap_or(".");
    let file = options.value(&["-o", "--output"]).or(options.operand(0));
    let path = file.unwrap_or(folder);
    // The files that a patch names are not read here; most lie in the workspace.
    let path = if path == "." { "patched" } else { path };
    if let Some(effect) = write_to(place(call, path), path, true) {
        outcome.effects.push(effect);
    }
    outcome
}
