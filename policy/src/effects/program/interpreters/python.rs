// SPDX-License-Identifier: Apache-2.0
//! Python: code, modules and scripts.

use super::super::{Call, Outcome, Run, filters};
use super::unseen::{self, Language};
use crate::effects::place::Area;
use crate::effects::word::Arg;
use crate::effects::{Effect, Harm, Kind, Target};
use crate::list::is_any;

/// Modules that change nothing, or only make files the caller names.
const HARMLESS: &str = "venv virtualenv unittest doctest compileall py_compile site this sysconfig platform tokenize ast dis \
    inspect calendar pyclbr pydoc tabnanny ensurepip turtledemo idlelib antigravity zipapp";

/// Modules that run a script or another module, given as the next operand.
const RUNNERS: &str =
    "pdb trace profile cProfile coverage ipdb debugpy viztracer memory_profiler scalene";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    let version = |name: &str| {
        let rest = call.name.strip_prefix(name)?;
        rest.chars()
            .all(|c| c.is_ascii_digit() || c == '.')
            .then_some(())
    };
    version("python").or_else(|| version("pypy")).or_else(|| {
        matches!(
            call.name,
            "py" | "ipython" | "ipython3" | "micropython" | "bpython"
        )
        .then_some(())
    })?;
    Some(python(call))
}

fn python(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    let language = Language::Code("python");
    let mut rest = call.args;
    while let [first, after @ ..] = rest {
        let text = first.text.as_str();
        if text == "-" || !text.starts_with('-') {
            break;
        }
        rest = after;
        if text == "--" {
            break;
        }
        if text.starts_with("--") {
            let idle = matches!(text, "--version" | "--help" | "--help-all" | "--help-env");
            if idle {
                return out;
            }
            rest = after
                .get(usize::from(text == "--check-hash-based-pycs")..)
                .unwrap_or_default();
            continue;
        }
        // What follows `c` or `m` in a cluster is its value.
        let Some(at) = text.find(['c', 'm', 'W', 'X', 'V', 'h', '?']) else {
            continue;
        };
        let joined = text.get(at + 1..).unwrap_or_default();
        let value = || {
            let joined = (!joined.is_empty()).then(|| Arg {
                text: joined.to_owned(),
                ..first.clone()
            });
            joined.or_else(|| after.first().cloned())
        };
        let left = after
            .get(usize::from(joined.is_empty())..)
            .unwrap_or_default();
        match text.get(at..=at) {
            Some("c") => {
                if let Some(code) = value() {
                    unseen::word(call, language, &code, left, &mut out);
                    printed(call, &mut out);
                }
                return out;
            }
            Some("m") => {
                return value().map_or_else(Outcome::default, |name| module(call, &name, left));
            }
            Some("W" | "X") => rest = left,
            _ => return out,
        }
    }
    match rest {
        [path, arguments @ ..] => script(call, path, arguments, &mut out),
        [] => {
            let at = call.args.first().cloned().unwrap_or_default();
            repl(call, language, &at, &mut out);
        }
    }
    printed(call, &mut out);
    out
}

/// Without code or script: what is piped in, or a person at a prompt.
pub(super) fn repl(call: &Call, language: Language, at: &Arg, out: &mut Outcome) {
    unseen::stdin(call, language, &[], at, out);
}

/// What it prints may be what it read.
fn printed(call: &Call, out: &mut Outcome) {
    out.stdout.taint.join(&call.stdin.taint);
}

/// A script, or a project's command line that is known by its verbs: `manage.py flush`.
pub(super) fn script(call: &Call, path: &Arg, arguments: &[Arg], out: &mut Outcome) {
    let name = path.text.rsplit('/').next().unwrap_or_default();
    if name == "manage.py" {
        let mut words = vec![Arg {
            text: name.to_owned(),
            ..path.clone()
        }];
        words.extend_from_slice(arguments);
        out.runs.push(Run::Command {
            words,
            stdin: call.stdin.clone(),
        });
        return;
    }
    unseen::script(call, Language::Code("python"), path, arguments, out);
}

