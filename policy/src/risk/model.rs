// SPDX-License-Identifier: Apache-2.0
//! Bayesian logistic regression over the riskiest claim, one Gaussian a weight.
//!
//! A claim is an effect at its level of harm *or any level below*, a finding, a leak, or nothing
//! at all. The risk is the greatest of the claims' risks, so more claims never lower it. Words may
//! discount a claim up to [`DISCOUNT`], never one of critical harm, and never below nothing.
//!
//! An answer moves the weights of the claim that decided, by one step of an extended Kalman
//! filter on the log-odds: exact where the posterior is diagonal and the likelihood near Gaussian,
//! and the same bits wherever it runs.

use super::calibrate::Calibration;
use super::explain;
use super::features::{EXTRAS, Features, Group, HARMS, ONE, Part};
use super::state::State;
use super::weights::{Gauss, Slot, Weights};
use super::{ASK, Risk, prior};
use crate::effects::{Hard, Harm};

/// Most that words may take off a claim's log-odds, and most they may add.
pub const DISCOUNT: (f64, f64) = (-6.0, 8.0);

/// Standard deviations to the upper bound: three in four.
pub const UPPER: f64 = 0.674_49;

/// By how much a weight's variance grows with each answer that touches it, up to the first day's:
/// what people want changes. An answer that surprises takes it further: nobody was that sure.
const DRIFT: f64 = 1.03;

/// What a risk comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing in particular.
    Nothing,
    /// An effect, at a level of harm no more than its own.
    Part(usize, Harm),
    /// Something that made the action hard to read.
    Hard(Hard),
    /// A secret on its way to the network.
    Leak,
}

/// What one source says for itself, in log-odds above the bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Claim {
    /// Whence.
    pub source: Source,
    /// How much.
    pub mean: f64,
    /// How unsure.
    pub variance: f64,
}

/// What weights say of features, before calibration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The claim that decides.
    pub lead: Claim,
    /// Its probability.
    pub probability: f64,
    /// Standard deviation of the log-odds.
    pub spread: f64,
    /// The greatest upper bound of any claim.
    pub upper: f64,
}

/// The logistic function; 0 to 1, whatever it is given.
pub(super) fn sigmoid(x: f64) -> f64 {
    if x.is_nan() {
        return 1.0;
    }
    1.0 / (1.0 + (-x.clamp(-40.0, 40.0)).exp())
}

/// Its inverse, finite.
pub(super) fn logit(p: f64) -> f64 {
    let p = if p.is_nan() { 1.0 } else { p };
    let p = p.clamp(1e-9, 1.0 - 1e-9);
    (p / (1.0 - p)).ln()
}

/// The mean of a logistic function over a Gaussian, by the probit approximation (MacKay 1992).
fn averaged(mean: f64, variance: f64) -> f64 {
    sigmoid(mean / (1.0 + std::f64::consts::PI * variance / 8.0).sqrt())
}

fn sum(weights: &Weights, slots: &[Slot]) -> (f64, f64) {
    slots.iter().fold((0.0, 0.0), |(mean, variance), slot| {
        let gauss = weights.get(*slot);
        (mean + gauss.mean(), variance + gauss.variance())
    })
}

pub(super) fn slots(part: Part, harm: Harm) -> [Slot; 3] {
    [
        Slot::Harm(harm),
        Slot::Group(Group::of(part.kind), harm),
        Slot::Cell(Part { harm, ..part }),
    ]
}

/// What words may do at a level of harm.
fn bounds(harm: Harm) -> (f64, f64) {
    match harm {
        Harm::Critical => (0.0, DISCOUNT.1),
        _ => DISCOUNT,
    }
}

impl Weights {
    fn part(&self, features: &Features, index: usize, part: Part, harm: Harm) -> Claim {
        let (mean, variance) = sum(self, &slots(part, harm));
        let (words, unsure) = self.words(features.local.part(index), harm);
        let (least, most) = bounds(harm);
        Claim {
            source: Source::Part(index, harm),
            mean: mean + words.clamp(least, most),
            variance: variance + unsure,
        }
    }

