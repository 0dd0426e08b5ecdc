// SPDX-License-Identifier: Apache-2.0
//! The threshold that keeps wrong allows under the operator's bound: conformal risk control
//! (Angelopoulos et al., arXiv:2208.02814) on audited allows, whose loss, a wrong allow, can only
//! grow with the threshold. Beside it the Clopper-Pearson bound, which says how sure the share is
//! on the audits there are. Both hold for actions like those audited: for the agent as it was
//! calibrated, not for one that changes itself to be let through.

use serde::{Deserialize, Serialize};

use super::beta;

/// The operator's bound on the share of allowed actions that a person would have refused.
pub const BOUND: f64 = 0.01;

/// How sure the bound is.
pub const CONFIDENCE: f64 = 0.95;

/// An allowed action that a person was asked about afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// The upper bound of its risk when it was allowed.
    #[serde(with = "super::weights::bits")]
    pub upper: f64,
    /// The person would have refused.
    pub refused: bool,
}

/// How far the bound is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    /// Too few audits, or too many wrong ones.
    NotYetCertified {
        /// How many there are.
        audits: u64,
        /// The share of wrong allows is at most this, at [`CONFIDENCE`].
        upper_bound: f64,
        /// How many more without a wrong one are needed.
        needed: u64,
    },
    /// The bound holds when asking begins at the threshold.
    Certified {
        /// How many audits say so.
        audits: u64,
        /// The share of wrong allows is at most this, at [`CONFIDENCE`].
        upper_bound: f64,
        /// Where asking begins.
        threshold: f64,
    },
}

/// The largest threshold up to `cap` that controls the risk: with `n` audits, of which `r` would
/// be wrong allows, `(r + 1) / (n + 1)` is at most the bound.
#[must_use]
pub fn threshold(audits: &[Audit], bound: f64, cap: f64) -> Option<f64> {
    let allowed = (bound * (audits.len() as f64 + 1.0) - 1.0).max(-1.0);
    if allowed.is_nan() || allowed < 0.0 {
        return None;
    }
    let wrong = audits.iter().filter(|audit| audit.refused);
    let mut wrong: Vec<f64> = wrong.map(|audit| audit.upper).collect();
    wrong.sort_by(f64::total_cmp);
    // The first wrong allow that is one too many is where asking must begin.
    let over = wrong
        .iter()
        .enumerate()
        .find(|(n, _)| *n as f64 + 1.0 > allowed);
    Some(over.map_or(cap, |(_, upper)| upper.min(cap)))
}

/// How far the audits hold the bound, asking from `cap` on at the latest.
#[must_use]
pub fn certify(audits: &[Audit], bound: f64, cap: f64) -> Status {
    let at = threshold(audits, bound, cap);
    let under = |audit: &&Audit| audit.upper < at.unwrap_or(cap);
    let count = audits.iter().filter(under).count() as u64;
    let wrong = audits.iter().filter(under).filter(|a| a.refused).count() as u64;
    let upper_bound = beta::upper_bound(wrong, count, CONFIDENCE);
    match at {
        Some(threshold) if upper_bound <= bound => Status::Certified {
            audits: count,
            upper_bound,
            threshold,
        },
        _ => Status::NotYetCertified {
            audits: count,
            upper_bound,
            needed: needed(wrong, count, bound),
        },
    }
}

/// How many more audits without a wrong one would do.
fn needed(wrong: u64, audits: u64, bound: f64) -> u64 {
    let enough = |n: u64| beta::upper_bound(wrong, n, CONFIDENCE) <= bound;
    let mut high = audits.max(1);
    while !enough(high) {
        if high > 1 << 24 {
            return u64::MAX;
        }
        high *= 2;
    }
    let mut low = audits;
    while low < high {
        let middle = u64::midpoint(low, high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high.saturating_sub(audits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audits(right: usize, wrong: &[f64]) -> Vec<Audit> {
        let right = (0..right).map(|n| Audit {
            upper: (n % 40) as f64 / 100.0,
            refused: false,
        });
        let wrong = wrong.iter().map(|upper| Audit {
            upper: *upper,
            refused: true,
        });
        right.chain(wrong).collect()
    }

    #[test]
    fn without_enough_audits_it_says_how_many_are_needed() {
        let status = certify(&audits(91, &[]), 0.01, 0.4);
        let Status::NotYetCertified {
            audits,
            upper_bound,
            needed,
        } = status
        else {
            panic!("{status:?}");
        };
        assert_eq!((audits, needed), (91, 299 - 91));
        assert!((upper_bound - 0.0324).abs() < 1e-4);
    }

    #[test]
    fn enough_right_audits_certify_and_wrong_ones_lower_the_threshold() {
        let right = certify(&audits(299, &[]), 0.01, 0.4);
        assert!(matches!(right, Status::Certified { threshold, .. } if threshold == 0.4));
        let some = certify(&audits(2000, &[0.38; 10]), 0.01, 0.4);
        assert!(matches!(some, Status::Certified { threshold, .. } if threshold == 0.4));
        let many = certify(&audits(2000, &[0.38; 30]), 0.01, 0.4);
        assert!(matches!(many, Status::Certified { threshold, .. } if threshold == 0.38));
        let low = certify(&audits(2000, &[0.01; 30]), 0.01, 0.4);
        assert!(matches!(low, Status::NotYetCertified { .. }), "{low:?}");
    }

    #[test]
    fn the_risk_at_the_threshold_is_controlled() {
        let wrong: Vec<f64> = (0..30).map(|n| f64::from(n) / 75.0).collect();
        let all = audits(1000, &wrong);
        let at = threshold(&all, 0.01, 0.4).unwrap();
        let count = all.iter().filter(|a| a.refused && a.upper < at).count();
        assert!((count as f64 + 1.0) / (all.len() as f64 + 1.0) <= 0.01);
        assert!(count >= 8, "{count} of those allowed are used");
        assert_eq!(threshold(&audits(98, &[]), 0.01, 0.4), None);
        assert_eq!(threshold(&audits(99, &[]), 0.01, 0.4), Some(0.4));
        assert_eq!(threshold(&all, f64::NAN, 0.4), None);
    }
}
