// SPDX-License-Identifier: Apache-2.0
//! `find` and `fd`: what they find is not known, but where, and what names it has.
//!
//! A command they run gets a path that stands for all they may find: `./⟨unknown⟩.pyc` for
//! `find . -name '*.pyc'`, and `./*` where nothing narrows the search.

use super::super::filters::input::{Use, file, write};
use super::super::{Call, Outcome, Run};
use super::each::put;
use super::like;
use crate::effects::place::{Area, Place};
use crate::effects::word::{Arg, Stream, UNKNOWN};
use crate::effects::{Effect, Harm, Kind};
use crate::list::is_any;

/// Most commands of one `find` that are followed.
const RUNS: usize = 16;

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "find" | "gfind" | "bfs" => find(call),
        "fd" | "fdfind" => fd(call),
        _ => return None,
    })
}

/// How far an expression narrows what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Narrow {
    /// Everything below.
    Not,
    /// By age, size, owner: any name.
    Kind,
    /// By name.
    Name,
    /// Only what is empty.
    Empty,
}

/// An expression taken apart.
struct Expression<'a> {
    narrow: Narrow,
    name: Option<&'a str>,
    deletes: Option<&'a Arg>,
    commands: Vec<&'a [Arg]>,
    writes: Vec<&'a Arg>,
}

/// Tests of names, and of anything else that narrows.
const NAMES: &str = "-name -iname -path -ipath -wholename -iwholename -regex -iregex -lname -ilname -samefile \
    -inum";
const KINDS: &str = "-mtime -mmin -atime -amin -ctime -cmin -newer -anewer -cnewer -size -user -group -uid \
    -gid  -perm -links -used -fstype -context";
/// Other words that take a value.
const VALUED: &str = "-type -xtype -maxdepth -mindepth -regextype -printf -files0-from -D";

fn find(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    if matches!(call.args, [only] if matches!(only.text.as_str(), "--help" | "--version" | "-version" | "-help"))
    {
        return out;
    }
    let leading = call.args.iter().take_while(|arg| {
        matches!(arg.text.as_str(), "-H" | "-L" | "-P") || arg.text.starts_with("-O")
    });
    let args = call.args.get(leading.count()..).unwrap_or_default();
    let expression =
        |arg: &Arg| arg.text.starts_with('-') || matches!(arg.text.as_str(), "(" | ")" | "!" | ",");
    let end = args.iter().position(expression).unwrap_or(args.len());
    let (starts, rest) = args.split_at(end);
    let here = [Arg::known(".")];
    let starts = if starts.is_empty() { &here } else { starts };
    let found = read(rest);
    let paths: Vec<Arg> = starts
        .iter()
        .take(RUNS)
        .map(|start| path(start, &found))
        .collect();
    for (start, path) in starts.iter().zip(&paths) {
        if let Some(arg) = found.deletes {
            out.add(deleted(call, start, path, found.narrow), arg);
        }
        secrets(call, path, &mut out);
    }
    for words in &found.commands {
        for path in paths.iter().take(RUNS) {
            out.runs.push(Run::Command {
                words: words.iter().map(|word| put(word, "{}", path)).collect(),
                stdin: Stream::empty(),
            });
        }
    }
    for arg in &found.writes {
        write(call, arg, &Stream::default(), &mut out);
    }
    if found.commands.is_empty() && found.deletes.is_none() {
        // Never one line that is known: how many there are is not.
        let lines = starts.iter().zip(&paths).map(|(start, path)| {
            let all = format!("{}/{UNKNOWN}\n", start.text.trim_end_matches('/'));
            if path.glob {
                format!("{}\n{all}", path.text)
            } else {
                format!("{}\n", path.text)
            }
        });
        out.stdout.text = Some(lines.collect());
    }
    out
}

