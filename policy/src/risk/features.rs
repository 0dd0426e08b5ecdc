// SPDX-License-Identifier: Apache-2.0
//! What a risk is computed from. [`Shared`] holds what says nothing of anybody's code: kinds,
//! harms, areas, findings and scaled counts. The words are in [`LocalBlock`], hashed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::lexical::LocalBlock;
use super::{Context, Declared, Inputs, Reach};
use crate::effects::{Analysis, Area, Effect, Hard, Harm, Kind, Target};

/// Changes with the meaning of any feature: weights of another schema mean nothing here.
pub const SCHEMA: u32 = 1;

/// A feature's whole, as values are kept: integers read back from JSON as they were written.
pub const ONE: u16 = 1000;

/// All kinds, in the order of their weights.
pub const KINDS: [Kind; 14] = Kind::ALL;

/// All harms, the least first.
pub const HARMS: [Harm; 5] = Harm::ALL;

/// All that makes an action hard to read, in the order of the weights.
pub const HARDS: [Hard; 12] = Hard::ALL;

/// Kinds that people feel alike about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Reads.
    Look,
    /// Writes.
    Change,
    /// Deletes and disrupts.
    Destroy,
    /// Runs, installs, and what could be anything.
    Run,
    /// Connects and sends.
    Reach,
    /// Rights, and what stays.
    Rights,
    /// Made visible to others.
    Publish,
    /// Secrets.
    Secret,
    /// Hidden.
    Hide,
}

/// How many groups there are.
pub const GROUPS: usize = 9;

impl Group {
    /// The group of a kind.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Read => Self::Look,
            Kind::Write => Self::Change,
            Kind::Delete | Kind::Disrupt => Self::Destroy,
            Kind::Execute | Kind::Install | Kind::Unknown => Self::Run,
            Kind::Connect | Kind::Send => Self::Reach,
            Kind::Escalate | Kind::Persist => Self::Rights,
            Kind::Publish => Self::Publish,
            Kind::TouchSecret => Self::Secret,
            Kind::Obfuscate => Self::Hide,
        }
    }
}

/// Areas that people feel alike about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zone {
    /// Temporary, made again, or nothing.
    Scratch,
    /// In the workspace.
    Work,
    /// The whole workspace, or its history.
    AllWork,
    /// In a home folder.
    Home,
    /// A whole home, device or machine.
    Whole,
    /// The system's files.
    System,
    /// Elsewhere on the machine.
    Outside,
    /// Known only when the action runs.
    Unresolved,
    /// On another machine.
    Remote,
    /// No place: a package, a program, a process.
    Here,
}

/// How many zones there are.
pub const ZONES: usize = 10;

impl Zone {
    /// The zone of a target.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        let Target::Path(_, place) = target else {
            return match target {
                Target::Host(_) | Target::Resource(..) => Self::Remote,
                _ => Self::Here,
            };
        };
        match place.area {
            Area::Null | Area::Temp | Area::Build => Self::Scratch,
            Area::Workspace => Self::Work,
            Area::WorkspaceRoot | Area::Vcs => Self::AllWork,
            Area::Home => Self::Home,
            Area::HomeRoot | Area::Root | Area::Device => Self::Whole,
            Area::System => Self::System,
            Area::Outside => Self::Outside,
            Area::Unresolved => Self::Unresolved,
        }
    }
}

/// An effect without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What kind of thing.
    pub kind: Kind,
    /// How bad at worst.
    pub harm: Harm,
    /// Where.
    pub zone: Zone,
}

/// What adds to the riskiest claim. None of them ever lowers a risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extra {
    /// The second-worst group of effects is of low harm.
    SecondLow,
    /// Of medium harm.
    SecondMedium,
    /// Of high harm.
    SecondHigh,
    /// Of critical harm.
    SecondCritical,
    /// Secrets are touched.
    Secret,
    /// An effect that could be anything.
    Unknown,
    /// Depth of wrappers and scripts.
    Wrapped,
    /// How many targets.
    Breadth,
    /// How many things made it hard to read, beyond the first.
    Findings,
    /// Files without another copy.
    OnlyCopy,
    /// Files that version control has.
    Committed,
    /// Files outside the workspace.
    Outside,
    /// Hosts.
    Hosts,
    /// Credentials within reach.
    Credentials,
    /// Something leaves the machine.
    Leaves,
    /// Not all of it is reviewed before it counts.
    Uncontained,
    /// The task is held tight.
    Posture,
    /// A whole plan.
    Plan,
    /// A step that was declared.
    InPlan,
    /// A step outside what was declared.
    OutsidePlan,
}

