// SPDX-License-Identifier: Apache-2.0
//! Names that a pattern stands for, as a shell reads it: `*`, `?`, `[a-z]`, `{a,b}`.
//!
//! Where shells differ or a pattern is beyond what is read here (extended patterns, too many
//! alternatives), it stands for more names, never for fewer.

/// Most alternatives that braces are written out to.
const ALTERNATIVES: usize = 64;

/// Longest pattern or name that is compared in earnest, in bytes.
const LONGEST: usize = 1024;

/// Whether a path has a pattern in it.
#[must_use]
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '[', '{'])
}

/// Whether a name, without slashes, is one that the pattern stands for. A name that begins with a
/// dot needs one in the pattern, as in a shell.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with(['.', '\\']) {
        return false;
    }
    matches_any(pattern, name)
}

/// As [`matches()`], but a leading dot is like any other letter.
#[must_use]
pub fn matches_any(pattern: &str, name: &str) -> bool {
    if pattern.len() > LONGEST || name.len() > LONGEST || is_extended(pattern) {
        return true;
    }
    let tokens = tokens(pattern);
    let name: Vec<char> = name.chars().collect();
    // The place to go back to: the last `*`, and where in the name it began to stand for more.
    let (mut t, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while n < name.len() {
        let letter = name.get(n).copied().unwrap_or_default();
        match tokens.get(t) {
            Some(Token::Any) => {
                back = Some((t + 1, n));
                t += 1;
            }
            Some(token) if token.takes(letter) => {
                t += 1;
                n += 1;
            }
            _ => {
                let Some((after, began)) = back else {
                    return false;
                };
                back = Some((after, began + 1));
                (t, n) = (after, began + 1);
            }
        }
    }
    tokens.iter().skip(t).all(|token| *token == Token::Any)
}

/// The paths that braces write out, one when there are none. Too many become `*`.
#[must_use]
pub fn alternatives(path: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(next) = open.pop() {
        let Some(braces) = braces(&next) else {
            done.push(next);
            continue;
        };
        let (before, after) = (braces.before, braces.after);
        let many = done.len() + open.len() + braces.parts.len() > ALTERNATIVES;
        if many || next.len() > LONGEST {
            open.push(format!("{before}*{after}"));
            continue;
        }
        let parts = braces.parts.iter().rev();
        open.extend(parts.map(|part| format!("{before}{part}{after}")));
    }
    done
}

/// `?(a)`, `!(a|b)` and the like.
fn is_extended(pattern: &str) -> bool {
    ["?(", "*(", "+(", "@(", "!("]
        .iter()
        .any(|start| pattern.contains(start))
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// `*`
    Any,
    /// `?`
    One,
    /// A letter.
    Letter(char),
    /// `[…]`: ranges, and whether they are the ones that do not match.
    Set(Vec<(char, char)>, bool),
}

impl Token {
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Letter(own) => *own == letter,
            Self::Set(ranges, not) => {
                let within = ranges.iter().any(|(a, b)| (*a..=*b).contains(&letter));
                within != *not
            }
        }
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let letters: Vec<char> = pattern.chars().collect();
    let mut tokens = Vec::new();
    let mut rest = letters.as_slice();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let token = match first {
            '*' => Token::Any,
            '?' => Token::One,
            '[' => match set(after) {
                Some((token, after)) => {
                    rest = after;
                    token
                }
                None => Token::Letter('['),
            },
            '\\' => match after.split_first() {
                Some((next, after)) => {
                    rest = after;
                    Token::Letter(*next)
                }
                None => Token::Letter('\\'),
            },
            letter => Token::Letter(*letter),
        };
        if token != Token::Any || tokens.last() != Some(&Token::Any) {
            tokens.push(token);
        }
    }
    tokens
}

/// What follows a `[`, if it is a set, and what is after it.
fn set(letters: &[char]) -> Option<(Token, &[char])> {
    let not = matches!(letters.first(), Some('!' | '^'));
    let mut rest = letters.get(usize::from(not)..)?;
    let mut ranges = Vec::new();
    loop {
        rest = match rest {
            [']', after @ ..] if !ranges.is_empty() => {
                return Some((Token::Set(ranges, not), after));
            }
            // A class: `[[:alpha:]]`. It stands for all letters, more than it would.
            ['[', ':', after @ ..] => {
                let end = after.windows(2).position(|two| two == [':', ']'])?;
                return any_of_class(after.get(end + 2..)?);
            }
            [a, '-', b, after @ ..] if *b != ']' => {
                ranges.push((*a, *b));
                after
            }
            [a, after @ ..] => {
                ranges.push((*a, *a));
                after
            }
            [] => return None,
        };
    }
}

fn any_of_class(rest: &[char]) -> Option<(Token, &[char])> {
    let end = rest.iter().position(|letter| *letter == ']')?;
    Some((Token::One, rest.get(end + 1..)?))
}

struct Braces<'a> {
    before: &'a str,
    parts: Vec<&'a str>,
    after: &'a str,
}

/// The first braces with a comma in them.
fn braces(path: &str) -> Option<Braces<'_>> {
    let starts = path.match_indices('{').take(ALTERNATIVES);
    for (start, _) in starts {
        let inner = path.get(start + 1..)?;
        let mut depth = 0_u32;
        let mut parts = Vec::new();
        let mut from = 0;
        for (at, letter) in inner.char_indices() {
            match letter {
                '{' => depth = depth.saturating_add(1),
                ',' if depth == 0 => {
                    parts.push(inner.get(from..at)?);
                    from = at + 1;
                }
                '}' if depth == 0 && !parts.is_empty() => {
                    parts.push(inner.get(from..at)?);
                    let before = path.get(..start)?;
                    let after = inner.get(at + 1..)?;
                    return Some(Braces {
                        before,
                        parts,
                        after,
                    });
                }
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, name, wanted) in [
            ("*", "a", true),
            ("*", ".env", false),
            (".*", ".env", true),
            ("*.rs", "main.rs", true),
            ("*.rs", "main.c", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a]x", "bx", true),
            ("[]a]x", "]x", true),
            ("[[:digit:]]x", "1x", true),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("!(a).rs", "b.rs", true),
            ("", "", true),
            ("é*", "été", true),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends_in_time() {
        let pattern = "*a".repeat(500);
        assert!(!matches(&pattern, &"a".repeat(499)));
    }

    #[test]
    fn braces_are_written_out_nested_ones_too() {
        assert_eq!(
            alternatives("x/{a,b{1,2}}/y"),
            ["x/a/y", "x/b1/y", "x/b2/y"]
        );
        assert_eq!(alternatives("{a}"), ["{a}"]);
        assert_eq!(alternatives("{a,b"), ["{a,b"]);
    }

    #[test]
    fn braces_that_multiply_end_as_a_star() {
        let written = alternatives(&"{a,b}".repeat(50));
        assert!(written.len() <= ALTERNATIVES, "{}", written.len());
        assert!(written.iter().any(|path| path.contains('*')));
    }
}
