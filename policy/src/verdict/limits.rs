// SPDX-License-Identifier: Apache-2.0
//! The operator's limits: numbers that are no policy, from one TOML file.
//!
//! Everything may be left out. `start.toml`, which `ampoule policy init` writes, lists all of them
//! with their defaults; a test holds the two together.

use std::ops::RangeInclusive;

use serde::Deserialize;
use toml::Spanned;

use super::facts::Bps;
use super::load::{LoadError, Problem, plain};

/// Longest limits or examples file, in bytes.
pub(super) const FILE: usize = 256 << 10;

/// How many questions a task may put to people before it is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskBudget {
    /// So many questions; default 10, 1 to 1000.
    pub count: u16,
    /// In so many minutes; default 5, 1 to 1440.
    pub minutes: u16,
}

/// The operator's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The built-in policies are in force beside the operator's; default true.
    pub built_in: bool,
    /// An upper bound of the risk from here on is asked about, until a certified threshold takes
    /// its place; default 4000.
    pub ask_threshold: Bps,
    /// Highest share of wrong allows that certification must hold; default 100, 1 to 5000.
    pub wrong_allow_bound: Bps,
    /// Share of allowed actions that people are asked about afterwards; default 200.
    pub audit_rate: Bps,
    /// How many questions a task may ask.
    pub ask_budget: AskBudget,
    /// How many people must approve; default 1, 1 to 16.
    pub quorum: u16,
    /// Who started a task may not approve for it; default false.
    pub another_reviewer_required: bool,
    /// Longest that a grant lasts, in hours; default 24, 1 to 720.
    pub grant_max_hours: u16,
    /// A task may be run without anything it does being judged (`--ungated`); default false.
    pub ungated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            built_in: true,
            ask_threshold: Bps::new(4000),
            wrong_allow_bound: Bps::new(100),
            audit_rate: Bps::new(200),
            ask_budget: AskBudget {
                count: 10,
                minutes: 5,
            },
            quorum: 1,
            another_reviewer_required: false,
            grant_max_hours: 24,
            ungated: false,
        }
    }
}

/// A number where it is written.
type Number = Option<Spanned<i64>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    built_in: Option<bool>,
    ask_threshold_bps: Number,
    wrong_allow_bound_bps: Number,
    audit_rate_bps: Number,
    ask_budget: RawBudget,
    quorum: Number,
    another_reviewer_required: Option<bool>,
    grant_max_hours: Number,
    ungated: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawBudget {
    count: Number,
    minutes: Number,
}

impl Limits {
    /// The limits in a file.
    ///
    /// # Errors
    ///
    /// A key that is not known, a value of another type or out of its range, and where.
    pub fn parse(file: &str, text: &str) -> Result<Self, LoadError> {
        let raw: Raw = parse(file, text)?;
        let within = Within { file, text };
        let mut limits = Self::default();
        within.points(&raw, &mut limits)?;
        let budget = &mut limits.ask_budget;
        let numbers = [
            (
                "ask_budget.count",
                &raw.ask_budget.count,
                1..=1000,
                &mut budget.count,
            ),
            (
                "ask_budget.minutes",
                &raw.ask_budget.minutes,
                1..=1440,
                &mut budget.minutes,
            ),
            ("quorum", &raw.quorum, 1..=16, &mut limits.quorum),
            (
                "grant_max_hours",
                &raw.grant_max_hours,
                1..=720,
                &mut limits.grant_max_hours,
            ),
        ];
        for (key, written, range, limit) in numbers {
            within.set(limit, written, key, range)?;
        }
        for (written, limit) in [
            (raw.built_in, &mut limits.built_in),
            (
                raw.another_reviewer_required,
                &mut limits.another_reviewer_required,
            ),
            (raw.ungated, &mut limits.ungated),
        ] {
            *limit = written.unwrap_or(*limit);
        }
        Ok(limits)
    }
}

