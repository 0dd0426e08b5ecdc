// SPDX-License-Identifier: Apache-2.0
//! Policy files: parsed, checked against the schema, and refused with file, line and a fix.
//!
//! Strict on purpose: a policy that can never apply, or one without a name and a reason, stops the
//! load as a misspelt attribute does. Nothing is loaded half.

use std::fmt;
use std::str::FromStr;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use super::statements::{position, statements};

/// Longest policy file of the operator's, in bytes.
pub const FILE: usize = 256 << 10;

/// Longest file of an addition, in bytes: it costs time at every action, and not its author's.
pub const ADDITION: usize = 32 << 10;

/// Most policy files of one engine.
pub const FILES: usize = 64;

/// Most policies of one engine: each is evaluated for every action.
pub const POLICIES: usize = 512;

/// Longest `@id`, in bytes.
const ID: usize = 80;

/// Longest sentence in an annotation, in characters.
const SENTENCE: usize = 300;

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The program itself.
    BuiltIn,
    /// The operator: may permit and forbid.
    Operator,
    /// A caller or a task: may forbid.
    Addition,
}

/// A file of policies.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Who says it.
    pub by: By,
}

/// A file that was not loaded, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            problem,
        } = self;
        write!(f, "{file}:{line}:{column}: {problem}; {}", self.fix())
    }
}

impl std::error::Error for LoadError {}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Cedar does not read it.
    #[error("this is no Cedar policy: {0}")]
    Syntax(String, Option<String>),
    /// It does not fit the schema.
    #[error("{0}")]
    Schema(String, Option<String>),
    /// An addition permits.
    #[error("what a caller or task adds may only forbid, and this permits")]
    Permit,
    /// A policy without a part of its explanation, or with an unfit one.
    #[error("a policy needs @{0}(\"…\"), {1}")]
    Annotation(&'static str, &'static str),
    /// Two policies of one name.
    #[error("the id {0} is taken by a policy in {1}")]
    Taken(String, String),
    /// `?principal` and the like.
    #[error("templates are not used")]
    Template,
    /// Too much of it.
    #[error("this is larger than {0}")]
    Large(&'static str),
    /// No TOML, or not of the form.
    #[error("{0}")]
    Toml(String),
    /// A number out of its range.
    #[error("{0} is {1} to {2}")]
    Range(&'static str, u16, u16),
}

impl LoadError {
    /// A problem at an offset of a text.
    pub(super) fn at(file: &str, text: &str, offset: usize, problem: Problem) -> Self {
        let (line, column) = position(text, offset);
        Self {
            file: plain(file),
            line,
            column,
            problem,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match &self.problem {
            Problem::Syntax(_, Some(hint)) | Problem::Schema(_, Some(hint)) => hint.clone(),
            Problem::Syntax(_, None) => {
                "write it as: permit or forbid (principal, action, resource) when { … };".to_owned()
            }
            Problem::Schema(_, None) => {
                "docs/policy.md lists what policies can speak of".to_owned()
            }
            Problem::Permit => "write what it should not do as a forbid, or ask the operator to \
                add the permit to the operator's own policies"
                .to_owned(),
            Problem::Annotation(name, _) => {
                format!("write @{name}(\"…\") before its permit or forbid")
            }
            Problem::Taken(..) => "give it another @id".to_owned(),
            Problem::Template => {
                "write principal and resource without ?principal and ?resource".to_owned()
            }
            Problem::Large(_) => "split it or leave something out".to_owned(),
            Problem::Toml(_) => "see what `ampoule policy init` writes for the form".to_owned(),
            Problem::Range(..) => "choose a number in that range".to_owned(),
        }
    }
}

/// A policy with what is said when it decides.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) policy: Policy,
    pub(super) about: About,
}

/// What is said of a policy.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) id: String,
    pub(super) reason: String,
    pub(super) otherwise: Option<String>,
    pub(super) safer: Option<String>,
    pub(super) permit: bool,
    pub(super) file: String,
    pub(super) by: By,
}

