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

/// What README promises, by the name of its figure: milliseconds at most.
pub(super) const PROMISES: [(&str, f64); 4] = [
    ("boot ready ms", 30.0),
    ("boot whole ms", 45.0),
    ("restore ready ms", 8.0),
    ("restore whole ms", 30.0),
];

/// The figures of `boot.json` or `restore.json`, each named with `what` first.
pub(super) fn of_start(what: &str, report: &Value) -> Result<Figures> {
    let runs = report["runs"].as_array().context("no runs")?;
    let values = |of: &dyn Fn(&Value) -> Option<f64>| runs.iter().filter_map(of).collect::<Vec<_>>();
    let mut figures = Figures::new();
    let mut add = |name: &str, values: &[f64]| {
        if let Some(figure) = figure(values) {
            figures.insert(format!("{what} {name} ms"), figure);
        }
    };
    for phase in ["vmm_running", "init", "ready", "started", "exited"] {
        add(phase, &values(&|run| run["report"]["timings_ns"][phase].as_f64()));
    }
    add("first byte", &values(&|run| run["first_byte_ns"].as_f64()));
    add("whole", &values(&|run| run["whole_ns"].as_f64()));
    for (name, count) in report["counts"].as_object().into_iter().flatten() {
        let figure = Figure {
            median: count.as_f64().unwrap_or_default(),
            spread: 0.0,
        };
        figures.insert(format!("{what} {name}"), figure);
    }
    Ok(figures)
}

/// The figures of `fork.json`.
pub(super) fn of_fork(report: &Value) -> Result<Figures> {
    let forks = report["forks"].as_array().context("no forks")?;
    let one = |fork: &Value| {
        let runs = fork["whole_ns"].as_array()?;
        let runs: Vec<f64> = runs.iter().filter_map(Value::as_f64).collect();
        Some((format!("fork {} whole ms", fork["n"]), figure(&runs)?))
    };
    Ok(forks.iter().filter_map(one).collect())
}

/// Nanoseconds of some runs as milliseconds.
fn figure(ns: &[f64]) -> Option<Figure> {
    let mut sorted = ns.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, greatest) = (sorted.first()?, sorted.last()?);
    let median = sorted.get(sorted.len() / 2)?;
    Some(Figure {
        median: median / 1e6,
        spread: (greatest - least) / 1e6,
    })
}

/// What is worse now than it was, a line each, the phase that grew named by its figure.
pub(super) fn worse(was: &Figures, is: &Figures) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, was) in was {
        let Some(is) = is.get(name) else {
            lines.push(format!("{name}: was {:.3}, is not measured any more", was.median));
            continue;
        };
        let spread = was.spread.max(is.spread);
        let allowed = was.median + (was.median * TOLERANCE).max(spread * SPREADS);
        if is.median > allowed {
            let (was, is) = (was.median, is.median);
            lines.push(format!("{name}: was {was:.3}, is {is:.3}, allowed {allowed:.3}"));
        }
    }
    lines
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
    value.as_object().into_iter().flatten().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(median: f64, spread: f64) -> Figures {
        [("boot ready ms".to_owned(), Figure { median, spread })].into()
    }

    #[test]
    fn two_percent_or_three_spreads_are_allowed_and_no_more() {
        let was = figures(20.0, 0.01);
        assert!(worse(&was, &figures(20.39, 0.01)).is_empty());
        let lines = worse(&was, &figures(20.41, 0.01));
        assert_eq!(lines, ["boot ready ms: was 20.000, is 20.410, allowed 20.400"]);
        // Runs that lie far apart tell less.
        assert!(worse(&was, &figures(20.8, 0.3)).is_empty());
        assert!(worse(&was, &figures(5.0, 0.0)).is_empty());
        assert_eq!(worse(&was, &Figures::new()).len(), 1);
    }

    #[test]
    fn a_count_that_grows_is_worse_too() {
        let report = |n: u32| json!({ "runs": [], "counts": { "exits": n } });
        let of = |n| of_start("boot", &report(n)).unwrap();
        assert!(worse(&of(1000), &of(1020)).is_empty());
        assert_eq!(worse(&of(1000), &of(1021)).len(), 1);
    }

    #[test]
    fn medians_and_spreads_are_taken_from_the_runs() {
        let run = |ready: u64| {
            json!({ "whole_ns": 4e6, "first_byte_ns": 3e6,
                    "report": { "timings_ns": { "ready": ready } } })
        };
        let report = json!({ "runs": [run(2_000_000), run(1_000_000), run(9_000_000)] });
        let figures = of_start("restore", &report).unwrap();
        let ready = figures["restore ready ms"];
        assert_eq!((ready.median, ready.spread), (2.0, 8.0));
        assert_eq!(figures["restore whole ms"].median, 4.0);
        assert_eq!(from_json(&to_json(&figures)), figures);
        assert_eq!(broken(&figures).len(), 2, "boot is promised and not measured");
    }

    #[test]
    fn forks_are_named_by_their_number() {
        let report = json!({ "forks": [{ "n": 4, "whole_ns": [5e6, 6e6, 7e6] }] });
        assert_eq!(of_fork(&report).unwrap()["fork 4 whole ms"].median, 6.0);
    }
}
