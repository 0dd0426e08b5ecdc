// SPDX-License-Identifier: Apache-2.0
//! The verdict on an action of one task: the policies in force are asked about each of its
//! readings, with the files as the guest sent them and, where the host has others, with those, and
//! the tightest counts.
//!
//! In the workspace is counted when that may matter: an effect of some harm, something that could
//! not be read, or policies of the operator's own, which may speak of any number.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

use policy::action::{Act, Action, Plan};
use policy::approval::Scope;
use policy::approval::item::line;
use policy::blast::{self, Workspace};
use policy::effects::place::Setting;
use policy::effects::shell::Ground;
use policy::effects::{Analysis, Harm, intent};
use policy::judge::{Around, Judge, Judgement};
use policy::posture::Held;
use policy::risk::Declared;
use policy::verdict::facts::Who;
use policy::verdict::{Limits, Verdict};
use protocol::actions::{Grants, Judged};

use super::force::{Force, Key, Shelf, has_own};
use super::grants;
use super::intent::{Fixed, base};
use super::named::Named;
use super::scripts::{Scripts, View};
use super::wire::Begin;

/// The home of the images' unprivileged user.
const HOME: &str = "/home/agent";

/// Actions that are remembered to be allowed.
const KNOWN: usize = 1024;

/// Longest of them, in bytes of JSON.
const KEY: usize = 8 << 10;

/// The gate's rule for what no plan named.
pub const DRIFT: &str = "gate:drift";

/// The rule for paths that people want to be asked about.
const ASKS: &str = "posture:asks";

/// Longest reason that is told, in characters.
const REASON: usize = 500;

/// What is said of an action.
#[derive(Clone, Debug)]
pub struct Ruling {
    /// May it run?
    pub verdict: Verdict,
    /// Who says so: `policy` or `gate`.
    pub by: &'static str,
    /// Why, in a line.
    pub reason: String,
    /// The policies that decided.
    pub policies: Vec<String>,
    /// The reading that decided.
    pub action: Action,
    /// The risk, in basis points, if it was judged.
    pub risk_bps: Option<u16>,
    /// What is known of it, if people are to be asked.
    pub judged: Option<Box<Judgement>>,
    /// The scripts that were judged with it.
    pub files: Vec<Judged>,
    /// What of it no plan named, where there is one.
    pub drift: Option<String>,
}

/// What is said of a plan.
#[derive(Clone, Debug)]
pub struct PlanRuling {
    /// Each step by itself, in order.
    pub steps: Vec<(Ruling, Analysis)>,
    /// All steps together, and what the plan says of them.
    pub together: Ruling,
}

impl Ruling {
    /// By the gate itself.
    #[must_use]
    pub fn fixed(action: Action, fixed: Fixed) -> Self {
        let (verdict, policies, reason) = match fixed {
            Fixed::Contained => (Verdict::Allow, Vec::new(), "it stays in the guest"),
            Fixed::Refused(rule, why) => (Verdict::Deny, vec![rule.to_owned()], why),
        };
        Self {
            verdict,
            by: "gate",
            reason: match policies.first() {
                Some(rule) => format!("{rule}: {reason}"),
                None => reason.to_owned(),
            },
            policies,
            action,
            risk_bps: None,
            judged: None,
            files: Vec::new(),
            drift: None,
        }
    }

    /// Refused because nothing can be said of it.
    #[must_use]
    pub fn failed(action: Action, rule: &'static str, why: &str) -> Self {
        Self {
            verdict: Verdict::Deny,
            by: "gate",
            reason: short(&format!("{rule}: {why}")),
            policies: vec![rule.to_owned()],
            action,
            risk_bps: None,
            judged: None,
            files: Vec::new(),
            drift: None,
        }
    }
}

/// A line of bounded length, fit for a terminal.
#[must_use]
pub fn short(text: &str) -> String {
    crate::text::printable(text).chars().take(REASON).collect()
}

