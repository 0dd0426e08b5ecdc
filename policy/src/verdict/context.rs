// SPDX-License-Identifier: Apache-2.0
//! From [`Facts`] to what Cedar evaluates, as `schema.cedarschema` declares it.
//!
//! Built by typed code and not checked against the schema on every call; a property test checks
//! that whatever the facts, the context conforms.

use std::str::FromStr;

use cedar_policy::{Context, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use super::facts::{Bps, Count, Facts, Model, Words};
use crate::effects::{Area, Hard, Harm, Kind};

/// Why Cedar could not be asked. Its own errors are large and of many types; they are only read.
pub(super) type Unmade = Box<dyn std::error::Error + Send + Sync>;

/// All kinds of effects: a new one belongs here, in `kind_name` and in the schema.
pub(super) const KINDS: [Kind; 14] = Kind::ALL;

/// The names of the schema's enumerations, parsed once.
#[derive(Debug)]
pub(super) struct Types {
    pub(super) agent: EntityTypeName,
    pub(super) task: EntityTypeName,
    kind: EntityTypeName,
    finding: EntityTypeName,
    area: EntityTypeName,
    posture: EntityTypeName,
    model: EntityTypeName,
}

impl Types {
    pub(super) fn new() -> Result<Self, Unmade> {
        let name = EntityTypeName::from_str;
        Ok(Self {
            agent: name("Agent")?,
            task: name("Task")?,
            kind: name("Kind")?,
            finding: name("Finding")?,
            area: name("Area")?,
            posture: name("Posture")?,
            model: name("Model")?,
        })
    }

    /// The context of a request.
    pub(super) fn context(&self, facts: &Facts) -> Result<Context, Unmade> {
        let mut pairs = Vec::with_capacity(48);
        self.risk(facts, &mut pairs);
        self.does(facts, &mut pairs)?;
        words(facts, &mut pairs);
        reach(facts, &mut pairs);
        let pairs = pairs.into_iter();
        let context = Context::from_pairs(pairs.map(|(name, value)| (name.to_owned(), value)))?;
        Ok(context)
    }

    fn risk(&self, facts: &Facts, pairs: &mut Pairs) {
        let risk = &facts.risk;
        pairs.extend([
            ("risk_bps", bps(risk.estimate)),
            ("risk_upper_bps", bps(risk.upper)),
            ("uncertainty_bps", bps(risk.uncertainty)),
            ("ask_threshold_bps", bps(risk.ask_threshold)),
            ("certified", flag(risk.certified)),
            ("model", one(&self.model, model(risk.model))),
            ("posture", one(&self.posture, facts.posture.name())),
        ]);
    }

    fn does(&self, facts: &Facts, pairs: &mut Pairs) -> Result<(), Unmade> {
        let does = &facts.does;
        let harms = KINDS.iter().map(|kind| {
            let harm = does.harms.get(kind).copied().unwrap_or_default();
            (kind_name(*kind).to_owned(), long(harm_level(harm)))
        });
        let areas = |wanted: Option<Kind>| {
            let areas = does.areas.iter();
            let areas = areas.filter(move |(kind, _)| wanted.is_none_or(|wanted| wanted == *kind));
            many(&self.area, areas.map(|(_, area)| area_name(*area)))
        };
        let kinds = does.harms.keys().map(|kind| kind_name(*kind));
        let findings = does.findings.iter().map(|hard| finding_name(*hard));
        pairs.extend([
            ("kinds", many(&self.kind, kinds)),
            ("harm", RestrictedExpression::new_record(harms)?),
            ("worst_harm", long(harm_level(does.worst()))),
            ("findings", many(&self.finding, findings)),
            ("areas", areas(None)),
            ("read_areas", areas(Some(Kind::Read))),
            ("write_areas", areas(Some(Kind::Write))),
            ("delete_areas", areas(Some(Kind::Delete))),
            ("secret", flag(does.secret)),
            ("startup", flag(does.startup)),
            ("truncated", flag(does.truncated())),
        ]);
        Ok(())
    }
}

/// Attributes with their values.
type Pairs = Vec<(&'static str, RestrictedExpression)>;

fn words(facts: &Facts, pairs: &mut Pairs) {
    let does = &facts.does;
    let set = |words: &Words| {
        let words = words.iter().map(str::to_owned);
        RestrictedExpression::new_set(words.map(RestrictedExpression::new_string))
    };
    pairs.extend([
        ("rules", set(&does.rules)),
        ("hosts", set(&does.hosts)),
        ("hosts_outside", set(&does.hosts_outside)),
        ("programs", set(&does.programs)),
        ("words", set(&does.words)),
        ("packages", set(&does.packages)),
        ("services", set(&does.services)),
    ]);
}

fn reach(facts: &Facts, pairs: &mut Pairs) {
    let (reach, planned) = (&facts.reach, &facts.planned);
    pairs.extend([
        ("files", count(reach.files)),
        ("only_copies", count(reach.only_copies)),
        ("bytes", count(reach.bytes)),
        ("outside_workspace", count(reach.outside_workspace)),
        ("credentials", count(reach.credentials)),
        ("partial", flag(reach.partial)),
        ("leaves_machine", flag(reach.leaves_machine)),
        ("contained_by_review", flag(reach.contained_by_review)),
        ("reversible", flag(reach.reversible)),
        ("in_plan", flag(planned.in_plan)),
        ("declared", flag(planned.declared)),
        ("steps", count(planned.steps)),
    ]);
}

/// A member of an enumeration.
fn one(of: &EntityTypeName, name: &str) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(uid(of, name))
}

fn many<'a>(of: &EntityTypeName, names: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(names.map(|name| one(of, name)))
}