fn module(call: &Call, name: &Arg, args: &[Arg]) -> Outcome {
    let mut out = Outcome::default();
    let among = |list: &str| is_any(list, &name.text);
    match name.text.as_str() {
        "http.server" | "SimpleHTTPServer" => serve(call, name, args, &mut out),
        // The same filters under another name.
        "base64" => return filter(call, "base64", args),
        "json.tool" => return filter(call, "jq", args),
        "gzip" => return filter(call, "gzip", args),
        "quopri" | "uu" => return filter(call, "uudecode", args),
        "code" | "asyncio" if args.is_empty() => {
            repl(call, Language::Code("python"), name, &mut out);
        }
        "timeit" => {
            if let Some(code) = args.iter().rfind(|arg| !arg.text.starts_with('-')) {
                unseen::word(call, Language::Code("python"), code, &[], &mut out);
            }
        }
        _ if among(RUNNERS) => {
            // Their own options come before, some of them with values.
            let at = args
                .iter()
                .position(|arg| arg.text == "-m" || arg.text.ends_with(".py"));
            let words = at.and_then(|at| args.get(at..)).unwrap_or_default();
            match words.split_first() {
                Some((flag, [inner, rest @ ..])) if flag.text == "-m" => {
                    command(call, inner, rest, &mut out);
                }
                Some((path, rest)) => script(call, path, rest, &mut out),
                None => {}
            }
        }
        _ if among(HARMLESS) => {}
        _ => {
            let local = name.text.replace('.', "/");
            let found = [format!("{local}/__main__.py"), format!("{local}.py")];
            let found = found.into_iter().find(|path| {
                let path = call.setting.absolute(path, call.cwd);
                path.is_some_and(|path| call.files.read(&path).is_some())
            });
            match found {
                Some(path) => {
                    let path = Arg {
                        text: path,
                        ..name.clone()
                    };
                    unseen::script(call, Language::Code("python"), &path, args, &mut out);
                }
                None => command(call, name, args, &mut out),
            }
        }
    }
    out
}

/// A module that is a program of the same name: `python -m pip`.
fn command(call: &Call, name: &Arg, args: &[Arg], out: &mut Outcome) {
    let first = name.text.split('.').next().unwrap_or_default();
    let first = match first {
        "awscli" => "aws",
        "pip._internal" => "pip",
        "ansible" => "ansible",
        other => other,
    };
    let mut words = vec![Arg {
        text: first.to_owned(),
        ..name.clone()
    }];
    words.extend_from_slice(args);
    out.runs.push(Run::Command {
        words,
        stdin: call.stdin.clone(),
    });
}

fn filter(call: &Call, name: &str, args: &[Arg]) -> Outcome {
    // `json.tool` has no program for its first operand, as `jq` has.
    let dot = [Arg::known(".")];
    let all;
    let args = if name == "jq" {
        all = [&dot[..], args].concat();
        all.as_slice()
    } else {
        args
    };
    let inner = Call {
        name,
        args,
        ..*call
    };
    filters::run(&inner).unwrap_or_default()
}

fn serve(call: &Call, name: &Arg, args: &[Arg], out: &mut Outcome) {
    let options = filters::scan(args, "-d --directory -b --bind -p --protocol");
    let folder = options.value(&["-d", "--directory"]).unwrap_or(".");
    let place = call.place(folder);
    let wide = place.secret || matches!(place.area, Area::Root | Area::HomeRoot | Area::System);
    let local = options
        .value(&["-b", "--bind"])
        .is_some_and(|bind| bind.starts_with("127.") || bind == "localhost" || bind == "::1");
    let harm = if wide && !local {
        Harm::High
    } else {
        Harm::Low
    };
    let target = Target::Path(folder.to_owned(), place);
    let why = "opens a port from which others can read the folder";
    out.add(
        Effect::new(Kind::Connect, harm, target, "python:http-server", why),
        name,
    );
}
