// SPDX-License-Identifier: Apache-2.0
//! From an action or a plan to a judgement: reading, counting, weighing, deciding, in this order.
//! The one place where the parts meet; each of them knows nothing of the others but its input.

use crate::action::{Action, Plan, reasoning};
use crate::blast::{self, Blast, Recovery, Workspace};
use crate::effects::shell::Ground;
use crate::effects::{Analysis, intent};
use crate::risk::{self, Context, Declared, Features, Inputs, Model, Reach, Risk, State};
use crate::verdict::facts::{self, Bps, Count, Facts};
use crate::verdict::{Decision, Engine, Limits, LoadError, Verdict};

/// Around an action: what the host knows of its task.
#[derive(Clone, Debug)]
pub struct Around {
    /// How tightly the task is held.
    pub posture: facts::Posture,
    /// Whose it is.
    pub who: facts::Who,
    /// Hosts of the operator's catalogue.
    pub catalogue: Vec<String>,
    /// How it stands to what was declared.
    pub declared: Declared,
}

impl Default for Around {
    /// A task held as policies say, of nobody in particular.
    fn default() -> Self {
        Self {
            posture: facts::Posture::Normal,
            who: facts::Who::default(),
            catalogue: Vec::new(),
            declared: Declared::NoPlan,
        }
    }
}

/// All that was found out and decided of one action, or of a plan as a whole.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// What it would do.
    pub analysis: Analysis,
    /// How far that reaches, when there was a workspace to count in.
    pub blast: Option<Blast>,
    /// What the model weighed.
    pub features: Features,
    /// How likely a person would refuse.
    pub risk: Risk,
    /// What the policies were asked.
    pub facts: Facts,
    /// What they decided.
    pub decision: Decision,
}

/// A plan's judgement.
#[derive(Clone, Debug)]
pub struct PlanJudgement {
    /// Each step by itself, in order.
    pub steps: Vec<Judgement>,
    /// What the steps do together, and what the plan's words say of them.
    pub together: Judgement,
}

impl PlanJudgement {
    /// The tightest of all verdicts: putting actions into a plan loosens nothing.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let steps = self.steps.iter().map(|step| step.decision.verdict);
        steps.fold(self.together.decision.verdict, Verdict::max)
    }
}

/// What judges: the policies in force, the model, the operator's limits.
#[derive(Debug)]
pub struct Judge {
    /// The policies.
    pub engine: Engine,
    /// The risk model.
    pub model: Model,
    /// The operator's numbers.
    pub limits: Limits,
}

impl Judge {
    /// The built-in policies, the prior and the default limits: the first day.
    ///
    /// # Errors
    ///
    /// The built-in policies do not load, which a test rules out.
    pub fn built_in() -> Result<Self, LoadError> {
        Ok(Self {
            engine: Engine::load(true, &[])?,
            model: Model::default(),
            limits: Limits::default(),
        })
    }

    /// Judges one action.
    #[must_use]
    pub fn action(
        &self,
        action: &Action,
        ground: Ground<'_>,
        workspace: Option<&dyn Workspace>,
        around: &Around,
    ) -> Judgement {
        let analysis = intent::of(action, ground);
        let cwd = action.cwd.as_deref().or(ground.cwd);
        self.analysed(analysis, cwd, workspace, around)
    }

    /// Judges what was learnt of one action, which starts in `cwd`: for callers who look at that
    /// before they let a workspace be counted in.
    #[must_use]
    pub fn analysed(
        &self,
        mut analysis: Analysis,
        cwd: Option<&str>,
        workspace: Option<&dyn Workspace>,
        around: &Around,
    ) -> Judgement {
        if let Some(workspace) = workspace {
            blast::settle(&mut analysis, cwd, workspace);
        }
        self.settled(analysis, cwd, workspace, around)
    }

    /// Judges what was learnt of one action and is settled ([`blast::settle`]): for callers to
    /// whom it makes a difference what is left of it then.
    #[must_use]
    pub fn settled(
        &self,
        analysis: Analysis,
        cwd: Option<&str>,
        workspace: Option<&dyn Workspace>,
        around: &Around,
    ) -> Judgement {
        let blast = workspace.map(|workspace| blast::measure(&analysis, cwd, workspace));
        self.weigh(analysis, blast, around, &Planned::default())
    }

    /// Judges a plan: each step, and what they do together.
    #[must_use]
    pub fn plan(
        &self,
        plan: &Plan,
        ground: Ground<'_>,
        workspace: Option<&dyn Workspace>,
        around: &Around,
    ) -> PlanJudgement {
        let analyses = intent::of_plan(plan, ground);
        let announced = reasoning::read(plan);
        let meant: Vec<Analysis> = announced
            .commands
            .iter()
            .map(|code| intent::of_code(code.language, &code.text, ground))
            .collect();
        let findings = reasoning::compare(&announced, &meant, &analyses);
        let mut together = Analysis::default();
        for analysis in &analyses {
            together.effects.extend(analysis.effects.iter().cloned());
            together.findings.extend(analysis.findings.iter().cloned());
            together.scripts.extend(analysis.scripts.iter().cloned());
            together.commands.extend(analysis.commands.iter().cloned());
        }
        together.findings.extend(findings);
        let mut meter =
            workspace.map(|workspace| blast::Meter::new(workspace, blast::Limits::default()));
        let inside = Around {
            declared: Declared::InPlan,
            ..around.clone()
        };
        let planned = Planned {
            steps: analyses.len(),
            whole: false,
        };
        let mut steps = Vec::new();
        for (action, analysis) in plan.actions.iter().zip(analyses) {
            let cwd = action.cwd.as_deref().or(ground.cwd);
            if let Some(meter) = &mut meter {
                meter.add(&analysis, cwd);
            }
            let blast = workspace.map(|workspace| blast::measure(&analysis, cwd, workspace));
            steps.push(self.weigh(analysis, blast, &inside, &planned));
        }
        let whole = Planned {
            whole: true,
            ..planned
        };
        let blast = meter.map(blast::Meter::finish);
        PlanJudgement {
            together: self.weigh(together, blast, &inside, &whole),
            steps,
        }
    }

