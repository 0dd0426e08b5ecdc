// SPDX-License-Identifier: Apache-2.0
//! Figures as lines of a table: the least, the percentiles people ask for, and the greatest.

use crate::phases;
use crate::results::{Metric, Unit};
use crate::stats;

/// The columns, with the percentile each shows.
const COLUMNS: [(&str, u32); 5] = [
    ("least", 0),
    ("p50", 50),
    ("p90", 90),
    ("p99", 99),
    ("max", 100),
];

/// Prints the head of a subject's table.
pub(crate) fn head(what: &str) {
    let columns = COLUMNS.map(|(name, _)| format!("{name:>11}")).concat();
    println!("{what:<38} {columns}");
}

/// Prints one figure.
pub(crate) fn line(metric: &Metric) {
    println!("{}", text(metric));
}

fn text(metric: &Metric) -> String {
    let (unit, by) = metric.unit.shown();
    let places = if metric.unit == Unit::Count { 0 } else { 3 };
    let columns = COLUMNS.map(|(_, percent)| {
        let value = stats::percentile(&metric.runs, percent) / by;
        format!("{value:>11.places$}")
    });
    format!(
        "  {:<36} {} {unit}",
        phases::label(&metric.name),
        columns.concat()
    )
    .trim_end()
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_in_peoples_units() {
        let line = text(&Metric::new("ready", Unit::Ns, vec![2.5e6, 1.5e6]));
        assert!(line.starts_with("  ready "), "{line}");
        assert!(
            line.ends_with("2.500 ms") && line.contains(" 1.500 "),
            "{line}"
        );
        let line = text(&Metric::new("exits", Unit::Count, vec![12.0]));
        assert!(line.ends_with(" 12"), "{line}");
    }
}
