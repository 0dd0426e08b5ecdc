// SPDX-License-Identifier: Apache-2.0
//! Programs that nothing is known of, judged by the words on their command line.
//!
//! An unknown program is unknown, not safe: there is always an effect that says so. Beyond that,
//! people who write tools use the same few verbs, so `foo cluster:destroy prod --yes` can be read
//! without knowing `foo`. Only sub-commands are read: bare words before the first one that looks
//! like a path, a number or free text, so that a file called `delete.md` or a message does not
//! count.

mod inner;
mod words;

use super::options::Options;
use super::{Call, Outcome};
use crate::effects::place::Area;
use crate::effects::{Effect, Harm, Kind, Target};

use words::{Said, Verb};

/// Most arguments that are looked at for paths and addresses.
const ARGS: usize = 512;

/// What it may do. Never nothing: unknown is not safe.
pub(super) fn run(call: &Call) -> Outcome {
    let options = Options::scan(call.args, &[]);
    let mut outcome = judge(call, call.name, &options);
    if !harmless(&options) {
        outcome.runs.extend(inner::commands(call.args));
    }
    outcome
}

/// A target of a build file that could not be read: its name may say what it does.
pub(super) fn named(call: &Call) -> Option<Effect> {
    let options = Options::scan(call.args, &[]);
    let said = Said::read(call.name, &options, call.args);
    verbs(&said, call.name)
}

/// Whether an option in two words says that something is deleted: `--delete-excluded`.
pub(super) fn flag_deletes(options: &Options) -> bool {
    words::flag_deletes(options)
}

/// Whether sub-commands say that a protection is switched off.
pub(super) fn switches_off(sub_commands: &[String]) -> bool {
    words::switches_off(sub_commands)
}

/// Whether a sub-command leaves no doubt that it takes away.
pub(super) fn deletes(word: &str) -> bool {
    words::deletes(word)
}

/// The same for a sub-command that its tool's table does not know.
pub(super) fn judge(call: &Call, tool: &str, options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    let unknown = Effect::new(
        Kind::Unknown,
        Harm::Low,
        target(tool),
        "lexicon:unknown",
        "nothing is known of this program or sub-command",
    );
    push(&mut outcome, call, unknown);
    arguments(call, tool, options, &mut outcome);
    if harmless(options) {
        return outcome;
    }
    let said = Said::read(tool, options, call.args);
    for effect in [verbs(&said, tool), rights(&said, tool)] {
        outcome.effects.extend(effect);
    }
    outcome.effects.extend(inner::statements(call.args));
    let span = outcome.effects.first().map(|effect| effect.span);
    for effect in &mut outcome.effects {
        effect.span = span.unwrap_or_default();
    }
    outcome
}

fn target(tool: &str) -> Target {
    Target::Program(tool.to_owned())
}

fn push(outcome: &mut Outcome, call: &Call, effect: Effect) {
    match call.args.first() {
        Some(arg) => outcome.add(effect, arg),
        None => outcome.effects.push(effect),
    }
}

/// Options after which a program tells what it would do, or about itself.
fn harmless(options: &Options) -> bool {
    let alone = options.operands.is_empty();
    let off = options.has_exactly(&["--no-dry-run"])
        || options.options.iter().any(|(name, value, text)| {
            value.is_some() && name == "--dry-run" && matches!(text.as_str(), "none" | "false")
        });
    let plan = options.has_exactly(&[
        "--help",
        "--dry-run",
        "--dryrun",
        "--check",
        "--plan",
        "--list",
        "--simulate",
        "--what-if",
        "--whatif",
        "--no-op",
        "--noop",
    ]);
    (plan && !off) || (alone && options.has_exactly(&["-h", "--version", "-V", "-v"]))
}

