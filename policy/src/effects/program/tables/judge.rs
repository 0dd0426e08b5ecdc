// SPDX-License-Identifier: Apache-2.0
//! A command against its tool's table.

use super::super::super::word::{Arg, UNKNOWN};
use super::super::super::{Effect, Finding, Hard, Harm, Kind, Span, Target};
use super::super::{Call, Outcome, lexicon};
use super::line::{ARGS, Line};
use super::rule::{Rule, secret};
use super::table::{TargetKind, Tool};

/// Most targets of one rule that are told apart.
const TARGETS: usize = 16;

/// What the command would do.
pub(super) fn judge(tool: &Tool, call: &Call) -> Outcome {
    let doubled: Vec<Arg>;
    let mut args = call.args;
    if tool.one_dash {
        doubled = args.iter().map(double).collect();
        args = &doubled;
    }
    let line = Line::read(tool, args);
    let mut outcome = Outcome::default();
    if line.cut {
        outcome.findings.push(Finding {
            hard: Hard::TooMuch,
            span: call.args.first().map_or(Span::default(), |arg| arg.span),
            text: format!("more than {ARGS} arguments"),
        });
    }
    if harmless(tool, &line) {
        let target = Target::Program(tool.name.clone());
        let name = format!("{}:harmless", tool.name);
        let why = "only tells what it would do";
        outcome
            .effects
            .push(Effect::new(Kind::Read, Harm::None, target, name, why));
        return outcome;
    }
    let ruled = rules(tool, &line, call, &mut outcome);
    let coded = super::code::add(tool, &line, call, &mut outcome);
    if !ruled {
        rest(tool, &line, call, coded, &mut outcome);
    }
    alike(tool, &line, call, &mut outcome);
    if production(call.args) {
        for effect in &mut outcome.effects {
            let mut rules = tool.rules.iter();
            if !rules.any(|rule| rule.steady && effect.rule == rule.name) {
                raise(effect);
            }
        }
    }
    outcome
}

/// `-auto-approve` as `--auto-approve`, so that no letter of it is read as an option.
fn double(arg: &Arg) -> Arg {
    let mut arg = arg.clone();
    let long = arg.text.len() > 2 && !arg.text.starts_with("--");
    if long && arg.text.starts_with('-') {
        arg.text.insert(0, '-');
    }
    arg
}

/// `--help` anywhere, `--version` and its like alone, or what the table says.
fn harmless(tool: &Tool, line: &Line) -> bool {
    let lone = |(name, value, _): &(String, Option<&Arg>, String)| {
        let asks = ["-h", "-V", "-v", "--version", "-version"];
        value.is_none() && asks.contains(&name.as_str())
    };
    let alone = line.words.is_empty() && line.rest.is_empty();
    line.has_exactly(&["--help".to_owned()])
        || line.has_exactly(&tool.harmless)
        || (alone && line.options.options.len() == 1 && line.options.options.iter().any(lone))
}

/// Whether a rule spoke that others need not follow.
fn rules(tool: &Tool, line: &Line, call: &Call, outcome: &mut Outcome) -> bool {
    for rule in &tool.rules {
        let Some(length) = rule.matches(line, call) else {
            continue;
        };
        speak(tool, rule, line, length, (call, outcome));
        if !rule.also {
            return true;
        }
    }
    false
}

fn speak(tool: &Tool, rule: &Rule, line: &Line, length: usize, to: (&Call, &mut Outcome)) {
    let (call, outcome) = to;
    let span = span(line, length, call);
    for target in targets(tool, &rule.target, line, length, call) {
        let mut effect = Effect::new(
            rule.kind,
            rule.harm,
            target,
            rule.name.clone(),
            rule.why.clone(),
        );
        effect.safer = rule.safer.clone().map(Into::into);
        outcome.effects.push(effect.at(span));
    }
    if matches!(rule.kind, Kind::Send | Kind::Publish) && secret(line, length, call) {
        let name = format!("{}:sends-secret", tool.name);
        let why = "a file that holds keys, tokens or passwords leaves the machine";
        let target = Target::Resource(tool.resource.clone().into(), String::new());
        let effect = Effect::new(Kind::Send, Harm::High, target, name, why);
        outcome.effects.push(effect.at(span));
    }
}

/// The word that decided: the last one of the sub-command.
fn span(line: &Line, length: usize, call: &Call) -> Span {
    let at = length.saturating_sub(1);
    let word = line.options.operands.get(at).copied();
    let first = word.filter(|_| length > 0).or(call.args.first());
    first.map_or(Span::default(), |arg| arg.span)
}

