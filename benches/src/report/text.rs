// SPDX-License-Identifier: Apache-2.0
//! Text and numbers as a page shows them.

use crate::results::Unit;

/// As HTML shows it: names may come from a command line or from a host's own files.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A figure in people's units, to three significant places, without its unit.
pub(super) fn number(value: f64, unit: Unit) -> String {
    let value = value / unit.shown().1;
    if unit == Unit::Count {
        return format!("{value:.0}");
    }
    let places = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.places$}")
}

/// Where the ticks of an axis are: round numbers, four to eight of them.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let width = high - low;
    if !(width.is_finite() && width > 0.0) {
        return Vec::new();
    }
    let step = width / 5.0;
    let power = 10_f64.powf(step.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|by| by * power);
    let step = steps.into_iter().find(|s| *s >= step).unwrap_or(step);
    let first = (low / step).ceil();
    let ticks = (0..12).map(|n| (first + f64::from(n)) * step);
    ticks
        .take_while(|tick| *tick <= high + step * 1e-6)
        .collect()
}

/// A tick's number without what arithmetic left at its end.
pub(super) fn plain(tick: f64) -> String {
    let text = format!("{tick:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_name_is_text() {
        let escaped = escape("<script src='x'>&\"");
        assert_eq!(escaped, "&lt;script src=&#39;x&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn numbers_have_three_places_that_matter() {
        let shown = [123_456_789.0, 12_345_678.0, 1_234_567.0, 123_456.0];
        let shown = shown.map(|ns| number(ns, Unit::Ns));
        assert_eq!(shown, ["123", "12.3", "1.23", "0.123"]);
        assert_eq!(number(1573.0, Unit::Count), "1573");
    }

    #[test]
    fn ticks_are_round_and_few() {
        let shown = |low, high| ticks(low, high).into_iter().map(plain).collect::<Vec<_>>();
        assert_eq!(shown(0.0, 31.0), ["0", "10", "20", "30"]);
        assert_eq!(shown(21.53, 21.68), ["21.55", "21.6", "21.65"]);
        for most in [0.003, 1.0, 7.3, 99.0, 12345.0] {
            assert!((3..=8).contains(&ticks(0.0, most).len()), "{most}");
        }
        assert!(ticks(0.0, 0.0).is_empty() && ticks(0.0, f64::NAN).is_empty());
    }
}