    /// All claims there are.
    pub(super) fn claims<'a>(&'a self, features: &'a Features) -> impl Iterator<Item = Claim> + 'a {
        let claim = move |source, slot| {
            let gauss: Gauss = self.get(slot);
            Claim {
                source,
                mean: gauss.mean(),
                variance: gauss.variance(),
            }
        };
        let nothing = Claim {
            source: Source::Nothing,
            mean: 0.0,
            variance: 0.0,
        };
        let parts = features.shared.parts.iter().enumerate();
        let parts = parts.flat_map(move |(index, part)| {
            let levels = HARMS.into_iter().filter(|harm| *harm <= part.harm);
            levels.map(move |harm| self.part(features, index, *part, harm))
        });
        let findings = features.shared.findings.iter();
        let findings = findings.map(move |hard| claim(Source::Hard(*hard), Slot::Hard(*hard)));
        let leak = features
            .shared
            .leak
            .then(|| claim(Source::Leak, Slot::Leak));
        parts.chain(findings).chain(leak).chain([nothing])
    }

    /// What they say of features.
    #[must_use]
    pub fn score(&self, features: &Features) -> Score {
        let bias = self.get(Slot::Bias);
        let (extra, unsure) = self.extras(&features.shared);
        let scored = self.claims(features).map(|lead| {
            let mean = bias.mean() + extra + lead.mean;
            // The extras' variance is left out of the mean probability, which it would draw
            // towards a half: one more of them must not lower it.
            let variance = bias.variance() + lead.variance;
            let spread = (variance + unsure).sqrt();
            Score {
                lead,
                probability: averaged(mean, variance),
                spread,
                upper: sigmoid(mean + UPPER * spread),
            }
        });
        let worst = scored.reduce(|one, other| {
            let upper = one.upper.max(other.upper);
            let lead = if other.probability > one.probability {
                other
            } else {
                one
            };
            Score { upper, ..lead }
        });
        worst.unwrap_or(Score {
            lead: Claim {
                source: Source::Nothing,
                mean: 0.0,
                variance: 0.0,
            },
            probability: sigmoid(bias.mean()),
            spread: 0.0,
            upper: 1.0,
        })
    }

    /// The weights that an answer moves, each with its feature's value.
    fn touched(&self, features: &Features, lead: Claim, refused: bool) -> Vec<(Slot, f64)> {
        let shared = &features.shared;
        let mut touched = vec![(Slot::Bias, 1.0)];
        let extras = EXTRAS.iter().map(|e| (Slot::Extra(*e), shared.extra(*e)));
        touched.extend(extras.filter(|(_, x)| *x > 0.0));
        let blamed = match lead.source {
            // Somebody refused what had no claim: the strongest of those there are.
            Source::Nothing if refused => {
                let others = self
                    .claims(features)
                    .filter(|c| c.source != Source::Nothing);
                let strongest =
                    others.reduce(|one, other| if other.mean > one.mean { other } else { one });
                strongest.unwrap_or(lead)
            }
            _ => lead,
        };
        match blamed.source {
            Source::Nothing => {}
            Source::Hard(hard) => touched.push((Slot::Hard(hard), 1.0)),
            Source::Leak => touched.push((Slot::Leak, 1.0)),
            Source::Part(index, harm) => {
                let part = shared.parts.get(index).copied();
                let slots = part.map(|part| slots(part, harm));
                touched.extend(slots.into_iter().flatten().map(|slot| (slot, 1.0)));
                let tokens = features.local.part(index);
                // A discount that is used up is not dug deeper, or it would hold longer than
                // people's minds.
                let open = refused || self.words(tokens, harm).0 > bounds(harm).0;
                touched.extend(tokens.iter().filter(|_| open).map(|token| {
                    let x = f64::from(token.value.min(ONE)) / f64::from(ONE);
                    (Slot::local(*token, harm), x)
                }));
            }
        }
        touched
    }

    /// Learns from an answer that counts for `amount`.
    pub(super) fn learn(&mut self, first: &Self, features: &Features, refused: bool, amount: f64) {
        let score = self.score(features);
        let touched = self.touched(features, score.lead, refused);
        let p = score.probability;
        let goal = if refused { 1.0 } else { 0.0 };
        let surprise = amount.min(1.0) * (goal - p) * (goal - p);
        let variance = |slot: Slot| {
            let (now, most) = (self.get(slot).variance(), first.get(slot).variance());
            (now * DRIFT + (most - now).max(0.0) * surprise).min(most)
        };
        let total: f64 = touched
            .iter()
            .map(|(slot, x)| x * x * variance(*slot))
            .sum();
        let (pull, curve) = (amount * (goal - p), amount * p * (1.0 - p));
        let divisor = 1.0 + curve * total;
        let moved: Vec<(Slot, Gauss)> = touched
            .iter()
            .map(|(slot, x)| {
                let v = variance(*slot);
                let mean = self.get(*slot).mean() + v * x * pull / divisor;
                (*slot, Gauss::new(mean, v - v * v * x * x * curve / divisor))
            })
            .collect();
        for (slot, gauss) in moved {
            self.set(slot, gauss);
        }
        self.project(first);
    }

