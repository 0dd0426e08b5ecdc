// SPDX-License-Identifier: Apache-2.0
//! From what a model says to how often people refuse: two parameters (Platt 1999) while answers
//! are few, isotonic regression (pool adjacent violators) from a thousand on. Both only ever
//! increase with what the model says, so that they keep its order.

use serde::{Deserialize, Serialize};

use super::model::{logit, sigmoid};

/// Fewer answers than this say nothing.
pub const FEWEST: usize = 30;

/// From this many on, isotonic.
pub const MANY: usize = 1000;

/// How strongly two parameters are held to "as it is", in answers.
const HELD: f64 = 8.0;

/// What an answer still counts for one answer later: half after 350.
const FADES: f64 = 0.998;

/// Made-up answers of people who agree with the model, at every half of a log-odd up to this far
/// out: where there are no others, it stays as it is. Else a flood of approvals of what is
/// harmless would draw what is harmful with it.
const ANCHORS: i32 = 12;
const ANCHOR: f64 = 1.5;

/// An answer, with what was said before it was known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The model's log-odds.
    #[serde(with = "super::weights::bits")]
    pub logit: f64,
    /// A person refused.
    pub refused: bool,
    /// How much it counts.
    #[serde(with = "super::weights::bits")]
    pub weight: f64,
}

/// A function that only increases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// As it is.
    Identity,
    /// `slope * logit + shift`.
    Platt {
        /// Above 0.
        #[serde(with = "super::weights::bits")]
        slope: f64,
        /// Either way.
        #[serde(with = "super::weights::bits")]
        shift: f64,
    },
    /// Straight lines between points.
    Isotonic(Vec<Point>),
}

/// A point of an increasing line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The model's log-odds.
    #[serde(with = "super::weights::bits")]
    pub logit: f64,
    /// The log-odds people give it.
    #[serde(with = "super::weights::bits")]
    pub to: f64,
}

impl Calibration {
    /// Fits answers, in order. The older count less: they were of weights that have moved on.
    #[must_use]
    pub fn fit(labels: &[Label]) -> Self {
        let sound =
            |label: &&Label| label.logit.is_finite() && label.weight > 0.0 && label.weight < 1e6;
        let mut labels: Vec<Label> = labels.iter().filter(sound).copied().collect();
        let count = labels.len();
        let mut age = 1.0;
        for label in labels.iter_mut().rev() {
            label.weight *= age;
            age *= FADES;
        }
        labels.extend(anchors());
        match count {
            n if n < FEWEST => Self::Identity,
            n if n < MANY => platt(&labels),
            _ => isotonic(labels),
        }
    }

    /// Whether it can be what [`fit`](Self::fit) gave.
    #[must_use]
    pub fn sound(&self) -> bool {
        match self {
            Self::Identity => true,
            Self::Platt { slope, shift } => *slope > 0.0 && slope.is_finite() && shift.is_finite(),
            Self::Isotonic(points) => {
                let finite = points
                    .iter()
                    .all(|p| p.logit.is_finite() && p.to.is_finite());
                let rising = |pair: &[Point]| match pair {
                    [one, other] => one.logit <= other.logit && one.to <= other.to,
                    _ => true,
                };
                finite && points.windows(2).all(rising)
            }
        }
    }

    /// What people would say.
    #[must_use]
    pub fn apply(&self, probability: f64) -> f64 {
        match self {
            Self::Identity => sigmoid(logit(probability)),
            Self::Platt { slope, shift } => sigmoid(slope * logit(probability) + shift),
            Self::Isotonic(points) => sigmoid(between(points, logit(probability))),
        }
    }
}

fn anchors() -> impl Iterator<Item = Label> {
    (-ANCHORS..=ANCHORS).flat_map(|half| {
        let logit = f64::from(half) / 2.0;
        [true, false].map(|refused| Label {
            logit,
            refused,
            weight: ANCHOR * sigmoid(if refused { logit } else { -logit }),
        })
    })
}

