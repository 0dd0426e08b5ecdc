// SPDX-License-Identifier: Apache-2.0
//! The two charts: phases as a stacked bar, runs as dots on a line. Positions are per cent of the
//! width, so that text stays readable on a page of any width.

use std::fmt::Write;

use super::text::{escape, number, plain, ticks};
use crate::phases::{PHASES, label};
use crate::results::{Metric, Series, Unit};
use crate::stats;

/// One piece of a stack: a phase's number for its colour, its name, how long it took.
struct Piece {
    colour: usize,
    name: String,
    ns: f64,
}

/// The median time of each phase: what its end lies behind the end of the one before.
fn pieces(series: &Series) -> Vec<Piece> {
    let mut before = 0.0;
    let mut pieces = Vec::new();
    for phase in &series.phases {
        let Some(metric) = series.metric(phase) else {
            continue;
        };
        let at = stats::median(&metric.runs);
        let colour = PHASES.iter().position(|(name, _)| name == phase);
        // A phase may end before one that is listed before it: it then has no part of its own.
        let ns = (at - before).max(0.0);
        before = f64::max(before, at);
        pieces.push(Piece {
            colour: colour.unwrap_or(PHASES.len()),
            name: label(phase).to_owned(),
            ns,
        });
    }
    pieces
}

/// How far a stack of this series reaches.
pub(super) fn reach(series: &Series) -> f64 {
    pieces(series).iter().map(|piece| piece.ns).sum()
}

/// A series' phases, on a scale to `most` nanoseconds that all stacks of the page share.
pub(super) fn stack(series: &Series, most: f64) -> String {
    let pieces = pieces(series);
    let all = reach(series);
    let (mut bar, mut legend) = (String::new(), String::new());
    for Piece { colour, name, ns } in &pieces {
        let (name, ms) = (escape(name), number(*ns, Unit::Ns));
        let width = ns / most * 100.0;
        let share = match ns / all * 100.0 {
            share if share < 0.5 => "&lt;1".to_owned(),
            share => format!("{share:.0}"),
        };
        // Writing to a String succeeds.
        let _ = write!(
            bar,
            "<i style=\"width:{width:.3}%;background:var(--p{colour})\" title=\"{name}: {ms} ms\"></i>"
        );
        let _ = write!(
            legend,
            "<li><i style=\"background:var(--p{colour})\"></i>{name}\
             <b>{ms} ms</b><span>{share} %</span></li>"
        );
    }
    format!(
        "<div class=\"stack\">{bar}</div>{}<ul class=\"legend\">{legend}</ul>",
        axis((0.0, most), Unit::Ns)
    )
}

/// The values at the two ends of a chart's width.
type Scale = (f64, f64);

/// Where on the width a value lies, in per cent.
fn place(value: f64, (low, high): Scale) -> f64 {
    (value - low) / (high - low) * 100.0
}

fn axis(scale: Scale, unit: Unit) -> String {
    let by = unit.shown().1;
    let mut marks = String::new();
    for tick in ticks(scale.0 / by, scale.1 / by) {
        let at = place(tick * by, scale);
        let anchor = match at {
            at if at < 2.0 => "start",
            at if at > 98.0 => "end",
            _ => "middle",
        };
        let tick = plain(tick);
        let _ = write!(
            marks,
            "<line x1=\"{at:.2}%\" x2=\"{at:.2}%\" y1=\"0\" y2=\"5\"/>\
             <text x=\"{at:.2}%\" y=\"18\" text-anchor=\"{anchor}\">{tick}</text>"
        );
    }
    format!("<svg class=\"axis\" aria-hidden=\"true\">{marks}</svg>")
}

