// SPDX-License-Identifier: Apache-2.0
//! Which names and links of a guest are made here.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

/// Longest name of one entry (`NAME_MAX`).
const MAX_NAME: usize = 255;

/// Whether `name` is one component of a path and nothing else.
#[must_use]
pub fn is_component(name: &[u8]) -> bool {
    let special = matches!(name, b"" | b"." | b"..");
    !special && name.len() <= MAX_NAME && !name.iter().any(|byte| matches!(byte, 0 | b'/'))
}

/// Whether a link to `target`, in a folder `depth` levels below the copy's root, stays below that
/// root whatever other links the copy has.
///
/// `..` climbs out of real folders only at the beginning of a target, before any name that might
/// be a link itself; so further on it is refused. A target is judged by itself then, and links
/// that lead to links stay below as each of them does.
#[must_use]
pub fn link_stays_below(target: &[u8], depth: usize) -> bool {
    if target.is_empty() || target.first() == Some(&b'/') || target.contains(&0) {
        return false;
    }
    let (mut up, mut named) = (0usize, false);
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if named => return false,
            b".." => up = up.saturating_add(1),
            _ => named = true,
        }
    }
    up <= depth
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "test data has no hostile sizes"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_single_components() {
        for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0b", &[b'x'; 256]] {
            assert!(!is_component(name), "{name:?}");
        }
        for name in [&b"a"[..], b"...", b" ", b"\xff", &[b'x'; 255]] {
            assert!(is_component(name), "{name:?}");
        }
    }

    #[test]
    fn links_that_lead_out_are_told() {
        for (target, depth) in [
            (&b"/etc/passwd"[..], 5),
            (b"..", 0),
            (b"../..", 1),
            (b"a/../b", 0),
            (b"x/y/l/..", 0),
            (b"./../a", 0),
            (b"", 0),
        ] {
            assert!(!link_stays_below(target, depth), "{target:?}");
        }
        for (target, depth) in [
            (&b"a"[..], 0),
            (b"a/b", 0),
            (b"../a", 1),
            (b".", 0),
            (b"../../x/y", 2),
        ] {
            assert!(link_stays_below(target, depth), "{target:?}");
        }
    }

    proptest! {
        #[test]
        fn a_link_that_is_let_through_never_climbs_above_the_root(
            parts in prop::collection::vec(prop::sample::select(vec!["..", ".", "a", "b", ""]), 1..8),
            depth in 0usize..4,
        ) {
            let target = parts.join("/");
            if link_stays_below(target.as_bytes(), depth) {
                let mut at = i64::try_from(depth).unwrap();
                for part in target.split('/') {
                    at += match part { ".." => -1, "." | "" => 0, _ => 1 };
                    prop_assert!(at >= 0);
                }
            }
        }
    }
}
