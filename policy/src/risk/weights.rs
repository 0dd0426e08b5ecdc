// SPDX-License-Identifier: Apache-2.0
//! A Gaussian for each weight: shared ones by the place of their feature, local ones by bucket
//! and level of harm. Serialised by the bits of their numbers, so that what is read is what was
//! written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::features::{
    EXTRAS, Extra, GROUPS, Group, HARDS, HARMS, KINDS, ONE, Part, SCHEMA, Shared, ZONES,
};
use super::lexical::{BUCKETS, Token};
use crate::effects::{Hard, Harm};

/// The largest a mean may be, either way.
const MOST: f64 = 30.0;

/// The least and the largest a variance may be.
const VARIANCE: (f64, f64) = (1e-6, 100.0);

/// Variance of a local weight nobody has taught yet.
pub const LOCAL_VARIANCE: f64 = 1.8;

/// What is known of one weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[u64; 2]", into = "[u64; 2]")]
pub struct Gauss {
    mean: f64,
    precision: f64,
}

/// Numbers that are no Gaussian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWeights {
    /// Not finite, or out of range.
    #[error("a weight is not a number in its range")]
    Number,
    /// Of another schema, or not as many as there are features.
    #[error("the weights are of other features")]
    Schema,
}

impl Gauss {
    /// With numbers moved into their ranges; what is no number is 0 and as unsure as can be.
    #[must_use]
    pub fn new(mean: f64, variance: f64) -> Self {
        let mean = if mean.is_nan() { 0.0 } else { mean };
        let variance = if variance.is_nan() {
            VARIANCE.1
        } else {
            variance
        };
        Self {
            mean: mean.clamp(-MOST, MOST),
            precision: 1.0 / variance.clamp(VARIANCE.0, VARIANCE.1),
        }
    }

    /// The best guess.
    #[must_use]
    pub fn mean(self) -> f64 {
        self.mean
    }

    /// How sure that is.
    #[must_use]
    pub fn precision(self) -> f64 {
        self.precision
    }

    /// How unsure that is.
    #[must_use]
    pub fn variance(self) -> f64 {
        1.0 / self.precision
    }

    /// The same with another mean.
    #[must_use]
    pub fn with_mean(self, mean: f64) -> Self {
        Self {
            mean: Self::new(mean, 1.0).mean,
            ..self
        }
    }
}

impl From<Gauss> for [u64; 2] {
    fn from(gauss: Gauss) -> Self {
        [gauss.mean.to_bits(), gauss.precision.to_bits()]
    }
}

impl TryFrom<[u64; 2]> for Gauss {
    type Error = BadWeights;

    fn try_from(bits: [u64; 2]) -> Result<Self, BadWeights> {
        let [mean, precision] = bits.map(f64::from_bits);
        let sound = mean.abs() <= MOST
            && precision >= 1.0 / VARIANCE.1 * 0.999
            && precision <= 1.0 / VARIANCE.0 * 1.001;
        if sound {
            Ok(Self { mean, precision })
        } else {
            Err(BadWeights::Number)
        }
    }
}

/// Numbers by their bits.
pub(super) mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(in crate::risk) fn serialize<S: Serializer>(n: &f64, out: S) -> Result<S::Ok, S::Error> {
        n.to_bits().serialize(out)
    }

    pub(in crate::risk) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        let number = f64::from_bits(u64::deserialize(d)?);
        if number.is_finite() {
            Ok(number)
        } else {
            Err(D::Error::custom("not a finite number"))
        }
    }
}

/// Which weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// Common to all actions.
    Bias,
    /// Of a level of harm. Never negative, and never less than the level below.
    Harm(Harm),
    /// Of a group of kinds at a level of harm.
    Group(Group, Harm),
    /// Of a kind and a zone at a level of harm.
    Cell(Part),
    /// Of something that makes an action hard to read. Never negative.
    Hard(Hard),
    /// Of a secret on its way to the network. Never negative.
    Leak,
    /// Of what adds to the riskiest claim. Never negative.
    Extra(Extra),
    /// Of a hashed word at a level of harm.
    Local(u16),
}

const HARM_AT: usize = 1;
const GROUP_AT: usize = HARM_AT + HARMS.len();
const CELL_AT: usize = GROUP_AT + GROUPS * HARMS.len();
const HARD_AT: usize = CELL_AT + KINDS.len() * ZONES * HARMS.len();
const LEAK_AT: usize = HARD_AT + HARDS.len();
const EXTRA_AT: usize = LEAK_AT + 1;

/// How many shared weights there are.
pub const SHARED: usize = EXTRA_AT + EXTRAS.len();

impl Slot {
    /// The local weight of a word at a level of harm: what people say of `rm` on a build folder
    /// teaches nothing about `rm` on a home folder.
    pub(super) fn local(token: Token, harm: Harm) -> Self {
        let level = HARMS
            .iter()
            .take_while(|h| **h < harm)
            .fold(0, |n, _| n + 1);
        Self::Local(level * BUCKETS + token.bucket % BUCKETS)
    }