    fn weigh(
        &self,
        analysis: Analysis,
        blast: Option<Blast>,
        around: &Around,
        planned: &Planned,
    ) -> Judgement {
        let reach = blast.as_ref().map(reach);
        let context = Context {
            posture: around.posture as u8,
            plan: planned.whole,
            declared: around.declared,
        };
        let inputs = Inputs {
            analysis: &analysis,
            reach: reach.as_ref(),
            context,
        };
        let features = Features::of(&inputs, self.model.salt());
        let risk = self.model.assess(&features);
        let mut facts = Facts::of(&analysis);
        facts.risk = self.risk_facts(&risk);
        facts.posture = around.posture;
        facts.who = around.who.clone();
        facts.planned.in_plan = planned.steps > 0;
        facts.planned.declared = around.declared == Declared::InPlan;
        facts.planned.steps = count(planned.steps);
        if let Some(blast) = &blast {
            facts.reach = counted(blast);
        }
        let canonical: Vec<String> = around
            .catalogue
            .iter()
            .map(|host| host.to_lowercase())
            .collect();
        facts.catalogued(|host| {
            let host = host.trim_end_matches('.').to_lowercase();
            canonical.contains(&host)
        });
        let decision = self.engine.decide(&facts);
        Judgement {
            analysis,
            blast,
            features,
            risk,
            facts,
            decision,
        }
    }

    /// Asking begins where the model says, or earlier where the operator does.
    fn risk_facts(&self, risk: &Risk) -> facts::Risk {
        let model = match &risk.state {
            State::Valid => facts::Model::Valid,
            State::Degraded(_) => facts::Model::Degraded,
            State::Void(_) => facts::Model::Void,
        };
        facts::Risk {
            estimate: Bps::new(risk.probability_bps().into()),
            upper: Bps::new(risk.upper_bps().into()),
            uncertainty: Bps::new(risk.margin_bps().into()),
            ask_threshold: self
                .limits
                .ask_threshold
                .min(Bps::new(risk::basis_points(risk.ask_at).into())),
            certified: false,
            model,
        }
    }
}

/// How an analysis stands to a plan.
#[derive(Clone, Debug, Default)]
struct Planned {
    steps: usize,
    whole: bool,
}

fn count(number: usize) -> Count {
    Count::new(u64::try_from(number).unwrap_or(u64::MAX))
}

/// What the risk model weighs of a blast radius.
#[must_use]
pub fn reach(blast: &Blast) -> Reach {
    let (changed, _) = changes(blast);
    Reach {
        only_copy: only_copies(blast),
        committed: changed.saturating_sub(only_copies(blast)),
        outside: outside(blast),
        hosts: u64::try_from(blast.hosts.len()).unwrap_or(u64::MAX),
        credentials: credentials(blast),
        leaves_machine: blast.leaves_machine,
        contained_by_review: blast.contained_by_review,
    }
}

/// What policies can speak of.
fn counted(blast: &Blast) -> facts::Reach {
    let (files, bytes) = changes(blast);
    facts::Reach {
        files: Count::new(files),
        only_copies: Count::new(only_copies(blast)),
        bytes: Count::new(bytes),
        outside_workspace: Count::new(outside(blast)),
        credentials: Count::new(credentials(blast)),
        partial: blast.partial,
        leaves_machine: blast.leaves_machine,
        contained_by_review: blast.contained_by_review,
        reversible: blast.contained_by_review && !blast.leaves_machine,
    }
}

fn changes(blast: &Blast) -> (u64, u64) {
    let (deletes, overwrites) = (blast.deletes.total(), blast.overwrites.total());
    (
        deletes.files.saturating_add(overwrites.files),
        deletes.bytes.saturating_add(overwrites.bytes),
    )
}

fn only_copies(blast: &Blast) -> u64 {
    let of = |recovery| {
        let (deletes, overwrites) = (blast.deletes.of(recovery), blast.overwrites.of(recovery));
        deletes.files.saturating_add(overwrites.files)
    };
    of(Recovery::OnlyCopy).saturating_add(of(Recovery::Modified))
}

fn outside(blast: &Blast) -> u64 {
    let lines = blast.deletes.lines().iter().chain(blast.overwrites.lines());
    lines
        .filter(|line| line.outside)
        .map(|line| line.count.files)
        .sum()
}

fn credentials(blast: &Blast) -> u64 {
    let count = blast.credentials.union(&blast.credentials_in_reach).count();
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
