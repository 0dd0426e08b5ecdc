// SPDX-License-Identifier: Apache-2.0
//! Root actions: what the supervisor says is about to start, as it was said where it is a step of
//! the plan that people gave, and what is kept of one that was let start.

use std::collections::BTreeSet;

use policy::action::{Act, Action};
use policy::verdict::Verdict as Decides;
use serde_json::json;

use super::super::asks::{Asker, Became, Case};
use super::super::court::Ruling;
use super::super::scripts::Scripts;
use super::super::wire::{Answer, FromLoop, Root};
use super::answers::Reply;
use super::{Approved, Source, Started, Task};
use crate::events::What;

impl Task<'_> {
    /// A root action is about to start.
    pub(super) fn root(&mut self, root: Root) {
        self.look_at_policies();
        let action = self.said_or_root(&root);
        let by = root.by.clone();
        let shown = json!(action);
        self.book
            .note(Some(root.root), What::Root { by, action: shown });
        if !self.gated {
            return self.tell(&FromLoop::Verdict {
                root: root.root,
                verdict: Answer::Allow,
                reason: "nothing is judged (--ungated)".to_owned(),
            });
        }
        let scripts = Scripts::new(&self.court.setting, self.court.workspace.as_deref(), &[]);
        let ruling = self.court.rule(&[action], &scripts, None);
        let approval = self.approved_in_plan(&root, &ruling);
        let case = Case {
            asker: Asker::Root(root.root),
            root: root.root,
            tree: self.tree(root.root),
            with: BTreeSet::new(),
            plan: None,
            ruling,
            bytes: root.argv.iter().map(|word| word.as_slice().len()).sum(),
            source: Source::Root(root),
        };
        match approval {
            Some(approval) => self.became(&case, Became::Allowed { approval }),
            None => self.decide(case),
        }
    }

    /// A root action, as it was said where it is a step of the plan that people gave: what runs is
    /// made from that.
    pub(super) fn said_or_root(&self, root: &Root) -> Action {
        let action = root_action(root);
        match self.said.step(root) {
            Some(step) => Action {
                act: step.act.clone(),
                ..action
            },
            None => action,
        }
    }

    /// Whether people approved a step with its plan.
    fn approved_in_plan(&mut self, root: &Root, ruling: &Ruling) -> Option<String> {
        self.said.step(root)?;
        let approved = self.said.approved_step(root.root)?.clone();
        let analysis = &ruling.judged.as_deref()?.analysis;
        let holds = ruling.verdict == Decides::Ask
            && approved.covers(&ruling.action, analysis, &self.court.setting);
        (holds && self.asks.stands(&approved.approval)).then_some(approved.approval)
    }

    pub(super) fn started(&mut self, root: &Root, case: &Case<Source>, reply: &Reply) {
        let judged = case.ruling.judged.as_deref();
        let approved = reply
            .approval
            .as_ref()
            .zip(judged)
            .map(|(approval, judged)| {
                let (action, setting) = (&case.ruling.action, &self.court.setting);
                Approved::of(action, &judged.analysis, setting, approval)
            });
        let started = Started {
            argv: root.argv.iter().map(|word| word.lossy()).collect(),
            approved,
            begun: false,
        };
        self.roots.insert(root.root, started);
    }
}

fn root_action(root: &Root) -> Action {
    Action {
        act: Act::Exec(root.argv.iter().map(|word| word.lossy()).collect()),
        cwd: root.cwd.as_ref().map(|cwd| cwd.lossy()),
        env: root.env.clone(),
        reason: None,
    }
}
