// SPDX-License-Identifier: Apache-2.0
//! What is said before it is done: lines on the gate's socket in the guest, and the plan that
//! people gave.
//!
//! ```text
//! declare ─► judged ─┬─ allow, deny ───────────────────────► one line, the last
//! ask                └─ ask ─► the queue ─► ask ─► comments ─► allow or deny, the last
//! status ───────────────────────────────────────────────────► one line, the last
//! ```
//!
//! A step that is allowed, by policies or people, is *named*: beside it is drift ([`Named`]). Steps
//! that were refused, or that nobody has decided yet, are not. Nothing runs by being said: what is
//! then seen is judged by itself, and what people approved covers it in two ways.
//!
//! - What stays inside of the effects that were approved, in the tree of the same root action, as
//!   for any approval ([`policy::approval::root`]).
//! - The very same words in the same folder, once, even where the words leave something open, which
//!   is what people were asked. The names of its environment are not compared: who declares does
//!   not know them all, and those that change what a program does are effects or findings of what
//!   is seen, which must be within those approved.
//!
//! All of it is a guest's word: it is bounded, and a line that makes no sense gets one that says so.

mod weigh;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use policy::action::{Act, Action, Plan};
use policy::effects::Analysis;
use policy::verdict::Verdict as Decides;
use protocol::Kind;
use protocol::actions::{self, Declared, Intent};
use serde_json::{Value, json};

use super::super::asks::{Asker, Commented, PEOPLES, Tree, Waits};
use super::super::court::{Ruling, short};
use super::super::intent::text;
use super::super::lines::{self, Heard, Line};
use super::super::named::Named;
use super::super::scripts::Scripts;
use super::super::wire::{FromLoop, Root};
use super::answers::Reply;
use super::{Approved, Task};
use crate::events::What;

/// Lines of a task that are judged, and bytes of all of them: more than any agent has to say.
const LINES: usize = 10_000;
const BYTES: usize = 64 << 20;

/// Lines that wait for people at once.
const OPEN: usize = 64;

/// In place of a step's number: all of them.
const WHOLE: usize = usize::MAX;

/// Approved actions that were not seen yet.
const KEPT: usize = 256;

/// Decisions that a status tells, and things that wait.
const LATELY: usize = 8;
const SHOWN: usize = 16;

/// Shells that take a line of shell after `-c`.
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "ksh"];

/// What of a task was said.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The plan that people gave.
    plan: Option<People>,
    named: BTreeMap<Tree, Named>,
    approved: VecDeque<(Tree, Action, Approved)>,
    /// What waits for people, by the gate's number.
    open: BTreeMap<u64, Open>,
    lines: usize,
    bytes: usize,
    lately: VecDeque<String>,
}

/// The plan that people gave.
#[derive(Debug)]
struct People {
    actions: Vec<Action>,
    approved: BTreeMap<usize, Approved>,
}

/// What waits for people.
#[derive(Debug)]
struct Open {
    tree: Tree,
    /// The steps that they are asked about.
    steps: Vec<(usize, Action, Analysis)>,
    /// Of these questions so many are open.
    left: usize,
    /// The approvals that were told.
    told: BTreeSet<String>,
}

impl Said {
    /// Whether a root action is a step of the plan that people gave.
    pub(super) fn is_of_plan(&self, root: u64) -> bool {
        let steps = self.plan.as_ref().map_or(0, |plan| plan.actions.len());
        root >= 1 && usize::try_from(root).is_ok_and(|root| root <= steps)
    }

    /// That step as it was said.
    pub(super) fn step(&self, root: &Root) -> Option<&Action> {
        let step = usize::try_from(root.root).ok()?.checked_sub(1)?;
        let plan = self.plan.as_ref().filter(|_| root.by == "plan");
        plan?.actions.get(step)
    }

    /// With what people approved that step.
    pub(super) fn approved_step(&self, root: u64) -> Option<&Approved> {
        let step = usize::try_from(root).ok()?.checked_sub(1)?;
        self.plan.as_ref()?.approved.get(&step)
    }

    /// What was named, once there is a plan.
    pub(super) fn named(&self, tree: Tree) -> Option<&Named> {
        self.named.get(&tree)
    }

    /// Those who waited say it again.
    pub(super) fn disconnected(&mut self) {
        self.open.retain(|id, _| *id == PEOPLES);
    }

    /// A decision that a status is to tell.
    pub(super) fn lately(&mut self, line: String) {
        // What is refused is tried again, by a shell at once: it must not push out all the rest.
        self.lately.retain(|other| *other != line);
        while self.lately.len() >= LATELY {
            self.lately.pop_front();
        }
        self.lately.push_back(line);
    }

