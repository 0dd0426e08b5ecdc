// SPDX-License-Identifier: Apache-2.0
//! A judgement for people and for programs. What the agent wrote is escaped: nothing in it moves
//! the cursor, hides or turns the text around it.

use std::fmt::Write;

use policy::action::{Act, Action};
use policy::effects::{Effect, Finding, Target};
use policy::judge::Judgement;
use policy::risk::State;
use policy::verdict::Verdict;
use serde_json::{Value, json};

use super::ask::{Answer, Intent};
use super::{ASK, DENY};
use crate::text::escaped;

/// Effects and findings that are shown to people, each; JSON has all.
const SHOWN: usize = 20;

/// Characters of the agent's text in a line.
const WIDTH: usize = 100;

/// The exit code.
pub(super) fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 0,
        Verdict::Ask => ASK,
        Verdict::Deny => DENY,
    }
}

pub(super) fn verdict(answer: &Answer) -> Verdict {
    match answer {
        Answer::Action(judged) => judged.decision.verdict,
        Answer::Plan(plan) => plan.verdict(),
    }
}

/// For programs: one object.
pub(super) fn json(intent: &Intent, answer: &Answer) -> Value {
    match (intent, answer) {
        (Intent::Action(action), Answer::Action(judged)) => {
            let mut value = judgement(judged);
            insert(&mut value, "action", json!(action));
            value
        }
        (Intent::Plan(plan), Answer::Plan(judged)) => {
            let steps = plan
                .actions
                .iter()
                .zip(&judged.steps)
                .map(|(action, step)| {
                    let mut value = judgement(step);
                    insert(&mut value, "action", json!(action));
                    value
                });
            json!({
                "verdict": judged.verdict().name(),
                "goal": plan.goal,
                "steps": steps.collect::<Vec<_>>(),
                "together": judgement(&judged.together),
            })
        }
        _ => Value::Null,
    }
}

pub(super) fn insert(value: &mut Value, key: &str, with: Value) {
    if let Some(object) = value.as_object_mut() {
        object.insert(key.to_owned(), with);
    }
}

fn judgement(judged: &Judgement) -> Value {
    let risk = &judged.risk;
    let drivers = risk
        .contributions
        .iter()
        .map(|driver| json!({ "what": driver.words, "log_odds": driver.amount }));
    json!({
        "verdict": judged.decision.verdict.name(),
        "risk": {
            "probability_bps": risk.probability_bps(),
            "upper_bps": risk.upper_bps(),
            "ask_threshold_bps": judged.facts.risk.ask_threshold.get(),
            "state": state(&risk.state),
            "drivers": drivers.collect::<Vec<_>>(),
        },
        "effects": judged.analysis.effects,
        "findings": judged.analysis.findings,
        "commands": judged.analysis.commands,
        "scripts": judged.analysis.scripts,
        "blast_radius": judged.blast,
        "determining": judged.decision.determining,
        "errors": judged.decision.errors,
    })
}

fn state(state: &State) -> &'static str {
    match state {
        State::Valid => "valid",
        State::Degraded(_) => "degraded",
        State::Void(_) => "void",
    }
}

/// For people.
pub(super) fn text(intent: &Intent, answer: &Answer) -> String {
    let mut text = String::new();
    match (intent, answer) {
        (Intent::Action(action), Answer::Action(judged)) => {
            one(&mut text, judged);
            reason(&mut text, action);
        }
        (Intent::Plan(plan), Answer::Plan(judged)) => {
            let steps = judged.steps.len();
            let _ = writeln!(text, "{}: a plan of {steps} steps", judged.verdict().name());
            for (at, (action, step)) in plan.actions.iter().zip(&judged.steps).enumerate() {
                let what = line(&command(action));
                let _ = writeln!(text, "\nstep {}: {what}", at + 1);
                one(&mut text, step);
                reason(&mut text, action);
            }
            let _ = writeln!(text, "\ntogether:");
            one(&mut text, &judged.together);
        }
        _ => {}
    }
    text.truncate(text.trim_end().len());
    text
}

/// The agent's words, marked as such.
fn reason(text: &mut String, action: &Action) {
    if let Some(reason) = &action.reason {
        let _ = writeln!(text, "the agent says: \"{}\"", line(reason));
    }
}

