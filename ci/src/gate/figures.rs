// SPDX-License-Identifier: Apache-2.0
//! Figures of a measurement: taken out of what the benches wrote, and compared with those kept.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A figure may be this much worse than the one kept, or three times the spread of either if that
/// is more: the deterministic clock repeats to less.
const TOLERANCE: f64 = 0.02;
const SPREADS: f64 = 3.0;

/// A median and how far its runs lay apart. A count has no spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) median: f64,
    pub(super) spread: f64,
}

pub(super) type Figures = BTreeMap<String, Figure>;

/// What README promises, by the name of its figure: milliseconds at most. Of tasks that are gated:
/// the policy loop judges on the same one processor.
pub(super) const PROMISES: [(&str, f64); 7] = [
    ("boot vmm_running", 3.0),
    ("boot ready", 22.0),
    ("boot whole", 34.0),
    ("restore ready", 6.0),
    ("restore whole", 19.5),
    ("pool ready", 2.0),
    ("pool whole", 13.0),
];

/// The figures of what a bench wrote with `--json`: question and metric are the name; times are
/// in milliseconds.
pub(super) fn of(report: &Value) -> Result<Figures> {
    let question = report["question"].as_str().context("no question")?;
    let series = report["series"].as_array().context("no series")?;
    let metrics = series
        .iter()
        .filter_map(|series| series["metrics"].as_array());
    let one = |metric: &Value| {
        let (name, unit) = (metric["name"].as_str()?, metric["unit"].as_str()?);
        let runs = metric["runs"].as_array()?.iter();
        let scale = if unit == "ns" { 1e6 } else { 1.0 };
        let runs: Vec<f64> = runs.filter_map(Value::as_f64).map(|n| n / scale).collect();
        Some((format!("{question} {name}"), figure(runs)?))
    };
    Ok(metrics.flatten().filter_map(one).collect())
}

fn figure(mut runs: Vec<f64>) -> Option<Figure> {
    runs.sort_by(f64::total_cmp);
    let (least, greatest) = (runs.first()?, runs.last()?);
    Some(Figure {
        median: *runs.get(runs.len() / 2)?,
        spread: greatest - least,
    })
}

/// Of each figure the lower of two measurements.
pub(super) fn better(one: &Figures, other: &Figures) -> Figures {
    let lower = |(name, one): (&String, &Figure)| {
        let other = other.get(name).filter(|other| other.median < one.median);
        (name.clone(), *other.unwrap_or(one))
    };
    one.iter().map(lower).collect()
}

/// What is worse now than it was, a line each.
pub(super) fn worse(was: &Figures, is: &Figures) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, was) in was {
        let Some(is) = is.get(name) else {
            lines.push(format!(
                "{name}: was {:.3}, is not measured any more",
                was.median
            ));
            continue;
        };
        let spread = was.spread.max(is.spread);
        let allowed = was.median + (was.median * TOLERANCE).max(spread * SPREADS);
        if is.median > allowed {
            let (was, is) = (was.median, is.median);
            lines.push(format!(
                "{name}: was {was:.3}, is {is:.3}, allowed {allowed:.3}"
            ));
        }
    }
    lines
}

/// The phases of a start in their order, as `benches/src/phases.rs` has them: each is the time of
/// its end since the clone.
const PHASES: [&str; 13] = [
    "vmm_entered",
    "vmm_mapped",
    "vmm_running",
    "init",
    "connected",
    "assigned",
    "mounted",
    "agent",
    "ready",
    "started",
    "output",
    "exited",
    "ended",
];

/// Of each question whose figures are worse, the one phase that grew most: all that come after it
/// are late too.
pub(super) fn grown(was: &Figures, is: &Figures, worse: &[String]) -> Vec<String> {
    let grown = ["boot", "restore", "pool"]
        .into_iter()
        .filter_map(|question| {
            let of = |line: &String| line.starts_with(&format!("{question} "));
            if !worse.iter().any(of) {
                return None;
            }
            let (mut before, mut most): ((f64, f64), Option<(&str, f64)>) = ((0.0, 0.0), None);
            for phase in PHASES {
                let name = format!("{question} {phase}");
                let (Some(was), Some(is)) = (was.get(&name), is.get(&name)) else {
                    continue;
                };
                let growth = (is.median - before.1) - (was.median - before.0);
                before = (was.median, is.median);
                if growth > most.map_or(0.0, |(_, growth)| growth) {
                    most = Some((phase, growth));
                }
            }
            let (phase, growth) = most?;
            Some(format!(
                "{question}: of its phases the one that ends with {phase} grew most, by {growth:.3}"
            ))
        });
    grown.collect()
}

