// SPDX-License-Identifier: Apache-2.0
//! How good probabilities are, given what came: Brier score, calibration error, ranking.

/// A probability that was said, and whether it came so.
pub type Said = (f64, bool);

/// Expected calibration error over bins of equal mass; 0 of nothing.
#[must_use]
pub fn ece(said: &[Said], bins: usize) -> f64 {
    let mut sorted = said.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let size = sorted.len().div_ceil(bins.max(1)).max(1);
    let errors = sorted.chunks(size).map(|bin| {
        let said: f64 = bin.iter().map(|(p, _)| p).sum();
        let came = number(bin.iter().filter(|(_, came)| *came).count());
        (said - came).abs()
    });
    errors.sum::<f64>() / number(sorted.len().max(1))
}

/// Mean squared error; 0 of nothing.
#[must_use]
pub fn brier(said: &[Said]) -> f64 {
    let errors = said.iter().map(|(p, came)| {
        let came = if *came { 1.0 } else { 0.0 };
        (p - came) * (p - came)
    });
    errors.sum::<f64>() / number(said.len().max(1))
}

/// The chance that what came was said with a higher probability than what did not; ties count
/// half. Nothing when all came or none did.
#[must_use]
pub fn auroc(said: &[Said]) -> Option<f64> {
    let mut sorted = said.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut below, mut sum, mut came) = (0.0, 0.0, 0.0);
    for tie in sorted.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let yes = number(tie.iter().filter(|(_, came)| *came).count());
        let no = number(tie.len()) - yes;
        sum += yes * (below + no / 2.0);
        below += no;
        came += yes;
    }
    (came > 0.0 && below > 0.0).then(|| sum / (came * below))
}

fn number(count: usize) -> f64 {
    count as f64
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
    fn ranking_is_one_when_told_apart_and_half_when_not() {
        let apart = [(0.1, false), (0.2, false), (0.3, true)];
        assert_eq!(auroc(&apart), Some(1.0));
        assert_eq!(auroc(&[(0.1, false), (0.1, true)]), Some(0.5));
        assert_eq!(auroc(&[(0.1, true)]), None);
    }
}