fn read(args: &[Arg]) -> Expression<'_> {
    let mut found = Expression {
        narrow: Narrow::Not,
        name: None,
        deletes: None,
        commands: Vec::new(),
        writes: Vec::new(),
    };
    let mut rest = args;
    let mut negated = false;
    while let [arg, after @ ..] = rest {
        rest = after;
        let was_negated = std::mem::take(&mut negated);
        match arg.text.as_str() {
            "!" | "-not" => negated = !was_negated,
            "-delete" => found.deletes = Some(arg),
            "-exec" | "-execdir" | "-ok" | "-okdir" => {
                let (words, left) = executed(rest);
                rest = left;
                if !words.is_empty() && found.commands.len() < RUNS {
                    found.commands.push(words);
                }
            }
            "-fprint" | "-fprint0" | "-fls" => found.writes.extend(next(&mut rest)),
            "-fprintf" => {
                found.writes.extend(next(&mut rest));
                next(&mut rest);
            }
            "-empty" if !was_negated => found.narrow = Narrow::Empty.max(found.narrow),
            "-nouser" | "-nogroup" => found.narrow = Narrow::Kind.max(found.narrow),
            word if is_any(NAMES, word) => {
                let pattern = next(&mut rest).map_or("", |arg| arg.text.as_str());
                let anything = pattern.trim_matches(['*', '.', '?', '/']).is_empty();
                if !was_negated && !anything {
                    found.narrow = Narrow::Name.max(found.narrow);
                    found.name = Some(pattern);
                }
            }
            word if is_any(KINDS, word) || word.starts_with("-newer") => {
                next(&mut rest);
                found.narrow = Narrow::Kind.max(found.narrow);
            }
            word if is_any(VALUED, word) => {
                next(&mut rest);
            }
            _ => {}
        }
    }
    found
}

/// The words up to `;` or `{} +`, and what follows.
fn executed(args: &[Arg]) -> (&[Arg], &[Arg]) {
    let mut before = "";
    let end = args.iter().position(|arg| {
        let word = arg.text.as_str();
        let ends = matches!(word, ";" | r"\;") || (word == "+" && before.contains("{}"));
        before = word;
        ends
    });
    let (words, rest) = args.split_at(end.unwrap_or(args.len()));
    (words, rest.get(1..).unwrap_or_default())
}

fn next<'a>(rest: &mut &'a [Arg]) -> Option<&'a Arg> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(first)
}

/// The path that stands for what is found under a start.
fn path(start: &Arg, found: &Expression) -> Arg {
    let folder = start.text.trim_end_matches('/');
    if found.narrow == Narrow::Not {
        let mut path = like(start, &format!("{folder}/*"));
        path.glob = true;
        return path;
    }
    let name = found.name.map(|name| {
        name.rsplit('/')
            .find(|part| !part.trim_matches(['*', '?']).is_empty())
    });
    let name = match name.flatten() {
        Some(name) => {
            let unknown = UNKNOWN.to_string();
            let name = one_of_class(name).replace(['*', '?'], &unknown);
            if name.starts_with(UNKNOWN) {
                name
            } else {
                format!("{UNKNOWN}/{name}")
            }
        }
        None => UNKNOWN.to_string(),
    };
    like(start, &format!("{folder}/{name}"))
}

/// `*.py[co]` as `*.pyc`.
fn one_of_class(name: &str) -> String {
    let mut plain = String::new();
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        if letter != '[' {
            plain.push(letter);
            continue;
        }
        plain.extend(letters.next());
        letters.by_ref().find(|letter| *letter == ']');
    }
    plain
}

/// Naming where secrets are.
fn secrets(call: &Call, path: &Arg, out: &mut Outcome) {
    if call.place(&path.text).secret {
        file(call, path, Use::Looks, out);
    }
}

