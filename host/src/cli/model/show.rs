// SPDX-License-Identifier: Apache-2.0
//! `ampoule model show` and `export`.

use clap::Args;
use policy::risk::conformal::Status;
use policy::risk::learning::event::{Asked, Event};
use policy::risk::state::State;
use serde_json::json;

use super::super::{CliError, say};
use super::percent;
use crate::folders::Folders;
use crate::model::Models;
use crate::policies;

/// Show how much the model has learnt, and how far the bound on wrong allows is held
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = Models::open(folders)?;
        let learner = store.learner()?;
        let state = store.state(&learner, "")?;
        let counts = Counts::of(&store.events(0, u64::MAX)?);
        let limits = policies::load(folders, &[], None, policy::risk::Model::default())?;
        let bound = f64::from(limits.judge.limits.wrong_allow_bound.get()) / 10_000.0;
        let certificate = learner.certificate(bound);
        let model = learner.model(state.clone());
        if self.json {
            let value = json!({
                "version": learner.version(),
                "state": state,
                "ask_at": model.ask_at(),
                "answers": { "approved": counts.approved, "refused": counts.refused },
                "audits": { "fine": counts.fine, "wrong": counts.wrong },
                "promotions": counts.promotions,
                "certificate": certificate_json(&certificate, bound),
                "file": store.path().display().to_string(),
            });
            say(&value.to_string())?;
            return Ok(0);
        }
        say(&format!("version     {} events", learner.version()))?;
        say(&format!("state       {}", state_text(&state)))?;
        say(&format!(
            "asks from   {} (upper bound of the risk)",
            percent(model.ask_at())
        ))?;
        say(&format!(
            "answers     {} approved, {} refused",
            counts.approved, counts.refused
        ))?;
        say(&format!(
            "audits      {} fine, {} should have been refused",
            counts.fine, counts.wrong
        ))?;
        say(&format!("promotions  {}", counts.promotions))?;
        say(&format!(
            "bound       {}",
            certificate_text(&certificate, bound)
        ))?;
        Ok(0)
    }
}

fn state_text(state: &State) -> String {
    let because = |reasons: &[policy::risk::state::Reason]| {
        let reasons = reasons.iter().map(ToString::to_string);
        reasons.collect::<Vec<_>>().join("; ")
    };
    match state {
        State::Valid => "valid".to_owned(),
        State::Degraded(reasons) => format!("degraded, it only tightens: {}", because(reasons)),
        State::Void(reasons) => format!("void, everything is asked about: {}", because(reasons)),
    }
}

fn certificate_text(status: &Status, bound: f64) -> String {
    let bound = percent(bound);
    match status {
        Status::NotYetCertified {
            audits,
            upper_bound,
            needed,
        } => format!(
            "wrong allows under {bound}: not yet certified; at most {} by {audits} audits, {needed} more needed",
            percent(*upper_bound)
        ),
        Status::Certified {
            audits,
            upper_bound,
            threshold,
        } => format!(
            "wrong allows under {bound}: certified by {audits} audits when asking begins at {}; at most {}",
            percent(*threshold),
            percent(*upper_bound)
        ),
    }
}

fn certificate_json(status: &Status, bound: f64) -> serde_json::Value {
    match status {
        Status::NotYetCertified {
            audits,
            upper_bound,
            needed,
        } => json!({
            "bound": bound, "certified": false, "audits": audits, "upper_bound": upper_bound,
            "needed": needed,
        }),
        Status::Certified {
            audits,
            upper_bound,
            threshold,
        } => json!({
            "bound": bound, "certified": true, "audits": audits, "upper_bound": upper_bound,
            "threshold": threshold,
        }),
    }
}

/// What events there are.
#[derive(Debug, Default)]
struct Counts {
    approved: u64,
    refused: u64,
    fine: u64,
    wrong: u64,
    promotions: u64,
}

impl Counts {
    fn of(events: &[Event]) -> Self {
        let mut counts = Self::default();
        for event in events {
            let count = match event {
                Event::Answer(answer) => match (answer.asked, answer.refused) {
                    (Asked::Before, false) => &mut counts.approved,
                    (Asked::Before, true) => &mut counts.refused,
                    (Asked::After { .. }, false) => &mut counts.fine,
                    (Asked::After { .. }, true) => &mut counts.wrong,
                },
                Event::Promotion { .. } => &mut counts.promotions,
                Event::Rollback { .. } => continue,
            };
            *count += 1;
        }
        counts
    }
}

/// Write the events the model is made of, one line of JSON each
///
/// They hold hashed words of actions, which are the team's own: keep them in the team.
#[derive(Debug, Args)]
pub(in crate::cli) struct Export {}

impl Export {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        for event in Models::open(folders)?.events(0, u64::MAX)? {
            say(&json!(event).to_string())?;
        }
        Ok(0)
    }
}
