// SPDX-License-Identifier: Apache-2.0
//! Programs that print what their arguments say: `basename`, `pwd`, `seq`, `which`.

use super::super::{Call, Outcome};
use super::{prints, scan};
use crate::effects::word::UNKNOWN;

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "basename" => prints(basename(call)),
        "dirname" => prints(dirname(call)),
        "realpath" | "readlink" | "grealpath" | "greadlink" => prints(realpath(call)),
        "pwd" => prints(call.cwd.map(|folder| format!("{folder}\n"))),
        "mktemp" | "gmktemp" => prints(mktemp(call)),
        "seq" | "gseq" => prints(seq(call)),
        "yes" => prints(Some(yes(call))),
        "expr" => prints(expr(call)),
        "which" => prints(which(call).map(|names| installed(&names))),
        "type" | "whereis" | "hash" | "whence" => prints(which(call)),
        "command" if looks_up(call) => prints(which(call).map(|names| installed(&names))),
        _ => return None,
    })
}

/// `command -v x` prints where `x` is; `command x` runs it.
fn looks_up(call: &Call) -> bool {
    let flags = call.args.iter().map(|arg| arg.text.as_str());
    let mut flags = flags.take_while(|text| text.starts_with('-') && *text != "--");
    flags.any(|flag| flag.contains(['v', 'V']))
}

/// The names themselves, so that `$(which rm) x` is judged as `rm x`.
fn which(call: &Call) -> Option<String> {
    let options = scan(call.args, "");
    let mut names = String::new();
    for arg in options.operands {
        names.push_str(arg.whole()?);
        names.push('\n');
    }
    Some(names)
}

/// Their paths, as if all were installed in one place.
fn installed(names: &str) -> String {
    let path = |name: &str| match name.contains(['/', UNKNOWN]) {
        true => format!("{name}\n"),
        false => format!("/usr/bin/{name}\n"),
    };
    names.lines().map(path).collect()
}

fn basename(call: &Call) -> Option<String> {
    let options = scan(call.args, "-s --suffix");
    let path = options.operand(0)?;
    let suffix = options
        .value(&["-s", "--suffix"])
        .or_else(|| options.operand(1));
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    let name = suffix
        .and_then(|end| name.strip_suffix(end))
        .unwrap_or(name);
    Some(format!("{name}\n"))
}

fn dirname(call: &Call) -> Option<String> {
    let options = scan(call.args, "");
    let path = options.operand(0)?;
    if path.starts_with(UNKNOWN) {
        return None;
    }
    let path = path.trim_end_matches('/');
    let folder = match path.rsplit_once('/') {
        None => ".",
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
    };
    Some(format!("{folder}\n"))
}

fn realpath(call: &Call) -> Option<String> {
    let options = scan(call.args, "--relative-to --relative-base");
    let follows = call.name.ends_with("realpath") || options.has(&["-f", "-e", "-m"]);
    if !follows || options.has(&["--relative-to", "--relative-base"]) {
        return None;
    }
    let path = call.setting.absolute(options.operand(0)?, call.cwd)?;
    Some(format!("{path}\n"))
}

/// The name is new, but where it is can be told.
fn mktemp(call: &Call) -> Option<String> {
    let options = scan(call.args, "-p --tmpdir --suffix");
    let folder = options.value(&["-p", "--tmpdir"]).unwrap_or("/tmp");
    let name = match options.operand(0) {
        None => format!("{folder}/{UNKNOWN}"),
        Some(template) => {
            let stem = template.trim_end_matches('X');
            let inside = options.has(&["-t", "-p", "--tmpdir"]) && !stem.starts_with('/');
            let folder = if inside {
                format!("{folder}/")
            } else {
                String::new()
            };
            format!("{folder}{stem}{UNKNOWN}")
        }
    };
    Some(name + "\n")
}

fn seq(call: &Call) -> Option<String> {
    let options = scan(call.args, "-s --separator -f --format");
    if options.has(&["-w", "-f", "--format"]) {
        return None;
    }
    let numbers: Option<Vec<i64>> = call
        .args
        .iter()
        .filter(|arg| arg.text.parse::<f64>().is_ok())
        .map(|arg| arg.text.parse().ok())
        .collect();
    let (from, step, to) = match *numbers?.as_slice() {
        [to] => (1, 1, to),
        [from, to] => (from, 1, to),
        [from, step, to] => (from, step, to),
        _ => return None,
    };
    let separator = options.value(&["-s", "--separator"]).unwrap_or("\n");
    let (mut found, mut length) = (Vec::new(), 0);
    let mut value = from;
    while step != 0 && (if step > 0 { value <= to } else { value >= to }) {
        found.push(value.to_string());
        length += separator.len() + 1;
        if length > super::input::MOST {
            return None;
        }
        value = value.checked_add(step)?;
    }
    Some(found.join(separator) + "\n")
}

fn yes(call: &Call) -> String {
    let words: Vec<&str> = call.args.iter().map(|arg| arg.text.as_str()).collect();
    let line = if words.is_empty() {
        "y\n".to_owned()
    } else {
        words.join(" ") + "\n"
    };
    // Without end; as many as anybody reads.
    line.repeat(64.min(super::input::MOST / line.len().max(1)))
}

fn expr(call: &Call) -> Option<String> {
    let words: Vec<&str> = call.args.iter().map(|arg| arg.text.as_str()).collect();
    let [left, operator, right] = *words.as_slice() else {
        return None;
    };
    let (left, right) = (left.parse::<i64>().ok()?, right.parse::<i64>().ok()?);
    let value = match operator {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        "/" => left.checked_div(right),
        "%" => left.checked_rem(right),
        _ => None,
    }?;
    Some(format!("{value}\n"))
}
