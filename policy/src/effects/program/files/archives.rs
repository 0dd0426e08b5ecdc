// SPDX-License-Identifier: Apache-2.0
//! Archives: `tar`, `zip`, `unzip`, `cpio`, `7z`, `rar`.

use super::super::super::place::Area;
use super::super::super::word::{Arg, Stream, Taint};
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::options::Options;
use super::super::system::rows::scan;
use super::super::{Call, Outcome, Run};
use super::{Manner, content, deleting, place, whole, write_to};

/// The commands of this file.
pub(super) fn run(call: &Call) -> Outcome {
    match call.name {
        "unzip" => unzip(call),
        "zip" => zip(call),
        "cpio" | "pax" | "bsdcpio" => copy_in_out(call),
        "7z" | "7za" | "7zz" | "7zr" | "rar" | "unrar" => by_letter(call),
        _ => tar(call),
    }
}

const TAR: &[&str] = &[
    "-f",
    "--file",
    "-C",
    "--directory",
    "-T",
    "--files-from",
    "-X",
    "--exclude-from",
    "--exclude",
    "-I",
    "--use-compress-program",
    "--to-command",
    "--checkpoint-action",
    "--transform",
    "--xform",
    "-F",
    "--info-script",
    "--new-volume-script",
    "--rsh-command",
    "--rmt-command",
    "--owner",
    "--group",
    "--mode",
    "--mtime",
    "-b",
    "-g",
    "--listed-incremental",
    "-K",
    "-N",
    "-L",
    "-V",
    "--strip-components",
    "-H",
    "--format",
    "-s",
    "--newer",
    "--sort",
];

fn tar(call: &Call) -> Outcome {
    let args = old_style(call.args);
    let options = Options::scan(&args, TAR);
    let mut outcome = Outcome::default();
    if super::only_looks(&options) {
        return outcome;
    }
    commands(&options, &mut outcome);
    if options.has(&["-x", "--extract", "--get"]) {
        let absolute = options.has(&["-P", "--absolute-names"]);
        let folder =
            options.options.iter().rev().find(|(name, ..)| {
                matches!(name.as_str(), "-C" | "--directory" | "--one-top-level")
            });
        let folder = folder.map_or(".", |(.., text)| text.as_str());
        extract(call, folder, absolute, &mut outcome);
    } else if options.has(&["-c", "--create", "-r", "--append", "-u", "--update", "-A"]) {
        let file = options.value(&["-f", "--file"]).unwrap_or("-");
        create(call, file, &options.operands, &mut outcome);
        if options.has(&["--remove-files"]) {
            remove_originals(call, &options.operands, &mut outcome);
        }
    }
    outcome
}

/// `tar xzf a.tar` without the dash. Each letter that takes a value takes the next word.
fn old_style(args: &[Arg]) -> Vec<Arg> {
    let mut args = args.to_vec();
    let Some(first) = args.first_mut() else {
        return args;
    };
    let letters = first.text.clone();
    if letters.starts_with('-') || !letters.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return args;
    }
    let valued = |letter: char| "fCTXIbgKNLVFH".contains(letter);
    let plain: String = letters.chars().filter(|letter| !valued(*letter)).collect();
    let mut words = vec![Arg {
        text: format!("-{plain}"),
        ..args.remove(0)
    }];
    let mut rest = args.into_iter();
    for letter in letters.chars().filter(|letter| valued(*letter)) {
        let Some(value) = rest.next() else {
            break;
        };
        words.push(Arg {
            text: format!("-{letter}"),
            span: value.span,
            ..Arg::default()
        });
        words.push(value);
    }
    words.extend(rest);
    words
}

/// Programs that compress and do nothing else.
const COMPRESSORS: &[&str] = &[
    "gzip", "pigz", "bzip2", "pbzip2", "lbzip2", "xz", "pixz", "pxz", "zstd", "zstdmt", "lz4",
    "lzip", "plzip", "lzma", "brotli", "lzop", "compress", "igzip",
];

/// How bad it is that an archiver runs this: a command is followed and has its own harm, a shell
/// or a script reads what nobody sees here.
fn runs(text: &str) -> Harm {
    let program = text.split_whitespace().next().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    if matches!(name, "sh" | "bash" | "dash" | "zsh") || program.starts_with(['.', '~']) {
        Harm::High
    } else {
        Harm::Medium
    }
}

