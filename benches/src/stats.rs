// SPDX-License-Identifier: Apache-2.0
//! Percentiles of some runs. Nothing is left out of a distribution: an outlier on a
//! server is somebody's task.

/// The value that `percent` of the runs do not exceed (nearest rank), so that every percentile is
/// a run that happened. `NaN` of no runs.
pub(crate) fn percentile(runs: &[f64], percent: u32) -> f64 {
    let sorted = sorted(runs);
    let count = sorted.len();
    let rank = (count * percent as usize).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// The middle run, or the mean of the two in the middle.
pub(crate) fn median(runs: &[f64]) -> f64 {
    let sorted = sorted(runs);
    let (low, high) = (
        sorted.len().saturating_sub(1) / 2,
        sorted.len().checked_div(2).unwrap_or(0),
    );
    let at = |i: usize| sorted.get(i).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(low), at(high))
}

pub(crate) fn least(runs: &[f64]) -> f64 {
    percentile(runs, 0)
}

pub(crate) fn greatest(runs: &[f64]) -> f64 {
    percentile(runs, 100)
}

fn sorted(runs: &[f64]) -> Vec<f64> {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_run_that_happened() {
        let runs: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (percent, run) in [(0, 1.0), (50, 50.0), (90, 90.0), (99, 99.0), (100, 100.0)] {
            assert_eq!(percentile(&runs, percent).to_bits(), f64::to_bits(run));
        }
        let few = [3.0, 1.0, 2.0];
        assert_eq!(percentile(&few, 99).to_bits(), f64::to_bits(3.0));
        assert!(percentile(&[], 50).is_nan());
    }

    #[test]
    fn an_outlier_does_not_move_the_median() {
        let runs = [10.0, 11.0, 12.0, 13.0, 1000.0];
        assert_eq!(median(&runs).to_bits(), f64::to_bits(12.0));
        assert_eq!(median(&[1.0, 2.0]).to_bits(), f64::to_bits(1.5));
        assert!(median(&[]).is_nan());
    }
}