fn one(text: &mut String, judged: &Judgement) {
    let decision = &judged.decision;
    let _ = writeln!(text, "{}: {}", decision.verdict.name(), because(judged));
    let risk = &judged.risk;
    let percent = |bps: u16| f64::from(bps) / 100.0;
    let _ = writeln!(
        text,
        "risk {:.0} %, at most {:.0} %; asked about from {:.0} %",
        percent(risk.probability_bps()),
        percent(risk.upper_bps()),
        percent(judged.facts.risk.ask_threshold.get()),
    );
    if let State::Void(reason) | State::Degraded(reason) = &risk.state {
        let _ = writeln!(text, "the model is {}: {reason:?}", state(&risk.state));
    }
    let effects = &judged.analysis.effects;
    let mut ordered: Vec<&Effect> = effects.iter().collect();
    ordered.sort_by_key(|effect| std::cmp::Reverse(effect.harm));
    for effect in ordered.iter().take(SHOWN) {
        let _ = writeln!(text, "  {}", of_effect(effect));
    }
    if let Some(more) = effects.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} more effects (--json has all)");
    }
    for finding in judged.analysis.findings.iter().take(SHOWN) {
        let _ = writeln!(text, "  {}", of_finding(finding));
    }
    for line in judged.blast.iter().flat_map(policy::blast::Blast::summary) {
        let _ = writeln!(text, "reach: {line}");
    }
    for reason in &decision.determining {
        let idle = reason.permits && !reason.applies;
        let word = if idle { " does not permit it" } else { "" };
        let _ = writeln!(text, "policy: {}{word} ({})", reason.policy, reason.file);
    }
    for error in &decision.errors {
        let policy = error.policy.as_deref().unwrap_or("policies");
        let _ = writeln!(
            text,
            "policy: {policy} failed, so it is denied: {}",
            line(&error.text)
        );
    }
    if decision.verdict != Verdict::Allow {
        for safer in safer(judged) {
            let _ = writeln!(text, "safer: {safer}");
        }
    }
}

/// Why, in one sentence: what the policy says that decided; what the worst effect does where it is
/// the risk that is asked about.
pub(super) fn because(judged: &Judgement) -> String {
    let decision = &judged.decision;
    if !decision.errors.is_empty() {
        return "a policy could not be evaluated".to_owned();
    }
    let Some(first) = decision.determining.first() else {
        return "no policy permits it".to_owned();
    };
    let worst = judged
        .analysis
        .effects
        .iter()
        .max_by_key(|effect| effect.harm);
    match worst {
        Some(worst) if first.permits && !first.applies => line(&worst.why),
        _ => first.text.clone(),
    }
}

/// What would do the same with less risk, by tables and policies.
pub(super) fn safer(judged: &Judgement) -> Vec<String> {
    let effects = judged
        .analysis
        .effects
        .iter()
        .filter_map(|effect| effect.safer.as_deref());
    let policies = judged
        .decision
        .determining
        .iter()
        .filter_map(|reason| reason.safer.as_deref());
    let mut all: Vec<String> = Vec::new();
    for safer in effects.chain(policies) {
        if !all.iter().any(|known| known == safer) && all.len() < 3 {
            all.push(safer.to_owned());
        }
    }
    all
}

/// `deletes  high  src: removes … (rm:recursive, through sudo)`.
pub(super) fn of_effect(effect: &Effect) -> String {
    let kind = word(&effect.kind);
    let harm = word(&effect.harm);
    let target = match &effect.target {
        Target::Path(path, _) => line(path),
        Target::Host(name)
        | Target::Package(name)
        | Target::Program(name)
        | Target::System(name) => line(name),
        Target::Resource(kind, name) => format!("{kind} {}", line(name)).trim_end().to_owned(),
        Target::Nothing => String::new(),
    };
    let via = if effect.via.is_empty() {
        String::new()
    } else {
        format!(", through {}", line(&effect.via.join(" > ")))
    };
    let target = if target.is_empty() {
        target
    } else {
        format!("{target}: ")
    };
    format!(
        "{kind:<12} {harm:<8} {target}{} ({}{via})",
        line(&effect.why),
        line(&effect.rule)
    )
}

fn of_finding(finding: &Finding) -> String {
    format!("{:<12} {:<8} {}", "hard to read", "", line(&finding.text))
}

/// A value's name as JSON has it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// What an action does, as a person would type it.
pub(super) fn command(action: &Action) -> String {
    match &action.act {
        Act::Exec(argv) => argv.join(" "),
        Act::Shell(text) => text.clone(),
        Act::Write(write) => format!("write {}", write.path),
        Act::Patch(_) => "patch".to_owned(),
        Act::Delete(paths) => format!("delete {}", paths.join(" ")),
        Act::Request(request) => format!("{} {}", request.method, request.url),
        Act::Install(install) => {
            format!("{} install {}", install.manager, install.packages.join(" "))
        }
    }
}

/// The agent's text in a line of its own.
pub(super) fn line(text: &str) -> String {
    let text = text.replace(policy::effects::word::UNKNOWN, "…");
    let shown: String = escaped(&text).chars().take(WIDTH).collect();
    if shown.chars().count() < WIDTH {
        shown
    } else {
        format!("{shown}…")
    }
}
