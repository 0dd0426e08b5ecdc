// SPDX-License-Identifier: Apache-2.0
//! The regularised incomplete beta function, its inverse, and the Clopper-Pearson bound that is
//! made of it.

/// Logarithm of the gamma function (Lanczos 1964, g = 7, n = 9), for positive numbers.
fn ln_gamma(x: f64) -> f64 {
    const FIRST: f64 = 0.999_999_999_999_809_9;
    const REST: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    let x = x - 1.0;
    let series = REST.iter().enumerate();
    let sum = series.fold(FIRST, |sum, (i, c)| sum + c / (x + i as f64 + 1.0));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The continued fraction of the incomplete beta function (Lentz's method).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut h = d;
    // Converges in about the square root of the larger of a and b.
    for m in 1..20_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        h *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    h
}

/// The probability that a beta-distributed share is at most `x`.
#[must_use]
pub fn incomplete(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    let front = front.exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        (front * fraction(a, b, x) / a).clamp(0.0, 1.0)
    } else {
        (1.0 - front * fraction(b, a, 1.0 - x) / b).clamp(0.0, 1.0)
    }
}

/// The share that a beta-distributed one is at most with probability `p`, by halving.
#[must_use]
pub fn inverse(a: f64, b: f64, p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if incomplete(a, b, middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The Clopper-Pearson upper bound: with this `confidence`, no larger share gives as few as
/// `wrong` of `audits`. 1 when there are none.
#[must_use]
pub fn upper_bound(wrong: u64, audits: u64, confidence: f64) -> f64 {
    if wrong >= audits {
        return 1.0;
    }
    if wrong == 0 {
        return 1.0 - (1.0 - confidence).powf(1.0 / audits as f64);
    }
    inverse(wrong as f64 + 1.0, (audits - wrong) as f64, confidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_incomplete_beta_function_has_its_known_values() {
        for (a, b, x, wanted) in [
            (1.0, 1.0, 0.3, 0.3),
            (2.0, 3.0, 0.5, 0.6875),
            (0.5, 0.5, 0.5, 0.5),
            (5.0, 2.0, 0.8, 0.655_36),
            (10.0, 10.0, 0.5, 0.5),
            (8.0, 10.0, 0.5, 0.685_470_581_054_687_5),
        ] {
            let found = incomplete(a, b, x);
            assert!((found - wanted).abs() < 1e-10, "I({a}, {b}, {x}) = {found}");
            assert!((inverse(a, b, wanted) - x).abs() < 1e-9, "{a} {b} {wanted}");
        }
    }

    #[test]
    fn clopper_pearson_bounds_have_their_known_values() {
        for (wrong, audits, confidence, wanted) in [
            (0, 47, 0.95, 0.0617),
            (0, 91, 0.95, 0.0324),
            (0, 299, 0.95, 0.009_97),
            (1, 10, 0.975, 0.4450),
            (5, 100, 0.975, 0.1128),
            (10, 100, 0.975, 0.1762),
            (50, 100, 0.975, 0.6017),
        ] {
            let found = upper_bound(wrong, audits, confidence);
            assert!((found - wanted).abs() < 1e-4, "{wrong}/{audits}: {found}");
        }
        assert!(upper_bound(0, 0, 0.95) >= 1.0 && upper_bound(3, 3, 0.95) >= 1.0);
        let many = upper_bound(100_000, 10_000_000, 0.95);
        assert!((many - 0.01).abs() < 1e-4, "{many}");
    }
}