fn targets(tool: &Tool, kind: &TargetKind, line: &Line, length: usize, call: &Call) -> Vec<Target> {
    let kind = match kind {
        TargetKind::Default => &tool.target,
        kind => kind,
    };
    let resource = |name: &str| Target::Resource(tool.resource.clone().into(), name.to_owned());
    let make: Box<dyn Fn(&str) -> Target> = match kind {
        TargetKind::Path => Box::new(|text| call.path(text)),
        TargetKind::Package => Box::new(|text| Target::Package(text.to_owned())),
        TargetKind::Host => Box::new(|text| Target::Host(text.to_owned())),
        TargetKind::Program => return vec![Target::Program(tool.name.clone())],
        TargetKind::System => return vec![Target::System(tool.name.clone())],
        TargetKind::Nothing => return vec![Target::Nothing],
        _ => Box::new(resource),
    };
    let operands = line.options.operands.iter().skip(length);
    let named: Vec<Target> = match kind {
        TargetKind::Option(names) => line
            .values(names)
            .iter()
            .take(TARGETS)
            .map(|arg| make(&arg.text))
            .collect(),
        _ => operands.take(TARGETS).map(|arg| make(&arg.text)).collect(),
    };
    if named.is_empty() {
        return vec![resource("")];
    }
    named
}

/// What no rule speaks of.
fn rest(tool: &Tool, line: &Line, call: &Call, coded: bool, outcome: &mut Outcome) {
    let say = |kind, harm, id: &str, why: &'static str, length| {
        let target = targets(tool, &TargetKind::Default, line, length, call);
        let target = target.into_iter().next().unwrap_or(Target::Nothing);
        let name = format!("{}:{id}", tool.name);
        Effect::new(kind, harm, target, name, why).at(span(line, length, call))
    };
    let listed = |paths: &super::pattern::Paths| {
        let length = paths.length(&line.words);
        length.filter(|_| !paths.is_empty())
    };
    let dynamic = call.args.iter().take(ARGS).any(Arg::is_unknown)
        && line
            .words
            .first()
            .is_some_and(|word| word.contains(UNKNOWN));
    let effect = if dynamic && tool.otherwise.is_none() {
        let why = "a sub-command that is known only when it runs";
        say(Kind::Unknown, Harm::Medium, "dynamic", why, 0)
    } else if let Some(length) =
        listed(&tool.reads).filter(|length| *length > 1 || !goes_on(line, 1))
    {
        say(Kind::Read, Harm::None, "reads", "only looks", length)
    } else if let Some(length) = listed(&tool.changes).filter(|length| !goes_on(line, *length)) {
        say(
            Kind::Write,
            Harm::Low,
            "changes",
            "a routine change",
            length,
        )
    } else if let Some((kind, harm)) = tool.otherwise {
        let mut effect = say(kind, harm, "other", "a use that no rule speaks of", 0);
        if effect.target == Target::Nothing {
            effect.target = Target::Resource(tool.resource.clone().into(), String::new());
        }
        effect
    } else if line.words.is_empty() || coded {
        say(Kind::Read, Harm::None, "reads", "does nothing by itself", 0)
    } else {
        let other = lexicon::judge(call, &tool.name, &line.options);
        outcome.effects.extend(other.effects);
        outcome.findings.extend(other.findings);
        return;
    };
    outcome.effects.push(effect);
}

/// What tools call alike everywhere, whatever their tables say: `backup protection disable`,
/// `rsync --delete-unmatched-objects`.
fn alike(tool: &Tool, line: &Line, call: &Call, outcome: &mut Outcome) {
    let known = outcome.effects.iter().map(|effect| effect.harm).max();
    let (kind, id, why) = if known == Some(Harm::None) || known >= Some(Harm::High) {
        return;
    } else if lexicon::switches_off(&line.words) {
        let why = "switches a protection off, or a backup, or the record of what was done";
        (Kind::Disrupt, "switches-off", why)
    } else if lexicon::flag_deletes(&line.options) {
        let why = "an option of it says that it deletes";
        (Kind::Delete, "option-deletes", why)
    } else {
        return;
    };
    let target = Target::Resource(tool.resource.clone().into(), String::new());
    let name = format!("{}:{id}", tool.name);
    let effect = Effect::new(kind, Harm::High, target, name, why);
    outcome.effects.push(effect.at(span(line, 1, call)));
}

/// Whether the listed sub-command has one of its own that says it deletes: `run wipe` is not `run`.
fn goes_on(line: &Line, length: usize) -> bool {
    let next = line.words.get(length).filter(|_| !line.dashes);
    next.is_some_and(|word| lexicon::deletes(word))
}

/// Whether an argument names what others depend on. Free text names nothing: a message, a comment.
fn production(args: &[Arg]) -> bool {
    let args = args.iter().take(ARGS);
    args.filter(|arg| arg.text.len() <= 200 && !arg.text.contains(char::is_whitespace))
        .filter(|arg| arg.text.starts_with('-') || !arg.text.contains('='))
        .any(|arg| {
            let mut words = arg.text.split(|c: char| !c.is_ascii_alphanumeric());
            words.any(|word| {
                let is = |wanted: &str| word.eq_ignore_ascii_case(wanted);
                is("prod") || is("production") || is("prd")
            })
        })
}

/// What most people would let run elsewhere is asked about there.
fn raise(effect: &mut Effect) {
    let kind = matches!(
        effect.kind,
        Kind::Delete | Kind::Disrupt | Kind::Publish | Kind::Escalate
    );
    if kind && effect.harm == Harm::Medium {
        effect.harm = Harm::High;
    }
}
