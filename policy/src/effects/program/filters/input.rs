// SPDX-License-Identifier: Apache-2.0
//! What filters read and write: files named as operands, or the standard streams.

use crate::effects::place::{Area, Place};
use crate::effects::program::{Call, Outcome};
use crate::effects::word::{Arg, Stream, Taint, UNKNOWN};
use crate::effects::{Effect, Harm, Kind};

/// Most bytes of output that are followed. Beyond it what is printed is not known.
pub(in crate::effects::program) const MOST: usize = 64 << 10;

/// What is done with the content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::effects::program) enum Use {
    /// It is printed or passed on.
    Shows,
    /// It is only tested, listed or counted.
    Looks,
}

/// The text, unless it is longer than what is followed.
pub(in crate::effects::program) fn bounded(text: String) -> Option<String> {
    (text.len() <= MOST).then_some(text)
}

/// The text, unless parts of it are only known later: for what depends on positions.
pub(in crate::effects::program) fn exact(text: &str) -> Option<&str> {
    (!text.contains(UNKNOWN)).then_some(text)
}

/// What a program reads that takes files as operands, and standard input when there are none.
pub(in crate::effects::program) fn gather(
    call: &Call,
    operands: &[&Arg],
    how: Use,
    out: &mut Outcome,
) -> Stream {
    if operands.is_empty() {
        return call.stdin.clone();
    }
    let mut whole = Stream::empty();
    for arg in operands {
        append(&mut whole, &file(call, arg, how, out));
    }
    whole
}

/// Adds one stream to the end of another.
pub(in crate::effects::program) fn append(whole: &mut Stream, part: &Stream) {
    whole.text = match (whole.text.take(), &part.text) {
        (Some(before), Some(after)) => bounded(before + after),
        _ => None,
    };
    whole.taint.join(&part.taint);
}

/// The content of one file, as far as it is known; reading a secret is an effect.
pub(in crate::effects::program) fn file(
    call: &Call,
    arg: &Arg,
    how: Use,
    out: &mut Outcome,
) -> Stream {
    let path = arg.text.as_str();
    if matches!(path, "-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0") {
        return call.stdin.clone();
    }
    let place = call.place(path);
    let found = read(call, arg);
    if found.is_none() && path == "/dev/null" {
        return Stream::empty();
    }
    let mut stream = found.unwrap_or_default();
    if path.starts_with("/dev/fd/") || path.trim_matches(UNKNOWN).is_empty() {
        // `<(curl …)`: what taints the word is what taints the content.
        stream.taint.join(&arg.taint);
    }
    if place.secret {
        out.add(touched(call, arg, how), arg);
        stream.taint.secret.get_or_insert_with(|| path.to_owned());
    } else if place.area != Area::Null && stream.taint == Taint::default() {
        stream.taint.file = Some(path.to_owned());
    }
    stream
}

/// A file's content if it can be read before the command runs.
pub(in crate::effects::program) fn read(call: &Call, arg: &Arg) -> Option<Stream> {
    if arg.glob {
        return None;
    }
    let path = call.setting.absolute(arg.whole()?, call.cwd)?;
    let mut stream = call.files.read(&path)?;
    stream.text = stream.text.and_then(bounded);
    Some(stream)
}

fn touched(call: &Call, arg: &Arg, how: Use) -> Effect {
    let passwords = ["/shadow", "/gshadow", "/shadow-", "/SAM"]
        .iter()
        .any(|end| arg.text.ends_with(end));
    let (harm, why) = match how {
        Use::Looks => (
            Harm::Low,
            "looks at a file that holds keys or passwords, without showing them",
        ),
        Use::Shows if passwords && call.place(&arg.text).area == Area::System => {
            (Harm::High, "shows the passwords of all the machine's users")
        }
        // The person's own keys, not those of the project.
        Use::Shows if own_keys(call, &arg.text) => (
            Harm::High,
            "shows keys or tokens of the person whose machine this is",
        ),
        Use::Shows => (
            Harm::Medium,
            "shows keys, tokens or passwords to whoever reads the output",
        ),
    };
    Effect::new(
        Kind::TouchSecret,
        harm,
        call.path(&arg.text),
        "secret:read",
        why,
    )
}

/// Whether a path leads to keys that are good outside of the project.
pub(in crate::effects::program) fn own_keys(call: &Call, path: &str) -> bool {
    let area = call.place(path).area;
    let name = path.rsplit('/').next().unwrap_or_default();
    let told = [
        "config",
        "known_hosts",
        "authorized_keys",
        ".npmrc",
        ".pypirc",
    ];
    let public = told.contains(&name) || name.ends_with(".pub") || name.ends_with("history");
    matches!(area, Area::Home | Area::System)
        && !public
        && (path.contains("/.") || name == "environ")
}

/// The effect of writing to a file, by where it is.
pub(in crate::effects::program) fn written(call: &Call, arg: &Arg, append: bool) -> Effect {
    let place = call.place(&arg.text);
    let kind = if place.startup {
        Kind::Persist
    } else {
        Kind::Write
    };
    let (harm, why) = write_harm(place, &arg.text, append);
    Effect::new(kind, harm, call.path(&arg.text), "file:write", why).at(arg.span)
}

fn write_harm(place: Place, path: &str, append: bool) -> (Harm, &'static str) {
    let shell = path.ends_with("rc") || path.ends_with("profile") || path.ends_with(".zshenv");
    match place.area {
        Area::Null => (Harm::None, "goes nowhere"),
        Area::Device => (Harm::Critical, "overwrites what is on a device"),
        Area::System | Area::Root => (Harm::High, "changes the system's own files"),
        Area::Home if place.startup && shell && append => (
            Harm::Medium,
            "adds to a file that every new shell of this user runs",
        ),
        _ if place.startup => (
            Harm::High,
            "what is written there runs later by itself, or lets somebody in",
        ),
        _ if place.secret => (
            Harm::Medium,
            "changes a file that holds keys, tokens or passwords",
        ),
        Area::Vcs => (Harm::Medium, "changes version control's own files"),
        Area::Outside | Area::HomeRoot | Area::Unresolved => {
            (Harm::Medium, "writes outside the workspace")
        }
        Area::Temp | Area::Build | Area::Workspace | Area::WorkspaceRoot | Area::Home => {
            (Harm::Low, "writes a file")
        }
    }
}

/// Writes `content` to the file that `arg` names: the effect, and what later commands will read.
pub(in crate::effects::program) fn write(
    call: &Call,
    arg: &Arg,
    content: &Stream,
    out: &mut Outcome,
) {
    out.effects.push(written(call, arg, false));
    save(call, arg, content.clone(), out);
}

/// The same at the end of what is there.
pub(in crate::effects::program) fn extend(
    call: &Call,
    arg: &Arg,
    content: &Stream,
    out: &mut Outcome,
) {
    out.effects.push(written(call, arg, true));
    // A file that cannot be read is mostly one that is not there yet.
    let mut whole = read(call, arg).unwrap_or_else(Stream::empty);
    append(&mut whole, content);
    save(call, arg, whole, out);
}

fn save(call: &Call, arg: &Arg, content: Stream, out: &mut Outcome) {
    if arg.is_unknown() || arg.glob || call.place(&arg.text).area == Area::Null {
        return;
    }
    if let Some(path) = call.setting.absolute(&arg.text, call.cwd) {
        out.writes.push((path, content));
    }
}
