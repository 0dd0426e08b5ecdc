// SPDX-License-Identifier: Apache-2.0
//! A generator that gives the same numbers everywhere (splitmix64, Steele et al. 2014).

pub(crate) struct Random(u64);

impl Random {
    /// One stream of numbers per seed and purpose.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        // Mixed first: seeds that differ by the generator's step would share a stream.
        let purpose = Self(purpose).next();
        Self(Self(seed ^ purpose).next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let number = usize::try_from(self.next() >> 32).unwrap_or(0);
        number % count.max(1)
    }

    /// From a Gaussian (Box and Muller 1958).
    pub(crate) fn gauss(&mut self, sd: f64) -> f64 {
        let (one, other) = (1.0 - self.share(), self.share());
        sd * (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
    }
}
