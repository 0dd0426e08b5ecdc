// SPDX-License-Identifier: Apache-2.0
//! What an action would do, from parsing it: typed [`Effect`]s, each with its target, how bad it is
//! at its worst, the words of the action that cause it and why.
//!
//! ```text
//! Action ─► shell (tree-sitter-bash, constant evaluation, brush-parser as a second opinion)
//!              └─► program (wrappers unwrapped; tables and code per program) ─► effects
//! ```
//!
//! Nothing here decides anything; `risk` weighs and `verdict` decides. What cannot be known before
//! it runs becomes a [`Finding`] or an effect of kind [`Kind::Unknown`], never an absence.

pub mod code;
pub mod intent;
mod patch;
mod pattern;
pub mod place;
pub mod program;
pub mod script;
pub mod shell;
pub mod sql;
pub mod word;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use place::{Area, Place};

/// The version of the rules: changes when any rule does in a way that makes an action other effects,
/// so that a model trained with other rules only tightens.
pub const RULES: &str = "2";

/// What kind of thing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Reads.
    Read,
    /// Creates or changes.
    Write,
    /// Takes away: files, history, databases, resources.
    Delete,
    /// Runs code that was not seen.
    Execute,
    /// Speaks to a host.
    Connect,
    /// Sends data to a host.
    Send,
    /// Installs packages.
    Install,
    /// Gains rights, or gives them away.
    Escalate,
    /// Stays after the action's end, or comes back later.
    Persist,
    /// Makes visible to others: push, release, deploy.
    Publish,
    /// Reads or changes keys, tokens, passwords.
    TouchSecret,
    /// Hides what is done.
    Obfuscate,
    /// Stops or breaks what others use.
    Disrupt,
    /// Could be anything.
    Unknown,
}

impl Kind {
    /// All kinds. Weights and schemas are made by it, in this order.
    pub const ALL: [Self; 14] = [
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::Execute,
        Self::Connect,
        Self::Send,
        Self::Install,
        Self::Escalate,
        Self::Persist,
        Self::Publish,
        Self::TouchSecret,
        Self::Obfuscate,
        Self::Disrupt,
        Self::Unknown,
    ];
}

/// How bad an effect is at its worst, given what its words say.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// Reading, building, looking.
    #[default]
    None,
    /// A routine change.
    Low,
    /// Worth a look; most people let it run.
    Medium,
    /// A careful colleague would want to be asked.
    High,
    /// Most would refuse: what is lost or given away does not come back.
    Critical,
}

impl Harm {
    /// All levels, the least first.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];
}

/// What an effect acts on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A file or folder, as written, and where that is.
    Path(String, Place),
    /// A host name or address, as written.
    Host(String),
    /// Something that lives elsewhere: kind (`kubernetes`, `aws`, `postgres`, …) and name.
    Resource(Cow<'static, str>, String),
    /// A package.
    Package(String),
    /// A program or piece of code.
    Program(String),
    /// A process, service or the machine.
    System(String),
    /// Nothing in particular.
    Nothing,
}

/// Bytes of the action's text, `start..end`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

/// One thing an action would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// What kind of thing.
    pub kind: Kind,
    /// How bad at worst.
    pub harm: Harm,
    /// To what.
    pub target: Target,
    /// The folder that a relative path in the target starts from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Which words cause it.
    pub span: Span,
    /// The rule that says so: `git:push-force`.
    pub rule: Cow<'static, str>,
    /// Why it matters, a sentence without a full stop.
    pub why: Cow<'static, str>,
    /// What would do the same with less risk, where a table knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safer: Option<Cow<'static, str>>,
    /// Wrappers and scripts it was found under, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
}

impl Effect {
    /// An effect; folder, span and `via` are filled in by who runs the command.
    pub fn new(
        kind: Kind,
        harm: Harm,
        target: Target,
        rule: impl Into<Cow<'static, str>>,
        why: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            harm,
            target,
            cwd: None,
            span: Span::default(),
            rule: rule.into(),
            why: why.into(),
            safer: None,
            via: Vec::new(),
        }
    }

    /// With a safer way.
    #[must_use]
    pub fn safer(mut self, safer: impl Into<Cow<'static, str>>) -> Self {
        self.safer = Some(safer.into());
        self
    }

    /// Caused by these words.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = span;
        self
    }
}

/// What made an action hard to read. Any of them widens *ask*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hard {
    /// It is not what it should be: shell that neither parser reads, code with errors, no patch.
    Unparsed,
    /// The two parsers read different commands.
    ParsersDiffer,
    /// A program's name is known only when it runs.
    DynamicProgram,
    /// Code is made as the action runs: `eval`, a decoded script.
    DynamicCode,
    /// Nested or long beyond what is followed.
    TooMuch,
    /// Characters that mislead a reader: bidirectional, zero-width, control.
    Misleading,
    /// Bytes that are not UTF-8, or NUL.
    NotText,
    /// A script it runs could not be read.
    UnreadScript,
    /// Scripts that run each other.
    Cycle,
    /// The plan announces what no step does.
    AnnouncedNotDone,
    /// A step does what the plan never mentions.
    DoneNotAnnounced,
    /// The plan declares more than it uses, or everything.
    TooBroad,
}

impl Hard {
    /// All of them. Weights are made by it, in this order.
    pub const ALL: [Self; 12] = [
        Self::Unparsed,
        Self::ParsersDiffer,
        Self::DynamicProgram,
        Self::DynamicCode,
        Self::TooMuch,
        Self::Misleading,
        Self::NotText,
        Self::UnreadScript,
        Self::Cycle,
        Self::AnnouncedNotDone,
        Self::DoneNotAnnounced,
        Self::TooBroad,
    ];
}

/// Something that made an action hard to read, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub hard: Hard,
    /// Where.
    pub span: Span,
    /// In words.
    pub text: String,
}

/// A script the action would run, bound to it by the digest of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Script {
    /// Its path.
    pub path: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub digest: String,
}

/// All that was learnt of an action by reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// What it would do.
    pub effects: Vec<Effect>,
    /// What made it hard to read.
    pub findings: Vec<Finding>,
    /// Scripts it would run.
    pub scripts: Vec<Script>,
    /// The simple commands found, as they would run.
    pub commands: Vec<String>,
}

impl Analysis {
    /// The worst effect's harm.
    #[must_use]
    pub fn harm(&self) -> Harm {
        let harms = self.effects.iter().map(|effect| effect.harm);
        harms.max().unwrap_or_default()
    }
}
