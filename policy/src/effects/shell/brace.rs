// SPDX-License-Identifier: Apache-2.0
//! Brace expansion: `{a,b}` and `{1..3}`, before any other expansion.

/// Words that one word may become; more is left as it is, which is one strange word.
const MOST: usize = 64;

/// A character of a word, and whether it stands bare: only bare braces and commas count.
pub(super) type Mark<M> = (char, M);

/// The words that a word becomes. `bare` tells of a mark whether its character has no quotes.
pub(super) fn expand<M: Copy>(word: &[Mark<M>], bare: fn(M) -> bool) -> Vec<Vec<Mark<M>>> {
    let mut done = Vec::new();
    let mut open = vec![word.to_vec()];
    while let Some(word) = open.pop() {
        if done.len() + open.len() >= MOST {
            done.push(word);
            continue;
        }
        match split(&word, bare) {
            None => done.push(word),
            Some(words) => open.extend(words.into_iter().rev()),
        }
    }
    done
}

/// Takes the first braces apart, if there are any.
fn split<M: Copy>(word: &[Mark<M>], bare: fn(M) -> bool) -> Option<Vec<Vec<Mark<M>>>> {
    let is = |at: usize, c: char| word.get(at).is_some_and(|(d, m)| *d == c && bare(*m));
    for start in 0..word.len() {
        if !is(start, '{') || (start > 0 && is(start - 1, '$')) {
            continue;
        }
        let Some((commas, end)) = close(word.len(), start, &is) else {
            continue;
        };
        let (before, after) = (word.get(..start)?, word.get(end + 1..)?);
        let choices = if commas.is_empty() {
            let Some(range) = range(word.get(start + 1..end)?) else {
                continue;
            };
            range
        } else {
            let mut edges = vec![start];
            edges.extend(commas);
            edges.push(end);
            let between = edges.windows(2);
            between
                .filter_map(|pair| word.get(pair.first()? + 1..*pair.last()?))
                .map(<[_]>::to_vec)
                .collect()
        };
        let whole = |choice: Vec<Mark<M>>| [before, &choice, after].concat();
        return Some(choices.into_iter().map(whole).collect());
    }
    None
}

/// The commas of the braces that open at `start`, and where they close.
fn close(
    length: usize,
    start: usize,
    is: &impl Fn(usize, char) -> bool,
) -> Option<(Vec<usize>, usize)> {
    let mut depth = 0_u32;
    let mut commas = Vec::new();
    for at in start..length {
        if is(at, '{') {
            depth += 1;
        } else if is(at, '}') {
            depth -= 1;
            if depth == 0 {
                return Some((commas, at));
            }
        } else if depth == 1 && is(at, ',') {
            commas.push(at);
        }
    }
    None
}

/// `1..5`, `a..e`.
fn range<M: Copy>(inside: &[Mark<M>]) -> Option<Vec<Vec<Mark<M>>>> {
    let mark = inside.first()?.1;
    let text: String = inside.iter().map(|(c, _)| *c).collect();
    let (low, high) = text.split_once("..")?;
    let texts: Vec<String> = if let (Ok(low), Ok(high)) = (low.parse::<i32>(), high.parse::<i32>())
    {
        let most = i32::try_from(MOST).unwrap_or(i32::MAX);
        if low <= high {
            (low..=high.min(low.saturating_add(most)))
                .map(|n| n.to_string())
                .collect()
        } else {
            (high.max(low.saturating_sub(most))..=low)
                .rev()
                .map(|n| n.to_string())
                .collect()
        }
    } else {
        let one = |text: &str| {
            text.chars()
                .next()
                .filter(|c| text.len() == 1 && c.is_ascii())
        };
        let (low, high) = (one(low)?, one(high)?);
        if low <= high {
            (low..=high).map(String::from).collect()
        } else {
            (high..=low).rev().map(String::from).collect()
        }
    };
    let marked = |text: String| text.chars().map(|c| (c, mark)).collect();
    Some(texts.into_iter().map(marked).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let word: Vec<Mark<bool>> = text.chars().map(|c| (c, true)).collect();
        let words = expand(&word, |bare| bare);
        let text = |word: Vec<Mark<bool>>| word.into_iter().map(|(c, _)| c).collect();
        words.into_iter().map(text).collect()
    }

    #[test]
    fn lists_ranges_and_nests_expand_in_order() {
        assert_eq!(words("{rm,-rf,/}"), ["rm", "-rf", "/"]);
        assert_eq!(words("a{b,c{d,e}}f"), ["abf", "acdf", "acef"]);
        assert_eq!(words("x{1..3}"), ["x1", "x2", "x3"]);
        assert_eq!(words("{c..a}x"), ["cx", "bx", "ax"]);
    }

    #[test]
    fn lone_braces_stay_and_huge_ones_are_bounded() {
        assert_eq!(words("{}"), ["{}"]);
        assert_eq!(words("{a}"), ["{a}"]);
        assert_eq!(words("${x,y}"), ["${x,y}"]);
        assert!(words(&"{a,b}".repeat(40)).len() <= 2 * MOST);
    }
}