/// One metric of several series, each run a dot, with median (solid) and p99 (dashed).
pub(super) fn strips(rows: &[(&Series, &Metric)]) -> String {
    let scale = scale(rows);
    let mut html = String::new();
    for (index, (series, metric)) in rows.iter().enumerate() {
        let class = if index == 0 { "" } else { " peer" };
        let (unit, median) = (metric.unit.shown().0, stats::median(&metric.runs));
        // Writing to a String succeeds.
        let _ = write!(
            html,
            "<div class=\"strip{class}\"><span>{}</span><svg role=\"img\">{}</svg>\
             <b>{} {unit}</b></div>",
            escape(&series.name),
            dots(metric, scale),
            number(median, metric.unit),
        );
    }
    let unit = rows.first().map_or(Unit::Count, |(_, metric)| metric.unit);
    let _ = write!(
        html,
        "<div class=\"strip\"><span>{}</span>{}<b></b></div>",
        if scale.0 > 0.0 {
            "<em>the axis does not begin at 0</em>"
        } else {
            ""
        },
        axis(scale, unit)
    );
    html
}

/// From 0, so that lengths compare, unless all runs lie so close together that nothing of them
/// would be seen.
fn scale(rows: &[(&Series, &Metric)]) -> Scale {
    let all = || rows.iter().flat_map(|(_, metric)| &metric.runs).copied();
    let (least, most) = (
        all().fold(f64::INFINITY, f64::min),
        all().fold(0.0, f64::max),
    );
    let width = most - least;
    if width > 0.0 && width < most * 0.2 {
        (least - width * 0.3, most + width * 0.3)
    } else {
        (0.0, most * 1.04)
    }
}

fn dots(metric: &Metric, scale: Scale) -> String {
    let mut svg = "<line class=\"base\" x1=\"0\" x2=\"100%\" y1=\"17\" y2=\"17\"/>".to_owned();
    for (run, value) in metric.runs.iter().enumerate() {
        // Runs of one value lie beside each other, not on each other.
        let beside = [0.0, -5.0, 5.0, -9.0, 9.0];
        let y = 17.0 + beside.get(run % beside.len()).copied().unwrap_or(0.0);
        let _ = write!(
            svg,
            "<circle cx=\"{:.3}%\" cy=\"{y}\" r=\"4\"><title>run {}: {}</title></circle>",
            place(*value, scale),
            run + 1,
            number(*value, metric.unit),
        );
    }
    let marks = [
        ("mid", stats::median(&metric.runs)),
        ("tail", stats::percentile(&metric.runs, 99)),
    ];
    for (class, value) in marks {
        let x = place(value, scale);
        let _ = write!(
            svg,
            "<line class=\"{class}\" x1=\"{x:.3}%\" x2=\"{x:.3}%\" y1=\"3\" y2=\"31\"/>"
        );
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        let mut series = Series::new("<b>");
        for (phase, ms) in [("vmm_entered", 2.0), ("init", 10.0), ("ready", 9.0)] {
            series.push(phase, Unit::Ns, ms * 1e6);
            series.phases.push(phase.to_owned());
        }
        series
    }

    #[test]
    fn pieces_add_up_to_the_last_end() {
        let pieces = pieces(&series());
        let lengths: Vec<f64> = pieces.iter().map(|piece| piece.ns / 1e6).collect();
        assert_eq!(format!("{lengths:?}"), "[2.0, 8.0, 0.0]");
        assert_eq!(format!("{}", reach(&series()) / 1e6), "10");
        let html = stack(&series(), 20e6);
        assert!(
            html.contains("width:40.000%") && html.contains("PID 1 runs: 8.00 ms"),
            "{html}"
        );
    }

    #[test]
    fn every_run_is_a_dot_and_names_are_text() {
        let mut series = series();
        series.push("ready", Unit::Ns, 8e6);
        let html = strips(&[(&series, series.metric("ready").unwrap())]);
        assert_eq!(html.matches("<circle").count(), 2);
        assert!(html.contains("&lt;b&gt;") && !html.contains("<span><b>"));
        assert!(html.contains("does not begin at 0"), "{html}");
    }

    #[test]
    fn runs_far_apart_are_drawn_from_nought() {
        let (near, mut far) = (series(), series());
        far.push("ready", Unit::Ns, 90e6);
        let rows = [&near, &far].map(|series| (series, series.metric("ready").unwrap()));
        assert_eq!(scale(&rows).0.to_bits(), 0_f64.to_bits());
    }
}