/// Verbs of deletion, publication, disruption, weighed with what they are said of.
fn verbs(said: &Said, tool: &str) -> Option<Effect> {
    let score = said.score();
    let (kind, rule, why) = match said.verb {
        Verb::None | Verb::Looks => return None,
        Verb::Destroys | Verb::Deletes | Verb::Removes | Verb::Clears => (
            Kind::Delete,
            "lexicon:deletes",
            "its words speak of deleting",
        ),
        Verb::Issues | Verb::Publishes => (
            Kind::Publish,
            "lexicon:publishes",
            "its words speak of making something visible to others",
        ),
        Verb::Disrupts => (
            Kind::Disrupt,
            "lexicon:disrupts",
            "its words speak of stopping or undoing what others may use",
        ),
    };
    let harm = match score {
        ..2 => Harm::Low,
        2..6 => Harm::Medium,
        6.. => Harm::High,
    };
    let effect = Effect::new(kind, harm, target(tool), rule, why);
    let safer = "look at what it would do first: --help, --dry-run, a listing";
    Some(if harm >= Harm::High {
        effect.safer(safer)
    } else {
        effect
    })
}

/// Words of rights, protections, keys.
fn rights(said: &Said, tool: &str) -> Option<Effect> {
    let (kind, harm, rule, why) = if said.unprotects {
        let why = "its words speak of switching a protection off";
        (Kind::Disrupt, Harm::High, "lexicon:unprotects", why)
    } else if said.grants {
        let harm = if said.mighty {
            Harm::High
        } else {
            Harm::Medium
        };
        let why = "its words speak of giving rights away";
        (Kind::Escalate, harm, "lexicon:grants", why)
    } else if said.secret && said.verb != Verb::Looks {
        let why = "its words speak of keys, tokens or passwords";
        (Kind::TouchSecret, Harm::Medium, "lexicon:secret", why)
    } else {
        return None;
    };
    Some(Effect::new(kind, harm, target(tool), rule, why))
}

/// What the arguments name: secrets, addresses, devices.
fn arguments(call: &Call, tool: &str, options: &Options, outcome: &mut Outcome) {
    let said = Said::read(tool, options, call.args);
    let mut address = None;
    let mut secret = None;
    for arg in call.args.iter().take(ARGS) {
        let text = value(&arg.text);
        if let Some(host) = host(text) {
            address = address.or(Some(host));
            continue;
        }
        let place = call.place(text.trim_start_matches('@'));
        if place.secret && !text.is_empty() {
            secret = secret.or(Some((text, arg)));
        }
        let whole = matches!(place.area, Area::Device | Area::Root | Area::HomeRoot);
        if said.destroys() && pathlike(text) && (whole || place.area == Area::System) {
            let why = "its words speak of deleting, and it is given this place";
            let effect = Effect::new(
                Kind::Delete,
                Harm::High,
                call.path(text),
                "lexicon:place",
                why,
            );
            outcome.add(effect, arg);
        }
    }
    if let Some(host) = address {
        let why = "it is given an address";
        let target = Target::Host(host.to_owned());
        let effect = Effect::new(Kind::Connect, Harm::Low, target, "lexicon:address", why);
        push(outcome, call, effect);
    }
    let stdin = call.stdin.taint.secret.as_deref();
    let first = call.args.first();
    let secret = secret.or_else(|| stdin.zip(first));
    if let Some((path, arg)) = secret {
        let sends = address.is_some() || said.sends;
        outcome.add(touches(call, path, sends), arg);
    }
}

fn touches(call: &Call, path: &str, sends: bool) -> Effect {
    let (kind, harm, rule, why) = if sends {
        let why = "a program that nothing is known of may send keys, tokens or passwords away";
        (Kind::Send, Harm::High, "lexicon:sends-secret", why)
    } else {
        let why = "a program that nothing is known of is given keys, tokens or passwords";
        let harm = if super::filters::input::own_keys(call, path) {
            Harm::High
        } else {
            Harm::Medium
        };
        (Kind::TouchSecret, harm, "lexicon:reads-secret", why)
    };
    Effect::new(kind, harm, call.path(path), rule, why)
}

/// An option's joined value, or the word itself.
fn value(text: &str) -> &str {
    match text.split_once('=') {
        Some((name, value)) if name.starts_with('-') => value,
        _ if text.starts_with('-') => "",
        _ => text,
    }
}

fn pathlike(text: &str) -> bool {
    text.starts_with(['/', '~', '.'])
}

/// The host of an address.
fn host(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let known = ["http", "https", "ftp", "ftps", "ws", "wss", "ssh", "tcp"];
    if !known.contains(&scheme.to_ascii_lowercase().as_str()) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    Some(host)
}

#[cfg(test)]
mod tests;