/// What tar itself would run.
fn commands(options: &Options, outcome: &mut Outcome) {
    for (name, arg, value) in &options.options {
        let Some(arg) = arg else { continue };
        let text = match name.as_str() {
            "--to-command" => value.as_str(),
            "--checkpoint-action" => match value.strip_prefix("exec=") {
                Some(command) => command,
                None => continue,
            },
            "-I" | "--use-compress-program" => {
                let program = value.split_whitespace().next().unwrap_or_default();
                let program = program.rsplit('/').next().unwrap_or_default();
                if COMPRESSORS.contains(&program) {
                    continue;
                }
                value.as_str()
            }
            "-F" | "--info-script" | "--new-volume-script" | "--rsh-command" | "--rmt-command" => {
                value.as_str()
            }
            _ => continue,
        };
        outcome.add(
            Effect::new(
                Kind::Execute,
                runs(text),
                Target::Program(text.to_owned()),
                "files:archive-runs",
                "the archiver would run a command",
            ),
            arg,
        );
        let mut script = (*arg).clone();
        text.clone_into(&mut script.text);
        outcome.runs.push(Run::Shell {
            text: script,
            arguments: Vec::new(),
            stdin: Stream::default(),
            host: None,
        });
    }
}

/// Unpacking into a folder: what is in an archive is not known by its name.
fn extract(call: &Call, folder: &str, absolute: bool, outcome: &mut Outcome) {
    let there = place(call, folder);
    let path = whole(call, folder);
    let (harm, why) = match there.area {
        Area::Root => (Harm::Critical, "files of the system could be replaced"),
        _ if absolute => (Harm::High, "the archive decides where its files go"),
        _ if there.startup => (Harm::High, "what is unpacked there runs later by itself"),
        Area::System if path.starts_with("/usr/local") || path.starts_with("/opt") => {
            (Harm::Medium, "programs for everybody would be replaced")
        }
        Area::System | Area::Device => (Harm::High, "files of the system could be replaced"),
        Area::HomeRoot => (
            Harm::Medium,
            "start-up files could be among what is unpacked",
        ),
        Area::Home if there.secret => (Harm::High, "secrets could be replaced"),
        Area::Outside | Area::Vcs => (Harm::Medium, "it lies outside of the workspace"),
        _ => (Harm::Low, "unpacks an archive"),
    };
    let target = Target::Path(folder.to_owned(), there);
    outcome
        .effects
        .push(Effect::new(Kind::Write, harm, target, "files:extract", why));
}

fn create(call: &Call, file: &str, sources: &[&Arg], outcome: &mut Outcome) {
    let mut taint = Taint::default();
    for arg in sources {
        let here = call.place(&arg.text);
        taint.join(&content(call, &arg.text).taint);
        taint.join(&arg.taint);
        if here.secret || matches!(here.area, Area::HomeRoot | Area::Root) {
            let harm = if here.area == Area::System || here.area == Area::Root {
                Harm::High
            } else {
                Harm::Medium
            };
            let why = "secrets would be in the archive";
            let rule = "files:archive-secret";
            let effect = Effect::new(Kind::TouchSecret, harm, call.path(&arg.text), rule, why);
            outcome.add(effect, arg);
        }
    }
    let stream = Stream { text: None, taint };
    if matches!(file, "-" | "/dev/stdout") {
        outcome.stdout = stream;
        return;
    }
    if let Some((host, _)) = file.split_once(':')
        && !host.contains('/')
    {
        let harm = if stream.taint.secret.is_some() {
            Harm::Critical
        } else {
            Harm::High
        };
        let why = "the archive would go to another machine";
        let target = Target::Host(host.to_owned());
        outcome.effects.push(Effect::new(
            Kind::Send,
            harm,
            target,
            "files:archive-send",
            why,
        ));
        return;
    }
    if let Some(effect) = write_to(place(call, file), file, false) {
        outcome.effects.push(effect);
    }
    outcome.writes.push((whole(call, file), stream));
}

/// The originals are in the archive, so that little is lost in the workspace.
fn remove_originals(call: &Call, sources: &[&Arg], outcome: &mut Outcome) {
    for arg in sources {
        let manner = Manner {
            recursive: true,
            for_good: false,
        };
        let Some(mut effect) = deleting(call, arg, manner) else {
            continue;
        };
        let area = place(call, &arg.text).area;
        if !matches!(area, Area::System | Area::Root | Area::HomeRoot | Area::Vcs) {
            effect.harm = effect.harm.min(Harm::Medium);
        }
        outcome.add(effect, arg);
    }
}