/// Newton's method on the penalised likelihood.
fn platt(labels: &[Label]) -> Calibration {
    let (mut slope, mut shift) = (1.0_f64, 0.0_f64);
    for _ in 0..30 {
        let (mut ga, mut gb) = (HELD * (slope - 1.0), HELD / 4.0 * shift);
        let (mut aa, mut ab, mut bb) = (HELD, 0.0, HELD / 4.0);
        for label in labels {
            let x = label.logit.clamp(-20.0, 20.0);
            let p = sigmoid(slope * x + shift);
            let error = label.weight * (p - if label.refused { 1.0 } else { 0.0 });
            let curve = label.weight * p * (1.0 - p);
            ga += error * x;
            gb += error;
            aa += curve * x * x;
            ab += curve * x;
            bb += curve;
        }
        let determinant = (aa * bb - ab * ab).max(1e-9);
        let (da, db) = (
            (bb * ga - ab * gb) / determinant,
            (aa * gb - ab * ga) / determinant,
        );
        slope = (slope - da.clamp(-0.5, 0.5)).clamp(0.2, 4.0);
        shift = (shift - db.clamp(-1.0, 1.0)).clamp(-5.0, 5.0);
    }
    Calibration::Platt { slope, shift }
}

/// Answers that share a value.
#[derive(Clone, Copy)]
struct Pool {
    weight: f64,
    refused: f64,
    logit: f64,
}

impl Pool {
    fn share(self) -> f64 {
        self.refused / self.weight
    }

    fn join(self, other: Self) -> Self {
        Self {
            weight: self.weight + other.weight,
            refused: self.refused + other.refused,
            logit: self.logit + other.logit,
        }
    }
}

fn isotonic(mut labels: Vec<Label>) -> Calibration {
    labels.sort_by(|one, other| one.logit.total_cmp(&other.logit));
    let mut pools: Vec<Pool> = Vec::new();
    for label in labels {
        let mut pool = Pool {
            weight: label.weight,
            refused: if label.refused { label.weight } else { 0.0 },
            logit: label.weight * label.logit,
        };
        while let Some(last) = pools.pop_if(|last| last.share() >= pool.share()) {
            pool = last.join(pool);
        }
        pools.push(pool);
    }
    let mut least = f64::NEG_INFINITY;
    let points = pools.into_iter().map(|pool| {
        least = logit(pool.share()).max(least);
        Point {
            logit: pool.logit / pool.weight,
            to: least,
        }
    });
    Calibration::Isotonic(points.collect())
}

fn between(points: &[Point], x: f64) -> f64 {
    let after = points.partition_point(|point| point.logit <= x);
    let before = after.checked_sub(1).and_then(|at| points.get(at));
    match (before, points.get(after)) {
        (Some(low), Some(high)) => {
            let width = (high.logit - low.logit).max(1e-12);
            low.to + (high.to - low.to) * ((x - low.logit) / width).clamp(0.0, 1.0)
        }
        (Some(end), None) | (None, Some(end)) => end.to,
        (None, None) => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers spread over log-odds, refused as often as `truth` says, without chance.
    fn labels(count: usize, truth: impl Fn(f64) -> f64) -> Vec<Label> {
        let mut owed = 0.0;
        (0..count)
            .map(|n| {
                let logit = (n * 37 % 100) as f64 / 12.5 - 4.0;
                owed += truth(logit);
                let refused = owed >= 0.5;
                owed -= if refused { 1.0 } else { 0.0 };
                Label {
                    logit,
                    refused,
                    weight: 1.0,
                }
            })
            .collect()
    }

    #[test]
    fn few_answers_leave_it_as_it_is() {
        assert_eq!(
            Calibration::fit(&labels(29, |_| 0.5)),
            Calibration::Identity
        );
        assert!((Calibration::Identity.apply(0.3) - 0.3).abs() < 1e-9);
    }

    #[test]
    fn a_model_that_is_too_sure_is_drawn_to_what_people_said() {
        let truth = |x: f64| sigmoid(0.5 * x - 1.0);
        for count in [600, 3000] {
            let fitted = Calibration::fit(&labels(count, truth));
            assert!(fitted.sound());
            for x in [-3.0, -1.0, 0.0, 1.0, 3.0] {
                let off = fitted.apply(sigmoid(x)) - truth(x);
                assert!(off.abs() < 0.08, "{count} answers at {x}: {off}");
            }
        }
    }

    #[test]
    fn whatever_is_fitted_keeps_the_order() {
        for count in [100, 999, 1000, 2000] {
            // People who say the opposite of the model.
            let fitted = Calibration::fit(&labels(count, |x| sigmoid(-2.0 * x)));
            let all: Vec<f64> = (0..=1000)
                .map(|n| fitted.apply(f64::from(n) / 1000.0))
                .collect();
            assert!(all.is_sorted(), "{count}");
            assert!(all.iter().all(|p| p.is_finite()));
        }
    }
}