/// What judges one task.
#[derive(Debug)]
pub struct Court {
    force: Force,
    /// The folders as the guest has them.
    pub setting: Setting,
    around: Around,
    /// The folder that the workspace is a copy of.
    pub workspace: Option<PathBuf>,
    /// What was allowed by its words alone, under the policies of this generation.
    known: RefCell<HashMap<String, Ruling>>,
    held: Held,
}

impl Court {
    /// For a task.
    #[must_use]
    pub fn new(shelf: &Shelf, begin: &Begin) -> Self {
        let key = Key {
            folders: begin.folders.clone(),
            added: begin.policies.clone(),
            agent: String::new(),
        };
        let folder = begin.workspace.as_ref().map(|path| path.to_string_lossy());
        let who = Who {
            image: begin.image.clone(),
            workspace: folder.unwrap_or_default().into_owned(),
            ..Who::default()
        };
        Self {
            force: Force::new(shelf, &key, begin.workspace.clone()),
            setting: Setting {
                home: HOME.to_owned(),
                ..Setting::default()
            },
            around: Around {
                who,
                ..Around::default()
            },
            workspace: begin.workspace.clone(),
            known: RefCell::default(),
            held: Held::default(),
        }
    }

    /// Looks whether policies and model are what they were; how often they were not.
    pub fn look(&mut self, shelf: &Shelf) -> u64 {
        let before = self.force.generation;
        self.force.look(shelf);
        if self.force.generation != before {
            self.known.borrow_mut().clear();
        }
        self.force.generation
    }

    /// How tightly the task is held from now on.
    pub fn hold(&mut self, held: &Held) {
        self.held = held.clone();
        self.around.posture = held.posture;
        self.known.borrow_mut().clear();
    }

    /// The operator's numbers.
    ///
    /// # Errors
    /// Nothing is in force, and why.
    pub fn limits(&self) -> Result<Limits, String> {
        Ok(self.force.in_force()?.judge.limits)
    }

    /// Finds out early what of it is the same for all tasks.
    pub fn look_up_grants(&self) {
        if (self.force.in_force()).is_ok_and(|in_force| !has_own(&in_force)) {
            self.shared_grants();
        }
    }

    /// What the guest need not ask.
    #[must_use]
    pub fn grants(&self) -> Grants {
        match self.force.in_force() {
            Err(_) => Grants::default(),
            Ok(in_force) if has_own(&in_force) => grants::of(self, true),
            Ok(_) => self.shared_grants().clone(),
        }
    }

    fn shared_grants(&self) -> &Grants {
        self.force.grants(|| grants::of(self, false))
    }

    /// As [`Self::rule`], and remembered if the words alone made it an allow: programs start the
    /// same others again and again, and most of what a verdict costs is reading them.
    #[must_use]
    pub fn rule_again(
        &self,
        readings: &[Action],
        scripts: &Scripts<'_>,
        named: Option<&Named>,
    ) -> Ruling {
        if named.is_some() {
            return self.rule(readings, scripts, named);
        }
        let key = serde_json::to_string(readings).unwrap_or_default();
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        let ruling = self.rule(readings, scripts, None);
        if ruling.verdict == Verdict::Allow && !scripts.looked() && key.len() <= KEY {
            let mut known = self.known.borrow_mut();
            if known.len() >= KNOWN {
                known.clear();
            }
            known.insert(key, ruling.clone());
        }
        ruling
    }

