// SPDX-License-Identifier: Apache-2.0
//! `ampoule policy check --ask TASK`: what is to be asked goes into the queue of approvals, as a
//! task's gate would put it there, and an approval given before is taken into account.

use std::collections::BTreeSet;

use policy::action::Action;
use policy::approval::desk::{self, Answer};
use policy::approval::item::{Question, Risk, Rules, State};
use policy::approval::root::{Ask, Budget};
use policy::approval::store::Filter;
use policy::approval::{Binding, Scope, Store, similar};
use policy::effects::place::Setting;
use policy::judge::Judgement;
use policy::verdict::{Limits, Verdict};

use super::super::CliError;
use crate::approvals::{Approvals, ApprovalsError, new_id, now_ms, who};
use crate::folders::Folders;

/// How long an ask of the command line waits for an answer.
const WAIT_MS: u64 = 60 * 60 * 1000;

/// What became of an ask.
#[derive(Debug)]
pub(super) struct Asked {
    /// The verdict with what people said before.
    pub(super) verdict: Verdict,
    /// In words, with the approval's id.
    pub(super) said: String,
}

/// Asks people about an action.
pub(super) fn ask(
    folders: &Folders,
    task: &str,
    (action, judged): (&Action, &Judgement),
    setting: &Setting,
    limits: &Limits,
) -> Result<Asked, CliError> {
    let store = Approvals::open(folders)?;
    let question = question(&store, action, judged, setting)?;
    let now = now_ms();
    let ask = Ask {
        id: new_id()?,
        task: task.to_owned(),
        // The same action again is the same root: that is how an approval is found again.
        root: question.binding.to_string(),
        requester: who().ok(),
        rules: Rules {
            quorum: u8::try_from(limits.quorum).unwrap_or(u8::MAX),
            another: limits.another_reviewer_required,
            hours: u32::from(limits.grant_max_hours),
        },
        question,
        deadline_ms: now.saturating_add(WAIT_MS),
    };
    let budget = Budget {
        asks: u32::from(limits.ask_budget.count),
        window_ms: u64::from(limits.ask_budget.minutes).saturating_mul(60_000),
    };
    let answer = desk::ask(&store, &ask, &budget, now).map_err(ApprovalsError::from)?;
    Ok(said(answer))
}

/// What a person is shown.
fn question(
    store: &Approvals,
    action: &Action,
    judged: &Judgement,
    setting: &Setting,
) -> Result<Question, CliError> {
    let items = store.list(&Filter::default());
    let items: Vec<_> = items
        .map_err(ApprovalsError::from)?
        .into_iter()
        .flatten()
        .collect();
    let analysis = &judged.analysis;
    let reasons = judged.decision.determining.iter();
    let asks = reasons.filter(|reason| !reason.applies || !reason.permits);
    let drivers = judged.risk.contributions.iter().map(ToString::to_string);
    Ok(Question {
        action: action.clone(),
        analysis: analysis.clone(),
        binding: Binding::of(action, analysis, None),
        scope: Scope::of(analysis, setting, action.cwd.as_deref()),
        blast: serde_json::to_value(&judged.blast).unwrap_or_default(),
        risk: Risk {
            basis_points: Some(judged.risk.probability_bps()),
            drivers: drivers.take(5).collect(),
        },
        similar: similar::among(&items, analysis),
        policies: asks
            .map(|reason| reason.policy.clone())
            .collect::<BTreeSet<_>>(),
    })
}

fn said(answer: Answer) -> Asked {
    match answer {
        Answer::Covered(grant) => Asked {
            verdict: Verdict::Allow,
            said: format!("approved: {grant}"),
        },
        Answer::Waiting(id, _) => Asked {
            verdict: Verdict::Ask,
            said: format!("waits for a person: ampoule approvals show {id}"),
        },
        Answer::Refused(id, state) => Asked {
            verdict: Verdict::Deny,
            said: match state {
                State::Expired => format!("nobody answered in time: {id}"),
                _ => format!("refused before: {id}"),
            },
        },
        Answer::Flooded(id) => Asked {
            verdict: Verdict::Ask,
            said: format!("too many asks, one question for all: ampoule approvals show {id}"),
        },
    }
}
