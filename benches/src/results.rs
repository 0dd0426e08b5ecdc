// SPDX-License-Identifier: Apache-2.0
//! What a measurement found: every run of every figure, with what it was measured on. The table,
//! the JSON and the page are three views of this.

use serde::Serialize;
use serde_json::Value;

use crate::{facts, phases, stats, table};

/// What a figure counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    /// Nanoseconds.
    Ns,
    Bytes,
    /// Bytes a second: the one unit of which more is better.
    BytesPerSecond,
    Count,
    Percent,
}

impl Unit {
    /// What people read, and what a figure is divided by for them.
    pub(crate) fn shown(self) -> (&'static str, f64) {
        match self {
            Unit::Ns => ("ms", 1e6),
            Unit::Bytes => ("MiB", 1_048_576.0),
            Unit::BytesPerSecond => ("MiB/s", 1_048_576.0),
            Unit::Count => ("", 1.0),
            Unit::Percent => ("%", 1.0),
        }
    }
}

/// One figure, run by run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) runs: Vec<f64>,
}

impl Metric {
    pub(crate) fn new(name: impl Into<String>, unit: Unit, runs: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            unit,
            runs,
        }
    }
}

/// Everything measured of one subject.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Series {
    /// Who: a command of ours, or a peer.
    pub(crate) name: String,
    /// What keeps a broken monitor in, as it was measured. A peer without its jail is not
    /// compared with one in it without saying so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protection: Option<String>,
    /// Where it differs from the others in a way that a ratio would hide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) apart: Option<String>,
    pub(crate) metrics: Vec<Metric>,
    /// The metrics that follow each other from the clone on, in order: a stack of phases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) phases: Vec<String>,
    /// What could not be measured here, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) not_available: Vec<String>,
    /// The reports the runs were read from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) raw: Vec<Value>,
}

impl Series {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    pub(crate) fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name)
    }

    /// Adds one run's figure to what is there of it.
    pub(crate) fn push(&mut self, name: &str, unit: Unit, run: f64) {
        match self.metrics.iter_mut().find(|metric| metric.name == name) {
            Some(metric) => metric.runs.push(run),
            None => self.metrics.push(Metric::new(name, unit, vec![run])),
        }
    }
}

/// One subject's figure by another's, pair by pair.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ratio {
    /// Of what.
    pub(crate) metric: String,
    pub(crate) of: String,
    pub(crate) to: String,
    pub(crate) runs: Vec<f64>,
}

/// The answer to one question.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) question: &'static str,
    /// One line, for people.
    pub(crate) title: String,
    pub(crate) host: Value,
    pub(crate) series: Vec<Series>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ratios: Vec<Ratio>,
    /// What a reader must know, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

impl Results {
    pub(crate) fn new(question: &'static str, title: impl Into<String>) -> Self {
        Self {
            question,
            title: title.into(),
            host: facts::host(),
            series: Vec::new(),
            ratios: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Compares the runs of `metric` of each later series with the first's, in pairs: run 1 of the
    /// one was measured beside run 1 of the other.
    pub(crate) fn compare(&mut self, metric: &str) {
        self.pairs(metric, false);
    }

    /// The first's by each later series': for what is the better the more it is.
    pub(crate) fn compare_to_others(&mut self, metric: &str) {
        self.pairs(metric, true);
    }

    fn pairs(&mut self, metric: &str, ours_by_theirs: bool) {
        let Some((first, others)) = self.series.split_first() else {
            return;
        };
        let Some(ours) = first.metric(metric) else {
            return;
        };
        for other in others.iter().filter(|other| other.apart.is_none()) {
            let Some(theirs) = other.metric(metric) else {
                continue;
            };
            let (of, to, over, under) = if ours_by_theirs {
                (first, other, ours, theirs)
            } else {
                (other, first, theirs, ours)
            };
            let pairs = over.runs.iter().zip(&under.runs);
            self.ratios.push(Ratio {
                metric: metric.to_owned(),
                of: of.name.clone(),
                to: to.name.clone(),
                runs: pairs.map(|(over, under)| over / under).collect(),
            });
        }
    }

    /// All of it on stdout.
    pub(crate) fn print(&self) {
        println!("{}", self.title);
        for series in &self.series {
            println!();
            table::head(&series.name);
            if let Some(protection) = &series.protection {
                println!("  protection: {protection}");
            }
            if let Some(apart) = &series.apart {
                println!("  apart from the others: {apart}");
            }
            for metric in &series.metrics {
                table::line(metric);
            }
            for missing in &series.not_available {
                println!("  not available: {missing}");
            }
        }
        if !self.ratios.is_empty() {
            println!();
        }
        for ratio in &self.ratios {
            let [least, middle, greatest] =
                [stats::least, stats::median, stats::greatest].map(|of| of(&ratio.runs));
            let pairs = ratio.runs.len();
            println!(
                "{}: {} is {middle:.2} × {} ({least:.2} to {greatest:.2}, {pairs} pairs)",
                phases::label(&ratio.metric),
                ratio.of,
                ratio.to
            );
        }
        for note in &self.notes {
            println!("note: {note}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, runs: &[f64]) -> Series {
        let mut series = Series::new(name);
        for run in runs {
            series.push("ready", Unit::Ns, *run);
        }
        series
    }

    #[test]
    fn pairs_are_compared_run_by_run_and_what_stands_apart_is_not() {
        let mut results = Results::new("boot", "t");
        results.series = vec![
            series("ours", &[1.0, 2.0]),
            series("peer", &[3.0, 8.0, 9.0]),
            Series {
                apart: Some("needs PCI".into()),
                ..series("other", &[5.0])
            },
        ];
        results.compare("ready");
        results.compare("unknown");
        assert_eq!(results.ratios.len(), 1);
        let ratio = &results.ratios[0];
        assert_eq!((&*ratio.of, &*ratio.to), ("peer", "ours"));
        assert_eq!(format!("{:?}", ratio.runs), "[3.0, 4.0]");
        results.compare_to_others("ready");
        let ratio = &results.ratios[1];
        assert_eq!((&*ratio.of, &*ratio.to), ("ours", "peer"));
        assert_eq!(format!("{:?}", ratio.runs), "[0.3333333333333333, 0.25]");
    }

    #[test]
    fn json_has_every_run_and_the_host() {
        let mut results = Results::new("boot", "t");
        results.series.push(series("ours", &[1.0, 2.0]));
        let json = serde_json::to_value(&results).unwrap();
        let metric = &json["series"][0]["metrics"][0];
        assert_eq!(metric["runs"], serde_json::json!([1.0, 2.0]));
        assert_eq!(metric["unit"], "ns");
        assert!(json["host"]["kernel"].is_string());
    }
}