    /// What is said of an action that has these readings. What plans of its root action never
    /// `named` people are asked about, whatever policies say.
    #[must_use]
    pub fn rule(
        &self,
        readings: &[Action],
        scripts: &Scripts<'_>,
        named: Option<&Named>,
    ) -> Ruling {
        let first = || {
            let first = readings.first().cloned();
            first.unwrap_or_else(|| Action::shell(""))
        };
        let in_force = match self.force.in_force() {
            Ok(in_force) => in_force,
            Err(why) => return Ruling::failed(first(), "gate:policies", &why),
        };
        let mut views = vec![scripts.sent()];
        if scripts.doubted() {
            views.push(scripts.own());
        }
        let own = has_own(&in_force);
        let mut files: Vec<Judged> = Vec::new();
        let mut tightest: Option<(&Action, Judgement)> = None;
        let (mut drift, mut held) = (None, None);
        for (at, view) in views.iter().enumerate() {
            for reading in readings {
                let (judged, beside) =
                    self.judge(&in_force.judge, reading, (view, own), (scripts, named));
                drift = drift.or(beside);
                held = held.or_else(|| self.held_path(reading, &judged.analysis));
                if at == 0 {
                    for file in scripts.judged(&judged.analysis.scripts) {
                        if !files.contains(&file) {
                            files.push(file);
                        }
                    }
                }
                let rank = |judged: &Judgement| (judged.decision.verdict, judged.risk.upper_bps());
                let tighter = |(_, before): &(_, Judgement)| rank(&judged) > rank(before);
                if tightest.as_ref().is_none_or(tighter) {
                    tightest = Some((reading, judged));
                }
            }
        }
        match tightest {
            Some((action, judged)) => {
                let keep = drift.is_some() || held.is_some();
                let ruling = ruling(action.clone(), (judged, keep), files);
                held_back(drifted(ruling, drift), held)
            }
            None => Ruling::failed(first(), "gate:unread", "there is nothing to judge"),
        }
    }

    /// What is said of a plan.
    ///
    /// # Errors
    /// Nothing is in force, and why.
    pub fn plan(&self, plan: &Plan, scripts: &Scripts<'_>) -> Result<PlanRuling, String> {
        let in_force = self.force.in_force()?;
        let view = scripts.sent();
        let ground = Ground {
            setting: &self.setting,
            cwd: Some(&self.setting.workspace),
            files: &view,
        };
        let unlooked = scripts.unlooked();
        let folder = scripts.folder();
        let workspace = folder.map_or(&unlooked as &dyn Workspace, |folder| folder);
        let judged = in_force
            .judge
            .plan(plan, ground, Some(workspace), &self.around);
        let steps = plan
            .actions
            .iter()
            .zip(judged.steps)
            .map(|(action, judged)| {
                let analysis = judged.analysis.clone();
                (
                    ruling(action.clone(), (judged, false), Vec::new()),
                    analysis,
                )
            });
        let lines: Vec<String> = plan.actions.iter().map(line).collect();
        let whole = Action::of(Act::Shell(lines.join("\n")));
        Ok(PlanRuling {
            steps: steps.collect(),
            together: ruling(whole, (judged.together, false), Vec::new()),
        })
    }

    /// What is said of an action that is said before it is done, and what it would do.
    #[must_use]
    pub fn said(&self, action: Action, scripts: &Scripts<'_>) -> (Ruling, Analysis) {
        let in_force = match self.force.in_force() {
            Ok(in_force) => in_force,
            Err(why) => {
                let failed = Ruling::failed(action, "gate:policies", &why);
                return (failed, Analysis::default());
            }
        };
        let (view, own) = (scripts.sent(), has_own(&in_force));
        let (judged, _) = self.judge(&in_force.judge, &action, (&view, own), (scripts, None));
        let analysis = judged.analysis.clone();
        (ruling(action, (judged, false), Vec::new()), analysis)
    }

    /// The path of an action's that people want to be asked about.
    fn held_path(&self, action: &Action, analysis: &Analysis) -> Option<String> {
        if self.held.asks.is_empty() {
            return None;
        }
        let scope = Scope::of(analysis, &self.setting, action.cwd.as_deref());
        let asked = self.held.asked(&scope);
        // What is moved away is changed as well, though nothing of it is lost; what gets another
        // name may be changed by that.
        let named = |word: &String| matches!(base(word), "mv" | "ln");
        let moved = || match &action.act {
            Act::Exec(words) if words.first().is_some_and(named) => {
                let cwd = action.cwd.as_deref().or(Some(&self.setting.workspace));
                let mut paths = words
                    .iter()
                    .filter_map(|word| self.setting.absolute(word, cwd));
                paths.find_map(|path| self.held.touched(&path))
            }
            _ => None,
        };
        asked.or_else(moved).map(str::to_owned)
    }