/// The file that numbers are read from.
struct Within<'a> {
    file: &'a str,
    text: &'a str,
}

impl Within<'_> {
    /// Sets the limits that are in basis points.
    fn points(&self, raw: &Raw, limits: &mut Limits) -> Result<(), LoadError> {
        let points = [
            (
                "ask_threshold_bps",
                &raw.ask_threshold_bps,
                0..=10_000,
                &mut limits.ask_threshold,
            ),
            (
                "wrong_allow_bound_bps",
                &raw.wrong_allow_bound_bps,
                1..=5000,
                &mut limits.wrong_allow_bound,
            ),
            (
                "audit_rate_bps",
                &raw.audit_rate_bps,
                0..=10_000,
                &mut limits.audit_rate,
            ),
        ];
        for (key, written, range, limit) in points {
            let mut number = limit.get();
            self.set(&mut number, written, key, range)?;
            *limit = Bps::new(number.into());
        }
        Ok(())
    }

    /// Sets a limit to what is written, if anything is.
    fn set(
        &self,
        limit: &mut u16,
        written: &Number,
        key: &'static str,
        range: RangeInclusive<u16>,
    ) -> Result<(), LoadError> {
        let Some(written) = written else {
            return Ok(());
        };
        let number = u16::try_from(*written.get_ref()).ok();
        let number = number.filter(|number| range.contains(number));
        *limit = number.ok_or_else(|| {
            let problem = Problem::Range(key, *range.start(), *range.end());
            LoadError::at(self.file, self.text, written.span().start, problem)
        })?;
        Ok(())
    }
}

/// Reads a TOML file, saying where it is wrong.
pub(super) fn parse<'a, T: Deserialize<'a>>(file: &str, text: &'a str) -> Result<T, LoadError> {
    if text.len() > FILE {
        let problem = Problem::Large("such a file may be");
        return Err(LoadError::at(file, text, FILE, problem));
    }
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        LoadError::at(file, text, at, Problem::Toml(plain(error.message())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_defaults_and_each_key_counts() {
        assert_eq!(Limits::parse("l", "").unwrap(), Limits::default());
        let text = "built_in = false\nask_threshold_bps = 1\nwrong_allow_bound_bps = 2\n\
            audit_rate_bps = 3\nquorum = 4\nanother_reviewer_required = true\n\
            grant_max_hours = 5\nungated = true\n[ask_budget]\ncount = 6\nminutes = 7\n";
        let wanted = Limits {
            built_in: false,
            ask_threshold: Bps::new(1),
            wrong_allow_bound: Bps::new(2),
            audit_rate: Bps::new(3),
            ask_budget: AskBudget {
                count: 6,
                minutes: 7,
            },
            quorum: 4,
            another_reviewer_required: true,
            grant_max_hours: 5,
            ungated: true,
        };
        assert_eq!(Limits::parse("l", text).unwrap(), wanted);
    }

    #[test]
    fn what_is_out_of_range_unknown_or_mistyped_is_refused_with_its_line() {
        for (text, line, said) in [
            ("\nquorum = 0", 2, "quorum is 1 to 16"),
            ("quorum = 17", 1, "quorum is 1 to 16"),
            ("quorum = -1", 1, "quorum is 1 to 16"),
            ("ask_threshold_bps = 10001", 1, "0 to 10000"),
            ("grant_max_hours = 9223372036854775807", 1, "1 to 720"),
            (
                "[ask_budget]\n\ncount = 0",
                3,
                "ask_budget.count is 1 to 1000",
            ),
            ("\n\nqorum = 1", 3, "unknown field `qorum`"),
            ("quorum = \"two\"", 1, "invalid type"),
            ("built_in = 1", 1, "invalid type"),
            ("quorum = ", 1, "l:1:"),
        ] {
            let error = Limits::parse("l", text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(error.to_string().contains(said), "{error}");
            assert!(!error.fix().is_empty());
        }
    }
}
