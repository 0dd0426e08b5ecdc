// SPDX-License-Identifier: Apache-2.0
//! The operator's own examples as tests: an action, where it is judged, what is expected.
//!
//! ```toml
//! [[test]]
//! name = "cleaning the build is allowed"
//! shell = "rm -rf target"
//! expect = "allow"
//!
//! [[test]]
//! name = "nothing is installed while egress is off"
//! action = { install = { manager = "pip", packages = ["requests"] } }
//! context = { posture = "no-egress", team = "payments" }
//! expect = "ask"
//! expect_policy = "no-egress"
//! ```
//!
//! Who calls says how an example is judged, so that nothing here depends on the host.

use std::fmt::Write;

use serde::Deserialize;
use toml::Spanned;

use super::engine::{Decision, Verdict};
use super::facts::Posture;
use super::limits::parse;
use super::load::{LoadError, Problem, plain};
use crate::action::Action;

/// Most examples of one file.
pub const EXAMPLES: usize = 1000;

/// Where an action is judged, as far as an example says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Context {
    /// How tightly the task is held; normal when absent.
    pub posture: Option<Posture>,
    /// The agent's team.
    pub team: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// The task's image.
    pub image: Option<String>,
}

/// An action and the verdict it should get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// What it shows.
    pub name: String,
    /// The file it is in.
    pub file: String,
    /// The line it begins on.
    pub line: usize,
    /// The action.
    pub action: Action,
    /// Where it is judged.
    pub context: Context,
    /// The verdict it should get.
    pub expect: Verdict,
    /// A policy that should be among those that decide.
    pub expect_policy: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    test: Vec<Spanned<RawExample>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExample {
    name: String,
    action: Option<Action>,
    shell: Option<String>,
    #[serde(default)]
    context: Context,
    expect: Verdict,
    expect_policy: Option<String>,
}

/// The examples of a file.
///
/// # Errors
///
/// What is not of the form, and where.
pub fn read(file: &str, text: &str) -> Result<Vec<Example>, LoadError> {
    let raw: Raw = parse(file, text)?;
    if raw.test.len() > EXAMPLES {
        let problem = Problem::Large("a file of 1000 examples");
        return Err(LoadError::at(file, text, 0, problem));
    }
    let examples = raw.test.into_iter();
    examples.map(|raw| example(file, text, raw)).collect()
}

fn example(file: &str, text: &str, raw: Spanned<RawExample>) -> Result<Example, LoadError> {
    let at = raw.span().start;
    let raw = raw.into_inner();
    let fail = |said: &str| LoadError::at(file, text, at, Problem::Toml(said.to_owned()));
    let action = match (raw.action, raw.shell) {
        (Some(action), None) => action,
        (None, Some(shell)) => Action::shell(&shell),
        _ => return Err(fail("an example has exactly one of action and shell")),
    };
    if raw.name.trim().is_empty() {
        return Err(fail("an example has a name that says what it shows"));
    }
    Ok(Example {
        name: plain(&raw.name),
        file: plain(file),
        line: super::statements::position(text, at).0,
        action,
        context: raw.context,
        expect: raw.expect,
        expect_policy: raw.expect_policy,
    })
}

/// What became of an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// The file it is in.
    pub file: String,
    /// The line it begins on.
    pub line: usize,
    /// What was expected and what came instead; nothing when it passed.
    pub difference: Option<String>,
}

impl Outcome {
    /// It was as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.difference.is_none()
    }
}

/// Judges each example and compares.
pub fn run(examples: &[Example], mut judge: impl FnMut(&Example) -> Decision) -> Vec<Outcome> {
    let outcome = |example: &Example| Outcome {
        name: example.name.clone(),
        file: example.file.clone(),
        line: example.line,
        difference: difference(example, &judge(example)),
    };
    examples.iter().map(outcome).collect()
}

