// SPDX-License-Identifier: Apache-2.0
//! How well probabilities are calibrated, and whether pairs differ.

use super::random::Random;

/// A probability that was said, and what came of it.
pub(crate) type Said = (f64, bool);

/// Expected calibration error over bins of equal mass.
pub(crate) fn ece(said: &[Said], bins: usize) -> f64 {
    let mut sorted = said.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let count = sorted.len();
    let mut error = 0.0;
    for bin in 0..bins {
        let (from, to) = (bin * count / bins, (bin + 1) * count / bins);
        let bin = sorted.get(from..to).unwrap_or_default();
        let said: f64 = bin.iter().map(|(p, _)| p).sum();
        let came = bin.iter().filter(|(_, refused)| *refused).count() as f64;
        error += (said - came).abs();
    }
    error / count.max(1) as f64
}

/// Mean squared error.
pub(crate) fn brier(said: &[Said]) -> f64 {
    let errors = said.iter().map(|(p, refused)| {
        let came = if *refused { 1.0 } else { 0.0 };
        (p - came) * (p - came)
    });
    errors.sum::<f64>() / said.len().max(1) as f64
}

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
    fn what_comes_as_often_as_it_is_said_has_no_error() {
        let right: Vec<Said> = (0..1000).map(|n| (0.25, n % 4 == 0)).collect();
        assert!(ece(&right, 10) < 1e-9);
        assert!((brier(&right) - 0.1875).abs() < 1e-9);
        let wrong: Vec<Said> = right.iter().map(|(_, came)| (0.75, *came)).collect();
        assert!((ece(&wrong, 10) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_paired_interval_holds_the_mean() {
        let (mean, half) = paired(&[1.0, 2.0, 3.0]);
        assert!((mean - 2.0).abs() < 1e-9 && (half - 4.303 / 3.0_f64.sqrt()).abs() < 1e-9);
    }
}
