// SPDX-License-Identifier: Apache-2.0
//! What a person is shown of an action that is asked about.

use std::collections::BTreeSet;

use policy::action::Action;
use policy::approval::item::{Question, Risk, Rules};
use policy::approval::root::Budget;
use policy::approval::store::Filter;
use policy::approval::{Binding, Scope, Store, StoreError, similar};
use policy::effects::place::Setting;
use policy::judge::Judgement;
use policy::verdict::Limits;

/// The strongest reasons for a risk that are shown.
const DRIVERS: usize = 5;

/// The question that a judged action is, and why it is one.
///
/// # Errors
/// Earlier decisions cannot be read.
pub fn of(
    store: &dyn Store,
    (action, why): (&Action, &str),
    judged: &Judgement,
    setting: &Setting,
) -> Result<Question, StoreError> {
    let items = store.list(&Filter::default())?;
    let items: Vec<_> = items.into_iter().flatten().collect();
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
            upper: Some(judged.risk.upper_bps()),
            asked_from: Some(judged.facts.risk.ask_threshold.get()),
            drivers: drivers.take(DRIVERS).collect(),
        },
        similar: similar::among(&items, analysis),
        policies: asks
            .map(|reason| reason.policy.clone())
            .collect::<BTreeSet<_>>(),
        why: why.to_owned(),
        plan: None,
    })
}

/// Who may decide, by the operator's limits.
#[must_use]
pub fn rules(limits: &Limits) -> Rules {
    Rules {
        quorum: u8::try_from(limits.quorum).unwrap_or(u8::MAX),
        another: limits.another_reviewer_required,
        hours: u32::from(limits.grant_max_hours),
    }
}

/// How many questions a task may ask, by the operator's limits.
#[must_use]
pub fn budget(limits: &Limits) -> Budget {
    Budget {
        asks: u32::from(limits.ask_budget.count),
        window_ms: u64::from(limits.ask_budget.minutes).saturating_mul(60_000),
    }
}
