// SPDX-License-Identifier: Apache-2.0
//! Files and bytes, by how they could be had again, who says so and where they are.

use serde::{Deserialize, Serialize};

use super::{Entry, Recovery, Source};

/// Files and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub files: u64,
    /// How long together.
    pub bytes: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.files = self.files.saturating_add(other.files);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// One kind of files, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// How they could be had again.
    pub recovery: Recovery,
    /// Who says so.
    pub source: Source,
    /// They are outside the workspace.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
    /// How many and how long.
    #[serde(flatten)]
    pub count: Count,
}

/// Files counted by kind: a few lines, the kinds that occur only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(Vec<Line>);

impl Tally {
    /// Counts one file in.
    pub fn add(&mut self, entry: &Entry, outside: bool) {
        let one = Count {
            files: 1,
            bytes: entry.bytes,
        };
        let key = (entry.recovery, entry.source, outside);
        let known = self.0.iter_mut().find(|line| line.key() == key);
        if let Some(line) = known {
            line.count.add(one);
            return;
        }
        let at = self.0.partition_point(|line| line.key() < key);
        let line = Line {
            recovery: entry.recovery,
            source: entry.source,
            outside,
            count: one,
        };
        self.0.insert(at, line);
    }

    /// Its lines, in the order of their kinds.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// No file at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> Count {
        self.sum(|_| true)
    }

    /// Those that could be had again in one way.
    #[must_use]
    pub fn of(&self, recovery: Recovery) -> Count {
        self.sum(|line| line.recovery == recovery)
    }

    /// Those that could not be had again as they are, or nobody knows.
    #[must_use]
    pub fn lasting(&self) -> Count {
        use Recovery::{Modified, OnlyCopy, Unknown};
        self.sum(|line| matches!(line.recovery, Modified | OnlyCopy | Unknown))
    }

    /// Those that are outside the workspace.
    #[must_use]
    pub fn outside(&self) -> Count {
        self.sum(|line| line.outside)
    }

    /// Those that one side speaks of.
    #[must_use]
    pub fn from(&self, source: Source) -> Count {
        self.sum(|line| line.source == source)
    }

    fn sum(&self, wanted: impl Fn(&Line) -> bool) -> Count {
        let mut sum = Count::default();
        for line in self.0.iter().filter(|line| wanted(line)) {
            sum.add(line.count);
        }
        sum
    }
}

impl Line {
    fn key(&self) -> (Recovery, Source, bool) {
        (self.recovery, self.source, self.outside)
    }
}

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;

    fn entry(recovery: Recovery, bytes: u64) -> Entry {
        Entry {
            path: "/w/a".to_owned(),
            what: What::File,
            bytes,
            recovery,
            source: Source::Host,
        }
    }

    #[test]
    fn files_of_a_kind_share_a_line_and_their_bytes_saturate() {
        let mut tally = Tally::default();
        tally.add(&entry(Recovery::OnlyCopy, u64::MAX), false);
        tally.add(&entry(Recovery::OnlyCopy, 7), false);
        tally.add(&entry(Recovery::Committed, 1), true);
        assert_eq!(tally.lines().len(), 2);
        assert_eq!(tally.of(Recovery::OnlyCopy).bytes, u64::MAX);
        assert_eq!(tally.total().files, 3);
        assert_eq!(tally.outside().files, 1);
        assert_eq!(tally.lasting().files, 2);
    }

    #[test]
    fn a_tally_is_a_list_of_its_lines_in_json() {
        let mut tally = Tally::default();
        tally.add(&entry(Recovery::CommittedHere, 3), false);
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(
            text,
            r#"[{"recovery":"committed-here","source":"host","files":1,"bytes":3}]"#
        );
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
    }
}