/// The policies of a file, in order.
pub(super) fn read(source: &Source, schema: &Schema) -> Result<Vec<Loaded>, LoadError> {
    let fail = |offset, problem| LoadError::at(source.name, source.text, offset, problem);
    let most = if source.by == By::Addition {
        ADDITION
    } else {
        FILE
    };
    if source.text.len() > most {
        return Err(fail(most, Problem::Large("a policy file may be")));
    }
    let starts = statements(source.text)
        .map_err(|at| fail(at, Problem::Large("one policy may nest or chain")))?;
    let set = PolicySet::from_str(source.text).map_err(|errors| {
        let (at, detail, hint) = told(&errors);
        fail(at.unwrap_or_default(), Problem::Syntax(detail, hint))
    })?;
    if set.num_of_templates() > 0 {
        let at = source
            .text
            .find("?principal")
            .or(source.text.find("?resource"));
        return Err(fail(at.unwrap_or_default(), Problem::Template));
    }
    let mut loaded = Vec::with_capacity(starts.len());
    for (number, start) in starts.iter().enumerate() {
        // Cedar numbers the statements of a text in order.
        let policy = set.policy(&PolicyId::new(format!("policy{number}")));
        let lost = || Problem::Syntax("its statements cannot be told apart".to_owned(), None);
        let policy = policy.ok_or_else(|| fail(*start, lost()))?;
        let about = about(policy, source).map_err(|problem| fail(*start, problem))?;
        let policy = policy.new_id(PolicyId::new(&about.id));
        loaded.push(Loaded { policy, about });
    }
    if loaded.len() != set.num_of_policies() {
        let lost = "its statements cannot be told apart".to_owned();
        return Err(fail(0, Problem::Syntax(lost, None)));
    }
    check(&set, &starts, schema).map_err(|(at, problem)| fail(at, problem))?;
    Ok(loaded)
}

fn about(policy: &Policy, source: &Source) -> Result<About, Problem> {
    let permit = policy.effect() == Effect::Permit;
    if permit && source.by == By::Addition {
        return Err(Problem::Permit);
    }
    let id = policy.annotation("id").unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || ":_-.".contains(c);
    if id.is_empty() || id.len() > ID || !id.chars().all(fits) {
        let form = "of letters, digits and :_-. and at most 80 of them";
        return Err(Problem::Annotation("id", form));
    }
    let sentence = |name: &'static str| match policy.annotation(name) {
        Some(text) if !text.trim().is_empty() && text == plain(text) => Ok(Some(text.to_owned())),
        Some(_) => Err(Problem::Annotation(
            name,
            "a sentence of at most 300 printable characters",
        )),
        None => Ok(None),
    };
    Ok(About {
        id: id.to_owned(),
        reason: sentence("reason")?.ok_or(Problem::Annotation(
            "reason",
            "the sentence that explains its decision",
        ))?,
        otherwise: sentence("otherwise")?,
        safer: sentence("safer")?,
        permit,
        file: plain(source.name),
        by: source.by,
    })
}

/// Holds policies to the schema. A warning is an error here: a `forbid` that can never apply is
/// a hole nobody sees.
fn check(set: &PolicySet, starts: &[usize], schema: &Schema) -> Result<(), (usize, Problem)> {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let errors = result.validation_errors();
    let warnings = result.validation_warnings();
    let change = || "change its condition, or take the policy out".to_owned();
    let worst = errors
        .map(|error| placed(told(error), error.policy_id(), starts))
        // What comes with a hint is the cause of what comes without. The words make the choice
        // the same every time: Cedar names one of several actions at random.
        .min_by(|one, other| {
            let key = |(at, said, hint): &Placed| (hint.is_none(), *at, said.clone());
            key(one).cmp(&key(other))
        })
        .or_else(|| {
            let warnings =
                warnings.map(|warning| placed(told(warning), warning.policy_id(), starts));
            let first = warnings.min_by_key(|(at, ..)| *at);
            first.map(|(at, said, hint)| (at, said, hint.or_else(|| Some(change()))))
        });
    worst.map_or(Ok(()), |(at, said, hint)| {
        Err((at, Problem::Schema(said, hint)))
    })
}

/// An error of Cedar's: where if it says so, what, and its hint.
type Told = (Option<usize>, String, Option<String>);

/// The same with a place.
type Placed = (usize, String, Option<String>);

/// Where a policy begins stands in for a place that is missing. The number that the policy has
/// while it is read is left out: nobody else knows it.
fn placed((at, said, hint): Told, id: &PolicyId, starts: &[usize]) -> Placed {
    let number = id.to_string();
    let number = number.strip_prefix("policy").and_then(|n| n.parse().ok());
    let start = number.and_then(|number: usize| starts.get(number)).copied();
    let said = match said.strip_prefix(&format!("for policy `{id}`")) {
        Some(rest) => rest.trim_start_matches([',', ':', ' ']).to_owned(),
        None => said,
    };
    (at.or(start).unwrap_or_default(), said, hint)
}

/// Where and what an error of Cedar's is, and its hint.
fn told(error: &dyn Diagnostic) -> Told {
    let label = error.labels().and_then(|mut labels| labels.next());
    // What the parser expected where it stopped says more than that it stopped.
    let at = label.as_ref().and_then(|label| label.label());
    let detail = match at {
        Some(at) => format!("{error}: {at}"),
        None => error.to_string(),
    };
    let hint = error.help().map(|help| plain(&help.to_string()));
    (label.map(|label| label.offset()), plain(&detail), hint)
}

/// Text from a file as a person may safely see it: short, and nothing that hides or turns.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SENTENCE) {
        if hides(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{61C}' | '\u{FEFF}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{E0000}'..='\u{E007F}')
}