    fn keep(&mut self, tree: Tree, action: Action, approved: Approved) {
        while self.approved.len() >= KEPT {
            self.approved.pop_front();
        }
        self.approved.push_back((tree, action, approved));
    }
}

impl Task<'_> {
    /// A program in the guest says something.
    pub(super) fn heard(&mut self, declared: &Declared) {
        if let Err(why) = self.try_heard(declared) {
            self.reply(&Line::last(declared.id, "error", &short(&why)));
        }
    }

    fn try_heard(&mut self, declared: &Declared) -> Result<(), String> {
        let (id, root) = (declared.id, declared.root);
        if id == PEOPLES || self.said.open.contains_key(&id) {
            return Err("the gate said it under a number that is taken".to_owned());
        }
        match lines::read(&declared.json)? {
            Heard::Status => {
                self.status(id);
                Ok(())
            }
            Heard::Plan(plan, value) => {
                self.note_said((id, root), value, declared.json.len())?;
                self.weigh_plan(id, root, &plan)
            }
            Heard::Action(action, value) => {
                self.note_said((id, root), value, declared.json.len())?;
                let host = self.court.workspace.as_deref();
                let scripts = Scripts::new(&self.court.setting, host, &[]);
                let said = self.court.said(action, &scripts);
                self.weigh((id, root), vec![said], None);
                Ok(())
            }
        }
    }

    /// Records what is said, unless it is too much.
    fn note_said(
        &mut self,
        (id, root): (u64, u64),
        declared: Value,
        bytes: usize,
    ) -> Result<(), String> {
        if root == 0 {
            return Err("it cannot be told which command of the task says so".to_owned());
        }
        let (lines, all) = (self.said.lines, self.said.bytes.saturating_add(bytes));
        if lines >= LINES || all > BYTES || self.said.open.len() >= OPEN {
            return Err("gate:said: the task has said too much".to_owned());
        }
        (self.said.lines, self.said.bytes) = (lines.saturating_add(1), all);
        self.book.note(Some(root), What::Declared { id, declared });
        self.look_at_policies();
        Ok(())
    }

    /// People gave a plan.
    pub(super) fn plan(&mut self, plan: &Plan, gated: bool) {
        if !gated {
            let reason = String::new();
            let allow = true;
            return self.tell(&FromLoop::Plan { allow, reason });
        }
        let declared = json!(plan);
        let id = PEOPLES;
        self.book.note(None, What::Declared { id, declared });
        self.said.plan = Some(People {
            actions: plan.actions.clone(),
            approved: BTreeMap::new(),
        });
        if let Err(why) = self.weigh_plan(PEOPLES, 0, plan) {
            let reason = short(&why);
            let allow = false;
            self.tell(&FromLoop::Plan { allow, reason });
        }
    }

    /// People are asked about what somebody said.
    pub(super) fn said_waits(&mut self, id: u64, waits: &Waits) {
        let new = |open: &mut Open| open.told.insert(waits.approval.clone());
        let is_new = self.said.open.get_mut(&id).is_some_and(new);
        if id == PEOPLES || !is_new {
            return;
        }
        let seconds = waits.wait_ms / 1000;
        let text = format!(
            "waits for a person, {seconds} s at most: {} ({})",
            waits.line, waits.why
        );
        let text = short(&text);
        self.reply(&Line {
            seconds: Some(seconds),
            ..Line::waits(id, &text, &waits.approval)
        });
    }

    /// A question about what somebody said is answered.
    pub(super) fn said_answered(&mut self, id: u64, step: usize, reply: &Reply) {
        let Some(open) = self.said.open.get_mut(&id) else {
            return;
        };
        open.left = open.left.saturating_sub(1);
        if reply.allow {
            let tree = open.tree;
            let is_meant = |(at, _, _): &(usize, Action, Analysis)| step == WHOLE || *at == step;
            let steps = std::mem::take(&mut open.steps);
            let (meant, rest): (Vec<_>, Vec<_>) = steps.into_iter().partition(is_meant);
            open.steps = rest;
            for (at, action, analysis) in meant {
                self.approve(tree, at, (action, &analysis), reply.approval.as_deref());
            }
            if self.said.open.get(&id).is_some_and(|open| open.left > 0) {
                return;
            }
        }
        self.said.open.remove(&id);
        if !reply.allow {
            let others = |asker| matches!(asker, Asker::Said(of, _) if of == id);
            self.withdraw_all(others, "another step was refused");
        }
        let reason = reply.reason.clone();
        if id == PEOPLES {
            let allow = reply.allow;
            return self.tell(&FromLoop::Plan { allow, reason });
        }
        let (verdict, text) = match reply.allow {
            true => ("allow", format!("allowed: {reason}")),
            false => ("deny", format!("denied: {reason}")),
        };
        let text = short(&text);
        self.reply(&Line {
            approval: reply.approval.as_deref(),
            ..Line::last(id, verdict, &text)
        });
    }

    /// People approved a step: it is named, and covers what is then seen.
    fn approve(
        &mut self,
        tree: Tree,
        step: usize,
        (action, analysis): (Action, &Analysis),
        approval: Option<&str>,
    ) {
        if let Some(named) = self.said.named.get_mut(&tree) {
            named.add(&action, analysis, &self.court.setting);
        }
        let Some(approval) = approval else { return };
        let approved = Approved::of(&action, analysis, &self.court.setting, approval);
        match &mut self.said.plan {
            Some(plan) if tree == Tree::Plan => {
                plan.approved.insert(step, approved.clone());
            }
            _ => {}
        }
        self.said.keep(tree, action, approved);
    }

    /// Whether a start is what people approved when it was said, and had not been seen yet.
    pub(super) fn was_said(&mut self, intent: &Intent, ruling: &Ruling) -> Option<String> {
        let (Some(actions::Act::Run(run)), Decides::Ask) = (&intent.act, ruling.verdict) else {
            return None;
        };
        let tree = self.tree(intent.root);
        let words: Vec<String> = run.argv.iter().map(|word| text(word)).collect();
        let setting = &self.court.setting;
        let seen_in = setting.absolute(&text(&intent.cwd), None);
        let analysis = &ruling.judged.as_deref()?.analysis;
        let mut all = self.said.approved.iter();
        let at = all.position(|(of, action, approved)| {
            let workspace = setting.workspace.as_str();
            let cwd = action.cwd.as_deref().unwrap_or(workspace);
            *of == tree
                && same(action, &words)
                && setting.absolute(cwd, Some(workspace)) == seen_in
                && approved.covers(&ruling.action, analysis, setting)
        })?;
        let (_, _, approved) = self.said.approved.remove(at)?;
        let stands = self.asks.stands(&approved.approval);
        stands.then_some(approved.approval)
    }

    /// Who said something is gone.
    pub(super) fn unsaid(&mut self, id: u64, why: &str) {
        if id != PEOPLES && self.said.open.remove(&id).is_some() {
            let its = |asker| matches!(asker, Asker::Said(of, _) if of == id);
            self.withdraw_all(its, why);
            self.book.note(None, What::Withdrawn { id });
        }
    }

    /// Somebody wrote to an approval: who waits for it is told.
    pub(super) fn commented(&mut self, commented: &Commented) {
        let (approval, by) = (commented.approval.clone(), commented.by.clone());
        let what = What::Commented {
            approval: approval.clone(),
            by: by.clone(),
            text: commented.text.clone(),
        };
        self.book.note(Some(commented.root), what);
        let text = short(&commented.text);
        let line = short(&format!("{by} wrote: {}", commented.text));
        let said = commented.askers.iter().filter_map(|asker| match asker {
            Asker::Said(id, _) if *id != PEOPLES => Some(*id),
            _ => None,
        });
        let said: BTreeSet<u64> = said.collect();
        for id in said {
            self.reply(&Line::waits(id, &line, &approval));
        }
        self.tell(&FromLoop::Commented { approval, by, text });
    }

    /// What waits, and what was decided lately.
    fn status(&mut self, id: u64) {
        let waits = self.asks.waits().take(SHOWN);
        let waits = waits.map(|(approval, line, seconds)| lines::Waits {
            approval,
            line,
            seconds,
        });
        let waits: Vec<_> = waits.collect();
        let posture = self.held.posture.to_string();
        let mut text = Vec::new();
        if self.held.is_strict() {
            text.push(format!("people hold the task: {posture}"));
        }
        text.extend(waits.iter().map(|one| {
            let (seconds, line, approval) = (one.seconds, &one.line, &one.approval);
            format!("waits for a person, {seconds} s at most: {line} (approval {approval})")
        }));
        if waits.is_empty() {
            text.push("nothing waits for people".to_owned());
        }
        text.extend(self.said.lately.iter().cloned());
        self.reply(&Line {
            status: Some(lines::Status {
                posture: &posture,
                waits: &waits,
            }),
            ..Line::last(id, "none", &text.join("\n"))
        });
    }

    fn reply(&mut self, line: &Line<'_>) {
        let reply = actions::Reply {
            id: line.id,
            json: serde_json::to_vec(line).unwrap_or_default(),
            last: line.last,
        };
        self.say(Kind::Reply, &reply);
    }
}

/// Whether these words are what an action says.
fn same(action: &Action, words: &[String]) -> bool {
    match (&action.act, words) {
        (Act::Exec(said), words) => said == words,
        (Act::Shell(said), [shell, option, line]) => {
            let name = shell.rsplit('/').next().unwrap_or(shell);
            SHELLS.contains(&name) && option == "-c" && line == said
        }
        _ => false,
    }
}