/// An entity by its type and name.
pub(super) fn uid(of: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(name))
}

fn long(number: i64) -> RestrictedExpression {
    RestrictedExpression::new_long(number)
}

fn bps(points: Bps) -> RestrictedExpression {
    long(i64::from(points.get()))
}

fn count(count: Count) -> RestrictedExpression {
    long(i64::try_from(count.get()).unwrap_or(i64::MAX))
}

fn flag(flag: bool) -> RestrictedExpression {
    RestrictedExpression::new_bool(flag)
}

fn harm_level(harm: Harm) -> i64 {
    match harm {
        Harm::None => 0,
        Harm::Low => 1,
        Harm::Medium => 2,
        Harm::High => 3,
        Harm::Critical => 4,
    }
}

fn model(model: Model) -> &'static str {
    match model {
        Model::Valid => "valid",
        Model::Degraded => "degraded",
        Model::Void => "void",
    }
}

/// A kind as policies and people read it.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Read => "read",
        Kind::Write => "write",
        Kind::Delete => "delete",
        Kind::Execute => "execute",
        Kind::Connect => "connect",
        Kind::Send => "send",
        Kind::Install => "install",
        Kind::Escalate => "escalate",
        Kind::Persist => "persist",
        Kind::Publish => "publish",
        Kind::TouchSecret => "touch-secret",
        Kind::Obfuscate => "obfuscate",
        Kind::Disrupt => "disrupt",
        Kind::Unknown => "unknown",
    }
}

/// A finding as policies and people read it.
pub(super) fn finding_name(hard: Hard) -> &'static str {
    match hard {
        Hard::Unparsed => "unparsed",
        Hard::ParsersDiffer => "parsers-differ",
        Hard::DynamicProgram => "dynamic-program",
        Hard::DynamicCode => "dynamic-code",
        Hard::TooMuch => "too-much",
        Hard::Misleading => "misleading",
        Hard::NotText => "not-text",
        Hard::UnreadScript => "unread-script",
        Hard::Cycle => "cycle",
        Hard::AnnouncedNotDone => "announced-not-done",
        Hard::DoneNotAnnounced => "done-not-announced",
        Hard::TooBroad => "too-broad",
    }
}

fn area_name(area: Area) -> &'static str {
    match area {
        Area::Null => "null",
        Area::Temp => "temp",
        Area::Build => "build",
        Area::Workspace => "workspace",
        Area::WorkspaceRoot => "workspace-root",
        Area::Vcs => "vcs",
        Area::Home => "home",
        Area::HomeRoot => "home-root",
        Area::Outside => "outside",
        Area::System => "system",
        Area::Device => "device",
        Area::Root => "root",
        Area::Unresolved => "unresolved",
    }
}
