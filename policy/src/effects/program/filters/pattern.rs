// SPDX-License-Identifier: Apache-2.0
//! Regular expressions as simple commands use them: characters, `.`, `[a-z]`, `*`, `+`, `^`, `$`.
//! Groups and alternatives are not followed; what needs them is not known.

/// Most steps of matching that one command is followed for. Beyond it the result is not known.
const STEPS: usize = 1 << 18;

/// Longest pattern that is followed, in characters.
const LONGEST: usize = 256;

/// A pattern of single characters, each once or any number of times.
#[derive(Debug)]
pub(super) struct Pattern {
    atoms: Vec<(Atom, bool)>,
    start: bool,
    end: bool,
    fold: bool,
}

#[derive(Clone, Debug)]
enum Atom {
    Letter(char),
    Any,
    Set(Vec<(char, char)>, bool),
}

impl Pattern {
    /// Reads a pattern; nothing if it uses more than is followed.
    pub(super) fn read(text: &str, extended: bool, fold: bool) -> Option<Self> {
        let mut letters: Vec<char> = text.chars().take(LONGEST + 1).collect();
        if letters.len() > LONGEST {
            return None;
        }
        let start = letters.first() == Some(&'^');
        if start {
            letters.remove(0);
        }
        let mut found = Self {
            atoms: Vec::new(),
            start,
            end: false,
            fold,
        };
        let mut rest = letters.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = found.piece(*first, after, extended)?;
        }
        Some(found)
    }

    /// Only these characters, as of `grep -F`.
    pub(super) fn fixed(text: &str, fold: bool) -> Option<Self> {
        let atoms: Vec<_> = text
            .chars()
            .map(|letter| (Atom::Letter(letter), false))
            .collect();
        (atoms.len() <= LONGEST).then_some(Self {
            atoms,
            start: false,
            end: false,
            fold,
        })
    }

    fn piece<'a>(&mut self, first: char, after: &'a [char], extended: bool) -> Option<&'a [char]> {
        let (atom, rest) = match (first, after) {
            ('$', []) => {
                self.end = true;
                return Some(after);
            }
            ('.', _) => (Atom::Any, after),
            ('[', _) => set(after)?,
            ('\\', ['n', rest @ ..]) => (Atom::Letter('\n'), rest),
            ('\\', ['t', rest @ ..]) => (Atom::Letter('\t'), rest),
            ('\\', ['s', rest @ ..]) => (Atom::Set(vec![('\t', '\r'), (' ', ' ')], false), rest),
            ('\\', ['+', rest @ ..]) if !extended => {
                self.again()?;
                return Some(rest);
            }
            ('\\', [letter, rest @ ..]) => {
                let group = !extended && "(){}?|".contains(*letter);
                if group || letter.is_alphanumeric() || "<>`'".contains(*letter) {
                    return None;
                }
                (Atom::Letter(*letter), rest)
            }
            ('\\', []) => return None,
            ('*', _) if !self.atoms.is_empty() => {
                self.atoms.last_mut()?.1 = true;
                return Some(after);
            }
            ('+', _) if extended => {
                self.again()?;
                return Some(after);
            }
            ('(' | ')' | '{' | '}' | '?' | '|', _) if extended => return None,
            ('^', _) if extended => return None,
            ('$', _) if extended => return None,
            (letter, _) => (Atom::Letter(letter), after),
        };
        self.atoms.push((atom, false));
        Some(rest)
    }

    /// `x+` is `xx*`.
    fn again(&mut self) -> Option<()> {
        let (atom, _) = self.atoms.last()?.clone();
        self.atoms.push((atom, true));
        Some(())
    }

    /// The leftmost longest match at or after `from`, or an error when it takes too long.
    pub(super) fn find(
        &self,
        text: &[char],
        from: usize,
        steps: &mut usize,
    ) -> Result<Option<(usize, usize)>, TooLong> {
        let last = if self.start { 0 } else { text.len() };
        for start in from..=last.max(from) {
            if self.start && start > 0 {
                break;
            }
            if let Some(end) = self.at(text, start, steps)? {
                return Ok(Some((start, end)));
            }
        }
        Ok(None)
    }

    /// The end of the longest match that begins at `start`. All ways are followed at once, so the
    /// time is the product of both lengths.
    fn at(&self, text: &[char], start: usize, steps: &mut usize) -> Result<Option<usize>, TooLong> {
        let mut states = vec![false; self.atoms.len() + 1];
        self.enter(&mut states, 0);
        let mut end = None;
        for at in start..=text.len() {
            if states.last() == Some(&true) && (!self.end || at == text.len()) {
                end = Some(at);
            }
            let Some(letter) = text.get(at) else { break };
            let mut next = vec![false; states.len()];
            let mut alive = false;
            for (index, (atom, many)) in self.atoms.iter().enumerate() {
                *steps += 1;
                if states.get(index) != Some(&true) || !self.matches(atom, *letter) {
                    continue;
                }
                alive = true;
                self.enter(&mut next, if *many { index } else { index + 1 });
            }
            if *steps > STEPS {
                return Err(TooLong);
            }
            if !alive {
                break;
            }
            states = next;
        }
        Ok(end)
    }

    /// Marks a state, and those that follow it without a character.
    fn enter(&self, states: &mut [bool], index: usize) {
        let skipped = self.atoms.iter().skip(index).take_while(|(_, many)| *many);
        for state in index..=index + skipped.count() {
            if let Some(state) = states.get_mut(state) {
                *state = true;
            }
        }
    }

    fn matches(&self, atom: &Atom, letter: char) -> bool {
        let one = |letter: char| match atom {
            Atom::Any => letter != '\n',
            Atom::Letter(wanted) => *wanted == letter,
            Atom::Set(ranges, other) => {
                let inside = ranges.iter().any(|(a, b)| (*a..=*b).contains(&letter));
                inside != *other
            }
        };
        one(letter)
            || (self.fold && (one(letter.to_ascii_lowercase()) || one(letter.to_ascii_uppercase())))
    }

    /// Whether a line matches; nothing when that takes too long.
    pub(super) fn is_in(&self, line: &str, steps: &mut usize) -> Option<bool> {
        let letters: Vec<char> = line.chars().collect();
        self.find(&letters, 0, steps).ok().map(|at| at.is_some())
    }
}

