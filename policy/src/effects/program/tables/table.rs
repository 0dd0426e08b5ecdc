// SPDX-License-Identifier: Apache-2.0
//! A table, ready to judge with: patterns instead of strings.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::super::super::{Harm, Kind};
use super::super::{Call, Outcome};
use super::code::Code;
use super::pattern::Paths;
use super::raw::{RawPhrase, RawTable, RawTool};
use super::rule::Rule;
use super::{check, judge};

/// Largest table that is read, in bytes. The largest of ours is a tenth.
const TEXT: usize = 1 << 20;

/// A table that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Larger than what is read.
    #[error("{0}: larger than 1 MiB")]
    Size(String),
    /// Not TOML, or not a table of rules.
    #[error("{file}:{line}: {message}")]
    Toml {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A rule that says nothing that can be used.
    #[error("{file}: rule {rule}: {problem}")]
    Rule {
        /// The file.
        file: String,
        /// Tool and rule: `git:push-force`.
        rule: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A command that a rule must match does not, or the other way round.
    #[error("{file}: rule {rule}: {} `{example}`", if *.wanted { "does not match its example" } else { "matches its counter-example" })]
    Example {
        /// The file.
        file: String,
        /// Tool and rule.
        rule: String,
        /// The command.
        example: String,
        /// The rule should have matched.
        wanted: bool,
    },
}

/// Rules for some programs.
#[derive(Clone, Debug)]
pub struct Table {
    tools: Vec<Tool>,
    names: HashMap<String, usize>,
}

impl Table {
    /// Reads a table and checks its examples. `file` is only for the errors.
    pub fn parse(text: &str, file: &str) -> Result<Self, TableError> {
        let table = Self::unchecked(text, file)?;
        let wrong = check::examples(text, file, &table)?;
        wrong.into_iter().next().map_or(Ok(table), Err)
    }

    /// Without running the examples, which the tests have done for the tables that come with us.
    pub(super) fn unchecked(text: &str, file: &str) -> Result<Self, TableError> {
        let raw = read(text, file)?;
        let mut table = Self {
            tools: Vec::new(),
            names: HashMap::new(),
        };
        for raw in raw.tool {
            let tool = Tool::new(raw).map_err(|(rule, problem)| TableError::Rule {
                file: file.to_owned(),
                rule,
                problem,
            })?;
            for name in tool.names.split_whitespace() {
                table.names.insert(name.to_owned(), table.tools.len());
            }
            table.tools.push(tool);
        }
        Ok(table)
    }

    /// The programs it speaks of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// What a command would do, or nothing when the table does not know the program.
    #[must_use]
    pub fn judge(&self, call: &Call) -> Option<Outcome> {
        let at = self.names.get(super::plain(call.name))?;
        Some(judge::judge(self.tools.get(*at)?, call))
    }
}

pub(super) fn read(text: &str, file: &str) -> Result<RawTable, TableError> {
    if text.len() > TEXT {
        return Err(TableError::Size(file.to_owned()));
    }
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        TableError::Toml {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            message: error.message().to_owned(),
        }
    })
}

/// Rule and what is wrong with it.
pub(super) type Problem = (String, String);

/// A program.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub(super) names: String,
    pub(super) name: String,
    pub(super) resource: String,
    pub(super) target: TargetKind,
    pub(super) values: Vec<String>,
    pub(super) subvalues: Vec<SubValues>,
    pub(super) harmless: Vec<String>,
    pub(super) joined: Vec<String>,
    pub(super) one_dash: bool,
    pub(super) any_case: bool,
    pub(super) reads: Paths,
    pub(super) changes: Paths,
    pub(super) otherwise: Option<(Kind, Harm)>,
    pub(super) rules: Vec<Rule>,
    pub(super) codes: Vec<Code>,
    pub(super) phrases: Vec<Phrase>,
}

