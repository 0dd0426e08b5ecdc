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

/// Lets the model learn from the last decision of an item.
///
/// # Errors
///
/// The model cannot be read or written. The decision stands all the same.
pub fn from_decision(folders: &Folders, item: &Item) -> Result<(), ModelError> {
    let Some(portion) = item.last() else {
        return Ok(());
    };
    let Some(decision) = &portion.decision else {
        return Ok(());
    };
    let refused = match decision.state {
        State::Approved => false,
        State::Denied => true,
        // A no that nobody thought about teaches nothing.
        _ => return Ok(()),
    };
    if item.subject() != Subject::Action {
        return Ok(());
    }
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
            latency_ms: decision.latency_ms.unwrap_or_default(),
            shown: u32::try_from(shown).unwrap_or(u32::MAX),
            asked: Asked::Before,
            version: learner.version(),
        })
    });
    let answers: Vec<Event> = answers.collect();
    store.learn(&answers, "")?;
    Ok(())
}
