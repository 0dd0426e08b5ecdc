// SPDX-License-Identifier: Apache-2.0
//! Intervals of figures, and whether pairs differ.

use ::policy::risk::scores::Said;

use super::random::Random;

/// The 95 % interval of a figure of the seeds, drawn again with their streams whole: actions of
/// one stream have one reviewer and are not independent.
pub(crate) fn bootstrap(streams: &[Vec<Said>], figure: impl Fn(&[Said]) -> f64) -> (f64, f64) {
    let mut random = Random::new(1, 5);
    let mut figures: Vec<f64> = (0..200)
        .map(|_| {
            let drawn = (0..streams.len()).filter_map(|_| streams.get(random.below(streams.len())));
            let all: Vec<Said> = drawn.flatten().copied().collect();
            figure(&all)
        })
        .collect();
    figures.sort_by(f64::total_cmp);
    let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
    (at(4), at(194))
}

/// The mean of differences and half of its 95 % interval (Student's t).
pub(crate) fn paired(differences: &[f64]) -> (f64, f64) {
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|d| (d - mean) * (d - mean)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    (mean, quantile(differences.len()) * error)
}

/// The 97.5 % quantile of Student's t for so many differences: a value of the table that is no
/// smaller than the exact one.
fn quantile(count: usize) -> f64 {
    match count {
        0..=2 => 12.71,
        3..=5 => 4.303,
        6..=10 => 2.571,
        11..=19 => 2.228,
        20..=30 => 2.094,
        _ => 2.043,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paired_interval_holds_the_mean() {
        let (mean, half) = paired(&[1.0, 2.0, 3.0]);
        assert!((mean - 2.0).abs() < 1e-9 && (half - 4.303 / 3.0_f64.sqrt()).abs() < 1e-9);
    }
}
