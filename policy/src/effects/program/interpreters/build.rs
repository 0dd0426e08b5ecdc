// SPDX-License-Identifier: Apache-2.0
//! Programs that run what a build file says: `make`, `just`, `npm run`. A target has no effect by
//! itself; `script` looks into the file.

use super::super::filters::scan;
use super::super::{Call, Outcome, Run, wrappers};
use super::unseen;
use crate::effects::word::{Arg, Stream, UNKNOWN};
use crate::effects::{Harm, Span};
use crate::list::is_any;

/// What it would do, or nothing when the program or subcommand is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    match call.name {
        "make" | "gmake" | "bmake" | "mingw32-make" | "remake" => Some(make(call)),
        "just" => Some(just(call)),
        "task" | "go-task" => Some(task(call)),
        "rake" => Some(targets(
            call,
            "rake",
            "-f --rakefile -C --directory -I --libdir -j --jobs -r -e -E -p",
        )),
        "ninja" | "samu" => Some(targets(call, "ninja", "-C -f -j -k -l -d -t -w")),
        "npm" => npm(call),
        "pnpm" | "yarn" | "bun" => package_manager(call),
        _ => None,
    }
}

fn target(tool: &'static str, name: &str) -> Run {
    Run::Target {
        tool,
        name: name.to_owned(),
    }
}

/// Words that ask what would be done.
const DRY: &[&str] = &[
    "-n",
    "--dry-run",
    "--just-print",
    "--recon",
    "--help",
    "--version",
    "-h",
];

fn make(call: &Call) -> Outcome {
    let valued = "-C --directory -f --file --makefile -I --include-dir -o --old-file --assume-old -W --what-if \
        --new-file --assume-new --eval -E";
    let options = scan(call.args, valued);
    let mut out = Outcome::default();
    for (name, arg, value) in &options.options {
        let Some(arg) = *arg else { continue };
        match (name.as_str(), value.as_str()) {
            // Functions of `$(shell …)` run as the text is read, even with `-n`.
            ("--eval" | "-E", text) => evaluated(call, arg, text, &mut out),
            ("-f" | "--file" | "--makefile", "-") => {
                if let Some(text) = &call.stdin.text {
                    evaluated(call, arg, text, &mut out);
                } else {
                    unseen::made(call, Harm::High, arg, &mut out);
                }
            }
            _ => {}
        }
    }
    if options.has_exactly(DRY) || options.has_exactly(&["-q", "--question", "-v"]) {
        return out;
    }
    if let Some(folder) = options
        .value(&["-C", "--directory"])
        .filter(|_| call.name == "make")
    {
        // As if it had been started there.
        let targets = options.operands.iter().map(|arg| arg.text.as_str());
        let targets = targets
            .filter(|text| !text.contains('='))
            .collect::<Vec<_>>()
            .join(" ");
        out.runs.push(Run::Shell {
            text: Arg::known(&format!("cd {folder} && make {targets}")),
            arguments: Vec::new(),
            stdin: Stream::empty(),
            host: None,
        });
        return out;
    }
    // `-j 4` is the only option whose value may be left out.
    let mut after_jobs = false;
    let mut names = Vec::new();
    for arg in call.args {
        let jobs = std::mem::replace(
            &mut after_jobs,
            arg.text.ends_with('j') || arg.text == "--jobs",
        );
        let number = arg.text.chars().all(|c| c.is_ascii_digit());
        let operand = options.operands.iter().any(|one| std::ptr::eq(*one, arg));
        if operand && !(jobs && number) && !arg.text.contains('=') {
            names.push(arg.text.as_str());
        }
    }
    if names.is_empty() {
        names.push("");
    }
    out.runs
        .extend(names.into_iter().map(|name| target("make", name)));
    out
}

