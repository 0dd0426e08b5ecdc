// SPDX-License-Identifier: Apache-2.0
//! What a decided approval teaches the model: an answer for each action that was decided with it.

use policy::approval::item::{Item, State, Subject, line};
use policy::blast::Blast;
use policy::judge;
use policy::risk::features::Features;
use policy::risk::learning::event::{Answer, Asked, Event};
use policy::risk::{Context, Inputs};

use super::{ModelError, Models};
use crate::folders::Folders;

/// Lets the model learn from an approval that was just given.
///
/// # Errors
///
/// The model cannot be read or written. The decision stands all the same.
pub fn approved(folders: &Folders, item: &Item) -> Result<(), ModelError> {
    let decision = item.last().and_then(|portion| portion.decision.as_ref());
    match decision {
        Some(decision) if decision.state == State::Approved => {
            let latency = decision.latency_ms.unwrap_or_default();
            answer(folders, item, false, latency)
        }
        _ => Ok(()),
    }
}

/// Lets the model learn from a denial, before it is recorded: what tightens must not be lost
/// between the two, and what is learnt once too often only tightens.
///
/// # Errors
///
/// The model cannot be read or written.
pub fn denying(folders: &Folders, item: &Item) -> Result<(), ModelError> {
    if item.state().waits() {
        return answer(folders, item, true, 0);
    }
    Ok(())
}

fn answer(
    folders: &Folders,
    item: &Item,
    refused: bool,
    latency_ms: u64,
) -> Result<(), ModelError> {
    let Some(portion) = item.last().filter(|_| item.subject() == Subject::Action) else {
        return Ok(());
    };
    let store = Models::open(folders)?;
    let learner = store.learner()?;
    let salt = learner.salt();
    let answers = portion.questions.iter().map(|question| {
        let blast: Option<Blast> = serde_json::from_value(question.blast.clone())
            .ok()
            .flatten();
        let reach = blast.as_ref().map(judge::reach);
        let inputs = Inputs {
            analysis: &question.analysis,
            reach: reach.as_ref(),
            context: Context::default(),
        };
        let shown = line(&question.action).chars().count();
        Event::Answer(Answer {
            task: item.task().to_owned(),
            features: Features::of(&inputs, salt),
            refused,
            latency_ms,
            shown: u32::try_from(shown).unwrap_or(u32::MAX),
            asked: Asked::Before,
            version: learner.version(),
        })
    });
    let answers: Vec<Event> = answers.collect();
    store.learn(&answers, "")?;
    Ok(())
}
