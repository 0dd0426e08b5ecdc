// SPDX-License-Identifier: Apache-2.0
//! What the words of a command add, whatever program it is: where they came from, what is in the
//! files that they name.

use super::{Call, Outcome};
use crate::effects::place::Area;
use crate::effects::word::Stream;
use crate::effects::{Effect, Harm, Kind};
use crate::list::is_any;

/// What the program would do, with that added.
pub(super) fn with(call: &Call, mut outcome: Outcome) -> Outcome {
    chosen_elsewhere(call, &mut outcome);
    if sets_up(call, &outcome) {
        outcome.stdout = Stream::empty();
    }
    if call.name == "git" {
        git(call, &mut outcome);
    }
    outcome
}

/// What `git` prints of the repository's files, and files with secrets that it is given.
fn git(call: &Call, outcome: &mut Outcome) {
    const SHOWS: &str = "show diff archive cat-file format-patch bundle";
    let mut words = call.args.iter().filter(|arg| !arg.text.starts_with('-'));
    let verb = words.next().map_or("", |arg| arg.text.as_str());
    let patches = call
        .args
        .iter()
        .any(|arg| matches!(arg.text.as_str(), "-p" | "--patch" | "-u"));
    let shows = is_any(SHOWS, verb);
    if (shows || (verb == "log" && patches)) && outcome.stdout == Stream::default() {
        outcome.stdout.taint.file = Some("the repository".to_owned());
    }
    if !matches!(verb, "add" | "stage") {
        return;
    }
    for arg in words.filter(|arg| is_kept(call, &arg.text)) {
        let why = "puts keys, tokens or passwords into the history, where they stay";
        let target = call.path(&arg.text);
        outcome.add(
            Effect::new(Kind::TouchSecret, Harm::High, target, "git:add-secret", why),
            arg,
        );
    }
}

/// Whether a file holds secrets that are good for something: not those of tests.
fn is_kept(call: &Call, path: &str) -> bool {
    const FOR_TESTS: &str =
        "test fixture example sample mock dummy spec .pub .npmrc .asc .gpg docker";
    let named = FOR_TESTS
        .split_ascii_whitespace()
        .any(|word| path.contains(word));
    call.place(path).secret && !named && call.place(path).area != Area::Temp
}

/// What is installed is what a host answered: `curl … | xargs apt-get install`.
fn chosen_elsewhere(call: &Call, outcome: &mut Outcome) {
    let words = call.args.iter().map(|arg| &arg.taint);
    let mut taints = words.chain([&call.stdin.taint]);
    let Some(host) = taints.find_map(|taint| taint.network.as_ref()) else {
        return;
    };
    for effect in &mut outcome.effects {
        if effect.kind == Kind::Install && effect.harm < Harm::High {
            effect.harm = Harm::High;
            effect.why = format!("installs what {host} answers, which nobody has seen").into();
        }
    }
}

/// What a program prints for the shell to set itself up with: `eval "$(direnv hook bash)"`. It
/// does no more than the program itself could.
fn sets_up(call: &Call, outcome: &Outcome) -> bool {
    const VERBS: &str = "hook init env shellenv activate completion completions shell-init";
    let verb = call.args.iter().find(|arg| !arg.text.starts_with('-'));
    let named = verb.is_some_and(|verb| {
        let mut verbs = VERBS.split_ascii_whitespace();
        verbs.any(|known| known == verb.text)
    });
    let plain = outcome.runs.is_empty() && outcome.effects.iter().all(|e| e.harm <= Harm::Low);
    named && plain && outcome.stdout == Stream::default() && call.args.len() <= 4
}