/// Text of a makefile on the command line: the lines of its recipes and `$(shell …)`.
fn evaluated(call: &Call, arg: &Arg, text: &str, out: &mut Outcome) {
    let mut rest = text;
    let mut shells = Vec::new();
    while let Some((_, after)) = rest.split_once("$(shell ") {
        let end = after.find(')').unwrap_or(after.len());
        shells.push(after.get(..end).unwrap_or_default().to_owned());
        rest = after.get(end..).unwrap_or_default();
    }
    let recipes = text.lines().filter_map(|line| {
        let line = line
            .strip_prefix('\t')
            .or_else(|| line.split_once(';').map(|(_, line)| line))?;
        Some(
            line.trim_start_matches(['@', '-', '+', ' '])
                .replace("$$", "$"),
        )
    });
    shells.extend(recipes);
    if shells.is_empty() && text.contains(UNKNOWN) {
        unseen::made(call, Harm::Medium, arg, out);
    }
    for text in shells {
        out.runs.push(Run::Shell {
            text: Arg {
                text,
                glob: false,
                span: arg.span,
                taint: arg.taint.clone(),
            },
            arguments: Vec::new(),
            stdin: Stream::empty(),
            host: None,
        });
    }
}

/// Tools whose operands are all targets, or assign variables.
fn targets(call: &Call, tool: &'static str, valued: &str) -> Outcome {
    let options = scan(call.args, valued);
    let mut out = Outcome::default();
    if tool == "ninja" && options.has(&["-t"]) {
        return out;
    }
    if options.has_exactly(DRY)
        || (tool == "rake" && options.has(&["-T", "-P", "--tasks", "--prereqs"]))
    {
        return out;
    }
    if tool == "rake" {
        for (name, arg, code) in &options.options {
            if let ("-e" | "-E" | "-p", Some(arg)) = (name.as_str(), arg) {
                out.runs.push(Run::Code {
                    language: "ruby",
                    text: Arg {
                        text: code.clone(),
                        ..(*arg).clone()
                    },
                });
            }
        }
    }
    let names = options
        .operands
        .iter()
        .filter(|arg| !arg.text.contains('='));
    // `rake db:drop[x]`
    let names = names.map(|arg| arg.text.split('[').next().unwrap_or_default());
    out.runs.extend(names.map(|name| target(tool, name)));
    if out.runs.is_empty() {
        out.runs.push(target(tool, ""));
    }
    out
}

/// `just recipe arguments`.
fn just(call: &Call) -> Outcome {
    let valued = "-f --justfile -d --working-directory --shell --shell-arg --color --chooser --dotenv-path \
        --dotenv-filename -E --command-color --tempdir";
    let options = scan(call.args, valued);
    let mut out = Outcome::default();
    let looks = "-l --list -s --show --summary --evaluate --dump --fmt --variables --init --edit -e \
        --groups --changelog --man --completions --usage";
    let looks: Vec<&str> = looks.split_ascii_whitespace().collect();
    if options.has_exactly(&["-c", "--command"]) {
        let words = call
            .args
            .iter()
            .skip_while(|arg| !matches!(arg.text.as_str(), "-c" | "--command"));
        let words: Vec<Arg> = words.skip(1).cloned().collect();
        if !words.is_empty() {
            out.runs.push(Run::Command {
                words,
                stdin: call.stdin.clone(),
            });
        }
        return out;
    }
    if options.has_exactly(DRY) || options.has_exactly(&looks) {
        return out;
    }
    let name = options.operands.iter().find(|arg| !arg.text.contains('='));
    out.runs
        .push(target("just", name.map_or("", |arg| arg.text.as_str())));
    out
}

/// `task a b -- arguments`.
fn task(call: &Call) -> Outcome {
    let end = call.args.iter().position(|arg| arg.text == "--");
    let own = call
        .args
        .get(..end.unwrap_or(call.args.len()))
        .unwrap_or_default();
    let options = scan(
        own,
        "-t --taskfile -d --dir -o --output -C --concurrency -I --interval --sort",
    );
    let mut out = Outcome::default();
    let looks = [
        "-l",
        "--list",
        "-a",
        "--list-all",
        "--summary",
        "--status",
        "-i",
        "--init",
    ];
    if options.has_exactly(DRY) || options.has_exactly(&looks) {
        return out;
    }
    let names = options
        .operands
        .iter()
        .filter(|arg| !arg.text.contains('='));
    out.runs.extend(names.map(|arg| target("task", &arg.text)));
    if out.runs.is_empty() {
        out.runs.push(target("task", ""));
    }
    out
}