fn difference(example: &Example, decision: &Decision) -> Option<String> {
    let wanted = example.expect_policy.as_deref();
    let named = wanted.is_none_or(|policy| decision.names(policy));
    if decision.verdict == example.expect && named {
        return None;
    }
    let by = wanted.map_or_else(String::new, |policy| format!(" by {policy}"));
    let mut text = format!(
        "expected: {}{by}\n     got: {}\n",
        example.expect.name(),
        decision.verdict.name()
    );
    // Writing to a string does not fail.
    for error in &decision.errors {
        let policy = error.policy.as_deref().unwrap_or("no policy");
        let _ = writeln!(text, "          {policy} failed: {}", error.text);
    }
    for reason in &decision.determining {
        let (policy, file) = (&reason.policy, &reason.file);
        let _ = writeln!(text, "          {policy} ({file}): {}", reason.text);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::engine::Reason;
    use super::super::load::By;
    use super::*;

    fn decision(verdict: Verdict, policy: &str) -> Decision {
        Decision {
            verdict,
            determining: vec![Reason {
                policy: policy.to_owned(),
                text: "it is late".to_owned(),
                safer: None,
                permits: false,
                applies: true,
                file: "team.cedar".to_owned(),
                by: By::Operator,
            }],
            errors: Vec::new(),
        }
    }

    const TEXT: &str = r#"
[[test]]
name = "a"
shell = "ls"
expect = "ask"
expect_policy = "late"

[[test]]
name = "b"
action = { delete = ["x"] }
context = { posture = "read-only", team = "t", agent = "a", image = "i" }
expect = "deny"
"#;

    #[test]
    fn examples_are_read_with_their_action_context_and_line() {
        let examples = read("t.toml", TEXT).unwrap();
        assert_eq!(examples[0].action, Action::shell("ls"));
        assert_eq!((examples[0].line, examples[1].line), (2, 8));
        assert_eq!(examples[1].context.posture, Some(Posture::ReadOnly));
        assert_eq!(examples[1].expect, Verdict::Deny);
    }

    #[test]
    fn a_verdict_or_policy_that_differs_fails_and_says_what_came_instead() {
        let examples = read("t.toml", TEXT).unwrap();
        let outcomes = |verdict, policy| run(&examples[..1], |_| decision(verdict, policy));
        assert!(outcomes(Verdict::Ask, "late")[0].passed());
        let other = outcomes(Verdict::Ask, "early");
        let other = other[0].difference.as_deref().unwrap();
        assert!(other.contains("expected: ask by late"), "{other}");
        let other = outcomes(Verdict::Allow, "late");
        let other = other[0].difference.as_deref().unwrap();
        assert!(other.contains("got: allow"), "{other}");
        assert!(other.contains("late (team.cedar): it is late"), "{other}");
    }

    #[test]
    fn an_example_that_is_none_is_refused_with_its_line() {
        for (text, line, said) in [
            (
                "[[test]]\nname=\"a\"\nexpect=\"ask\"",
                1,
                "exactly one of action and shell",
            ),
            (
                "\n[[test]]\nname=\"a\"\nshell=\"\"\naction={shell=\"\"}\nexpect=\"ask\"",
                2,
                "exactly one",
            ),
            (
                "[[test]]\nname=\"a\"\nshell=\"\"\nexpect=\"maybe\"",
                4,
                "unknown variant",
            ),
            (
                "[[test]]\nname=\"a\"\nshel=\"\"\nexpect=\"ask\"",
                3,
                "unknown field",
            ),
            (
                "[[test]]\nname=\"\"\nshell=\"\"\nexpect=\"ask\"",
                1,
                "a name",
            ),
            (
                "[[test]]\nname=\"a\"\naction={exec=[]}\nexpect=\"ask\"",
                3,
                "the program's name",
            ),
            (
                "[[test]]\nname=\"a\"\nshell=\"\"\nexpect=\"ask\"\ncontext={posture=\"of\"}",
                5,
                "unknown variant",
            ),
        ] {
            let error = read("t", text).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(error.line, line, "{error}");
        }
    }
}
