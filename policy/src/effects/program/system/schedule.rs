// SPDX-License-Identifier: Apache-2.0
//! What runs later: `crontab`.

use super::super::super::word::Arg;
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::{Call, Outcome, Run};
use super::rows::scan;

/// Most commands of a table of jobs that are followed.
const JOBS: usize = 32;

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    match call.name {
        "crontab" | "fcrontab" => Some(crontab(call)),
        "atrm" => {
            let mut outcome = Outcome::default();
            if let Some(arg) = call.args.first() {
                let target = Target::System("jobs".to_owned());
                let why = "a job would not run";
                outcome.add(
                    Effect::new(Kind::Delete, Harm::Medium, target, "schedule:remove", why),
                    arg,
                );
            }
            Some(outcome)
        }
        _ => None,
    }
}

fn crontab(call: &Call) -> Outcome {
    let options = scan(call, "-u -s -n -c -p");
    let mut outcome = Outcome::default();
    let arg = call.args.first().cloned().unwrap_or_default();
    let target = || Target::System("crontab".to_owned());
    if options.has(&["-r", "-d"]) {
        let why = "every job of the table would be lost";
        let effect = Effect::new(
            Kind::Delete,
            Harm::High,
            target(),
            "schedule:remove-all",
            why,
        );
        outcome.add(effect.safer("keep them first: crontab -l > jobs.bak"), &arg);
        return outcome;
    }
    if options.has_exactly(&["-l", "-T", "-V", "-h", "--help", "--version", "-x"]) {
        return outcome;
    }
    let why = "what is in the table runs again and again from then on";
    outcome.add(
        Effect::new(Kind::Persist, Harm::High, target(), "schedule:add", why),
        &arg,
    );
    let table = match options.operand(0) {
        None | Some("-") => call.stdin.text.clone(),
        Some(path) => {
            let whole = call.setting.absolute(path, call.cwd);
            let found = whole.and_then(|path| call.files.read(&path));
            found.and_then(|stream| stream.text)
        }
    };
    if !options.has(&["-e"]) {
        let lines = table.as_deref().unwrap_or_default().lines();
        outcome.runs.extend(lines.filter_map(job).take(JOBS));
    }
    outcome
}

/// The command of a line: five fields of time before it, or one that begins with `@`.
fn job(line: &str) -> Option<Run> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let fields = if line.starts_with('@') { 1 } else { 5 };
    let mut rest = line;
    for _ in 0..fields {
        let (_, after) = rest.split_once(char::is_whitespace)?;
        rest = after.trim_start();
    }
    Some(Run::Shell {
        text: Arg::known(rest),
        arguments: Vec::new(),
        stdin: super::super::super::word::Stream::default(),
        host: None,
    })
}
