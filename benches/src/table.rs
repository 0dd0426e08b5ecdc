// SPDX-License-Identifier: Apache-2.0
//! Least, median and greatest of some runs, as a line of a table.

/// Prints the table's head.
pub(crate) fn head(what: &str, unit: &str) {
    println!(
        "{what:<34} {:>12} {:>12} {:>12}  {unit}",
        "least", "median", "greatest"
    );
}

/// Prints one line and returns the median.
pub(crate) fn line(what: &str, runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
    let median = at(sorted.len() / 2);
    println!(
        "{what:<34} {:>12.3} {median:>12.3} {:>12.3}",
        at(0),
        at(sorted.len().max(1) - 1)
    );
    median
}
