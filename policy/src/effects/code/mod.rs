// SPDX-License-Identifier: Apache-2.0
//! What code of other languages than shell would do: Python by its syntax tree, others by calls
//! that are known for what they do.
//!
//! ```text
//! text ─► python │ generic ─► syntax ─► machine ─► calls ─► fold, methods: values
//!         awk, powershell ─────────────────┐         └────► verbs, network, remote ─► Run, Effect
//!                                          └─► Run                (rows of `tables`)
//! ```
//!
//! Most of what a program does a command does as well, so a call becomes that command
//! (`shutil.rmtree('/x')` is `rm -rf /x`) and one place judges both.

mod awk;
mod calls;
mod decode;
mod files;
mod fold;
mod functions;
mod generic;
mod machine;
mod methods;
mod names;
mod network;
mod powershell;
mod processes;
mod python;
mod remote;
mod syntax;
mod tables;
mod tcl;
mod value;
mod verbs;

#[cfg(test)]
mod tests;

use super::program::{Call, Outcome};
use super::word::{Stream, UNKNOWN};
use super::{Effect, Finding, Hard, Harm, Kind, Span, Target};
use machine::Machine;
use tables::Language;

/// Longest code that is followed. What comes after is not looked at, and that is said.
const CODE: usize = 64 << 10;

/// What a piece of code would do. `call` gives folders and files; its arguments are the script's.
/// Spans are left empty: the code's place in the action is the caller's to know.
#[must_use]
pub fn analyse(language: &str, text: &str, call: &Call) -> Outcome {
    let end = text.floor_char_boundary(CODE);
    let (seen, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let mut outcome = if text.trim() == UNKNOWN.to_string() {
        unseen()
    } else {
        match language {
            "awk" => awk::analyse(seen, call),
            "powershell" => powershell::analyse(seen),
            "tcl" => tcl::analyse(seen),
            _ => match Language::named(language) {
                Some(language) => program(language, seen, call),
                None => unread(language),
            },
        }
    };
    if !rest.is_empty() {
        outcome.findings.push(finding(
            Hard::TooMuch,
            "code that is longer than is followed",
        ));
    }
    outcome
}

fn program(language: &'static Language, text: &str, call: &Call) -> Outcome {
    let program = (language.parse)(text);
    let mut machine = Machine::new(language, call);
    machine.run(&program.body);
    machine.finish();
    machine.flush();
    let mut outcome = machine.outcome;
    // Perl and Ruby print by themselves when their options say so, which is not known here.
    let silent = matches!(language.name, "perl" | "ruby");
    let alone = call.args.is_empty() && call.stdin.text.as_deref() == Some("");
    outcome.stdout = Stream {
        text: machine
            .printed
            .filter(|text| !text.is_empty() && (alone || !silent)),
        taint: machine.printed_taint,
    };
    if program.cut {
        outcome.findings.push(finding(
            Hard::TooMuch,
            "code nested deeper than is followed",
        ));
    }
    if program.broken {
        let text = format!("text that does not parse as {}", language.name);
        outcome.findings.push(finding(Hard::Unparsed, &text));
    }
    outcome
}

/// Code of a language that nothing here reads.
fn unread(language: &str) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.effects.push(Effect::new(
        Kind::Unknown,
        Harm::Medium,
        Target::Program(language.to_owned()),
        "code:unread",
        "code of a language that is not read could do anything",
    ));
    outcome
}

/// All of the code is known only when it runs.
fn unseen() -> Outcome {
    let mut outcome = Outcome::default();
    outcome.effects.push(Effect::new(
        Kind::Execute,
        Harm::Medium,
        Target::Program(UNKNOWN.to_string()),
        "code:dynamic",
        "runs code that is only known when it runs",
    ));
    outcome.findings.push(finding(
        Hard::DynamicCode,
        "code that is only known when it runs",
    ));
    outcome
}

fn finding(hard: Hard, text: &str) -> Finding {
    Finding {
        hard,
        span: Span::default(),
        text: text.to_owned(),
    }
}
