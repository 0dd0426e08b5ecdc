// SPDX-License-Identifier: Apache-2.0
//! Interpreters of other languages, by a table of their options: `perl`, `ruby`, `node`, `php`.

use super::super::filters::input::{Use, gather, written};
use super::super::{Call, Outcome, Run, filters};
use super::python::repl;
use super::unseen::{self, Language};
use crate::effects::place::Area;
use crate::effects::word::{Arg, Stream};
use crate::effects::{Effect, Harm, Kind, Target};
use crate::list::is_any;

/// A program, its language, options whose value is code, and, after a bar, options with other
/// values.
const TABLE: &str = "
    perl perl -e -E | -I
    perl5 perl -e -E | -I
    raku raku -e | -I -M
    ruby ruby -e | -I -r -C -E
    jruby ruby -e | -I -r
    irb ruby | -I -r
    node node -e --eval -p --print -pe | -r --require --import --loader --experimental-loader -C --conditions --title
    nodejs node -e --eval -p --print -pe | -r --require
    bun node -e --eval -p --print | -r --preload --cwd -c --config
    ts-node node -e --eval -p --print -pe | -r --require -P --project -O --compiler-options
    tsx node -e --eval -p --print | -r --require --import --tsconfig
    esno node | -r
    qjs node -e --eval | -I
    d8 node -e
    php php -r -B -R -E | -c -d -z -t -S -F
    php-cgi php | -c -d
    lua lua -e | -l
    luajit lua -e | -l -j
    texlua lua
    Rscript r -e | --default-packages
    R r -e | -f --file
    littler r -e
    osascript applescript -e | -l -s
    julia julia -e -E --eval --print | -L --load -p -t -C -J
    groovy groovy -e | -cp -c
    scala scala -e | -cp
    elixir elixir -e --eval | -r -pa
    erl erlang -eval | -pa -sname -name -s
    swift swift -e
    ghc haskell -e
    runghc haskell
    runhaskell haskell
    guile scheme -c | -l -L
    racket racket -e --eval | -t -l -r
    sbcl lisp --eval | --load --core
    clojure clojure -e --eval -M | -A -X -T -Sdeps
    bb clojure -e | -f
    tclsh tcl
    wish tcl
    expect tcl -c | -f
    crystal crystal
    ocaml ocaml -e | -I
    dart dart
    nim nim --eval
    jshell java
    gnuplot gnuplot -e
    octave octave --eval | --path
    matlab octave -batch -r
    kotlin kotlin -e
    gjs node -c
";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    match call.name {
        "deno" => return deno(call),
        "awk" | "gawk" | "mawk" | "nawk" | "original-awk" => return Some(awk(call)),
        // Their packages and projects are tables'.
        "bun" | "dart" | "swift" | "crystal" | "nim" if !runs_code(call) => return None,
        "R" if call.args.first().is_some_and(|arg| arg.text == "CMD") => return None,
        _ => {}
    }
    let base = call
        .name
        .trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let row = TABLE.lines().map(str::trim).find_map(|line| {
        let (name, rest) = line.split_once(' ')?;
        (name == call.name || (name == base && base.len() > 1)).then_some(rest)
    })?;
    Some(interpreter(call, row))
}

/// `bun -e …` and `bun x.ts`, not `bun install`.
fn runs_code(call: &Call) -> bool {
    call.args.first().is_some_and(|arg| {
        let script = arg.text.contains(['/', '.']) && !arg.text.starts_with('-');
        script || matches!(arg.text.as_str(), "-e" | "--eval" | "-p" | "--print" | "-")
    })
}