/// All extras, in the order of their weights.
pub const EXTRAS: [Extra; 20] = [
    Extra::SecondLow,
    Extra::SecondMedium,
    Extra::SecondHigh,
    Extra::SecondCritical,
    Extra::Secret,
    Extra::Unknown,
    Extra::Wrapped,
    Extra::Breadth,
    Extra::Findings,
    Extra::OnlyCopy,
    Extra::Committed,
    Extra::Outside,
    Extra::Hosts,
    Extra::Credentials,
    Extra::Leaves,
    Extra::Uncontained,
    Extra::Posture,
    Extra::Plan,
    Extra::InPlan,
    Extra::OutsidePlan,
];

/// What says nothing of anybody's code, paths or names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// The effects, in the order of the analysis.
    pub parts: Vec<Part>,
    /// What made it hard to read, each once.
    pub findings: Vec<Hard>,
    /// A secret is on its way to the network.
    pub leak: bool,
    /// Thousandths, in the order of [`EXTRAS`].
    pub extras: [u16; EXTRAS.len()],
}

impl Shared {
    /// The worst effect's harm.
    #[must_use]
    pub fn harm(&self) -> Harm {
        self.parts.iter().map(|p| p.harm).max().unwrap_or_default()
    }

    /// An extra's value, 0 to 1.
    #[must_use]
    pub fn extra(&self, extra: Extra) -> f64 {
        let value = self.extras.get(extra as usize).copied().unwrap_or(0);
        f64::from(value.min(ONE)) / f64::from(ONE)
    }

    pub(crate) fn set(&mut self, extra: Extra, value: u16) {
        if let Some(place) = self.extras.get_mut(extra as usize) {
            *place = value.min(ONE);
        }
    }

    /// Fills in the second-worst group's harm.
    pub(crate) fn rank(&mut self) {
        let mut worst = [Harm::None; GROUPS];
        for part in &self.parts {
            if let Some(harm) = worst.get_mut(Group::of(part.kind) as usize) {
                *harm = part.harm.max(*harm);
            }
        }
        worst.sort_unstable();
        let second = worst.get(GROUPS - 2).copied().unwrap_or_default();
        for (extra, harm) in EXTRAS.iter().zip(HARMS.iter().skip(1)) {
            self.set(*extra, if *harm == second { ONE } else { 0 });
        }
    }
}

/// What a risk is computed from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// What could be shared.
    pub shared: Shared,
    /// What never is: one list of hashed words for each of the parts.
    pub local: LocalBlock,
}

impl Features {
    /// Reads them off an action. `salt` is the site's own, so that nobody can choose words that
    /// fall together with ones people have approved.
    #[must_use]
    pub fn of(inputs: &Inputs, salt: u64) -> Self {
        let analysis = inputs.analysis;
        let mut shared = Shared {
            parts: analysis.effects.iter().map(part).collect(),
            leak: leaks(&analysis.effects),
            ..Shared::default()
        };
        let found: BTreeSet<Hard> = analysis.findings.iter().map(|f| f.hard).collect();
        shared.set(
            Extra::Findings,
            scaled(found.len().saturating_sub(1) as u64, 4),
        );
        shared.findings = found.into_iter().collect();
        shared.rank();
        from_effects(&mut shared, analysis);
        if let Some(reach) = inputs.reach {
            from_reach(&mut shared, reach);
        }
        from_context(&mut shared, inputs.context);
        Self {
            shared,
            local: LocalBlock::of(analysis, salt),
        }
    }
}

fn part(effect: &Effect) -> Part {
    Part {
        kind: effect.kind,
        harm: effect.harm,
        zone: Zone::of(&effect.target),
    }
}

