// SPDX-License-Identifier: Apache-2.0
//! One page for a browser: it needs no network and no script, and follows the reader's choice of
//! light or dark.

mod charts;
mod text;

use std::fmt::Write;

use serde_json::Value;

use crate::phases::label;
use crate::results::{Metric, Results, Series, Unit};
use crate::stats;
use text::{escape, number};

const STYLE: &str = include_str!("page.css");

/// The figures that are shown large, those of them that were measured.
const LARGE: [&str; 18] = [
    "ready",
    "vmm_running",
    "first_byte_seen",
    "whole",
    "first_connect",
    "clone_to_ready",
    "clone_to_echo",
    "fork_1",
    "fork_4",
    "fork_8",
    "private_cold",
    "private_restored",
    "vmm_own_cold",
    "vmm_own_restored",
    "sequential",
    "random_4k",
    "guest_to_host",
    "host_to_guest",
];

/// The page.
pub(crate) fn page(results: &Results) -> String {
    let mut body = format!(
        "<h1>{}</h1><p class=\"lead\">{}</p>{}{}",
        escape(&heading(&results.title)),
        escape(&lead(results)),
        facts(&results.host),
        cards(results)
    );
    body.push_str(&phases(results));
    body.push_str(&distributions(results));
    body.push_str(&ratios(results));
    body.push_str(&tables(results));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head><body><main>{body}\
         <footer>Every run is in the JSON that <code>--json</code> writes.</footer>\
         </main></body></html>\n",
        escape(&results.title)
    )
}

/// The part of the title after the question's name.
fn heading(title: &str) -> String {
    let (question, rest) = title.split_once(": ").unwrap_or(("", title));
    let mut letters = question.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    if question.is_empty() {
        rest.to_owned()
    } else {
        format!("{first}{}: {rest}", letters.as_str())
    }
}

fn lead(results: &Results) -> String {
    let model = "Deterministic clock: one instruction is one nanosecond and nothing else costs \
                 anything. These figures are a model that tells two builds apart, not milliseconds \
                 of a server.";
    let simulated = "A simulated server: only ratios of what ran in the same minute say something.";
    match (results.host["clock"].as_str(), results.host["kvm"].as_str()) {
        (Some("instructions"), _) => model.to_owned(),
        (_, Some("simulated")) => simulated.to_owned(),
        _ => "Measured on the wall clock of this machine.".to_owned(),
    }
}

fn facts(host: &Value) -> String {
    let mut items = String::new();
    for (key, value) in host.as_object().into_iter().flatten() {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // Writing to a String succeeds.
        let _ = write!(
            items,
            "<li><b>{}</b>{}</li>",
            escape(&key.replace('_', " ")),
            escape(&text)
        );
    }
    format!("<ul class=\"facts\">{items}</ul>")
}

fn cards(results: &Results) -> String {
    let Some(ours) = results.series.first() else {
        return String::new();
    };
    let metrics = LARGE.iter().filter_map(|name| ours.metric(name)).take(4);
    let mut cards = String::new();
    for metric in metrics {
        let _ = write!(
            cards,
            "<div class=\"card\"><div class=\"value\">{}<small>{}</small></div>\
             <div class=\"name\">{}</div></div>",
            number(stats::percentile(&metric.runs, 50), metric.unit),
            metric.unit.shown().0,
            shown(&metric.name)
        );
    }
    format!("<div class=\"cards\">{cards}</div>")
}

fn phases(results: &Results) -> String {
    let stacked = results
        .series
        .iter()
        .filter(|series| !series.phases.is_empty());
    let stacked: Vec<&Series> = stacked.collect();
    let most = stacked
        .iter()
        .map(|series| charts::reach(series))
        .fold(0.0, f64::max);
    if stacked.is_empty() || most <= 0.0 {
        return String::new();
    }
    let mut html =
        "<h2>Phases: how long each took, by the median of the runs, from the clone of the VMM on</h2>".to_owned();
    for series in stacked {
        let _ = write!(
            html,
            "<section class=\"panel\"><div class=\"head\"><h3>{}</h3><span>{}</span></div>{}</section>",
            escape(&series.name),
            escape(series.protection.as_deref().unwrap_or_default()),
            charts::stack(series, most)
        );
    }
    html
}