fn unzip(call: &Call) -> Outcome {
    let options = scan(call, "-d -P -x -O -I");
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-l", "-t", "-v", "-z", "-Z", "-h", "-hh"]) {
        return outcome;
    }
    if options.has(&["-p", "-c"]) {
        outcome.stdout = content(call, options.operand(0).unwrap_or_default());
        return outcome;
    }
    let folder = options.value(&["-d"]).unwrap_or(".");
    extract(call, folder, options.has(&["-:"]), &mut outcome);
    outcome
}

fn zip(call: &Call) -> Outcome {
    let valued =
        "-P --password -x --exclude -i --include -b -n -t -tt -s -O -TT --unzip-command --out";
    let options = scan(call, valued);
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-h", "-h2", "--show-files", "-sf"]) || super::only_looks(&options) {
        return outcome;
    }
    for (name, arg, value) in &options.options {
        let (Some(arg), "-TT" | "--unzip-command") = (arg, name.as_str()) else {
            continue;
        };
        let mut script = (*arg).clone();
        script.text.clone_from(value);
        let target = Target::Program(value.clone());
        let why = "the archiver would run a command";
        outcome.add(
            Effect::new(
                Kind::Execute,
                runs(value),
                target,
                "files:archive-runs",
                why,
            ),
            arg,
        );
        outcome.runs.push(Run::Shell {
            text: script,
            arguments: Vec::new(),
            stdin: Stream::default(),
            host: None,
        });
    }
    let Some((file, sources)) = options.operands.split_first() else {
        return outcome;
    };
    if options.has(&["-d", "--delete"]) {
        return outcome;
    }
    create(call, &file.text, sources, &mut outcome);
    if options.has(&["-m", "--move"]) {
        remove_originals(call, sources, &mut outcome);
    }
    outcome
}

fn copy_in_out(call: &Call) -> Outcome {
    let options = scan(call, "-F -I -O -D -H -E -R -f -s");
    let mut outcome = Outcome::default();
    if options.has_exactly(&["-t", "--list"]) || super::only_looks(&options) {
        return outcome;
    }
    if options.has(&["-i", "--extract", "-r"]) {
        let folder = options.value(&["-D"]).unwrap_or(".");
        extract(
            call,
            folder,
            options.has(&["--absolute-filenames"]),
            &mut outcome,
        );
    } else if options.has(&["-p", "--pass-through"]) {
        let folder = options.operands.last().map_or(".", |arg| arg.text.as_str());
        extract(call, folder, false, &mut outcome);
    } else if options.has(&["-o", "--create"]) {
        // The names come from stdin; its taint is theirs.
        outcome.stdout.taint = call.stdin.taint.clone();
    }
    outcome
}

/// `7z x a.7z -o/tmp`, `rar a a.rar files`: a letter first.
fn by_letter(call: &Call) -> Outcome {
    let options = scan(call, "");
    let mut outcome = Outcome::default();
    let letter = options.operand(0).unwrap_or_default();
    let operands = options.operands.get(1..).unwrap_or_default();
    let Some((file, sources)) = operands.split_first() else {
        return outcome;
    };
    let glued = |prefix: &str| {
        let mut args = call.args.iter();
        args.find_map(|arg| arg.text.strip_prefix(prefix).map(str::to_owned))
    };
    match letter {
        "x" | "e" => {
            let last = sources.last().filter(|arg| arg.text.ends_with('/'));
            let folder =
                glued("-o").filter(|folder| !folder.is_empty() && folder != "+" && folder != "-");
            let folder = folder.or_else(|| last.map(|arg| arg.text.clone()));
            extract(
                call,
                folder.as_deref().unwrap_or("."),
                glued("-spf").is_some(),
                &mut outcome,
            );
        }
        "a" | "u" | "m" | "f" => {
            create(call, &file.text, sources, &mut outcome);
            if letter == "m"
                || glued("-sdel").is_some()
                || glued("-df").is_some()
                || glued("-dr").is_some()
            {
                remove_originals(call, sources, &mut outcome);
            }
        }
        _ => {}
    }
    outcome
}