/// A match that takes too long to find.
#[derive(Debug)]
pub(super) struct TooLong;

/// `a-z_]` after the bracket.
fn set(letters: &[char]) -> Option<(Atom, &[char])> {
    let (other, mut rest) = match letters {
        ['^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut ranges = Vec::new();
    loop {
        let (first, after) = rest.split_first()?;
        match (first, after) {
            (']', _) if !ranges.is_empty() => return Some((Atom::Set(ranges, other), after)),
            ('[', [':', ..]) => {
                let name: String = after.iter().skip(1).take_while(|c| **c != ':').collect();
                let known: &[(char, char)] = match name.as_str() {
                    "space" => &[('\t', '\r'), (' ', ' ')],
                    "digit" => &[('0', '9')],
                    "alpha" => &[('a', 'z'), ('A', 'Z')],
                    "alnum" => &[('a', 'z'), ('A', 'Z'), ('0', '9')],
                    "upper" => &[('A', 'Z')],
                    "lower" => &[('a', 'z')],
                    _ => return None,
                };
                ranges.extend(known);
                rest = after.get(name.chars().count() + 3..)?;
            }
            (_, ['-', to, left @ ..]) if *to != ']' => {
                ranges.push((*first, *to));
                rest = left;
            }
            _ => {
                ranges.push((*first, *first));
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, text: &str) -> Option<String> {
        let pattern = Pattern::read(pattern, true, false)?;
        let letters: Vec<char> = text.chars().collect();
        let (from, to) = pattern.find(&letters, 0, &mut 0).ok()??;
        Some(letters[from..to].iter().collect())
    }

    #[test]
    fn the_leftmost_longest_match_is_found() {
        for (pattern, text, found) in [
            ("b", "abc", Some("b")),
            ("a.c", "xabc", Some("abc")),
            ("^a*", "aab", Some("aa")),
            ("[0-9]+", "ab123c", Some("123")),
            ("[^ ]*$", "a bc", Some("bc")),
            (r"\.", "a.b", Some(".")),
            ("^b", "ab", None),
            ("(a)", "a", None),
        ] {
            assert_eq!(find(pattern, text).as_deref(), found, "{pattern} in {text}");
        }
    }

    #[test]
    fn a_match_that_takes_too_long_is_given_up() {
        let pattern = Pattern::read("a*a*a*a*a*b", false, false).unwrap();
        assert_eq!(pattern.is_in(&"a".repeat(5000), &mut 0), None);
    }
}
