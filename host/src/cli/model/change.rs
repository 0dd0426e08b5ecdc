// SPDX-License-Identifier: Apache-2.0
//! `ampoule model promote` and `rollback`: what only a person does.

use clap::Args;
use policy::risk::features::Features;
use policy::risk::learning::event::Event;
use policy::risk::learning::replay::{Report, pinned};

use super::super::{CliError, say};
use super::percent;
use crate::folders::Folders;
use crate::model::Models;
use crate::policies;

/// Answers that a promotion is replayed on.
const RECENT: usize = 1000;

/// Flipped verdicts that are listed.
const FLIPS: usize = 20;

/// Make what was learnt the model that judges: shows what would change, and does it with --yes
#[derive(Debug, Args)]
pub(in crate::cli) struct Promote {
    /// Do it
    #[arg(long)]
    yes: bool,
}

impl Promote {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = Models::open(folders)?;
        let learner = store.learner()?;
        let in_force = policies::load(folders, &[], None, policy::risk::Model::default())?;
        let bound = f64::from(in_force.judge.limits.wrong_allow_bound.get()) / 10_000.0;
        let mut recent: Vec<(String, Features)> = Vec::new();
        for event in store.events(learner.version().saturating_sub(RECENT as u64), u64::MAX)? {
            if let Event::Answer(answer) = event {
                recent.push((answer.task, answer.features));
            }
        }
        let features: Vec<Features> = recent
            .iter()
            .map(|(_, features)| features.clone())
            .collect();
        let report = Report::of(&learner, &pinned(learner.salt()), &features, bound);
        say(&format!(
            "replayed on {} answers and the pinned canaries",
            features.len()
        ))?;
        say(&format!(
            "asks        {} now, {} then",
            report.asks.0, report.asks.1
        ))?;
        say(&format!("asks from   {}", percent(report.ask_at)))?;
        for flip in report.flips.iter().take(FLIPS) {
            let task = recent.get(flip.recent).map_or("", |(task, _)| task);
            let (from, to) = (format!("{:?}", flip.from), format!("{:?}", flip.to));
            let what = format!("{} to {}", from.to_lowercase(), to.to_lowercase());
            say(&format!(
                "flips       {what}: answer {} of task {}",
                flip.recent + 1,
                crate::text::escaped(task)
            ))?;
        }
        if report.flips.len() > FLIPS {
            say(&format!("flips       {} in all", report.flips.len()))?;
        }
        let promotion = report.promotion(&learner);
        let promotion = promotion.map_err(|error| CliError::Usage(error.to_string()))?;
        if !self.yes {
            say("nothing has changed; --yes does it")?;
            return Ok(0);
        }
        let learner = store.learn(&[promotion], "")?;
        say(&format!("promoted at version {}", learner.version()))?;
        Ok(0)
    }
}

/// Go back to the model of an earlier promotion, or of the first day
#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// The version at the promotion; 0 for the first day
    #[arg(value_name = "VERSION")]
    to: u64,
}

impl Rollback {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        let store = Models::open(folders)?;
        let learner = store.learn(&[Event::Rollback { to: self.to }], "")?;
        say(&format!("rolled back, at version {}", learner.version()))?;
        Ok(0)
    }
}
