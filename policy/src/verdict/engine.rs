// SPDX-License-Identifier: Apache-2.0
//! The policies that are in force, and what they decide.

use std::collections::HashMap;
use std::str::FromStr;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Entities, Entity, EntityUid, PolicyId, PolicySet,
    Request, Response, RestrictedExpression, Schema,
};
use serde::{Deserialize, Serialize};

use super::context::{Types, Unmade, uid};
use super::facts::Facts;
use super::load::{self, About, By, FILES, LoadError, Loaded, POLICIES, Problem, Source, plain};

/// What policies can speak of.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// What no file can loosen.
const FLOOR: Source = Source {
    name: "floor.cedar",
    text: include_str!("floor.cedar"),
    by: By::BuiltIn,
};

/// The built-in policies.
pub const DEFAULT: Source = Source {
    name: "default.cedar",
    text: include_str!("default.cedar"),
    by: By::BuiltIn,
};

/// What may be done with an action, the loosest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It runs.
    Allow,
    /// A person decides.
    Ask,
    /// It does not run.
    Deny,
}

impl Verdict {
    /// As people read and write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// A policy that decided, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The policy's `@id`.
    pub policy: String,
    /// Its sentence, without a full stop.
    pub text: String,
    /// What would do instead, if it says so.
    pub safer: Option<String>,
    /// It permits; else it forbids.
    pub permits: bool,
    /// It applies. A permit that does not is why somebody has to be asked.
    pub applies: bool,
    /// The file it is in.
    pub file: String,
    /// Who says so.
    pub by: By,
}

/// A policy that could not be evaluated. It denies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The policy's `@id`; nothing when no policy is at fault.
    pub policy: Option<String>,
    /// What went wrong.
    pub text: String,
}

/// What the policies decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Allow, ask or deny.
    pub verdict: Verdict,
    /// The policies that led to it, in the order they were loaded.
    pub determining: Vec<Reason>,
    /// Policies that could not be evaluated; any of them denies.
    pub errors: Vec<Failure>,
}

impl Decision {
    /// A denial because the policies could not be asked.
    fn failed(text: &dyn std::fmt::Display) -> Self {
        Self {
            verdict: Verdict::Deny,
            determining: Vec::new(),
            errors: vec![Failure {
                policy: None,
                text: plain(&text.to_string()),
            }],
        }
    }

    /// Whether a policy of this id decided or failed.
    #[must_use]
    pub fn names(&self, policy: &str) -> bool {
        let failed = self
            .errors
            .iter()
            .filter_map(|error| error.policy.as_deref());
        let decided = self.determining.iter().map(|reason| reason.policy.as_str());
        decided.chain(failed).any(|id| id == policy)
    }
}

/// The policies in force.
#[derive(Debug)]
pub struct Engine {
    policies: PolicySet,
    about: HashMap<PolicyId, (usize, About)>,
    /// Permits to run unattended that say what it means when they do not apply.
    spoken: Vec<About>,
    authorizer: Authorizer,
    types: Types,
    unattended: EntityUid,
    approved: EntityUid,
    task: EntityUid,
}

impl Engine {
    /// The policies of these files, beside the floor and, if `built_in`, the default ones.
    ///
    /// # Errors
    ///
    /// The first file that is not fit, with where and what to do; then nothing is in force.
    pub fn load(built_in: bool, sources: &[Source]) -> Result<Self, LoadError> {
        let broken = |error: String| Problem::Schema(plain(&error), None);
        let own = |problem| LoadError::at("schema.cedarschema", "", 0, problem);
        let schema = Schema::from_str(SCHEMA).map_err(|error| own(broken(error.to_string())))?;
        let types = Types::new().map_err(|error| own(broken(error.to_string())))?;
        let action = |name: &str| {
            EntityUid::from_str(&format!("Action::\"{name}\""))
                .map_err(|error| own(broken(error.to_string())))
        };
        let mut engine = Self {
            policies: PolicySet::new(),
            about: HashMap::new(),
            spoken: Vec::new(),
            authorizer: Authorizer::new(),
            unattended: action("run_unattended")?,
            approved: action("run_with_approval")?,
            task: uid(&types.task, "task"),
            types,
        };
        let base: &[Source] = if built_in {
            &[FLOOR, DEFAULT]
        } else {
            &[FLOOR]
        };
        for (number, source) in base.iter().chain(sources).enumerate() {
            if number >= FILES {
                let problem = Problem::Large("an engine of 64 files");
                return Err(LoadError::at(source.name, source.text, 0, problem));
            }
            for loaded in load::read(source, &schema)? {
                engine.add(loaded, source)?;
            }
        }
        Ok(engine)
    }

    fn add(&mut self, loaded: Loaded, source: &Source) -> Result<(), LoadError> {
        let Loaded { policy, about } = loaded;
        let fail = |problem| {
            // Where its id is written; the first of two in one file is the one they clash over.
            let at = source.text.rfind(&format!("\"{}\"", about.id));
            LoadError::at(source.name, source.text, at.unwrap_or_default(), problem)
        };
        if let Some((_, other)) = self.about.get(policy.id()) {
            return Err(fail(Problem::Taken(about.id.clone(), other.file.clone())));
        }
        if self.about.len() >= POLICIES {
            return Err(fail(Problem::Large("an engine of 512 policies")));
        }
        let id = policy.id().clone();
        let unattended = match policy.action_constraint() {
            cedar_policy::ActionConstraint::Any => true,
            cedar_policy::ActionConstraint::Eq(action) => action == self.unattended,
            cedar_policy::ActionConstraint::In(actions) => actions.contains(&self.unattended),
        };
        let taken = |_| Problem::Taken(about.id.clone(), about.file.clone());
        self.policies
            .add(policy)
            .map_err(|error| fail(taken(error)))?;
        if unattended && about.permit && about.otherwise.is_some() {
            self.spoken.push(about.clone());
        }
        self.about.insert(id, (self.about.len(), about));
        Ok(())
    }

