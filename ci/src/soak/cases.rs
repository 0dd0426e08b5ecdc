// SPDX-License-Identifier: Apache-2.0
//! What a run of the tests said of each case: the lines of `cases.py`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// How a case ended. Of several words about one case the greatest counts: a case with a failed
/// subtest has failed, one with a skipped subtest is well if the rest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Nothing was heard of it.
    #[serde(rename = "not run")]
    NotRun,
    /// It began, and the run died or was ended.
    Begun,
    Skipped,
    Ok,
    Failed,
}

/// A case's end, with the reason of a skip or the error of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) kind: Kind,
    pub(super) why: String,
}

/// The cases of a run by their names.
pub(super) type Cases = BTreeMap<String, End>;

#[derive(Deserialize)]
struct Line {
    case: String,
    result: Kind,
    why: String,
}

impl End {
    /// Of a case that only the other side knows.
    pub(super) fn not_run() -> Self {
        Self {
            kind: Kind::NotRun,
            why: String::new(),
        }
    }

    /// The same result: a skip for the same reason, a failure by the same kind of error (what it
    /// says may have addresses and numbers of processes in it).
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let error = |end: &Self| {
            let (kind, _) = end.why.split_once(':').unwrap_or((&end.why, ""));
            kind.to_owned()
        };
        self.kind == other.kind
            && match self.kind {
                Kind::Skipped => self.why == other.why,
                Kind::Failed => error(self) == error(other),
                _ => true,
            }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRun => "not run",
            Self::Begun => "did not finish",
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Failed => "failed",
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if self.why.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.why)
    }
}

/// Reads the lines. One that was cut off by the run's end is left out.
pub(super) fn read(text: &str) -> Cases {
    let mut cases = Cases::new();
    for line in text.lines() {
        let Ok(Line { case, result, why }) = serde_json::from_str(line) else {
            continue;
        };
        let said = End { kind: result, why };
        let known = cases.entry(case).or_insert_with(End::not_run);
        if said.kind > known.kind {
            *known = said;
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(kind: Kind, why: &str) -> End {
        let why = why.to_owned();
        End { kind, why }
    }

    #[test]
    fn worst_word_about_a_case_counts_and_a_cut_line_does_not() {
        let text = r#"{"case": "a", "result": "begun", "why": ""}
            {"case": "a", "result": "skipped", "why": "one of its subtests"}
            {"case": "a", "result": "failed", "why": "OSError: x"}
            {"case": "a", "result": "failed", "why": "later"}
            {"case": "b", "result": "begun", "why": ""}
            {"case": "b", "resu"#;
        let cases = read(text);
        assert_eq!(cases["a"], end(Kind::Failed, "OSError: x"));
        assert_eq!(cases["b"], end(Kind::Begun, ""));
    }

    #[test]
    fn skips_differ_by_reason_and_failures_by_kind_of_error() {
        let skip = |why| end(Kind::Skipped, why);
        assert!(!skip("no IPv6").is_like(&skip("no AF_CAN")));
        let failure = |why| end(Kind::Failed, why);
        assert!(failure("OSError: pid 7").is_like(&failure("OSError: pid 8")));
        assert!(!failure("OSError: x").is_like(&failure("AssertionError: x")));
        assert!(!failure("OSError: x").is_like(&skip("OSError: x")));
    }
}
