// SPDX-License-Identifier: Apache-2.0
//! Deletions of what is not there: in a copy of a workspace, a folder that the original does not
//! have is one that the task made itself, and taking it away again loses nothing of anybody's.
//!
//! A fact of the host's, so it may loosen. It is one only of an action that does nothing but
//! delete: of `mv src old && rm -r old` the second half is about what was `src`.

use super::{Look, Review, Workspace, glob};
use crate::effects::place::below;
use crate::effects::word::UNKNOWN;
use crate::effects::{Analysis, Effect, Harm, Kind, Target};

/// Takes the harm from deletions of what is not there, where a review stands before the rest.
pub fn settle(analysis: &mut Analysis, cwd: Option<&str>, workspace: &dyn Workspace) {
    let only = |effect: &Effect| matches!(effect.kind, Kind::Delete | Kind::Read);
    let one = analysis.commands.len() <= 1 && analysis.findings.is_empty();
    if workspace.review() != Review::Machine || !one || !analysis.effects.iter().all(only) {
        return;
    }
    for effect in &mut analysis.effects {
        if effect.kind == Kind::Delete
            && effect.harm > Harm::Low
            && is_absent(effect, cwd, workspace)
        {
            effect.harm = Harm::Low;
            effect.why = "nothing of it was there before the task".into();
            effect.safer = None;
        }
    }
}

fn is_absent(effect: &Effect, cwd: Option<&str>, workspace: &dyn Workspace) -> bool {
    let Target::Path(path, _) = &effect.target else {
        return false;
    };
    if glob::is_pattern(path) || path.contains(UNKNOWN) {
        return false;
    }
    let setting = workspace.setting();
    let cwd = effect.cwd.as_deref().or(cwd);
    let Some(path) = setting.absolute(path, cwd) else {
        return false;
    };
    let inside = below(&path, &setting.workspace).is_some_and(|rest| !rest.is_empty());
    inside && workspace.look(&path) == Look::Nothing && workspace.changed(&path).is_none()
}
