// SPDX-License-Identifier: Apache-2.0
//! Shell patterns: `*`, `?`, `[…]`, with a backslash for what is meant literally.

/// Whether all of `text` matches. Time is bounded by the product of both lengths.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = one(&pattern, p, text[t]);
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
        } else if let Some(width) = step {
            p += width;
            t += 1;
        } else if let Some((at, from)) = star {
            p = at + 1;
            t = from + 1;
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

/// How many characters of the pattern at `p` the character `c` matches, if it does.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match pattern.get(p)? {
        '?' => Some(1),
        '\\' => (pattern.get(p + 1) == Some(&c)).then_some(2),
        '[' => class(pattern.get(p + 1..)?, c),
        same => (*same == c).then_some(1),
    }
}

/// `[abc]`, `[a-z]`, `[!a]`; `rest` begins after the bracket.
fn class(rest: &[char], c: char) -> Option<usize> {
    let close = rest.iter().skip(1).position(|c| *c == ']')? + 1;
    let inside = rest.get(..close)?;
    let (not, inside) = match inside.split_first() {
        Some(('!' | '^', tail)) if !tail.is_empty() => (true, tail),
        _ => (false, inside),
    };
    let mut found = false;
    let mut at = 0;
    while let Some(low) = inside.get(at) {
        if let (Some('-'), Some(high)) = (inside.get(at + 1), inside.get(at + 2)) {
            found |= (*low..=*high).contains(&c);
            at += 3;
        } else {
            found |= *low == c;
            at += 1;
        }
    }
    (found != not).then_some(close + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_marks_and_classes_match() {
        for (pattern, text, wanted) in [
            ("*", "", true),
            ("r?", "rm", true),
            ("/b?n/r*", "/bin/rm", true),
            ("[a-m]at", "cat", true),
            ("[!c]at", "cat", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("[", "x", false),
        ] {
            assert_eq!(matches(pattern, text), wanted, "{pattern} {text}");
        }
    }
}
