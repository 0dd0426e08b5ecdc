// SPDX-License-Identifier: Apache-2.0
//! `ampoule policy check --ask TASK`: what is to be asked goes into the queue of approvals, as a
//! task's gate would put it there, and an approval given before is taken into account.

use policy::action::Action;
use policy::approval::desk::{self, Answer};
use policy::approval::item::State;
use policy::approval::root::Ask;
use policy::effects::place::Setting;
use policy::judge::Judgement;
use policy::verdict::{Limits, Verdict};

use super::super::CliError;
use super::shown::because;
use crate::approvals::{Approvals, ApprovalsError, new_id, now_ms, who};
use crate::folders::Folders;
use crate::gate::question;

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
    let why = because(judged);
    let question = question::of(&store, (action, &why), judged, setting);
    let question = question.map_err(ApprovalsError::from)?;
    let now = now_ms();
    let ask = Ask {
        id: new_id()?,
        task: task.to_owned(),
        // The same action again is the same root: that is how an approval is found again.
        root: question.binding.to_string(),
        requester: who().ok(),
        rules: question::rules(limits),
        question,
        deadline_ms: now.saturating_add(WAIT_MS),
    };
    let budget = question::budget(limits);
    let answer = desk::ask(&store, &ask, &budget, now).map_err(ApprovalsError::from)?;
    Ok(said(answer))
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
