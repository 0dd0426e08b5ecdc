// SPDX-License-Identifier: Apache-2.0
//! Which allowed actions people are asked about afterwards. Answers exist only for what was asked;
//! without this slice a model would never learn what it wrongly allows.

use sha2::{Digest, Sha256};

use crate::risk::basis_points;

/// The least chance of an audit, for what is all but certainly right.
pub const LEAST_BPS: u16 = 100;

/// The chance of one that is allowed only by what was learnt: where a mistake would be.
pub const LOOSENED_BPS: u16 = 2500;

/// The chance that an allowed action is audited, in basis points: a share of its risk, since a
/// wrong allow is found most cheaply where it is likeliest.
#[must_use]
pub fn rate_bps(upper: f64, loosened: bool) -> u16 {
    if loosened {
        return LOOSENED_BPS;
    }
    let share = basis_points(upper) / 10 * 3;
    share.clamp(LEAST_BPS, LOOSENED_BPS)
}

/// Whether an allowed action is audited: by its digest and a salt the agent does not know, so that
/// the choice can be repeated, and nobody can act where it does not look. The digest should cover
/// the task and the action's place in it, or the same action is always or never chosen.
#[must_use]
pub fn selected(salt: u64, digest: &[u8], rate_bps: u16) -> bool {
    let mut hash = Sha256::new();
    hash.update(b"audit");
    hash.update(salt.to_le_bytes());
    hash.update(digest);
    let hash = hash.finalize();
    let number = hash
        .iter()
        .take(4)
        .fold(0, |n, byte| n << 8 | u64::from(*byte));
    number * 10_000 < u64::from(rate_bps) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_wanted_share_is_selected_and_the_same_each_time() {
        let count = |salt, rate| {
            let digests = (0..10_000_u32).map(u32::to_le_bytes);
            digests
                .filter(|digest| selected(salt, digest, rate))
                .count()
        };
        assert!((400..600).contains(&count(1, 500)));
        assert_eq!(count(1, 500), count(1, 500));
        assert_eq!((count(1, 0), count(1, 10_000)), (0, 10_000));
        let both = (0..10_000_u32).map(u32::to_le_bytes);
        let both = both.filter(|d| selected(1, d, 500) && selected(2, d, 500));
        assert!(both.count() < 100);
    }
}