fn secret(effect: &Effect) -> bool {
    effect.kind == Kind::TouchSecret
        || matches!(&effect.target, Target::Path(_, place) if place.secret)
}

/// Whether a secret is on its way to the network: one is touched, and something is sent that the
/// rules did not find harmless.
fn leaks(effects: &[Effect]) -> bool {
    let out = |effect: &Effect| match effect.kind {
        Kind::Send => effect.harm >= Harm::Low,
        Kind::Connect => effect.harm >= Harm::Medium,
        _ => false,
    };
    effects.iter().any(secret) && effects.iter().any(out)
}

fn from_effects(shared: &mut Shared, analysis: &Analysis) {
    let effects = &analysis.effects;
    let flag = |yes: bool| if yes { ONE } else { 0 };
    shared.set(Extra::Secret, flag(effects.iter().any(secret)));
    let unknown = effects.iter().any(|e| e.kind == Kind::Unknown);
    shared.set(Extra::Unknown, flag(unknown));
    let depth = effects.iter().map(|e| e.via.len()).max().unwrap_or(0);
    shared.set(Extra::Wrapped, scaled(depth as u64, 8));
    let targets: BTreeSet<&Target> = effects.iter().map(|e| &e.target).collect();
    let beyond = targets.len().saturating_sub(1) as u64;
    shared.set(Extra::Breadth, scaled(beyond, 64));
}

fn from_reach(shared: &mut Shared, reach: &Reach) {
    let flag = |yes: bool| if yes { ONE } else { 0 };
    shared.set(Extra::OnlyCopy, scaled(reach.only_copy, 1000));
    shared.set(Extra::Committed, scaled(reach.committed, 1000));
    shared.set(Extra::Outside, scaled(reach.outside, 1000));
    shared.set(Extra::Hosts, scaled(reach.hosts, 16));
    shared.set(Extra::Credentials, scaled(reach.credentials, 16));
    shared.set(Extra::Leaves, flag(reach.leaves_machine));
    shared.set(Extra::Uncontained, flag(!reach.contained_by_review));
}

fn from_context(shared: &mut Shared, context: Context) {
    let flag = |yes: bool| if yes { ONE } else { 0 };
    let tight = u16::from(context.posture.min(3));
    shared.set(Extra::Posture, tight.saturating_mul(ONE) / 3);
    shared.set(Extra::Plan, flag(context.plan));
    shared.set(Extra::InPlan, flag(context.declared == Declared::InPlan));
    let outside = context.declared == Declared::OutsidePlan;
    shared.set(Extra::OutsidePlan, flag(outside));
}

/// A count on a scale of doublings, in thousandths: the scale ends at `whole`. Integers alone, so
/// that it is the same on every machine.
fn scaled(count: u64, whole: u64) -> u16 {
    let doublings = |n: u64| {
        let n = n.saturating_add(1).min(1 << 40);
        let whole = n.ilog2();
        // Between powers of two a straight line will do.
        u64::from(whole) * 1000 + (((n - (1 << whole)) * 1000) >> whole)
    };
    let share = doublings(count) * 1000 / doublings(whole).max(1);
    u16::try_from(share).unwrap_or(ONE).min(ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_scaled_by_doublings_and_end_at_one() {
        assert_eq!(scaled(0, 1000), 0);
        assert_eq!(scaled(1, 1000), 100);
        assert_eq!(scaled(31, 1000), 502);
        assert_eq!(scaled(1000, 1000), ONE);
        assert_eq!(scaled(u64::MAX, 1000), ONE);
    }

    #[test]
    fn tables_are_in_the_order_of_their_types() {
        assert!(KINDS.iter().enumerate().all(|(i, k)| *k as usize == i));
        assert!(HARMS.iter().enumerate().all(|(i, h)| *h as usize == i));
        assert!(HARDS.iter().enumerate().all(|(i, h)| *h as usize == i));
        assert!(EXTRAS.iter().enumerate().all(|(i, e)| *e as usize == i));
        assert_eq!(Group::Hide as usize + 1, GROUPS);
        assert_eq!(Zone::Here as usize + 1, ZONES);
    }
}