/// Of each figure that is shown large: every run of every series that has it.
fn distributions(results: &Results) -> String {
    let mut html = String::new();
    for name in LARGE {
        let rows = results.series.iter();
        let rows: Vec<_> = rows.filter_map(|s| Some((s, s.metric(name)?))).collect();
        let most = rows.iter().map(|(_, metric)| metric.runs.len()).max();
        let Some(runs @ 2..) = most else { continue };
        let _ = write!(
            html,
            "<section class=\"panel\"><div class=\"head\"><h3>{}</h3>\
             <span>{runs} runs; solid: median, dashed: p99</span></div>{}</section>",
            shown(name),
            charts::strips(&rows)
        );
    }
    if html.is_empty() {
        return html;
    }
    format!("<h2>Every run</h2>{html}")
}

/// A figure's name for people, as HTML.
fn shown(name: &str) -> String {
    escape(&label(name).replace('`', ""))
}

fn ratios(results: &Results) -> String {
    if results.ratios.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for ratio in &results.ratios {
        let [least, middle, greatest] =
            [stats::least, stats::median, stats::greatest].map(|of| of(&ratio.runs));
        let _ = write!(
            rows,
            "<tr><td>{}: {} by {}</td><td>{middle:.2} ×</td><td>{least:.2}</td>\
             <td>{greatest:.2}</td><td>{}</td></tr>",
            shown(&ratio.metric),
            escape(&ratio.of),
            escape(&ratio.to),
            ratio.runs.len()
        );
    }
    format!(
        "<h2>Ratios, pair by pair</h2><section class=\"panel wide\"><table><tr><th></th>\
         <th>median</th><th>least</th><th>greatest</th><th>pairs</th></tr>{rows}</table></section>"
    )
}

fn tables(results: &Results) -> String {
    let mut html = "<h2>All figures</h2>".to_owned();
    for series in &results.series {
        let rows: String = series.metrics.iter().map(row).collect();
        let _ = write!(
            html,
            "<section class=\"panel wide\"><div class=\"head\"><h3>{}</h3><span>{}</span></div>\
             <table><tr><th></th><th>least</th><th>p50</th><th>p90</th><th>p99</th><th>max</th>\
             <th></th></tr>{rows}</table>{}</section>",
            escape(&series.name),
            escape(series.protection.as_deref().unwrap_or_default()),
            remarks(series)
        );
    }
    for note in &results.notes {
        let _ = write!(html, "<p class=\"note\">{}</p>", escape(note));
    }
    html
}

fn remarks(series: &Series) -> String {
    let missing = series
        .not_available
        .iter()
        .map(|what| format!("not available: {what}"));
    let apart = series
        .apart
        .iter()
        .map(|why| format!("stands apart: {why}"));
    let lines = apart.chain(missing);
    lines
        .map(|line| format!("<p class=\"note\">{}</p>", escape(&line)))
        .collect()
}

fn row(metric: &Metric) -> String {
    let cells: String = [0, 50, 90, 99, 100]
        .map(|percent| {
            let value = stats::percentile(&metric.runs, percent);
            format!("<td>{}</td>", number(value, metric.unit))
        })
        .concat();
    let unit = if metric.unit == Unit::Count {
        ""
    } else {
        metric.unit.shown().0
    };
    let name = shown(&metric.name);
    format!("<tr><td>{name}</td>{cells}<td class=\"unit\">{unit}</td></tr>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let mut results = Results::new("boot", "boot: a <guest>");
        let mut ours = Series::new("ours & <theirs>");
        for ready in [10e6, 11e6] {
            ours.push("vmm_running", Unit::Ns, 3e6);
            ours.push("ready", Unit::Ns, ready);
        }
        ours.phases = vec!["vmm_running".into(), "ready".into()];
        ours.not_available.push("exits (no <tracefs>)".into());
        let mut peer = Series::new("peer");
        peer.push("ready", Unit::Ns, 30e6);
        results.series = vec![ours, peer];
        results.compare("ready");
        results
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere_and_no_name_is_markup() {
        let page = page(&results());
        for forbidden in [
            "http://",
            "https://",
            "<script",
            "url(",
            "<guest>",
            "<theirs>",
            "<tracefs>",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(page.contains("Boot: a &lt;guest&gt;"));
        assert!(page.contains("ours &amp; &lt;theirs&gt;"));
        assert!(page.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn a_page_shows_phases_runs_ratios_and_what_is_missing() {
        let page = page(&results());
        for part in [
            "class=\"stack\"",
            "class=\"strip peer\"",
            "3.00 ×",
            "not available: exits",
        ] {
            assert!(page.contains(part), "{part}");
        }
        let empty = super::page(&Results::new("many", "many: none"));
        assert!(empty.contains("Many: none") && !empty.contains("<h2>Phases"));
    }
}
