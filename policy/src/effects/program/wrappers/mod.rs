// SPDX-License-Identifier: Apache-2.0
//! Programs that run another: `sudo`, `env`, `xargs`, `find -exec`.
//!
//! None of them looks inside: each says which words it runs, and with what on standard input.

mod each;
mod environment;
mod fetch;
mod find;
mod joined;
mod plain;
mod remote;
mod rights;
mod session;

#[cfg(test)]
mod tests;

pub(super) use fetch::is_known_tool;

use super::options::Options;
use super::{Call, Outcome, Run};
use crate::effects::Span;
use crate::effects::word::{Arg, Stream, Taint};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    rights::run(call)
        .or_else(|| environment::run(call))
        .or_else(|| each::run(call))
        .or_else(|| find::run(call))
        .or_else(|| remote::run(call))
        .or_else(|| session::run(call))
        .or_else(|| joined::run(call))
        .or_else(|| fetch::run(call))
        .or_else(|| plain::run(call))
}

/// A command line up to its first operand, and the rest, which is another command's.
struct Front<'a> {
    options: Options<'a>,
    rest: &'a [Arg],
}

/// Takes the options before the first operand; `valued` lists those with values, apart by white
/// space. `--` ends them.
fn front<'a>(args: &'a [Arg], valued: &str) -> Front<'a> {
    let valued: Vec<&str> = valued.split_ascii_whitespace().collect();
    let mut at = 0;
    let mut ended = false;
    while let Some(arg) = args.get(at) {
        let text = arg.text.as_str();
        if text == "--" {
            ended = true;
            break;
        }
        if text.len() < 2 || !text.starts_with('-') {
            break;
        }
        at += 1 + usize::from(takes_next(text, &valued));
    }
    let (own, rest) = args.split_at(at.min(args.len()));
    let rest = rest.get(usize::from(ended)..).unwrap_or_default();
    Front {
        options: Options::scan(own, &valued),
        rest,
    }
}

/// Whether an option's value is the next word.
fn takes_next(text: &str, valued: &[&str]) -> bool {
    if valued.contains(&text) {
        return true;
    }
    if text.starts_with("--") || text.contains('=') {
        return false;
    }
    let letters = text.char_indices().skip(1);
    let mut letters = letters.filter(|(_, letter)| {
        let mut name = [0; 5];
        let name = option(*letter, &mut name);
        valued.contains(&name)
    });
    letters
        .next()
        .is_some_and(|(at, letter)| at + letter.len_utf8() == text.len())
}

/// `-x` for `x`.
fn option(letter: char, buffer: &mut [u8; 5]) -> &str {
    let [dash, rest @ ..] = buffer;
    *dash = b'-';
    let length = letter.encode_utf8(rest).len() + 1;
    let bytes = buffer.get(..length).unwrap_or_default();
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Runs these words with the caller's standard input; nothing when there are none.
fn command(call: &Call, words: &[Arg]) -> Option<Run> {
    (!words.is_empty()).then(|| Run::Command {
        words: words.to_vec(),
        stdin: call.stdin.clone(),
    })
}

/// An outcome that runs these words and does nothing else.
fn runs(call: &Call, words: &[Arg]) -> Outcome {
    Outcome {
        runs: command(call, words).into_iter().collect(),
        ..Outcome::default()
    }
}

/// Runs a line of shell here.
fn shell(text: Arg, stdin: Stream) -> Run {
    Run::Shell {
        text,
        arguments: Vec::new(),
        stdin,
        host: None,
    }
}

/// Words as one, apart by spaces, as `ssh` and `watch` hand them to a shell.
fn joined(words: &[Arg]) -> Arg {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let mut taint = Taint::default();
    for word in words {
        taint.join(&word.taint);
    }
    Arg {
        text: texts.join(" "),
        glob: words.iter().any(|word| word.glob),
        taint,
        span: Span {
            start: words.first().map_or(0, |word| word.span.start),
            end: words.last().map_or(0, |word| word.span.end),
        },
    }
}

/// A word in place of another, which it came from.
fn like(arg: &Arg, text: &str) -> Arg {
    Arg {
        text: text.to_owned(),
        ..arg.clone()
    }
}

/// `NAME=value`.
fn assigns(arg: &Arg) -> bool {
    let name = arg.text.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Without assignments at its beginning.
fn after_assignments(words: &[Arg]) -> &[Arg] {
    let count = words.iter().take_while(|word| assigns(word)).count();
    words.get(count..).unwrap_or_default()
}

/// Something is piped in, known or not.
fn piped(stdin: &Stream) -> bool {
    let nothing = stdin.text.as_deref().map(str::trim) == Some("");
    !nothing
}