fn interpreter(call: &Call, row: &'static str) -> Outcome {
    let (language, rest) = row.split_once(' ').unwrap_or((row, ""));
    let (code, valued) = rest.split_once('|').unwrap_or((rest, ""));
    let code: Vec<&str> = code.split_ascii_whitespace().collect();
    let mut out = Outcome::default();
    let asked = ["--version", "-v", "-V", "--help", "-h", "--check", "-c"];
    if let [only] = call.args
        && asked.contains(&only.text.as_str())
    {
        return out;
    }
    let line = read(call.args, &code, valued);
    for text in &line.code {
        if language == "applescript" {
            shells(text, &mut out);
        }
        unseen::word(call, Language::Code(language), text, &[], &mut out);
    }
    if let Some(folder) = line.folder.as_ref().filter(|folder| wide(call, folder)) {
        let why = "opens a port from which others can read the folder";
        let target = call.path(&folder.text);
        out.add(
            Effect::new(Kind::Connect, Harm::High, target, "php:serve", why),
            folder,
        );
    }
    if let Some(address) = &line.serves {
        let target = Target::Host(address.text.clone());
        let why = "opens a port";
        out.add(
            Effect::new(Kind::Connect, Harm::Low, target, "php:serve", why),
            address,
        );
        return out;
    }
    if !line.code.is_empty() {
        over_files(call, language, &line, &mut out);
        return out;
    }
    match line.operands {
        [path, arguments @ ..] => script(call, language, path, arguments, &mut out),
        // `node --test`, `ruby --copyright`
        [] if line.long => {}
        [] => {
            let at = call.args.first().cloned().unwrap_or_default();
            repl(call, Language::Code(language), &at, &mut out);
        }
    }
    out.stdout.taint.join(&call.stdin.taint);
    out
}

/// `do shell script "…"` of AppleScript.
fn shells(code: &Arg, out: &mut Outcome) {
    for piece in code.text.split("do shell script").skip(1) {
        let text = piece.trim_start().trim_start_matches('"');
        let end = text.rfind('"').unwrap_or(text.len());
        out.runs.push(Run::Shell {
            text: like(
                code,
                &text.get(..end).unwrap_or_default().replace("\\\"", "\""),
            ),
            arguments: Vec::new(),
            stdin: Stream::empty(),
            host: None,
        });
    }
}

/// An interpreter's command line.
#[derive(Default)]
struct Line<'a> {
    code: Vec<Arg>,
    serves: Option<Arg>,
    /// `-t` of PHP: the folder it serves.
    folder: Option<Arg>,
    /// `-n`, `-p` and `-i` of Perl and Ruby: the code runs for each line of the files.
    loops: bool,
    in_place: bool,
    long: bool,
    operands: &'a [Arg],
}

fn read<'a>(args: &'a [Arg], code: &[&str], valued: &str) -> Line<'a> {
    let mut line = Line::default();
    let mut rest = args;
    while let [first, after @ ..] = rest {
        let text = first.text.as_str();
        if text == "-" || !text.starts_with('-') {
            break;
        }
        rest = after;
        if text == "--" {
            break;
        }
        let (name, joined) = match text.split_once('=') {
            Some((name, value)) if text.starts_with("--") => (name, Some(value)),
            _ => (text, None),
        };
        let is_code = |name: &str| code.contains(&name);
        let is_valued = |name: &str| is_any(valued, name);
        if is_code(name) || is_valued(name) {
            let value = joined
                .map(|value| like(first, value))
                .or_else(|| after.first().cloned());
            rest = after
                .get(usize::from(joined.is_none())..)
                .unwrap_or_default();
            if name == "-S" && code.contains(&"-r") {
                line.serves = value;
            } else if name == "-t" && code.contains(&"-r") {
                line.folder = value;
            } else if is_code(name) {
                line.code.extend(value);
            }
            continue;
        }
        if text.starts_with("--") {
            line.long = true;
            continue;
        }
        // A cluster: `-ne 'code'`, `-i.bak`, `-lpe`, `-Mstrict`, `-e'code'`.
        for (at, letter) in text.char_indices().skip(1) {
            let name = format!("-{letter}");
            line.loops |= matches!(letter, 'n' | 'p');
            line.in_place |= letter == 'i';
            let value = text.get(at + letter.len_utf8()..).unwrap_or_default();
            if is_code(&name) || is_valued(&name) {
                if value.is_empty() {
                    if is_code(&name) {
                        line.code.extend(after.first().cloned());
                    }
                    rest = after.get(1..).unwrap_or_default();
                } else if is_code(&name) {
                    line.code.push(like(first, value));
                }
                break;
            }
            // A module, a suffix or a separator takes all that is left.
            if matches!(letter, 'M' | 'm' | 'F') || (letter == 'i' && value.starts_with('.')) {
                break;
            }
        }
    }
    line.operands = rest;
    line
}

fn wide(call: &Call, folder: &Arg) -> bool {
    let place = call.place(&folder.text);
    place.secret || matches!(place.area, Area::Root | Area::HomeRoot | Area::System)
}