/// Promises that are not kept, a line each.
pub(super) fn broken(is: &Figures) -> Vec<String> {
    let broken = PROMISES.iter().filter_map(|(name, most)| {
        let median = is.get(*name).map(|figure| figure.median);
        match median {
            Some(median) if median <= *most => None,
            Some(median) => Some(format!("{name}: promised {most}, is {median:.3}")),
            None => Some(format!("{name}: promised {most}, not measured")),
        }
    });
    broken.collect()
}

pub(super) fn to_json(figures: &Figures) -> Value {
    let round = |n: f64| (n * 1000.0).round() / 1000.0;
    let one = |(name, figure): (&String, &Figure)| {
        let value = json!({ "median": round(figure.median), "spread": round(figure.spread) });
        (name.clone(), value)
    };
    Value::Object(figures.iter().map(one).collect())
}

pub(super) fn from_json(value: &Value) -> Figures {
    let one = |(name, value): (&String, &Value)| {
        let figure = Figure {
            median: value["median"].as_f64()?,
            spread: value["spread"].as_f64()?,
        };
        Some((name.clone(), figure))
    };
    value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(one)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(median: f64, spread: f64) -> Figures {
        [("boot ready".to_owned(), Figure { median, spread })].into()
    }

    #[test]
    fn two_percent_or_three_spreads_are_allowed_and_no_more() {
        let was = figures(20.0, 0.01);
        assert!(worse(&was, &figures(20.39, 0.01)).is_empty());
        let lines = worse(&was, &figures(20.41, 0.01));
        assert_eq!(lines, ["boot ready: was 20.000, is 20.410, allowed 20.400"]);
        // Runs that lie far apart tell less.
        assert!(worse(&was, &figures(20.8, 0.3)).is_empty());
        assert!(worse(&was, &figures(5.0, 0.0)).is_empty());
        assert_eq!(worse(&was, &Figures::new()).len(), 1);
    }

    #[test]
    fn of_two_measurements_the_better_counts() {
        let (high, low) = (figures(20.8, 0.1), figures(20.3, 0.2));
        assert_eq!(better(&high, &low), low);
        assert_eq!(better(&low, &high), low);
    }

    #[test]
    fn the_phase_that_grew_is_named_and_not_those_it_delays() {
        let start = |mapped: f64, running: f64, ready: f64| -> Figures {
            let phases = [
                ("vmm_mapped", mapped),
                ("vmm_running", running),
                ("ready", ready),
            ];
            let named = phases.map(|(name, median)| {
                (
                    format!("boot {name}"),
                    Figure {
                        median,
                        spread: 0.0,
                    },
                )
            });
            named.into()
        };
        let (was, is) = (start(1.0, 2.0, 10.0), start(1.0, 4.0, 12.1));
        let lines = worse(&was, &is);
        assert_eq!(lines.len(), 2);
        assert_eq!(
            grown(&was, &is, &lines),
            ["boot: of its phases the one that ends with vmm_running grew most, by 2.000"]
        );
        assert!(grown(&was, &was, &[]).is_empty());
    }

    fn report(question: &str, name: &str, unit: &str, runs: &[u64]) -> Value {
        let metric = json!({ "name": name, "unit": unit, "runs": runs });
        json!({ "question": question, "series": [{ "metrics": [metric] }] })
    }

    #[test]
    fn a_count_that_grows_is_worse_too() {
        let of = |n| of(&report("boot", "exits", "count", &[n])).unwrap();
        assert!(worse(&of(1000), &of(1020)).is_empty());
        assert_eq!(worse(&of(1000), &of(1021)).len(), 1);
    }

    #[test]
    fn medians_and_spreads_are_taken_from_the_runs() {
        let runs = [2_000_000, 1_000_000, 9_000_000];
        let figures = of(&report("restore", "ready", "ns", &runs)).unwrap();
        let ready = figures["restore ready"];
        assert_eq!((ready.median, ready.spread), (2.0, 8.0));
        assert_eq!(from_json(&to_json(&figures)), figures);
        assert_eq!(
            broken(&figures).len(),
            PROMISES.len() - 1,
            "the others are not measured"
        );
    }
}