    fn index(self) -> Option<usize> {
        let levels = HARMS.len();
        Some(match self {
            Self::Bias => 0,
            Self::Harm(harm) => HARM_AT + harm as usize,
            Self::Group(group, harm) => GROUP_AT + group as usize * levels + harm as usize,
            Self::Cell(part) => {
                let cell = part.kind as usize * ZONES + part.zone as usize;
                CELL_AT + cell * levels + part.harm as usize
            }
            Self::Hard(hard) => HARD_AT + hard as usize,
            Self::Leak => LEAK_AT,
            Self::Extra(extra) => EXTRA_AT + extra as usize,
            Self::Local(_) => return None,
        })
    }
}

/// A weight for each feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Weights {
    schema: u32,
    shared: Vec<Gauss>,
    /// Those that somebody has taught; the others are 0 with [`LOCAL_VARIANCE`].
    local: BTreeMap<u16, Gauss>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    schema: u32,
    shared: Vec<Gauss>,
    local: BTreeMap<u16, Gauss>,
}

impl TryFrom<Raw> for Weights {
    type Error = BadWeights;

    fn try_from(raw: Raw) -> Result<Self, BadWeights> {
        let levels = u16::try_from(HARMS.len()).unwrap_or(0);
        let last = raw.local.keys().next_back().copied().unwrap_or(0);
        if raw.schema != SCHEMA || raw.shared.len() != SHARED || last >= levels * BUCKETS {
            return Err(BadWeights::Schema);
        }
        let mut weights = Self {
            schema: raw.schema,
            shared: raw.shared,
            local: raw.local,
        };
        let read = weights.clone();
        weights.project(&read);
        if weights == read {
            Ok(weights)
        } else {
            Err(BadWeights::Number)
        }
    }
}

impl Weights {
    /// The same Gaussian everywhere.
    pub(super) fn all(gauss: Gauss) -> Self {
        Self {
            schema: SCHEMA,
            shared: vec![gauss; SHARED],
            local: BTreeMap::new(),
        }
    }

    /// One weight.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Gauss {
        let found = match slot {
            Slot::Local(place) => self.local.get(&place).copied(),
            slot => slot
                .index()
                .and_then(|index| self.shared.get(index).copied()),
        };
        found.unwrap_or(Gauss::new(0.0, LOCAL_VARIANCE))
    }

    pub(super) fn set(&mut self, slot: Slot, gauss: Gauss) {
        if let Slot::Local(place) = slot {
            self.local.insert(place, gauss);
        } else if let Some(place) = slot.index().and_then(|index| self.shared.get_mut(index)) {
            *place = gauss;
        }
    }

    /// Moves means to where they may be: nothing that makes an action worse has a negative
    /// weight, no level of harm less than the one below, and the bias no less than `floor`'s.
    pub(super) fn project(&mut self, floor: &Self) {
        let at_least = |weights: &mut Self, slot: Slot, least: f64| {
            let gauss = weights.get(slot);
            if gauss.mean < least {
                weights.set(slot, gauss.with_mean(least));
            }
        };
        at_least(self, Slot::Bias, floor.get(Slot::Bias).mean);
        let mut least = 0.0;
        for harm in HARMS {
            at_least(self, Slot::Harm(harm), least);
            least = self.get(Slot::Harm(harm)).mean;
        }
        for hard in HARDS {
            at_least(self, Slot::Hard(hard), 0.0);
        }
        at_least(self, Slot::Leak, 0.0);
        let mut least = 0.0;
        for extra in EXTRAS {
            at_least(self, Slot::Extra(extra), least);
            // The first four are a ladder.
            least = if extra < Extra::SecondCritical {
                self.get(Slot::Extra(extra)).mean
            } else {
                0.0
            };
        }
    }

    /// What extras add, and how unsure that is. A rung of the ladder of second harms is no surer
    /// than those below it, or a worse second effect could narrow the upper bound.
    pub(super) fn extras(&self, shared: &Shared) -> (f64, f64) {
        let mut below = 0.0_f64;
        EXTRAS.iter().fold((0.0, 0.0), |(mean, variance), extra| {
            let (x, gauss) = (shared.extra(*extra), self.get(Slot::Extra(*extra)));
            let mut unsure = gauss.variance();
            if *extra <= Extra::SecondCritical {
                below = below.max(unsure);
                unsure = below;
            }
            (mean + x * gauss.mean, variance + x * x * unsure)
        })
    }

    /// What words add at a level of harm, and how unsure that is.
    pub(super) fn words(&self, tokens: &[Token], harm: Harm) -> (f64, f64) {
        tokens.iter().fold((0.0, 0.0), |(mean, variance), token| {
            let x = f64::from(token.value.min(ONE)) / f64::from(ONE);
            let gauss = self.get(Slot::local(*token, harm));
            (mean + x * gauss.mean, variance + x * x * gauss.variance())
        })
    }
}