fn like(arg: &Arg, text: &str) -> Arg {
    Arg {
        text: text.to_owned(),
        ..arg.clone()
    }
}

/// One-liners over files: `perl -pi -e … file` writes them, `ruby -ne … file` reads them.
fn over_files(call: &Call, language: &str, line: &Line, out: &mut Outcome) {
    let loops = (line.loops || line.in_place) && matches!(language, "perl" | "ruby");
    if !loops {
        out.stdout.taint.join(&call.stdin.taint);
        return;
    }
    if line.in_place {
        for file in line.operands {
            out.effects.push(written(call, file, false));
        }
        return;
    }
    let files: Vec<&Arg> = line.operands.iter().collect();
    let input = gather(call, &files, Use::Shows, out);
    out.stdout.taint.join(&input.taint);
}

/// A script, or a project's command line that is known by its verbs: `artisan migrate:fresh`.
fn script(call: &Call, language: &'static str, path: &Arg, arguments: &[Arg], out: &mut Outcome) {
    let name = path.text.rsplit('/').next().unwrap_or_default();
    let verbs = matches!(
        (language, name),
        (
            "php",
            "artisan" | "console" | "wp-cli.phar" | "composer.phar" | "drush"
        ) | ("ruby", "rails" | "rake")
            | ("node", "ace" | "ace.js")
    );
    if !verbs {
        return unseen::script(call, Language::Code(language), path, arguments, out);
    }
    let name = match name {
        "wp-cli.phar" => "wp",
        "composer.phar" => "composer",
        name => name,
    };
    let mut words = vec![like(path, name)];
    words.extend_from_slice(arguments);
    out.runs.push(Run::Command {
        words,
        stdin: call.stdin.clone(),
    });
}

/// Programs of `awk` that do more than print; the others are filters.
fn awk(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    let awk = filters::awk_split(call.args);
    for path in &awk.scripts {
        unseen::script(call, Language::Code("awk"), path, &[], &mut out);
    }
    if let Some(program) = awk
        .program
        .filter(|program| program.is_unknown() || filters::awk_runs_code(&program.text))
    {
        unseen::word(call, Language::Code("awk"), program, &[], &mut out);
    }
    let input = gather(call, &awk.files, Use::Shows, &mut out);
    out.stdout.taint = input.taint;
    out
}

fn deno(call: &Call) -> Option<Outcome> {
    let mut out = Outcome::default();
    let Some((first, rest)) = call.args.split_first() else {
        repl(call, Language::Code("node"), &Arg::default(), &mut out);
        return Some(out);
    };
    let mut rest = rest;
    match first.text.as_str() {
        "eval" => {
            let code = rest.iter().find(|arg| !arg.text.starts_with('-'));
            if let Some(code) = code {
                unseen::word(call, Language::Code("node"), code, &[], &mut out);
            }
        }
        "run" | "serve" => {
            let valued = [
                "-c",
                "--config",
                "--import-map",
                "--cert",
                "--location",
                "--seed",
                "--env-file",
            ];
            while let [option, after @ ..] = rest {
                if !option.text.starts_with('-') || option.text == "-" {
                    break;
                }
                let skip = usize::from(valued.contains(&option.text.as_str()));
                rest = after.get(skip..).unwrap_or_default();
            }
            let (path, arguments) = rest.split_first()?;
            match path.text.split_once(':') {
                Some(("npm" | "jsr" | "http" | "https", _)) => {
                    unseen::from_url(call, path, &mut out);
                }
                _ => unseen::script(call, Language::Code("node"), path, arguments, &mut out),
            }
        }
        "task" => out.runs.push(Run::Target {
            tool: "deno",
            name: rest.first().map(|arg| arg.text.clone()).unwrap_or_default(),
        }),
        "test" | "fmt" | "lint" | "check" | "bench" | "doc" | "info" | "compile" | "cache"
        | "types" | "completions" | "coverage" | "--version" | "--help" | "repl" | "jupyter"
        | "lsp" => {}
        _ if first.text.contains(['/', '.']) && !first.text.starts_with('-') => {
            unseen::script(call, Language::Code("node"), first, rest, &mut out);
        }
        _ => return None,
    }
    Some(out)
}
