// SPDX-License-Identifier: Apache-2.0
//! `ampoule policy explain`: features and weights, determining policies, and what would have
//! changed the verdict.

use clap::Args;
use policy::judge::Judgement;
use policy::verdict::Engine;
use serde_json::json;

use super::super::{CliError, say};
use super::ask::{Answer, Intent, Question};
use super::{CODES, shown};
use crate::folders::Folders;

/// Say what a verdict is made of, and what would have changed it
#[derive(Debug, Args)]
#[command(after_help = CODES)]
pub(in crate::cli) struct Explain {
    #[command(flatten)]
    question: Question,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(in crate::cli) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let intent = self.question.intent()?;
        let in_force = self.question.in_force(folders)?;
        let answer = self.question.judge(&in_force, &intent)?;
        let engine = &in_force.judge.engine;
        if self.json {
            let mut value = shown::json(&intent, &answer);
            let judged = whole(&answer);
            let changes = engine.what_would_change(&judged.facts);
            if let Some(object) = value.as_object_mut() {
                object.insert("would_change".to_owned(), json!(changes));
                object.insert("features".to_owned(), json!(judged.features));
                object.insert("facts".to_owned(), json!(judged.facts));
            }
            say(&value.to_string())?;
        } else {
            say(&shown::text(&intent, &answer))?;
            if let (Intent::Action(_), Answer::Action(judged)) = (&intent, &answer) {
                one(engine, judged)?;
            }
            if let Answer::Plan(plan) = &answer {
                one(engine, &plan.together)?;
            }
        }
        Ok(shown::code(shown::verdict(&answer)))
    }
}

fn whole(answer: &Answer) -> &Judgement {
    match answer {
        Answer::Action(judged) => judged,
        Answer::Plan(plan) => &plan.together,
    }
}

fn one(engine: &Engine, judged: &Judgement) -> Result<(), CliError> {
    say("\ncommands, as they would run:")?;
    for command in &judged.analysis.commands {
        say(&format!("  {}", shown::line(command)))?;
    }
    say("\nwhat the risk is made of, in log-odds:")?;
    for part in &judged.risk.contributions {
        say(&format!("  {part}"))?;
    }
    say("\npolicies that decided:")?;
    for reason in &judged.decision.determining {
        let word = match (reason.permits, reason.applies) {
            (true, true) => "permits",
            (true, false) => "does not permit",
            (false, _) => "forbids",
        };
        say(&format!(
            "  {} {word}: {} ({})",
            reason.policy, reason.text, reason.file
        ))?;
    }
    let changes = engine.what_would_change(&judged.facts);
    if !changes.is_empty() {
        say("\nwhat would have changed the verdict:")?;
    }
    for change in changes {
        let with: Vec<String> = change.with.iter().map(ToString::to_string).collect();
        say(&format!(
            "  {}, with {}",
            change.verdict.name(),
            with.join(" and ")
        ))?;
    }
    Ok(())
}
