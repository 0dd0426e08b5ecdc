// SPDX-License-Identifier: Apache-2.0
//! What was said is weighed: the tightest verdict on its steps and on the plan as a whole answers
//! it, and people are asked about what policies leave to them.

use std::collections::BTreeSet;

use policy::action::Plan;
use policy::approval::Planned;
use policy::effects::Analysis;
use policy::verdict::Verdict as Decides;

use super::{Open, WHOLE};
use crate::gate::asks::{Asker, Case, PEOPLES, Tree};
use crate::gate::court::{Ruling, short};
use crate::gate::scripts::Scripts;
use crate::gate::task::answers::Reply;
use crate::gate::task::{Source, Task};

/// Steps of a plan that people are asked about one by one; of more, about the plan as a whole.
const ONE_BY_ONE: usize = 8;

impl Task<'_> {
    pub(super) fn weigh_plan(&mut self, id: u64, root: u64, plan: &Plan) -> Result<(), String> {
        let host = self.court.workspace.as_deref();
        let scripts = Scripts::new(&self.court.setting, host, &[]);
        let ruled = self.court.plan(plan, &scripts);
        let ruled = ruled.map_err(|why| format!("gate:policies: {why}"))?;
        // From here on beside it is drift, whatever is said of it.
        self.said.named.entry(self.tree_of(id, root)).or_default();
        self.weigh((id, root), ruled.steps, Some((plan, ruled.together)));
        Ok(())
    }

    fn tree_of(&self, id: u64, root: u64) -> Tree {
        match id {
            PEOPLES => Tree::Plan,
            _ => self.tree(root),
        }
    }

    /// Answers what was judged, asks about the rest.
    pub(super) fn weigh(
        &mut self,
        (id, root): (u64, u64),
        steps: Vec<(Ruling, Analysis)>,
        plan: Option<(&Plan, Ruling)>,
    ) {
        let (plan, together) = plan.unzip();
        let planned = plan.map(|plan| planned(plan, &steps));
        let tree = self.tree_of(id, root);
        let (verdict, reason, ruling) = match tightest(&steps, together.as_ref()) {
            Some(tightest) => tightest,
            None => return,
        };
        if verdict == Decides::Deny {
            return self.settle(&case(id, root, tree, (0, ruling)), false, reason);
        }
        let several = together.is_some();
        let (mut asking, mut cases) = (Vec::new(), Vec::new());
        for (step, (ruling, analysis)) in steps.into_iter().enumerate() {
            let action = ruling.action.clone();
            if ruling.verdict == Decides::Ask {
                asking.push((step, action, analysis));
                cases.push(case(id, root, tree, (step, ruling)));
            } else if let Some(named) = self.said.named.get_mut(&tree) {
                named.add(&action, &analysis, &self.court.setting);
            }
        }
        if verdict == Decides::Allow {
            return self.settle(&case(id, root, tree, (0, ruling)), true, reason);
        }
        // As a whole it has to be what policies do not decide as a whole.
        let whole = together.filter(|whole| whole.verdict == Decides::Ask);
        if let Some(whole) = whole.filter(|_| cases.is_empty() || cases.len() > ONE_BY_ONE) {
            cases = vec![case(id, root, tree, (WHOLE, whole))];
        }
        let open = Open {
            tree,
            steps: asking,
            left: cases.len(),
            told: BTreeSet::new(),
        };
        self.said.open.insert(id, open);
        let with = cases.iter().flat_map(|case| case.ruling.policies.clone());
        let with: BTreeSet<String> = with.filter(|_| several).collect();
        for mut case in cases {
            if !self.said.open.contains_key(&id) {
                break;
            }
            case.with.clone_from(&with);
            case.plan.clone_from(&planned);
            self.decide(case);
        }
    }

    /// What was judged and needs nobody.
    fn settle(&mut self, case: &Case<Source>, allow: bool, reason: String) {
        let Asker::Said(id, _) = case.asker else {
            return;
        };
        let open = Open {
            tree: case.tree,
            steps: Vec::new(),
            left: 1,
            told: BTreeSet::new(),
        };
        self.said.open.insert(id, open);
        let reply = Reply {
            allow,
            asked: false,
            by: case.ruling.by,
            reason,
            approval: None,
        };
        self.answer(case, reply);
    }
}

/// A plan as people see it who are asked about it.
fn planned(plan: &Plan, steps: &[(Ruling, Analysis)]) -> Planned {
    let steps = steps.iter();
    let asks = |(ruling, _): &(Ruling, Analysis)| ruling.verdict == Decides::Ask;
    Planned::of(plan, steps.map(|step| (&step.0.action, asks(step))))
}

/// The tightest verdict on what was said, why in a line, and whose it is.
fn tightest(
    steps: &[(Ruling, Analysis)],
    together: Option<&Ruling>,
) -> Option<(Decides, String, Ruling)> {
    let all = steps.iter().map(|(ruling, _)| ruling).chain(together);
    let verdict = all.clone().map(|ruling| ruling.verdict).max()?;
    let (at, ruling) = all.enumerate().find(|(_, one)| one.verdict == verdict)?;
    let which = match (together, at < steps.len()) {
        (None, _) => String::new(),
        (Some(_), true) => format!("step {}: ", at.saturating_add(1)),
        (Some(_), false) => "the plan as a whole: ".to_owned(),
    };
    let reason = match verdict {
        Decides::Allow => ruling.reason.clone(),
        Decides::Ask | Decides::Deny => short(&format!("{which}{}", ruling.reason)),
    };
    Some((verdict, reason, ruling.clone()))
}

fn case(id: u64, root: u64, tree: Tree, (step, ruling): (usize, Ruling)) -> Case<Source> {
    let action = ruling.action.clone();
    Case {
        asker: Asker::Said(id, step),
        root,
        tree,
        with: BTreeSet::new(),
        plan: None,
        bytes: serde_json::to_vec(&action).map_or(0, |json| json.len()),
        source: Source::Said(Box::new(action)),
        ruling,
    }
}