    /// Learns from a refusal what can only tighten: means rise by steps as long as `steps`'s
    /// variances allow, and nothing becomes surer.
    pub(super) fn tighten(&mut self, steps: &Self, features: &Features, amount: f64) {
        let score = self.score(features);
        let touched = self.touched(features, score.lead, true);
        let total: f64 = touched
            .iter()
            .map(|(slot, x)| x * x * steps.get(*slot).variance())
            .sum();
        let p = score.probability;
        let pull = amount * (1.0 - p) / (1.0 + amount * p * (1.0 - p) * total);
        for (slot, x) in touched {
            let (gauss, v) = (self.get(slot), steps.get(slot).variance());
            self.set(slot, gauss.with_mean(gauss.mean() + v * x * pull));
        }
        let before = self.clone();
        self.project(&before);
    }
}

/// What a verdict is made with.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    prior: Weights,
    weights: Weights,
    calibration: Calibration,
    promoted: bool,
    ask_at: f64,
    salt: u64,
    state: State,
}

impl Default for Model {
    fn default() -> Self {
        Self::first_day(0)
    }
}

impl Model {
    /// Nothing but the prior. `salt` is the site's own.
    #[must_use]
    pub fn first_day(salt: u64) -> Self {
        Self {
            prior: prior::weights(),
            weights: prior::weights(),
            calibration: Calibration::Identity,
            promoted: false,
            ask_at: ASK,
            salt,
            state: State::Valid,
        }
    }

    /// The same prior with learnt weights.
    pub(super) fn learnt(&self, weights: &Weights) -> Self {
        Self {
            weights: weights.clone(),
            ..self.clone()
        }
    }

    /// With a calibration, which may loosen what is of high harm only when people `promoted` it.
    #[must_use]
    pub fn calibrated(mut self, calibration: Calibration, promoted: bool) -> Self {
        self.calibration = calibration;
        self.promoted = promoted;
        self
    }

    /// Asking from another bound on. What is no number asks always.
    #[must_use]
    pub fn asking_at(mut self, bound: f64) -> Self {
        self.ask_at = if bound.is_nan() {
            0.0
        } else {
            bound.clamp(0.0, 1.0)
        };
        self
    }

    /// In a state.
    #[must_use]
    pub fn in_state(mut self, state: State) -> Self {
        self.state = state;
        self
    }

    /// The site's own salt.
    #[must_use]
    pub fn salt(&self) -> u64 {
        self.salt
    }

    /// From where on a person is asked.
    #[must_use]
    pub fn ask_at(&self) -> f64 {
        self.ask_at
    }

    /// Probability, upper bound and score, without the explanation.
    pub(super) fn bounds(&self, features: &Features) -> (f64, f64, Score) {
        let score = self.weights.score(features);
        let mut probability = self.calibration.apply(score.probability);
        let mut upper = self.calibration.apply(score.upper).max(probability);
        let guarded = !self.promoted
            && self.calibration != Calibration::Identity
            && features.shared.harm() >= Harm::High;
        if guarded || self.state != State::Valid {
            let first = self.prior.score(features);
            probability = probability.max(first.probability);
            upper = upper.max(first.upper);
        }
        if matches!(self.state, State::Void(_)) {
            upper = 1.0;
        }
        (probability, upper, score)
    }

    /// Whether a person would be asked.
    #[must_use]
    pub fn asks(&self, features: &Features) -> bool {
        self.bounds(features).1 >= self.ask_at
    }

    /// The risk of features.
    #[must_use]
    pub fn assess(&self, features: &Features) -> Risk {
        let (probability, upper, score) = self.bounds(features);
        Risk {
            probability,
            sd: (probability * (1.0 - probability) * score.spread).clamp(0.0, 0.5),
            upper,
            ask_at: self.ask_at,
            contributions: explain::contributions(&self.weights, features, score.lead),
            state: self.state.clone(),
        }
    }
}
