// SPDX-License-Identifier: Apache-2.0
//! `sed`: substitutions and selections of lines are computed; commands it runs and files it writes
//! are found in any script.

mod script;

use super::super::options::Options;
use super::super::{Call, Outcome, Run};
use super::input::{Use, bounded, file, gather, read, write};
use super::scan;
use crate::effects::word::{Arg, Stream};
use crate::effects::{Effect, Finding, Hard, Harm, Kind, Target};
use script::{Command, Script, What};

/// Most characters that a script is followed over.
const STEPS: usize = 1 << 20;

/// Edits a stream, or files in place.
pub(super) fn run(call: &Call) -> Outcome {
    let valued = "-e --expression -f --file -l --line-length";
    let options = scan(call.args, valued);
    let mut out = Outcome::default();
    let (text, files) = script_and_files(call, &options);
    let extended = options.has(&["-E", "-r", "--regexp-extended"]);
    let script = match &text {
        Some(text) => script::read(text, extended),
        None => Script::default(),
    };
    let quiet = options.has(&["-n", "--quiet", "--silent"]);
    let edit = |text: &str| text_of(&script, text, quiet).and_then(bounded);
    let dangerous = |one: &&Command| {
        matches!(one.what, What::Run(_) | What::Write(_))
            || matches!(&one.what, What::Substitute(found) if found.runs || found.file.is_some())
    };
    let arg = call
        .args
        .iter()
        .find(|arg| Some(&arg.text) == text.as_ref());
    for command in script.commands.iter().filter(dangerous) {
        note(call, command, arg.or(call.args.first()), &mut out);
    }
    let in_place = options.options.iter().any(|(name, ..)| {
        name == "-i" || name.starts_with("--in-place") || name.starts_with("-i.")
    });
    if in_place {
        for arg in files {
            let before = read(call, arg).unwrap_or_default();
            let text = before.text.as_deref().and_then(edit);
            let taint = before.taint;
            write(call, arg, &Stream { text, taint }, &mut out);
        }
        return out;
    }
    let input = gather(call, &files, Use::Shows, &mut out);
    out.stdout.text = input.text.as_deref().and_then(edit);
    out.stdout.taint = input.taint;
    out
}

/// The script, if it is known, and the files it is for.
fn script_and_files<'a>(call: &Call, options: &Options<'a>) -> (Option<String>, Vec<&'a Arg>) {
    // `sed -i ''` of BSD has an empty word for the suffix.
    let mut operands = options.operands.iter().copied();
    let mut operands: Vec<&Arg> = operands
        .by_ref()
        .filter(|arg| !arg.text.is_empty())
        .collect();
    let mut script: Option<String> = None;
    let mut known = true;
    for (name, arg, value) in &options.options {
        let piece = match (name.as_str(), arg) {
            ("-e" | "--expression", _) => Some(value.clone()),
            ("-f" | "--file", Some(arg)) => {
                let path = Arg {
                    text: value.clone(),
                    ..(*arg).clone()
                };
                file(call, &path, Use::Looks, &mut Outcome::default()).text
            }
            _ => continue,
        };
        known &= piece.is_some();
        let piece = piece.unwrap_or_default();
        script = Some(script.map_or_else(|| piece.clone(), |before| before + "\n" + &piece));
    }
    if script.is_none() && !operands.is_empty() {
        script = Some(operands.remove(0).text.clone());
    }
    (script.filter(|_| known), operands)
}

/// What a command does beside printing.
fn note(call: &Call, command: &Command, arg: Option<&Arg>, out: &mut Outcome) {
    let at = arg.map_or_else(Default::default, |arg| arg.span);
    let as_arg = |text: &str| Arg {
        text: text.to_owned(),
        span: at,
        ..Arg::default()
    };
    match &command.what {
        What::Run(text) if !text.is_empty() => out.runs.push(Run::Shell {
            text: as_arg(text),
            arguments: Vec::new(),
            stdin: Stream::empty(),
            host: None,
        }),
        What::Write(path) => write(call, &as_arg(path), &Stream::default(), out),
        What::Substitute(found) if !found.runs => {
            if let Some(path) = &found.file {
                write(call, &as_arg(path), &Stream::default(), out);
            }
        }
        _ => {
            out.findings.push(Finding {
                hard: Hard::DynamicCode,
                span: at,
                text: "sed makes commands of the lines it reads".to_owned(),
            });
            let effect = Effect::new(
                Kind::Execute,
                Harm::High,
                Target::Program("sed".to_owned()),
                "sed:execute",
                "runs the lines it makes as commands",
            );
            out.effects.push(effect.at(at));
        }
    }
}

/// The text after the script, where that can be told.
fn text_of(script: &Script, text: &str, quiet: bool) -> Option<String> {
    if script.opaque {
        return None;
    }
    let total = text.lines().count();
    let mut printed = String::new();
    let mut steps = 0;
    for (at, line) in text.lines().enumerate() {
        let mut space = line.to_owned();
        let mut kept = !quiet;
        let mut last = false;
        for command in &script.commands {
            if !command.applies(at + 1, total, &space, &mut steps)? {
                continue;
            }
            match &command.what {
                What::Delete => {
                    kept = false;
                    break;
                }
                What::Print => printed = printed + &space + "\n",
                What::Quit => last = true,
                What::Substitute(found) => {
                    let print;
                    (space, print) = found.apply(&space, &mut steps)?;
                    if print {
                        printed = printed + &space + "\n";
                    }
                }
                What::Letters(from, to) => {
                    let swap = |letter: char| {
                        let at = from.iter().position(|one| *one == letter);
                        at.and_then(|at| to.get(at)).copied().unwrap_or(letter)
                    };
                    space = space.chars().map(swap).collect();
                }
                What::Run(_) | What::Write(_) => return None,
            }
            steps += space.len();
            if steps > STEPS {
                return None;
            }
            if last || space.len() > super::input::MOST {
                break;
            }
        }
        if kept {
            printed = printed + &space + "\n";
        }
        if printed.len() > super::input::MOST {
            return None;
        }
        if last {
            break;
        }
    }
    Some(printed)
}