/// The effect of `-delete`.
fn deleted(call: &Call, start: &Arg, path: &Arg, narrow: Narrow) -> Effect {
    let place = call.place(&start.text);
    let below = call.place(&path.text);
    let harm = delete_harm(place, below, narrow);
    let why = match narrow {
        Narrow::Not => "deletes everything under the folder, without asking",
        Narrow::Kind => "deletes files of any name by their age, size or owner",
        Narrow::Name | Narrow::Empty => "deletes the files it finds, without asking",
    };
    Effect::new(
        Kind::Delete,
        harm,
        call.path(&path.text),
        "find:delete",
        why,
    )
    .safer("the same find with -print first")
}

fn delete_harm(start: Place, path: Place, narrow: Narrow) -> Harm {
    if path.secret || path.startup {
        return Harm::High;
    }
    // Names that tools make again, wherever they are in the workspace or at home.
    let regenerable = path.area == Area::Build;
    match (start.area, narrow) {
        (Area::Null | Area::Temp | Area::Build, _) => Harm::Low,
        (Area::Root | Area::System | Area::Device, Narrow::Not) => Harm::Critical,
        (Area::Root | Area::System | Area::Device, _) => Harm::High,
        (Area::HomeRoot, Narrow::Not) => Harm::Critical,
        (_, Narrow::Empty) => Harm::Low,
        (_, Narrow::Name) if regenerable => Harm::Low,
        (Area::Workspace, Narrow::Not) => Harm::Medium,
        (Area::Workspace, _) => Harm::Low,
        (Area::WorkspaceRoot, Narrow::Not) => Harm::High,
        (_, Narrow::Not) => Harm::High,
        (Area::HomeRoot | Area::Outside, Narrow::Kind) => Harm::High,
        _ => Harm::Medium,
    }
}

fn fd(call: &Call) -> Outcome {
    let valued = "-e --extension -t --type -E --exclude -d --max-depth --min-depth --exact-depth -c \
        --color -S --size -j --threads -o --owner --changed-within --changed-before --newer --older \
        --base-directory -C --search-path --max-results --ignore-file --path-separator --batch-size";
    // What follows `-x` is the command's up to a `;`.
    let executes = ["-x", "-X", "--exec", "--exec-batch"];
    let at = call
        .args
        .iter()
        .position(|arg| executes.contains(&arg.text.as_str()));
    let (own, command) = call.args.split_at(at.unwrap_or(call.args.len()));
    let command = command.get(1..).unwrap_or_default();
    let end = command
        .iter()
        .position(|arg| arg.text == ";" || arg.text == r"\;");
    let command = command
        .get(..end.unwrap_or(command.len()))
        .unwrap_or_default();
    let options = scanned(own, valued);
    let folders = options.operands.get(1..).unwrap_or_default();
    let pattern = options
        .operand(0)
        .filter(|pattern| !pattern.trim_matches(['.', '*', '^', '$']).is_empty());
    let end = options.value(&["-e", "--extension"]);
    let here = Arg::known(".");
    let folder = folders.first().copied().unwrap_or(&here);
    let base = folder.text.trim_end_matches('/');
    let text = match (pattern, end) {
        (_, Some(end)) => format!("{base}/{UNKNOWN}.{}", end.trim_start_matches('.')),
        (Some(_), None) => format!("{base}/{UNKNOWN}"),
        (None, None) if command.is_empty() => format!("{base}/{UNKNOWN}"),
        (None, None) => format!("{base}/*"),
    };
    let mut path = like(folder, &text);
    path.glob = text.ends_with('*');
    let mut out = Outcome::default();
    if command.is_empty() {
        out.stdout.text = Some(text + "\n");
        return out;
    }
    let marks = command.iter().any(|word| word.text.contains('{'));
    let mut words: Vec<Arg> = command.iter().map(|word| put(word, "{}", &path)).collect();
    if !marks {
        words.push(path);
    }
    out.runs.push(Run::Command {
        words,
        stdin: Stream::empty(),
    });
    out
}

fn scanned<'a>(args: &'a [Arg], valued: &str) -> super::Options<'a> {
    let valued: Vec<&str> = valued.split_ascii_whitespace().collect();
    super::Options::scan(args, &valued)
}