    /// What may be done with an action of which this is known.
    #[must_use]
    pub fn decide(&self, facts: &Facts) -> Decision {
        let responses = self.principal(facts).and_then(|(agent, entities)| {
            let context = self.types.context(facts)?;
            let ask =
                |action: &EntityUid, context: Context| self.ask(&agent, action, context, &entities);
            let unattended = ask(&self.unattended, context.clone())?;
            Ok((unattended, ask(&self.approved, context)?))
        });
        match responses {
            Ok((unattended, approved)) => self.decision(&unattended, &approved),
            Err(error) => Decision::failed(&error),
        }
    }

    fn ask(
        &self,
        agent: &EntityUid,
        action: &EntityUid,
        context: Context,
        entities: &Entities,
    ) -> Result<Response, Unmade> {
        let (agent, action, task) = (agent.clone(), action.clone(), self.task.clone());
        let request = Request::new(agent, action, task, context, None)?;
        Ok(self
            .authorizer
            .is_authorized(&request, &self.policies, entities))
    }

    /// The agent and all entities.
    fn principal(&self, facts: &Facts) -> Result<(EntityUid, Entities), Unmade> {
        let who = &facts.who;
        let agent = uid(&self.types.agent, &who.agent);
        let entities = [
            entity(agent.clone(), [("name", &who.agent), ("team", &who.team)])?,
            entity(
                self.task.clone(),
                [("image", &who.image), ("workspace", &who.workspace)],
            )?,
        ];
        Ok((agent, Entities::from_entities(entities, None)?))
    }

    fn decision(&self, unattended: &Response, approved: &Response) -> Decision {
        let permitted = |response: &Response| response.decision() == cedar_policy::Decision::Allow;
        let errors = self.failures(unattended, approved);
        let (verdict, determining) = if !errors.is_empty() {
            // What forbids is still worth knowing, beside what failed.
            (Verdict::Deny, self.forbids(approved))
        } else if permitted(unattended) {
            (Verdict::Allow, self.reasons(unattended))
        } else if permitted(approved) {
            (Verdict::Ask, self.why_ask(unattended, approved))
        } else {
            (Verdict::Deny, self.forbids(approved))
        };
        Decision {
            verdict,
            determining,
            errors,
        }
    }

    /// Cedar skips a policy that it cannot evaluate, even a `forbid`. Here it denies.
    fn failures(&self, unattended: &Response, approved: &Response) -> Vec<Failure> {
        let errors = [unattended, approved];
        let errors = errors
            .iter()
            .flat_map(|response| response.diagnostics().errors());
        let mut failures = Vec::new();
        for AuthorizationError::PolicyEvaluationError(error) in errors {
            let failure = Failure {
                policy: Some(error.policy_id().to_string()),
                text: plain(&error.inner().to_string()),
            };
            if !failures.contains(&failure) {
                failures.push(failure);
            }
        }
        failures.sort_by(|one, other| one.policy.cmp(&other.policy));
        failures
    }

    /// The forbids, or what does not apply of the permits; then what lets a person decide.
    fn why_ask(&self, unattended: &Response, approved: &Response) -> Vec<Reason> {
        let mut reasons = self.forbids(unattended);
        if reasons.is_empty() {
            reasons.extend(self.spoken.iter().map(|about| reason(about, false)));
        }
        reasons.extend(self.reasons(approved));
        reasons
    }

    fn forbids(&self, response: &Response) -> Vec<Reason> {
        let mut reasons = self.reasons(response);
        reasons.retain(|reason| !reason.permits);
        reasons
    }

    /// The determining policies, in the order they were loaded.
    fn reasons(&self, response: &Response) -> Vec<Reason> {
        let ids = response.diagnostics().reason();
        let mut about: Vec<_> = ids.filter_map(|id| self.about.get(id)).collect();
        about.sort_by_key(|(order, _)| *order);
        let about = about.into_iter();
        about.map(|(_, about)| reason(about, true)).collect()
    }
}

fn reason(about: &About, applies: bool) -> Reason {
    let otherwise = about.otherwise.as_ref().filter(|_| !applies);
    Reason {
        policy: about.id.clone(),
        text: otherwise.unwrap_or(&about.reason).clone(),
        safer: about.safer.clone(),
        permits: about.permit,
        applies,
        file: about.file.clone(),
        by: about.by,
    }
}

fn entity(uid: EntityUid, attributes: [(&str, &String); 2]) -> Result<Entity, Unmade> {
    let attributes = attributes.map(|(name, value)| {
        let value = RestrictedExpression::new_string(value.clone());
        (name.to_owned(), value)
    });
    let attributes = attributes.into_iter().collect();
    Ok(Entity::new(
        uid,
        attributes,
        std::collections::HashSet::new(),
    )?)
}
