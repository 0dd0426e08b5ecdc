// SPDX-License-Identifier: Apache-2.0
//! Traces of what was done: the shell's history, the journal.

use super::super::super::word::Arg;
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::system::rows::scan;
use super::super::{Call, Outcome};

/// What it does to traces, or nothing when the command is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    match call.name {
        "history" => Some(history(call)),
        "journalctl" => Some(journal(call)),
        "unset" | "export" | "declare" | "typeset" | "readonly" | "set" | "local" => {
            variables(call)
        }
        "logrotate" => Some(logrotate(call)),
        _ => None,
    }
}

const WHY: &str = "the record of typed commands would be lost";

fn hides(arg: &Arg, what: &str, why: &'static str) -> Effect {
    let target = Target::System(what.to_owned());
    Effect::new(Kind::Obfuscate, Harm::High, target, "traces:hide", why).at(arg.span)
}

fn history(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    let options = scan(call, "-d");
    let clears = options.has(&["-c", "-d", "--delete", "--clear"])
        || matches!(
            options.operand(0),
            Some("clear" | "delete" | "clear-session")
        );
    if let Some(arg) = call.args.first().filter(|_| clears) {
        outcome.effects.push(hides(arg, "history", WHY));
    }
    outcome
}

/// Variables that decide whether commands are recorded.
fn variables(call: &Call) -> Option<Outcome> {
    let mut outcome = Outcome::default();
    for arg in call.args {
        let (name, value) = arg.text.split_once('=').unwrap_or((&arg.text, ""));
        let hidden = match name {
            "HISTFILE" => {
                call.name == "unset"
                    || value.is_empty() && arg.text.contains('=')
                    || value == "/dev/null"
            }
            "HISTSIZE" | "HISTFILESIZE" | "SAVEHIST" => value == "0",
            "HISTIGNORE" => value == "*",
            "history" => {
                call.name == "set" && call.args.first().is_some_and(|arg| arg.text == "+o")
            }
            _ => false,
        };
        if hidden {
            outcome.effects.push(hides(arg, "history", WHY));
        }
    }
    (!outcome.effects.is_empty()).then_some(outcome)
}

fn journal(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    if let Some(arg) = call.args.iter().find(|arg| arg.text.starts_with("--vac")) {
        outcome
            .effects
            .push(hides(arg, "journal", "logs tell what happened"));
    }
    outcome
}

fn logrotate(call: &Call) -> Outcome {
    let options = scan(call, "-s --state -m --mail -l --log");
    let mut outcome = Outcome::default();
    if !options.has_exactly(&["-d", "--debug", "--help", "--version"])
        && let Some(arg) = call.args.first()
    {
        let target = Target::System("logs".to_owned());
        let why = "old logs would go";
        outcome.add(
            Effect::new(Kind::Delete, Harm::Medium, target, "traces:rotate", why),
            arg,
        );
    }
    outcome
}
