// SPDX-License-Identifier: Apache-2.0
//! A table as it is written: what serde reads. Unknown keys are errors, so that a misspelt
//! condition cannot silently make a rule match everything.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTable {
    pub(super) tool: Vec<RawTool>,
}

/// A program, or several that are used alike.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RawTool {
    /// Names it goes by, the first one in the rules' names.
    pub(super) names: String,
    /// The kind of what it acts on; its name when absent.
    pub(super) resource: Option<String>,
    /// What effects act on unless their rule says otherwise.
    pub(super) target: Option<String>,
    /// Options that take a value.
    pub(super) values: String,
    /// The same, for sub-commands: path to options.
    pub(super) subvalues: BTreeMap<String, String>,
    /// Options that make it harmless, beside `--help`.
    pub(super) harmless: String,
    /// Options whose value is never a word of its own: `-psecret`.
    pub(super) joined: String,
    /// Long options begin with one dash: `-auto-approve`.
    pub(super) one_dash: bool,
    /// Sub-commands are the same in capitals.
    pub(super) any_case: bool,
    /// Paths that only look.
    pub(super) reads: String,
    /// Paths that change things in a routine way.
    pub(super) changes: String,
    /// Kind and harm of whatever else, instead of the lexicon.
    pub(super) otherwise: Option<String>,
    pub(super) rule: Vec<RawRule>,
    pub(super) code: Vec<RawCode>,
    pub(super) phrase: Vec<RawPhrase>,
}

/// A rule.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRule {
    pub(super) id: String,
    pub(super) path: String,
    pub(super) flags: Vec<String>,
    pub(super) absent: String,
    /// Globs of which one must match an operand after the path.
    pub(super) operands: String,
    /// Globs of which none may match one.
    pub(super) unless: String,
    /// Options to globs of which one must match a value.
    pub(super) options: BTreeMap<String, String>,
    /// No operands after the path.
    pub(super) bare: bool,
    /// An operand or a value is the path of a secret.
    pub(super) secret: bool,
    /// Other rules speak as well.
    pub(super) also: bool,
    /// No worse where others depend on it: a pod that is made again, a rolling restart.
    pub(super) steady: bool,
    /// Kind and harm: `delete high`.
    pub(super) does: String,
    pub(super) target: Option<String>,
    pub(super) why: String,
    pub(super) safer: Option<String>,
    pub(super) examples: Vec<String>,
    pub(super) counter: Vec<String>,
}

/// Where a line holds code.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCode {
    pub(super) path: String,
    /// `sql:ENGINE`, `shell`, `command`, `phrases`, `lines`, `target:TOOL` or a language.
    pub(super) language: String,
    /// Options, `operands[:N]`, `rest`, `stdin`, `file:OPTION`, `file:operands[:N]`.
    pub(super) from: String,
    /// For `rest`: how many operands come before.
    pub(super) after: Option<usize>,
    /// For `rest`: where there is a `--`, what is before it is the tool's.
    pub(super) dashes: bool,
    /// Globs of which one must match for it to be code.
    pub(super) only: String,
    /// Options with which the code changes nothing that lasts: `--local`.
    pub(super) absent: String,
    /// Only what stands after the first of these characters is code; before it, for a command.
    pub(super) cut: Option<char>,
}

/// Words of code.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPhrase {
    pub(super) id: String,
    /// Any of these, in small letters and without white space within.
    pub(super) text: String,
    pub(super) does: String,
    pub(super) why: String,
    pub(super) examples: Vec<String>,
    pub(super) counter: Vec<String>,
}