const NODE_OPTIONS: &str = "-C --dir --prefix --filter -F --filter-prod --cwd -w --workspace --loglevel --userconfig \
    --registry --script-shell --env-file --config -c";

fn npm(call: &Call) -> Option<Outcome> {
    let options = scan(call.args, NODE_OPTIONS);
    let mut out = Outcome::default();
    let name = match options.operand(0)? {
        "run" | "run-script" | "rum" | "urn" => match options.operand(1) {
            Some(name) => name,
            // The scripts there are.
            None => return Some(out),
        },
        "test" | "t" | "tst" => "test",
        name @ ("start" | "stop" | "restart" | "build") => name,
        _ => return None,
    };
    out.runs.push(target("npm", name));
    Some(out)
}

/// `yarn prisma …` runs a program of the project's, unless a script has that name.
fn is_program(call: &Call, name: &str) -> bool {
    let scripts = "build serve dev start test lint format clean check deploy release docs";
    if is_any(scripts, name) {
        return false;
    }
    let path = call.setting.absolute("package.json", call.cwd);
    let file = path.and_then(|path| call.files.read(&path));
    match file.and_then(|file| file.text) {
        Some(text) => !text.contains(&format!("\"{name}\"")),
        None => wrappers::is_known_tool(name),
    }
}

/// Commands of the package managers themselves; any other word is a script.
const COMMANDS: &str = "add install i ci remove rm uninstall un upgrade up update publish unpublish pack link ln unlink audit \
    outdated list ls ll la why info view config cache create init import dedupe dlx exec x node npm login \
    logout owner tag team version versions whoami workspaces plugin plugins patch patch-commit patch-remove \
    set bin global help licenses policies prune rebuild rb root store env setup deploy fetch doctor self-update \
    server completion completions constraints generate-lock-entry check autoclean access deprecate dist-tag \
    star stars search s se find token pm discover upgrade-interactive recursive m multi c set-script get \
    approve-builds ignored-builds self catalog repl install-test it cat-file cat-index find-hash create-workspace \
    bugs docs repo ping profile hook org adduser unstar shrinkwrap fund explain edit explore diff";

fn package_manager(call: &Call) -> Option<Outcome> {
    let options = scan(call.args, NODE_OPTIONS);
    let mut words = options.operands.as_slice();
    if let [first, _, rest @ ..] = words
        && call.name == "yarn"
        && first.text == "workspace"
    {
        words = rest;
    }
    let first = words.first()?.text.as_str();
    let mut out = Outcome::default();
    let tool = match call.name {
        "pnpm" => "pnpm",
        "yarn" => "yarn",
        _ => "bun",
    };
    let name = match first {
        "run" | "run-script" => match words.get(1) {
            Some(name) => name.text.as_str(),
            None => return Some(out),
        },
        "test" | "t" if tool == "bun" => return Some(out),
        "test" | "t" => "test",
        "start" | "stop" | "restart" => first,
        // `yarn build` is a script; `bun build` bundles.
        "build" if tool == "bun" => return Some(out),
        _ if is_any(COMMANDS, first) => {
            return None;
        }
        // One of its own that is not known yet, or a program: nothing to look into here.
        _ if first.contains(UNKNOWN) => return None,
        name => name,
    };
    if is_program(call, name) {
        out.runs.push(Run::Command {
            words: call
                .args
                .iter()
                .skip_while(|arg| arg.text != name)
                .cloned()
                .collect(),
            stdin: call.stdin.clone(),
        });
        return Some(out);
    }
    if tool == "bun" && name.contains(['/', '.']) {
        out.runs.push(Run::File {
            language: "node",
            path: Arg {
                text: name.to_owned(),
                span: words.first().map_or_else(Span::default, |arg| arg.span),
                ..Arg::default()
            },
            arguments: Vec::new(),
        });
        return Some(out);
    }
    out.runs.push(target(tool, name));
    Some(out)
}
