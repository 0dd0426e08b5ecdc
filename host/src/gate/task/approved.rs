// SPDX-License-Identifier: Apache-2.0
//! What people approved, to compare what happens with.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use policy::action::Action;
use policy::approval::Scope;
use policy::effects::place::Setting;
use policy::effects::{Analysis, Script};

/// What people let a root action do.
#[derive(Clone, Debug)]
pub(super) struct Approved {
    pub(super) scope: Scope,
    pub(super) scripts: Vec<Script>,
    pub(super) approval: String,
}

impl Approved {
    /// What an approval was given for.
    pub(super) fn of(
        action: &Action,
        analysis: &Analysis,
        setting: &Setting,
        approval: &str,
    ) -> Self {
        Self {
            scope: Scope::of(analysis, setting, action.cwd.as_deref()),
            scripts: analysis.scripts.clone(),
            approval: approval.to_owned(),
        }
    }

    /// Whether what is judged now has nothing in it that people were not asked about.
    pub(super) fn covers(&self, action: &Action, analysis: &Analysis, setting: &Setting) -> bool {
        let seen = Scope::of(analysis, setting, action.cwd.as_deref());
        let mut scripts = analysis.scripts.iter();
        scripts.all(|script| self.scripts.contains(script)) && self.scope.holds(&seen)
    }
}