impl Tool {
    fn new(raw: RawTool) -> Result<Self, Problem> {
        let name = raw.names.split_whitespace().next().unwrap_or_default();
        let name = name.to_owned();
        let fail = |problem: String| (name.clone(), problem);
        if name.is_empty() {
            return Err(fail("a tool needs `names`".to_owned()));
        }
        let resource = raw.resource.clone().unwrap_or_else(|| name.clone());
        let target = TargetKind::parse(raw.target.as_deref()).map_err(fail)?;
        let otherwise = raw.otherwise.as_deref().map(does).transpose();
        let rules = raw.rule.into_iter().map(|rule| Rule::new(rule, &name));
        let codes = raw.code.iter().map(|code| Code::new(code, &name));
        let phrases = raw.phrase.into_iter().map(|it| Phrase::new(it, &name));
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        let codes = codes.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            resource,
            target,
            values: list(&raw.values),
            subvalues: subvalues(&raw.subvalues, &rules, &codes),
            harmless: list(&raw.harmless),
            joined: list(&raw.joined),
            one_dash: raw.one_dash,
            any_case: raw.any_case,
            reads: Paths::parse(&raw.reads),
            changes: Paths::parse(&raw.changes),
            otherwise: otherwise.map_err(fail)?,
            rules,
            codes,
            phrases: phrases.collect::<Result<_, _>>()?,
            names: raw.names,
            name,
        })
    }
}

/// Options that take a value after a path.
#[derive(Clone, Debug)]
pub(super) struct SubValues {
    pub(super) paths: Paths,
    /// Only right after it, as `docker compose -f x.yml rm -f`.
    pub(super) right: bool,
    pub(super) options: Vec<String>,
}

/// What a table lists, and what its rules and code want the values of.
fn subvalues(listed: &BTreeMap<String, String>, rules: &[Rule], codes: &[Code]) -> Vec<SubValues> {
    let listed = listed.iter().map(|(path, options)| SubValues {
        paths: Paths::parse(path.trim_end_matches('$')),
        right: path.ends_with('$'),
        options: list(options),
    });
    let wanted = |paths: &Paths, options: &[String]| SubValues {
        paths: paths.clone(),
        right: false,
        options: options.to_vec(),
    };
    let rules = rules.iter().flat_map(|rule| {
        let options = rule.options.iter();
        options.map(move |(names, _)| wanted(&rule.paths, names))
    });
    let codes = codes.iter().flat_map(|code| {
        let options = code.options();
        options.map(move |names| wanted(&code.paths, names))
    });
    listed.chain(rules).chain(codes).collect()
}

/// Words of code, and what they do.
#[derive(Clone, Debug)]
pub(super) struct Phrase {
    pub(super) rule: String,
    pub(super) words: Vec<String>,
    pub(super) kind: Kind,
    pub(super) harm: Harm,
    pub(super) why: String,
}

impl Phrase {
    fn new(raw: RawPhrase, tool: &str) -> Result<Self, Problem> {
        let rule = format!("{tool}:{}", raw.id);
        let (kind, harm) = does(&raw.does).map_err(|problem| (rule.clone(), problem))?;
        if raw.why.is_empty() || raw.text.trim().is_empty() || raw.id.is_empty() {
            return Err((rule, "a phrase needs `id`, `text` and `why`".to_owned()));
        }
        Ok(Self {
            rule,
            words: list(&raw.text),
            kind,
            harm,
            why: raw.why,
        })
    }
}

/// What an effect acts on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum TargetKind {
    /// As the tool says.
    #[default]
    Default,
    /// A resource named by an operand.
    Operand,
    /// A resource named by an option's value.
    Option(Vec<String>),
    /// A path, a package, a host named by an operand.
    Path,
    Package,
    Host,
    /// The program.
    Program,
    /// The machine.
    System,
    Nothing,
}

impl TargetKind {
    pub(super) fn parse(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text else {
            return Ok(Self::Default);
        };
        Ok(match text {
            "operand" => Self::Operand,
            "path" => Self::Path,
            "package" => Self::Package,
            "host" => Self::Host,
            "program" => Self::Program,
            "system" => Self::System,
            "nothing" => Self::Nothing,
            options if options.starts_with('-') => Self::Option(list(options)),
            _ => return Err(format!("no such target: {text}")),
        })
    }
}

/// Kind and harm: `delete high`.
pub(super) fn does(text: &str) -> Result<(Kind, Harm), String> {
    let Some((kind, harm)) = text.split_once(' ') else {
        return Err(format!("`does` is a kind and a harm, not `{text}`"));
    };
    Ok((word(kind)?, word(harm)?))
}

fn word<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    let text = serde::de::value::BorrowedStrDeserializer::<serde::de::value::Error>::new(text);
    T::deserialize(text).map_err(|error| error.to_string())
}

pub(super) fn list(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
