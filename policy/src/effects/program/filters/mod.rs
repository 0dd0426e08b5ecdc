// SPDX-License-Identifier: Apache-2.0
//! Programs that read and print: `cat`, `grep`, `base64`, `tr`.
//!
//! What they print is computed where it is constant, so that `echo cm0gLXJmIC8K | base64 -d | sh`
//! is judged by what it runs. Where it is not, what taints it is kept: a secret stays one through
//! any number of filters.

mod awk;
mod codec;
mod cut;
mod echo;
pub(super) mod input;
mod lines;
mod looking;
mod names;
mod pattern;
mod printf;
mod search;
mod sed;
mod tr;
mod write;

#[cfg(test)]
mod tests;

pub(super) use awk::runs_code as awk_runs_code;
pub(super) use awk::split as awk_split;

use self::input::{Use, bounded, gather};
use super::options::Options;
use super::{Call, Outcome};
use crate::effects::word::{Arg, Stream};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    // Homebrew's and BSD ports' names of the GNU programs.
    let name = match call.name {
        "gsed" | "gcat" | "ghead" | "gtail" | "gtr" | "gcut" | "gsort" | "gecho" | "gbase64"
        | "gprintf" | "ggrep" | "gtee" | "gls" | "gstat" | "gtac" => call.name.get(1..)?,
        name => name,
    };
    let call = &Call { name, ..*call };
    match name {
        "echo" => Some(echo::echo(call)),
        "printf" => Some(printf::run(call)),
        "tr" => Some(tr::run(call)),
        "sed" => Some(sed::run(call)),
        "cut" => Some(cut::run(call)),
        "awk" | "gawk" | "mawk" | "nawk" | "original-awk" => awk::run(call),
        _ => lines::run(call)
            .or_else(|| codec::run(call))
            .or_else(|| search::run(call))
            .or_else(|| write::run(call))
            .or_else(|| names::run(call))
            .or_else(|| looking::run(call)),
    }
}

/// Options and operands; `valued` lists those that take a value, apart by white space.
pub(super) fn scan<'a>(args: &'a [Arg], valued: &str) -> Options<'a> {
    let valued: Vec<&str> = valued.split_ascii_whitespace().collect();
    Options::scan(args, &valued)
}

/// The value of an option as an argument of its own.
pub(super) fn value_arg(options: &Options, names: &[&str]) -> Option<Arg> {
    let mut found = options.options.iter().rev();
    let (_, arg, value) = found.find(|(name, ..)| names.contains(&name.as_str()))?;
    Some(Arg {
        text: value.clone(),
        ..(*arg)?.clone()
    })
}

/// A program that prints what it reads, changed by `change`; nothing from it is not known.
fn filter(call: &Call, operands: &[&Arg], change: impl FnOnce(&str) -> Option<String>) -> Outcome {
    let mut out = Outcome::default();
    let input = gather(call, operands, Use::Shows, &mut out);
    let text = input.text.as_deref().and_then(change).and_then(bounded);
    out.stdout = Stream {
        text,
        taint: input.taint,
    };
    out
}

/// A program that prints this and does nothing else.
fn prints(text: Option<String>) -> Outcome {
    Outcome {
        stdout: Stream {
            text: text.and_then(bounded),
            ..Stream::default()
        },
        ..Outcome::default()
    }
}