    fn judge(
        &self,
        judge: &Judge,
        action: &Action,
        (view, own): (&View<'_>, bool),
        (scripts, named): (&Scripts<'_>, Option<&Named>),
    ) -> (Judgement, Option<String>) {
        let ground = Ground {
            setting: &self.setting,
            cwd: Some(&self.setting.workspace),
            files: view,
        };
        let mut analysis = intent::of(action, ground);
        let cwd = action.cwd.as_deref().or(ground.cwd);
        let unlooked = scripts.unlooked();
        let counted = own || matters(&analysis);
        let folder = counted.then(|| scripts.folder()).flatten();
        let workspace = folder.map_or(&unlooked as &dyn Workspace, |folder| folder);
        blast::settle(&mut analysis, cwd, workspace);
        let drift = named.and_then(|named| named.drift(action, &analysis, &self.setting));
        let outside = drift.is_some().then(|| Around {
            declared: Declared::OutsidePlan,
            ..self.around.clone()
        });
        let around = outside.as_ref().unwrap_or(&self.around);
        let judged = judge.settled(analysis, cwd, Some(workspace), around);
        (judged, drift)
    }
}

/// Whether what is in the workspace may make a difference.
fn matters(analysis: &Analysis) -> bool {
    analysis.harm() >= Harm::Medium || !analysis.findings.is_empty()
}

/// What no plan named is asked about by the gate where policies would let it run.
fn drifted(ruling: Ruling, drift: Option<String>) -> Ruling {
    let Some(what) = drift else {
        return ruling;
    };
    let drift = Some(short(&what));
    if ruling.verdict != Verdict::Allow {
        return Ruling { drift, ..ruling };
    }
    Ruling {
        verdict: Verdict::Ask,
        by: "gate",
        reason: short(&format!("{DRIFT}: no plan of the task named it: {what}")),
        policies: vec![DRIFT.to_owned()],
        drift,
        ..ruling
    }
}

/// What people want to be asked about is asked about where policies would let it run.
fn held_back(ruling: Ruling, held: Option<String>) -> Ruling {
    match held {
        Some(path) if ruling.verdict == Verdict::Allow => Ruling {
            verdict: Verdict::Ask,
            by: "gate",
            reason: short(&format!("{ASKS}: people want to be asked about {path}")),
            policies: vec![ASKS.to_owned()],
            ..ruling
        },
        _ => ruling,
    }
}

/// Its judgement is kept where people are to be asked, or if `keep`.
fn ruling(action: Action, (judged, keep): (Judgement, bool), files: Vec<Judged>) -> Ruling {
    let decision = &judged.decision;
    let verdict = decision.verdict;
    // What permits is no reason for a no, and what lets a person decide none for a question.
    let counts = |permits: bool, applies: bool| match verdict {
        Verdict::Allow => permits && applies,
        Verdict::Ask | Verdict::Deny => !permits || !applies,
    };
    let reasons = decision.determining.iter();
    let reasons: Vec<_> = reasons
        .filter(|reason| counts(reason.permits, reason.applies))
        .collect();
    let failures = decision.errors.iter().map(|failure| failure.text.clone());
    let effects = judged.analysis.effects.iter();
    let worst = effects.max_by_key(|effect| effect.harm);
    let said = reasons.iter().map(|reason| match worst {
        // That it is risky says nothing of what it does.
        Some(worst) if reason.permits => {
            format!("{}: {}: {}", reason.policy, worst.why, reason.text)
        }
        _ => format!("{}: {}", reason.policy, reason.text),
    });
    let said: Vec<String> = said.chain(failures).collect();
    Ruling {
        verdict,
        by: "policy",
        reason: short(&said.join("; ")),
        policies: reasons.iter().map(|reason| reason.policy.clone()).collect(),
        action,
        risk_bps: Some(judged.risk.upper_bps()),
        judged: (verdict == Verdict::Ask || keep).then(|| Box::new(judged)),
        files,
        drift: None,
    }
}
